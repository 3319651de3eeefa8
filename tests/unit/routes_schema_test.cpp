// The JSON Schema that editors get knows the words that the reader knows, and takes what the reader takes.
#include "gateway/routes/config.hpp"
#include "gateway/routes/config_keys.hpp"
#include "gateway/routes/yaml_value.hpp"
#include "support/catch.hpp"

#include <cstring>
#include <memory>
#include <set>
#include <string>

#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include <waggle/wire/json.hpp>

using namespace waggle::gateway;
using nlohmann::json;

namespace {

const json& schema() {
  static const json all = json::parse(config_schema());
  return all;
}

std::set<std::string> keys_of(const json& object) {
  std::set<std::string> out;
  for (const auto& [key, value] : object.at("properties").items()) out.insert(key);
  return out;
}

template <class List>
std::set<std::string> texts(const List& from) {
  return {from.begin(), from.end()};
}

/// What the schema has against a file; empty if nothing.
std::string against(const std::string& yaml) {
  const auto document = json::parse(waggle::wire::msgpack_to_json(msgpack_of(YAML::Load(yaml)).value()));
  static const auto compiled = [] {
    auto made = std::make_unique<valijson::Schema>();
    valijson::SchemaParser{}.populateSchema(valijson::adapters::NlohmannJsonAdapter{schema()}, *made);
    return made;
  }();
  valijson::Validator validator{valijson::Validator::kStrongTypes};
  valijson::ValidationResults wrong;
  const valijson::adapters::NlohmannJsonAdapter target{document};
  if (validator.validate(*compiled, target, &wrong)) return "";
  std::string out;
  for (valijson::ValidationResults::Error each; wrong.popError(each);) {
    for (const auto& part : each.context) out += part;
    out += ": " + each.description + "\n";
  }
  return out;
}

bool is_read(const std::string& yaml) {
  const config_file file{"r.yaml", yaml};
  return parse_config({&file, 1}, [](const std::string&) { return std::string(32, 'k'); }).has_value();
}

}  // namespace

TEST_CASE("schema: it has every key that the reader knows, and no other", "[routes]") {
  const auto& of = schema().at("definitions");
  CHECK(keys_of(schema()) == texts(keys::file));
  CHECK(keys_of(of.at("tls")) == texts(keys::tls));
  CHECK(keys_of(of.at("certificate")) == texts(keys::certificate));
  CHECK(of.at("tls").at("properties").at("client_certificates").at("enum").get<std::set<std::string>>() == texts(keys::client_certificates));
  CHECK(keys_of(of.at("tokens")) == texts(keys::tokens));
  CHECK(keys_of(of.at("events")) == texts(keys::events));
  CHECK(keys_of(of.at("api_keys")) == texts(keys::api_keys));
  CHECK(keys_of(of.at("access")) == texts(keys::access));
  CHECK(keys_of(of.at("cache")) == texts(keys::cache));
  CHECK(keys_of(of.at("idempotency")) == texts(keys::idempotency));
  CHECK(keys_of(of.at("proxies").at("anyOf").at(1)) == texts(keys::proxies));
  CHECK(keys_of(of.at("cors")) == texts(keys::cors));
  CHECK(keys_of(of.at("rate")) == texts(keys::rate));
  CHECK(keys_of(of.at("breaker")) == texts(keys::breaker));
  CHECK(keys_of(of.at("retries")) == texts(keys::retries));
  CHECK(keys_of(of.at("route")) == texts(keys::route));
  CHECK(keys_of(of.at("route").at("properties").at("cache")) == texts(keys::route_cache));
  CHECK(keys_of(of.at("step")) == texts(keys::step));
  CHECK(keys_of(of.at("then_step")) == texts(keys::then_step));
  CHECK(keys_of(of.at("undo")) == texts(keys::undo));
  CHECK(keys_of(of.at("value")) == texts(keys::value));
  CHECK(keys_of(of.at("versions")) == texts(keys::versions));
  CHECK(keys_of(of.at("split")) == texts(keys::split));
  CHECK(keys_of(of.at("mirror").at("anyOf").at(1)) == texts(keys::mirror));
  std::set<std::string> limits;
  for (const auto& each : keys::limits) limits.emplace(each.name);
  CHECK(keys_of(of.at("limits")) == limits);
  CHECK(of.at("value").at("properties").at("type").at("enum").get<std::set<std::string>>() == texts(keys::types));
  CHECK(of.at("route").at("properties").at("stream").at("enum").get<std::set<std::string>>() == texts(keys::streams));
  CHECK(of.at("route").at("properties").at("idempotency").at("enum").get<std::set<std::string>>() == texts(keys::key_uses));
  CHECK(of.at("proxies").at("anyOf").at(1).at("properties").at("header").at("enum").get<std::set<std::string>>() == texts(keys::proxy_headers));
  CHECK(of.at("tokens").at("properties").at("algorithm").at("enum").get<std::set<std::string>>() == texts(keys::algorithms));
}

