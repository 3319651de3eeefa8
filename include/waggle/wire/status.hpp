#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace waggle {

/// How a call ended: the gRPC canonical codes, with their numbers. Wire format: append only.
enum class status : std::uint8_t {
  ok = 0,
  cancelled = 1,
  unknown = 2,
  invalid_argument = 3,
  deadline_exceeded = 4,
  not_found = 5,
  already_exists = 6,
  permission_denied = 7,
  resource_exhausted = 8,
  failed_precondition = 9,
  aborted = 10,
  out_of_range = 11,
  unimplemented = 12,
  internal = 13,
  unavailable = 14,
  data_loss = 15,
  unauthenticated = 16,
};

inline constexpr std::uint64_t status_last = 16;

/// What each status means to whoever gets it. The one table; broker/PROTOCOL.md, the gateway and the CLI show it.
struct status_info {
  status code;
  std::string_view name;     // on the wire, in JSON and in the CLI
  std::string_view meaning;  // one line for people
  bool retryable;            // the same call may succeed later without any change
  int http;                  // as google.rpc maps them
  int exit_code;             // of `waggle call`
};

inline constexpr std::array<status_info, status_last + 1> status_table{{
    {status::ok, "OK", "The call was answered.", false, 200, 0},
    {status::cancelled, "CANCELLED", "The caller gave up.", false, 499, 11},
    {status::unknown, "UNKNOWN", "The worker answered with a status that this peer does not know.", false, 500, 12},
    {status::invalid_argument, "INVALID_ARGUMENT", "The payload or the frame is not what the command takes.", false, 400, 13},
    {status::deadline_exceeded, "DEADLINE_EXCEEDED", "The budget passed before the answer came.", true, 504, 14},
    {status::not_found, "NOT_FOUND", "What the payload names does not exist.", false, 404, 15},
    {status::already_exists, "ALREADY_EXISTS", "What the payload would create exists.", false, 409, 16},
    {status::permission_denied, "PERMISSION_DENIED", "The caller may not do this.", false, 403, 17},
    {status::resource_exhausted, "RESOURCE_EXHAUSTED", "A named limit is reached.", true, 429, 18},
    {status::failed_precondition, "FAILED_PRECONDITION", "The state forbids it until something else has changed.", false, 400, 19},
    {status::aborted, "ABORTED", "A conflict with something at the same time.", true, 409, 20},
    {status::out_of_range, "OUT_OF_RANGE", "Past the end of what there is.", false, 400, 21},
    {status::unimplemented, "UNIMPLEMENTED", "No worker has ever served this command here, or the command lacks this.", false, 501, 22},
    {status::internal, "INTERNAL", "The handler failed; its log says why.", false, 500, 23},
    {status::unavailable, "UNAVAILABLE", "No worker can answer now, or the one that had the call died.", true, 503, 24},
    {status::data_loss, "DATA_LOSS", "Stored data is damaged or gone.", false, 500, 25},
    {status::unauthenticated, "UNAUTHENTICATED", "The caller has not said who it is.", false, 401, 26},
}};

[[nodiscard]] constexpr const status_info& info(status code) {
  const auto index = static_cast<std::size_t>(code);
  return status_table[index <= status_last ? index : static_cast<std::size_t>(status::unknown)];
}

[[nodiscard]] constexpr std::string_view name(status code) { return info(code).name; }

/// The status of a number on the wire. A newer peer may know more of them than we do: those are `unknown`.
[[nodiscard]] constexpr status status_from(std::uint64_t number) {
  return number <= status_last ? static_cast<status>(number) : status::unknown;
}

}  // namespace waggle
