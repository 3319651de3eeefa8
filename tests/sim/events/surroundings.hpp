#pragma once

#include <vector>

#include "sim/actor.hpp"
#include "sim/events/books.hpp"
#include "sim/events/climate.hpp"
#include "sim/events/pub_sub.hpp"

namespace waggle::sim {

/// What actors of a network with events share.
struct event_surroundings : surroundings {
  event_climate& events;
  event_books& books;
  std::vector<pub_sub_pipe*> subscribers;
  std::uint64_t started = 0;  ///< brokers
  bool quiet = false;         ///< all is over: what is shown now is what the books say

  [[nodiscard]] bool is_member(std::uint32_t actor) const { return actor >= events.emitters && actor < events.emitters + events.members; }

  /// What the log's clock says.
  [[nodiscard]] static std::int64_t wall_ms(instant now) {
    return 1'700'000'000'000 + std::chrono::duration_cast<milliseconds>(now.time_since_epoch()).count();
  }
};

}  // namespace waggle::sim
