#pragma once

#include <string_view>
#include <vector>

#include "gateway/routes/source.hpp"

namespace waggle::gateway {

/// A step that a jq program speaks of: `.step.NAME`, `.step["NAME"]`, and the same of `.error`.
struct jq_reference {
  source::part of;        ///< step or error
  std::string_view name;  ///< within the program's text
  bool alone;             ///< nothing stands before it that would make it an entry of something else, as in `.body.step.x`
};

/// What can be seen in the text. A program that comes to a step in another way (`.step | to_entries`) is given those steps only that
/// it names somewhere.
[[nodiscard]] std::vector<jq_reference> jq_references(std::string_view program);

}  // namespace waggle::gateway
