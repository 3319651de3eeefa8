#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace waggle::gateway {

/// Appends bytes as two digits each, lower case.
inline void append_hex(std::string& out, std::span<const unsigned char> bytes) {
  constexpr char digits[] = "0123456789abcdef";
  const auto from = out.size();
  out.resize(from + 2 * bytes.size());
  char* to = out.data() + from;
  for (const auto byte : bytes) {
    *to++ = digits[byte >> 4];
    *to++ = digits[byte & 15];
  }
}

/// Appends a number as 16 digits. Each request has three such in its ids, for which a general formatter took as long as for reading the request.
inline void append_hex(std::string& out, std::uint64_t number) {
  unsigned char bytes[8];
  for (std::size_t i = 0; i < sizeof bytes; ++i) bytes[i] = static_cast<unsigned char>(number >> (56 - 8 * i));
  append_hex(out, std::span<const unsigned char>{bytes});
}

}  // namespace waggle::gateway
