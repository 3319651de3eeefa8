#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/routes/text_rule.hpp"

namespace waggle::gateway {

/// The schemas of a document, each under a name and written once. A struct that several commands of a service use, or one within others, is one
/// component: "shop.order". What has no title is named by its command: "shop.get.request". Names do not depend on other services.
class schema_components {
 public:
  /// What a document has of its own, under a name without a dot, which no service's has.
  void add(const std::string& name, json_value schema) { all_[name] = std::move(schema); }

  /// What a command's manifest says of its `which` ("request" or "reply"), as a reference; an empty schema if that is nothing.
  json_value of_command(const std::string& service, const std::string& command, const std::string& which, const json_value& schema);

  /// What a schema says when its references are followed, as far as these are of this document.
  [[nodiscard]] const json_value& followed(const json_value& schema) const;
  /// Of an object's entry: its schema; null if nothing is said of it.
  [[nodiscard]] const json_value* entry(const json_value& schema, const std::string& name) const;
  /// Whether an object without the entry would be none of these.
  [[nodiscard]] bool needs(const json_value& schema, const std::string& name) const;

  /// What has been added under a name; null if nothing has.
  [[nodiscard]] const json_value* find(std::string_view name) const;

 private:
  json_value component(const std::string& service, const std::string& wanted, const std::string& otherwise, json_value schema);
  void take_structs_out(const std::string& service, const std::string& otherwise, json_value& schema);

  std::map<std::string, json_value, std::less<>> all_;
  std::map<std::pair<std::string, std::string>, json_value> of_commands_;  ///< by command and which
  std::map<std::pair<std::string, std::string>, std::string> known_;       ///< by service and text: its name
};

/// A reference to what is under the name in the document's `components.kind`.
[[nodiscard]] json_value component_reference(std::string_view kind, std::string_view name);

}  // namespace waggle::gateway
