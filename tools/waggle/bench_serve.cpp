#include <fmt/core.h>
#include <poll.h>

#include <cstdlib>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include <waggle/detail/stop_signals.hpp>
#include <waggle/service.hpp>
#include <waggle/version.hpp>
#include <waggle/wire/limits.hpp>

#include "tools/waggle/bench.hpp"

namespace waggle::cli {

int bench_serve(const session& with, const bench_serve_flags& given) {
  detail::stop_signals signals;
  service echo{"bench", std::string{version}};
  try {
    echo.on(given.command, [](value in) { return in; }).doc("Answers with what it got, for `waggle bench calls`.").safe().quick();
  } catch (const std::invalid_argument& e) {
    return with.misuse(std::string{"--command: "} + e.what());
  }
  service_options options;
  options.broker = with.broker;
  options.keys = with.keys;
  options.threads = given.threads;
  options.slots = wire::slots_max;  // what waits does so here, where no round trip is needed to fetch it

  net::wake_up done;
  std::stop_source stop;
  std::jthread listener{[&] {
    for (int seen = 0;;) {
      pollfd both[2] = {{signals.descriptor(), POLLIN, 0}, {done.descriptor(), POLLIN, 0}};
      ::poll(both, 2, -1);
      if (both[1].revents != 0) return;
      if (both[0].revents == 0 || signals.take() == 0) continue;
      if (++seen > 1) std::_Exit(130);
      stop.request_stop();
    }
  }};
  struct at_end {
    net::wake_up& wake;
    ~at_end() { wake.raise(); }
  } const end_listener{done};
  bool told = false;
  echo.serve(options, stop.get_token(), [&](const service::seat& at) {
    if (!std::exchange(told, true)) with.print(fmt::format("ready bench instance={} broker={} command={}\n", at.instance, at.broker, given.command));
  });
  return 0;
}

}  // namespace waggle::cli
