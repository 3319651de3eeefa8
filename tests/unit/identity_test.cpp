// Who makes a request: which credentials are looked at, and what he may do.
#include <string>
#include <string_view>

#include "gateway/identity/access.hpp"
#include "gateway/identity/authenticator.hpp"
#include "support/catch.hpp"
#include "support/token_fixture.hpp"

using namespace std::chrono_literals;
using namespace waggle;
using namespace waggle::gateway;
using namespace waggle::gateway::test;

namespace {

constexpr std::string_view header = R"({"alg":"HS256"})";
std::string token(std::string_view claims) { return hs256(header, claims); }

struct fixture {
  fixture() {
    const auto texts = make_api_key({});
    api_key entry;
    entry.id = texts.id;
    entry.name = "shop";
    entry.hash = sha256(texts.secret);
    key = texts.whole();
    config.api_keys = api_keys_config{std::make_shared<const api_key_set>(std::vector{entry}), "X-Api-Key"};
    config.tokens = std::make_shared<const token_verifier>(taking(set_of(verification_key::from_secret(secret).value())));
  }
  identity_config config;
  std::string key;
};

/// Who makes a request with these headers: his `sub`, "nobody", or the status and why.
std::string who(authenticator& by, std::vector<front::header> headers, std::chrono::sys_seconds at = now, bool may_cost = true) {
  front::request in;
  in.headers = std::move(headers);
  in.query = "api_key=wgl_x&access_token=x";
  const auto found = by.find(in);
  const auto refused = [](const refused_credentials& why) { return std::to_string(why.status) + " " + std::string{why.error} + ": " + why.why; };
  if (const auto* wrong = std::get_if<refused_credentials>(&found)) return refused(*wrong);
  if (std::holds_alternative<std::monostate>(found)) return "nobody";
  const auto said = by.verify(std::get<authenticator::credentials>(found), at, may_cost);
  if (const auto* wrong = std::get_if<refused_credentials>(&said)) return refused(*wrong);
  if (std::holds_alternative<authenticator::not_verified>(said)) return "not verified";
  return std::get<identity_ptr>(said)->subject;
}

std::string scopes_of(std::string_view claims, std::vector<std::string> path = {}) {
  const auto made = make_identity(waggle::wire::json_to_msgpack(claims).value(), path).value();
  std::string out;
  for (const auto& each : made->scopes) out += (out.empty() ? "" : "|") + each;
  return out;
}

}  // namespace

TEST_CASE("identity: a token and an API key are known by their headers, and nothing else is one", "[identity]") {
  fixture of;
  authenticator by{of.config};
  const auto good = "Bearer " + token(R"({"exp":1800000100,"sub":"ada"})"), key = "bearer " + of.key;
  CHECK(who(by, {}) == "nobody");
  CHECK(who(by, {{"X-Forwarded-User", "root"}, {"claims", "{}"}, {"Waggle-Claims", "{}"}, {"X-Claims", "{}"}, {"Cookie", "token=x"}}) == "nobody");
  CHECK(who(by, {{"Authorization", good}}) == "ada");
  CHECK(who(by, {{"authorization", key}}) == "key:aaaaaaaa");
  CHECK(who(by, {{"x-api-key", of.key}}) == "key:aaaaaaaa");
  CHECK(who(by, {{"X-Api-Key", ""}}) == "401 invalid_token: the API key is malformed");
  CHECK(who(by, {{"X-Api-Key", good.substr(7)}}) == "401 invalid_token: the API key is malformed");
  CHECK(who(by, {{"Authorization", "Bearer " + of.key + "a"}}) == "401 invalid_token: the API key is malformed");
  CHECK(who(by, {{"Authorization", "Bearer x"}}) == "401 invalid_token: the token is not accepted: the token is not three parts with dots between them");
  CHECK(who(by, {{"Authorization", "Basic YTpi"}}) == "401 : Authorization is to be Bearer and a token");
  CHECK(who(by, {{"Authorization", "Bearer"}}) == "401 : Authorization is to be Bearer and a token");
  CHECK(who(by, {{"Authorization", "Bearer  "}}).starts_with("401 invalid_token"));
  CHECK(who(by, {{"Authorization", ""}}).starts_with("401"));
}

TEST_CASE("identity: credentials that come more than once are refused, whatever they are", "[identity]") {
  fixture of;
  authenticator by{of.config};
  const auto good = "Bearer " + token(R"({"exp":1800000100,"sub":"ada"})");
  const std::string twice = "400 invalid_request: credentials came more than once: send one Authorization, or one X-Api-Key";
  CHECK(who(by, {{"Authorization", good}, {"authorization", good}}) == twice);
  CHECK(who(by, {{"Authorization", good}, {"X-Api-Key", of.key}}) == twice);
  CHECK(who(by, {{"X-Api-Key", of.key}, {"x-api-key", of.key}}) == twice);
}

