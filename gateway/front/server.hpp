#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/front/application.hpp"
#include "gateway/front/limits.hpp"
#include "gateway/front/listener.hpp"

namespace waggle::front {

struct server_options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  // 0: any free one, see `endpoint`
  unsigned threads = 1;    // 1 to 255
  limits bounds{};
  /// Takes one line about something that went wrong; called from any reactor thread. Empty: standard error.
  std::function<void(std::string_view)> log{};
};

/// An HTTP/1.1 server of independent threads: each has its own listening socket, connections, timers and application,
/// and shares nothing with the others but the word to stop.
///
/// All calls are safe from any thread but a reactor thread of this server.
class server {
 public:
  /// Listens; clients may connect from now on and are served after `start`. Throws `bind_error`.
  server(server_options options, application_factory make_application);
  /// Stops.
  ~server();
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  /// The address in use, numeric, as HOST:PORT.
  [[nodiscard]] const std::string& endpoint() const;
  /// Returns once each thread has its application. Throws what a factory threw, and has stopped then. Only once.
  void start();
  /// No new connections; open requests get their answers, with `Connection: close`; then, or after `patience`, stops.
  /// Returns when it has stopped.
  void drain(std::chrono::milliseconds patience);
  /// Drops all connections and returns once the threads have ended.
  void stop();

 private:
  class impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace waggle::front
