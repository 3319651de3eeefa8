#pragma once

#include <string>

#include "tools/waggle/session.hpp"

namespace waggle::cli {

/// How a durable command is to be run.
struct later_flags {
  std::string idempotency_key;
  std::string run_budget = "60s";
};

/// Gives a command to the broker to be run later, whatever happens meanwhile, and prints the operation's id.
int call_later(const session& with, const std::string& command, const later_flags& given);

}  // namespace waggle::cli
