#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <waggle/detail/caller_core.hpp>

#include "sim/actor.hpp"

namespace waggle::sim {

/// A process that calls: the SDK's `caller_core`, with an owner like the one in client.hpp. Checks that every call ends once,
/// in time, with the result that belongs to it.
class caller : public actor {
 public:
  using actor::actor;

  void run(instant now) override;
  void start(instant now) override;
  void crash(instant now) override;
  [[nodiscard]] bool running() const override { return core_.has_value(); }

  /// A call that must succeed, as nothing is wrong any more.
  void probe(instant now, const std::string& command);
  /// What somebody has paused goes on.
  void resume(instant now, const std::string& command) { ask(now, "waggle.resume", "command", command); }
  [[nodiscard]] std::size_t open_calls() const { return core_ ? core_->open_calls() : 0; }

 private:
  struct tag {
    std::uint64_t number = 0;
  };
  using caller_core = detail::caller_core<tag>;
  struct open_call {
    instant ends_by{};  ///< by its own clock
    std::uint64_t id = 0;
    std::uint32_t parts = 0;
    std::string result;  ///< without the parts, which are the worker's choice
    std::string command;
    std::size_t more = 0;
    std::uint64_t credit = wire::no_credit_limit;  ///< PARTs that may come, all in all
    bool must_succeed = false;
    bool operation = false;  ///< one of the broker's own: any result will do
  };
  struct sink;

  void act(instant now);
  void call(instant now, const std::string& command, milliseconds budget, bool must_succeed);
  void operate(instant now);
  void ask(instant now, const std::string& operation, const std::string& key, const std::string& value);
  void give_credit();
  void end(instant now, std::uint64_t number, const error* why, std::string_view result);
  [[nodiscard]] instant next_deed(instant now) const override;

  std::optional<caller_core> core_;
  wire::message message_;
  std::map<std::uint64_t, open_call> open_;
  std::set<std::pair<instant, std::uint64_t>> by_end_;
  std::set<std::uint64_t> starving_;  ///< calls whose credit is used up
  instant act_at_{};
};

}  // namespace waggle::sim
