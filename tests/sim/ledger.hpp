#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include <waggle/wire/manifest.hpp>

#include "sim/trace.hpp"

namespace waggle::sim {

/// What has really become of each call, seen from above: no process knows both what a caller was told and what ran where.
class ledger {
 public:
  explicit ledger(std::uint32_t attempts_max) : attempts_max_{attempts_max} {}

  /// A call begins. Its number goes with its payload wherever it goes.
  std::uint64_t open(bool idempotent) {
    if (entries_.size() == kept_max) {
      entries_.pop_front();
      ++first_;
    }
    entries_.emplace_back().idempotent = idempotent;
    ++opened_;
    return first_ + entries_.size() - 1;
  }

  /// A handler begins to run it, at a worker that said this of the command.
  void start(std::uint64_t number, retry_class as) {
    auto* const found = find(number);
    if (found == nullptr) return;
    ++started_;
    if (found->promised) throw violation{"a call runs of which its caller was told that it has not run, call " + std::to_string(number)};
    ++found->starts;
    if (found->idempotent) return;  // its caller may send it to one broker after another
    if (found->starts > attempts_max_) throw violation{"a call runs more often than attempts_max"};
    // One that says `idempotent` may have been handed it before, and begin late: PROTOCOL.md, "Known weaknesses".
    if (as != retry_class::once) return;
    if (std::exchange(found->once, true)) throw violation{"a call runs again that may run only once, call " + std::to_string(number)};
  }

  /// Its caller is told how it ended.
  void end(std::uint64_t number, bool may_have_run) {
    ++ended_;
    auto* const found = find(number);
    if (found == nullptr) return;
    if (found->ended) throw violation{"a call ends twice"};
    found->ended = true;
    found->promised = !may_have_run;
    if (found->promised && found->starts > 0) throw violation{"a caller is told that its call has not run, and it has, call " + std::to_string(number)};
  }
  /// Its caller is gone.
  void abandon(std::uint64_t number) {
    ++ended_;
    if (auto* const found = find(number)) found->ended = true;
  }

  [[nodiscard]] std::uint64_t opened() const { return opened_; }
  [[nodiscard]] std::uint64_t ended() const { return ended_; }
  [[nodiscard]] std::uint64_t started() const { return started_; }

 private:
  static constexpr std::size_t kept_max = 100'000;  // older ones have ended long ago

  struct entry {
    std::uint32_t starts = 0;
    bool idempotent = false;
    bool once = false;      ///< a worker that may not run it again has begun
    bool ended = false;
    bool promised = false;  ///< its caller was told that it has not run
  };
  entry* find(std::uint64_t number) { return number < first_ || number - first_ >= entries_.size() ? nullptr : &entries_[number - first_]; }

  std::uint32_t attempts_max_;
  std::deque<entry> entries_;
  std::uint64_t first_ = 1;
  std::uint64_t opened_ = 0, ended_ = 0, started_ = 0;
};

}  // namespace waggle::sim
