#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/front/application.hpp"
#include "gateway/routes/decode.hpp"
#include "gateway/routes/source.hpp"

namespace waggle::gateway {

/// What of a request a route reads. What is not read is not decoded, and cannot be wrong.
struct request_needs {
  bool query = false;
  bool body = false;
  bool cookies = false;
  void add(const source& from);
  void add(const request_needs& other);
};

/// One request as sources see it, decoded once. Points into the request and the path, which have to outlive it.
class request_reader {
 public:
  /// `claims` is a msgpack map, or empty.
  request_reader(const front::request& in, const decoded_path& path, std::string_view claims, request_needs needs);
  request_reader(const request_reader&) = delete;
  request_reader& operator=(const request_reader&) = delete;

  /// The answer to a request of which something needed cannot be read: 400 or 415.
  [[nodiscard]] const std::optional<front::response>& refused() const { return refused_; }

  /// Appends what came under the name of a path parameter (in the segment of that number), query parameter, header or cookie, in
  /// the order in which it came.
  void find(const source& from, std::size_t segment, std::vector<std::string_view>& out) const;
  /// What a source in the body or the claims leads to, as msgpack.
  [[nodiscard]] std::optional<std::string_view> find(const source& from) const;

  [[nodiscard]] const decoded_path& path() const { return path_; }
  [[nodiscard]] const decoded_query& query() const { return query_; }
  /// As msgpack; nothing when no body came.
  [[nodiscard]] const std::optional<std::string>& body() const { return body_; }
  /// The body as the whole of a payload: a copy, or the body itself where it is used once (`body_is_used_once`).
  [[nodiscard]] std::string whole_body() { return used_once_ ? std::move(*body_) : *body_; }
  void body_is_used_once() { used_once_ = true; }
  [[nodiscard]] std::string_view claims() const { return claims_; }
  [[nodiscard]] const std::vector<std::pair<std::string_view, std::string_view>>& cookies() const { return cookies_; }
  [[nodiscard]] const std::vector<front::header>& headers() const { return in_.headers; }

 private:
  [[nodiscard]] std::optional<front::response> read_body();
  void read_cookies();

  const front::request& in_;
  const decoded_path& path_;
  std::string_view claims_;
  decoded_query query_;
  std::optional<std::string> body_;
  std::vector<std::pair<std::string_view, std::string_view>> cookies_;
  std::optional<front::response> refused_;
  bool used_once_ = false;
};

}  // namespace waggle::gateway
