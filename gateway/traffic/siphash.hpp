#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace waggle::gateway {

using siphash_key = std::array<std::uint64_t, 2>;

/// SipHash-2-4 (Aumasson and Bernstein, 2012): who does not know the key cannot choose texts that meet in a table. None of the libraries that are linked
/// has one that could be called without an allocation.
[[nodiscard]] inline std::uint64_t siphash(const siphash_key& key, std::string_view text) {
  std::uint64_t v0 = key[0] ^ 0x736f6d6570736575u, v1 = key[1] ^ 0x646f72616e646f6du;
  std::uint64_t v2 = key[0] ^ 0x6c7967656e657261u, v3 = key[1] ^ 0x7465646279746573u;
  const auto turn = [](std::uint64_t x, int by) { return (x << by) | (x >> (64 - by)); };
  const auto round = [&] {
    v0 += v1, v1 = turn(v1, 13) ^ v0, v0 = turn(v0, 32);
    v2 += v3, v3 = turn(v3, 16) ^ v2;
    v0 += v3, v3 = turn(v3, 21) ^ v0;
    v2 += v1, v1 = turn(v1, 17) ^ v2, v2 = turn(v2, 32);
  };
  const auto absorb = [&](std::uint64_t word) {
    v3 ^= word;
    round(), round();
    v0 ^= word;
  };
  const auto word_at = [&](std::size_t from, std::size_t bytes) {
    std::uint64_t out = 0;  // little-endian, whatever the machine
    for (std::size_t i = 0; i < bytes; ++i) out |= std::uint64_t{static_cast<std::uint8_t>(text[from + i])} << (8 * i);
    return out;
  };
  std::size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) absorb(word_at(at, 8));
  absorb(word_at(at, text.size() - at) | std::uint64_t{text.size()} << 56);
  v2 ^= 0xff;
  round(), round(), round(), round();
  return v0 ^ v1 ^ v2 ^ v3;
}

}  // namespace waggle::gateway
