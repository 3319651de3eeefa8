#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <tl/expected.hpp>

#include "gateway/routes/pattern.hpp"

namespace waggle::gateway {

/// Where a field of a payload comes from.
struct field_source {
  enum class part : std::uint8_t { path, query, header, body, constant };
  part from = part::constant;
  std::string name;                // of the path parameter, query key or header
  std::vector<std::string> steps;  // into the body: `body.address.city` has two, `body` none
};

struct field_binding {
  std::string field;
  field_source source;
  /// One msgpack value: what the field is when its source is absent, and what a constant is.
  std::optional<std::string> otherwise;
};

/// One route as a person wrote it.
struct route_config {
  std::string method;
  path_pattern path;
  std::string command;
  std::optional<std::chrono::milliseconds> budget;
  std::string summary;
  /// The payload is the body, the bindings' fields, or, when nothing is said, made the usual way (gateway/README.md,
  /// "Fields").
  struct usual {};
  struct whole_body {};
  std::variant<usual, whole_body, std::vector<field_binding>> fields;
};

struct config {
  std::vector<route_config> routes;
};

struct config_file {
  std::string name;  // as it stands before each error
  std::string text;
};

inline constexpr std::size_t config_bytes_max = 4u << 20;  // of one file
inline constexpr std::size_t config_routes_max = 16'384;
inline constexpr std::size_t route_fields_max = 256;

/// All the files as one configuration, or everything that is wrong with them, each as "FILE:LINE: what is wrong; what
/// to write instead".
[[nodiscard]] tl::expected<config, std::vector<std::string>> parse_config(std::span<const config_file> files);

/// The same for files on disk.
[[nodiscard]] tl::expected<config, std::vector<std::string>> load_config(std::span<const std::string> paths);

}  // namespace waggle::gateway
