#include "support/catch.hpp"
#include "support/routes_fixture.hpp"

#include <filesystem>
#include <fstream>
#include <random>

using namespace std::literals;
using namespace waggle::gateway;
using namespace waggle::gateway::test;

namespace {

std::string errors_of(std::string text) {
  const config_file file{"r.yaml", std::move(text)};
  const auto out = parse_config({&file, 1});
  if (out) return "accepted";
  std::string all;
  for (const auto& each : out.error()) all += (all.empty() ? "" : "\n") + each;
  return all;
}

/// Of one route whose lines after `route` and `call` are these; the first of them is line 4.
std::string errors_with(const std::string& lines) {
  return errors_of("routes:\n  - route: GET /a/{id}\n    call: x.y\n" + lines);
}

/// Of one route with this field, in line 5.
std::string errors_of_field(const std::string& field) { return errors_with("    fields:\n      " + field + "\n"); }

}  // namespace

TEST_CASE("config: a whole file is read as it is written", "[routes]") {
  const auto out = configured(R"(# comment
routes:
  - route: POST   /hi/{who}
    call: hello.say
    budget: 2m
    summary: "Greets."
    fields:
      a: path.who
      b: { from: query.lang.tag, default: en }
      c: header.X-Tenant
      d: body.address.city
      e: body
      f: { value: [friendly, 1, -2, 1.5, true, null, "7", '', {k: v}] }
      g: { from: body.x }
  - { route: "PUT /b", call: b, fields: body }
  - { route: "GET /b", call: b }
)");
  REQUIRE(out.routes.size() == 3);
  const auto& route = out.routes[0];
  CHECK(route.method == "POST");
  CHECK(route.path.text() == "/hi/{who}");
  CHECK(route.command == "hello.say");
  CHECK(route.budget == 120s);
  CHECK(route.summary == "Greets.");
  const auto& fields = std::get<std::vector<field_binding>>(route.fields);
  REQUIRE(fields.size() == 7);
  using part = field_source::part;
  CHECK((fields[0].source.from == part::path && fields[0].source.name == "who" && !fields[0].otherwise));
  CHECK((fields[1].source.from == part::query && fields[1].source.name == "lang.tag" &&
         fields[1].otherwise == "\xa2"
                                "en"));
  CHECK((fields[2].source.from == part::header && fields[2].source.name == "X-Tenant"));
  CHECK((fields[3].source.from == part::body && fields[3].source.steps == std::vector<std::string>{"address", "city"}));
  CHECK((fields[4].source.from == part::body && fields[4].source.steps.empty()));
  CHECK(fields[5].source.from == part::constant);
  CHECK(waggle::wire::msgpack_to_json(fields[5].otherwise.value()) ==
        R"(["friendly",1,-2,1.5,true,null,"7","",{"k":"v"}])");
  CHECK((fields[6].source.from == part::body && fields[6].source.steps == std::vector<std::string>{"x"}));
  CHECK(std::holds_alternative<route_config::whole_body>(out.routes[1].fields));
  CHECK(std::holds_alternative<route_config::usual>(out.routes[2].fields));
  CHECK_FALSE(out.routes[2].budget);
}

