#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/front/header_list.hpp"
#include "gateway/front/short_text.hpp"

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

/// What a client showed at the TLS handshake, once it has been verified.
struct client_certificate {
  std::string subject;      // as RFC 2253 writes it: "CN=ada,O=Example"
  std::string fingerprint;  // SHA-256 of the certificate, 64 lower-case hexadecimal digits
  // Of its subjectAltName; without those that have a NUL byte.
  std::vector<std::string> dns_names, uris, emails;
};

/// Who sent a request, as far as the connection says. Lives as long as the connection.
struct peer_info {
  std::string address;     // numeric, without port: "203.0.113.7", "2001:db8::1"; an IPv4 client of an IPv6 socket has its IPv4 address
  bool encrypted = false;  // came over TLS
  std::optional<client_certificate> certificate;
};

/// One whole request whose framing has been checked. Everything it points at lives only during
/// `application::on_request`.
struct request {
  std::string_view method;  // a token, upper or lower case as sent
  std::string_view path;    // of the target, still percent-encoded, begins with '/' (or is "*" for OPTIONS)
  std::string_view query;   // what follows '?', still percent-encoded
  std::string_view body;    // with chunked coding removed
  std::vector<header> headers;
  bool is_http10 = false;
  const peer_info* from = nullptr;  // null only where there is no connection

  /// The first header of this name, without regard to case.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
};

/// Of a Content-Type that an answer can have.
inline constexpr std::size_t media_type_bytes_max = 63;

/// What goes out. The front adds Date, Content-Length and Connection, and leaves the body away where HTTP wants that.
struct response {
  int status = 200;
  short_text<media_type_bytes_max> content_type;  // empty: no Content-Type
  std::string body;
  header_list headers;
};

/// Takes answers, from the reactor thread that called the application only. Each request gets exactly one: a whole one
/// (`respond`), or a streamed one (`begin`, any number of `append`, then `finish` or `abort`). What is said to an exchange
/// that has ended, or that has begun another kind of answer, is dropped.
class responder {
 public:
  virtual ~responder() = default;
  virtual void respond(exchange_id to, response answer) = 0;

  /// Status, headers and the first bytes (`head.body`, which may be empty) of an answer whose length is not known yet.
  /// HTTP/1.1 gets it in chunks, HTTP/1.0 until the connection closes. To HEAD, and with a status that has no body, it
  /// is finished with its headers.
  virtual void begin(exchange_id to, response head) = 0;
  /// False: the exchange is over (the client has gone, wants no body, or has let more than
  /// `limits::stream_bytes_max` wait), and no `on_abandoned` will come for it. Bytes of an unfinished answer are never
  /// lost otherwise; whoever streams bounds what waits by looking at `backlog`.
  virtual bool append(exchange_id to, std::string_view bytes) = 0;
  virtual void finish(exchange_id to) = 0;
  /// Ends the connection once what was appended has left, in such a way that the client sees that the answer is not
  /// whole: without the last chunk, to HTTP/1.0 with a reset. Also for an answer that has not begun.
  virtual void abort(exchange_id to) = 0;
  /// Bytes of a streamed answer that the client's kernel has not taken yet, with their framing and, if the answer is the
  /// connection's next, what is left of the ones before it. 0 for an exchange that is over.
  [[nodiscard]] virtual std::size_t backlog(exchange_id to) const = 0;
  /// Clients that are connected now, of all threads.
  [[nodiscard]] virtual std::size_t connections() const { return 0; }
};

/// What a reactor thread serves. One object per thread, made, called and destroyed in that thread; it shares nothing.
/// Exceptions that leave it are logged and answered with 500.
class application {
 public:
  virtual ~application() = default;
  /// Answers at once or later through the responder.
  virtual void on_request(instant now, exchange_id id, const request& in) = 0;
  /// The client went away before its answer, or before the end of a streamed one: what was begun for it may stop.
  virtual void on_abandoned(instant now, exchange_id id) = 0;
  /// Of a streamed answer: after `begin` or `append`, once what waits is below half of `limits::output_bytes_max`, and
  /// again once it is all written if it was not: more may be appended. At most once for each time the thread turns to its
  /// clients, so that one that reads fast does not keep the thread.
  virtual void on_room(instant, exchange_id) {}
  /// A descriptor to watch edge-triggered for reading (the broker socket's ZMQ_FD), asked for again after each call of
  /// `on_readable` and `on_deadline`, since a reconnection changes it; -1 for none. A new descriptor is opened before
  /// the old one is closed: with the same number again the change could not be seen.
  [[nodiscard]] virtual int descriptor() const { return -1; }
  /// Others, of which the same is true.
  [[nodiscard]] virtual int second_descriptor() const { return -1; }
  [[nodiscard]] virtual int third_descriptor() const { return -1; }
  virtual void on_readable(instant) {}
  /// After each batch of requests or events that the thread has handled: the moment to send what was collected. True: some of it is kept back
  /// for others to join it, so the thread looks once more at its clients, without waiting, and calls this again. With `last` nothing may be
  /// kept back: the thread is about to sleep.
  virtual bool on_batch_end(instant, bool /*last*/) { return false; }
  /// When `on_deadline` wants to be called; `instant::max()` for never.
  [[nodiscard]] virtual instant next_deadline() const { return instant::max(); }
  virtual void on_deadline(instant) {}
  /// Work that goes on after its answer: a server that drains waits for it, as long as its patience lasts.
  [[nodiscard]] virtual bool busy() const { return false; }
  /// `server::drain` was called (SIGTERM came). Where it gives notice, requests go on coming for that long, and their
  /// answers carry `Connection: close`; then open requests finish and the server stops.
  virtual void on_drain(instant) {}
  /// After that, and after the notice: no new connections are taken, and the server stops once what is open has its answer. Streamed answers
  /// that would go on for ever end now.
  virtual void on_closing(instant) {}
  /// `server::notify` was called, once or more often.
  virtual void on_notified(instant) {}
};

using application_factory = std::function<std::unique_ptr<application>(responder&)>;

}  // namespace waggle::front
