#pragma once

#include <string_view>

#include "gateway/front/application.hpp"

namespace waggle::front {

/// An error answer as `application/problem+json` (RFC 9457) with `type` about:blank, and the reason phrase as `title`.
/// `detail` is shown to the client: it must say nothing about the inside of this program.
[[nodiscard]] response problem(int status, std::string_view detail);

}  // namespace waggle::front
