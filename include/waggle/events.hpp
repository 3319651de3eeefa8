#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <waggle/client.hpp>
#include <waggle/detail/duration.hpp>
#include <waggle/detail/event_endpoint.hpp>
#include <waggle/fields.hpp>
#include <waggle/net/poll.hpp>
#include <waggle/net/socket.hpp>
#include <waggle/wire/frames.hpp>
#include <waggle/wire/headers.hpp>

namespace waggle {

/// One event, as a subscriber gets it.
struct event {
  std::string topic;
  std::string payload;         ///< one msgpack value
  header_map headers;
  std::uint64_t sequence = 0;  ///< in its stream; 0: not in one

  /// The payload as a type.
  template <payload_type Type>
  [[nodiscard]] result<Type> as() const { return read_payload<Type>(payload); }
};

struct event_options {
  std::string broker = environment("WAGGLE_BROKER", default_broker);
  milliseconds patience{5000};      ///< for the broker to be reached
  net::context* sockets = nullptr;  ///< to share one, as `inproc://` needs
};

/// Receives events whose topics begin with one of some prefixes. For one thread.
///
/// PUB/SUB loses what is sent while the subscriber is not connected, and what it is too slow for (10,000 events wait).
class subscriber {
 public:
  /// Waits until the subscriptions are in force: what is emitted from then on arrives. An empty prefix is every topic.
  static result<subscriber> open(const std::vector<std::string>& prefixes, event_options with = {});

  /// The next event; nothing if none comes in time. What is not an event is stepped over.
  std::optional<event> next(milliseconds within);

  /// For those who poll several things: read `next(0ms)` until it is empty after each wake-up.
  net::event_subscription& socket() { return *socket_; }

 private:
  subscriber(std::unique_ptr<net::context> own, std::unique_ptr<net::event_subscription> socket)
      : own_sockets_{std::move(own)}, socket_{std::move(socket)} {}

  std::unique_ptr<net::context> own_sockets_;
  std::unique_ptr<net::event_subscription> socket_;
};

/// Emits events at the highest rate and without receipts: what the network cannot take is dropped. For one thread. (An
/// event that matters goes through `client::emit`.)
class publisher {
 public:
  /// Waits until the broker listens.
  static result<publisher> open(event_options with = {});

  /// INVALID_ARGUMENT for what is no topic or too large.
  template <payload_type Payload>
  result<void> emit(std::string_view topic, const Payload& payload, const header_map& headers = {}) {
    std::string bytes;
    append_payload(bytes, payload);
    return emit_bytes(topic, bytes, headers);
  }
  result<void> emit_bytes(std::string_view topic, std::string_view payload, const header_map& headers = {});

 private:
  publisher(std::unique_ptr<net::context> own, std::unique_ptr<net::event_sink> socket)
      : own_sockets_{std::move(own)}, socket_{std::move(socket)} {}

  std::unique_ptr<net::context> own_sockets_;
  std::unique_ptr<net::event_sink> socket_;
  std::string frame_;
};

inline result<subscriber> subscriber::open(const std::vector<std::string>& prefixes, event_options with) {
  using clock = std::chrono::steady_clock;
  const auto give_up = detail::instant_in(with.patience);
  auto own = with.sockets == nullptr ? std::make_unique<net::context>() : nullptr;
  auto& sockets = own ? *own : *with.sockets;
  auto broker = client{{with.broker, "subscriber", 1, &sockets}}.broker(with.patience);
  if (!broker) return tl::unexpected{std::move(broker.error())};

  auto socket = std::make_unique<net::event_subscription>(sockets);
  for (const auto& each : prefixes) socket->subscribe(each);
  // The broker answers this subscription with an event; it stands behind ours in the same pipe.
  std::random_device entropy;
  const auto greeting = "waggle.hello." + std::to_string(entropy()) + "-" + std::to_string(entropy());
  socket->subscribe(greeting);
  socket->connect(detail::event_endpoint(broker->events_out, with.broker));
  subscriber out{std::move(own), std::move(socket)};
  while (clock::now() < give_up) {
    while (const auto got = out.socket_->receive()) {
      if (got->topic == greeting) return out;
    }
    net::waiter waiter;
    waiter.read(*out.socket_);
    waiter.wait_until(give_up);
  }
  return failure(status::unavailable, "no events come from " + detail::event_endpoint(broker->events_out, with.broker));
}

inline std::optional<event> subscriber::next(milliseconds within) {
  const auto give_up = detail::instant_in(within);
  for (;;) {
    while (const auto got = socket_->receive()) {
      wire::bundle_reader frames{got->event};
      wire::frame in;
      if (got->topic.starts_with("waggle.hello.") || frames.next(in) != wire::decoded::frame ||
          in.type != wire::frame_type::event) {
        continue;
      }
      return event{std::string{in.name}, std::string{in.payload}, wire::headers_from_msgpack(in.headers), in.id};
    }
    if (std::chrono::steady_clock::now() >= give_up) return std::nullopt;
    net::waiter waiter;
    waiter.read(*socket_);
    waiter.wait_until(give_up);
  }
}

inline result<publisher> publisher::open(event_options with) {
  using clock = std::chrono::steady_clock;
  const auto give_up = detail::instant_in(with.patience);
  auto own = with.sockets == nullptr ? std::make_unique<net::context>() : nullptr;
  auto& sockets = own ? *own : *with.sockets;
  auto broker = client{{with.broker, "publisher", 1, &sockets}}.broker(with.patience);
  if (!broker) return tl::unexpected{std::move(broker.error())};

  auto socket = std::make_unique<net::event_sink>(sockets);
  const auto endpoint = detail::event_endpoint(broker->events_in, with.broker);
  socket->connect(endpoint);
  socket->linger(milliseconds{500});
  // The broker subscribes to everything; before that has arrived, what is sent is dropped.
  while (!socket->next_subscription()) {
    if (clock::now() >= give_up) return failure(status::unavailable, "nobody takes events at " + endpoint);
    net::waiter waiter;
    waiter.read(*socket);
    waiter.wait_until(give_up);
  }
  return publisher{std::move(own), std::move(socket)};
}

inline result<void> publisher::emit_bytes(std::string_view topic, std::string_view payload, const header_map& headers) {
  if (!wire::is_name(topic) || topic.starts_with("waggle.")) {
    return failure(status::invalid_argument, "a topic is 1 to 128 bytes without spaces, and does not begin with \"waggle.\"");
  }
  if (payload.size() > wire::payload_bytes_max) return failure(status::invalid_argument, "the payload is larger than 4 MiB");
  if (const char* why = wire::headers_problem(headers)) return failure(status::invalid_argument, why);
  while (socket_->next_subscription()) {
    // A broker that came back; nothing is to be done, but the note must not lie in the socket.
  }
  frame_.clear();
  wire::append_event(frame_, 0, topic, payload, wire::headers_to_msgpack(headers));
  socket_->send(topic, frame_);
  return {};
}

}  // namespace waggle
