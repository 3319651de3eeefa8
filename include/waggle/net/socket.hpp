#pragma once

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <zmq.hpp>

#include <waggle/net/curve.hpp>
#include <waggle/wire/limits.hpp>
#include <waggle/wire/message.hpp>

/// The only code that knows ZeroMQ. Sockets here never block and never grow without bound; each belongs to the thread that
/// made it (or to whoever it was handed to with a full fence) and to no other.
namespace waggle::net {

/// An endpoint that could not be bound or connected; `what` names it, the reason and the remedy.
class endpoint_error : public std::runtime_error {
 public:
  endpoint_error(const std::string& verb, const std::string& endpoint, int errno_value)
      : std::runtime_error{"cannot " + verb + " " + endpoint + ": " + explain(errno_value)}, reason{errno_value} {}
  int reason;  ///< errno

 private:
  static std::string explain(int errno_value) {
    switch (errno_value) {
      case EADDRINUSE: return "the address is in use; stop what uses it, or choose another port (or * for any)";
      case EADDRNOTAVAIL: return "this machine has no such address";
      case ENODEV: return "this machine has no such interface";
      case EINVAL: return "not an endpoint; write tcp://HOST:PORT with a port up to 65535, ipc://PATH or inproc://NAME";
      case EPROTONOSUPPORT: return "unknown transport; write tcp://HOST:PORT, ipc://PATH or inproc://NAME";
      case EACCES: return "permission denied";
      default: return zmq_strerror(errno_value);
    }
  }
};

/// How many I/O threads and sockets a process has. One is enough for a process; sharing one is what makes `inproc://` work.
class context {
 public:
  explicit context(int io_threads = 1) : context_{io_threads} {}
  zmq::context_t& native() { return context_; }

