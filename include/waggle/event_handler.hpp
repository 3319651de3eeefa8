#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include <waggle/detail/handler.hpp>
#include <waggle/wire/manifest.hpp>

namespace waggle {

/// What a service says of events that it handles; goes into its manifest. Each event goes to one of the instances that are a group, at
/// least once, and those of one key in order. A handler that fails gets the event again, later and later; after its last attempt the
/// event is a dead letter, which `waggle dead` shows.
class event_handler {
 public:
  /// One sentence, for `waggle describe`.
  event_handler& doc(std::string text) { return manifest_.doc = std::move(text), *this; }
  /// Services of one group share the events among them; named like the service if not said.
  event_handler& group(std::string name) { return manifest_.group = std::move(name), *this; }
  /// A group that is new begins with the oldest event there is; otherwise with what is emitted from then on.
  event_handler& from_beginning() { return manifest_.from_beginning = true, *this; }
  /// How long one attempt may take (a minute, if not said; at most a day).
  event_handler& budget(std::chrono::milliseconds time) { return manifest_.budget_ms = count(time), *this; }
  /// Deliveries before an event becomes a dead letter (8, if not said; 1 to 100).
  event_handler& attempts(std::uint32_t count) { return manifest_.attempts = count, *this; }
  /// The pause before the second attempt, which doubles with each, and what it never is more than (1 s to 5 min, if not said).
  event_handler& backoff(std::chrono::milliseconds first, std::chrono::milliseconds max) {
    manifest_.backoff_ms = count(first);
    manifest_.backoff_max_ms = count(max);
    return *this;
  }
  /// It runs on the thread of the connection, as a `command::quick` does, and must end within microseconds.
  event_handler& quick() { return manifest_.quick = true, *this; }

 private:
  friend class service;
  static std::uint64_t count(std::chrono::milliseconds time) { return static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0)); }

  event_manifest manifest_;
  detail::bytes_handler handler_;
};

}  // namespace waggle
