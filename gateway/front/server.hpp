#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/front/application.hpp"
#include "gateway/front/limits.hpp"
#include "gateway/front/listener.hpp"
#include "gateway/front/tls_context.hpp"

namespace waggle::front {

struct listen_address {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  // 0: any free one, see `endpoints`
  bool tls = false;
};

struct server_options {
  std::vector<listen_address> listen{{}};
  /// What those that speak TLS begin with.
  std::shared_ptr<const tls_context> tls;
  unsigned threads = 1;  // 1 to 255
  limits bounds{};
  /// Takes one line about something that went wrong; called from any reactor thread. Empty: standard error.
  std::function<void(std::string_view)> log{};
};

/// How many threads suit this machine: one for every two processors that the process may use, four at most. The rest is for the threads of libzmq, for
/// broker and workers; and what fewer threads send goes in fewer and larger messages.
[[nodiscard]] unsigned usual_threads();

/// An HTTP/1.1 server of independent threads: each has its own listening sockets, connections, timers and application,
/// and shares nothing with the others but the word to stop.
///
/// All calls are safe from any thread but a reactor thread of this server, where only `notify` is.
class server {
 public:
  /// Listens; clients may connect from now on and are served after `start`. Throws `bind_error`.
  server(server_options options, application_factory make_application);
  /// Stops.
  ~server();
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  /// The addresses in use, numeric, as HOST:PORT, in the order of `server_options::listen`; and the first of them.
  [[nodiscard]] const std::vector<std::string>& endpoints() const;
  [[nodiscard]] const std::string& endpoint() const { return endpoints().front(); }
  /// Connections from now on get this TLS context, which is not null; those that are there keep theirs.
  void use(std::shared_ptr<const tls_context> tls);
  /// Returns once each thread has its application. Throws what a factory threw, and has stopped then. Only once.
  void start();
  /// For `notice` goes on as before, with the applications told (`on_drain`) and `Connection: close` in each answer: time
  /// for whoever sends clients here to see that this server is going. Then no new connections; open requests get their
  /// answers; then, or `patience` after the notice, stops. Returns when it has stopped.
  void drain(std::chrono::milliseconds patience, std::chrono::milliseconds notice = std::chrono::milliseconds{0});
  /// Drops all connections and returns once the threads have ended.
  void stop();
  /// Has each thread call its application's `on_notified`; calls before a thread gets to it count as one. Without effect
  /// when not running. From any thread, also a reactor thread.
  void notify();

 private:
  class impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace waggle::front
