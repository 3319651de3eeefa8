#include "gateway/routes/config.hpp"
#include "support/catch.hpp"
#include "support/token_fixture.hpp"

#include <filesystem>
#include <fstream>
#include <random>

#include <waggle/wire/json.hpp>

using namespace std::literals;
using namespace waggle::gateway;

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

config configured(std::string text) {
  const config_file file{"r.yaml", std::move(text)};
  return parse_config({&file, 1}).value();
}

const value_config::object& fields_of(const step_config& step) {
  return std::get<value_config::object>(std::get<value_config>(step.payload).is);
}

}  // namespace

TEST_CASE("config: a route that is one call is read as it is written", "[routes]") {
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
      g: { from: cookie.x, type: integer }
      h: { object: { i: { list: [query.a, { jq: .body.x }] } } }
  - { route: "PUT /b", call: b, fields: body }
  - { route: "GET /b", call: b }
)");
  REQUIRE(out.routes.size() == 3);
  const auto& route = out.routes[0];
  CHECK(route.method == "POST");
  CHECK(route.path.text() == "/hi/{who}");
  CHECK_FALSE(route.composed);
  REQUIRE(route.steps.size() == 1);
  CHECK(route.steps[0].name == "call");
  CHECK(std::get<std::string>(route.steps[0].call->is) == "hello.say");
  CHECK(route.budget == 120s);
  CHECK(route.summary == "Greets.");
  CHECK(route.at.shown() == "r.yaml:3");
  const auto& fields = fields_of(route.steps[0]).entries;
  REQUIRE(fields.size() == 8);
  const auto taken = [&](std::size_t i) { return std::get<value_config::taken>(fields.at(i).value.is); };
  CHECK((fields[0].name == "a" && taken(0).from.written() == "path.who" && !taken(0).otherwise));
  CHECK((taken(1).from.written() == "query.lang.tag" && taken(1).otherwise == "\xa2" "en"));
  CHECK(taken(2).from.written() == "header.X-Tenant");
  CHECK(taken(3).from.written() == "body.address.city");
  CHECK(taken(4).from.written() == "body");
  CHECK(waggle::wire::msgpack_to_json(std::get<value_config::constant>(fields[5].value.is).msgpack) ==
        R"(["friendly",1,-2,1.5,true,null,"7","",{"k":"v"}])");
  CHECK((taken(6).type == text_type::integer && taken(2).type == text_type::automatic));
  const auto& inner = std::get<value_config::object>(fields[7].value.is).entries.at(0);
  const auto& items = std::get<value_config::list>(inner.value.is).items;
  CHECK((inner.name == "i" && items.size() == 2));
  CHECK(std::get<value_config::program>(items.at(1).is).jq == ".body.x");
  CHECK(std::get<value_config::program>(items.at(1).is).at.shown() == "r.yaml:15");
  CHECK(std::get<value_config::taken>(std::get<value_config>(out.routes[1].steps[0].payload).is).from.written() == "body");
  CHECK(std::holds_alternative<usual_payload>(out.routes[2].steps[0].payload));
  CHECK_FALSE(out.routes[2].budget);
}

