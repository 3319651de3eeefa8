#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace waggle::cli {

/// Bytes written as pairs of hex digits; spaces, colons and line breaks may stand between pairs. Nothing if anything
/// else does.
[[nodiscard]] std::optional<std::string> from_hex(std::string_view text);

/// Pairs of hex digits with spaces between; a line feed in place of every `per_line`-th space.
[[nodiscard]] std::string to_hex(std::string_view bytes, std::size_t per_line = 0, std::size_t indent = 0);

}  // namespace waggle::cli
