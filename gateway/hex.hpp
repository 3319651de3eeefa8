#pragma once

#include <algorithm>
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
  std::array<char, 32> text;
  while (!bytes.empty()) {
    const auto now = bytes.first(std::min(bytes.size(), text.size() / 2));
    char* to = text.data();
    for (const auto byte : now) {
      *to++ = digits[byte >> 4];
      *to++ = digits[byte & 15];
    }
    out.append(std::string_view{text.data(), to});
    bytes = bytes.subspan(now.size());
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
