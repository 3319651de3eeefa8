#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <waggle/detail/index_table.hpp>

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
  std::uint8_t lane = 0;         ///< while it waits at its `home`: for a slot of which lane
  links by_place;
};

/// The keys that have open calls, by group and key.
class key_table {
 public:
  slab<key_line>& items() { return lines_; }
  key_line& operator[](std::uint32_t index) { return lines_[index]; }
  const key_line& operator[](std::uint32_t index) const { return lines_[index]; }
  [[nodiscard]] std::size_t size() const { return lines_.used(); }

  /// The line of this name, and whether it is new: no call is in it yet then.
  std::pair<std::uint32_t, bool> find_or_open(std::string_view group, std::string_view key) {
    scratch_.assign(group).push_back('\0');  // a group is a name, so no group has a NUL
    scratch_.append(key);
    const auto hash = hash_of(scratch_);
    if (const auto found = by_name_.find(hash, [&](auto index) { return lines_[index].name == scratch_; }); found != none) {
      return {found, false};
    }
    const auto index = lines_.take();
    auto& made = lines_[index];
    auto name = std::move(made.name);  // whose memory serves again
    made = key_line{};
    made.name = std::move(name);
    made.name.assign(scratch_);
    made.hash = hash;
    by_name_.insert(hash, index);
    return {index, true};
  }

  void close(std::uint32_t index) {
    by_name_.erase(lines_[index].hash, index);
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
  [[nodiscard]] static std::uint64_t mixed(std::uint64_t bits) { return detail::mixed(bits); }

 private:
  slab<key_line> lines_;
  detail::index_table by_name_;
  std::string scratch_;
};

}  // namespace waggle::broker
