#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace waggle::cli {

/// One field of a payload, as its JSON Schema describes it.
struct field_row {
  std::string path;  ///< as in `customer.addresses[].zip`; empty for the payload itself
  std::string type;  ///< in a few words, as in "list of string" or "red | green"
  bool required = true;
  std::string about;  ///< what the schema's author says of it
};

/// The fields of a JSON Schema (one msgpack map), in the schema's order, each object's own fields behind it. A payload
/// that is no object is one row with an empty path; "anything" for what cannot be read.
[[nodiscard]] std::vector<field_row> fields_of_schema(std::string_view schema);

/// A payload that satisfies the schema, as JSON, to be changed by whoever copies it; empty if no payload is needed.
[[nodiscard]] std::string example_of_schema(std::string_view schema);

}  // namespace waggle::cli
