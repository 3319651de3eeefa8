#pragma once

#include <cstddef>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/front/application.hpp"

namespace waggle::gateway {

inline constexpr std::size_t usage_callers_max = 1000;  ///< routes and callers that are told apart; the rest is one "other" for each route

/// Who still calls what is deprecated. Shared by all threads under one lock, which only requests of deprecated routes take.
class usage {
 public:
  /// Notes one request. True for the first one of this caller for this route. `caller` becomes "other" when there are too many to be told apart.
  bool note(const std::string& route, std::string& caller);

 private:
  std::mutex mutex_;
  std::set<std::pair<std::string, std::string>> known_;
};

/// What a caller is known by: `sub` of its verified token, otherwise the first word of its User-Agent.
[[nodiscard]] std::string caller_of(const front::request& in, std::string_view claims);

}  // namespace waggle::gateway
