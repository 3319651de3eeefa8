#pragma once

#include <vector>

#include "gateway/front/application.hpp"

namespace waggle::gateway {

/// Which codings a client takes (RFC 9110 section 12.5.3): of those that there are here.
struct accepted_codings {
  bool gzip = false;     ///< and does not like the bytes as they are better
  bool identity = true;  ///< the bytes as they are
};
[[nodiscard]] accepted_codings accepted_codings_of(const std::vector<front::header>& headers);

}  // namespace waggle::gateway
