#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "gateway/identity/verification_key.hpp"

namespace waggle::gateway {

inline constexpr std::size_t key_set_bytes_max = 256u << 10;
inline constexpr std::size_t key_set_keys_max = 64;
inline constexpr std::size_t kid_bytes_max = 256;

/// The keys of one issuer of tokens.
struct key_set {
  struct member {
    std::string kid;  ///< empty: it has none
    verification_key key;
  };
  std::vector<member> keys;
  std::vector<std::string> left_out;  ///< for the log: keys that nothing can be verified with here, and why
};

/// A JWK Set (RFC 7517): RSA, EC on P-256, OKP of Ed25519, oct. As section 5 asks for, a key of another type, curve, algorithm or use is left
/// out, for an issuer's set may hold keys for others. All that is wrong with a key of a type that is known is an error, and so is one that
/// holds its private part, which has no business here. The errors say what to do and do not repeat keys.
[[nodiscard]] tl::expected<key_set, std::vector<std::string>> read_key_set(std::string_view json);

}  // namespace waggle::gateway
