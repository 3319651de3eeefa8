#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <waggle/fields.hpp>
#include <waggle/network.hpp>
#include <waggle/wire/manifest.hpp>

/// Looking things up in what the broker's built-in command `waggle.services` answers.
namespace waggle::cli {

using waggle::network;
using service_entry = network_service;
using instance_entry = network_instance;

/// A command and a service that serves it, which is in the network it was looked up in.
struct served_command {
  const service_entry* by;
  command_manifest what;
  std::string_view bytes;  ///< the same, as it was listed
};

/// Events that a service handles, as it says in its manifest.
struct handled_events {
  std::string topic;  ///< a pattern
  std::optional<std::string> group;
  std::optional<std::string> from;
  std::optional<std::uint64_t> budget_ms;
  std::optional<std::uint64_t> attempts;
  std::optional<std::uint64_t> backoff_ms;
  std::optional<std::uint64_t> backoff_max_ms;
  std::optional<std::string> doc;
  std::optional<value> payload;  ///< JSON Schema
};
WAGGLE_FIELDS(handled_events, topic, group, from, budget_ms, attempts, backoff_ms, backoff_max_ms, doc, payload)

/// Those of one service. What cannot be read is left out.
[[nodiscard]] std::vector<handled_events> events_of(const service_entry& service);

/// Who handles events of a topic, or has said this very pattern.
struct served_events {
  const service_entry* by;
  handled_events what;
};
[[nodiscard]] std::vector<served_events> find_handlers(const network& all, std::string_view topic);

/// The commands of one service. One that cannot be read is left out.
[[nodiscard]] std::vector<served_command> commands_of(const service_entry& service);

/// Who serves a command.
[[nodiscard]] std::vector<served_command> find_command(const network& all, std::string_view name);

/// The names of all commands, sorted, each with what it does in one line.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> command_names(const network& all);

/// Leaves only commands and events whose names and topics begin with a prefix, and services that have any. An empty prefix leaves all
/// there is.
void keep_commands(network& all, std::string_view prefix);

/// The name that is most like a mistyped one; empty if none is like it.
[[nodiscard]] std::string closest(std::string_view name, const std::vector<std::pair<std::string, std::string>>& names);

}  // namespace waggle::cli
