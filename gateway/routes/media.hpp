#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "gateway/front/application.hpp"

namespace waggle::gateway {

/// The two forms of a payload over HTTP, and the two names of the second; then the two forms of a stream of parts.
enum class reply_format : std::uint8_t { json, vnd_msgpack, msgpack, sse, ndjson };

[[nodiscard]] constexpr std::string_view media_type(reply_format format) {
  switch (format) {
    case reply_format::vnd_msgpack: return "application/vnd.msgpack";
    case reply_format::msgpack: return "application/msgpack";
    case reply_format::sse: return "text/event-stream";
    case reply_format::ndjson: return "application/x-ndjson";
    case reply_format::json: break;
  }
  return "application/json";
}

[[nodiscard]] constexpr bool is_stream(reply_format format) {
  return format == reply_format::sse || format == reply_format::ndjson;
}

/// What the Accept fields ask for (RFC 9110, section 12.5.1): of what is offered the highest quality wins, the first among
/// equals. The first also when there is no Accept, or none of it can be read. Nothing when what can be read rules out all.
[[nodiscard]] std::optional<reply_format> negotiate(const std::vector<front::header>& headers,
                                                    std::span<const reply_format> offered);

/// What a command's reply is offered as.
inline constexpr reply_format whole_formats[] = {reply_format::json, reply_format::vnd_msgpack, reply_format::msgpack};

enum class body_format : std::uint8_t { json, msgpack, other };

/// What a Content-Type says of a body. An absent or empty one means JSON; so does any in UTF-8 or US-ASCII.
[[nodiscard]] body_format body_format_of(std::optional<std::string_view> content_type);

}  // namespace waggle::gateway
