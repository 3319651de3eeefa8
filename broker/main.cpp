#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <utility>

#include <waggle/detail/descriptor_limit.hpp>
#include <waggle/detail/duration.hpp>
#include <waggle/detail/stop_signals.hpp>
#include <waggle/keys.hpp>
#include <waggle/net/poll.hpp>
#include <waggle/version.hpp>

#include "broker/events/memory_log.hpp"
#include "broker/events/sqlite_log.hpp"
#include "broker/events/topic_config.hpp"
#include "broker/peers/loopback.hpp"
#include "broker/peers/peers_config.hpp"
#include "broker/shell.hpp"
#include "gateway/config_watch.hpp"

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

/// What --key-file and --peers say; nothing when it is wrong, which is on standard error then.
std::optional<waggle::broker::security> read_security(const std::string& key_file, const std::string& peers, bool in_the_open) {
  waggle::broker::security out;
  out.in_the_open = in_the_open;
  if (key_file.empty() && peers.empty()) return out;
  if (key_file.empty()) {
    fmt::print(stderr, "waggle-broker: --peers counts for a broker with a key only; make one with `waggle keygen broker`, and name it with --key-file\n");
    return std::nullopt;
  }
  if (peers.empty()) {
    fmt::print(stderr, "waggle-broker: with --key-file nobody gets in whom --peers does not name; write that file (broker/PROTOCOL.md, \"Security\")\n");
    return std::nullopt;
  }
  try {
    out.key = waggle::read_key_pair(key_file);
  } catch (const waggle::key_error& e) {
    fmt::print(stderr, "waggle-broker: {}\n", e.what());
    return std::nullopt;
  }
  auto read = waggle::broker::read_peers_config(peers);
  if (!read) {
    for (const auto& each : read.error()) fmt::print(stderr, "waggle-broker: {}\n", each);
    return std::nullopt;
  }
  out.peers = std::move(*read);
  return out;
}

/// Waits for signals, and for the file of the peers to change: what is read then goes to the broker, whole or not at all. Ends, and the broker with it,
/// on the first SIGTERM or SIGINT.
class attendant {
 public:
  attendant(waggle::detail::stop_signals& signals, waggle::broker::shell& broker, std::string peers)
      : signals_{signals}, broker_{broker}, peers_{std::move(peers)}, watched_{paths()}, thread_{[this] { run(); }} {}
  ~attendant() {
    ended_.raise();
    thread_.join();
  }
  attendant(const attendant&) = delete;
  attendant& operator=(const attendant&) = delete;

  /// Can be read when the broker is to stop.
  [[nodiscard]] int stopped() const { return stopped_.descriptor(); }

 private:
  [[nodiscard]] std::span<const std::string> paths() const { return {&peers_, peers_.empty() ? 0u : 1u}; }

  void run() {
    using clock = std::chrono::steady_clock;
    for (auto due = clock::time_point::max();;) {
      int patience = -1;
      if (due != clock::time_point::max()) {
        patience = static_cast<int>(std::max(std::chrono::ceil<std::chrono::milliseconds>(due - clock::now()), std::chrono::milliseconds{0}).count());
      }
      pollfd told[3] = {{signals_.descriptor(), POLLIN, 0}, {ended_.descriptor(), POLLIN, 0}, {watched_.descriptor(), POLLIN, 0}};
      ::poll(told, 3, patience);
      if (told[1].revents != 0) return;
      const int which = told[0].revents != 0 ? signals_.take() : 0;
      if (which == SIGTERM || which == SIGINT) return stopped_.raise();
      if (told[2].revents != 0 && watched_.take()) {
        due = clock::now() + waggle::gateway::config_settle_time;
      } else if (which == SIGHUP || due <= clock::now()) {
        due = clock::time_point::max();
        if (!peers_.empty()) reload();
      }
    }
  }

