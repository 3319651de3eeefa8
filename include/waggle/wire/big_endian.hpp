#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace waggle::wire {

/// Written out because compilers make one instruction of this, but not of a loop over the bytes.
[[nodiscard]] constexpr std::uint64_t bytes_reversed(std::uint64_t bits) {
  return (bits << 56) | ((bits & 0xff00u) << 40) | ((bits & 0xff0000u) << 24) | ((bits & 0xff000000u) << 8) |
         ((bits >> 8) & 0xff000000u) | ((bits >> 24) & 0xff0000u) | ((bits >> 40) & 0xff00u) | (bits >> 56);
}

/// The number in eight bytes, the highest first, as msgpack has them.
[[nodiscard]] inline std::uint64_t load_big_endian(const char* bytes) {
  std::uint64_t bits;
  std::memcpy(&bits, bytes, sizeof(bits));
  return std::endian::native == std::endian::little ? bytes_reversed(bits) : bits;
}

inline void store_big_endian(char* bytes, std::uint64_t bits) {
  if (std::endian::native == std::endian::little) bits = bytes_reversed(bits);
  std::memcpy(bytes, &bits, sizeof(bits));
}

}  // namespace waggle::wire
