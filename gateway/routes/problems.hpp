#pragma once

#include <string_view>

#include <waggle/wire/error.hpp>

#include "gateway/front/application.hpp"

namespace waggle::gateway {

/// A call's error as `application/problem+json` (RFC 9457): `type` about:blank with the HTTP phrase as `title`, the
/// error's message as `detail`, and beside them `code`, `may_have_run` and, if there are any, `errors` with `path` and
/// `message` each. Retry-After in whole seconds, rounded up, when the error says when.
/// `members` are more of them, as JSON text that begins with a comma. `http_status`: another than the error's code stands for.
[[nodiscard]] front::response problem_of(const error& from, std::string_view members = {}, int http_status = 0);

/// The refusal of a request that stands for no call: the same without `code`.
[[nodiscard]] front::response refusal(int http_status, std::string_view detail);

}  // namespace waggle::gateway
