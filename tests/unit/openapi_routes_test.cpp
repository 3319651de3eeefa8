#include "support/catch.hpp"
#include "support/key_folder.hpp"
#include "support/openapi_fixture.hpp"
#include "support/routes_fixture.hpp"

#include <random>
#include <string>

using namespace waggle::gateway;
using namespace waggle::gateway::test;

namespace {

constexpr auto shop = R"([
  {"service":"orders","version":"1","instances":[],"commands":[
    {"name":"orders.get","doc":"One order.\nWith its lines.","http":["GET /orders/{id}"],"request":{"title":"by_id","type":"object","required":["id"],"properties":{"id":{"type":"integer"}}},
     "reply":{"title":"order","type":"object","required":["id","lines"],"properties":{"id":{"type":"integer"},
       "lines":{"type":"array","items":{"title":"line","type":"object","properties":{"sku":{"type":"string"}}}},"note":{"type":"string"}}}},
    {"name":"orders.find","request":{"title":"by_id","type":"object","required":["id"],"properties":{"id":{"type":"integer"}}},
     "reply":{"title":"line","type":"object","properties":{"sku":{"type":"string"}}}},
    {"name":"orders.place","needs_key":true,"http":["POST /orders"],"request":{"title":"line","type":"object","properties":{"other":{"type":"string"}}}}]},
  {"service":"stock","version":"1","instances":[],"commands":[
    {"name":"stock.get","request":{"title":"by_id","type":"object","required":["id"],"properties":{"id":{"type":"integer"}}}}]}])";

json document_of(const router& of) {
  const auto out = json::parse(of.openapi());
  CHECK(faults_of(out) == std::vector<std::string>{});
  return out;
}

json schema(const char* name) { return {{"$ref", std::string{"#/components/schemas/"} + name}}; }

json reply_of(const json& operation, const char* status = "200") {
  return operation.at("responses").at(status).at("content").at("application/json").at("schema");
}

}  // namespace

TEST_CASE("openapi: a struct that commands of a service share is one component, also within another, and two of one name are two", "[openapi]") {
  router table{configured("routes:\n  - {route: 'GET /stock/{id}', call: stock.get}\n  - {route: 'GET /find/{id}', call: orders.find}\n")};
  table.update(network(shop));
  const auto document = document_of(table);
  const auto& schemas = document.at("components").at("schemas");
  CHECK(schemas.at("orders.order").at("properties").at("lines").at("items") == schema("orders.line"));
  const auto& paths = document.at("paths");
  CHECK(reply_of(paths.at("/orders/{id}").at("get")) == schema("orders.order"));
  CHECK(reply_of(paths.at("/find/{id}").at("get")) == schema("orders.line"));
  const auto& place = paths.at("/orders").at("post");
  CHECK(place.at("requestBody").at("content").at("application/json").at("schema") == schema("orders.place.request"));
  CHECK(schemas.at("orders.place.request").at("title") == "line");
}

TEST_CASE("openapi: an operation is named by its own route only, and its first line is its summary", "[openapi]") {
  const auto id_of = [](const router& of, const char* path) { return document_of(of).at("paths").at(path).at("get").at("operationId"); };
  router alone{configured("routes: [{route: 'GET /v1/orders/{id}', call: orders.get}]")};
  alone.update(network(shop));
  CHECK(id_of(alone, "/orders/{id}") == "orders.get");
  CHECK(id_of(alone, "/v1/orders/{id}") == "get_v1_orders_id");
  router with_more{configured("routes: [{route: GET /a, call: orders.get, fields: {id: query.id}}, {route: 'GET /v1/orders/{id}', call: orders.get}]")};
  with_more.update(network(shop));
  CHECK(id_of(with_more, "/orders/{id}") == "orders.get");
  CHECK(id_of(with_more, "/v1/orders/{id}") == "get_v1_orders_id");
  const auto get = document_of(alone).at("paths").at("/orders/{id}").at("get");
  CHECK(get.at("summary") == "One order.");
  CHECK(get.at("description") == "With its lines.");
}

