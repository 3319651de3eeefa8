#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <waggle/fields.hpp>
#include <waggle/wire/manifest.hpp>

/// What the broker's built-in command `waggle.services` answers, and what is looked up in it.
namespace waggle::cli {

struct instance_entry {
  std::string instance;
  std::uint64_t slots = 0;
  std::uint64_t in_flight = 0;
  bool draining = false;
};
WAGGLE_FIELDS(instance_entry, instance, slots, in_flight, draining)

struct service_entry {
  std::string service;
  std::string version;
  std::vector<value> commands;  ///< each a map as in wire/manifest.hpp
  std::vector<instance_entry> instances;
};
WAGGLE_FIELDS(service_entry, service, version, commands, instances)

struct broker_entry {
  std::string instance;
  std::string version;
};
WAGGLE_FIELDS(broker_entry, instance, version)

struct network {
  std::string revision;
  broker_entry broker;
  std::vector<service_entry> services;
};
WAGGLE_FIELDS(network, revision, broker, services)

/// A command and a service that serves it, which is in the network it was looked up in.
struct served_command {
  const service_entry* by;
  command_manifest what;
  std::string_view bytes;  ///< the same, as it was listed
};

/// The commands of one service. One that cannot be read is left out.
[[nodiscard]] std::vector<served_command> commands_of(const service_entry& service);

/// Who serves a command.
[[nodiscard]] std::vector<served_command> find_command(const network& all, std::string_view name);

/// The names of all commands, sorted, each with what it does in one line.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> command_names(const network& all);

/// Leaves only commands whose names begin with a prefix, and services that have any. An empty prefix leaves all there
/// is.
void keep_commands(network& all, std::string_view prefix);

/// The name that is most like a mistyped one; empty if none is like it.
[[nodiscard]] std::string closest(std::string_view name, const std::vector<std::pair<std::string, std::string>>& names);

}  // namespace waggle::cli
