#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

namespace waggle::gateway {

/// Claims go along with calls, as JSON: with the longest key, ids and trace they fit the 8 KiB of a call's headers.
inline constexpr std::size_t claims_bytes_max = 6144;

/// Who makes a request, as far as it has been verified. Immutable, and shared by all that is done for him.
struct identity {
  std::string claims;               ///< one msgpack map
  std::string claims_json;          ///< the same, for the calls' header `claims`
  std::string subject;              ///< the claim `sub`; may be empty
  std::vector<std::string> scopes;  ///< what he may do; sorted, each once
  std::string key_id;               ///< of an API key; empty: it was something else

  [[nodiscard]] bool has_scope(std::string_view scope) const;
};
/// Null: nobody has said who he is.
using identity_ptr = std::shared_ptr<const identity>;

/// `claims` is one msgpack map. Scopes stand under the path `scopes_claim`, or, where that is empty, in `scope` (RFC 9068), or else in `scp`: a text with spaces
/// between them, or a list of texts. An error, which may be shown to the client: the claims are larger than `claims_bytes_max` as JSON.
[[nodiscard]] tl::expected<identity_ptr, std::string> make_identity(std::string claims, std::span<const std::string> scopes_claim = {}, std::string key_id = {});

/// RFC 6749, section 3.3: what a scope is written with.
[[nodiscard]] bool is_scope(std::string_view text);

}  // namespace waggle::gateway
