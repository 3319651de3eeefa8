#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <waggle/net/curve.hpp>
#include <waggle/net/poll.hpp>
#include <waggle/net/socket.hpp>

namespace waggle::net {

/// Decides who gets into the guarded sockets of a context (ZAP, RFC 27), and hears of those who do not get that far. It has a thread of its own, so
/// that handshakes, of which strangers can begin as many as they like, cost nobody else's time. There is one in a context, up before the
/// sockets are bound and gone after they are.
class gate {
 public:
  /// Null lets that public key into a socket of that domain; otherwise why not, for the log. On the gate's thread. What passes carries the key as
  /// the name of its user.
  using admission = std::function<const char*(std::string_view key, std::string_view domain)>;

  struct counters {
    std::uint64_t refused = 0;  ///< keys that were not let in
    std::uint64_t failed = 0;   ///< connections that ended before there was a key to judge
  };

  /// Throws endpoint_error when the context has a gate.
  gate(context& in, admission who) : context_{in}, zap_{in.native(), zmq::socket_type::rep}, who_{std::make_shared<const admission>(std::move(who))} {
    constexpr const char* endpoint = "inproc://zeromq.zap.01";
    zap_.set(zmq::sockopt::linger, 0);
    try {
      zap_.bind(endpoint);
    } catch (const zmq::error_t& e) {
      throw endpoint_error{"bind", endpoint, e.num()};
    }
    thread_ = std::thread{[this] { serve(); }};
  }
  ~gate() {
    ending_ = true;
    changed_.raise();
    thread_.join();
  }
  gate(const gate&) = delete;
  gate& operator=(const gate&) = delete;

  /// From now on. Who is in stays in.
  void admit(admission who) {
    auto next = std::make_shared<const admission>(std::move(who));
    const std::lock_guard lock{mutex_};
    who_ = std::move(next);
  }

