#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace waggle::gateway {

/// Host and port of "HOST:PORT", "[::1]:PORT" or ":PORT" (every interface: "*"); nothing if it is none of these.
[[nodiscard]] inline std::optional<std::pair<std::string, std::uint16_t>> parse_http_address(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  auto host = text.substr(0, colon);
  const auto digits = text.substr(colon + 1);
  unsigned port = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (failed != std::errc{} || end != digits.data() + digits.size() || port > 65535) return std::nullopt;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return std::pair{std::string{host.empty() ? "*" : host}, static_cast<std::uint16_t>(port)};
}

}  // namespace waggle::gateway
