#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "gateway/front/application.hpp"
#include "gateway/routes/config.hpp"
#include "gateway/routes/decode.hpp"
#include "gateway/routes/text_rule.hpp"

namespace waggle::gateway {

/// How the requests of one route become payloads: the route's fields, bound once to its path and to its command's
/// schema.
class payload_plan {
 public:
  /// `rules` are those of the command's fields; null when no worker serves it.
  payload_plan(const route_config& route, std::shared_ptr<const text_rules> rules);

  /// One msgpack value, or the answer that says why there is none: 400 or 415.
  [[nodiscard]] tl::expected<std::string, front::response> payload(const front::request& in,
                                                                   const decoded_path& path) const;

 private:
  class attempt;

  enum class shape : std::uint8_t {
    usual_query,  // path parameters and query
    usual_body,   // path parameters and the body's entries
    whole_body,
    bound,
  };
  struct parameter {
    std::string name;
    std::size_t segment;
    const text_rule* rule;
  };
  struct bound_field {
    field_binding binding;
    std::size_t segment;  // of a path parameter
    const text_rule* rule;
  };

  [[nodiscard]] const text_rule& rule_for(std::string_view field) const;

  std::string command_;
  shape shape_ = shape::bound;
  bool reads_query_ = false;
  bool reads_body_ = false;
  std::vector<parameter> parameters_;
  std::shared_ptr<const text_rules> rules_;
  std::vector<bound_field> fields_;
};

}  // namespace waggle::gateway
