#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/events/event_log.hpp"

/// What every backend of `event_log` needs and none should decide differently.
namespace waggle::broker {

/// Where a log takes from what no computation gives. Used only on the thread that uses the log.
struct log_sources {
  std::function<std::int64_t()> now_ms;          ///< ms since 1970; may run backwards
  std::function<std::uint64_t()> random;         ///< of operations' ids, which are not to be guessed
};

/// The system's clock, and the system's generator of secrets.
[[nodiscard]] log_sources system_log_sources();

/// 32 hexadecimal digits.
[[nodiscard]] std::string new_operation(const log_sources& from);

/// What an event counts in its stream's bytes and in the limits of reads.
[[nodiscard]] inline std::uint64_t bytes_of(const stored_event& each) {
  return each.topic.size() + each.payload.size() + each.headers.size() + each.event_id.size();
}

/// Whether the topic begins with one of these; with none of them everything does.
[[nodiscard]] inline bool begins_with_one(const std::vector<std::string>& prefixes, std::string_view topic) {
  return prefixes.empty() ||
         std::any_of(prefixes.begin(), prefixes.end(), [&](const std::string& each) { return topic.starts_with(each); });
}

}  // namespace waggle::broker
