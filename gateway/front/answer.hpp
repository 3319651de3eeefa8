#pragma once

#include <string>
#include <string_view>

#include "gateway/front/application.hpp"

namespace waggle::front {

/// Where an answer's body ends (RFC 9112 section 6.3).
enum class framing {
  sized,        // Content-Length says
  chunked,      // the last chunk says
  until_close,  // the end of the connection says: a streamed answer to HTTP/1.0
};

struct answer_style {
  framing body = framing::sized;
  bool close = false;      // the last answer of its connection
  bool is_http10 = false;  // HTTP/1.0 has to be told when the connection stays
};

/// Whether an answer of this status ever has a body; 204, 205 and 304 do not.
[[nodiscard]] constexpr bool may_have_body(int status) { return status != 204 && status != 205 && status != 304; }

/// Whether the answer can be put on the wire as it is: its status is a final one, and no header has a character that
/// would let whoever chose it write headers, or a whole second answer.
[[nodiscard]] bool is_sendable(const response& answer);

/// Whether the application wants the connection to end with what has been asked so far.
[[nodiscard]] bool asks_to_close(const response& answer);

/// Appends status line and header section, without the body. `date` is an IMF-fixdate; `answer` must be sendable.
void append_head(std::string& out, std::string_view date, const response& answer, const answer_style& how);

/// Appends one chunk (RFC 9112 section 7.1); nothing for no bytes, since an empty chunk would be the last.
void append_chunk(std::string& out, std::string_view bytes);
inline constexpr std::string_view last_chunk = "0\r\n\r\n";

}  // namespace waggle::front
