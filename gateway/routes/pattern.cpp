#include "gateway/routes/pattern.hpp"

#include <algorithm>
#include <iterator>
#include <optional>

#include <waggle/wire/utf8.hpp>

namespace waggle::gateway {
namespace {

using failed = tl::unexpected<std::string>;

bool is_parameter_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && name.size() <= 64 && letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || digit(c) || c == '-'; });
}

std::optional<std::string> wrong_with_method(std::string_view method) {
  if (method == "HEAD") return "HEAD is answered by the GET route; write GET";
  if (method == "OPTIONS") return "OPTIONS is answered by the gateway; remove the route";
  for (const std::string_view known : {"GET", "POST", "PUT", "PATCH", "DELETE"}) {
    if (method == known) return std::nullopt;
  }
  return '"' + std::string{method} + "\" is no method of a route; write GET, POST, PUT, PATCH or DELETE";
}

std::optional<std::string> wrong_with_text(std::string_view segment) {
  const std::string quoted = '"' + std::string{segment} + '"';
  if (segment.find_first_of("{}") != std::string_view::npos) {
    return "the segment " + quoted + " mixes text and a parameter; write /{name}/ with slashes around it";
  }
  if (segment.front() == ':')
    return quoted + " is a text, not a parameter; write {" + std::string{segment.substr(1)} + "}";
  if (segment == "*" || segment == "**")
    return "there are no wildcards; write a parameter, as in {name}, for each segment";
  if (segment == "." || segment == "..")
    return "a path with " + quoted + " matches no request; write the path it leads to";
  if (segment.find('%') != std::string_view::npos)
    return "the segment " + quoted + " is escaped; write what it stands for";
  const bool plain = std::none_of(segment.begin(), segment.end(), [](char c) {
    return (c >= 0 && c <= 0x20) || c == 0x7f || std::string_view{"?#\\\"<>^`|"}.find(c) != std::string_view::npos;
  });
  if (plain) return std::nullopt;
  return "the segment " + quoted + " has characters that a path does not have; write letters, digits and -._~";
}

}  // namespace

std::string path_pattern::text() const {
  std::string out;
  for (const auto& each : segments) out += each.parameter ? "/{" + each.text + '}' : '/' + each.text;
  return out.empty() ? "/" : out;
}

std::string path_pattern::shape() const {
  std::string out;
  for (const auto& each : segments) out += each.parameter ? "/{}" : '/' + each.text;
  return out.empty() ? "/" : out;
}

std::vector<std::string> path_pattern::parameters() const {
  std::vector<std::string> out;
  for (const auto& each : segments) {
    if (each.parameter) out.push_back(each.text);
  }
  return out;
}

bool is_reserved(const path_pattern& path) {
  return std::find(std::begin(reserved_paths), std::end(reserved_paths), path.text()) != std::end(reserved_paths);
}

tl::expected<route_pattern, std::string> parse_route(std::string_view route) {
  if (!wire::is_utf8(route)) return failed{"the route is not UTF-8; write it anew"};
  const auto space = route.find(' ');
  if (space == std::string_view::npos) {
    return failed{'"' + std::string{route} + "\" is no route; write a method and a path, as in GET /things/{id}"};
  }
  route_pattern out;
  out.method = route.substr(0, space);
  if (auto wrong = wrong_with_method(out.method)) return failed{std::move(*wrong)};
  auto path = route.substr(space + 1);
  while (path.starts_with(' ')) path.remove_prefix(1);
  if (!path.starts_with('/')) {
    return failed{"the path \"" + std::string{path} + "\" does not begin with a slash; write /" + std::string{path}};
  }
  if (path == "/") return out;
  for (auto left = path; !left.empty();) {
    left.remove_prefix(1);
    const auto segment = left.substr(0, left.find('/'));
    left.remove_prefix(segment.size());
    if (segment.empty()) {
      return failed{"the path \"" + std::string{path} +
                    "\" has an empty segment; write one slash between two segments and none at the end"};
    }
    if (segment.front() == '{' && segment.back() == '}') {
      const auto name = segment.substr(1, segment.size() - 2);
      if (!is_parameter_name(name)) {
        return failed{'"' + std::string{name} +
                      "\" is no name of a parameter; write letters, digits, _ and -, a letter first"};
      }
      for (const auto& each : out.path.segments) {
        if (each.parameter && each.text == name) {
          return failed{"the parameter \"" + std::string{name} +
                        "\" stands twice in the path; name one of them otherwise"};
        }
      }
      out.path.segments.push_back({std::string{name}, true});
    } else {
      if (auto wrong = wrong_with_text(segment)) return failed{std::move(*wrong)};
      out.path.segments.push_back({std::string{segment}, false});
    }
    if (out.path.segments.size() > path_segments_max) {
      return failed{"the path has more than " + std::to_string(path_segments_max) + " segments; write a shorter one"};
    }
  }
  return out;
}

}  // namespace waggle::gateway
