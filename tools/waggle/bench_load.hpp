#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include <waggle/client.hpp>
#include <waggle/detail/stop_signals.hpp>

#include "tools/waggle/bench_figures.hpp"

namespace waggle::cli {

/// What a round of `waggle bench` puts on the network.
struct bench_settings {
  bool of_events = false;
  std::string name;     ///< the command or topic
  std::string payload;  ///< msgpack
  call_options options;
  client_options at;
  std::size_t callers = 1;
  std::size_t in_flight = 64;  ///< in all callers together, at least one for each
  double rate = 0;             ///< a second, in all; 0: as fast as answers come
  milliseconds warm_up{1000};
  milliseconds duration{5000};
  milliseconds budget{5000};  ///< of each
  bool receipts = true;       ///< of events: wait for the broker's
  std::size_t subscribers = 0;
};

struct bench_outcome {
  bench_round round;
  std::optional<error> first_failure;  ///< in the warm-up, too
  bool interrupted = false;
};

/// Runs one round, until it is over or a signal comes. An error: the broker is not reached, or does not let us subscribe.
[[nodiscard]] result<bench_outcome> run_round(const bench_settings& of, detail::stop_signals& signals);

}  // namespace waggle::cli
