#pragma once

#include <fmt/core.h>
#include <poll.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <waggle/detail/duration.hpp>
#include <waggle/detail/hybrid.hpp>
#include <waggle/detail/service_flags.hpp>
#include <waggle/detail/stop_signals.hpp>
#include <waggle/net/poll.hpp>
#include <waggle/service.hpp>

/// `service::run`: a service as a program.
namespace waggle::detail {

/// What a service's flags say.
struct run_settings {
  service_options with;
  std::optional<hybrid_options> hybrid;
};

// The flags are there without the library, too, so that whoever tries --http is told what to link.
#ifdef WAGGLE_HYBRID
inline constexpr bool hybrid_is_linked = true;
inline std::unique_ptr<hybrid> make_hybrid(hybrid_options with) { return start_hybrid(std::move(with)); }
#else
inline constexpr bool hybrid_is_linked = false;
inline std::unique_ptr<hybrid> make_hybrid(hybrid_options) { return nullptr; }
#endif

/// Reads them, or returns the exit code when there is nothing to run; a mistake is named on standard error.
[[nodiscard]] inline std::optional<int> read_run_settings(int argc, char** argv, const std::string& name, const std::string& version,
                                                          run_settings& out) {
  std::vector<service_flag> flags{
      {"broker", "WAGGLE_BROKER", "ENDPOINT", "the broker's command endpoint", default_broker},
      {"instance", "WAGGLE_INSTANCE", "NAME", "this process among those of its service; made up if not given", ""},
      {"threads", "WAGGLE_THREADS", "N", "handlers that run at the same time", "8"},
      {"slots", "WAGGLE_SLOTS", "N", "calls at hand at the same time, but for quick ones; 0: four times the threads", "0"},
      {"quick-slots", "WAGGLE_QUICK_SLOTS", "N", "calls of quick handlers at hand at the same time; 0: 1024", "0"},
      {"drain", "WAGGLE_DRAIN", "TIME", "how long calls at hand may take after SIGTERM", "10s"},
      {"key-file", "WAGGLE_KEY", "FILE", "our own key pair (`waggle keygen`), for a broker that wants keys", ""},
      {"broker-key", "WAGGLE_BROKER_KEY", "KEY", "that broker's public key, or the .pub file that has it", ""},
      // Not WAGGLE_HTTP: that is the gateway's, and whoever exports it would have every service fight for the gateway's port.
      {"http", "WAGGLE_HTTP_SELF", "HOST:PORT", "answer HTTP here, with a broker inside unless --broker says where one is", ""},
      {"listen", "WAGGLE_LISTEN", "ENDPOINT", "with --http: let the waggle CLI and other services of this machine into the broker inside", ""},
      {"insecure", "WAGGLE_INSECURE", nullptr, "with --listen: let whoever reaches it into the broker inside, not only this machine", ""},
      {"routes", "WAGGLE_ROUTES", "PATH", "with --http: a file of routes or a directory of them; may be repeated", ""},
  };
  auto &broker = flags[0], &instance = flags[1], &drain_time = flags[5], &key = flags[6], &broker_key = flags[7], &http = flags[8], &listen = flags[9],
       &insecure = flags[10], &routes = flags[11];
  if (const auto code = read_service_flags(argc, argv, name, version, flags)) return code;
  const auto complain = [&](const std::string& what) {
    std::fprintf(stderr, "%s: %s\n", name.c_str(), what.c_str());
    return 2;
  };
  const auto threads = number_of(flags[2], 1, 1024);
  const auto slots = number_of(flags[3], 0, wire::slots_max);
  const auto quick_slots = number_of(flags[4], 0, wire::slots_max);
  const auto drain = parse_duration(drain_time.now);
  if (!drain) std::fprintf(stderr, "--drain (WAGGLE_DRAIN): %s\n", duration_problem(drain_time.now).c_str());
  if (!instance.now.empty() && !wire::is_name(instance.now)) {
    std::fprintf(stderr, "--instance (WAGGLE_INSTANCE) is a name of 1 to 128 bytes without spaces, not '%s'\n", instance.now.c_str());
    return 2;
  }
  if (!threads || !slots || !quick_slots || !drain) return 2;
  const key_options keys{key.now, broker_key.now};
  try {
    static_cast<void>(read_keys(keys));
  } catch (const key_error& e) {
    return complain(e.what());
  }
  out.with = {broker.now, instance.now, *threads, *slots, *quick_slots, *drain, nullptr, keys};

  if (http.now.empty()) {
    // By the environment they may be meant for others: the gateway reads WAGGLE_ROUTES, too.
    for (const auto* each : {&listen, &routes}) {
      if (!each->given.empty()) return complain(fmt::format("--{} needs --http, as in: --http 127.0.0.1:8101", each->name));
    }
    return std::nullopt;
  }
  if (!hybrid_is_linked) {
    return complain("--http (WAGGLE_HTTP_SELF) is for services that have the gateway inside, and this one has not: in its "
                    "CMakeLists.txt link waggle::hybrid instead of waggle::waggle");
  }
  if (broker.said() && listen.said()) {
    return complain("--listen (WAGGLE_LISTEN) is for a broker inside this process, and --broker (WAGGLE_BROKER) says that it is "
                    "elsewhere; leave one of them out");
  }
  auto& made = out.hybrid.emplace(hybrid_options{name, version, http.now});
  if (broker.said()) {
    made.broker = broker.now;
    made.keys = keys;
  } else {
    out.with.keys = key_options::none();  // the broker inside is reached without leaving the process
  }
  made.listen = listen.now;
  made.listen_in_the_open = insecure.now == "1" || insecure.now == "true";
  made.routes = routes.given;
  if (routes.given.empty() && !routes.now.empty()) made.routes.push_back(routes.now);
  return std::nullopt;
}

/// Runs once, on whichever thread is the last to arrive.
class last_of {
 public:
  last_of(unsigned many, std::function<void()> then) : awaited_{many}, then_{std::move(then)} {}
  void arrive() {
    const std::lock_guard lock{mutex_};
    if (awaited_ > 0 && --awaited_ == 0) then_();
  }

