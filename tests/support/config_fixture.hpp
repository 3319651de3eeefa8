#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/routes/config.hpp"
#include "support/catch.hpp"

namespace waggle::gateway::test {

inline const std::string get = "routes:\n  - route: GET /a/{id}\n    call: x.y\n";
inline const std::string post = "routes:\n  - route: POST /a/{id}\n    call: x.y\n";

inline std::optional<std::string> environment(const std::string& name) {
  if (name == "REGION") return "eu";
  if (name == "SECRET") return std::string(32, 'k');
  if (name == "SHORT") return "abc";
  return std::nullopt;
}

/// All that is wrong with a text, a line each, or "accepted".
inline std::string errors_of(std::string text) {
  const config_file file{"r.yaml", std::move(text)};
  const auto out = parse_config({&file, 1}, environment);
  if (out) return "accepted";
  std::string all;
  for (const auto& each : out.error()) all += (all.empty() ? "" : "\n") + each;
  return all;
}

struct row {
  std::string text;
  std::string said;
};

inline void check(const std::vector<row>& rows) {
  for (const auto& each : rows) {
    CAPTURE(each.text);
    CHECK(errors_of(each.text) == each.said);
  }
}

inline std::string repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

}  // namespace waggle::gateway::test
