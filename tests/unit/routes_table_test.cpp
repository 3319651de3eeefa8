#include "support/catch.hpp"
#include "support/routes_fixture.hpp"

#include <random>

#include "gateway/routes/route_table.hpp"

using namespace std::literals;
using namespace waggle::gateway;
using namespace waggle::gateway::test;

namespace {

router routed(std::string_view routes_to_commands) {
  std::string text = "routes:\n";
  const auto listed = json::parse(routes_to_commands);
  for (const auto& [route, command] : listed.items()) {
    text += "  - {route: \"" + route + "\", call: " + command.get<std::string>() + "}\n";
  }
  return router{configured(text)};
}

/// What `route_table` does, obviously: try each route, and of those that fit take the one whose segments are texts
/// first.
std::string slow_find(const std::vector<std::pair<std::string, std::string>>& routes, const std::string& method,
                      const std::string& path) {
  const auto cut = [](std::string_view text) {
    std::vector<std::string> out;
    if (text == "/") return out;
    while (!text.empty()) {
      text.remove_prefix(1);
      out.emplace_back(text.substr(0, text.find('/')));
      text.remove_prefix(out.back().size());
    }
    return out;
  };
  const auto wanted = cut(path);
  std::string best, best_rank;
  bool any = false;
  for (const auto& [route, command] : routes) {
    const auto space = route.find(' ');
    const auto pattern = cut(std::string_view{route}.substr(space + 1));
    if (pattern.size() != wanted.size()) continue;
    std::string rank;
    bool fits = true;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
      const bool parameter = pattern[i].front() == '{';
      fits = fits && (parameter ? !wanted[i].empty() : pattern[i] == wanted[i]);
      rank += parameter ? 'b' : 'a';
    }
    if (!fits) continue;
    any = true;
    if (route.substr(0, space) != method) continue;
    if (best.empty() || rank < best_rank) best = command, best_rank = rank;
  }
  return !best.empty() ? best : any ? "405" : "404";
}

}  // namespace

TEST_CASE("routes: a text is preferred to a parameter, from the left, whatever the order of the routes", "[routes]") {
  for (const auto text :
       {R"({"GET /a/{x}":"one","GET /a/b":"two","GET /{y}/b":"three","GET /{y}/{z}":"four","GET /":"root"})",
        R"({"GET /":"root","GET /{y}/{z}":"four","GET /{y}/b":"three","GET /a/b":"two","GET /a/{x}":"one"})"}) {
    const auto table = routed(text);
    CHECK(taken(table, "GET", "/a/b") == "two");
    CHECK(taken(table, "GET", "/a/c") == "one");
    CHECK(taken(table, "GET", "/c/b") == "three");
    CHECK(taken(table, "GET", "/c/d") == "four");
    CHECK(taken(table, "GET", "/") == "root");
    CHECK(taken(table, "GET", "/a") == "404");
  }
}

TEST_CASE("routes: a text that leads nowhere gives way to a parameter", "[routes]") {
  const auto table = routed(R"({"GET /a/b/c":"text","GET /{x}/b/d":"parameter"})");
  CHECK(taken(table, "GET", "/a/b/c") == "text");
  CHECK(taken(table, "GET", "/a/b/d") == "parameter");
  CHECK(taken(table, "GET", "/a/b/e") == "404");
}

TEST_CASE("routes: a route of another method does not hide one of the request's", "[routes]") {
  const auto table =
      routed(R"({"GET /things/new":"form","POST /things/{id}":"change","DELETE /things/{id}":"remove"})");
  CHECK(taken(table, "POST", "/things/new") == "change");
  const auto refused = plan(table, {"PATCH", "/things/new", "", {}});
  CHECK(refused.shown() == "405 no route of this path takes this method");
  CHECK(refused.header("Allow") == "GET, HEAD, POST, DELETE, OPTIONS");
  CHECK(plan(table, {"GET", "/things/7", "", {}}).header("Allow") == "POST, DELETE, OPTIONS");
}

