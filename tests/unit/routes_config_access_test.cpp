// Whose credentials count and whom what is for, as it is configured.
#include "support/config_fixture.hpp"
#include "support/key_folder.hpp"
#include "support/token_fixture.hpp"

using namespace std::literals;
using namespace waggle::gateway;
using namespace waggle::gateway::test;

namespace {

const std::string tokens = "tokens: {algorithm: HS256, key: env.SECRET}\n";
const std::string nobody = ": this is for nobody, for nothing says whose credentials count; write tokens: {algorithm: HS256, key: env.WAGGLE_JWT_KEY}, or api_keys: {file: api-keys.jsonl}";

config read(std::string text, const std::string& name = "r.yaml") {
  const config_file file{name, std::move(text)};
  return parse_config({&file, 1}, environment).value();
}

}  // namespace

TEST_CASE("config: access is for anyone, for who is known, or for scopes", "[routes]") {
  const auto out = read(tokens + R"(access: { routes: known, operations: [a, b], metrics: anyone }
events: { topics: ['*'], access: [feed] }
routes:
  - { route: GET /a, call: x }
  - { route: GET /b, call: x, access: anyone }
  - { route: GET /c, call: x, access: ['orders:read'] }
)");
  CHECK((out.access.routes.written() == "known" && out.access.operations.written() == "[a, b]" && out.access.documents.written() == "known" && out.access.metrics.written() == "anyone"));
  CHECK(out.events->access->written() == "[feed]");
  CHECK(!out.routes[0].access);
  CHECK((out.routes[1].access->written() == "anyone" && out.routes[2].access->written() == "[orders:read]"));
  CHECK(read(tokens + "access: [ops]\n").access.metrics.written() == "[ops]");
  CHECK(read("routes: []").access.routes.written() == "anyone");
}

TEST_CASE("config: access that nobody could have, or that is none, is an error", "[routes]") {
  const std::string wrong = " is for nobody; write anyone, known, or a list of scopes, as in [orders:read]";
  check({
      {"access: known\n", "r.yaml:1" + nobody},
      {"access: {documents: [x]}\n", "r.yaml:1" + nobody},
      {get + "    access: [x]\n", "r.yaml:4" + nobody},
      {"events: {topics: ['*'], access: known}\n", "r.yaml:1" + nobody},
      {"access: anyone\n" + get + "    access: anyone\n", "accepted"},
      {tokens + "access: nobody\n", "r.yaml:2: access" + wrong},
      {tokens + "access: []\n", "r.yaml:2: access" + wrong},
      {tokens + "access: {routes: [known], metrics: no}\n", "r.yaml:2: metrics" + wrong},
      {tokens + "access: {route: known}\n", "r.yaml:2: the key \"route\" is not known; did you mean \"routes\"?"},
      {tokens + get + "    access: {}\n", "r.yaml:5: the route" + wrong},
      {tokens + get + "    access: [a b]\n", "r.yaml:5: \"a b\" is no scope; write up to 128 visible characters, as in orders:read"},
      {tokens + get + "    access: [a, a]\n", "r.yaml:5: \"a\" stands here twice; remove one"},
      {tokens + get + "    access: [" + repeated("a, ", 17) + "]\n", "r.yaml:5: the route needs more than 16 scopes; write fewer"},
      {"access: anyone\naccess: anyone\n", "r.yaml:2: the key \"access\" stands here twice; remove one"},
  });
}

