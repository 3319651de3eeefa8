#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
