#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

namespace waggle::gateway {

/// What a token may be signed with (RFC 7518, RFC 8037).
enum class jws_algorithm : std::uint8_t { hs256, rs256, es256, eddsa };

/// As in a token's header: "HS256". RFC 9864's "Ed25519" is another name of EdDSA with the one curve that is taken.
[[nodiscard]] std::string_view name(jws_algorithm of);
[[nodiscard]] std::optional<jws_algorithm> jws_algorithm_of(std::string_view name);

inline constexpr std::size_t secret_bytes_min = 32;  ///< RFC 7518, section 3.2
inline constexpr std::size_t secret_bytes_max = 4096;
inline constexpr int rsa_bits_min = 2048;            ///< RFC 7518, section 3.3
inline constexpr int rsa_bits_max = 8192;            ///< a verification costs with their square

/// One key that verifies signatures, with the one algorithm that is its own: whatever a token says, nothing else is done with it
/// (RFC 8725, section 3.1). Immutable: any number of threads may verify at once.
class verification_key {
 public:
  /// The error says what is wrong and what to do; it does not repeat the key.
  using made = tl::expected<verification_key, std::string>;

  static made from_secret(std::string secret);
  /// `pem` is one public key. RS256 wants RSA of 2048 to 8192 bits, ES256 one on P-256, EdDSA one of Ed25519.
  static made from_pem(jws_algorithm algorithm, const std::string& pem);
  /// The members of a JWK (RFC 7518, section 6; RFC 8037, section 2), decoded.
  static made from_rsa(std::string_view n, std::string_view e);
  static made from_p256(std::string_view x, std::string_view y);
  static made from_ed25519(std::string_view x);

  [[nodiscard]] jws_algorithm algorithm() const { return algorithm_; }
  /// Whether `signature`, as JWS has it, is this key's of `text`.
  [[nodiscard]] bool verifies(std::string_view text, std::string_view signature) const;

 private:
  struct material;
  verification_key(jws_algorithm algorithm, std::shared_ptr<const material> of) : algorithm_{algorithm}, of_{std::move(of)} {}

  jws_algorithm algorithm_;
  std::shared_ptr<const material> of_;
};

}  // namespace waggle::gateway
