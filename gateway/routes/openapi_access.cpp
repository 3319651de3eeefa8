#include "gateway/routes/openapi_access.hpp"

#include <algorithm>

#include "gateway/routes/schema_components.hpp"

namespace waggle::gateway {
namespace {

/// Nobody who has not said who he is gets anything here.
bool needs_identity(const route& of) {
  return of.access.is != access_rule::who::anyone ||
         std::any_of(of.what.when.begin(), of.what.when.end(), [](const auto& each) { return each.of.from == source::part::claim; });
}

}  // namespace

json_value security_schemes(const openapi_options& with) {
  json_value out = json_value::object();
  const bool keys = !with.api_key_header.empty();
  if (with.tokens || keys) {
    out["bearer"] = {{"type", "http"}, {"scheme", "bearer"}};
    if (!keys) out["bearer"]["bearerFormat"] = "JWT";
  }
  if (keys) out["apiKey"] = {{"type", "apiKey"}, {"in", "header"}, {"name", with.api_key_header}};
  return out;
}

json_value security_of(const route& of, const openapi_options& with) {
  const bool keys = !with.api_key_header.empty();
  if (!with.tokens && !keys) return {};
  auto scopes = json_value::array();
  for (const auto& each : of.access.scopes) scopes.push_back(each);
  json_value out = json_value::array();
  if (!needs_identity(of)) out.push_back(json_value::object());  // credentials are welcome: what they claim goes along
  out.push_back({{"bearer", scopes}});
  if (keys) out.push_back({{"apiKey", scopes}});
  return out;
}

void add_refusals(const route& of, bool uses_claims, json_value& responses) {
  const auto add = [&](const char* status) { responses[status] = component_reference("responses", "Problem"); };
  if (uses_claims || needs_identity(of)) {
    add("401");
    add("403");
  }
  if (!of.what.rates.empty()) add("429");
  if (of.what.concurrency) add("503");
}

}  // namespace waggle::gateway
