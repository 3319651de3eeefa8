#pragma once

#include <string>
#include <vector>

#include "gateway/routes/router.hpp"
#include "tools/waggle/text.hpp"

/// What `waggle routes` prints.
namespace waggle::cli {

/// A route in a list.
struct listed_route {
  std::string route;  ///< as in "GET /things/{id}"
  std::string aims;   ///< the commands and topics that it names
  std::string when;   ///< its conditions
  std::string from;   ///< FILE:LINE, or "service NAME"
};

[[nodiscard]] std::vector<listed_route> listed_routes(const gateway::router& all);
[[nodiscard]] std::string routes_text(const std::vector<listed_route>& all, const screen& on);
[[nodiscard]] std::string routes_json(const std::vector<listed_route>& all);

/// What one request would come to. `config` is that of the router, for what a route says besides.
[[nodiscard]] std::string explanation_text(const gateway::explanation& what, const gateway::config& config, const screen& on);
[[nodiscard]] std::string explanation_json(const gateway::explanation& what, const gateway::config& config);

}  // namespace waggle::cli
