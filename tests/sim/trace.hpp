#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

#include "broker/core/types.hpp"

namespace waggle::sim {

using broker::instant;
using broker::milliseconds;
using std::chrono::microseconds;

/// Something that must always hold did not. Ends the run; `main` prints the seed.
class violation : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What has happened, as one number: equal runs have equal ones. And line by line for people who ask for it.
class trace {
 public:
  explicit trace(bool verbose) : verbose_{verbose} {}

  void number(std::uint64_t value) {
    hash_ = (hash_ ^ value) * 0x9e3779b97f4a7c15u;
    hash_ ^= hash_ >> 29;
  }
  void bytes(std::string_view value) {
    std::uint64_t word = value.size();
    for (; value.size() >= sizeof word; value.remove_prefix(sizeof word)) {
      std::uint64_t eight = 0;
      std::memcpy(&eight, value.data(), sizeof eight);
      word = (word ^ eight) * 0x9e3779b97f4a7c15u;
      word ^= word >> 32;
    }
    for (const char each : value) word = (word ^ static_cast<unsigned char>(each)) * 0x100000001b3u;
    number(word);
  }

  [[nodiscard]] bool verbose() const { return verbose_; }
  [[nodiscard]] std::uint64_t hash() const { return hash_; }

  void say(instant now, const std::string& line) const {
    if (!verbose_) return;
    const auto us = std::chrono::duration_cast<microseconds>(now.time_since_epoch()).count();
    std::printf("%10lld.%06lld %s\n", static_cast<long long>(us / 1'000'000), static_cast<long long>(us % 1'000'000), line.c_str());
  }

 private:
  bool verbose_;
  std::uint64_t hash_ = 0x243f6a8885a308d3u;
};

}  // namespace waggle::sim
