#pragma once

#include <optional>
#include <string>

#include "gateway/front/application.hpp"
#include "gateway/replies/codings.hpp"
#include "gateway/replies/gzip.hpp"

namespace waggle::gateway {

inline constexpr std::size_t compress_bytes_min = 1024;
/// What is larger leaves as it is: it is compressed in the thread in which others wait (a MiB of JSON takes some 8 ms).
inline constexpr std::size_t compress_bytes_max = 1u << 20;

/// What of a request decides about the form of its answer.
struct reply_wishes {
  bool is_get = false;  ///< or HEAD
  accepted_codings codings;
  std::string if_none_match;  ///< all its fields; empty: there is none
};
[[nodiscard]] reply_wishes reply_wishes_of(const front::request& in);

/// What the route, and who asks, have to say about it.
struct reply_terms {
  std::string cache_control{};  ///< of answers 200 to GET; empty: `no-cache`, which lets caches keep it and ask each time whether it has changed
  bool compress = true;
  bool is_private = false;    ///< it is made for who asks
  std::string vary{};         ///< the headers by which that is known, as Vary lists them; empty: nobody is known here
};

/// The last that happens to a whole answer before it is sent:
///
/// - Cache-Control: what the answer has itself, or of 200 to GET what the route says, or of all others `no-store`.
/// - ETag of 200 to GET: what the answer has itself, or one made from its bytes. What If-None-Match names becomes 304.
/// - gzip, where it is accepted, allowed and worth it.
/// - Vary, for all of these.
void finish_reply(front::response& answer, const reply_wishes& wishes, const reply_terms& terms, gzip& with);

}  // namespace waggle::gateway