TEST_CASE("routes: HEAD is served by GET, OPTIONS by the gateway, methods are case-sensitive", "[routes]") {
  const auto table = routed(R"({"GET /a":"get","POST /b":"post"})");
  CHECK(taken(table, "HEAD", "/a") == "get");
  CHECK(taken(table, "HEAD", "/b") == "405");
  CHECK(taken(table, "get", "/a") == "405");
  CHECK(taken(table, "BREW", "/a") == "405");
  const auto options = plan(table, {"OPTIONS", "/a", "", {}});
  CHECK(options.response.status == 204);
  CHECK(options.response.body.empty());
  CHECK(options.header("Allow") == "GET, HEAD, OPTIONS");
  CHECK(taken(table, "OPTIONS", "/c") == "404");
  CHECK(plan(table, {"OPTIONS", "*", "", {}}).header("Allow") == "GET, HEAD, POST, OPTIONS");
  CHECK(plan(router{}, {"OPTIONS", "*", "", {}}).header("Allow") == "OPTIONS");
  CHECK(taken(table, "GET", "*") == "400");
}

TEST_CASE("routes: escapes are decoded once and never make or cross segments", "[routes]") {
  const auto table = routed(R"({"GET /x/{id}":"one","GET /x/{id}/y":"two","GET /caf\u00e9/{id}":"three"})");
  const auto id = [&](const std::string& target) { return shown(table, {"GET", target, "", {}}); };
  CHECK(id("/x/a%2Fy") == R"({"id":"a/y"})");
  CHECK(id("/x/a%2fb/y") == R"({"id":"a/b"})");
  CHECK(id("/x/%252F") == R"({"id":"%2F"})");
  CHECK(id("/x/a+b%20c") == R"({"id":"a+b c"})");
  CHECK(id("/x/%C3%A9") == R"({"id":"é"})");
  CHECK(id("/caf%C3%A9/1") == R"({"id":"1"})");
  CHECK(id("/%78/1") == R"({"id":"1"})");
  CHECK(id("/x%2F1") == "404 no route takes this path");
  CHECK(id("/x/%00") == "400 the path cannot be read: it holds a zero byte");
  CHECK(id("/x/..") == "400 the path cannot be read: it has a segment of dots");
  CHECK(id("/x/../x/1") == "400 the path cannot be read: it has a segment of dots");
  CHECK(id("/x/%2e%2E") == "400 the path cannot be read: it has a segment of dots");
  CHECK(id("/x/.") == "400 the path cannot be read: it has a segment of dots");
  CHECK(id("/x/...") == R"({"id":"..."})");
  CHECK(id("/x/..%2Fy") == R"({"id":"../y"})");
  CHECK(id("/x/%") == "400 the path cannot be read: a % is not followed by two hexadecimal digits");
  CHECK(id("/x/%4") == "400 the path cannot be read: a % is not followed by two hexadecimal digits");
  CHECK(id("/x/%4g") == "400 the path cannot be read: a % is not followed by two hexadecimal digits");
  CHECK(id("/x/%FF") == "400 the path cannot be read: it is not UTF-8");
  CHECK(id("/x/%C3/%A9") == "400 the path cannot be read: it is not UTF-8");
  CHECK(id("/x/%ED%A0%80") == "400 the path cannot be read: it is not UTF-8");
}

TEST_CASE("routes: empty segments match nothing", "[routes]") {
  const auto table = routed(R"({"GET /x/{id}":"one","GET /x":"two","GET /{a}/{b}/{c}":"three"})");
  for (const auto path : {"/x/", "//x", "/x//", "//", "/x//1", "/x/1/"}) {
    CAPTURE(path);
    CHECK(taken(table, "GET", path) == "404");
  }
}

