#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "gateway/identity/verification_key.hpp"

namespace waggle::gateway {

inline constexpr std::size_t token_bytes_max = 8192;

/// A JSON Web Token (RFC 7519) in the compact form, taken apart. Nothing of it is verified.
struct json_web_token {
  jws_algorithm algorithm{};
  std::optional<std::string> kid;
  std::string_view text;  ///< that is signed; of the token
  std::string signature;
  std::string claims;     ///< JSON text, as sent
};

/// Takes what stands after "Bearer ", or says why it cannot be a token that is taken: a fixed text that may be shown to the client.
///
/// Of the header only `alg`, `typ` and `kid` are used. `jwk`, `jku`, `x5u` and `x5c` would bring a key along: they are not looked at. What would make the
/// token something else than it looks is refused: `crit`, `b64`, `zip`, `enc`, a nested token, a `typ` of another kind of token.
[[nodiscard]] tl::expected<json_web_token, const char*> take_apart(std::string_view token);

}  // namespace waggle::gateway
