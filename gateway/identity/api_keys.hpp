#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <tl/expected.hpp>

#include "gateway/identity/identity.hpp"

namespace waggle::gateway {

/// An API key is `wgl_<id>_<secret>`, both of a to z and 2 to 7: 40 bits to be found by, and 200 bits from the system's generator that nobody
/// can guess. That is why their SHA-256 is enough to keep, as NIST SP 800-63B, section 5.1.2.2, has it for secrets of 112 bits and more: a slow hash makes
/// guessing cost more, which is of use only where there is something to guess, and would cost as much with each request.
inline constexpr std::string_view api_key_prefix = "wgl_";
inline constexpr std::size_t api_key_id_bytes = 8;
inline constexpr std::size_t api_key_secret_bytes = 40;
inline constexpr std::size_t api_key_bytes = api_key_prefix.size() + api_key_id_bytes + 1 + api_key_secret_bytes;

using digest = std::array<unsigned char, 32>;
[[nodiscard]] digest sha256(std::string_view bytes);

/// What a file of API keys says of one.
struct api_key {
  std::string id;
  std::string name;                 ///< whose it is, for people
  digest hash{};                    ///< SHA-256 of the secret's text
  std::vector<std::string> scopes;
  std::chrono::sys_seconds created{};
  std::optional<std::chrono::sys_seconds> expires, revoked;
  std::string claims;               ///< more of them, one msgpack map; empty: none
};

inline constexpr std::size_t api_keys_max = 65'536;             ///< in a file
inline constexpr std::size_t api_keys_bytes_max = 32u << 20;    ///< of a file
inline constexpr std::size_t api_key_name_bytes_max = 128;
inline constexpr std::size_t api_key_scopes_max = 64;

/// Reads a file of API keys: JSON Lines, a key each; empty lines, and those that begin with #, are stepped over. Errors are "LINE: what is wrong; what to do".
[[nodiscard]] tl::expected<std::vector<api_key>, std::vector<std::string>> read_api_keys(std::string_view text);
/// One line of such a file, without its end.
[[nodiscard]] std::string written(const api_key& key);

/// A new key's id and secret, of 30 bytes from the system's generator.
struct api_key_texts {
  std::string id, secret;
  [[nodiscard]] std::string whole() const { return std::string{api_key_prefix} + id + '_' + secret; }
};
[[nodiscard]] api_key_texts make_api_key(const std::array<unsigned char, 30>& random);

/// The API keys that are taken. Immutable: any number of threads may look at once.
class api_key_set {
 public:
  explicit api_key_set(std::vector<api_key> keys);

  /// Who presents `key`, or why it is not good: a text that may be shown to the client. That a key is revoked or has expired is said only to who has it.
  /// An id that is not known costs what one costs that is.
  [[nodiscard]] tl::expected<identity_ptr, const char*> find(std::string_view key, std::chrono::sys_seconds now) const;

 private:
  struct entry {
    digest hash{};
    std::optional<std::chrono::sys_seconds> expires;
    bool revoked = false;
    identity_ptr who;
  };
  std::unordered_map<std::string, entry> keys_;  ///< by id
};

}  // namespace waggle::gateway
