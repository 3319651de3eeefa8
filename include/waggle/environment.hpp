#pragma once

#include <cstdlib>
#include <string>

namespace waggle {

inline constexpr const char* default_broker = "tcp://127.0.0.1:5555";

/// A variable of the environment, or what holds when it is not set or empty.
[[nodiscard]] inline std::string environment(const char* name, const char* otherwise) {
  const char* const value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

}  // namespace waggle
