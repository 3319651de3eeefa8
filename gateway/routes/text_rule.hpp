#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace waggle::gateway {

using json_value = nlohmann::ordered_json;

/// What is read of one schema: past these it is as if nothing were known. A schema may be any bytes that a worker sent.
inline constexpr int schema_visits_max = 64;
inline constexpr std::size_t schema_values_max = 256;
inline constexpr std::size_t schema_value_bytes_max = 256;
inline constexpr std::size_t schema_properties_max = 1024;

/// How the text of a path segment, a query parameter or a header becomes the value that a command wants, read once from
/// the command's JSON Schema. Only what decides the *type* is read (`type`, `enum`, `const`, `items`, `$ref` within the
/// schema, `anyOf`, `oneOf`, `allOf`); bounds, patterns, long enumerations and the like are the service's to check.
class text_rule {
 public:
  /// Any text, as a string: the rule where nothing is known.
  text_rule() = default;
  /// The rule of `schema`, which stands somewhere in `root`.
  text_rule(const json_value& schema, const json_value& root);

  /// Appends the value of all the texts that came under one name (at least one), as one msgpack value. Returns null, or
  /// what was expected instead; the text itself is not repeated.
  ///
  /// A list takes any number of texts, everything else exactly one. Of several types the first that fits is taken:
  /// integer, number, boolean, string. An empty text is null where null is allowed and a string is not.
  [[nodiscard]] const char* append(std::string& out, std::span<const std::string_view> texts) const;

 private:
  enum : std::uint8_t { integer = 1, number = 2, boolean = 4, string = 8, null = 16, list = 32, object = 64 };

  void read(const json_value& schema, const json_value& root, int& visits_left);
  void merge_alternatives(const json_value& alternatives, const json_value& root, int& visits_left);
  void describe();
  [[nodiscard]] bool append_one(std::string& out, std::string_view text) const;
  [[nodiscard]] bool allowed(std::string_view value) const;

  std::uint8_t types_ = string;
  bool enumerated_ = false;
  bool open_ = false;                // there are more values than are kept: the service checks them
  std::vector<std::string> values_;  // of the enumeration, as msgpack
  std::vector<text_rule> items_;     // of a list; at most one
  std::string expected_;
};

/// What a schema, which stands somewhere in `root`, says of one property of an object; null if nothing.
[[nodiscard]] const json_value* property_of(const json_value& schema, const json_value& root, std::string_view name);

/// Of a command's fields, by name.
using text_rules = std::map<std::string, text_rule, std::less<>>;

/// The rules of an object's properties; none if the schema is null or of something else.
[[nodiscard]] text_rules rules_of(const json_value& schema);

}  // namespace waggle::gateway
