#pragma once

#include <string_view>

#include "gateway/front/application.hpp"

namespace waggle::front {

/// The phrase that goes with a status code (RFC 9110 section 15), "Unknown" for one that has none.
[[nodiscard]] std::string_view reason_phrase(int status);

/// An error answer as `application/problem+json` (RFC 9457) with `type` about:blank, and the reason phrase as `title`.
/// `detail` is shown to the client: it must say nothing about the inside of this program.
[[nodiscard]] response problem(int status, std::string_view detail);

}  // namespace waggle::front