TEST_CASE("routes: a path longer than any route is not found, and read to its end all the same", "[routes]") {
  const auto table = routed(R"({"GET /{a}":"one"})");
  std::string path;
  for (int i = 0; i < 4000; ++i) path += "/a";
  CHECK(taken(table, "GET", path) == "404");
  CHECK(taken(table, "GET", path + "/%00") == "400");
  CHECK(taken(table, "GET", std::string(16'000, '/')) == "404");
}

TEST_CASE("routes: configuration wins over manifests, and the first manifest over the others, which is told",
          "[routes]") {
  const auto view = network(R"([
    {"service":"zoo","version":"1","instances":[],"commands":[{"name":"zoo.get","http":["GET /a/{y}","GET /zoo"]}]},
    {"service":"ark","version":"1","instances":[],"commands":[{"name":"ark.get","http":["GET /a/{x}","GET /both","GET /livez","GET /a/:id"]}]},
    {"service":"ark","version":"2","instances":[],"commands":[{"name":"ark.get","http":["GET /a/{x}","GET /newer"]}]}])");
  router table{configured("routes: [{route: GET /both, call: mine}]")};
  const auto warnings = table.update(view);
  CHECK(
      warnings ==
      std::vector<std::string>{
          R"(the route "GET /both" calls mine, which no service has now: is the name right?)",
          R"(service ark, command ark.get: the route "GET /livez" is left out: the gateway itself answers /livez)",
          R"(service ark, command ark.get: the route "GET /a/:id" is left out: ":id" is a text, not a parameter; write {id})",
          R"(service zoo, command zoo.get: the route "GET /a/{y}" is left out: service ark, command ark.get has it already)"});
  CHECK(taken(table, "GET", "/both") == "mine");
  CHECK(taken(table, "GET", "/a/1") == "ark.get");
  CHECK(taken(table, "GET", "/zoo") == "zoo.get");
  CHECK(taken(table, "GET", "/newer") == "ark.get");
  CHECK(taken(table, "GET", "/livez") == "404");
  CHECK(table.update(network_view{}).size() == 1);
  CHECK(taken(table, "GET", "/zoo") == "404");
  CHECK(taken(table, "GET", "/both") == "mine");
}

TEST_CASE("routes: a call outlives the table it was planned with", "[routes]") {
  router table{configured("routes: [{route: 'GET /hello/{name}', call: hello.say, budget: 250ms}]"), {.budget = 3s}};
  const auto planned = plan(table, {"GET", "/hello/Ada", "", {}});
  table.update(one_command(R"(["GET /do"])"));
  REQUIRE(planned.call);
  CHECK(planned.call->of->text == "GET /hello/{name}");
  CHECK(planned.call->budget == 250ms);
  CHECK(planned.call->streams == false);
  CHECK(plan(table, {"GET", "/do", "", {}}).call->budget == 3s);
}

TEST_CASE("routes: the table finds what trying every route finds", "[routes]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  const std::string_view texts[] = {"a", "b", "c"}, methods[] = {"GET", "POST", "DELETE"};
  for (int round = 0; round < 60; ++round) {
    config routes;
    std::vector<std::pair<std::string, std::string>> listed;
    std::vector<std::string> shapes;
    for (auto left = random() % 40; left > 0; --left) {
      std::string path;
      for (auto segments = random() % 5; segments > 0; --segments) {
        path += random() % 2 == 0 ? "/{p" + std::to_string(path.size()) + "}" : "/" + std::string{texts[random() % 3]};
      }
      auto pattern = parse_route(std::string{methods[random() % 3]} + " " + (path.empty() ? "/" : path)).value();
      const auto shape = pattern.method + pattern.path.shape();
      if (std::find(shapes.begin(), shapes.end(), shape) != shapes.end()) continue;
      shapes.push_back(shape);
      const auto command = "c" + std::to_string(listed.size());
      listed.emplace_back(pattern.method + ' ' + pattern.path.text(), command);
      auto& made = routes.routes.emplace_back();
      made.method = pattern.method;
      made.path = pattern.path;
      auto& step = made.steps.emplace_back();
      step.name = "call";
      step.call = target_config{command};
    }
    const router table{routes};
    for (int request = 0; request < 200; ++request) {
      std::string path;
      for (auto segments = random() % 6; segments > 0; --segments) {
        path += '/';
        if (random() % 8 != 0) path += static_cast<char>('a' + random() % 4);
      }
      if (path.empty()) path = "/";
      const std::string method{methods[random() % 3]};
      CAPTURE(method, path);
      REQUIRE(taken(table, method, path) == slow_find(listed, method, path));
    }
  }
}

TEST_CASE("routes: any target, query, header and body is answered", "[routes]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  router table{configured(R"(
routes:
  - {route: "POST /f/{a}/{b}", call: f, fields: {a: path.a, q: query.q, h: header.X-H, n: body.x.y, d: {from: query.d, default: 1}}}
  - {route: "PUT /g/{a}", call: g}
  - {route: "GET /h", call: h}
)")};
  table.update(one_command(R"(["GET /s/{id}","POST /s"])",
                           R"({"type":"object","properties":{"id":{"type":"integer"},"on":{"type":["boolean","null"]},
    "tags":{"type":"array","items":{"type":"number"}},"kind":{"enum":["a","b"]}}})"));
  const std::vector<std::string> pieces = {"/",    "f", "g", "h",   "s",      "%2F",  "%00", "%",  "..", ".",
                                           "+",    "a", "1", "-5",  "?",      "&",    "=",   "id", "on", "tags",
                                           "kind", "q", "d", "%FF", "%C3%A9", "true", "1e9", "*",  "//", "\x01"};
  const std::vector<std::string> bodies = {"",
                                           "{}",
                                           "{\"x\":{\"y\":[1]}}",
                                           "[1]",
                                           "{\"a\":1,\"a\":2}",
                                           "\x81\xa1"
                                           "a\x01",
                                           "\x81\xa1x\x81\xa1y\xc3",
                                           "{",
                                           "\xc1",
                                           "null"};
  const std::vector<std::string> types = {
      "application/json", "application/msgpack", "text/plain", "", "application/json; charset=latin-1", "\""};
  const std::vector<std::string> accepts = {
      "*/*", "application/msgpack;q=0.5, application/json;q=0.4", "text/html", ";;q", "\"", "application/json;q=0"};
  int calls = 0;
  for (int round = 0; round < 30'000; ++round) {
    sent in{std::vector<std::string>{"GET", "POST", "PUT", "HEAD", "OPTIONS", "x"}[random() % 6],
            "/",
            random() % 2 == 0 ? "" : bodies[random() % bodies.size()],
            {}};
    if (random() % 2 == 0) in.target += std::vector<std::string>{"f/1/2", "g/x", "h", "s/4", "s", "s/y"}[random() % 6];
    for (auto left = random() % 3 * (random() % 4); left > 0; --left) in.target += pieces[random() % pieces.size()];
    if (random() % 2 == 0) in.headers.emplace_back("content-TYPE", types[random() % types.size()]);
    if (random() % 4 == 0) in.headers.emplace_back("Accept", accepts[random() % accepts.size()]);
    if (random() % 4 == 0) in.headers.emplace_back("x-h", random() % 2 == 0 ? "v" : "\xff");
    CAPTURE(in.method, in.target, in.body);
    const auto out = plan(table, in);
    if (out.call) {
      ++calls;
      waggle::wire::reader payload{out.call->payload};
      REQUIRE(payload.skip());
      REQUIRE(payload.at_end());
      const auto answer = router::answer(*out.call, out.call->payload);
      REQUIRE(answer.status == 200);
    } else {
      REQUIRE((out.response.status == 204 || (out.response.status >= 400 && out.response.status < 500)));
      if (out.response.status != 204) {
        REQUIRE(out.response.content_type == "application/problem+json");
        REQUIRE(json::parse(out.response.body).at("status") == out.response.status);
      }
    }
  }
  CHECK(calls > 300);
}

TEST_CASE("routes: patterns that could not mean what they say are refused", "[routes]") {
  const auto why = [](std::string_view route) {
    const auto parsed = parse_route(route);
    return parsed ? "accepted"s : parsed.error();
  };
  CHECK(why("GET /things/{id}/parts/{part-no}") == "accepted");
  CHECK(why("GET /") == "accepted");
  CHECK(why("GET /caf\xc3\xa9") == "accepted");
  CHECK(why("/things") == R"("/things" is no route; write a method and a path, as in GET /things/{id})");
  CHECK(why("get /things") == R"("get" is no method of a route; write GET, POST, PUT, PATCH or DELETE)");
  CHECK(why("HEAD /things") == "HEAD is answered by the GET route; write GET");
  CHECK(why("OPTIONS /things") == "OPTIONS is answered by the gateway; remove the route");
  CHECK(why("GET things") == R"(the path "things" does not begin with a slash; write /things)");
  CHECK(why("GET /things/") ==
        R"(the path "/things/" has an empty segment; write one slash between two segments and none at the end)");
  CHECK(why("GET //") ==
        R"(the path "//" has an empty segment; write one slash between two segments and none at the end)");
  CHECK(why("GET /a/{}") == R"("" is no name of a parameter; write letters, digits, _ and -, a letter first)");
  CHECK(why("GET /a/{1}") == R"("1" is no name of a parameter; write letters, digits, _ and -, a letter first)");
  CHECK(why("GET /{a}/{a}") == R"(the parameter "a" stands twice in the path; name one of them otherwise)");
  CHECK(why("GET /a/x{b}") ==
        R"(the segment "x{b}" mixes text and a parameter; write /{name}/ with slashes around it)");
  CHECK(why("GET /a/{b") == R"(the segment "{b" mixes text and a parameter; write /{name}/ with slashes around it)");
  CHECK(why("GET /a/:b") == R"(":b" is a text, not a parameter; write {b})");
  CHECK(why("GET /a/*") == "there are no wildcards; write a parameter, as in {name}, for each segment");
  CHECK(why("GET /a/../b") == R"(a path with ".." matches no request; write the path it leads to)");
  CHECK(why("GET /a%20b") == R"(the segment "a%20b" is escaped; write what it stands for)");
  CHECK(why("GET /a?b=1") ==
        R"(the segment "a?b=1" has characters that a path does not have; write letters, digits and -._~)");
  CHECK(why("GET /a b") ==
        R"(the segment "a b" has characters that a path does not have; write letters, digits and -._~)");
  CHECK(why("GET /\xff") == "the route is not UTF-8; write it anew");
  std::string path;
  for (int i = 0; i < 33; ++i) path += "/a";
  CHECK(why("GET " + path) == "the path has more than 32 segments; write a shorter one");
  CHECK(why("GET " + path.substr(2)) == "accepted");
}

TEST_CASE("network view: what the broker lists is read, what it is not is refused with a reason", "[routes]") {
  const auto view = network(R"([{"service":"hello","version":"1.0","future":[1,{"a":2}],
    "commands":[{"name":"hello.say","retry":"safe","doc":"Greets.","streams":true,"http":["GET /hi"],"request":{"type":"object"},"new":1}],
    "instances":[{"instance":"h1","slots":8,"in_flight":3,"draining":true,"more":null}]}])");
  CHECK(view.revision == "b:1");
  CHECK(view.broker.instance == "b");
  CHECK(view.broker.version == "1");
  REQUIRE(view.services.size() == 1);
  const auto& service = view.services[0];
  CHECK(service.service == "hello");
  REQUIRE(service.commands.size() == 1);
  CHECK(service.commands[0].name == "hello.say");
  CHECK(service.commands[0].retry == waggle::retry_class::safe);
  CHECK(service.commands[0].streams);
  CHECK(service.commands[0].http == std::vector<std::string>{"GET /hi"});
  CHECK(waggle::wire::msgpack_to_json(service.commands[0].request) == R"({"type":"object"})");
  CHECK(service.commands[0].reply.empty());
  REQUIRE(service.instances.size() == 1);
  CHECK(service.instances[0].slots == 8);
  CHECK(service.instances[0].in_flight == 3);
  CHECK(service.instances[0].draining);

  const auto why = [](std::string_view text) {
    return read_network_view(waggle::wire::json_to_msgpack(text).value()).error().message;
  };
  const std::string begin = "the broker's list of services is malformed: ";
  CHECK(why("{}") == begin + "the payload is refused: revision: is missing, and 2 more");
  CHECK(why("[]") == begin + "the payload is refused: expected an object, got an array");
  CHECK(why(R"({"revision":"r","broker":{"instance":"b","version":"1"},"services":{}})") ==
        begin + "the payload is refused: services: expected an array, got an object");
  CHECK(why(R"({"revision":"r","broker":{"instance":"b","version":"1"},)"
            R"("services":[{"service":"s","version":"1","instances":[],"commands":[{"name":5}]}]})") ==
        begin + "the list of commands is refused at commands[0].name: expected a string");
  CHECK(read_network_view("\x80\x80").error().code == waggle::status::internal);
  CHECK_FALSE(read_network_view(""));
}

TEST_CASE("routes: Vary names each header that decides which route is taken, or what it answers", "[routes]") {
  const config_file file{"routes.yaml", R"(
routes:
  - { route: GET /x, when: { header.X-Version-Two: present }, call: { by: header.x-version, is: { "1": a.one }, default: a.two } }
  - { route: GET /x, when: { claim.role: admin, cookie.beta: present }, call: a.admin }
  - { route: GET /x, call: a.do }
  - { route: GET /y, call: a.do, fields: { tenant: header.X-Tenant, who: { list: [claim.sub, cookie.user] } }, headers: { X-Seen: "{header.accept}" } }
  - { route: POST /x, call: a.do }
tokens: { algorithm: HS256, key: env.KEY }
)"};
  const router table{parse_config({&file, 1}, [](const std::string&) { return std::string(32, 'k'); }).value()};
  std::map<std::string, std::string> vary;
  for (const auto& each : table.table().routes()) vary[each.what.at.shown() + " " + each.text] = each.vary;
  CHECK(vary == std::map<std::string, std::string>{
                    {"routes.yaml:3 GET /x", "Accept, X-Version-Two, x-version"},
                    // Those that are asked later are taken because the ones before are not.
                    {"routes.yaml:4 GET /x", "Accept, X-Version-Two, Authorization, Cookie"},
                    {"routes.yaml:5 GET /x", "Accept, X-Version-Two, Authorization, Cookie"},
                    {"routes.yaml:6 GET /y", "Accept, X-Tenant, Authorization, Cookie"},
                    {"routes.yaml:7 POST /x", "Accept"}});
}

TEST_CASE("routes: a configuration that cannot be bound leaves the one before in force, for later networks too", "[routes]") {
  router table{configured("routes: [{ route: GET /old, call: a.do }]")};
  auto bad = configured("routes: [{ route: GET /new, call: a.do, fields: { jq: .body } }]");
  auto& fields = std::get<value_config>(bad.routes.front().steps.front().payload);
  std::get<value_config::program>(fields.is).jq = "][";
  CHECK_THROWS_AS(table.update(bad), std::invalid_argument);
  const auto takes_old = [&] { return std::holds_alternative<planned_call>(table.plan({"GET", "/old", {}, {}, {}})); };
  CHECK(takes_old());
  table.update(one_command("[]"));
  CHECK(takes_old());
}

TEST_CASE("routes: where only claims are missing a request without a token is 401, one with another token 403", "[routes]") {
  const auto table = [] {
    const config_file file{"r.yaml", R"(
tokens: { algorithm: HS256, key: env.KEY }
routes:
  - { route: GET /admin, call: a.b, when: { claim.role: admin } }
  - { route: GET /both, call: a.b, when: { claim.role: admin, header.X-Beta: present } }
)"};
    return router{parse_config({&file, 1}, [](const std::string&) { return std::string(32, 'k'); }).value()};
  }();
  const auto status_of = [&](const char* path, std::string_view claims) {
    const sent in{"GET", path, {}, {}};
    auto planned = table.plan(in.request(), {claims, 0, nullptr});
    const auto* refused = std::get_if<waggle::front::response>(&planned);
    return refused == nullptr ? 200 : refused->status;
  };
  const std::string user = waggle::wire::json_to_msgpack(R"({"role":"user"})").value();
  const std::string admin = waggle::wire::json_to_msgpack(R"({"role":"admin"})").value();
  CHECK(status_of("/admin", "") == 401);
  CHECK(status_of("/admin", user) == 403);
  CHECK(status_of("/admin", admin) == 200);
  CHECK(status_of("/both", admin) == 404);
}
