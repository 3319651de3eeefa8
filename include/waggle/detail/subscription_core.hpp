#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <waggle/detail/caller_core.hpp>
#include <waggle/wire/error.hpp>

namespace waggle::detail {

/// An event on its way to whoever has subscribed. Views are good until the next call of the core.
struct subscribed_event {
  std::string_view topic;
  std::string_view payload;   ///< one msgpack value, or empty
  std::string_view headers;   ///< one msgpack map, or empty
  std::string_view stream;    ///< empty: an ephemeral event
  std::uint64_t sequence = 0; ///< in its stream; 0: ephemeral
  std::int64_t time_ms = 0;   ///< since 1970, when it was kept; 0: ephemeral
  std::string_view event_id;
};

/// Where a subscription begins, in each stream.
struct subscription_start {
  enum class kind : std::uint8_t { now, sequence, last, age, positions } from = kind::now;
  std::uint64_t number = 0;                           ///< sequence (0: with the oldest there is), or how many of the last
  std::int64_t age_ms = 0;                            ///< how long ago
  std::map<std::string, std::uint64_t> positions{};   ///< by stream: the last sequence that is known already
};

/// A subscriber's side of events: puts what comes over PUB/SUB and what is read from the broker's log into one sequence, in order and each
/// event once. No socket, clock, thread or log. The owner moves what its SUB socket gets to `receive`, and calls the commands of
/// the broker that `next_request` asks for (`waggle.streams`, `waggle.events`), giving the answers to `answered`. Its sink has
///   on_event(const subscribed_event&)
///   on_error(const error&)      the subscription cannot go on: OUT_OF_RANGE when what it should begin with is not kept any more
///   on_lost(stream, from, to)   events of these sequences cannot be read (damaged, or trimmed meanwhile); what follows goes on
class subscription_core {
 public:
  struct options {
    std::vector<std::string> prefixes{""};
    std::string stream{};              ///< only this one; empty: every stream that has such topics, and ephemeral events
    subscription_start start{};
    std::size_t held_bytes_max = 4u << 20;  ///< live events that wait while the log is read; past it they are dropped, and read later
  };
  /// A call the owner is to make now.
  struct request {
    std::uint64_t id = 0;
    std::string command;
    std::string payload;
  };

  // The builder of the SDK fills this in:
  //   explicit subscription_core(options from);
  //   template <class Sink> void receive(time_point now, std::string_view topic, std::string_view event_frame, Sink&&);
  //   template <class Sink> void answered(time_point now, std::uint64_t id, const result<std::string_view>& payload, Sink&&);
  //   template <class Sink> void tick(time_point now, Sink&&);
  //   std::optional<request> next_request(time_point now);
  //   time_point next_deadline() const;
  //   /// After every event that was given out: what to begin with to get those behind it (`kind::positions`).
  //   const std::map<std::string, std::uint64_t>& positions() const;
  //   bool begun() const;   // it knows where it begins: what is emitted from now on will come
};

}  // namespace waggle::detail
