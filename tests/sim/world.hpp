#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/actor.hpp"
#include "sim/broker_host.hpp"
#include "sim/caller.hpp"
#include "sim/climate.hpp"
#include "sim/raw_peer.hpp"
#include "sim/worker.hpp"

namespace waggle::sim {

/// A network of one broker and its peers, in virtual time, from one seed. A step is one process that wakes, or one fault.
///
/// In turn it is wild for some tens of thousands of steps and calm until everything must have ended: then nothing may be left,
/// and every command that is served must be answered.
class world {
 public:
  world(std::uint64_t seed, bool verbose);

  /// Throws `violation`.
  void run(std::uint64_t steps);

  [[nodiscard]] instant now() const { return now_; }
  [[nodiscard]] std::uint64_t steps() const { return steps_; }
  [[nodiscard]] const trace& log() const { return log_; }
  [[nodiscard]] const climate& in() const { return climate_; }
  [[nodiscard]] const ledger& book() const { return book_; }
  [[nodiscard]] const broker_host& broker() const { return broker_; }
  [[nodiscard]] std::uint64_t probes() const { return probes_; }

 private:
  static constexpr std::uint64_t wild_steps = 20'000;

  void step();
  void until(instant when);
  void fault();
  void broker_fault();
  void calm_down();
  void probe_all();
  [[nodiscard]] std::uint32_t some_connection();

  climate climate_;
  climate wild_;  ///< to go back to after a calm
  random chance_;
  trace log_;
  network net_{climate_, chance_};
  ledger book_;
  surroundings around_{climate_, chance_, net_, book_, log_};
  broker_host broker_{climate_, chance_, net_, log_};
  std::vector<std::unique_ptr<caller>> callers_;
  std::vector<std::unique_ptr<worker>> workers_;
  std::vector<std::unique_ptr<raw_peer>> raw_peers_;
  std::vector<actor*> actors_;
  std::vector<std::uint64_t> leases_seen_;
  instant now_ = instant{} + std::chrono::hours{1};
  instant fault_at_{};
  instant broker_starts_at_ = instant::max();
  std::uint64_t steps_ = 0;
  std::uint64_t stands_since_ = 0;  ///< the step in which time went on last
  std::uint64_t probes_ = 0;
};

}  // namespace waggle::sim
