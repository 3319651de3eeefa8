#include "support/catch.hpp"
#include "support/openapi_fixture.hpp"
#include "support/routes_fixture.hpp"

#include <set>
#include <string>

using namespace waggle::gateway;
using namespace waggle::gateway::test;

namespace {

constexpr auto shop = R"([
  {"service":"shop","version":"1","instances":[],"commands":[
    {"name":"shop.get","retry":"safe","doc":"Finds one thing.","streams":true,"http":["GET /things/{id}","POST /find"],
     "request":{"type":"object","required":["id","size"],"properties":{"id":{"type":"integer"},"size":{"$ref":"#/$defs/size"},
       "tags":{"type":"array","items":{"type":"string"}},"nested":{"type":"object"}},"$defs":{"size":{"enum":["s","l"]}}},
     "reply":{"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"https://example.com/thing","type":"object","properties":
       {"parent":{"$ref":"#"},"default":{"$ref":"#/properties/parent"},"other":{"default":{"$ref":"#"}}}}},
    {"name":"shop.put","retry":"idempotent","http":["PUT /things/{thing}"],
     "request":{"type":"object","required":["thing","name"],"properties":{"thing":{"type":"integer"},"name":{"$ref":"#/$defs/n"}},"$defs":{"n":{"type":"string"}}}},
    {"name":"shop.drop","http":["DELETE /things/{id}"]}]}])";

json document_of(const router& of) { return json::parse(of.openapi()); }

}  // namespace

TEST_CASE("openapi: a gateway without routes still has a valid document", "[openapi]") {
  const auto document = document_of(router{{}, {.title = "The \"shop\"", .version = "3"}});
  CHECK(document.at("openapi") == "3.1.0");
  CHECK(document.at("info") == json::parse(R"({"title":"The \"shop\"","version":"3"})"));
  CHECK(document.at("paths") == json::object());
  CHECK(document.at("components") == json::object());
}

