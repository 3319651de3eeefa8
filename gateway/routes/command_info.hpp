#pragma once

#include <optional>
#include <string>

#include <waggle/wire/manifest.hpp>

#include "gateway/routes/schema_check.hpp"
#include "gateway/routes/text_rule.hpp"

namespace waggle::gateway {

/// What a worker's manifest says of a command, its schemas read once. Null schemas: not known, anything.
struct command_info {
  std::string service;
  std::string doc;
  retry_class retry = retry_class::once;
  bool streams = false;
  json_value request;
  json_value reply;
  text_rules rules = rules_of(request);
  std::optional<schema_check> check{};  ///< none if there is no schema, or one that cannot be used
  bool needs_key = false;               ///< a call without a key is refused
};

}  // namespace waggle::gateway
