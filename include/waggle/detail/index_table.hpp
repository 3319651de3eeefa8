#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <waggle/detail/slab.hpp>

namespace waggle::detail {

/// Finds objects of a slab by a name that they hold themselves: hashes and indices in open addressing, eight bytes an entry, so that the
/// table of ten thousand fits a second-level cache and nothing is allocated for an entry. Whoever uses it brings the hash, of
/// which the lower 32 bits count, and compares the names.
class index_table {
 public:
  /// The index with this hash of which `is_it(index)` says so; `none` if there is none.
  template <class IsIt>
  [[nodiscard]] std::uint32_t find(std::uint64_t hash, IsIt&& is_it) const {
    const auto wanted = static_cast<std::uint32_t>(hash);
    for (std::size_t at = wanted & mask_; entries_[at].index != none; at = (at + 1) & mask_) {
      if (entries_[at].hash == wanted && is_it(entries_[at].index)) return entries_[at].index;
    }
    return none;
  }

  /// Has the processor fetch what `find` and `likely` look at first.
  void fetch(std::uint64_t hash) const { __builtin_prefetch(&entries_[static_cast<std::uint32_t>(hash) & mask_]); }
  /// An index with this hash, whatever its name; `none` if there is none.
  [[nodiscard]] std::uint32_t likely(std::uint64_t hash) const {
    return find(hash, [](auto) { return true; });
  }

  /// The name must not be in the table.
  void insert(std::uint64_t hash, std::uint32_t index) {
    if (2 * (used_ + 1) > entries_.size()) grow();
    ++used_;
    put({static_cast<std::uint32_t>(hash), index});
  }

  /// The index must be in the table under this hash.
  void erase(std::uint64_t hash, std::uint32_t index) {
    std::size_t hole = static_cast<std::uint32_t>(hash) & mask_;
    while (entries_[hole].index != index) hole = (hole + 1) & mask_;
    for (std::size_t at = (hole + 1) & mask_; entries_[at].index != none; at = (at + 1) & mask_) {
      const auto from_home = (at - entries_[at].hash) & mask_;
      if (from_home < ((at - hole) & mask_)) continue;  // it would come to lie before its home
      entries_[hole] = entries_[at];
      hole = at;
    }
    entries_[hole] = {};
    --used_;
  }

  [[nodiscard]] std::size_t size() const { return used_; }

  /// Every index, in no order.
  template <class Each>
  void each(Each&& do_this) const {
    for (const auto& in : entries_) {
      if (in.index != none) do_this(in.index);
    }
  }

 private:
  struct entry {
    std::uint32_t hash = 0;
    std::uint32_t index = none;
  };

  void put(entry what) {
    std::size_t at = what.hash & mask_;
    while (entries_[at].index != none) at = (at + 1) & mask_;
    entries_[at] = what;
  }
  void grow() {
    auto old = std::exchange(entries_, std::vector<entry>(2 * entries_.size()));
    mask_ = entries_.size() - 1;
    for (const auto& each : old) {
      if (each.index != none) put(each);
    }
  }

  std::vector<entry> entries_ = std::vector<entry>(16);
  std::size_t mask_ = 15;
  std::size_t used_ = 0;
};

/// murmur3's finaliser: every bit of the outcome depends on every bit of the number.
[[nodiscard]] constexpr std::uint64_t mixed(std::uint64_t bits) {
  bits = (bits ^ (bits >> 33)) * 0xff51afd7ed558ccdu;
  bits = (bits ^ (bits >> 33)) * 0xc4ceb9fe1a85ec53u;
  return bits ^ (bits >> 33);
}

}  // namespace waggle::detail
