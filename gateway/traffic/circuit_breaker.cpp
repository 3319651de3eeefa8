#include "gateway/traffic/circuit_breaker.hpp"

#include <algorithm>

namespace waggle::gateway {
namespace {

/// While probes are under way nobody knows how long it takes.
constexpr std::chrono::milliseconds probing_time{1'000};

}  // namespace

std::int64_t circuit_breaker::number_of(front::instant now) const {
  const auto length = std::max(std::chrono::duration_cast<std::chrono::nanoseconds>(terms_.within) / slices, std::chrono::nanoseconds{1});
  return now.time_since_epoch() / length;
}

circuit_breaker::state circuit_breaker::at(front::instant now) const {
  if (probing_) return state::half_open;
  if (open_until_ == front::instant{}) return state::closed;
  return now < open_until_ ? state::open : state::half_open;
}

circuit_breaker::ticket circuit_breaker::admit(front::instant now) {
  switch (at(now)) {
    case state::closed: return generation_;
    case state::open: return 0;
    case state::half_open: break;
  }
  if (!probing_) {
    probing_ = true;
    probes_begun_ = probes_succeeded_ = 0;
    ++generation_;
  }
  if (probes_begun_ == breaker_probes) return 0;
  ++probes_begun_;
  return generation_;
}

void circuit_breaker::record(front::instant now, ticket of, call_verdict how) {
  if (of != generation_) return;
  if (probing_) {
    if (how == call_verdict::neither) {
      --probes_begun_;
    } else if (how == call_verdict::failed) {
      trip(now);
    } else if (++probes_succeeded_ == breaker_probes) {
      probing_ = false;
      open_until_ = {};
      slices_ = {};
      ++generation_;
    }
    return;
  }
  if (how == call_verdict::neither) return;
  const auto number = number_of(now);
  auto& here = slices_[static_cast<std::size_t>(number % slices)];
  if (here.number != number) here = {number, 0, 0};
  ++here.ended;
  if (how == call_verdict::succeeded) return;
  ++here.failed;
  unsigned ended = 0, failed = 0;
  for (const auto& each : slices_) {
    if (each.number <= number - slices) continue;
    ended += each.ended;
    failed += each.failed;
  }
  if (ended >= terms_.of && std::uint64_t{failed} * 100 >= std::uint64_t{ended} * terms_.failures_percent) trip(now);
}

void circuit_breaker::trip(front::instant now) {
  open_until_ = now + terms_.open;
  probing_ = false;
  slices_ = {};
  ++generation_;
}

std::chrono::milliseconds circuit_breaker::retry_after(front::instant now) const {
  if (at(now) != state::open) return probing_time;
  return std::chrono::ceil<std::chrono::milliseconds>(open_until_ - now);
}

bool circuit_breaker::idle(front::instant now) const {
  const auto number = number_of(now);
  return at(now) == state::closed && std::all_of(slices_.begin(), slices_.end(), [&](const auto& each) { return each.number <= number - slices; });
}

}  // namespace waggle::gateway
