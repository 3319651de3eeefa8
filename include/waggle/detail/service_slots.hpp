#pragma once

#include <algorithm>
#include <cstdint>

#include <waggle/wire/limits.hpp>

namespace waggle::detail {

/// How many calls a service lets the broker hand over at the same time, as it stands in its manifest.
struct service_slots {
  std::uint32_t all = 1;    ///< for all handlers, or for those of the pool if `quick` is not 0
  std::uint32_t quick = 0;  ///< for quick handlers, besides; 0: they take of the others
};

/// What waits at the worker is at no other's disposal, but this is over in a millisecond.
inline constexpr unsigned quick_slots_usual = 1024;

/// Four calls for each thread: one that runs and three that wait. With more the network carries more calls in a bundle, and each costs
/// less; but what waits here cannot go to another worker, or be overtaken by another caller's or another command's, and when this worker
/// dies it is not known not to have run. What waits at the broker can. So this bounds what a call waits here to the time of three others.
/// Measured with 8 threads and handlers that do nothing: 16, 9, 5 and 5 CPU seconds for a million calls with 2, 4, 8 and 16 for each
/// thread; with handlers that take a millisecond it makes no difference. Whose handlers take microseconds says .quick(), or more slots.
[[nodiscard]] constexpr unsigned pool_slots(unsigned threads) { return 4 * threads; }

/// Of a service that has quick handlers, or handlers in a pool of so many threads, or both; `slots` and `quick_slots` are what its
/// options say, 0 for nothing. Only if it has both, a broker needs to tell them apart: one that is older, and does not, then hands over
/// no more than the pool is for.
[[nodiscard]] inline service_slots slots_for(bool has_quick, bool has_pool, unsigned threads, unsigned slots, unsigned quick) {
  const auto first_said = [](unsigned one, unsigned other) { return std::min<std::uint32_t>(one != 0 ? one : other, wire::slots_max); };
  if (!has_pool) return {first_said(quick, first_said(slots, quick_slots_usual)), 0};
  return {first_said(slots, pool_slots(threads)), has_quick ? first_said(quick, quick_slots_usual) : 0};
}

}  // namespace waggle::detail
