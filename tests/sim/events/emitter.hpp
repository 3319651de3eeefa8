#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include <waggle/wire/frames.hpp>

#include "sim/events/surroundings.hpp"

namespace waggle::sim {

/// Emits events, with and without receipts, keys and event ids; sends one with an id again when its receipt does not come.
class emitter : public actor {
 public:
  emitter(event_surroundings& around, std::uint32_t number) : actor{around, number}, around_{around} {}

  void run(instant now) override;
  void start(instant now) override;
  void crash(instant now) override;
  [[nodiscard]] bool running() const override { return up_; }
  [[nodiscard]] std::size_t open() const { return open_.size(); }
  /// One event more, though it is calm.
  void emit_now(instant now, const std::string& topic);

 private:
  struct waiting {
    std::uint64_t n = 0;
    instant since{};
  };
  struct again {
    instant at;
    event_books::sending what;
  };

  void emit(instant now, event_books::sending what);
  void emit_something(instant now);
  void told(instant now, const wire::frame& in);
  void lost(instant now);
  void send_again(instant now, std::uint64_t n);
  [[nodiscard]] instant next_deed(instant now) const override;

  event_surroundings& around_;
  bool up_ = false, was_connected_ = false;
  std::map<std::uint64_t, waiting> open_;  ///< by id
  std::deque<again> again_;
  std::uint64_t last_id_ = 0;
  std::uint64_t named_ = 0;
  instant act_at_{};
  std::string bundle_;
  instant look_at_{};  ///< when it looks whether it is still connected, at the latest
};

}  // namespace waggle::sim