TEST_CASE("config: each fault is told with its file, its line and a remedy", "[routes]") {
  CHECK(errors_of("") == "r.yaml:1: the file says nothing; write a list of routes under routes:");
  CHECK(errors_of("# x\n") == "r.yaml:1: the file says nothing; write a list of routes under routes:");
  CHECK(errors_of("[]") == "r.yaml:1: the file is no map; write a list of routes under routes:");
  CHECK(errors_of("{}") == "r.yaml:1: the file has no routes; write a list of them under routes:");
  CHECK(errors_of("routes: []") == "accepted");
  CHECK(errors_of("routes:\n") ==
        "r.yaml:1: routes is no list; write each route after a dash, as in - route: GET /hello");
  CHECK(errors_of("routes: {}\nroute: x") ==
        "r.yaml:2: the key \"route\" is not known; a file has routes\n"
        "r.yaml:1: routes is no list; write each route after a dash, as in - route: GET /hello");
  CHECK(errors_of("routes:\n  - GET /a\n") ==
        "r.yaml:2: a route is a map; write - route: GET /hello and below it call: hello.say");
  CHECK(errors_of("routes: []\n---\nroutes: []\n") ==
        "r.yaml:1: the file holds several YAML documents; write one, without ---");
  CHECK(errors_of("routes:\n  - route: [\n").find("r.yaml:3: this is not YAML (") == 0);
  CHECK(errors_of("routes:\n  - {}\n") ==
        "r.yaml:2: the route has no method and path; write them, as in route: GET /things/{id}\n"
        "r.yaml:2: the route calls nothing; write a command's name, as in call: hello.say");
  CHECK(errors_of("routes:\n  - route: GET /a\n    call: [x]\n") ==
        "r.yaml:3: call is no text; write one, as in call: hello.say");
  CHECK(errors_of("routes:\n  - route: GET /a\n    call: a b\n") ==
        "r.yaml:3: \"a b\" is no name of a command; write 1 to 128 bytes without spaces");
  CHECK(errors_of("routes:\n  - call: a\n    route:\n") ==
        "r.yaml:3: route is no text; write one, as in route: GET /things/{id}");
  CHECK(errors_of("routes:\n  - call: a\n    route: GET a\n") ==
        "r.yaml:3: the path \"a\" does not begin with a slash; write /a");
  CHECK(errors_of("routes:\n  - call: a\n    route: GET /readyz\n") ==
        "r.yaml:3: the gateway itself answers /readyz; write another path");
  CHECK(errors_of("routes:\n  - call: a\n    route: POST /openapi.json\n") ==
        "r.yaml:3: the gateway itself answers /openapi.json; write another path");
  CHECK(errors_with("    calls: z\n") ==
        "r.yaml:4: the key \"calls\" is not known; a route has route, call, budget, summary and fields");
  CHECK(errors_with("    call: z\n") == "r.yaml:4: the key \"call\" stands here twice; remove one");
  CHECK(errors_with("    summary: {}\n") == "r.yaml:4: summary is no text; write one, as in summary: Greets somebody.");
  for (const auto budget : {"2", "s", "0s", "-1s", "1.5s", "2d", "2 s", "86401s", "99999999999999999999ms"}) {
    CHECK(errors_with("    budget: "s + budget + "\n") ==
          "r.yaml:4: \"" + std::string{budget} + "\" is no budget; write 250ms, 2s, 5m or 1h, up to a day");
  }
  CHECK(errors_with("    budget: 86400s\n") == "accepted");
  CHECK(errors_with("    fields: bodies\n") ==
        "r.yaml:4: fields is no map; write a source for each field, as in name: query.name, or fields: body");
  CHECK(errors_with("    fields: body\n") == "r.yaml:4: a GET has no body; write query.NAME, or another method");
}