 private:
  zmq::context_t context_;
};

enum class sent : std::uint8_t {
  yes,          ///< handed to libzmq: not a promise of delivery
  full,         ///< the peer does not read, or there is no connection now
  unreachable,  ///< no such peer any more
};

/// Options that every socket of ours has; FACTS about libzmq's defaults are in broker/PROTOCOL.md, "Transport".
class socket {
 public:
  socket(context& in, zmq::socket_type type) : socket_{in.native(), type} {
    namespace opt = zmq::sockopt;
    socket_.set(opt::linger, 0);
    socket_.set(opt::maxmsgsize, static_cast<std::int64_t>(wire::message_bytes_max));
    socket_.set(opt::sndhwm, 1000);
    socket_.set(opt::rcvhwm, 1000);
    // The kernel finds half-open TCP, within 20 s; a deadlocked peer is found by the PULSE frames. Not libzmq's heartbeats: each message
    // costs it a walk through the timers of all connections, and a broker with 8,000 idle workers did nothing else.
    socket_.set(opt::tcp_keepalive, 1);
    socket_.set(opt::tcp_keepalive_idle, 5);
    socket_.set(opt::tcp_keepalive_intvl, 5);
    socket_.set(opt::tcp_keepalive_cnt, 3);
    socket_.set(opt::tcp_maxrt, 20'000);
    socket_.set(opt::reconnect_ivl, 50);
    socket_.set(opt::reconnect_ivl_max, 1000);
    socket_.set(opt::backlog, 1024);
    descriptor_ = socket_.get(opt::fd);
  }

  /// libzmq takes a port modulo 65,536.
  static bool has_port(const std::string& endpoint) {
    if (!endpoint.starts_with("tcp://")) return true;
    const auto port = endpoint.substr(endpoint.rfind(':') + 1);
    if (port.empty() || port.find_first_not_of("0123456789") != std::string::npos) return true;  // `*`, or libzmq's to refuse
    return port.size() <= 5 && std::stoul(port) <= 65535;
  }

  /// Binds; returns the actual endpoint, in which the system has filled in what was `*`. Throws endpoint_error.
  std::string bind(const std::string& endpoint) {
    if (!has_port(endpoint)) throw endpoint_error{"bind", endpoint, EINVAL};
    try {
      if (endpoint.find('[') != std::string::npos) socket_.set(zmq::sockopt::ipv6, true);
      socket_.bind(endpoint);
      return socket_.get(zmq::sockopt::last_endpoint);
    } catch (const zmq::error_t& e) {
      throw endpoint_error{"bind", endpoint, e.num()};
    }
  }

  /// Before `bind`: peers have to know this key, and what the ZAP handler of the context says of theirs in that domain decides whether they get
  /// in. Without a handler everybody does, nameless: it has to be there before, and for as long.
  void guard(const key_pair& own, const std::string& domain) {
    namespace opt = zmq::sockopt;
    socket_.set(opt::curve_server, true);
    socket_.set(opt::curve_secretkey, own.secret_key);
    socket_.set(opt::zap_domain, domain);
    socket_.set(opt::handshake_ivl, 5000);  // who does not finish it in time is dropped
  }

  /// Lets go of everybody who has connected here, and lets them in again, as they come back by themselves. Takes a moment, in which libzmq's
  /// own thread lets go of the address. Throws endpoint_error.
  void admit_anew(const std::string& endpoint) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{1};
    bool is_bound = true;
    for (;;) {
      try {
        if (std::exchange(is_bound, false)) socket_.unbind(endpoint);
        return socket_.bind(endpoint);
      } catch (const zmq::error_t& e) {
        if (e.num() != EADDRINUSE || std::chrono::steady_clock::now() >= give_up) throw endpoint_error{"bind", endpoint, e.num()};
      }
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
  }

  /// Begins to connect, and again for as long as the socket lives. Throws endpoint_error for what is no endpoint.
  void connect(const std::string& endpoint, const peer_keys& as = {}) {
    if (!has_port(endpoint)) throw endpoint_error{"connect to", endpoint, EINVAL};
    try {
      if (!as.empty()) {
        socket_.set(zmq::sockopt::curve_serverkey, as.broker);
        socket_.set(zmq::sockopt::curve_publickey, as.own.public_key);
        socket_.set(zmq::sockopt::curve_secretkey, as.own.secret_key);
      }
      if (endpoint.find('[') != std::string::npos) socket_.set(zmq::sockopt::ipv6, true);
      socket_.connect(endpoint);
    } catch (const zmq::error_t& e) {
      throw endpoint_error{"connect to", endpoint, e.num()};
    }
  }

  /// How long closing waits for messages that have not left yet.
  void linger(std::chrono::milliseconds at_most) { socket_.set(zmq::sockopt::linger, static_cast<int>(at_most.count())); }

  /// To be watched edge-triggered for reading; after each event, and after each send and receive, `readable` tells the truth.
  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] bool readable() const { return (events() & ZMQ_POLLIN) != 0; }
  /// ZMQ_POLLIN and ZMQ_POLLOUT, as they are now.
  [[nodiscard]] int events() const { return socket_.get(zmq::sockopt::events); }

  zmq::socket_t& native() { return socket_; }

 protected:
  /// Who sent this, as the ZAP handler has named it; empty without one. Valid as long as the message.
  static std::string_view user_of(const zmq::message_t& part) {
    // Not message_t::gets, which throws where there is none.
    const char* const user = zmq_msg_gets(const_cast<zmq::message_t&>(part).handle(), "User-Id");
    return user == nullptr ? std::string_view{} : std::string_view{user};
  }

  static zmq::send_flags more_if(bool more) { return more ? zmq::send_flags::sndmore : zmq::send_flags::none; }

  sent send_part(std::string_view bytes, zmq::send_flags flags) {
    try {
      return socket_.send(zmq::buffer(bytes), flags | zmq::send_flags::dontwait) ? sent::yes : sent::full;
    } catch (const zmq::error_t& e) {
      if (e.num() == EHOSTUNREACH) return sent::unreachable;
      if (e.num() == EINTR) return sent::full;
      throw;
    }
  }

