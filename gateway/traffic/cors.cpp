#include "gateway/traffic/cors.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "gateway/front/http_syntax.hpp"

namespace waggle::gateway {
namespace {

/// What requests to a gateway may have besides what browsers allow anyway.
constexpr std::array<std::string_view, 10> request_headers{"Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Last-Event-ID",
                                                           "Prefer",        "traceparent",  "Waggle-Key",      "X-Api-Key",     "X-Request-Id"};
/// What its answers have that a page may want, besides what it may read anyway (Fetch, "CORS-safelisted response-header name").
constexpr std::array<std::string_view, 16> answer_headers{
    "Age",              "Cache-Status", "Idempotent-Replayed",
    "Deprecation",      "ETag",        "Idempotency-Key", "Link",              "Location",         "Preference-Applied", "RateLimit",
    "RateLimit-Policy", "Retry-After", "Sunset",          "Waggle-Incomplete", "WWW-Authenticate", "X-Request-Id"};

template <class Known>
std::string list_of(const Known& known, const std::vector<std::string>& more) {
  std::string out;
  const auto add = [&](std::string_view each) {
    if (!out.empty()) out += ", ";
    out += each;
  };
  for (const auto each : known) add(each);
  for (const auto& each : more) {
    const auto same = [&](std::string_view other) { return front::syntax::equal_without_case(other, each); };
    if (std::none_of(known.begin(), known.end(), same)) add(each);
  }
  return out;
}

}  // namespace

std::string wrong_with_origin(std::string_view text) {
  if (text == "*" || text == "null") return {};
  constexpr const char* example = "; write it as in https://app.example.com or http://localhost:3000";
  const auto scheme_end = text.find("://");
  const auto is_lower = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'; };
  const auto scheme = text.substr(0, std::min(scheme_end, text.size()));
  if (scheme_end == text.npos || scheme.empty()) return std::string{"has no scheme"} + example;
  const auto authority = text.substr(scheme_end + 3);
  if (authority.find_first_of("/?#") != text.npos) return std::string{"has more than scheme, host and port, and browsers send no more"} + example;
  if (authority.find('*') != text.npos) return "has a *, and origins are compared as a whole; write each origin that is meant";
  if (authority.find('@') != text.npos || !front::syntax::is_authority(authority)) return std::string{"has no host that a browser could send"} + example;
  const auto has_upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  if (std::any_of(text.begin(), text.end(), has_upper)) return "has capital letters, which browsers make small; write small ones";
  if (!std::all_of(scheme.begin(), scheme.end(), is_lower)) return std::string{"has no scheme"} + example;
  if ((scheme == "https" && authority.ends_with(":443")) || (scheme == "http" && authority.ends_with(":80")) || authority.ends_with(':')) {
    return "has a port that browsers leave away; write it without";
  }
  return {};
}

cors_policy::cors_policy(cors_config from)
    : is_{std::move(from)},
      any_{std::find(is_.origins.begin(), is_.origins.end(), "*") != is_.origins.end()},
      headers_{list_of(request_headers, is_.headers)},
      expose_{list_of(answer_headers, is_.expose)} {}

std::optional<std::string_view> cors_policy::allowed(const front::request& in) const {
  std::optional<std::string_view> origin;
  for (const auto& each : in.headers) {
    if (!front::syntax::equal_without_case(each.name, "origin")) continue;
    if (origin) return std::nullopt;  // no browser sends two
    origin = each.value;
  }
  if (!origin) return std::nullopt;
  if (any_) return "*";
  const auto found = std::find(is_.origins.begin(), is_.origins.end(), *origin);
  return found == is_.origins.end() ? std::nullopt : std::optional<std::string_view>{*found};
}

void cors_policy::add_headers(const front::request& in, front::header_list& to) const {
  to.emplace_back("Vary", "Origin");
  const auto origin = allowed(in);
  if (!origin) return;
  to.emplace_back("Access-Control-Allow-Origin", *origin);
  if (is_.credentials) to.emplace_back("Access-Control-Allow-Credentials", "true");
  if (!is_preflight(in)) to.emplace_back("Access-Control-Expose-Headers", expose_);
}

bool cors_policy::is_preflight(const front::request& in) {
  return in.method == "OPTIONS" && in.find("origin") && in.find("access-control-request-method");
}

front::response cors_policy::preflight(const front::request& in, const std::string& methods) const {
  front::response out{204, {}, {}, {}};
  out.headers.emplace_back("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers");
  if (!methods.empty()) out.headers.emplace_back("Allow", methods);
  if (!allowed(in)) return out;
  if (!methods.empty()) out.headers.emplace_back("Access-Control-Allow-Methods", methods);
  out.headers.emplace_back("Access-Control-Allow-Headers", headers_);
  out.headers.emplace_back("Access-Control-Max-Age", std::to_string(is_.max_age.count()));
  return out;
}

}  // namespace waggle::gateway
