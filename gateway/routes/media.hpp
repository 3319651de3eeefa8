#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "gateway/front/application.hpp"

namespace waggle::gateway {

/// The two forms of a payload over HTTP, and the two names of the second.
enum class reply_format : std::uint8_t { json, vnd_msgpack, msgpack };

[[nodiscard]] constexpr std::string_view media_type(reply_format format) {
  switch (format) {
    case reply_format::vnd_msgpack: return "application/vnd.msgpack";
    case reply_format::msgpack: return "application/msgpack";
    case reply_format::json: break;
  }
  return "application/json";
}

/// What the Accept fields ask for (RFC 9110, section 12.5.1): the highest quality wins, JSON among equals. JSON also
/// when there is no Accept, or none of it can be read. Nothing when what can be read rules out all of them.
[[nodiscard]] std::optional<reply_format> negotiate(const std::vector<front::header>& headers);

enum class body_format : std::uint8_t { json, msgpack, other };

/// What a Content-Type says of a body. An absent or empty one means JSON; so does any in UTF-8 or US-ASCII.
[[nodiscard]] body_format body_format_of(std::optional<std::string_view> content_type);

}  // namespace waggle::gateway