  /// Hears of handshakes that fail at this socket, and of its connections that end; `what` it is, for the log. Before it is bound, on its thread.
  void watch(socket& of, std::string what) {
    const auto endpoint = "inproc://waggle.gate." + std::to_string(watched_++);
    constexpr int events = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_DISCONNECTED |
                           ZMQ_EVENT_MONITOR_STOPPED;
    if (zmq_socket_monitor(of.native().handle(), endpoint.c_str(), events) != 0) throw endpoint_error{"watch", endpoint, errno};
    // Connected before anything can be told: libzmq's I/O thread would wait for somebody to tell.
    zmq::socket_t to{context_.native(), zmq::socket_type::pair};
    to.set(zmq::sockopt::linger, 0);
    to.set(zmq::sockopt::rcvhwm, 100'000);
    to.connect(endpoint);
    {
      const std::lock_guard lock{mutex_};
      arrived_.push_back({std::move(to), std::move(what)});
    }
    changed_.raise();
  }

  /// Can be read when there is something for the log, or a connection has ended.
  [[nodiscard]] int descriptor() const { return told_.descriptor(); }
  /// Lines for the log: a few in ten seconds, whatever happens.
  [[nodiscard]] std::vector<std::string> take_notes() {
    told_.lower();
    const std::lock_guard lock{mutex_};
    return std::exchange(notes_, {});
  }
  /// The descriptors of connections, of all sockets, that have ended. They may be others' by now.
  [[nodiscard]] std::set<int> take_ended() {
    const std::lock_guard lock{mutex_};
    return std::exchange(ended_, {});
  }
  [[nodiscard]] counters counts() const { return {refused_, failed_}; }

 private:
  struct monitor {
    zmq::socket_t from;
    std::string what;
  };
  /// Taken from one socket before the others have their turn.
  static constexpr int turn_max = 100;
  static constexpr std::size_t notes_max = 20;
  static constexpr std::chrono::seconds note_interval{10};

  void serve() {
    std::vector<monitor> monitors;
    while (!ending_) {
      std::vector<zmq::pollitem_t> items{{zap_.handle(), 0, ZMQ_POLLIN, 0}, {nullptr, changed_.descriptor(), ZMQ_POLLIN, 0}};
      for (auto& each : monitors) items.push_back({each.from.handle(), 0, ZMQ_POLLIN, 0});
      try {
        zmq::poll(items.data(), items.size(), std::chrono::milliseconds{-1});
        changed_.lower();
        for (int turn = 0; turn < turn_max && judge(); ++turn) {
        }
        std::erase_if(monitors, [&](monitor& each) { return !hear(each); });
      } catch (const zmq::error_t& e) {
        if (e.num() != EINTR) note(std::string{"the gate: "} + e.what());
      }
      const std::lock_guard lock{mutex_};
      for (auto& each : std::exchange(arrived_, {})) monitors.push_back(std::move(each));
    }
    zap_.close();
  }

  /// Answers one question of libzmq's. False when there is none.
  bool judge() {
    constexpr std::size_t version = 0, request = 1, domain = 2, address = 3, mechanism = 5, credentials = 6, count = 7;
    std::vector<zmq::message_t> parts;
    do {
      if (!zap_.recv(parts.emplace_back(), zmq::recv_flags::dontwait)) return false;
    } while (parts.back().more());
    parts.resize(count);
    std::string key;
    const char* why = "it does not use CURVE";
    if (parts[mechanism].to_string_view() == "CURVE" && parts[credentials].size() == 32) {
      char text[key_text_bytes + 1];
      zmq_z85_encode(text, parts[credentials].data<std::uint8_t>(), parts[credentials].size());
      key = text;
      why = current()->operator()(key, parts[domain].to_string_view());
    }
    if (why != nullptr) {
      ++refused_;
      note(std::string{parts[domain].to_string_view()} + ": the key " + (key.empty() ? "(none)" : key) + " from " +
           std::string{parts[address].to_string_view()} + " is refused: " + why);
    }
    const auto send = [&](std::string_view bytes, bool more) {
      zap_.send(zmq::buffer(bytes), (more ? zmq::send_flags::sndmore : zmq::send_flags::none) | zmq::send_flags::dontwait);
    };
    send(parts[version].to_string_view(), true);
    send(parts[request].to_string_view(), true);
    // Not 400, after which libzmq's sockets do not try again: the key may be let in later.
    send(why == nullptr ? "200" : "300", true);
    send(why == nullptr ? "OK" : "refused", true);
    send(why == nullptr ? std::string_view{key} : std::string_view{}, true);
    send({}, false);
    return true;
  }

  /// False when the socket that is watched has gone.
  bool hear(monitor& of) {
    zmq::message_t part, ignored;
    for (int turn = 0; turn < turn_max && of.from.recv(part, zmq::recv_flags::dontwait); ++turn) {
      while (part.more() && of.from.recv(ignored, zmq::recv_flags::dontwait) && ignored.more()) {
      }
      std::uint16_t event = 0;
      if (part.size() >= sizeof event) std::memcpy(&event, part.data(), sizeof event);
      if (event == ZMQ_EVENT_MONITOR_STOPPED) return false;
      if (event == ZMQ_EVENT_DISCONNECTED) {
        end(descriptor_in(part.to_string_view()));
        continue;
      }
      ++failed_;
      note(of.what + ": a connection failed before it had a key to show: it does not speak CURVE, has another public key for this broker, or did not "
                     "finish in time");
    }
    return true;
  }

  std::shared_ptr<const admission> current() {
    const std::lock_guard lock{mutex_};
    return who_;
  }

  void end(int descriptor) {
    {
      const std::lock_guard lock{mutex_};
      ended_.insert(descriptor);
    }
    told_.raise();
  }

  void note(std::string line) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= notes_from_ + note_interval) {
      notes_from_ = now;
      noted_.clear();
    }
    if (noted_.size() >= notes_max || !noted_.insert(line).second) return;  // who tries again and again is one line
    {
      const std::lock_guard lock{mutex_};
      notes_.push_back(std::move(line));
    }
    told_.raise();
  }

  context& context_;
  zmq::socket_t zap_;
  wake_up changed_, told_;
  std::atomic<bool> ending_{false};
  std::atomic<std::uint64_t> refused_{0}, failed_{0};
  std::uint64_t watched_ = 0;
  std::chrono::steady_clock::time_point notes_from_{};  ///< our thread's, as is the next
  std::set<std::string> noted_;  ///< lines of this interval

  std::mutex mutex_;  ///< of what follows
  std::shared_ptr<const admission> who_;
  std::vector<monitor> arrived_;
  std::vector<std::string> notes_;
  std::set<int> ended_;  ///< so there are no more than a process has descriptors

  std::thread thread_;
};

}  // namespace waggle::net
