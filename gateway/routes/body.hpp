#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace waggle::gateway {

/// Null if the bytes are one msgpack value that a service may see: at most `wire::depth_max` levels, strings in UTF-8,
/// no string twice as a key of one map, nothing after it; otherwise what is wrong, at `offset`. What comes as JSON
/// keeps the same rules.
[[nodiscard]] const char* wrong_with_msgpack(std::string_view bytes, std::size_t& offset);

/// The value that the steps lead to in a well-formed value, from map to map.
[[nodiscard]] std::optional<std::string_view> find_in(std::string_view value, const std::vector<std::string>& steps);

/// Builds one map whose count is known at the end only.
class map_builder {
 public:
  explicit map_builder(std::string& out) : out_{out}, header_{out.size()} { out_.push_back('\x80'); }
  map_builder(const map_builder&) = delete;
  map_builder& operator=(const map_builder&) = delete;

  /// What is appended to the string after this is the value of `key`.
  void key(std::string_view key);
  /// The last key has no value after all; what has been appended since is the caller's to take away.
  void take_back_key() { --count_; }
  /// An entry that is msgpack already, key and value.
  void entry(std::string_view key_and_value);
  void finish();

 private:
  std::string& out_;
  std::size_t header_;
  std::uint32_t count_ = 0;
};

}  // namespace waggle::gateway
