#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace waggle::front {

using clock = std::chrono::steady_clock;
using instant = clock::time_point;

/// Names one request on one connection. A responder never uses one again, so that an answer that comes after its client
/// has gone reaches nobody.
enum class exchange_id : std::uint64_t {};

struct header {
  std::string_view name;  // as sent; compare without case
  std::string_view value;
};

/// One whole request whose framing has been checked. Everything it points at lives only during
/// `application::on_request`.
struct request {
  std::string_view method;  // a token, upper or lower case as sent
  std::string_view path;    // of the target, still percent-encoded, begins with '/' (or is "*" for OPTIONS)
  std::string_view query;   // what follows '?', still percent-encoded
  std::string_view body;    // with chunked coding removed
  std::vector<header> headers;

  /// The first header of this name, without regard to case.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
};

/// What goes out. The front adds Date, Content-Length and Connection, and leaves the body away where HTTP wants that.
struct response {
  int status = 200;
  std::string content_type;  // empty: no Content-Type
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

/// Takes answers, from the reactor thread that called the application only.
class responder {
 public:
  virtual ~responder() = default;
  /// Exactly one answer for each request; an answer to an exchange that has ended is dropped.
  virtual void respond(exchange_id to, response answer) = 0;
};

/// What a reactor thread serves. One object per thread, made, called and destroyed in that thread; it shares nothing.
/// Exceptions that leave it are logged and answered with 500.
class application {
 public:
  virtual ~application() = default;
  /// Answers at once or later through the responder.
  virtual void on_request(instant now, exchange_id id, const request& in) = 0;
  /// The client went away before its answer: what was begun for it may stop.
  virtual void on_abandoned(instant now, exchange_id id) = 0;
  /// A descriptor to watch edge-triggered for reading (the broker socket's ZMQ_FD), asked for again after each call of
  /// `on_readable` and `on_deadline`, since a reconnection changes it; -1 for none. A new descriptor is opened before
  /// the old one is closed: with the same number again the change could not be seen.
  [[nodiscard]] virtual int descriptor() const { return -1; }
  virtual void on_readable(instant) {}
  /// After each batch of requests or events that the thread has handled: the moment to send what was collected.
  virtual void on_batch_end(instant) {}
  /// When `on_deadline` wants to be called; `instant::max()` for never.
  [[nodiscard]] virtual instant next_deadline() const { return instant::max(); }
  virtual void on_deadline(instant) {}
  /// SIGTERM came: open requests finish, then the server stops.
  virtual void on_drain(instant) {}
};

using application_factory = std::function<std::unique_ptr<application>(responder&)>;

}  // namespace waggle::front
