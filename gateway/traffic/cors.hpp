#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/front/application.hpp"

namespace waggle::gateway {

/// Which pages of other origins may read answers (Fetch, "CORS protocol").
struct cors_config {
  std::vector<std::string> origins;  ///< as browsers send them: "https://app.example.com", or "*", or "null"
  bool credentials = false;
  std::chrono::seconds max_age{600};
  std::vector<std::string> headers;  ///< of requests, besides those that the gateway knows
  std::vector<std::string> expose;   ///< of answers, besides those that it sends
  friend bool operator==(const cors_config&, const cors_config&) = default;
};

inline constexpr std::size_t cors_origins_max = 256;
inline constexpr std::size_t cors_headers_max = 64;

/// What is wrong with an origin as a person wrote it, and what to write instead; empty if nothing is. Anything that a browser would not send would never be
/// allowed, whatever its writer meant.
[[nodiscard]] std::string wrong_with_origin(std::string_view text);

/// Says what browsers are to know. Equal inputs give equal outputs.
class cors_policy {
 public:
  explicit cors_policy(cors_config from);

  /// What every answer to this request gets: `Vary: Origin`, and for an allowed origin that it may read it.
  void add_headers(const front::request& in, front::header_list& to) const;
  /// Whether the request only asks what may be asked.
  [[nodiscard]] static bool is_preflight(const front::request& in);
  /// The answer to a preflight, without the headers that every answer gets: 204, which allows what an allowed origin may do. `methods` are those of the
  /// path's routes, as in "GET, HEAD, OPTIONS"; empty if there are none.
  [[nodiscard]] front::response preflight(const front::request& in, const std::string& methods) const;

 private:
  /// The value of Access-Control-Allow-Origin; nothing: this origin may not read the answer.
  [[nodiscard]] std::optional<std::string_view> allowed(const front::request& in) const;

  cors_config is_;
  bool any_ = false;
  std::string headers_, expose_;  ///< the lists as they are sent
};

}  // namespace waggle::gateway
