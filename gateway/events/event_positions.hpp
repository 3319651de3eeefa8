#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace waggle::gateway {

/// By stream: the sequence of the last event that is known.
using event_positions = std::map<std::string, std::uint64_t>;

/// As many streams as a broker may have (broker/PROTOCOL.md, "Limits").
inline constexpr std::size_t event_positions_max = 64;

/// Positions as the `id:` of a Server-Sent Event, "events:120,orders:7": the streams in the order of their names, each percent-encoded
/// but for letters, digits, `-`, `.`, `_` and `~`.
[[nodiscard]] std::string positions_text(const event_positions& from);

/// What `Last-Event-ID` says. Nothing if it is no such text.
[[nodiscard]] std::optional<event_positions> read_positions(std::string_view text);

}  // namespace waggle::gateway
