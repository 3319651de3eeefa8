// What a handler knows of who made its request.
#include <waggle/claims.hpp>

#include "support/catch.hpp"

using namespace waggle;

namespace {

struct tenant_claims {
  std::string sub;
  std::optional<std::string> tenant;
};
WAGGLE_FIELDS(tenant_claims, sub, tenant)

struct no_host final : detail::context_host {
  client& caller() override { throw std::logic_error{"not called"}; }
  bool send_part(void*, std::string, const std::stop_token&) override { return false; }
};

caller_claims of(std::string json) {
  no_host host;
  header_map headers;
  if (!json.empty()) headers["claims"] = std::move(json);
  const context with{host, nullptr, "x", headers, {}, {}};
  return with.claims();
}

}  // namespace

TEST_CASE("claims: a handler reads who made the request, what he may do, and claims of its own", "[claims]") {
  const auto ada = of(R"({"sub":"ada","scope":"orders:read orders:write","tenant":"acme","n":7})");
  CHECK(ada.known());
  CHECK((ada.subject() == "ada" && ada.text("tenant") == "acme" && ada.text("n").empty() && ada.text("x").empty()));
  CHECK((ada.has_scope("orders:read") && ada.has_scope("orders:write")));
  CHECK_FALSE((ada.has_scope("orders") || ada.has_scope("") || ada.has_scope("orders:read orders:write") || ada.has_scope("rders:read")));
  CHECK(ada.as<tenant_claims>().value().tenant == "acme");
  CHECK((of(R"({"scp":["a","b"]})").has_scope("b") && !of(R"({"scp":["a",7,null]})").has_scope("") && !of(R"({"scope":"","scp":["a"]})").has_scope("a")));
}

TEST_CASE("claims: without a header, or with one that is no object, nobody is known", "[claims]") {
  for (const char* each : {"", "{", "[]", "null", "\"ada\"", R"({"sub":"a","sub":"b"})"}) {
    const auto nobody = of(each);
    CAPTURE(each);
    CHECK_FALSE(nobody.known());
    CHECK((nobody.subject().empty() && !nobody.has_scope("a")));
    CHECK_FALSE(nobody.as<tenant_claims>());
  }
}