  /// What is empty afterwards if it has been sent: if it is large, libzmq gets the memory itself instead of a copy, and that of an earlier
  /// one, which has left meanwhile, is there in its place.
  sent hand_over_part(std::string& bundle, zmq::send_flags flags) {
    if (bundle.size() < handed_over_bytes_min) {
      const auto how = send_part(std::string_view{bundle}, flags);
      if (how == sent::yes) bundle.clear();
      return how;
    }
    auto made = std::make_unique<held_bundle>(held_bundle{std::move(bundle), spare_});
    zmq::message_t message{made->bytes.data(), made->bytes.size(), held_bundle::left, made.get()};
    auto* const held = made.release();  // the message's, and after it has been sent libzmq's
    const auto how = send_part(message, flags);
    bundle = how == sent::yes ? spare_->take() : std::move(held->bytes);
    return how;
  }

  /// The rest of a message whose first part has been taken. Whether there is room was asked for that one: libzmq takes the others, or drops
  /// them all with a pipe that has gone. So what is not taken here was a signal that came in between, and half a message is never left behind.
  template <class Send>
  static void send_rest(Send&& part) {
    while (part() == sent::full) {
    }
  }

  /// Attachments behind the bundle of a message: their memory goes to libzmq, which lets go of it when it has been sent.
  void send_attachments(const std::vector<wire::attachment>& all) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      send_rest([&] {
        auto shared = std::make_unique<wire::attachment>(all[i]);
        zmq::message_t part{const_cast<char*>(all[i].bytes().data()), all[i].bytes().size(),
                            [](void*, void* hint) { delete static_cast<wire::attachment*>(hint); }, shared.get()};
        static_cast<void>(shared.release());  // the part's
        return send_part(part, more_if(i + 1 < all.size()));
      });
    }
  }

  /// What has been received as one; small ones, too, which lie inside the part.
  static wire::attachment attachment_of(zmq::message_t&& part) {
    auto kept = std::make_shared<const zmq::message_t>(std::move(part));
    const auto bytes = kept->to_string_view();
    return {std::move(kept), bytes};
  }

  /// A part that has been received, which is empty afterwards.
  sent send_part(zmq::message_t& part, zmq::send_flags flags) {
    try {
      return socket_.send(part, flags | zmq::send_flags::dontwait) ? sent::yes : sent::full;
    } catch (const zmq::error_t& e) {
      if (e.num() == EHOSTUNREACH) return sent::unreachable;
      if (e.num() == EINTR) return sent::full;
      throw;
    }
  }

  /// One part; false when nothing is there. A signal is no reason to stop: amid a message, what is left would be taken for the next.
  bool receive_part(zmq::message_t& into) {
    for (;;) {
      try {
        return socket_.recv(into, zmq::recv_flags::dontwait).has_value();
      } catch (const zmq::error_t& e) {
        if (e.num() != EINTR) throw;
      }
    }
  }

  /// Steps over what is left of a message; returns how many parts that was.
  std::size_t drop_rest(const zmq::message_t& part) {
    std::size_t dropped = 0;
    zmq::message_t ignored;
    for (bool more = part.more(); more; more = ignored.more(), ++dropped) {
      if (!receive_part(ignored)) break;
    }
    return dropped;
  }

  zmq::socket_t socket_;

 private:
  static constexpr std::size_t handed_over_bytes_min = 16u << 10;

  /// Buffers of bundles that have left: fresh memory costs more than to copy into what is warm.
  class spare_buffers {
   public:
    spare_buffers() { spare_.reserve(count_max); }  // `give` is called by C code, which must not see an exception
    void give(std::string bytes) noexcept {
      if (bytes.capacity() < handed_over_bytes_min || bytes.capacity() > capacity_max) return;
      bytes.clear();
      const std::lock_guard lock{mutex_};
      if (spare_.size() < count_max) spare_.push_back(std::move(bytes));
    }
    std::string take() {
      const std::lock_guard lock{mutex_};
      if (spare_.empty()) return {};
      auto out = std::move(spare_.back());
      spare_.pop_back();
      return out;
    }

   private:
    static constexpr std::size_t count_max = 16;
    static constexpr std::size_t capacity_max = 256u << 10;
    std::mutex mutex_;  ///< libzmq's thread gives
    std::vector<std::string> spare_;
  };
  /// What libzmq has of a bundle that was handed over; it may keep it longer than the socket lives.
  struct held_bundle {
    std::string bytes;
    std::shared_ptr<spare_buffers> home;
    static void left(void*, void* hint) {
      auto* const held = static_cast<held_bundle*>(hint);
      held->home->give(std::move(held->bytes));
      delete held;
    }
  };

  int descriptor_ = -1;
  std::shared_ptr<spare_buffers> spare_ = std::make_shared<spare_buffers>();
};

