#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/core/broker_core.hpp"
#include "sim/climate.hpp"
#include "sim/model.hpp"
#include "sim/network.hpp"

namespace waggle::sim {

/// The process that runs a broker: what broker/shell.cpp does, in virtual time, with the model beside the core.
class broker_host {
 public:
  broker_host(const climate& in, random& chance, network& net, trace& log)
      : climate_{in}, chance_{chance}, net_{net}, log_{log}, limits_{in.limits} {}

  void start(instant now);
  void crash();
  /// It stands still until then, unless it does so already.
  void freeze(instant now, instant until) {
    if (frozen_until_ <= now) frozen_until_ = until;
  }
  void thaw(instant now) { frozen_until_ = std::min(frozen_until_, now); }
  void step_clock(std::chrono::nanoseconds by) { ahead_ += by; }

  /// Reads what has arrived, ticks if it is time, does what the core wants done.
  void wake(instant now);
  /// When `wake` has something to do.
  [[nodiscard]] instant next_wake(instant now) const;

  [[nodiscard]] bool running() const { return core_ != nullptr; }
  [[nodiscard]] const broker::broker_core& core() const { return *core_; }
  [[nodiscard]] const model& books() const { return *model_; }
  /// Of all brokers there have been.
  [[nodiscard]] model::sums totals() const;
  [[nodiscard]] std::uint64_t steps() const { return steps_; }

 private:
  struct link {
    std::uint32_t connection = nobody;
    std::deque<wire::message> backlog;
    std::size_t backlog_bytes = 0;
    instant stuck_since{};
    bool failed = false;
    bool ended = false;  ///< its connection has, and the core has been told, or will not be
  };

  peer_id number_of(std::uint32_t connection);
  void read(instant now);
  void tell_of_ends(instant now);
  void perform(instant now);
  void send(instant now, peer_id to, const wire::message& message);
  void send_backlogs(instant now);
  void forget(peer_id peer);
  [[nodiscard]] instant clock(instant now) const { return now + ahead_; }

  const climate& climate_;
  random& chance_;
  network& net_;
  trace& log_;
  broker::settings limits_;
  std::unique_ptr<broker::broker_core> core_;
  std::unique_ptr<model> model_;
  broker::outbox out_;
  std::vector<link> links_;
  std::vector<peer_id> free_numbers_;
  std::vector<peer_id> failed_;
  instant frozen_until_{};
  std::chrono::nanoseconds ahead_{};  ///< of its clock before true time
  std::uint64_t started_ = 0;
  std::uint64_t steps_ = 0;
  std::uint32_t turn_ = 0;  ///< the connection that is read first
  model::sums before_;
};

}  // namespace waggle::sim
