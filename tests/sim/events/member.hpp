#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <waggle/wire/frames.hpp>
#include <waggle/wire/manifest.hpp>

#include "sim/events/surroundings.hpp"

namespace waggle::sim {

/// A process that handles events as a member of consumer groups, and runs durable commands: a plain peer of the protocol, without
/// the SDK. It fails, is late, answers twice or never, under leases of its own or of others, and joins again as somebody else.
class member : public actor {
 public:
  member(event_surroundings& around, std::uint32_t number) : actor{around, number}, around_{around} {}

  void run(instant now) override;
  void start(instant now) override;
  void crash(instant now) override;
  void depart(instant now) override;
  [[nodiscard]] bool running() const override { return up_; }
  [[nodiscard]] bool joined() const { return at_ == stage::joined; }
  [[nodiscard]] std::size_t at_hand() const { return jobs_.size(); }
  /// It says nothing until then, not even that it is there, but handles what it has.
  void fall_silent(instant until) { silent_until_ = until; }
  /// It joins as a member of every group and serves every command.
  void take_everything() {
    takes_everything_ = true;
    rejoin_ = true;
  }
  void take_what_it_likes() { takes_everything_ = false; }

 private:
  enum class stage : std::uint8_t { outside, joining, joined, leaving };
  struct job {
    std::uint64_t lease = 0;
    instant ends{};
    status as = status::ok;
    std::uint32_t answers = 1;
    std::string payload;
    std::uint64_t seat = 0;
    bool quick = false;     ///< its group or command is
    bool doubtful = false;  ///< the broker may have given it up before it heard the last JOIN
  };

  void read(instant now, const wire::frame& in);
  void take_event(instant now, const wire::frame& in);
  void take_command(instant now, const wire::frame& in);
  /// Whether all that comes for this group, or for this command, is quick.
  [[nodiscard]] bool in_quick_class(std::string_view name) const { return around_.events.quick && name.back() % 2 == 0; }
  job& begin(instant now, const wire::frame& in, bool quick);
  void answer(std::uint64_t lease, status as, std::string_view payload);
  void work(instant now);
  void join(instant now);
  void lost();
  [[nodiscard]] instant next_deed(instant now) const override;

  event_surroundings& around_;
  bool up_ = false, was_connected_ = false;
  stage at_ = stage::outside;
  manifest manifest_;      ///< what it has said of itself last
  std::vector<manifest> before_;  ///< and before that: what is on its way may be for one of these
  std::uint64_t seat_ = 0; ///< connections, counted
  std::uint64_t join_id_ = 0, leave_id_ = 0, last_id_ = 0;
  instant join_at_{}, pulse_at_{}, act_at_{}, silent_until_{}, heard_{};
  std::vector<job> jobs_;
  std::vector<std::uint64_t> old_leases_;
  std::string bundle_;
  instant look_at_{};  ///< when it looks whether it is still connected, at the latest
  bool takes_everything_ = false, rejoin_ = false, over_ = false;
};

}  // namespace waggle::sim