/// The broker's command socket.
class router : public socket {
 public:
  explicit router(context& in) : socket{in, zmq::socket_type::router} {
    // Without this a message to a peer that has gone vanishes and reports success. It makes a full pipe block: hence dontwait.
    socket_.set(zmq::sockopt::router_mandatory, true);
  }

  /// Of a message of several parts, so many and so many bytes are handed out; the rest is dropped.
  static constexpr std::size_t parts_max = 1040;
  static constexpr std::size_t parts_bytes_max = wire::message_bytes_max;

  struct message {
    std::string_view from;     ///< routing id: binary, ZeroMQ's own
    std::string_view bundle;   ///< the first part
    std::size_t parts_beyond;  ///< parts that came after it
  };

  /// The next message, if there is one; valid until the next call.
  std::optional<message> receive() {
    if (!receive_part(from_) || !from_.more() || !receive_part(bundle_)) return std::nullopt;
    const auto beyond = bundle_.more() ? receive_rest() : 0;
    return message{from_.to_string_view(), bundle_.to_string_view(), beyond};
  }

  /// Who sent the message that was received last.
  [[nodiscard]] std::string_view user() const { return user_of(bundle_); }
  /// The descriptor of the connection by which it came; -1 if it came from this process.
  [[nodiscard]] int connection() { return zmq_msg_get(bundle_.handle(), ZMQ_SRCFD); }

  /// The message that was received last, with those of its parts that are within the limits as attachments; in the place of `parts`.
  wire::message_view whole() {
    attachments_.clear();
    for (std::size_t i = 0; bundle_.more() && i < rest_used_; ++i) attachments_.push_back(attachment_of(std::move(rest_[i])));
    return {bundle_.to_string_view(), attachments_};
  }

  /// All parts of the message that was received last, those within the limits; valid until the next `receive`.
  std::span<const std::string_view> parts() {
    views_.assign(1, bundle_.to_string_view());
    for (std::size_t i = 0; bundle_.more() && i < rest_used_; ++i) views_.push_back(rest_[i].to_string_view());
    return views_;
  }

  sent send(std::string_view to, std::string_view bundle) { return send(to, std::span{&bundle, 1}); }
  /// If it has been sent, the message is empty afterwards.
  sent hand_over(std::string_view to, wire::message& whole) {
    const auto addressed = send_part(to, zmq::send_flags::sndmore);
    if (addressed != sent::yes) return addressed;
    send_rest([&] { return hand_over_part(whole.bundle, more_if(!whole.attachments.empty())); });
    send_attachments(whole.attachments);
    whole.clear();
    return sent::yes;
  }

