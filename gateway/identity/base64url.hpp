#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace waggle::gateway {

/// RFC 7515, section 2: the URL's alphabet, no padding; and one text only for equal bytes.
[[nodiscard]] std::optional<std::string> base64url_decode(std::string_view text);

}  // namespace waggle::gateway
