#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <waggle/client.hpp>
#include <waggle/detail/duration.hpp>
#include <waggle/detail/event_endpoint.hpp>
#include <waggle/detail/event_follower.hpp>
#include <waggle/event.hpp>
#include <waggle/fields.hpp>
#include <waggle/net/poll.hpp>
#include <waggle/net/socket.hpp>
#include <waggle/wire/frames.hpp>
#include <waggle/wire/headers.hpp>

namespace waggle {

struct event_options {
  std::string broker = environment("WAGGLE_BROKER", default_broker);
  milliseconds patience{5000};      ///< for the broker to be reached
  net::context* sockets = nullptr;  ///< to share one, as `inproc://` needs
  event_start start{};              ///< where a subscriber begins, as `last(20)` or `since(10min)`
  std::function<void(const lost_events&)> on_lost{};  ///< told from inside `next` and `open`
  key_options keys{};               ///< for a broker that wants them
};

/// Receives events whose topics begin with one of some prefixes: in each stream in order, and each once. For one thread.
///
/// PUB/SUB alone loses what is sent while the subscriber is not connected, and what it is too slow for. What a stream keeps is read from the
/// broker's log then, before anything later is given out; events that are ephemeral stay lost.
class subscriber {
 public:
  /// Waits until the subscriptions are in force: what is emitted from then on arrives. An empty prefix is every topic. OUT_OF_RANGE when what it
  /// should begin with is not kept any more, NOT_FOUND when there is no such stream, PERMISSION_DENIED when our role may see none of it. Throws key_error for keys that cannot be read.
  static result<subscriber> open(const std::vector<std::string>& prefixes, event_options with = {});

  /// The next event; nothing if none comes in time, or if none ever will: `error` says.
  std::optional<event> next(milliseconds within) { return follower_->next(detail::instant_in(within)); }

  /// Why it has ended, if it has.
  [[nodiscard]] const std::optional<waggle::error>& error() const { return follower_->failed(); }
  /// Events that could not be read (`event_options::on_lost` says which).
  [[nodiscard]] std::uint64_t lost() const { return follower_->lost(); }
  /// By stream, the last event that everything is known of up to: for another subscriber to go on there (`behind`). With several
  /// prefixes it may be a little before the last event that `next` gave.
  [[nodiscard]] const std::map<std::string, std::uint64_t>& positions() const { return follower_->positions(); }

  /// For those who poll several things: read `next(0ms)` until it is empty after each wake-up of this or of `answers`.
  net::event_subscription& socket() { return follower_->socket(); }
  /// A descriptor that can be read when something of the log has come.
  [[nodiscard]] int answers() const { return follower_->answers(); }

 private:
  subscriber(std::unique_ptr<net::context> own, std::unique_ptr<detail::event_follower> follower)
      : own_sockets_{std::move(own)}, follower_{std::move(follower)} {}

  std::unique_ptr<net::context> own_sockets_;
  std::unique_ptr<detail::event_follower> follower_;
};

/// Emits events at the highest rate and without receipts: what the network cannot take is dropped. For one thread. (An
/// event that matters goes through `client::emit`.)
class publisher {
 public:
  /// Waits until the broker listens. Throws key_error for keys that cannot be read.
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
  const auto give_up = detail::instant_in(with.patience);
  auto own = with.sockets == nullptr ? std::make_unique<net::context>() : nullptr;
  auto& sockets = own ? *own : *with.sockets;
  const client_options at{with.broker, "subscriber", 8, &sockets, with.keys};
  auto broker = client{at}.broker(with.patience);
  if (!broker) return tl::unexpected{std::move(broker.error())};
  if (broker->events_out.empty()) {
    return failure(status::permission_denied, "our key's role may not subscribe to anything; the broker's --peers file says what it may");
  }

  std::random_device entropy;
  const auto greeting = "waggle.hello." + std::to_string(entropy()) + "-" + std::to_string(entropy());
  auto follower = std::make_unique<detail::event_follower>(
      at, detail::subscription_core::options{prefixes, std::move(with.start.stream), std::move(with.start.at)}, std::move(with.on_lost));
  if (auto begun = follower->begin(detail::event_endpoint(broker->events_out, with.broker), greeting, give_up); !begun) {
    return tl::unexpected{std::move(begun.error())};
  }
  return subscriber{std::move(own), std::move(follower)};
}

inline result<publisher> publisher::open(event_options with) {
  using clock = std::chrono::steady_clock;
  const auto give_up = detail::instant_in(with.patience);
  auto own = with.sockets == nullptr ? std::make_unique<net::context>() : nullptr;
  auto& sockets = own ? *own : *with.sockets;
  auto broker = client{{with.broker, "publisher", 1, &sockets, with.keys}}.broker(with.patience);
  if (!broker) return tl::unexpected{std::move(broker.error())};

  auto socket = std::make_unique<net::event_sink>(sockets);
  const auto endpoint = detail::event_endpoint(broker->events_in, with.broker);
  socket->connect(endpoint, read_keys(with.keys));
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
