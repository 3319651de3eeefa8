#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gateway/routes/config.hpp"
#include "gateway/routes/route_table.hpp"
#include "gateway/routes/schema_components.hpp"

namespace waggle::gateway {

/// A step's request or reply, as the command that it (first) calls has it; an empty schema if that is not known.
[[nodiscard]] json_value request_of(const step_plan& step, schema_components& schemas);
[[nodiscard]] json_value request_of(const target_plan& target, schema_components& schemas);

/// What the requests of one route carry, as an operation of an OpenAPI document lists it: collected source by source, typed by the fields that they
/// become.
class openapi_inputs {
 public:
  openapi_inputs(const route& of, schema_components& schemas);

  /// Other routes take requests of this method and path, too, if these conditions hold.
  void also(const std::vector<condition>& conditions);

  /// Path parameters go by `path_names`, in the path's order.
  [[nodiscard]] json_value parameters(const std::vector<std::string>& path_names) const;
  /// Null: requests have no body.
  [[nodiscard]] json_value body() const;
  /// It looks at a token's claims.
  [[nodiscard]] bool uses_claims() const { return uses_claims_; }

 private:
  /// A body that fields are taken from: where one field is a whole value, others may be parts of it.
  struct body_node {
    std::map<std::string, body_node> entries;
    std::optional<json_value> schema;
    bool needed = false;
    [[nodiscard]] json_value shown() const;
  };

  void add_step(const step_plan& step);
  void add_usual(const json_value& request, const route& of);
  void add_query(const json_value& request, const std::vector<std::string>& in_path);
  void add_value(const value_config& value, const json_value* schema, bool needed);
  void add_source(const source& from, json_value schema, bool needed);
  void add_other(const char* in, const std::string& name, json_value schema, bool needed);
  void add_body(const source& from, json_value schema, bool needed);

  const schema_components& schemas_;
  std::vector<std::string> path_;  ///< the route's own names
  std::map<std::string, json_value> in_path_;
  json_value others_ = json_value::array();  ///< of query, headers and cookies
  json_value whole_body_;  ///< made the usual way
  body_node body_;
  bool body_needed_ = false;
  bool reads_body_ = false;  ///< perhaps in a program, of which nobody knows what it reads
  bool uses_claims_ = false;
};

}  // namespace waggle::gateway
