#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/events/client.hpp"
#include "sim/events/emitter.hpp"
#include "sim/events/host.hpp"
#include "sim/events/member.hpp"
#include "sim/events/operator.hpp"
#include "sim/events/subscriber.hpp"
#include "sim/events/surroundings.hpp"

namespace waggle::sim {

/// A network with events in virtual time, from one seed: a broker with its log on a disk that fails, emitters, members of consumer groups,
/// callers of commands for later, people who operate it, and subscribers. A step is one process that wakes, or one fault.
///
/// In turn it is wild for some tens of thousands of steps and calm until everything must be over: then every event of every group has
/// been acknowledged or is a dead letter, every durable command has ended, and what is shown to people is what the books say.
class event_world {
 public:
  event_world(std::uint64_t seed, bool verbose);

  /// Throws `violation`.
  void run(std::uint64_t steps);

  [[nodiscard]] std::uint64_t steps() const { return steps_; }
  [[nodiscard]] const trace& log() const { return log_; }
  [[nodiscard]] const event_climate& in() const { return climate_; }
  [[nodiscard]] const event_books& books() const { return books_; }

 private:
  static constexpr std::uint64_t wild_steps = 20'000;

  void step();
  void until(instant when);
  void fault();
  void crash(bool power);
  void damage_something();
  void calm_down();
  void look_at_everything();
  [[nodiscard]] std::uint32_t some_connection();

  event_climate climate_;
  event_climate wild_;  ///< to go back to after a calm
  random chance_;
  trace log_;
  network net_{climate_.net, chance_};
  ledger calls_{1};  ///< of calls that are answered at once; here nobody makes any
  event_books books_{climate_, log_};
  event_surroundings around_{{climate_.net, chance_, net_, calls_, log_}, climate_, books_, {}};
  event_host broker_{around_};
  std::vector<std::unique_ptr<emitter>> emitters_;
  std::vector<std::unique_ptr<member>> members_;
  std::vector<std::unique_ptr<client>> clients_;
  std::vector<std::unique_ptr<operator_>> operators_;
  std::vector<std::unique_ptr<subscriber>> subscribers_;
  std::vector<actor*> actors_;
  instant now_ = instant{} + std::chrono::hours{1};
  instant fault_at_{};
  instant broker_starts_at_ = instant::max();
  std::uint64_t steps_ = 0;
  std::uint64_t stands_since_ = 0;  ///< the step in which time went on last
};

}  // namespace waggle::sim
