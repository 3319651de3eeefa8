#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/routes/pattern.hpp"

namespace waggle::gateway {

inline constexpr std::size_t query_parameters_max = 256;

/// A request's path, cut at its slashes and then decoded, once and segment by segment: an escaped slash is part of a
/// segment, never between two. What is matched, shown and handed to a service are these same texts. Points into the
/// path it is made of.
class decoded_path {
 public:
  explicit decoded_path(std::string_view path);
  decoded_path(const decoded_path&) = delete;
  decoded_path& operator=(const decoded_path&) = delete;

  /// Null if all is well; otherwise why no service may see this path: an escape that is none, a zero byte, text that is
  /// not UTF-8, or a segment `.` or `..`, however it is written.
  [[nodiscard]] const char* why() const { return why_; }
  /// More segments than any route has.
  [[nodiscard]] bool too_long() const { return too_long_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::string_view operator[](std::size_t i) const { return segments_[i]; }

 private:
  std::array<std::string_view, path_segments_max> segments_;
  std::size_t size_ = 0;
  std::string decoded_;
  const char* why_ = nullptr;
  bool too_long_ = false;
};

/// A request's query as `application/x-www-form-urlencoded`: `+` is a space. Parameters of one name are next to each
/// other, in the order in which they came. Points into the query it is made of.
class decoded_query {
 public:
  explicit decoded_query(std::string_view query);
  decoded_query(const decoded_query&) = delete;
  decoded_query& operator=(const decoded_query&) = delete;

  /// Null if all is well.
  [[nodiscard]] const char* why() const { return why_; }
  /// By name.
  using parameter = std::pair<std::string_view, std::string_view>;
  [[nodiscard]] std::span<const parameter> parameters() const {
    return many_.empty() ? std::span<const parameter>{few_}.first(few_count_) : std::span<const parameter>{many_};
  }
  /// Appends the values of one name.
  void find(std::string_view name, std::vector<std::string_view>& out) const;

 private:
  void add(const parameter& each);

  // Most queries have a few, which are not worth an allocation; where there are more, all of them are in `many_`.
  std::array<parameter, 4> few_;
  std::size_t few_count_ = 0;
  std::vector<parameter> many_;
  std::string decoded_;
  const char* why_ = nullptr;
};

}  // namespace waggle::gateway
