#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace waggle::broker {

/// Which topics belong to which stream, and how long their events are kept. Of several patterns that match, the most specific decides;
/// a topic that none matches is ephemeral.
struct stream_settings {
  std::string stream;
  std::vector<std::string> topics;           ///< patterns
  std::chrono::milliseconds keep{7 * 24 * 3600 * 1000LL};  ///< events that are older are forgotten, once every group has settled them
  std::uint64_t keep_bytes = 1ull << 30;     ///< so are the oldest when the stream is larger
  std::uint64_t full_bytes = 8ull << 30;     ///< past it durable emits are refused: RESOURCE_EXHAUSTED
};

struct topic_settings {
  std::vector<stream_settings> streams{{"events", {"*"}}};
  std::vector<std::string> ephemeral;        ///< patterns of topics that are not kept, only broadcast
};

}  // namespace waggle::broker
