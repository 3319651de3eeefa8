#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include <waggle/wire/error.hpp>

#include "gateway/routes/text_rule.hpp"

namespace waggle::gateway {

namespace schema_detail {
struct program;
}

/// Most subschemas that one schema may have, and how deep it may go. Past these it is not compiled.
inline constexpr std::size_t schema_nodes_max = 4096;
inline constexpr int schema_depth_max = 64;
/// How many subschemas are looked at for one payload, besides this many for each of its bytes: no schema and payload together
/// keep a thread for long. Past it the payload counts as good, and the service has to find out.
inline constexpr std::size_t schema_steps_max = 10'000;
inline constexpr std::size_t schema_steps_per_byte = 16;

/// A command's JSON Schema, compiled once, and payloads checked against it before anything is sent. Immutable: any number of
/// threads may check at once.
///
/// Read are the keywords of draft 2020-12 that assert something, and draft 7's forms where those differ (`items` as a list,
/// `additionalItems`, `definitions`, `dependencies`): type, enum, const, properties, patternProperties, additionalProperties,
/// propertyNames, required, minProperties, maxProperties, dependentRequired, dependentSchemas, items, prefixItems, contains,
/// minContains, maxContains, minItems, maxItems, uniqueItems, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf,
/// minLength, maxLength, pattern, format (date-time, date, time, email, uuid, uri, ipv4, ipv6), contentEncoding base64, anyOf,
/// oneOf, allOf, not, if/then/else, and `$ref` to a JSON pointer within the schema. All others are ignored.
///
/// A payload is msgpack, so a binary is good where the schema wants a string with a `contentEncoding`, and a timestamp where it
/// wants a string with the format date-time, as the SDK describes and reads them. As the SDK does, too, no payload (nil) is
/// taken for an object without fields, and any object for nil where a command takes nothing.
///
/// Why not valijson, which Debian has: version 1.0 matches `pattern`, `patternProperties` and `format` by std::regex, whose
/// recursion a client's long text overflows and whose backtracking it makes exponential; and it wants a document for each
/// request, where this reads the payload's bytes. What would be left of it is the reading of keywords.
class schema_check {
 public:
  /// The error says, for a log, why the schema cannot be checked: an unknown type, a reference that leads nowhere, a pattern
  /// that RE2 does not know, more than `schema_nodes_max` subschemas. `schema` may be any JSON. Does not throw.
  [[nodiscard]] static tl::expected<schema_check, std::string> compile(const json_value& schema);

  /// Everything that is wrong with one msgpack value, in the order of its fields, at most `wire::error_problems_max`; none if
  /// it is as the schema says. Bytes that are not one msgpack value are one problem.
  [[nodiscard]] std::vector<problem> check(std::string_view msgpack) const;
  /// The same of bytes that are one msgpack value for certain, because whoever made them made sure: they are not looked through for that again.
  [[nodiscard]] std::vector<problem> check_value(std::string_view msgpack) const;

 private:
  explicit schema_check(std::shared_ptr<const schema_detail::program> program) : program_{std::move(program)} {}

  std::shared_ptr<const schema_detail::program> program_;
};

}  // namespace waggle::gateway
