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

json_value security_schemes(bool tokens) {
  json_value out = json_value::object();
  if (tokens) out["bearer"] = {{"type", "http"}, {"scheme", "bearer"}, {"bearerFormat", "JWT"}};
  return out;
}

json_value security_of(const route& of, bool, bool tokens) {
  if (!tokens) return {};
  const json_value bearer = {{"bearer", json_value::array()}};
  json_value out = json_value::array();
  if (!needs_claims(of)) out.push_back(json_value::object());  // a token is welcome: what it claims goes along
  out.push_back(bearer);
  return out;
}

void add_refusals(const route& of, bool uses_claims, json_value& responses) {
  if (!uses_claims && !needs_claims(of)) return;
  for (const char* const status : {"401", "403"}) responses[status] = component_reference("responses", "Problem");
}

}  // namespace waggle::gateway
