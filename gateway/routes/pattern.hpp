#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

namespace waggle::gateway {

inline constexpr std::size_t path_segments_max = 32;

/// The path of a route: `/things/{id}/parts`. A segment is a text or a parameter, never both.
struct path_pattern {
  struct segment {
    std::string text;  // the parameter's name, or what the decoded segment must equal
    bool parameter = false;
    friend bool operator==(const segment&, const segment&) = default;
  };
  std::vector<segment> segments;

  /// As it was written.
  [[nodiscard]] std::string text() const;
  /// With every parameter's name left out: what two routes that take the same paths have in common.
  [[nodiscard]] std::string shape() const;
  [[nodiscard]] std::vector<std::string> parameters() const;
};

struct route_pattern {
  std::string method;
  path_pattern path;
};

/// "GET /things/{id}" in its parts, or what is wrong with it and what to write instead.
[[nodiscard]] tl::expected<route_pattern, std::string> parse_route(std::string_view route);

/// Paths that the gateway itself answers; no route may take them. A route of parameters may match them, but is not
/// asked.
inline constexpr std::string_view reserved_paths[] = {"/livez", "/readyz", "/openapi.json", "/metrics"};

[[nodiscard]] bool is_reserved(const path_pattern& path);

}  // namespace waggle::gateway