TEST_CASE("schema: every bound of the front can be set, and each within what it is by default", "[routes]") {
  // All members are of eight bytes: one that is added and not among the words shows here.
  STATIC_REQUIRE(sizeof(waggle::front::limits) == 8 * keys::limits.size());
  for (const auto& each : keys::limits) {
    CAPTURE(each.name);
    waggle::front::limits changed;
    each.set(changed, each.most);
    CHECK(std::memcmp(&changed, std::make_unique<waggle::front::limits>().get(), sizeof changed) != 0);
    CHECK(each.least < each.most);
  }
}

TEST_CASE("schema: what the reader takes it takes", "[routes]") {
  for (const std::string yaml : {
           "routes: []",
           "routes: [{route: GET /a, call: x}]",
           "limits: {body_bytes: 1MiB, fields: 10, idle_time: 75s, header_bytes: 20000}",
           "tokens: {algorithm: HS256, key: env.KEY, issuer: https://x, audience: shop}",
           "tokens: [{algorithm: HS256, key: env.KEY, issuer: https://x}, {algorithm: HS256, key: env.KEY, issuer: https://y, leeway: 2m, scopes: claim.realm.roles}]",
           "{access: known, tokens: {algorithm: HS256, key: env.KEY}}",
           "{access: {routes: known, operations: [a, 'b:c'], documents: anyone, metrics: [ops]}, tokens: {algorithm: HS256, key: env.KEY}, events: {topics: ['*'], "
           "access: [feed]}, routes: [{route: GET /a, call: x, access: anyone}, {route: GET /b, call: x, access: [orders:read]}]}",
           "tls: {minimum: 1.3, client_certificates: none, redirect: true}",
           "events: {topics: ['order.*', '*', a.b], streams_max: 10, keep_alive: 250ms}",
           "routes: [{route: POST /a, emit: order.placed, key: body.id, status: 202}]",
           "routes: [{route: POST /a, call: x, fields: body}]",
           "routes: [{route: POST /a, call: x, fields: {jq: '.body | {a}'}}]",
           "routes: [{route: POST /a, call: x, fields: {jq: query.jq}}]",
           "routes: [{route: POST /a, call: x, fields: {a: query.a, b: {from: query.b, default: [1], type: list}, c: {value: null}, d: {object: "
           "{e: header.E}}, f: {list: [query.g, {value: 1}]}, h: {jq: .body.x}}}]",
           "routes: [{route: GET /a, call: {by: header.V, is: {'1': a, '2': b}, default: b}, when: {header.X: [2, x], query.b: ~, cookie.c: "
           "present}}]",
           "routes: [{route: GET /a, call: {split: {a: 90, b: 10}, sticky: cookie.s}, mirror: {call: c, percent: 5}, stream: sse}]",
           "routes: [{route: POST /a, call: a, later: true, key: body.id, budget: 1h}]",
           "compress: false",
           "cache: {bytes: 16MiB}",
           "idempotency: {keep: 1h, entries: 1000, bytes: 64MiB}",
           "routes: [{route: GET /a, call: a, compress: false, cache_control: 'private, max-age=60', cache: {for: 30s, stale: 10s, shared: true}}]",
           "tokens: {algorithm: HS256, key: env.KEY}\nroutes: [{route: GET /a, call: a, cache: {for: 30s, by: [claim.sub, claim.tenant]}}]",
           "routes: [{route: POST /a, call: a, idempotency: required}]",
           "routes: [{route: GET /a, call: a, mirror: b, deprecated: 2026-01-01, sunset: 2027-01-01, link: https://x/y, budget: 2s}]",
           "routes: [{route: POST /a, steps: {a: {call: x, optional: true}, b: {emit: y, after: a}, c: {call: z, fallback: {n: 1}, after: [a, b], "
           "undo: {call: u, fields: {id: step.c.id}, budget: 1s}}}, reply: {a: step.a}, incomplete: 206, headers: {Location: "
           "'/a/{step.c.id}'}, then: {d: {emit: z, fields: step.c}}}]",
       }) {
    CAPTURE(yaml);
    CHECK(is_read(yaml));
    CHECK(against(yaml) == "");
  }
}

