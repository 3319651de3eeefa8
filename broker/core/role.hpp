#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <waggle/wire/manifest.hpp>
#include <waggle/wire/topic.hpp>

namespace waggle::broker {

/// What a peer may do (broker/PROTOCOL.md, "Security"). Patterns are as of topics; what is not said is not allowed. Those of a list do not
/// reach the broker's own names ("waggle."), unless they begin so.
struct role {
  std::string name;
  std::vector<std::string> serve{};      ///< commands
  std::vector<std::string> call{};       ///< commands, the broker's own among them
  std::vector<std::string> publish{};    ///< topics
  std::vector<std::string> subscribe{};  ///< topics, also for its consumer groups
  std::vector<std::string> groups{};     ///< consumer groups that it may be a member of; empty: any
  bool claims = false;                 ///< may say for which user it calls (the header `claims`)

  friend bool operator==(const role&, const role&) = default;

  [[nodiscard]] static bool allows(const std::vector<std::string>& patterns, std::string_view name) {
    return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& each) {
      return wire::matches(each, name) && (!name.starts_with("waggle.") || each.starts_with("waggle."));
    });
  }

  [[nodiscard]] bool may_call(std::string_view command) const {
    // What every peer needs to find its way. What they tell of events follows `subscribe`, and an operation's id cannot be guessed.
    constexpr std::array<std::string_view, 5> open{"waggle.ping", "waggle.services", "waggle.streams", "waggle.events", "waggle.outcome"};
    return allows(call, command) || std::find(open.begin(), open.end(), command) != open.end();
  }
  [[nodiscard]] bool may_publish(std::string_view topic) const { return allows(publish, topic); }
  [[nodiscard]] bool may_see(std::string_view topic) const { return allows(subscribe, topic); }
  /// Whether there may be a topic that begins so and that it may see.
  [[nodiscard]] bool may_see_any(std::string_view prefix) const {
    return std::any_of(subscribe.begin(), subscribe.end(), [&](const std::string& each) { return wire::overlap(each, std::string{prefix} + '*'); });
  }
  /// Whether it may be the member of the group that takes the events of this pattern.
  [[nodiscard]] bool may_handle(std::string_view group, std::string_view pattern) const {
    return (groups.empty() || allows(groups, group)) &&
           std::any_of(subscribe.begin(), subscribe.end(), [&](const std::string& each) { return wire::covers(each, pattern); });
  }

  /// The first thing that a worker says of itself and that it may not, as in `serve "order.place"`.
  [[nodiscard]] std::optional<std::string> refusal_of(const manifest& wanted) const {
    for (const auto& each : wanted.commands) {
      if (!allows(serve, each.name)) return "serve \"" + each.name + '"';
    }
    for (const auto& each : wanted.events) {
      const auto& group = each.group.empty() ? wanted.service : each.group;
      if (!may_handle(group, each.topic)) return "handle events of \"" + each.topic + "\" for the group \"" + group + '"';
    }
    return std::nullopt;
  }
};

/// Who a peer is by its key.
struct identity {
  std::string name;  ///< of the key, for people
  std::shared_ptr<const role> may;
  std::string events_out{};  ///< where those of its role subscribe; empty: it may see no events
};

}  // namespace waggle::broker
