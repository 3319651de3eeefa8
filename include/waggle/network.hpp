#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <waggle/fields.hpp>

/// What the broker's built-in command `waggle.services` answers (broker/PROTOCOL.md, "Built-in commands").
namespace waggle {

/// One process that serves a service.
struct network_instance {
  std::string instance;
  std::uint64_t slots = 0;
  std::uint64_t in_flight = 0;
  bool draining = false;
  std::optional<std::uint64_t> quick_slots{};  ///< if it has slots of their own for quick handlers; `slots` are for the others then
  std::optional<std::uint64_t> quick_in_flight{};
};
WAGGLE_FIELDS(network_instance, instance, slots, in_flight, draining, quick_slots, quick_in_flight)

struct network_service {
  std::string service;
  std::string version;
  std::vector<value> commands;  ///< each a map as `wire::read_commands` reads them
  std::vector<network_instance> instances;
  std::optional<std::vector<value>> events{};  ///< what it handles, each a map as in a manifest's `events`; older brokers do not say
};
WAGGLE_FIELDS(network_service, service, version, commands, instances, events)

struct network_broker {
  std::string instance;
  std::string version;
};
WAGGLE_FIELDS(network_broker, instance, version)

struct network {
  std::string revision;  ///< changes when anything but `in_flight` does
  network_broker broker;
  std::vector<network_service> services;
};
WAGGLE_FIELDS(network, revision, broker, services)

}  // namespace waggle
