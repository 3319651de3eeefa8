#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/front/application.hpp"

namespace waggle::gateway {

inline constexpr std::size_t usage_callers_max = 1000;  ///< routes and callers that are told apart; the rest is one "other" for each route

/// Who still calls what is deprecated. Shared by all threads under one lock, which only requests of deprecated routes take.
class usage {
 public:
  /// Counts one request. True for the first one of this caller for this route.
  bool count(const std::string& route, std::string_view caller);

  /// As Prometheus has it: `waggle_gateway_deprecated_requests_total{route="…",caller="…"} N`.
  [[nodiscard]] std::string metrics() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::uint64_t> counts_;
};

/// What a caller is known by: `sub` of its verified token, otherwise the first word of its User-Agent.
[[nodiscard]] std::string caller_of(const front::request& in, std::string_view claims);

}  // namespace waggle::gateway
