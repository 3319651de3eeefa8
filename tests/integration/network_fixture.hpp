#pragma once

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <waggle/client.hpp>
#include <waggle/events.hpp>
#include <waggle/net/poll.hpp>
#include <waggle/service.hpp>

#include "broker/shell.hpp"
#include "support/catch.hpp"

namespace waggle::test {

using namespace std::chrono_literals;

/// Waits for a condition with a deadline; never for time to pass.
inline bool eventually(const std::function<bool()>& holds, milliseconds within = 10s) {
  const auto give_up = std::chrono::steady_clock::now() + within;
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= give_up) return false;
    std::this_thread::yield();
  }
  return true;
}

/// A broker on a thread of its own, on ports that the system chose (or at given endpoints, to come back there).
class running_broker {
 public:
  explicit running_broker(net::context& sockets, broker::endpoints at = {"tcp://127.0.0.1:*", "tcp://127.0.0.1:*", "tcp://127.0.0.1:*"},
                          milliseconds pulse = 1000ms, const std::string& instance = "test-broker",
                          broker::event_store events = broker::event_store::in_memory(), broker::security who = {}) {
    broker::settings with;
    with.instance = instance;
    with.pulse = pulse;
    with.grace = pulse * with.missed_pulses_max + 1s;
    shell_ = std::make_unique<broker::shell>(sockets, at, with, broker::majordomo::settings{}, std::move(events), std::move(who));
    thread_ = std::thread{[this] { shell_->run(stop_.descriptor()); }};
  }
  ~running_broker() {
    stop_.raise();
    thread_.join();
  }
  broker::shell& shell() { return *shell_; }
  [[nodiscard]] const broker::endpoints& at() const { return shell_->bound(); }
  [[nodiscard]] const std::string& commands() const { return shell_->bound().commands; }

 private:
  net::wake_up stop_;
  std::unique_ptr<broker::shell> shell_;
  std::thread thread_;
};

/// Endpoints that a second broker can have after the first.
struct socket_folder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("waggle-test-" + std::to_string(::getpid()));
  socket_folder() { std::filesystem::create_directories(path); }
  ~socket_folder() { std::filesystem::remove_all(path); }
  [[nodiscard]] broker::endpoints endpoints() const {
    return {"ipc://" + (path / "commands").string(), "ipc://" + (path / "in").string(), "ipc://" + (path / "out").string()};
  }
};

/// A service on a thread of its own; the constructor returns once it has joined.
class running_service {
 public:
  running_service(service& what, service_options with) {
    thread_ = std::thread{[this, &what, with = std::move(with)] {
      try {
        drained = what.serve(with, stop_.get_token(), [this](const service::seat&) { ++joined; });
      } catch (const std::exception& e) {
        failure = e.what();
      }
      ended = true;
    }};
    joined_at_all = eventually([&] { return joined > 0 || ended; }) && joined > 0;
  }
  ~running_service() { stop(); }

  void request_stop() { stop_.request_stop(); }
  void stop() {
    stop_.request_stop();
    if (thread_.joinable()) thread_.join();
  }

  std::atomic<int> joined{0};
  std::atomic<bool> ended{false};
  bool joined_at_all = false;
  bool drained = false;
  std::string failure;

 private:
  std::stop_source stop_;
  std::thread thread_;
};

inline service_options at(const running_broker& broker, net::context& sockets, unsigned threads = 4) {
  service_options out;
  out.broker = broker.commands();
  out.threads = threads;
  out.sockets = &sockets;
  return out;
}

inline client_options caller(const running_broker& broker, net::context& sockets) {
  client_options out;
  out.broker = broker.commands();
  out.sockets = &sockets;
  return out;
}

}  // namespace waggle::test
