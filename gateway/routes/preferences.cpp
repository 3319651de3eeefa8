#include "gateway/routes/preferences.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>
#include <utility>

#include "gateway/front/http_syntax.hpp"

namespace waggle::gateway {
namespace {

using front::syntax::equal_without_case;
using front::syntax::next_part;
using front::syntax::trim;

/// Longer waits than anybody grants are all the same.
constexpr std::uint64_t wait_seconds_max = 86'400;

/// The text of a quoted string (RFC 9110 section 5.6.4), or of a token as it is; nothing if the quotes do not fit.
std::optional<std::string> unquoted(std::string_view text) {
  if (text.empty() || text.front() != '"') return std::string{text};
  std::string out;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') return i + 1 == text.size() ? std::optional{out} : std::nullopt;
    if (text[i] == '\\' && ++i == text.size()) break;
    out += text[i];
  }
  return std::nullopt;
}

}  // namespace

preferences preferences_of(const std::vector<front::header>& headers) {
  preferences out;
  bool async_seen = false, wait_seen = false;
  for (const auto& header : headers) {
    if (!equal_without_case(header.name, "prefer")) continue;
    for (auto left = header.value; !left.empty();) {
      auto element = next_part(left, ',');
      const auto preference = next_part(element, ';');  // what follows are its parameters, of which these two have none
      const auto equals = std::min(preference.find('='), preference.size());
      const auto name = trim(preference.substr(0, equals));
      const auto value = unquoted(trim(preference.substr(std::min(equals + 1, preference.size()))));
      if (!front::syntax::is_token(name) || !value) continue;
      if (equal_without_case(name, "respond-async")) {
        // An empty value is none (section 2); with another one it is a preference that nobody knows.
        if (!std::exchange(async_seen, true)) out.respond_async = value->empty();
      } else if (equal_without_case(name, "wait") && !std::exchange(wait_seen, true)) {
        std::uint64_t seconds = 0;
        const auto* const end = value->data() + value->size();
        const auto [at, failed] = std::from_chars(value->data(), end, seconds);
        const bool large = failed == std::errc::result_out_of_range;
        if (at == end && (failed == std::errc{} || large)) {
          out.wait = std::chrono::seconds{large ? wait_seconds_max : std::min(seconds, wait_seconds_max)};
        }
      }
    }
  }
  return out;
}

tl::expected<std::optional<std::string>, std::string> idempotency_key_of(const std::vector<front::header>& headers, std::size_t bytes_max) {
  const auto wrong = [&] {
    return tl::unexpected{"Idempotency-Key is to be 1 to " + std::to_string(bytes_max) + " visible characters of ASCII, and to come once"};
  };
  std::optional<std::string> out;
  for (const auto& header : headers) {
    if (!equal_without_case(header.name, "idempotency-key")) continue;
    const auto written = trim(header.value);
    auto key = unquoted(written);
    const bool quoted = written.starts_with('"');
    const auto fits = [&](char c) { return (c > 0x20 || (quoted && c == 0x20)) && c < 0x7f; };
    if (out || !key || key->empty() || key->size() > bytes_max || !std::all_of(key->begin(), key->end(), fits)) return wrong();
    out = std::move(key);
  }
  return out;
}

}  // namespace waggle::gateway
