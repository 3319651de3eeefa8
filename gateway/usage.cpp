#include "gateway/usage.hpp"

#include <algorithm>
#include <utility>

#include <waggle/wire/utf8.hpp>

#include "gateway/routes/body.hpp"
#include "gateway/routes/value.hpp"

namespace waggle::gateway {
namespace {

constexpr std::size_t caller_bytes_max = 64;

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

bool usage::note(const std::string& route, std::string& caller) {
  const std::lock_guard hold{mutex_};
  if (!known_.contains({route, caller}) && known_.size() >= usage_callers_max) caller = "other";
  return known_.emplace(route, caller).second;
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
