#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "gateway/identity/key_set.hpp"

namespace waggle::gateway {

/// How far a token's maker's clock may be from ours.
inline constexpr std::chrono::seconds token_leeway_default{60};
inline constexpr std::chrono::seconds token_leeway_max{300};
inline constexpr std::size_t token_issuers_max = 16;
/// So many keys are tried for a token that names none, or one that several have.
inline constexpr std::size_t token_keys_tried_max = 8;

/// One issuer of tokens that are taken.
struct token_issuer {
  std::shared_ptr<const key_set> keys;
  std::string issuer;    ///< what `iss` has to be; empty: anything but what another issuer's is
  std::string audience;  ///< what `aud` has to hold; empty: anything
  std::chrono::seconds leeway = token_leeway_default;
  std::vector<std::string> scopes_claim;  ///< the path to the claim that lists scopes; empty: `scope`, or else `scp`
};

/// Verifies JSON Web Tokens as RFC 8725 asks for: whose keys count is configured, a key has one algorithm, and nothing in a token brings a key.
/// Immutable: any number of threads may verify at once.
class token_verifier {
 public:
  explicit token_verifier(std::vector<token_issuer> issuers) : issuers_{std::move(issuers)} {}

  struct verified {
    std::string claims;                ///< one msgpack map
    std::chrono::sys_seconds ends;     ///< when the token is not good any more, its issuer's leeway included
    const token_issuer* by = nullptr;  ///< of this verifier
  };
  /// What `token` (that stands after "Bearer ") claims, or why it is not good: a text that may be shown to the client.
  ///
  /// `exp` must be there and not be over; `nbf` and `iat`, if there, must have come; each with its issuer's leeway. A key that is tried has the
  /// algorithm that the token names and, where both have one, its `kid`; `iss` and `aud` are checked against the issuer whose key it was.
  [[nodiscard]] tl::expected<verified, std::string> verify(std::string_view token, std::chrono::sys_seconds now) const;

 private:
  struct claims_read;
  [[nodiscard]] const char* wrong_with(const claims_read& of, const token_issuer& by, std::chrono::sys_seconds now) const;

  std::vector<token_issuer> issuers_;
};

}  // namespace waggle::gateway
