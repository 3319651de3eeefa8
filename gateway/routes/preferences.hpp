#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "gateway/front/application.hpp"

namespace waggle::gateway {

/// What a client would like and can do without (RFC 7240): `Prefer: respond-async, wait=10`. Of a preference that comes several times the
/// first counts; what is not known here, or cannot be read, is stepped over.
struct preferences {
  bool respond_async = false;
  std::optional<std::chrono::seconds> wait;
};
[[nodiscard]] preferences preferences_of(const std::vector<front::header>& headers);

inline constexpr std::size_t idempotency_key_bytes_max = 255;

/// What `Idempotency-Key` says, plain or as a quoted string (draft-ietf-httpapi-idempotency-key-header has it quoted): nothing if there is
/// none. Otherwise what is wrong with it: it is 1 to `bytes_max` visible characters of ASCII (quoted: and spaces), and comes once.
[[nodiscard]] tl::expected<std::optional<std::string>, std::string> idempotency_key_of(const std::vector<front::header>& headers,
                                                                                       std::size_t bytes_max = idempotency_key_bytes_max);

}  // namespace waggle::gateway
