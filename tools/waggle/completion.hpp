#pragma once

#include <string_view>

namespace waggle::cli {

/// The script that makes a shell ("bash", "zsh" or "fish") complete `waggle`; empty for others.
[[nodiscard]] std::string_view completion_script(std::string_view shell);

}  // namespace waggle::cli
