#include "gateway/routes/openapi_access.hpp"

#include <algorithm>

#include "gateway/routes/schema_components.hpp"

namespace waggle::gateway {
namespace {

/// Without a token that says something the route is not taken.
bool needs_claims(const route& of) {
  return std::any_of(of.what.when.begin(), of.what.when.end(), [](const auto& each) { return each.of.from == source::part::claim; });
}

}  // namespace

json_value security_schemes(const openapi_credentials& taken) {
  json_value out = json_value::object();
  if (taken.tokens) out["bearer"] = {{"type", "http"}, {"scheme", "bearer"}, {"bearerFormat", "JWT"}};
  if (!taken.api_key_header.empty()) out["api_key"] = {{"type", "apiKey"}, {"in", "header"}, {"name", taken.api_key_header}};
  return out;
}

json_value security_of(const route& of, const openapi_credentials& taken) {
  const auto schemes = security_schemes(taken);
  if (schemes.empty()) return {};
  json_value out = json_value::array();
  // Credentials are welcome where none are needed, too: what they claim goes along.
  if (of.access.is == access_rule::who::anyone && !needs_claims(of)) out.push_back(json_value::object());
  // OpenAPI 3.1 lists scopes for every kind of scheme.
  for (const auto& [name, scheme] : schemes.items()) out.push_back({{name, of.access.scopes}});
  return out;
}

void add_refusals(const route& of, bool uses_claims, json_value& responses) {
  const auto add = [&](const char* status) { responses[status] = component_reference("responses", "Problem"); };
  const bool claims = uses_claims || needs_claims(of);
  if (claims || of.access.is != access_rule::who::anyone) add("401");
  if (claims || of.access.is == access_rule::who::scoped) add("403");
  if (!of.what.rates.empty()) add("429");
  if (of.what.concurrency) add("503");
}

}  // namespace waggle::gateway
