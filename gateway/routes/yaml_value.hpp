#pragma once

#include <string>

#include <yaml-cpp/yaml.h>
#include <tl/expected.hpp>

namespace waggle::gateway {

struct yaml_fault {
  int line;  // from 1
  std::string message;
};

/// A YAML value as one msgpack value. Numbers, true, false and null are those that JSON writes the same way; what other
/// readers of YAML might take for a number (`0x1f`, `.5`, `1_000`) or for a truth value (`yes`) has to be written
/// plainly or in quotes.
[[nodiscard]] tl::expected<std::string, yaml_fault> msgpack_of(const YAML::Node& node);

}  // namespace waggle::gateway
