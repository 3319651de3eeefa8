#pragma once

#include <cstddef>
#include <cstdint>

namespace waggle::sim {

/// Everything that happens by chance comes from one of these (splitmix64). The distributions of the standard library give
/// other numbers in other libraries, so that a seed would mean nothing elsewhere.
class random {
 public:
  explicit random(std::uint64_t seed) : state_{seed} {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15u;
    auto bits = state_;
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
    return bits ^ (bits >> 31);
  }

  /// 0 to `limit` - 1; limits are far below 2^32, so that the bias does not matter.
  std::uint64_t below(std::uint64_t limit) { return ((next() >> 32) * limit) >> 32; }
  std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + below(high - low + 1); }
  /// True `part` times in `whole`.
  bool chance(std::uint64_t part, std::uint64_t whole) { return below(whole) < part; }

  template <class Items>
  auto& pick(Items& from) { return from[static_cast<std::size_t>(below(from.size()))]; }

 private:
  std::uint64_t state_;
};

}  // namespace waggle::sim
