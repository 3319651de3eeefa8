#include "gateway/identity/access.hpp"

#include <algorithm>

namespace waggle::gateway {

std::string access_rule::scope() const {
  std::string out;
  for (const auto& each : scopes) out += (out.empty() ? "" : " ") + each;
  return out;
}

std::string access_rule::written() const {
  if (is != who::scoped) return is == who::anyone ? "anyone" : "known";
  std::string out = "[";
  for (const auto& each : scopes) out += (out.size() > 1 ? ", " : "") + each;
  return out + ']';
}

admission admit(const access_rule& to, const identity* who) {
  if (to.is == access_rule::who::anyone) return admission::admitted;
  if (who == nullptr) return admission::unknown;
  const bool all = std::all_of(to.scopes.begin(), to.scopes.end(), [&](const auto& each) { return who->has_scope(each); });
  return all ? admission::admitted : admission::lacking;
}

std::string bearer_challenge(std::string_view error, std::string_view description, std::string_view scope) {
  std::string out = "Bearer realm=\"waggle\"";
  const auto add = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) out.append(", ").append(name).append("=\"").append(value).append("\"");
  };
  add("error", error);
  add("error_description", description);
  add("scope", scope);
  return out;
}

}  // namespace waggle::gateway
