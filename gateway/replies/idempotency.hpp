#pragma once

#include <string>
#include <string_view>

#include "gateway/front/application.hpp"
#include "gateway/replies/reply_store.hpp"

namespace waggle::gateway {

/// What an Idempotency-Key is kept under: nobody gets what another's request was answered. `who` is empty for who is not known: then everybody
/// who is not known has the same keys.
[[nodiscard]] digest key_digest(std::string_view who, std::string_view route, std::string_view key);

/// What makes a request the same when it comes again: its method, target, Content-Type and body.
[[nodiscard]] digest request_digest(const front::request& in);

/// Who a verified token is of, whatever else it says: its issuer and subject. All its claims, if it names no subject; empty without claims (a msgpack map).
[[nodiscard]] std::string whose_claims(std::string_view claims);

/// The answer to a request whose key has been used before, or cannot be; `found` is not `fresh`.
[[nodiscard]] front::response answer_to_repeated(reserved found);

}  // namespace waggle::gateway