TEST_CASE("config: a plan of steps is read as it is written", "[routes]") {
  const auto out = configured(R"(
routes:
  - route: POST /orders
    when: { header.X-Api-Version: [2, "3"], query.beta: ~ }
    budget: 5s
    steps:
      stock: { call: stock.reserve, fields: { item: body.item }, undo: { call: stock.release, fields: { id: step.stock.id }, budget: 1s, key: body.item } }
      price: { call: { split: { price.get: 90, price.get2: 10 }, sticky: header.X-User }, fallback: { amount: 0 }, budget: 200ms }
      advice: { call: { by: header.X-V, is: { "1": advice.old, "2": advice.new }, default: advice.new }, optional: true }
      order: { call: order.place, after: [stock, price], key: body.customer, fields: { jq: "{id: .step.stock.id}" } }
    reply: { id: step.order.id, advice: step.advice }
    incomplete: 206
    status: 201
    headers: { Location: "/orders/{step.order.id}/x" }
    then:
      told: { emit: order.placed, fields: step.order }
    deprecated: 2026-01-01
    sunset: 2027-01-01
    link: https://example.com/orders
  - route: GET /orders
    call: order.list
    stream: ndjson
    mirror: { call: order.list2, percent: 5 }
)");
  REQUIRE(out.routes.size() == 2);
  const auto& route = out.routes[0];
  CHECK(route.composed);
  REQUIRE(route.when.size() == 2);
  CHECK((route.when[0].of.written() == "header.X-Api-Version" && route.when[0].is == std::vector{"2"s, "3"s}));
  CHECK((route.when[1].of.written() == "query.beta" && route.when[1].is.empty()));
  REQUIRE(route.steps.size() == 4);
  const auto& [stock, price, advice, order] = std::tie(route.steps[0], route.steps[1], route.steps[2], route.steps[3]);
  CHECK((stock.name == "stock" && stock.needed == step_config::need::required && stock.undo->command == "stock.release"));
  CHECK((stock.undo->budget == 1s && stock.undo->key->written() == "body.item" && stock.undo->at.shown() == "r.yaml:7"));
  const auto& split = std::get<target_config::split>(price.call->is);
  CHECK(split.weights == std::vector<std::pair<std::string, unsigned>>{{"price.get", 90}, {"price.get2", 10}});
  CHECK(split.sticky->written() == "header.X-User");
  CHECK((price.needed == step_config::need::fallback && waggle::wire::msgpack_to_json(price.fallback) == R"({"amount":0})"));
  CHECK(price.budget == 200ms);
  const auto& versions = std::get<target_config::versions>(advice.call->is);
  CHECK((versions.by.written() == "header.X-V" && versions.is.size() == 2 && versions.otherwise == "advice.new"));
  CHECK(advice.needed == step_config::need::optional);
  CHECK((order.after == std::vector{"stock"s, "price"s} && order.key->written() == "body.customer"));
  CHECK(std::get<value_config::program>(std::get<value_config>(order.payload).is).jq == "{id: .step.stock.id}");
  CHECK((route.incomplete == 206u && route.status == 201u && route.reply));
  const auto& pieces = route.headers.at(0).second.pieces;
  REQUIRE(pieces.size() == 3);
  CHECK((std::get<std::string>(pieces[0]) == "/orders/" && std::get<source>(pieces[1]).written() == "step.order.id" &&
         std::get<std::string>(pieces[2]) == "/x"));
  CHECK((route.then.size() == 1 && route.then[0].emit == "order.placed" && !route.then[0].call));
  CHECK(route.deprecated == std::chrono::sys_days{2026y / 1 / 1});
  CHECK(route.sunset == std::chrono::sys_days{2027y / 1 / 1});
  CHECK(route.link == "https://example.com/orders");
  CHECK((out.routes[1].stream == stream_mode::ndjson && out.routes[1].mirror->command == "order.list2" &&
         out.routes[1].mirror->percent == 5));
}

TEST_CASE("config: limits and tokens are read as they are written", "[routes]") {
  const config_file file{"r.yaml", R"(
limits: { header_bytes: 32KiB, fields: 50, target_bytes: 1000, body_bytes: 4MiB, connections: 500, head_time: 5s, idle_time: 2m }
tokens: { algorithm: HS256, key: env.KEY, issuer: "https://x", audience: shop }
)"};
  const auto key = std::string(40, 's');
  const auto out = parse_config({&file, 1}, [&](const std::string& name) { return std::optional{name == "KEY" ? key : "?"}; }).value();
  CHECK(out.limits.header_bytes_max == 32 * 1024);
  CHECK(out.limits.fields_max == 50);
  CHECK(out.limits.target_bytes_max == 1000);
  CHECK(out.limits.body_bytes_max == 4 * 1024 * 1024);
  CHECK(out.limits.connections_max == 500);
  CHECK(out.limits.head_time == 5s);
  CHECK(out.limits.idle_time == 120s);
  CHECK(out.limits.linger_time == waggle::front::limits{}.linger_time);
  REQUIRE(out.identity.tokens);
  const auto token = waggle::gateway::test::hs256(R"({"alg":"HS256"})", R"({"aud":"shop","exp":1800000100,"iss":"https://x"})", key);
  CHECK(out.identity.tokens->verify(token, waggle::gateway::test::now));
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
        "r.yaml:2: the key \"route\" is not known; did you mean \"routes\"?\n"
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
        "r.yaml:4: the key \"calls\" is not known; did you mean \"call\"?");
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
        "r.yaml:5: \"param.id\" is no source; write path.NAME, query.NAME, header.NAME, cookie.NAME, body, body.NAME, claim.NAME, env.NAME, step.NAME or error.NAME, or {value: ...} for a constant");
  for (const auto source : {"query", "query.", "path", "", "friendly", "Body", "bodyx", "bodyx.y"}) {
    CAPTURE(source);
    CHECK(errors_of_field("a: '"s + source + "'") == "r.yaml:5: \"" + std::string{source} +
                                                         "\" is no source; write path.NAME, query.NAME, header.NAME, cookie.NAME, body, body.NAME, claim.NAME, env.NAME, step.NAME or error.NAME, or {value: ...} for a constant");
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
        "{value: x}, or one of {object: {...}}, {list: [...]} and {jq: ...}");
  CHECK(errors_of_field("a: {value: 1, default: 2}") ==
        "r.yaml:5: a field is either taken or given; write {from: query.name}, {from: query.name, default: x} or "
        "{value: x}, or one of {object: {...}}, {list: [...]} and {jq: ...}");
  CHECK(errors_of_field("a: {form: query.x}") ==
        "r.yaml:5: the key \"form\" is not known; did you mean \"from\"?\n"
        "r.yaml:5: a field is either taken or given; write {from: query.name}, {from: query.name, default: x} or "
        "{value: x}, or one of {object: {...}}, {list: [...]} and {jq: ...}");
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
        std::get<value_config::constant>(fields_of(out->routes[0].steps[0]).entries.at(0).value.is).msgpack);
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
                                 "b.yaml:1: the key \"route\" is not known; did you mean \"routes\"?",
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
  const std::string inside = folder / "inside";
  std::filesystem::create_directory(inside);
  CHECK(load_config(std::vector{inside}).error() ==
        std::vector<std::string>{inside + ":1: the directory has no *.yaml or *.yml; write a file of routes into it"});
  std::ofstream{inside + "/b.yml"} << "routes: [{route: GET /b, call: x}]\n";
  std::ofstream{inside + "/a.yaml"} << "routes: [{route: GET /a, call: x}]\n";
  std::ofstream{inside + "/.c.yaml"} << "[]";
  std::ofstream{inside + "/notes.txt"} << "[]";
  std::filesystem::create_directory(inside + "/d.yaml");
  const auto all = load_config(std::vector{inside}).value();
  REQUIRE(all.routes.size() == 2);
  CHECK(all.routes[0].at.shown() == inside + "/a.yaml:1");
  CHECK(all.routes[1].at.shown() == inside + "/b.yml:1");
  CHECK(load_config({}).value().routes.empty());
  std::filesystem::remove_all(folder);
}