  void reload() {
    auto read = waggle::broker::read_peers_config(peers_);
    if (read) return broker_.replace_peers(std::move(*read));
    for (const auto& each : read.error()) std::fprintf(stderr, "waggle-broker: %s\n", each.c_str());
    std::fprintf(stderr, "waggle-broker: goes on with the peers it had, until this is mended\n");
  }

  waggle::detail::stop_signals& signals_;
  waggle::broker::shell& broker_;
  std::string peers_;
  waggle::gateway::config_watch watched_;
  waggle::net::wake_up stopped_, ended_;
  std::thread thread_;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"The waggle broker: routes commands to workers and events to subscribers. Every flag is also an environment variable.",
               "waggle-broker"};
  waggle::broker::endpoints at;
  std::string data = "waggle-data", config, key_file, peers;
  bool in_the_open = false;
  std::string pulse = "1s", idle_pulse = "10m", majordomo_budget = "60s", majordomo_silence = "10s";
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
  app.add_option("--key-file", key_file, "The broker's key pair (`waggle keygen`): peers have to know its public key, and --peers theirs; without, the broker binds to "
                                     "this machine only")
      ->envname("WAGGLE_KEY")->type_name("FILE");
  app.add_option("--peers", peers, "A YAML file of the peers' public keys and what they may do (broker/PROTOCOL.md, \"Security\"). Read again on SIGHUP and when "
                                   "it changes")
      ->envname("WAGGLE_PEERS")->type_name("FILE");
  app.add_flag("--insecure", in_the_open, "Without a key, too, bind where others reach it: whoever does may then do everything")
      ->envname("WAGGLE_INSECURE");
  app.add_option("--pulse", pulse, "How often workers let hear from themselves")
      ->envname("WAGGLE_PULSE")->capture_default_str()->check(waggle::detail::duration_problem);
  app.add_option("--idle-pulse", idle_pulse, "How often instead, while they have nothing at hand; no more than --pulse: as often")
      ->envname("WAGGLE_IDLE_PULSE")->capture_default_str()->check(waggle::detail::duration_problem);
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

  auto who = read_security(key_file, peers, in_the_open);
  if (!who) return 2;

  try {
    waggle::detail::raise_descriptor_limit();
    waggle::detail::stop_signals signals{SIGHUP};
    settings.pulse = std::max(*waggle::detail::parse_duration(pulse), std::chrono::milliseconds{10});
    settings.remember = std::chrono::minutes{10};
    settings.idle_pulse = *waggle::detail::parse_duration(idle_pulse);
    settings.grace = settings.pulse * settings.missed_pulses_max + std::chrono::seconds{1};
    settings.instance = instance_name();
    settings.version = waggle::version;
    waggle::broker::majordomo::settings for_majordomo;
    for_majordomo.budget = *waggle::detail::parse_duration(majordomo_budget);
    for_majordomo.silence_max = *waggle::detail::parse_duration(majordomo_silence);
    waggle::net::context sockets;
    auto store = open_store(data, std::move(topics));
    store.settings.pulse = settings.pulse;
    const bool is_open = who->key.empty();
    waggle::broker::shell broker{sockets, at, settings, for_majordomo, std::move(store), std::move(*who)};
    for (const auto& each : {broker.bound().commands, broker.bound().events_in, broker.bound().events_out}) {
      if (is_open && waggle::broker::is_open(each)) fmt::print(stderr, "waggle-broker: {} is open: whoever reaches it may do everything (--insecure)\n", each);
    }
    fmt::print("ready waggle-broker commands={} events-in={} events-out={}\n", broker.bound().commands,
               broker.bound().events_in, broker.bound().events_out);
    std::fflush(stdout);
    attendant with{signals, broker, peers};
    broker.run(with.stopped());
    return 0;
  } catch (const std::invalid_argument& e) {
    fmt::print(stderr, "waggle-broker: {}\n", e.what());
    return 2;
  } catch (const std::exception& e) {
    fmt::print(stderr, "waggle-broker: {}\n", e.what());
    return 1;
  }
}
