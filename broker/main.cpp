#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include <waggle/detail/descriptor_limit.hpp>
#include <waggle/detail/duration.hpp>
#include <waggle/detail/stop_signals.hpp>
#include <waggle/version.hpp>

#include "broker/events/memory_log.hpp"
#include "broker/events/sqlite_log.hpp"
#include "broker/events/topic_config.hpp"
#include "broker/shell.hpp"

namespace {

/// Differs from run to run, so that peers notice that this is another broker than the one they knew.
std::string instance_name() {
  std::random_device entropy;
  return fmt::format("broker-{}-{:08x}", ::getpid(), entropy());
}

/// The log in that folder; "none" is one in memory.
waggle::broker::event_store open_store(const std::string& folder, waggle::broker::topic_settings topics) {
  using namespace waggle::broker;
  event_store out;
  out.settings.topics = std::move(topics);
  std::random_device entropy;
  out.settings.seed = (std::uint64_t{entropy()} << 32) | entropy();
  out.settings.durable = folder != "none";
  if (out.settings.durable) {
    out.log = std::make_unique<sqlite_log>(folder);
  } else {
    out.log = std::make_unique<memory_log>(system_log_sources());
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"The waggle broker: routes commands to workers and events to subscribers. Every flag is also an environment variable.",
               "waggle-broker"};
  waggle::broker::endpoints at;
  std::string data = "waggle-data", config;
  std::string pulse = "1s", majordomo_budget = "60s", majordomo_silence = "10s";
  waggle::broker::settings settings;
  app.add_option("--commands", at.commands, "Where peers connect (DEALER sockets)")
      ->envname("WAGGLE_COMMANDS")->capture_default_str();
  app.add_option("--events-in", at.events_in, "Where publishers connect (PUB sockets)")
      ->envname("WAGGLE_EVENTS_IN")->capture_default_str();
  app.add_option("--events-out", at.events_out, "Where subscribers connect (SUB sockets)")
      ->envname("WAGGLE_EVENTS_OUT")->capture_default_str();
  app.add_option("--data", data, "The folder that keeps events and durable commands, made on first use; none: memory only, without receipts")
      ->envname("WAGGLE_DATA")->capture_default_str();
  app.add_option("--config", config, "A YAML file that says which topics belong to which stream, and which are not kept; without, all are in one stream")
      ->envname("WAGGLE_CONFIG");
  app.add_option("--pulse", pulse, "How often workers let hear from themselves")
      ->envname("WAGGLE_PULSE")->capture_default_str()->check(waggle::detail::duration_problem);
  app.add_option("--missed-pulses", settings.missed_pulses_max, "A worker silent for so many pulses is dead")
      ->envname("WAGGLE_MISSED_PULSES")->capture_default_str()->check(CLI::Range(2, 100));
  app.add_option("--majordomo-budget", majordomo_budget, "Time for a request of a Majordomo client, which names none itself")
      ->envname("WAGGLE_MAJORDOMO_BUDGET")->capture_default_str()->check(waggle::detail::duration_problem);
  app.add_option("--majordomo-silence", majordomo_silence, "A Majordomo worker silent for longer is dead")
      ->envname("WAGGLE_MAJORDOMO_SILENCE")->capture_default_str()->check(waggle::detail::duration_problem);
  app.set_version_flag("--version", std::string{waggle::version});
  app.footer("Endpoints: tcp://HOST:PORT, ipc://PATH; PORT may be * for any. Example:\n"
             "  waggle-broker --commands tcp://127.0.0.1:5555 --data /var/lib/waggle");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }

  waggle::broker::topic_settings topics;
  if (!config.empty()) {
    auto read = waggle::broker::read_topic_config(config);
    if (!read) {
      for (const auto& each : read.error()) fmt::print(stderr, "waggle-broker: {}\n", each);
      return 2;
    }
    topics = std::move(*read);
  }
  if (data.empty()) {
    fmt::print(stderr, "waggle-broker: --data names a folder, or none\n");
    return 2;
  }

  try {
    waggle::detail::raise_descriptor_limit();
    waggle::detail::stop_signals stop;
    settings.pulse = std::max(*waggle::detail::parse_duration(pulse), std::chrono::milliseconds{10});
    settings.remember = std::chrono::minutes{10};
    settings.grace = settings.pulse * settings.missed_pulses_max + std::chrono::seconds{1};
    settings.instance = instance_name();
    settings.version = waggle::version;
    waggle::broker::majordomo::settings for_majordomo;
    for_majordomo.budget = *waggle::detail::parse_duration(majordomo_budget);
    for_majordomo.silence_max = *waggle::detail::parse_duration(majordomo_silence);
    waggle::net::context sockets;
    auto store = open_store(data, std::move(topics));
    store.settings.pulse = settings.pulse;
    waggle::broker::shell broker{sockets, at, settings, for_majordomo, std::move(store)};
    fmt::print("ready waggle-broker commands={} events-in={} events-out={}\n", broker.bound().commands,
               broker.bound().events_in, broker.bound().events_out);
    std::fflush(stdout);
    broker.run(stop.descriptor());
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "waggle-broker: {}\n", e.what());
    return 1;
  }
}
