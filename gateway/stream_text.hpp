#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "gateway/routes/media.hpp"

namespace waggle::gateway {

/// What a streamed answer is made of: any number of parts, then the reply or an error.
enum class stream_item : std::uint8_t { part, reply, error };

/// One item, whose value is `json` (which has no line end in it). As Server-Sent Events a part is a plain message, the end has the
/// event `reply` or `error`; as lines each is an object with one entry, `part`, `reply` or `error`. A stream without its end was
/// cut off.
[[nodiscard]] inline std::string stream_text(reply_format as, stream_item what, std::string_view json) {
  const std::string_view name = what == stream_item::part ? "part" : what == stream_item::reply ? "reply" : "error";
  std::string out;
  if (as == reply_format::ndjson) {
    out += "{\"";
    out += name;
    out += "\":";
    out += json;
    return out += "}\n";
  }
  if (what != stream_item::part) {
    out += "event: ";
    out += name;
    out += '\n';
  }
  out += "data: ";
  out += json;
  return out += "\n\n";
}

}  // namespace waggle::gateway
