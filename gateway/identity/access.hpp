#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/identity/identity.hpp"

namespace waggle::gateway {

/// Whom something is for.
struct access_rule {
  enum class who : std::uint8_t { anyone, known, scoped };
  who is = who::anyone;
  std::vector<std::string> scopes;  ///< of `scoped`: all of them are needed

  /// As it is written in a configuration.
  [[nodiscard]] std::string written() const;
  /// For `WWW-Authenticate`: the scopes with spaces between them.
  [[nodiscard]] std::string scope() const;
  friend bool operator==(const access_rule&, const access_rule&) = default;
};

enum class admission : std::uint8_t { admitted, unknown, lacking };
/// `unknown`: it is not for who has not said who he is (401). `lacking`: he lacks a scope (403).
[[nodiscard]] admission admit(const access_rule& to, const identity* who);

/// Of `WWW-Authenticate`, RFC 6750, section 3; what is empty is left away. One challenge is enough: an API key may be sent as Bearer, too. `description`
/// is ASCII without " and \.
[[nodiscard]] std::string bearer_challenge(std::string_view error = {}, std::string_view description = {}, std::string_view scope = {});

}  // namespace waggle::gateway
