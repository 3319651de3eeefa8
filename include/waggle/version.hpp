#pragma once

#include <string_view>

namespace waggle {

/// Of this library and the programs; the wire protocol has its own number in wire/limits.hpp.
inline constexpr std::string_view version = "0.1.0";

}  // namespace waggle
