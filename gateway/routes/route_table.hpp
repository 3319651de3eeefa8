#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/routes/config.hpp"
#include "gateway/routes/decode.hpp"
#include "gateway/routes/network_view.hpp"
#include "gateway/routes/payload.hpp"

namespace waggle::gateway {

/// What a worker's manifest says of a command, its schemas read once. Null schemas: not known, anything.
struct command_info {
  std::string service;
  std::string doc;
  retry_class retry = retry_class::once;
  bool streams = false;
  json_value request;
  json_value reply;
  text_rules rules = rules_of(request);
};

struct route {
  route_config what;
  std::string text;                             ///< as in "GET /things/{id}"
  bool configured = false;                      ///< by a file, not by a manifest
  std::shared_ptr<const command_info> command;  ///< null when no worker serves it
  payload_plan plan;
};

inline constexpr std::size_t routes_max = 65'536;

/// All the routes there are, and which of them a request takes. A text in a path is preferred to a parameter, from the
/// left; among the routes of the request's method only.
class route_table {
 public:
  /// Routes of the configuration stand before those of manifests with the same method and path. Of two manifests the
  /// one whose service comes first by name and version keeps the route. Each route that is left out for another reason
  /// than the configuration is told of in `warnings`.
  route_table(const config& routes, const network_view& network, std::vector<std::string>& warnings);

  struct found {
    const route* taken = nullptr;
    /// Of the paths' routes, as in "GET, HEAD, OPTIONS"; empty when the path has none. Filled when `taken` is null.
    std::string allow;
  };
  /// GET's routes also take HEAD.
  [[nodiscard]] found find(std::string_view method, const decoded_path& path) const;
  /// The methods of all routes, as in `allow`.
  [[nodiscard]] std::string methods() const;

  [[nodiscard]] const std::vector<route>& routes() const { return routes_; }

 private:
  static constexpr std::uint32_t none = ~std::uint32_t{0};
  struct node {
    std::map<std::string, std::uint32_t, std::less<>> texts;
    std::uint32_t parameter = none;
    std::vector<std::uint32_t> routes;  // that end here, one for each method
  };

  /// The route that stands in the way, or null.
  const route* add(route_config what, bool configured, std::shared_ptr<const command_info> command);

  std::vector<node> nodes_{1};
  std::vector<route> routes_;
};

}  // namespace waggle::gateway