TEST_CASE("config: a command that is kept goes with nothing that is made of its reply", "[routes]") {
  CHECK(errors_with("    later: true\n    key: path.id\n    budget: 1h\n") == "accepted");
  CHECK(errors_with("    later: false\n    status: 201\n") == "accepted");
  CHECK(configured("routes: [{route: GET /a, call: x, later: true}]").routes[0].later);
  CHECK(errors_with("    later: yes\n") == "r.yaml:4: later is neither true nor false; write later: true");
  for (const std::string other : {"stream: whole", "reply: step.call", "status: 201", "headers: {X: y}", "then: {a: {call: y}}", "mirror: y"}) {
    CAPTURE(other);
    CHECK(errors_with("    later: true\n    " + other + "\n") ==
          "r.yaml:4: later goes with a single call, whose answer is where its outcome will be; remove it, or " + other.substr(0, other.find(':')));
  }
}

TEST_CASE("config: what events are let out is a list of topics, and stands in one place", "[routes]") {
  const auto events = configured("events: {topics: ['order.*', stock.counted], streams_max: 5, keep_alive: 1s}").events;
  REQUIRE(events);
  CHECK(events->topics == std::vector<std::string>{"order.*", "stock.counted"});
  CHECK(events->streams_max == 5);
  CHECK(events->keep_alive == 1s);
  CHECK_FALSE(configured("routes: []").events);
  CHECK(errors_of("events: order.*") == "r.yaml:1: events is no map; write events: {topics: [order.*]}");
  CHECK(errors_of("events: {}") == "r.yaml:1: events name no topics, so nobody could see one; write events: {topics: [order.*]}");
  CHECK(errors_of("events: {topics: order.*}") == "r.yaml:1: topics is no list of topics; write events: {topics: [order.*]}");
  CHECK(errors_of("events:\n  topics:\n    - order.*\n    - '*.placed'\n    - order.*\n    - waggle.head.x\n") ==
        "r.yaml:4: \"*.placed\" is no topic; write one, or what topics begin with and a *, as in order.*\n"
        "r.yaml:5: \"order.*\" stands here twice; remove one\n"
        "r.yaml:6: \"waggle.head.x\" is no topic; write one, or what topics begin with and a *, as in order.*");
  CHECK(errors_of("events: {topics: ['*'], keep_alive: 1h}") == "r.yaml:1: \"1h\" is no keep_alive; write a time from 100ms to 10m, as in 15s");
  CHECK(errors_of("events: {topics: ['*'], streams_max: many}") == "r.yaml:1: streams_max is no number from 0 to 1000000; write one of those");
  const std::vector<config_file> files{{"a.yaml", "events: {topics: [a]}\n"}, {"b.yaml", "events: {topics: [b]}\n"}};
  CHECK(parse_config(files).error() == std::vector<std::string>{"b.yaml:1: the key \"events\" stands at a.yaml:1 already; write it in one place"});
}
