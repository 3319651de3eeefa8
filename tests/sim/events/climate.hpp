#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <waggle/wire/manifest.hpp>

#include "broker/events/event_core.hpp"
#include "sim/climate.hpp"
#include "sim/random.hpp"

namespace waggle::sim {

/// A consumer group that members of a run may belong to. Its terms are the same whoever joins, so that the books know them.
struct group_plan {
  std::string group;
  std::vector<std::string> patterns;  ///< of topics; each member takes some of them
  bool from_beginning = false;
  std::uint32_t attempts = 8;
  milliseconds budget{};
  milliseconds backoff{};
  milliseconds backoff_max{};
};

/// A command that is called with `later`.
struct command_plan {
  std::string name;
  retry_class retry = retry_class::once;
};

/// What a run with events is like. Each seed has its own: a log with tiny limits, a disk that is full half of the time, or one
/// on which all is well.
struct event_climate {
  climate net;  ///< the network, the broker's limits, and some of the faults
  broker::event_settings events;

  std::vector<std::string> topics;
  std::vector<std::string> ephemeral_topics;
  std::vector<group_plan> groups;
  std::vector<command_plan> commands;

  std::uint32_t emitters = 0, members = 0, operators = 0, clients = 0, subscribers = 0;

  // The disk
  microseconds commit_max{};           ///< how long a commit takes
  std::size_t batch_max = 4096;        ///< entries in one commit
  microseconds answer_max{};           ///< until what came of it is back at the core
  std::uint32_t errors = 0;            ///< of a thousand commits, those that fail for no reason
  std::uint32_t damage = 0;            ///< weight among the faults: a record is damaged

  // Load
  microseconds emit_every{};           ///< of one emitter, on average
  std::uint32_t burst_max = 1;
  std::uint32_t payload_max = 0;
  std::uint32_t keyed = 0;             ///< of a thousand events, those with a key
  std::uint32_t keys = 1;
  std::uint32_t named = 0;             ///< of a thousand, those with an event id; they are sent again when no receipt comes
  std::uint32_t doubled = 0;           ///< of a thousand receipts for such, those that the emitter forgets, and sends again
  std::uint32_t unasked = 0;           ///< of a thousand, those with id 0
  std::uint32_t ephemeral = 0;         ///< of a thousand, those that are not kept
  microseconds later_every{};          ///< of one client
  microseconds operate_every{};        ///< of one operator
  std::uint32_t forget_groups = 0;     ///< of a thousand deeds of operators, those that forget a group

  // What members do
  milliseconds handler_max{};
  std::uint32_t slots_max = 1;
  bool quick = false;                  ///< some members have slots of their own for some groups and commands
  std::uint32_t failures = 0;          ///< of a thousand deliveries, those that fail
  std::uint32_t mute = 0;              ///< that are never answered
  std::uint32_t late = 0;              ///< that are answered after their budget
  std::uint32_t twice = 0;             ///< that are answered twice
  std::uint32_t rejections = 0;        ///< that are not begun, and say so
  std::uint32_t poisoned = 0;          ///< of a thousand events, those that no member ever handles
  std::uint32_t rejoins = 0;           ///< of ten thousand deeds, those that join again with something else

  std::uint32_t pub_sub_losses = 0;    ///< of a thousand broadcasts to one subscriber

  // Faults, by weight; those of `net` count, too
  std::uint32_t power_cuts = 0, disk_full = 0, disk_errors = 0, silences = 0;

  [[nodiscard]] bool is_ephemeral(std::string_view topic) const;
  /// The stream that keeps this topic; empty if none does.
  [[nodiscard]] std::string stream_of(std::string_view topic) const;
  [[nodiscard]] const group_plan* plan_of(std::string_view group) const;
  [[nodiscard]] std::string in_words() const;
};

[[nodiscard]] event_climate event_climate_of(std::uint64_t seed);

/// Said once more and slowly, for the books.
[[nodiscard]] bool pattern_takes(std::string_view pattern, std::string_view topic);

}  // namespace waggle::sim
