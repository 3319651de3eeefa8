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
#include "gateway/routes/route_plan.hpp"

namespace waggle::gateway {

struct route {
  route_config what;
  std::string text;         ///< as in "GET /things/{id}"
  std::string vary;         ///< the request headers that decide what the answer is
  bool configured = false;  ///< by a file, not by a manifest
  access_rule access;       ///< whom it is for
  std::shared_ptr<const route_plan> plan;
  std::vector<text_plan> conditions;  ///< of `what.when`, in that order
  bool simple = false;      ///< one call whose reply is the answer
  bool cached = false;      ///< `what.cache`, and every command that it may call is `safe`

  /// Of a simple route, for people and documents: what its (first) command's manifest says; null if nothing.
  [[nodiscard]] const command_info* command() const;
  /// The commands and topics that it names, as in "a.b, c.d".
  [[nodiscard]] std::string aims() const;
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
    /// The path has routes for this method, but all have conditions that do not hold: what these look at, each once.
    std::vector<const source*> unmet;
  };
  /// GET's routes also take HEAD. Of routes with the same path the first whose conditions hold is taken.
  [[nodiscard]] found find(const front::request& in, const decoded_path& path, std::string_view claims) const;
  /// The methods of all routes, as in `allow`.
  [[nodiscard]] std::string methods() const;

  [[nodiscard]] const std::vector<route>& routes() const { return routes_; }
  /// The commands that routes call and that no worker serves, in order, the first hundred.
  [[nodiscard]] const std::vector<std::string>& unserved() const { return unserved_; }

 private:
  static constexpr std::uint32_t none = ~std::uint32_t{0};
  struct node {
    std::map<std::string, std::uint32_t, std::less<>> texts;
    std::uint32_t parameter = none;
    std::vector<std::uint32_t> routes;  // that end here; those with conditions before the one without
  };

  void find_unserved();
  /// The route that stands in the way, or null.
  const route* add(const config& from, route_config what, bool configured, const command_lookup& commands);

  std::vector<node> nodes_{1};
  std::vector<route> routes_;
  std::vector<std::string> unserved_;
};

}  // namespace waggle::gateway
