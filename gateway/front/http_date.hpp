#pragma once

#include <ctime>
#include <string>

namespace waggle::front {

/// An instant as IMF-fixdate (RFC 9110 section 5.6.7), whose names do not follow the locale.
[[nodiscard]] std::string format_http_date(std::time_t at);

}  // namespace waggle::front