TEST_CASE("identity: only what is configured is looked at", "[identity]") {
  fixture of;
  auto without_keys = of.config, without_tokens = of.config;
  without_keys.api_keys.reset();
  without_tokens.tokens.reset();
  authenticator tokens{without_keys}, keys{without_tokens};
  const auto good = "Bearer " + token(R"({"exp":1800000100,"sub":"ada"})");
  CHECK(who(tokens, {{"X-Api-Key", of.key}}) == "nobody");
  CHECK(who(tokens, {{"X-Api-Key", of.key}, {"Authorization", good}}) == "ada");
  CHECK(who(tokens, {{"Authorization", "Bearer " + of.key}}).starts_with("401 invalid_token"));
  CHECK(who(keys, {{"Authorization", good}}) == "401 invalid_token: the API key is malformed");
  CHECK(who(keys, {{"Authorization", "Bearer " + of.key}}) == "key:aaaaaaaa");
  CHECK((tokens.knows_any() && keys.knows_any() && !authenticator{}.knows_any()));
}

TEST_CASE("identity: a token that is known is not verified again, and ends when it ends", "[identity]") {
  fixture of;
  authenticator by{of.config};
  const auto good = "Bearer " + token(R"({"exp":1800000100,"sub":"ada"})");
  CHECK(who(by, {{"Authorization", good}}, now, false) == "not verified");
  CHECK(who(by, {{"X-Api-Key", of.key}}, now, false) == "key:aaaaaaaa");
  CHECK(who(by, {{"Authorization", good}}) == "ada");
  CHECK(who(by, {{"Authorization", good}}, now, false) == "ada");
  CHECK(who(by, {{"Authorization", good}}, now + 159s, false) == "ada");
  CHECK(who(by, {{"Authorization", good}}, now + 160s, false) == "401 invalid_token: the token is not accepted: the token has expired");
  // It is the whole token that is known: another signature under the same claims is not.
  auto forged = good;
  forged.replace(forged.size() - 2, 2, forged.ends_with("A") ? "QQ" : "AA");
  CHECK(who(by, {{"Authorization", forged}}, now, false) == "not verified");
  CHECK(who(by, {{"Authorization", forged}}).starts_with("401 invalid_token"));
  // Many others: those that nobody asks for are forgotten, in bounded memory.
  for (std::size_t i = 0; i < tokens_remembered_max; ++i) REQUIRE(who(by, {{"Authorization", "Bearer " + token(R"({"exp":1800000100,"n":)" + std::to_string(i) + "}")}}).empty());
  CHECK(who(by, {{"Authorization", good}}, now, false) == "not verified");
}

TEST_CASE("identity: scopes are those of scope, else of scp, or of the claim that is configured", "[identity]") {
  CHECK(scopes_of(R"({"scope":"b a  a"})") == "a|b");
  CHECK(scopes_of(R"({"scope":["b","a",7]})") == "a|b");
  CHECK(scopes_of(R"({"scp":["b","a"]})") == "a|b");
  CHECK(scopes_of(R"({"scp":"a b"})") == "a|b");
  CHECK(scopes_of(R"({"scope":"","scp":"root"})").empty());
  CHECK(scopes_of(R"({"scope":{"a":1}})").empty());
  CHECK(scopes_of(R"({"realm":{"roles":["x"]},"scope":"a"})", {"realm", "roles"}) == "x");
  CHECK(scopes_of(R"({"realm":"x","scope":"a"})", {"realm", "roles"}).empty());
}

TEST_CASE("identity: claims that could not go along with calls are refused, not left away", "[identity]") {
  const auto sized = [](std::size_t bytes) { return R"({"x":")" + std::string(bytes - 8, 'x') + "\"}"; };
  CHECK(make_identity(waggle::wire::json_to_msgpack(sized(claims_bytes_max)).value()));
  CHECK(make_identity(waggle::wire::json_to_msgpack(sized(claims_bytes_max + 1)).value()).error() == "its claims are larger than 6 KiB, which cannot go along with calls");
}

TEST_CASE("access: anyone, who is known, and who has all the scopes", "[identity]") {
  identity ada;
  ada.scopes = {"a", "b"};
  const access_rule anyone, known{access_rule::who::known, {}}, both{access_rule::who::scoped, {"a", "b"}}, more{access_rule::who::scoped, {"a", "c"}};
  CHECK(admit(anyone, nullptr) == admission::admitted);
  CHECK(admit(known, nullptr) == admission::unknown);
  CHECK(admit(known, &ada) == admission::admitted);
  CHECK(admit(both, nullptr) == admission::unknown);
  CHECK(admit(both, &ada) == admission::admitted);
  CHECK(admit(more, &ada) == admission::lacking);
  CHECK(bearer_challenge() == "Bearer realm=\"waggle\"");
  CHECK(bearer_challenge("insufficient_scope", "", both.scope()) == "Bearer realm=\"waggle\", error=\"insufficient_scope\", scope=\"a b\"");
}
