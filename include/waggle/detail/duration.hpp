#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace waggle::detail {

/// "250ms", "2s", "5m", "1h", as flags, environment and configuration have it. Nothing else; at most a day.
[[nodiscard]] inline std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{} || number < 0) return std::nullopt;
  const auto unit = text.substr(static_cast<std::size_t>(end - text.data()));
  const std::int64_t factor = unit == "ms" ? 1 : unit == "s" ? 1000 : unit == "m" ? 60'000 : unit == "h" ? 3'600'000 : 0;
  if (factor == 0 || number > 86'400'000 / factor) return std::nullopt;
  return std::chrono::milliseconds{number * factor};
}

/// The instant that is so far away; the last of the clock for what is further, as `milliseconds::max()`, which would overflow.
[[nodiscard]] inline std::chrono::steady_clock::time_point instant_in(std::chrono::milliseconds away) {
  using clock = std::chrono::steady_clock;
  const auto now = clock::now();
  if (away >= std::chrono::floor<std::chrono::milliseconds>(clock::time_point::max() - now)) return clock::time_point::max();
  return now + std::max(away, std::chrono::milliseconds{0});
}

/// For command-line parsers: the reason why a text is no duration, empty if it is one.
[[nodiscard]] inline std::string duration_problem(const std::string& text) {
  return parse_duration(text) ? "" : "'" + text + "' is no duration; write 250ms, 2s, 5m or 1h (at most a day)";
}

}  // namespace waggle::detail
