#include "gateway/traffic/command_guards.hpp"

#include <algorithm>

namespace waggle::gateway {

call_verdict verdict_of(status code) {
  switch (code) {
    case status::unavailable:
    case status::deadline_exceeded: return call_verdict::failed;
    case status::cancelled: return call_verdict::neither;
    default: return call_verdict::succeeded;
  }
}

/// Under the shard's lock; null: there are too many.
command_guards::guard* command_guards::find(shard& in, front::instant now, const std::string& command) {
  if (const auto known = in.guards.find(command); known != in.guards.end()) return &known->second;
  if (in.guards.size() >= guarded_commands_max / shards) {
    std::erase_if(in.guards, [&](const auto& each) { return !each.second.breaker || each.second.breaker->idle(now); });
    if (in.guards.size() >= guarded_commands_max / shards) return nullptr;
  }
  return &in.guards.emplace(command, guard{breaker_ ? std::optional{circuit_breaker{*breaker_}} : std::nullopt, retry_budget{now}}).first->second;
}

command_guards::admission command_guards::admit(front::instant now, const std::string& command) {
  if (!breaker_) return {};
  auto& in = shard_of(command);
  const std::lock_guard hold{in.mutex};
  auto* const of = find(in, now, command);
  if (of == nullptr) return {};
  const auto ticket = of->breaker->admit(now);
  if (ticket != 0) return {false, ticket, {}};
  ++of->refused;
  return {true, 0, of->breaker->retry_after(now)};
}

void command_guards::record(front::instant now, const std::string& command, circuit_breaker::ticket of, call_verdict how) {
  if (of == 0) return;
  auto& in = shard_of(command);
  const std::lock_guard hold{in.mutex};
  if (const auto known = in.guards.find(command); known != in.guards.end()) known->second.breaker->record(now, of, how);
}

void command_guards::pay_in(front::instant now, const std::string& command) {
  if (!retries_) return;
  auto& in = shard_of(command);
  const std::lock_guard hold{in.mutex};
  if (auto* const of = find(in, now, command)) of->budget.pay_in(*retries_);
}

bool command_guards::take_retry(front::instant now, const std::string& command) {
  if (!retries_) return false;
  auto& in = shard_of(command);
  const std::lock_guard hold{in.mutex};
  auto* const of = find(in, now, command);
  if (of == nullptr || (of->breaker && of->breaker->at(now) != circuit_breaker::state::closed) || !of->budget.take(now)) return false;
  ++of->retried;
  return true;
}

std::vector<command_guards::seen> command_guards::states(front::instant now) const {
  std::vector<seen> out;
  for (std::size_t i = 0; i < shards; ++i) {
    const std::lock_guard hold{shards_[i].mutex};
    for (const auto& [command, of] : shards_[i].guards) {
      out.push_back({command, of.breaker ? of.breaker->at(now) : circuit_breaker::state::closed, of.refused, of.retried});
    }
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.command < b.command; });
  return out;
}

}  // namespace waggle::gateway