 private:
  std::mutex mutex_;
  unsigned awaited_;
  std::function<void()> then_;
};

}  // namespace waggle::detail

namespace waggle {

inline int service::run(int argc, char** argv) {
  detail::run_settings settings;
  if (const auto code = detail::read_run_settings(argc, argv, name_, version_, settings)) return *code;
  auto& with = settings.with;

  try {
    detail::stop_signals signals;
    std::optional<seat> joined_as;  // before either of the two arrives
    detail::hybrid* inside = nullptr;
    detail::last_of ready{settings.hybrid ? 3u : 1u, [&] {
      const auto http = inside ? fmt::format("http={} ", inside->http()) : std::string{};
      const auto at = inside && !inside->listen().empty() ? inside->listen() : joined_as->broker;
      const auto events = joined_as->events == 0 ? std::string{} : fmt::format(" events={}", joined_as->events);
      fmt::print("ready {} {}instance={} broker={} commands={}{}\n", name_, http, joined_as->instance, at, joined_as->commands, events);
      std::fflush(stdout);
      if (at.starts_with("inproc:")) log("its broker is for this process only; --listen tcp://127.0.0.1:5555 lets the waggle CLI in");
    }};
    std::unique_ptr<detail::hybrid> around;  // goes first, for its threads call the above
    if (settings.hybrid) {
      settings.hybrid->on_routes = [&] { ready.arrive(); };
      try {
        around = detail::make_hybrid(*settings.hybrid);
      } catch (const std::invalid_argument& e) {
        std::fprintf(stderr, "%s: --http (WAGGLE_HTTP_SELF): %s\n", name_.c_str(), e.what());
        return 2;
      }
      inside = around.get();
      ready.arrive();
      with.broker = around->broker();
      with.sockets = &around->sockets();
    }
    net::wake_up done;
    std::stop_source stop;
    std::thread closing;
    std::thread listener{[&] {
      for (int seen = 0;;) {
        pollfd both[2] = {{signals.descriptor(), POLLIN, 0}, {done.descriptor(), POLLIN, 0}};
        ::poll(both, 2, -1);
        if (both[1].revents != 0) return;
        if (both[0].revents == 0) continue;
        signals.take();
        if (++seen > 1) std::_Exit(130);
        // HTTP first, while there is still a service to answer its requests; on a thread of its own, for a second signal does not wait.
        closing = std::thread{[&] {
          if (around) around->drain(with.drain);
          stop.request_stop();
        }};
      }
    }};
    const auto end_threads = [&] {
      done.raise();
      listener.join();
      if (closing.joinable()) closing.join();
    };
    bool drained = true;
    try {
      drained = serve(with, stop.get_token(), [&](const seat& at) {
        if (joined_as) return;
        joined_as = at;
        ready.arrive();
      });
      if (around && !stop.stop_requested()) around->drain(with.drain);  // an operator asked the service to leave
    } catch (...) {
      end_threads();
      throw;
    }
    end_threads();
    if (!drained) {
      log(fmt::format("calls were still running after {} ms; leaving without them", with.drain.count()));
      std::fflush(nullptr);
      std::_Exit(1);  // their handlers are still on their threads
    }
  } catch (const std::exception& e) {
    log(e.what());
    return 1;
  }
  return 0;
}

}  // namespace waggle