TEST_CASE("openapi: a route of a manifest shows its parameters, schemas and documentation", "[openapi]") {
  router table;
  table.update(network(shop));
  const auto document = document_of(table);
  const auto& get = document.at("paths").at("/things/{id}").at("get");
  CHECK(get.at("tags") == json::parse(R"(["shop"])"));
  CHECK(get.at("summary") == "Finds one thing.");
  CHECK(get.at("description") == "The answer holds what the command sent before its reply, in order, and the reply.");
  CHECK(get.at("operationId") == "shop.get");
  CHECK(get.at("parameters") == json::parse(R"([
    {"name":"id","in":"path","required":true,"schema":{"type":"integer"}},
    {"name":"size","in":"query","required":true,"schema":{"$ref":"#/components/schemas/shop.get.request/$defs/size"}},
    {"name":"tags","in":"query","schema":{"type":"array","items":{"type":"string"}}}])"));
  CHECK_FALSE(get.contains("requestBody"));
  const auto reply =
      json::parse(R"({"type":"object","required":["parts","reply"],"properties":{"parts":{"type":"array"},
    "reply":{"$ref":"#/components/schemas/shop.get.reply"}}})");
  CHECK(get.at("responses").at("200").at("content") ==
        json{{"application/json", {{"schema", reply}}}, {"application/vnd.msgpack", {{"schema", reply}}},
             {"text/event-stream", {{"schema", {{"type", "string"}}}}}, {"application/x-ndjson", {{"schema", {{"type", "string"}}}}}});
  CHECK(get.at("responses").at("default") == json::parse(R"({"$ref":"#/components/responses/Problem"})"));
  CHECK(document.at("components").at("schemas").at("shop.get.reply") == json::parse(R"({"type":"object","properties":{
    "parent":{"$ref":"#/components/schemas/shop.get.reply"},
    "default":{"$ref":"#/components/schemas/shop.get.reply/properties/parent"},
    "other":{"default":{"$ref":"#"}}}})"));

  const auto& find = document.at("paths").at("/find").at("post");
  CHECK(find.at("operationId") == "post_find");
  CHECK(find.at("requestBody").at("required") == true);
  CHECK(find.at("requestBody").at("content").at("application/json").at("schema") ==
        json::parse(R"({"$ref":"#/components/schemas/shop.get.request"})"));
}

TEST_CASE("openapi: paths that differ in names of parameters only are one path, with one set of names", "[openapi]") {
  router table;
  table.update(network(shop));
  const auto document = document_of(table);
  CHECK(document.at("paths").size() == 3);  // and that of operations
  const auto& item = document.at("paths").at("/things/{id}");
  const auto& put = item.at("put");
  CHECK(put.at("parameters") ==
        json::parse(R"([{"name":"id","in":"path","required":true,"schema":{"type":"integer"}},{"$ref":"#/components/parameters/Prefer"},
        {"$ref":"#/components/parameters/Idempotency-Key"}])"));
  CHECK(
      put.at("requestBody").at("content").at("application/vnd.msgpack").at("schema") ==
      json::parse(
          R"({"type":"object","required":["name"],"properties":{"name":{"$ref":"#/components/schemas/shop.put.request/$defs/n"}}})"));
  const auto& drop = item.at("delete");
  CHECK(drop.at("parameters") ==
        json::parse(R"([{"name":"id","in":"path","required":true,"schema":{"type":"string"}},{"$ref":"#/components/parameters/Prefer"},
        {"$ref":"#/components/parameters/Idempotency-Key"}])"));
  CHECK(drop.at("responses").at("200").at("content").at("application/json").at("schema") == json::object());
}

TEST_CASE("openapi: a configured route shows where its fields come from", "[openapi]") {
  router table{configured(R"(
routes:
  - route: POST /hi/{who}/{unused}
    call: shop.get
    summary: Says hi.
    fields:
      id: path.who
      tags: query.tag
      size: header.X-Size
      nested: body.a.nested
      other: { from: body.a.other, default: 1 }
      more: { from: query.more, default: x }
      fixed: { value: 1 }
  - { route: POST /whole, call: shop.get, fields: { nested: body } }
  - { route: POST /body, call: shop.put, fields: body }
  - { route: GET /none, call: nobody.serves }
)")};
  table.update(network(shop));
  const auto document = document_of(table);
  const auto& hi = document.at("paths").at("/hi/{who}/{unused}").at("post");
  CHECK(hi.at("summary") == "Says hi.");
  CHECK(hi.at("parameters") == json::parse(R"([
    {"name":"who","in":"path","required":true,"schema":{"type":"integer"}},
    {"name":"unused","in":"path","required":true,"schema":{"type":"string"}},
    {"name":"tag","in":"query","schema":{"type":"array","items":{"type":"string"}}},
    {"name":"X-Size","in":"header","required":true,"schema":{"$ref":"#/components/schemas/shop.get.request/$defs/size"}},
    {"name":"more","in":"query","schema":{"type":"string","default":"x"}}])"));
  CHECK(hi.at("requestBody") == json::parse(R"({"required":false,"content":{
    "application/json":{"schema":{"type":"object","properties":{"a":{"type":"object","properties":{"nested":{"type":"object"},"other":{"default":1}}}}}},
    "application/vnd.msgpack":{"schema":{"type":"object","properties":{"a":{"type":"object","properties":{"nested":{"type":"object"},"other":{"default":1}}}}}}}})"));
  const auto schema = [&](const char* path) {
    return document.at("paths").at(path).at("post").at("requestBody").at("content").at("application/json").at("schema");
  };
  CHECK(schema("/whole") == json::parse(R"({"type":"object"})"));
  CHECK(schema("/body") == json::parse(R"({"$ref":"#/components/schemas/shop.put.request"})"));
  const auto& none = document.at("paths").at("/none").at("get");
  CHECK(none.at("tags") == json::parse(R"(["nobody"])"));
  CHECK_FALSE(none.contains("parameters"));
}

TEST_CASE("openapi: every reference leads somewhere and every operation has its own name", "[openapi]") {
  router table{configured("routes: [{route: GET /x, call: 'a/b?'}]")};
  table.update(network(shop));
  const auto document = document_of(table);
  CHECK(faults_of(document).empty());
  std::set<std::string> operations;
  for (const auto& [path, item] : document.at("paths").items()) {
    for (const auto& [method, operation] : item.items()) operations.insert(operation.at("operationId").get<std::string>());
  }
  CHECK(operations == std::set<std::string>{"shop.get", "post_find", "shop.put", "shop.drop", "get_x", "waggle.operation"});
}

TEST_CASE("openapi: schemas of any shape leave the document whole", "[openapi]") {
  for (const auto schema : {R"({"properties":[1]})", R"({"properties":{"a":1,"b":true,"c":null},"required":{"a":1}})",
                            R"({"required":[1,null,"x"]})",
                            R"({"$ref":5,"$defs":[{"$ref":"#"}],"properties":{"x":{"$ref":"#/properties/x"}}})",
                            R"({"type":["object",7]})", "{}"}) {
    CAPTURE(schema);
    router table{
        configured("routes:\n  - route: POST /m/{b}\n    call: shop.do\n    fields: {a: body.a, c: body.c.d, x: "
                   "query.x, b: path.b, d: body.a.b.c, e: body.c}\n")};
    table.update(one_command(R"(["GET /a/{a}","POST /b/{b}","PUT /c"])", schema));
    CHECK(document_of(table).at("paths").size() == 5);
    CHECK(faults_of(document_of(table)).empty());
    CHECK(plan(table, {"GET", "/a/1?b=2&c=3&x=4", "", {}}).call);
  }
}

TEST_CASE("openapi: the document follows the network", "[openapi]") {
  router table;
  CHECK(document_of(table).at("paths").empty());
  table.update(network(shop));
  const auto with = table.openapi();
  CHECK(json::parse(with).at("paths").size() == 3);
  table.update(network(shop));
  CHECK(table.openapi() == with);
  table.update(network_view{});
  CHECK(document_of(table).at("paths").empty());
}
