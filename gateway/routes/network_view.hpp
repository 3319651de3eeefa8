#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <waggle/wire/error.hpp>
#include <waggle/wire/manifest.hpp>

namespace waggle::gateway {

/// One process that serves a service.
struct instance_view {
  std::string instance;
  std::uint64_t slots = 0;
  std::uint64_t in_flight = 0;
  bool draining = false;
};

struct service_view {
  std::string service;
  std::string version;
  std::vector<command_manifest> commands;
  std::vector<instance_view> instances;
};

/// The network as the broker's built-in command `waggle.services` shows it.
struct network_view {
  std::string revision;  ///< changes when anything but `in_flight` does
  std::string broker_instance;
  std::string broker_version;
  std::vector<service_view> services;
};

/// The view from the reply's payload, or INTERNAL with what is wrong and where. Entries of a newer broker that are not
/// known here are stepped over.
[[nodiscard]] result<network_view> read_network_view(std::string_view msgpack);

}  // namespace waggle::gateway