  /// One message of one or more parts.
  sent send(std::string_view to, std::span<const std::string_view> parts) {
    const auto addressed = send_part(to, zmq::send_flags::sndmore);
    if (addressed != sent::yes) return addressed;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      send_rest([&] { return send_part(parts[i], more_if(i + 1 < parts.size())); });
    }
    return sent::yes;
  }

 private:
  std::size_t receive_rest() {
    std::size_t beyond = 0, bytes = bundle_.size();
    rest_used_ = 0;
    bool more = true;
    for (; more; ++beyond) {
      if (rest_used_ == rest_.size()) rest_.emplace_back();
      auto& part = rest_[rest_used_];
      if (!receive_part(part)) break;
      more = part.more();
      bytes += part.size();
      // Past the limit the last place is used again and again, and counts no more.
      if (rest_used_ == beyond && beyond + 1 < parts_max && bytes <= parts_bytes_max) ++rest_used_;
    }
    return beyond;
  }

  zmq::message_t from_;
  zmq::message_t bundle_;
  std::vector<zmq::message_t> rest_;  ///< what follows `bundle_`: those of `rest_used_`, and room for one that is dropped
  std::size_t rest_used_ = 0;
  std::vector<std::string_view> views_;
  std::vector<wire::attachment> attachments_;
};

/// Which descriptor a monitor's DISCONNECTED is of.
[[nodiscard]] inline int descriptor_in(std::string_view monitor_event) {
  std::int32_t out = -1;
  if (monitor_event.size() >= 6) std::memcpy(&out, monitor_event.data() + 2, sizeof out);
  return out;
}

/// Hears of the connections of another socket that end. Of the same thread; made before that one is bound, and gone before it.
class connection_ends : public socket {
 public:
  connection_ends(context& in, socket& of) : socket{in, zmq::socket_type::pair}, of_{of} {
    static std::atomic<std::uint64_t> made{0};
    const auto endpoint = "inproc://waggle.ends." + std::to_string(++made);
    socket_.set(zmq::sockopt::rcvhwm, 100'000);  // libzmq's I/O thread would wait for room
    if (zmq_socket_monitor(of_.native().handle(), endpoint.c_str(), ZMQ_EVENT_DISCONNECTED) != 0) throw endpoint_error{"watch", endpoint, errno};
    socket_.connect(endpoint);
  }
  ~connection_ends() { zmq_socket_monitor(of_.native().handle(), nullptr, 0); }
  connection_ends(const connection_ends&) = delete;
  connection_ends& operator=(const connection_ends&) = delete;

  /// The descriptor that the next of them had, as `router::connection` says it; it may be another's by now.
  std::optional<int> next() {
    if (!receive_part(event_)) return std::nullopt;
    drop_rest(event_);  // its address
    return descriptor_in(event_.to_string_view());
  }

 private:
  socket& of_;
  zmq::message_t event_;
};

/// A peer's command socket.
class dealer : public socket {
 public:
  /// Whether each connection that it makes, also when one was lost, begins with an empty message. The broker takes that for a PULSE, and says so if it
  /// has no seat for who comes.
  enum class greeting { pulse, none };

  explicit dealer(context& in, greeting first = greeting::pulse) : socket{in, zmq::socket_type::dealer} {
    // Nothing is queued for a connection that does not exist: what has not been sent can still be taken back.
    socket_.set(zmq::sockopt::immediate, true);
    socket_.set(zmq::sockopt::probe_router, first == greeting::pulse);
  }

  /// The next message, if there is one; valid until the next call. Those with more attachments than anybody may send are dropped whole.
  std::optional<wire::message_view> receive() {
    attachments_.clear();
    while (receive_part(bundle_)) {
      if (!bundle_.more()) return bundle_.to_string_view();
      if (receive_attachments()) return wire::message_view{bundle_.to_string_view(), attachments_};
    }
    return std::nullopt;
  }

  sent send(std::string_view bundle) { return send_part(bundle, zmq::send_flags::none); }
  /// If it has been sent, the message is empty afterwards.
  sent hand_over(wire::message& message) {
    const auto how = hand_over_part(message.bundle, more_if(!message.attachments.empty()));
    if (how != sent::yes) return how;
    send_attachments(message.attachments);
    message.clear();
    return how;
  }

