#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <waggle/wire/manifest.hpp>
#include <waggle/wire/topic.hpp>

#include "broker/events/desk.hpp"

namespace waggle::broker {

/// A consumer group: which topics it handles and how. What it knows of its members is what their manifests said last; it keeps the
/// patterns of members that have gone, whose events wait for somebody else to take them.
class group {
 public:
  struct subscription {
    std::string pattern;
    std::string command;  ///< the directory's name for who takes it
    std::uint64_t budget_ms = 0;
    std::uint32_t attempts = 0;
    std::uint64_t backoff_ms = 0;
    std::uint64_t backoff_max_ms = 0;
    std::uint32_t slots = 0;  ///< of those who take it now
  };
  /// Who is to have an event, and on what terms.
  struct taker {
    std::string_view command;
    const subscription* terms = nullptr;
    std::uint32_t slots = 0;
  };

  /// The group of durable commands has no patterns: whoever serves a command takes it.
  static constexpr std::string_view of_commands = "waggle.later";

  group(desk& with, std::string called) : desk_{with}, name_{std::move(called)}, commands_{name_ == of_commands} {
    if (!commands_) return;
    const auto& from = desk_.settings;
    subscriptions_.push_back({"*", {}, 60'000, from.command_attempts, static_cast<std::uint64_t>(from.backoff.count()),
                              static_cast<std::uint64_t>(from.backoff_max.count()), 0});
  }

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] bool is_of_commands() const { return commands_; }
  [[nodiscard]] const std::vector<subscription>& subscriptions() const { return subscriptions_; }

  /// Returns whether this is something new.
  bool subscribe(const event_manifest& what);
  /// Takes a pattern out that nobody takes any more.
  void unsubscribe(std::string_view pattern) {
    std::erase_if(subscriptions_, [&](const auto& each) { return each.pattern == pattern; });
  }

  [[nodiscard]] bool matches(std::string_view topic) const {
    return std::any_of(subscriptions_.begin(), subscriptions_.end(), [&](const auto& each) { return wire::matches(each.pattern, topic); });
  }
  /// The most specific pattern that matches; the terms when nobody takes it. Null if none does.
  [[nodiscard]] const subscription* terms_of(std::string_view topic) const {
    const auto found = std::find_if(subscriptions_.begin(), subscriptions_.end(), [&](const auto& each) { return wire::matches(each.pattern, topic); });
    return found == subscriptions_.end() ? nullptr : &*found;
  }
  /// Members whose pattern is the most specific among those that somebody takes now.
  [[nodiscard]] std::optional<taker> taker_of(std::string_view topic) const;
  /// Whether anybody is there.
  [[nodiscard]] bool has_members() const { return commands_ || slots() > 0; }
  /// Of its members, those of the pattern that has the most.
  [[nodiscard]] std::uint32_t slots() const {
    std::uint32_t most = 0;
    for (const auto& each : subscriptions_) most = std::max(most, each.slots);
    return most;
  }
  /// Asks who is there.
  void count_members() {
    for (auto& each : subscriptions_) each.slots = commands_ ? 0 : desk_.members.slots_of(each.command);
  }
  /// What topics begin with that it handles.
  [[nodiscard]] std::vector<std::string> prefixes() const;

  /// As the log keeps it.
  [[nodiscard]] std::string to_msgpack() const;
  /// From what `to_msgpack` made; entries that are not understood are left out.
  void read(std::string_view about);

  std::uint64_t dead = 0;  ///< letters

 private:
  void sort();

  desk& desk_;
  std::string name_;
  bool commands_;
  std::vector<subscription> subscriptions_;  ///< the most specific first
};

}  // namespace waggle::broker
