#pragma once

#include <string>
#include <utility>
#include <variant>

/// Types for fields that C++ has no exact type for.
namespace waggle {

/// What a handler without input takes and one without a result returns: nil on the wire.
using nothing = std::monostate;

/// Bytes that are not text. A msgpack bin; in JSON, which has none, base64.
struct binary {
  std::string bytes;

  binary() = default;
  explicit binary(std::string from) : bytes{std::move(from)} {}
  bool operator==(const binary&) const = default;
};

/// One msgpack value of any kind, kept as it came: for what a service passes on or stores without looking inside. Empty
/// bytes are nil. `append_payload(v.bytes, x)` fills an empty one, and `read_payload<T>(v.bytes)` looks inside.
struct value {
  std::string bytes;

  value() = default;
  explicit value(std::string from) : bytes{std::move(from)} {}
  bool operator==(const value&) const = default;
};

}  // namespace waggle
