#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace waggle::wire {

/// The number in eight bytes, the highest first, as msgpack has them.
[[nodiscard]] inline std::uint64_t load_big_endian(const char* bytes) {
  std::uint64_t bits;
  std::memcpy(&bits, bytes, sizeof(bits));
  return std::endian::native == std::endian::little ? __builtin_bswap64(bits) : bits;
}

inline void store_big_endian(char* bytes, std::uint64_t bits) {
  if (std::endian::native == std::endian::little) bits = __builtin_bswap64(bits);
  std::memcpy(bytes, &bits, sizeof(bits));
}

}  // namespace waggle::wire
