#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <waggle/detail/subscription_core.hpp>
#include <waggle/fields.hpp>
#include <waggle/wire/headers.hpp>

namespace waggle {

/// One event, as a subscriber gets it.
struct event {
  std::string topic;
  std::string payload;         ///< one msgpack value
  header_map headers{};
  std::uint64_t sequence = 0;  ///< in its stream; 0: an ephemeral event, which is in none
  std::string stream{};
  std::chrono::system_clock::time_point time{};  ///< when the broker kept it; 1970 for an ephemeral one
  std::string id{};            ///< that its emitter has given it (`event_id`), if any

  /// The payload as a type.
  template <payload_type Type>
  [[nodiscard]] result<Type> as() const { return read_payload<Type>(payload); }
};

/// Events that a subscriber wanted and that may be missing: damaged on the broker's disk, or trimmed before they could be read.
struct lost_events {
  std::string stream;
  std::uint64_t from = 0;
  std::uint64_t to = 0;  ///< 0: nobody knows; the broker's log is another one than before, and its sequences have begun again
};

/// Where a subscription begins.
struct event_start {
  std::string stream{};  ///< only this one; empty: every stream that has such topics, and ephemeral events
  detail::subscription_start at{};
};

/// With what is emitted once the subscriber is open.
[[nodiscard]] inline event_start from_now() { return {}; }

/// With this event of a stream; 0 for the oldest there is. Without a stream there must be only one that has such topics.
[[nodiscard]] inline event_start from_sequence(std::string stream, std::uint64_t sequence) {
  event_start out{std::move(stream)};
  out.at.from = detail::subscription_start::kind::sequence;
  out.at.number = sequence;
  return out;
}

/// With the last so many that there are, in each stream.
[[nodiscard]] inline event_start last(std::uint64_t count) {
  event_start out;
  out.at.from = detail::subscription_start::kind::last;
  out.at.number = count;
  return out;
}

/// With those that are not older than this.
[[nodiscard]] inline event_start since(std::chrono::milliseconds age) {
  event_start out;
  out.at.from = detail::subscription_start::kind::age;
  out.at.age_ms = age.count();
  return out;
}

/// Where another subscriber was: behind what `subscriber::positions` said.
[[nodiscard]] inline event_start behind(std::map<std::string, std::uint64_t> positions) {
  event_start out;
  out.at.from = detail::subscription_start::kind::positions;
  out.at.positions = std::move(positions);
  return out;
}

}  // namespace waggle