TEST_CASE("openapi: a composed reply is typed as far as its steps are known", "[openapi]") {
  router table{configured(R"(
routes:
  - route: GET /dashboard/{id}
    steps:
      order: { call: orders.get, fields: { id: path.id } }
      found: { call: orders.find, fields: { id: path.id }, optional: true }
    reply:
      order: step.order
      lines: step.order.lines
      note: step.order.note
      found: step.found
      kind: { value: full }
      all: { list: [step.order.id] }
      asked: path.id
      some: { jq: '.step.order.id' }
    incomplete: 203
)")};
  table.update(network(shop));
  const auto get = document_of(table).at("paths").at("/dashboard/{id}").at("get");
  CHECK(reply_of(get) == reply_of(get, "203"));
  CHECK(get.at("responses").at("203").at("headers").contains("Waggle-Incomplete"));
  const auto reply = reply_of(get);
  CHECK(reply.at("properties") == json::parse(R"({
    "order":{"$ref":"#/components/schemas/orders.order"},
    "lines":{"type":"array","items":{"$ref":"#/components/schemas/orders.line"}},
    "note":{"type":"string"},
    "found":{"$ref":"#/components/schemas/orders.line"},
    "kind":{"const":"full"},
    "all":{"type":"array","items":{"type":"integer"}},
    "asked":{"type":"string"},
    "some":{}})"));
  CHECK(reply.at("required") == json::parse(R"(["order","lines","kind","all","asked"])"));
}

TEST_CASE("openapi: versions, keys, conditions and what stands in response headers are parameters", "[openapi]") {
  router table{configured(R"(
routes:
  - route: GET /orders
    call: { by: header.X-Api-Version, is: { "1": orders.get, "2": orders.find } }
    fields: { id: { from: query.id, type: integer, default: 3 } }
    headers: { Location: "/orders/{query.place}" }
  - route: GET /beta
    when: { header.x-beta: present }
    call: orders.find
    fields: { id: cookie.id }
  - route: GET /beta
    call: orders.get
    fields: { id: cookie.id }
  - route: POST /keyed
    call: orders.place
    key: query.shop
)")};
  table.update(network(shop));
  const auto document = document_of(table);
  CHECK(document.at("paths").at("/orders").at("get").at("parameters") == json::parse(R"([
    {"name":"id","in":"query","schema":{"type":"integer","default":3}},
    {"name":"X-Api-Version","in":"header","required":true,"schema":{"type":"string","enum":["1","2"]}},
    {"name":"place","in":"query","schema":{"type":"string"}}])"));
  CHECK(document.at("paths").at("/orders").at("get").at("responses").at("200").at("headers").contains("Location"));
  CHECK(reply_of(document.at("paths").at("/orders").at("get")) == json{{"anyOf", {schema("orders.order"), schema("orders.line")}}});
  const auto& beta = document.at("paths").at("/beta").at("get");
  CHECK(beta.at("parameters") == json::parse(R"([
    {"name":"id","in":"cookie","required":true,"schema":{"type":"integer"}},
    {"name":"x-beta","in":"header","schema":{"type":"string"}}])"));
  CHECK(reply_of(beta) == schema("orders.order"));
  CHECK(beta.at("description").get<std::string>().find("`header.x-beta`") != std::string::npos);
  const auto& keyed = document.at("paths").at("/keyed").at("post").at("parameters");
  CHECK(keyed.at(0) == json::parse(R"({"name":"shop","in":"query","required":true,"schema":{"type":"string"}})"));
  const auto& place = document.at("paths").at("/orders").at("post").at("parameters");
  CHECK(place.at(0) == json::parse(R"({"name":"Waggle-Key","in":"header","required":true,"schema":{"type":"string"}})"));
}

TEST_CASE("openapi: what is run later says where its outcome will be, an event what its receipt is, and what is deprecated until when", "[openapi]") {
  router table{configured(R"(
routes:
  - { route: POST /reports, call: orders.find, later: true, fields: body }
  - { route: POST /clicks, emit: page.clicked, fields: body }
  - {route: 'GET /old/{id}', call: orders.get, deprecated: 2026-01-01, sunset: 2027-01-01, link: https://example.com/new }
  - {route: 'DELETE /orders/{id}', call: orders.find, status: 204 }
)")};
  table.update(network(shop));
  const auto document = document_of(table);
  const auto& paths = document.at("paths");
  const auto& reports = paths.at("/reports").at("post");
  CHECK(reports.at("responses").at("202") == json::parse(R"({"$ref":"#/components/responses/Kept"})"));
  CHECK_FALSE(reports.at("responses").contains("200"));
  CHECK(reports.at("parameters") == json::parse(R"([{"$ref":"#/components/parameters/Idempotency-Key"}])"));
  CHECK(document.at("components").at("responses").at("Kept").at("headers").contains("Location"));
  CHECK(paths.contains("/operations/{id}"));
  CHECK(reply_of(paths.at("/clicks").at("post"), "202") == schema("Receipt"));
  const auto& old = paths.at("/old/{id}").at("get");
  CHECK(old.at("deprecated") == true);
  CHECK(old.at("externalDocs").at("url") == "https://example.com/new");
  CHECK(old.at("responses").at("200").at("headers").contains("Sunset"));
  CHECK_FALSE(paths.at("/orders/{id}").at("delete").at("responses").at("204").contains("content"));
}

TEST_CASE("openapi: tokens are a security scheme, which a route that asks for a claim requires", "[openapi]") {
  router table{configured(R"(
tokens: { algorithm: HS256, key: env.WAGGLE_TEST_KEY }
routes:
  - { route: GET /mine, when: { claim.role: admin }, call: orders.get, fields: { id: claim.order } }
  - {route: 'GET /any/{id}', call: orders.get }
)", [](const std::string&) { return std::optional<std::string>{std::string(32, 'k')}; })};
  table.update(network(shop));
  const auto document = document_of(table);
  CHECK(document.at("components").at("securitySchemes").at("bearer").at("scheme") == "bearer");
  const auto& mine = document.at("paths").at("/mine").at("get");
  CHECK(mine.at("security") == json::parse(R"([{"bearer":[]}])"));
  CHECK(mine.at("responses").contains("401"));
  CHECK(document.at("paths").at("/any/{id}").at("get").at("security") == json::parse(R"([{},{"bearer":[]}])"));
  router without;
  without.update(network(shop));
  CHECK_FALSE(document_of(without).at("components").contains("securitySchemes"));
}

TEST_CASE("openapi: whom a route is for is said, with its scopes and each way to say who one is", "[openapi]") {
  const key_folder folder;
  const config_file file{folder.write("r.yaml", ""), R"(
tokens: { algorithm: HS256, key: env.WAGGLE_TEST_KEY }
api_keys: { file: keys.jsonl, header: X-Shop-Key }
access: known
routes:
  - { route: GET /open, call: orders.get, fields: {}, access: anyone }
  - { route: GET /read, call: orders.get, fields: {}, access: ["orders:read", "b"] }
)"};
  folder.write("keys.jsonl", "");
  router table{parse_config({&file, 1}, [](const std::string&) { return std::optional<std::string>{std::string(32, 'k')}; }).value()};
  table.update(network(shop));
  const auto document = document_of(table);
  const auto& schemes = document.at("components").at("securitySchemes");
  CHECK(schemes.at("apiKey") == json::parse(R"({"type":"apiKey","in":"header","name":"X-Shop-Key"})"));
  CHECK(schemes.at("bearer") == json::parse(R"({"type":"http","scheme":"bearer"})"));
  const auto& read = document.at("paths").at("/read").at("get");
  CHECK(read.at("security") == json::parse(R"([{"bearer":["orders:read","b"]},{"apiKey":["orders:read","b"]}])"));
  CHECK((read.at("responses").contains("401") && read.at("responses").contains("403")));
  const auto& open = document.at("paths").at("/open").at("get");
  CHECK(open.at("security") == json::parse(R"([{},{"bearer":[]},{"apiKey":[]}])"));
  CHECK_FALSE(open.at("responses").contains("403"));
}

TEST_CASE("openapi: /events is listed when it lets out something, unless a route has the path", "[openapi]") {
  CHECK_FALSE(document_of(router{}).at("paths").contains("/events"));
  CHECK(document_of(router{{}, {.events = true}}).at("paths").contains("/events"));
  CHECK(document_of(router{configured("events: {topics: ['order.*']}\nroutes: []\n")}).at("paths").contains("/events"));
  router own{configured("routes: [{route: GET /events, call: orders.get, fields: {}}]"), {.events = true}};
  CHECK(document_of(own).at("paths").at("/events").at("get").at("operationId") == "get_events");
}

namespace {

/// Schemas as a broken or hostile worker might write them.
class schema_maker {
 public:
  explicit schema_maker(std::uint64_t seed) : random_{seed} {}

  json schema(int depth = 0) {
    if (depth > 4 || (depth > 0 && chance(10))) return junk();
    json out = json::object();
    for (auto left = below(6); left > 0; --left) {
      static const char* const keys[] = {"type", "properties", "required", "items", "$ref", "$defs", "title", "anyOf", "allOf", "enum", "default", "$id",
                                         "additionalProperties", "pattern", "minimum", "description", "definitions", "$anchor", "not", "const", "x-own"};
      const std::string key = keys[below(std::size(keys))];
      out[key] = chance(8) ? junk() : value_of(key, depth);
    }
    return out;
  }

  std::string name() {
    static const char* const names[] = {"a", "id", "Problem", "$ref", "properties", "a b", "a/b", "a~1b", "100%", "\xc3\xa4", "", "type", "{x}", "\"", "default"};
    return names[below(std::size(names))];
  }

  std::string reference() {
    static const char* const all[] = {"#", "#/$defs/a", "#/properties/id", "#/$defs", "#/$defs/a b", "#/$defs/a~1b", "#/definitions/100%25", "#/items", "#/anyOf/0",
                                      "#/nowhere", "https://example.com/x", "other.json#/a", "#anchor", "#/default", "#/components/schemas/Problem", "##", "#/%"};
    return all[below(std::size(all))];
  }

  std::size_t below(std::size_t bound) { return std::uniform_int_distribution<std::size_t>{0, bound - 1}(random_); }
  bool chance(std::size_t in) { return below(in) == 0; }

 private:
  json junk() {
    switch (below(8)) {
      case 0: return nullptr;
      case 1: return 7;
      case 2: return -1.5;
      case 3: return name();
      case 4: return json::array({1, "x", nullptr});
      case 5: return json{{"$ref", reference()}};
      case 6: return json{{name(), name()}};
      default: return true;
    }
  }

  json value_of(const std::string& key, int depth) {
    if (key == "$ref") return reference();
    if (key == "type") return chance(3) ? json::array({"object", "null"}) : json("object");
    if (key == "required") return json::array({name(), name()});
    if (key == "anyOf" || key == "allOf") return json::array({schema(depth + 1), schema(depth + 1)});
    if (key == "properties" || key == "$defs" || key == "definitions") {
      json out = json::object();
      for (auto left = below(4); left > 0; --left) out[name()] = schema(depth + 1);
      return out;
    }
    if (key == "items" || key == "additionalProperties" || key == "not") return schema(depth + 1);
    if (key == "title") return chance(2) ? json("item") : json(name());
    return junk();
  }

  std::mt19937_64 random_;
};

constexpr auto all_ways = R"(
events: { topics: ['*'] }
routes:
  - { route: "GET /hostile/{a}", call: s.a }
  - { route: "POST /hostile/{b}", call: s.b }
  - { route: "PUT /hostile/{id}", call: { split: { s.a: 1, s.b: 1 }, sticky: cookie.u } }
  - route: POST /fields/{id}
    call: s.a
    fields: { a: body.a, id: path.id, default: { from: query.d, default: [1] }, type: { list: [body.a.b, header.X] }, properties: { object: { a: body } } }
  - route: PATCH /steps
    steps:
      one: { call: s.a, fields: body, fallback: { $ref: '#' } }
      two: { call: s.b, fields: { a: step.one.a, id: body.id }, optional: true, undo: { call: s.a, fields: { id: body.undo } } }
    reply: { a: step.one.a.id, b: step.two, c: { list: [step.one, step.two.id] } }
    incomplete: 200
    then:
      three: { emit: x.y, fields: step.one }
)";

}  // namespace

TEST_CASE("openapi: the document is valid whatever manifests say", "[openapi]") {
  const auto first = std::random_device{}();
  for (std::uint64_t seed = first; seed < first + 300ull; ++seed) {
    CAPTURE(seed);
    schema_maker make{seed};
    json services = json::array();
    for (const char* const service : {"s", "\xc3\xa4 \"/{}", "Problem"}) {
      json commands = json::array();
      for (const char* const command : {"a", "b", "c/d?"}) {
        json http = json::array();
        for (const char* const route : {"GET /a/{x}", "POST /a/{y}", "GET /a-b", "GET /a_b", "PUT /\xc3\xa4/[x]", "nonsense", "GET /operations/{o}", "DELETE /docs/{a}/{b}"}) {
          if (make.chance(2)) http.push_back(route);
        }
        commands.push_back({{"name", std::string{service} + '.' + command}, {"retry", "once"}, {"streams", make.chance(4)}, {"needs_key", make.chance(4)},
                            {"doc", make.name() + "\n" + make.name()}, {"http", http}, {"request", make.schema()}, {"reply", make.schema()}});
      }
      services.push_back({{"service", service}, {"version", "1"}, {"instances", json::array()}, {"commands", commands}});
    }
    router table{configured(all_ways)};
    table.update(network(services.dump()));
    const auto document = json::parse(table.openapi());
    const auto faults = faults_of(document);
    CAPTURE(services.dump());
    REQUIRE(faults == std::vector<std::string>{});
  }
}
