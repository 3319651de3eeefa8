#include "gateway/usage.hpp"

#include <algorithm>
#include <utility>

#include <waggle/wire/utf8.hpp>

#include "gateway/routes/body.hpp"
#include "gateway/routes/value.hpp"

namespace waggle::gateway {
namespace {

constexpr std::size_t caller_bytes_max = 64;

/// As the value of a label: `\`, `"` and line ends are escaped.
std::string label(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

/// At most so long, whole characters only, and in one line: it goes to the log and to /metrics, which is refused as a whole if one
/// label is not UTF-8.
std::string short_of(std::string text) {
  if (text.size() > caller_bytes_max) {
    text.resize(caller_bytes_max);
    while (!text.empty() && !wire::is_utf8(text)) text.pop_back();
  }
  std::replace_if(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

}  // namespace

bool usage::count(const std::string& route, std::string_view caller) {
  const std::lock_guard hold{mutex_};
  std::pair key{route, std::string{caller}};
  if (!counts_.contains(key) && counts_.size() >= usage_callers_max) key.second = "other";
  return ++counts_[key] == 1;
}

std::string usage::metrics() const {
  std::string out =
      "# HELP waggle_gateway_deprecated_requests_total Requests of deprecated routes, by who made them.\n"
      "# TYPE waggle_gateway_deprecated_requests_total counter\n";
  const std::lock_guard hold{mutex_};
  for (const auto& [key, count] : counts_) {
    out += "waggle_gateway_deprecated_requests_total{route=\"" + label(key.first) + "\",caller=\"" + label(key.second) + "\"} " +
           std::to_string(count) + '\n';
  }
  return out;
}

std::string caller_of(const front::request& in, std::string_view claims) {
  if (!claims.empty()) {
    if (const auto value = find_in(claims, {"sub"})) {
      if (auto text = plain_text(*value)) return short_of(std::move(*text));
    }
  }
  const auto agent = in.find("user-agent");
  if (!agent || agent->empty() || !wire::is_utf8(*agent)) return "unknown";
  return short_of(std::string{agent->substr(0, agent->find_first_of(" /("))});
}

}  // namespace waggle::gateway
