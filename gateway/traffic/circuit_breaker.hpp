#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include "gateway/front/application.hpp"

namespace waggle::gateway {

/// When a command is given a rest: if of at least `of` calls that ended `within` so long so many percent have failed. (resilience4j: failureRateThreshold,
/// minimumNumberOfCalls, slidingWindowSize, waitDurationInOpenState.)
struct breaker_terms {
  unsigned failures_percent = 50;
  unsigned of = 20;
  std::chrono::milliseconds within{10'000};
  std::chrono::milliseconds open{5'000};  ///< then a few calls try whether it is well again
  friend bool operator==(const breaker_terms&, const breaker_terms&) = default;
};

inline constexpr unsigned breaker_probes = 3;  ///< calls that have to succeed, one failure being enough to rest again

/// How a call ended, as far as it says something about the service.
enum class call_verdict : std::uint8_t { succeeded, failed, neither };

/// Of one command: closed, calls go through; open, none does; half open, a few do. No clock, lock or randomness.
class circuit_breaker {
 public:
  enum class state : std::uint8_t { closed, open, half_open };
  /// What a call was let through by: its end counts only as long as nothing has changed since.
  using ticket = std::uint32_t;

  explicit circuit_breaker(const breaker_terms& terms) : terms_{terms} {}

  /// Whether a call may begin now, and then its ticket; 0: it may not.
  [[nodiscard]] ticket admit(front::instant now);
  /// How that call ended. Each ticket ends once.
  void record(front::instant now, ticket of, call_verdict how);
  /// What `admit` would go by.
  [[nodiscard]] state at(front::instant now) const;
  /// How long calls that are not let through had better wait.
  [[nodiscard]] std::chrono::milliseconds retry_after(front::instant now) const;
  /// No call has ended within the window, and it is closed: nothing is lost with it.
  [[nodiscard]] bool idle(front::instant now) const;

 private:
  static constexpr int slices = 10;
  struct slice {
    std::int64_t number = -1;  ///< which of all slices of time
    unsigned ended = 0, failed = 0;
  };
  void trip(front::instant now);
  [[nodiscard]] std::int64_t number_of(front::instant now) const;

  breaker_terms terms_;
  ticket generation_ = 1;
  front::instant open_until_{};  ///< the beginning of time: closed
  bool probing_ = false;
  unsigned probes_begun_ = 0, probes_succeeded_ = 0;
  std::array<slice, slices> slices_{};
};

}  // namespace waggle::gateway
