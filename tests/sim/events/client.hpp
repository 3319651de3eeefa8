#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <waggle/wire/frames.hpp>

#include "sim/events/surroundings.hpp"

namespace waggle::sim {

/// Calls commands for later, some with idempotency keys, and asks what has become of them.
class client : public actor {
 public:
  client(event_surroundings& around, std::uint32_t number) : actor{around, number}, around_{around} {}

  void run(instant now) override;
  void start(instant now) override;
  void crash(instant now) override;
  [[nodiscard]] bool running() const override { return up_; }
  [[nodiscard]] std::size_t open() const { return calls_.size() + questions_.size(); }
  /// What it waits for, for people.
  [[nodiscard]] std::string open_in_words() const;
  /// Asks for the outcome of everything it knows of.
  void ask_for_all(instant now);

 private:
  struct question {
    std::string operation;
    bool had_ended = false;
  };

  void call(instant now);
  void ask(const std::string& operation, std::uint64_t wait_ms);
  void told(instant now, const wire::frame& in);
  void told_outcome(instant now, const question& asked, const wire::frame& in);
  [[nodiscard]] instant next_deed(instant now) const override;

  event_surroundings& around_;
  bool up_ = false, was_connected_ = false;
  std::map<std::uint64_t, std::uint64_t> calls_;  ///< by id: the call's number
  std::map<std::uint64_t, question> questions_;
  std::vector<std::string> operations_;
  std::uint64_t last_id_ = 0;
  instant act_at_{};
  std::string bundle_;
  instant look_at_{};  ///< when it looks whether it is still connected, at the latest
};

}  // namespace waggle::sim
