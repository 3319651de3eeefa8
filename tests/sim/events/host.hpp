#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "broker/core/broker_core.hpp"
#include "sim/events/station.hpp"
#include "sim/events/surroundings.hpp"

namespace waggle::sim {

/// The process that runs a broker with its log: what broker/shell.cpp does, in virtual time. The books hear of every frame that leaves
/// and of every one that is read.
class event_host {
 public:
  explicit event_host(event_surroundings& around) : around_{around}, station_{around.events, around.chance, around.books, around.log} {}

  void start(instant now);
  void crash(instant now, bool power);
  /// It stands still until then, unless it does so already.
  void freeze(instant now, instant until) {
    if (frozen_until_ <= now) frozen_until_ = until;
  }
  void thaw(instant now) { frozen_until_ = std::min(frozen_until_, now); }

  /// Reads what has arrived, ticks if it is time, does what the core wants done.
  void wake(instant now);
  /// When `wake` has something to do.
  [[nodiscard]] instant next_wake(instant now) const;
  [[nodiscard]] bool running() const { return core_ != nullptr; }
  [[nodiscard]] const broker::broker_core& core() const { return *core_; }
  [[nodiscard]] log_station& station() { return station_; }

 private:
  struct link {
    std::uint32_t connection = nobody;
    std::deque<std::string> backlog;
    std::size_t backlog_bytes = 0;
    instant stuck_since{};
    bool failed = false;
  };

  broker::peer_id number_of(std::uint32_t connection);
  void read(instant now);
  void read_log(instant now);
  void perform(instant now);
  void send(instant now, broker::peer_id to, const std::string& bytes);
  void has_left(instant now, broker::peer_id to, const std::string& bytes, bool late);
  void send_backlogs(instant now);
  void forget(broker::peer_id peer);

  event_surroundings& around_;
  log_station station_;
  std::unique_ptr<broker::broker_core> core_;
  broker::outbox out_;
  std::vector<link> links_;
  std::vector<broker::peer_id> free_numbers_;
  std::vector<broker::peer_id> failed_;
  instant frozen_until_{};
  std::uint32_t turn_ = 0;  ///< the connection that is read first
};

}  // namespace waggle::sim
