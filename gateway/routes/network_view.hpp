#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <waggle/network.hpp>
#include <waggle/wire/error.hpp>
#include <waggle/wire/manifest.hpp>

namespace waggle::gateway {

struct service_view {
  std::string service;
  std::string version;
  std::vector<command_manifest> commands;
  std::vector<network_instance> instances;
};

/// The network as the broker's built-in command `waggle.services` shows it.
struct network_view {
  std::string revision;  ///< changes when anything but `in_flight` does
  network_broker broker;
  std::vector<service_view> services;
};

/// What commands are served, by which versions and how; nothing of the instances that serve them.
[[nodiscard]] std::string what_is_served(const network_view& network);

/// The view from the reply's payload, or INTERNAL with what is wrong and where. Entries of a newer broker that are not
/// known here are stepped over.
[[nodiscard]] result<network_view> read_network_view(std::string_view msgpack);

}  // namespace waggle::gateway
