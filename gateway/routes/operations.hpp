#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <waggle/wire/error.hpp>

#include "gateway/front/application.hpp"
#include "gateway/routes/router.hpp"

/// Durable commands over HTTP: 202 with the place of the outcome (`Prefer: respond-async`, or a route with `later: true`), and that
/// place, `GET /operations/ID`. No socket, thread or clock.
namespace waggle::gateway {

inline constexpr std::string_view operations_path = "/operations/";
/// The longest `Prefer: wait=N` that is granted.
inline constexpr std::chrono::seconds outcome_wait_max{30};

/// Where the outcome of an operation is: "/operations/ID", percent-encoded.
[[nodiscard]] std::string operation_location(std::string_view operation);

/// The answer to a call that asked for a receipt: 202 and Location; 409 while the command that had the same key has not ended, 422
/// where it had another payload, 501 where the broker keeps nothing.
[[nodiscard]] front::response receipt_answer(const planned_call& call, const result<std::string_view>& payload);

/// What a request for an operation asks of the broker, or its answer when that is nothing (400, 404, 405, 406, OPTIONS). The request's
/// path begins with `operations_path`; `budget` is for the broker's answer, on top of what the client waits for.
[[nodiscard]] planned_request plan_outcome(const front::request& in, std::chrono::milliseconds budget);

/// Its answer: 200 with what the broker said, in which `error` has become a problem (RFC 9457), with Retry-After as long as the command
/// has not ended; 404 for an operation that is not known, or not any more.
[[nodiscard]] front::response outcome_answer(const planned_call& call, const result<std::string_view>& payload);

}  // namespace waggle::gateway
