#pragma once

#include <string_view>

#include "gateway/front/application.hpp"
#include "gateway/routes/media.hpp"
#include "gateway/routes/route_table.hpp"

namespace waggle::gateway {

/// The answer 200 with a value in the form the client wants; 500 if it is not one msgpack value, or none that JSON can say. `of`
/// is the command or route that the value comes from.
[[nodiscard]] front::response reply_of(std::string_view msgpack, reply_format as, std::string_view of);

/// What a route says about itself in every answer: Deprecation (RFC 9745), Sunset (RFC 8594), Link, and Vary.
void add_route_headers(const route& of, front::response& to);

}  // namespace waggle::gateway