TEST_CASE("schema: what can be seen to be wrong without knowing the route it refuses, as the reader does", "[routes]") {
  for (const std::string yaml : {
           "route: []",
           "routes: {}",
           "routes: [{call: x}]",
           "routes: [{route: GET /a}]",
           "routes: [{route: GET a, call: x}]",
           "routes: [{route: GET /a, call: x, emit: y}]",
           "routes: [{route: GET /a, call: x, calls: y}]",
           "routes: [{route: GET /a, call: x, budget: 2}]",
           "routes: [{route: GET /a, call: x, status: 300}]",
           "routes: [{route: GET /a, call: x, stream: xml}]",
           "routes: [{route: GET /a, call: x, later: soon}]",
           "routes: [{route: GET /a, call: x, when: {path.a: 1}}]",
           "routes: [{route: GET /a, call: x, fields: {a: nothing}}]",
           "routes: [{route: GET /a, call: x, fields: {a.b: query.x}}]",
           "routes: [{route: GET /a, call: x, fields: {a: {value: 1, default: 2}}}]",
           "routes: [{route: GET /a, call: x, fields: {a: {from: query.x, value: 2}}}]",
           "routes: [{route: GET /a, call: x, fields: {a: {from: query.x, type: int}}}]",
           "routes: [{route: GET /a, call: {by: query.x}}]",
           "routes: [{route: GET /a, call: {split: {a: -1}}}]",
           "routes: [{route: GET /a, call: x, mirror: {call: y, percent: 101}}]",
           "routes: [{route: GET /a, call: x, sunset: tomorrow}]",
           "routes: [{route: POST /a, steps: {a: {call: x}}}]",
           "routes: [{route: POST /a, steps: {a: {call: x, optional: true, fallback: 1}}, reply: step.a}]",
           "routes: [{route: POST /a, call: x, then: {a: {call: x, optional: true}}}]",
           "routes: [{route: GET /a, call: x, compress: perhaps}]",
           "routes: [{route: GET /a, call: x, cache: {}}]",
           "routes: [{route: GET /a, call: x, cache: {for: 30}}]",
           "routes: [{route: GET /a, call: x, cache: {for: 30s, by: header.X}}]",
           "routes: [{route: POST /a, call: x, idempotency: true}]",
           "cache: {size: 1MiB}",
           "idempotency: {keep: 2}",
           "limits: {body_bytes: much}",
           "limits: {body: 1MiB}",
           "tokens: {algorithm: none, key: env.KEY}",
           "tokens: {algorithm: HS256, key: secret}",
           "tls: {minimum: 1.1}",
           "tls: {client_certificates: always}",
           "tls: {certificates: [{certificate: a.pem}]}",
           "events: {}",
           "events: {topics: order.*}",
           "events: {topics: []}",
           "events: {topics: ['*.placed']}",
           "events: {topics: ['*'], keep_alive: 15}",
           "events: {topics: ['*'], streams: 15}",
       }) {
    CAPTURE(yaml);
    CHECK_FALSE(is_read(yaml));
    CHECK(against(yaml) != "");
  }
}
