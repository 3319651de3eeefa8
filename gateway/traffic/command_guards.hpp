#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <waggle/wire/error.hpp>

#include "gateway/traffic/circuit_breaker.hpp"
#include "gateway/traffic/retry_budget.hpp"

namespace waggle::gateway {

inline constexpr std::size_t guarded_commands_max = 4096;  ///< past it commands that are new go without, until others have been idle for a while

/// What the end of a call says about its service. Only UNAVAILABLE and DEADLINE_EXCEEDED are failures: nobody was there, or was too slow. INTERNAL and UNKNOWN
/// are not, since one client with a payload that a handler trips over could then take the command away from all others; nor is what the caller did wrong.
[[nodiscard]] call_verdict verdict_of(status code);

/// The circuit breakers and retry budgets of all commands, shared by all threads: what one of them has learnt holds for all. A lock for each sixteenth of the
/// commands is held for a look-up and a few additions; without configuration nobody comes here.
class command_guards {
 public:
  command_guards(std::optional<breaker_terms> breaker, std::optional<retry_terms> retries) : breaker_{breaker}, retries_{retries} {}

  struct admission {
    bool open = false;                ///< the call is not to begin
    circuit_breaker::ticket ticket = 0;
    std::chrono::milliseconds retry_after{};
  };
  /// A call is about to begin. Its end is told with its ticket, exactly once.
  [[nodiscard]] admission admit(front::instant now, const std::string& command);
  void record(front::instant now, const std::string& command, circuit_breaker::ticket of, call_verdict how);

  [[nodiscard]] const std::optional<retry_terms>& retries() const { return retries_; }
  /// A call that may be tried again has begun.
  void pay_in(front::instant now, const std::string& command);
  /// Whether one more attempt may be made: the budget has one, which is taken, and the breaker is closed.
  [[nodiscard]] bool take_retry(front::instant now, const std::string& command);

  [[nodiscard]] bool made_of(const std::optional<breaker_terms>& breaker, const std::optional<retry_terms>& retries) const {
    return breaker == breaker_ && retries == retries_;
  }

  struct seen {
    std::string command;
    circuit_breaker::state state = circuit_breaker::state::closed;
    std::uint64_t refused = 0;  ///< calls that did not begin, because it was open
    std::uint64_t retried = 0;  ///< attempts after the first ones
  };
  /// All commands that have been called, by name.
  [[nodiscard]] std::vector<seen> states(front::instant now) const;

 private:
  static constexpr std::size_t shards = 16;
  struct guard {
    std::optional<circuit_breaker> breaker;
    retry_budget budget;
    std::uint64_t refused = 0, retried = 0;
  };
  struct shard {
    mutable std::mutex mutex;
    std::map<std::string, guard> guards;
  };
  [[nodiscard]] shard& shard_of(const std::string& command) const { return shards_[std::hash<std::string>{}(command) % shards]; }
  guard* find(shard& in, front::instant now, const std::string& command);

  std::optional<breaker_terms> breaker_;
  std::optional<retry_terms> retries_;
  std::unique_ptr<shard[]> shards_ = std::make_unique<shard[]>(shards);
};

}  // namespace waggle::gateway
