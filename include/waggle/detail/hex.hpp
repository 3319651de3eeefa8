#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace waggle::detail {

/// The two digits of each byte, lower case.
inline constexpr auto hex_digits = [] {
  constexpr std::string_view digits = "0123456789abcdef";
  std::array<std::array<char, 2>, 256> out{};
  for (std::size_t byte = 0; byte < out.size(); ++byte) out[byte] = {digits[byte >> 4], digits[byte & 15]};
  return out;
}();

/// Writes bytes as two digits each, where there is room for them.
inline void write_hex(char* to, std::span<const unsigned char> bytes) {
  for (const auto byte : bytes) to = std::copy_n(hex_digits[byte].data(), 2, to);
}

[[nodiscard]] inline std::string hex_of(std::span<const unsigned char> bytes) {
  std::string out(2 * bytes.size(), '0');
  write_hex(out.data(), bytes);
  return out;
}

/// Appends a number as 16 digits. Each request of a gateway has five such in its ids, for which a general formatter took longer than what reads the
/// request.
template <class Text>
void append_hex(Text& out, std::uint64_t number) {
  std::array<char, 16> text;
  for (std::size_t at = 0; at < text.size(); at += 2, number <<= 8) std::copy_n(hex_digits[number >> 56].data(), 2, text.data() + at);
  out.append(std::string_view{text.data(), text.size()});
}

}  // namespace waggle::detail
