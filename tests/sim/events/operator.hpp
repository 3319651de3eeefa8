#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <waggle/wire/frames.hpp>

#include "sim/events/surroundings.hpp"

namespace waggle::sim {

/// A person at a terminal: looks at streams, groups and dead letters, sends the dead on their way again or drops them, forgets
/// groups. What is shown must agree with the books.
class operator_ : public actor {
 public:
  operator_(event_surroundings& around, std::uint32_t number) : actor{around, number}, around_{around} {}

  void run(instant now) override;
  void start(instant now) override;
  void crash(instant now) override;
  [[nodiscard]] bool running() const override { return up_; }
  [[nodiscard]] std::size_t open() const { return open_.size(); }

  // In the calm, to see that everything is where it should be. Each takes an answer before it is complete.
  void read_stream(instant now, const std::string& stream);
  void look_at_groups(instant now);
  void look_at_dead(instant now, std::uint64_t id);
  void ping(instant now);

 private:
  enum class kind : std::uint8_t { streams, groups, dead, letter, retry, drop, forget, events, ping };
  struct question {
    kind of{};
    std::string group, stream;
    std::uint64_t id = 0, from = 0;
    std::string prefix;
    bool to_the_end = false;
    instant since{};
    bool calm = false;  ///< when it was asked
  };

  void ask(instant now, question what);
  void ask_something(instant now);
  void told(instant now, const question& asked, const wire::frame& in);
  void told_groups(const wire::frame& in);
  void told_streams(const wire::frame& in);
  void told_dead(const question& asked, const wire::frame& in);
  void told_events(instant now, const question& asked, const wire::frame& in);
  void forget_all();
  [[nodiscard]] instant next_deed(instant now) const override;

  event_surroundings& around_;
  bool up_ = false, was_connected_ = false;
  std::map<std::uint64_t, question> open_;
  std::uint64_t last_id_ = 0;
  instant act_at_{};
  std::string bundle_;
  instant look_at_{};  ///< when it looks whether it is still connected, at the latest
};

}  // namespace waggle::sim
