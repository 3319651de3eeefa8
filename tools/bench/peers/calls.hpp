#pragma once

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "tools/bench/load.hpp"

/// What the programs of tools/bench/compare have in common: each speaks to one system, as client, worker and, where it takes one, proxy; the load,
/// and how it is counted, is the same for all.
namespace waggle::bench {

using steady = std::chrono::steady_clock;

/// The client's side of `PROGRAM client ADDRESS IN_FLIGHT PAYLOAD_BYTES WARM_UP_S SECONDS`. It tells whoever reads its standard output when the measured
/// time begins (`begin`) and ends (`end`), so that the CPU seconds of all processes can be read then, and what came of it on a last line.
class measured_load {
 public:
  explicit measured_load(const load& of) : driver_{of, steady::now()} {}

  /// Whether another call may begin now.
  [[nodiscard]] bool may_begin(steady::time_point now) const { return driver_.may_begin(now); }
  steady::time_point begin_one(steady::time_point now) { return driver_.begin_one(now); }
  void ended(steady::time_point now, steady::time_point from, bool good) {
    driver_.ended(now, from, good);
    tell(now);
  }
  /// For loops that have not seen an answer for a while, too.
  void tell(steady::time_point now) {
    if (!begun_ && now >= driver_.measured_from()) begun_ = say("begin\n");
    if (!over_ && now >= driver_.end()) over_ = say("end\n");
  }
  /// Nothing is under way any more, and nothing may begin. Past `lost_after` what is under way has been lost, and will not come.
  [[nodiscard]] bool finished(steady::time_point now) const {
    return now >= driver_.end() && (driver_.under_way() == 0 || now >= driver_.end() + lost_after);
  }

  /// Prints what came of it; whoever reads it ends this process by closing its standard input, after having looked at it.
  void report() {
    tell(steady::now());
    const auto& took = driver_.took();
    std::printf("calls=%llu failed=%llu lost=%zu rate=%.1f p50=%.3f p99=%.3f max=%.3f\n", static_cast<unsigned long long>(driver_.good()),
                static_cast<unsigned long long>(driver_.failed()), driver_.under_way(), driver_.per_second(), microseconds(took.percentile(50)),
                microseconds(took.percentile(99)), microseconds(took.max()));
    std::fflush(stdout);
    wait_for_end_of_input();
  }

  static void wait_for_end_of_input() {
    char ignored[64];
    while (::read(STDIN_FILENO, ignored, sizeof ignored) > 0) {
    }
  }

 private:
  static constexpr std::chrono::seconds lost_after{5};
  static bool say(std::string_view what) {
    std::fwrite(what.data(), 1, what.size(), stdout);
    std::fflush(stdout);
    return true;
  }
  static double microseconds(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e3; }

  load_driver driver_;
  bool begun_ = false;
  bool over_ = false;
};

/// What stands behind `client ADDRESS`.
inline load load_from(int argc, char** argv, int first) {
  if (argc < first + 4) throw std::runtime_error{"client ADDRESS IN_FLIGHT PAYLOAD_BYTES WARM_UP_S SECONDS"};
  load out;
  out.in_flight = std::strtoul(argv[first], nullptr, 10);
  out.payload_bytes = std::strtoul(argv[first + 1], nullptr, 10);
  if (out.in_flight == 0 || out.payload_bytes < 8) throw std::runtime_error{"one call in flight at least, of 8 bytes or more"};
  out.warm_up = std::chrono::duration<double>{std::strtod(argv[first + 2], nullptr)};
  out.duration = std::chrono::duration<double>{std::strtod(argv[first + 3], nullptr)};
  return out;
}

/// A worker or proxy says where it can be reached, or only that it can be; whoever started it ends it with a signal.
inline void say_ready(const std::string& address = {}) {
  std::printf("ready%s%s\n", address.empty() ? "" : " ", address.c_str());
  std::fflush(stdout);
}

/// `main` without its exceptions.
template <class Body>
int run_program(Body&& body) {
  try {
    body();
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}

}  // namespace waggle::bench
