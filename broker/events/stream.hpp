#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "broker/core/types.hpp"
#include "broker/events/topic_settings.hpp"

namespace waggle::broker {

/// What the event core knows of a stream.
struct stream {
  stream_settings settings;     ///< without patterns: it is in the log, but no topic goes there any more
  std::uint64_t first = 1;      ///< the oldest event that is there; head + 1 if none is
  std::uint64_t head = 0;       ///< the newest ever
  std::uint64_t bytes = 0;
  std::int64_t oldest_ms = 0;   ///< when the oldest was kept, by the log's clock; 0: not known
  bool trimming = false;        ///< a trim is under way
  instant trim_at{};            ///< when the next is due

  [[nodiscard]] const std::string& name() const { return settings.stream; }
};

}  // namespace waggle::broker