TEST_CASE("config: tokens may have several issuers, each with its keys, leeway and claim of scopes", "[routes]") {
  check({
      {"tokens: [{algorithm: HS256, key: env.SECRET, issuer: a}, {algorithm: HS256, key: env.SECRET, issuer: b, leeway: 5m, scopes: claim.realm.roles}]\n", "accepted"},
      {"tokens: [{algorithm: HS256, key: env.SECRET, issuer: a}, {algorithm: HS256, key: env.SECRET, issuer: a}]\n",
       "r.yaml:1: the issuer \"a\" stands here twice; write one, with all its keys under keys"},
      {"tokens: [x]\n", "r.yaml:1: an issuer of tokens is no map; write tokens: {algorithm: HS256, key: env.WAGGLE_JWT_KEY}"},
      {"tokens: {algorithm: HS256, key: env.SECRET, leeway: 301s}\n", "r.yaml:1: \"301s\" is no leeway; write seconds or minutes up to 5m, as in 30s"},
      {"tokens: {algorithm: HS256, key: env.SECRET, leeway: 1500ms}\n", "r.yaml:1: \"1500ms\" is no leeway; write seconds or minutes up to 5m, as in 30s"},
      {"tokens: {algorithm: HS256, key: env.SECRET, scopes: permissions}\n", "r.yaml:1: \"permissions\" is no claim; write the one that lists scopes, as in claim.permissions"},
      {"tokens: {keys: env.SECRET, algorithm: HS256}\n", "r.yaml:1: keys have their algorithms with them; remove algorithm, or keys\nr.yaml:1: the keys of env.SECRET cannot be used: not acceptable JSON at line 1, column 1: unexpected text; write a JWK Set, as in {\"keys\":[{\"kty\":\"EC\",...}]}"},
      {"tokens: {keys: file.none.json}\n", "r.yaml:1: the file \"none.json\" cannot be read; write the path of one that can"},
  });
}

TEST_CASE("config: keys come from a file beside the routes, which is to be watched, and what is left out of them is said", "[routes]") {
  const key_folder folder;
  const auto ec = key_pair::ec();
  folder.write("keys.json", R"({"keys":[{)" + ec.jwk() + R"(,"kid":"e"},{"kty":"AKP"}]})");
  const auto out = read("tokens: { keys: file.keys.json, scopes: claim.realm.roles, leeway: 0s }\n", (folder.path / "r.yaml").string());
  REQUIRE(out.identity.tokens);
  const auto verified = out.identity.tokens->verify(ec.sign(R"({"alg":"ES256","kid":"e"})", R"({"exp":1800000001})"), now);
  REQUIRE(verified);
  CHECK(verified->by->scopes_claim == std::vector{"realm"s, "roles"s});
  CHECK(verified->ends == now + 1s);
  CHECK(out.files == std::vector{(folder.path / "keys.json").string()});
  CHECK(out.warnings == std::vector{(folder.path / "r.yaml").string() + ":1: of the keys of file.keys.json key 2 is left out: no token is verified with \"AKP \""});
}

TEST_CASE("config: API keys stand in a file that has to be one, and come in a header of their own", "[routes]") {
  const key_folder folder;
  const std::string line = R"({"id":"abcdefgh","name":"shop","hash":")" + std::string(64, '0') + R"(","scopes":[],"created":"2026-01-01T00:00:00Z"})";
  folder.write("keys.jsonl", "# keys\n" + line + "\n");
  const auto name = (folder.path / "r.yaml").string();
  const auto out = read("api_keys: { file: keys.jsonl, header: X-Shop-Key }\naccess: known\n" + get + "    fields: {by: claim.name}\n", name);
  REQUIRE(out.identity.api_keys);
  CHECK(out.identity.api_keys->header == "X-Shop-Key");
  CHECK(out.files == std::vector{(folder.path / "keys.jsonl").string()});
  CHECK(read("api_keys: { file: keys.jsonl }\n", name).identity.api_keys->header == "X-Api-Key");
  check({
      {"api_keys: {file: none.jsonl}\n", "r.yaml:1: there is no file \"none.jsonl\"; make it, as with waggle keys new NAME --file none.jsonl"},
      {"api_keys: {}\n", "r.yaml:1: api_keys have no file; write api_keys: {file: api-keys.jsonl}"},
      {"api_keys: x\n", "r.yaml:1: api_keys is no map; write api_keys: {file: api-keys.jsonl}"},
  });
  for (const char* each : {"Authorization", "cookie", "X Key", "Host"}) {
    const config_file file{name, "api_keys: { file: keys.jsonl, header: " + std::string{each} + " }\n"};
    CHECK(parse_config({&file, 1}, environment).error().at(0) == name + ":1: \"" + each + "\" is no header for API keys; write one of their own, as in X-Api-Key");
  }
  folder.write("keys.jsonl", line + "\n" + line + "\n{\n");
  const config_file file{name, "api_keys: { file: keys.jsonl }\n"};
  const auto wrong = parse_config({&file, 1}, environment).error().at(0);
  CHECK(wrong.starts_with((folder.path / "keys.jsonl").string() + ":2: the id \"abcdefgh\" stands here twice; remove one\n" + (folder.path / "keys.jsonl").string() + ":3: this is not JSON"));
}