TEST_CASE("config: each fault of a field is told with its line and a remedy", "[routes]") {
  CHECK(errors_of_field("a: path.id") == "accepted");
  CHECK(errors_of_field("a: path.di") == "r.yaml:5: GET /a/{id} has no parameter \"di\"; write path.id");
  CHECK(errors_of("routes:\n  - route: GET /a\n    call: x\n    fields: {a: path.id}\n") ==
        "r.yaml:4: GET /a has no parameter \"id\"; put {id} into the path, or write query.id");
  CHECK(errors_of_field("a: param.id") ==
        "r.yaml:5: \"param.id\" is no source; write path.NAME, query.NAME, header.NAME, body or body.NAME, or {value: "
        "...} for a constant");
  for (const auto source : {"query", "query.", "path", "", "friendly", "Body", "bodyx", "bodyx.y"}) {
    CAPTURE(source);
    CHECK(errors_of_field("a: '"s + source + "'") == "r.yaml:5: \"" + std::string{source} +
                                                         "\" is no source; write path.NAME, query.NAME, header.NAME, "
                                                         "body or body.NAME, or {value: ...} for a constant");
  }
  CHECK(errors_of_field("a: body.x") == "r.yaml:5: a GET has no body; write query.NAME, or another method");
  CHECK(errors_of("routes:\n  - route: PUT /a\n    call: x\n    fields: {a: body..b}\n") ==
        "r.yaml:4: \"body..b\" has an empty step; write one dot between two names");
  CHECK(errors_of("routes:\n  - route: PUT /a\n    call: x\n    fields: {a: body.b.}\n") ==
        "r.yaml:4: \"body.b.\" has an empty step; write one dot between two names");
  CHECK(errors_of_field("a: header.X Y") == "r.yaml:5: \"X Y\" is no name of a header; write letters, digits and -");
  CHECK(errors_of_field("a.b: query.x") == "r.yaml:5: \"a.b\" is no name of a field; write one without dots");
  CHECK(errors_of_field("a: query.x\n      a: query.y") == "r.yaml:6: the field \"a\" stands here twice; remove one");
  CHECK(errors_of_field("a:\n      b: query.x") ==
        "r.yaml:5: a field has no source; write one, as in query.name, {from: query.name, default: x} or {value: x}");
  CHECK(errors_of_field("a: [query.x]") ==
        "r.yaml:5: a field has no source; write one, as in query.name, {from: query.name, default: x} or {value: x}");
  CHECK(errors_of_field("a: {}") ==
        "r.yaml:5: a field is either taken or given; write {from: query.name}, {from: query.name, default: x} or "
        "{value: x}");
  CHECK(errors_of_field("a: {value: 1, default: 2}") ==
        "r.yaml:5: a field is either taken or given; write {from: query.name}, {from: query.name, default: x} or "
        "{value: x}");
  CHECK(errors_of_field("a: {form: query.x}") ==
        "r.yaml:5: the key \"form\" is not known; a field has from, default and value\n"
        "r.yaml:5: a field is either taken or given; write {from: query.name}, {from: query.name, default: x} or "
        "{value: x}");
  CHECK(errors_of_field("a: {from: [query.x]}") == "r.yaml:5: from is no text; write a source, as in from: query.name");
  CHECK(errors_of_field("a: {from: path.id, default: 1}") ==
        "r.yaml:5: a path parameter is always there; leave default away");
  CHECK(errors_of_field("a:\n        value:\n          x: 1\n          x: 2") ==
        "r.yaml:8: \"x\" stands here twice; remove one");
  CHECK(errors_of_field("a: {value: !!int 5}") ==
        "r.yaml:5: the tag tag:yaml.org,2002:int is not known here; leave it away");
  CHECK(errors_of_field("a: {value: !!str 5}") == "accepted");
}

TEST_CASE("config: a value means what JSON means by it, or has to be written plainly", "[routes]") {
  const auto value = [](const std::string& yaml) -> std::string {
    const config_file file{"r.yaml", "routes: [{route: GET /a, call: x, fields: {a: {value: " + yaml + "}}}]"};
    const auto out = parse_config({&file, 1});
    if (!out) return out.error().at(0);
    return waggle::wire::msgpack_to_json(
        std::get<std::vector<field_binding>>(out->routes[0].fields).at(0).otherwise.value());
  };
  CHECK(value("12") == "12");
  CHECK(value("-1.50") == "-1.5");
  CHECK(value("1e3") == "1000.0");
  CHECK(value("'12'") == "\"12\"");
  CHECK(value("true") == "true");
  CHECK(value("~") == "null");
  CHECK(value("null") == "null");
  CHECK(value("''") == "\"\"");
  for (const auto text : {"abc", "1a", "1.2.3", "10.0.0.1", "2026-01-02", "e5", "-", ".", "0xzz", "1-2", "12:30:00",
                          "feed", "..1", "x1"}) {
    CHECK(value(text) == "\""s + text + "\"");
  }
  for (const auto text :
       {"0x1f", "0o17", "012", "+5", ".5", "5.", "1_000", "1e", "18446744073709551616", "1e999", "-0x1"}) {
    CHECK(value(text) == "r.yaml:1: \""s + text + "\" may be a number or not; write it as JSON does, or in quotes");
  }
  for (const auto text : {"yes", "No", "on", "OFF", "True", "fAlse"}) {
    CHECK(value(text) ==
          "r.yaml:1: \""s + text + "\" may be a text or not; write true, false or null, or the text in quotes");
  }
  CHECK(value(".inf") == "r.yaml:1: \".inf\" is no number in JSON; write another one, or the text in quotes");
}

