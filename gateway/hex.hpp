#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace waggle::gateway {

/// Appends bytes as two digits each, lower case, to a text that has room or makes some.
template <class Text>
void append_hex(Text& out, std::span<const unsigned char> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  for (const auto byte : bytes) {
    const std::array pair{digits[byte >> 4], digits[byte & 15]};
    out.append(std::string_view{pair.data(), pair.size()});
  }
}

/// Appends a number as 16 digits. Each request has five such in its ids, for which a general formatter took longer than what reads the request.
template <class Text>
void append_hex(Text& out, std::uint64_t number) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::array<char, 16> text;
  for (auto at = text.size(); at-- > 0; number >>= 4) text[at] = digits[number & 15];
  out.append(std::string_view{text.data(), text.size()});
}

}  // namespace waggle::gateway