 private:
  bool receive_attachments() {
    attachments_.clear();
    zmq::message_t part;
    std::size_t bytes = bundle_.size();
    for (bool more = true; more;) {
      if (!receive_part(part)) return false;
      more = part.more();
      bytes += part.size();
      if (attachments_.size() == wire::attachments_max || bytes > wire::message_bytes_max) return drop_rest(part), false;
      attachments_.push_back(attachment_of(std::move(part)));
    }
    return true;
  }

  zmq::message_t bundle_;
  std::vector<wire::attachment> attachments_;
};

/// A PUB/SUB message: `topic` is what subscriptions are compared with, `event` an EVENT frame.
struct published {
  std::string_view topic;
  std::string_view event;
};

/// Either end of the events' sockets, seen from where events arrive.
class event_source : public socket {
 public:
  using socket::socket;

  /// The next message of exactly two parts, if there is one; valid until the next call. Others are counted in `malformed`.
  std::optional<published> receive() {
    while (receive_part(topic_)) {
      if (topic_.more() && receive_part(event_) && !event_.more()) {
        return published{topic_.to_string_view(), event_.to_string_view()};
      }
      drop_rest(topic_.more() ? event_ : topic_);
      ++malformed_;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::uint64_t malformed() const { return malformed_; }
  /// Who sent the message that was received last.
  [[nodiscard]] std::string_view user() const { return user_of(event_); }

 private:
  friend class event_sink;
  zmq::message_t topic_;
  zmq::message_t event_;
  std::uint64_t malformed_ = 0;
};

/// Where publishers connect: takes every topic, since the broker must see them all.
class event_intake : public event_source {
 public:
  explicit event_intake(context& in) : event_source{in, zmq::socket_type::xsub} {
    socket_.set(zmq::sockopt::rcvhwm, 10'000);
  }
  /// After binding: asks publishers for everything.
  void subscribe_to_all() { socket_.send(zmq::str_buffer("\x01"), zmq::send_flags::dontwait); }
};

/// A subscriber's socket.
class event_subscription : public event_source {
 public:
  explicit event_subscription(context& in) : event_source{in, zmq::socket_type::sub} {
    socket_.set(zmq::sockopt::rcvhwm, 10'000);
  }
  void subscribe(const std::string& prefix) { socket_.set(zmq::sockopt::subscribe, prefix); }
  /// Takes back one `subscribe` of the same prefix.
  void unsubscribe(const std::string& prefix) { socket_.set(zmq::sockopt::unsubscribe, prefix); }
};

/// Where events leave: the broker's fan-out, or a publisher's socket. What a subscriber is too slow for is dropped for it.
class event_sink : public socket {
 public:
  explicit event_sink(context& in) : socket{in, zmq::socket_type::xpub} { socket_.set(zmq::sockopt::sndhwm, 10'000); }

  void send(std::string_view topic, std::string_view event) {
    if (send_part(topic, zmq::send_flags::sndmore) == sent::yes) send_part(event, zmq::send_flags::none);
  }

  /// Sends what this has received last as it is, without a copy of it. It can be sent once.
  void pass_on(event_source& from) {
    if (send_part(from.topic_, zmq::send_flags::sndmore) == sent::yes) send_part(from.event_, zmq::send_flags::none);
  }

  /// The next prefix that somebody has newly subscribed to, if any; valid until the next call.
  std::optional<std::string_view> next_subscription() {
    while (receive_part(note_)) {
      drop_rest(note_);
      const auto bytes = note_.to_string_view();
      if (!bytes.empty() && bytes[0] == '\x01') return bytes.substr(1);
    }
    return std::nullopt;
  }

 private:
  zmq::message_t note_;
};

}  // namespace waggle::net
