#pragma once

#include <string>
#include <string_view>

#include "gateway/front/application.hpp"
#include "gateway/identity/identity.hpp"
#include "gateway/replies/reply_store.hpp"

namespace waggle::gateway {

/// What an Idempotency-Key is kept under: nobody gets what another's request was answered. `who` is empty for who is not known: then everybody
/// who is not known has the same keys.
[[nodiscard]] digest key_digest(std::string_view who, std::string_view route, std::string_view key);

/// What makes a request the same when it comes again: its method, target, Content-Type and body.
[[nodiscard]] digest request_digest(const front::request& in);

/// Whose keys are his who is known so: an API key's, or a token's issuer and subject, whatever else it says; all its claims, if it names no subject. Empty for
/// null, who is nobody known.
[[nodiscard]] std::string owner_of(const identity* who);

/// The answer to a request whose key has been used before, or cannot be; `found` is not `fresh`.
[[nodiscard]] front::response answer_to_repeated(reserved found);

}  // namespace waggle::gateway
