#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "gateway/routes/config.hpp"

namespace waggle::gateway {

inline constexpr std::size_t token_bytes_max = 8192;
/// How far a token's maker's clock may be from ours.
inline constexpr std::chrono::seconds token_leeway{60};

/// Verifies JSON Web Tokens (RFC 7519, compact form) as RFC 8725 asks for: the configuration names the one algorithm and the
/// one key, and nothing in a token chooses another. Immutable: any number of threads may verify at once.
class token_verifier {
 public:
  /// The error says what is wrong with the configuration; it does not repeat the key. HS256 wants a secret of at least 32
  /// bytes (RFC 7518, section 3.2), RS256 a public RSA key of at least 2048 bits, ES256 one on P-256, both in PEM.
  [[nodiscard]] static tl::expected<token_verifier, std::string> make(const tokens_config& from);

  /// The claims of `token` (what stands after "Bearer ") as one msgpack map, or why it is not good: a fixed text that may be
  /// shown to the client.
  ///
  /// `exp` must be there and not be over; `nbf`, if there, must have come; each with `token_leeway`. `iss` and `aud` must be
  /// what is configured, if anything is.
  [[nodiscard]] tl::expected<std::string, std::string> verify(std::string_view token, std::chrono::sys_seconds now) const;

 private:
  struct key;
  token_verifier(std::shared_ptr<const key> of, std::string issuer, std::string audience);

  std::shared_ptr<const key> key_;
  std::string issuer_, audience_;
};

}  // namespace waggle::gateway