TEST_CASE("config: two routes for the same requests are refused, in one file or in two", "[routes]") {
  const std::vector<config_file> files{
      {"a.yaml", "routes:\n  - {route: 'GET /a/{x}', call: one}\n  - {route: 'POST /a/{x}', call: two}\n"},
      {"b.yaml", "routes:\n\n  - {route: 'GET /a/{y}', call: three}\n  - {route: GET /b, call: four}\n"}};
  const auto out = parse_config(files);
  REQUIRE_FALSE(out);
  CHECK(out.error() ==
        std::vector<std::string>{"b.yaml:3: GET /a/{y} takes the same requests as the route at a.yaml:2; remove one"});
  CHECK(parse_config({files.data(), 1}).value().routes.size() == 2);
}

TEST_CASE("config: all faults of all files are told at once", "[routes]") {
  const std::vector<config_file> files{
      {"a.yaml", "routes:\n  - {route: GET a, call: one}\n  - {route: GET /b, call: two, budget: x}\n"},
      {"b.yaml", "route: []\n"}};
  CHECK(parse_config(files).error() ==
        std::vector<std::string>{"a.yaml:2: the path \"a\" does not begin with a slash; write /a",
                                 "a.yaml:3: \"x\" is no budget; write 250ms, 2s, 5m or 1h, up to a day",
                                 "b.yaml:1: the key \"route\" is not known; a file has routes",
                                 "b.yaml:1: the file has no routes; write a list of them under routes:"});
}

TEST_CASE("config: files are read from disk, and one that cannot be is told beside the faults of others", "[routes]") {
  const auto folder =
      std::filesystem::temp_directory_path() / ("waggle-config-" + std::to_string(std::random_device{}()));
  std::filesystem::create_directory(folder);
  const std::string good = folder / "good.yaml", bad = folder / "bad.yaml", missing = folder / "missing.yaml";
  std::ofstream{good} << "routes: [{route: GET /a, call: x}]\n";
  std::ofstream{bad} << "[]";
  CHECK(load_config(std::vector{good}).value().routes.size() == 1);
  CHECK(load_config(std::vector{missing, bad}).error() ==
        std::vector<std::string>{missing + ":1: the file cannot be read; write the name of one that can",
                                 bad + ":1: the file is no map; write a list of routes under routes:"});
  CHECK(load_config(std::vector{folder.string()}).error().size() == 1);
  CHECK(load_config({}).value().routes.empty());
  std::filesystem::remove_all(folder);
}

TEST_CASE("config: the examples in gateway/README.md are accepted, and its error is the one that comes", "[routes]") {
  std::ifstream in{std::filesystem::path{__FILE__}.parent_path() / "../../gateway/README.md"};
  REQUIRE(in);
  std::vector<std::string> yaml, json_texts, plain;
  std::string line, block, language;
  bool inside = false;
  while (std::getline(in, line)) {
    if (!line.starts_with("```")) {
      if (inside) block += line + '\n';
    } else if (!inside) {
      inside = true;
      language = line.substr(3);
      block.clear();
    } else {
      inside = false;
      (language == "yaml" ? yaml : language == "json" ? json_texts : plain).push_back(block);
    }
  }
  REQUIRE(yaml.size() == 2);
  for (const auto& each : yaml) CHECK(errors_of(each) == "accepted");
  const auto all = configured(yaml[1]);
  CHECK(all.routes.size() == 3);
  CHECK(shown(router{all}, {"POST", "/hi/Ada", R"({"address":{"city":"Ulm"}})", {{"x-tenant", "t"}}}) ==
        R"({"name":"Ada","lang":"en","tenant":"t","city":"Ulm","all":{"address":{"city":"Ulm"}},"kind":"friendly"})");
  REQUIRE(plain.size() == 1);
  const config_file file{"routes.yaml", "routes:\n  - route: GET /hi\n    budget: 2 seconds\n    call: x\n"};
  CHECK(parse_config({&file, 1}).error().at(0) + '\n' == plain[0]);
  REQUIRE(json_texts.size() == 1);
  const auto problem =
      router::answer({}, waggle::failure(waggle::status::unavailable, "no worker serves \"hello.say\" now"));
  CHECK(json::parse(problem.body) == json::parse(json_texts[0]));
}
