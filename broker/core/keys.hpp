#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <tsl/robin_map.h>

#include "broker/core/calls.hpp"
#include "broker/core/types.hpp"

namespace waggle::broker {

/// The calls of one key in one group of commands: at most one of them is at a worker, the others wait here in their order.
struct key_line {
  enum class listing : std::uint8_t {
    nowhere,   ///< one of its calls runs
    home,      ///< waits for a slot of the worker that is its home
    homeless,  ///< waits for a worker: nobody serves the command of its first call now, or that is paused
    unplaced,  ///< is to find its place before the core is left
  };

  std::string name;          ///< group and key, as `key_table` keeps them
  std::uint64_t hash = 0;
  index_list<&call::by_place> waiting;
  std::uint32_t home = none;     ///< the worker that runs one of its calls, or is to run the first
  std::uint32_t command = none;  ///< while `homeless`: in whose list
  listing where = listing::nowhere;
  links by_place;
};

/// The keys that have open calls, by group and key.
class key_table {
 public:
  slab<key_line>& items() { return lines_; }
  key_line& operator[](std::uint32_t index) { return lines_[index]; }
  const key_line& operator[](std::uint32_t index) const { return lines_[index]; }
  [[nodiscard]] std::size_t size() const { return lines_.used(); }

  [[nodiscard]] std::uint32_t find(std::string_view group, std::string_view key) {
    const auto found = by_name_.find(named(group, key));
    return found == by_name_.end() ? none : found->second;
  }

  /// A line that no call is in yet; there must be none of that name.
  std::uint32_t open(std::string_view group, std::string_view key) {
    const auto index = lines_.take();
    auto& made = lines_[index];
    made = key_line{};
    made.name = named(group, key);
    made.hash = hash_of(made.name);
    by_name_.emplace(made.name, index);
    return index;
  }

  void close(std::uint32_t index) {
    by_name_.erase(lines_[index].name);
    lines_[index].name.clear();
    lines_.give_back(index);
  }

  [[nodiscard]] std::string_view key_of(std::uint32_t index) const {
    const std::string_view name{lines_[index].name};
    return name.substr(name.find('\0') + 1);
  }

  /// The same on every machine (FNV-1a, mixed), so that keys keep their workers over a restart of the broker.
  [[nodiscard]] static std::uint64_t hash_of(std::string_view text) {
    std::uint64_t bits = 0xcbf29ce484222325u;
    for (const char each : text) bits = (bits ^ static_cast<std::uint8_t>(each)) * 0x100000001b3u;
    return mixed(bits);
  }
  /// murmur3's finaliser.
  [[nodiscard]] static std::uint64_t mixed(std::uint64_t bits) {
    bits = (bits ^ (bits >> 33)) * 0xff51afd7ed558ccdu;
    bits = (bits ^ (bits >> 33)) * 0xc4ceb9fe1a85ec53u;
    return bits ^ (bits >> 33);
  }

 private:
  /// A group is a name, so no group has a NUL.
  const std::string& named(std::string_view group, std::string_view key) {
    scratch_.assign(group).push_back('\0');
    return scratch_.append(key);
  }

  struct name_hash {
    std::size_t operator()(const std::string& name) const { return std::hash<std::string>{}(name); }
  };

  slab<key_line> lines_;
  tsl::robin_map<std::string, std::uint32_t, name_hash> by_name_;
  std::string scratch_;
};

}  // namespace waggle::broker
