#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>

#include "gateway/front/application.hpp"
#include "gateway/identity/api_keys.hpp"
#include "gateway/identity/identity.hpp"
#include "gateway/identity/token_verifier.hpp"

namespace waggle::gateway {

/// Where API keys are kept, and where a request may show one besides `Authorization: Bearer`.
struct api_keys_config {
  std::shared_ptr<const api_key_set> keys;
  std::string header = "X-Api-Key";
};

/// What is believed of who somebody says he is.
struct identity_config {
  std::shared_ptr<const token_verifier> tokens;  ///< null: none
  std::optional<api_keys_config> api_keys;
};

/// Credentials that are not good.
struct refused_credentials {
  int status = 401;
  std::string_view error;  ///< of RFC 6750, section 3.1; empty: they are of no kind that is taken
  std::string why;         ///< may be shown to the client
};

/// Tokens that have been found good are known again, until they end or the configuration changes: what a signature costs is paid once for each.
inline constexpr std::size_t tokens_remembered_max = 4096;

/// Finds out who makes a request. No clock, socket or thread. One object for one reactor thread.
class authenticator {
 public:
  authenticator() = default;
  explicit authenticator(identity_config from) : from_{std::move(from)} {}

  /// Whether anybody could say who he is.
  [[nodiscard]] bool knows_any() const { return from_.tokens != nullptr || from_.api_keys.has_value(); }

  /// For people: what could be sent.
  [[nodiscard]] std::string wanted() const;

  /// What a request shows, before it has been verified.
  struct credentials {
    std::string_view text;  ///< a token, or an API key
    bool is_api_key = false;
  };
  using found = std::variant<std::monostate, credentials, refused_credentials>;
  /// Nothing (monostate) if it shows none. Only what is configured counts: a header for API keys is none where there are no API keys, and nothing in
  /// a query, which ends in logs and histories, is one.
  [[nodiscard]] found find(const front::request& in) const;

  /// A token that has not been looked at.
  struct not_verified {};
  using verdict = std::variant<identity_ptr, refused_credentials, not_verified>;
  /// Who shows these. Without `may_cost` no signature is verified: API keys and tokens that are known still are.
  [[nodiscard]] verdict verify(const credentials& shown, std::chrono::sys_seconds now, bool may_cost = true);

 private:
  struct remembered {
    identity_ptr who;
    std::chrono::sys_seconds ends;
  };
  struct digest_hash {
    std::size_t operator()(const digest& of) const;
  };
  /// By SHA-256: it takes no token into memory, and how long a look-up takes says nothing of one.
  using memory = std::unordered_map<digest, remembered, digest_hash>;
  [[nodiscard]] const remembered* recall(const digest& token) const;

  identity_config from_;
  memory young_, old_;  ///< when the young are half of all they become the old, whom nobody may have asked for
};

}  // namespace waggle::gateway
