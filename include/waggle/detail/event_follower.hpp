#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <waggle/client.hpp>
#include <waggle/detail/subscription_core.hpp>
#include <waggle/event.hpp>
#include <waggle/net/poll.hpp>
#include <waggle/net/socket.hpp>

namespace waggle::detail {

/// A subscriber's socket, its way to the log, and the core that makes one sequence of both. For one thread, but for the answers,
/// which come on the client's.
class event_follower {
 public:
  event_follower(client_options at, subscription_core::options with, std::function<void(const lost_events&)> on_lost)
      : core_{std::move(with)}, on_lost_{std::move(on_lost)}, keys_{read_keys(at.keys)}, socket_{*at.sockets}, log_{std::move(at)} {
    for (const auto& each : core_.prefixes()) socket_.subscribe(each);
    socket_.subscribe(std::string{subscription_core::head_topics});
  }

  /// Connects, and waits until what is subscribed to is in force and it is known where to begin.
  result<void> begin(const std::string& endpoint, std::string greeting, time_point give_up) {
    // The broker answers this subscription with an event; it stands behind ours in the same pipe.
    socket_.subscribe(greeting);
    socket_.connect(endpoint, keys_);
    greeting_ = std::move(greeting);
    while (!core_.begun() || !greeting_.empty()) {
      turn();
      if (failed_) return tl::unexpected{*failed_};
      if (core_.begun() && greeting_.empty()) break;
      if (std::chrono::steady_clock::now() >= give_up) {
        return failure(status::unavailable, greeting_.empty() ? "the broker does not say where its events begin" : "no events come from " + endpoint);
      }
      wait_until(give_up);
    }
    return {};
  }

  std::optional<event> next(time_point give_up) {
    for (;;) {
      if (waiting_.empty()) turn();
      if (!waiting_.empty()) {
        auto [out, position] = std::move(waiting_.front());
        waiting_.pop_front();
        if (!out.stream.empty()) positions_[out.stream] = position;
        return std::move(out);
      }
      if (failed_ || std::chrono::steady_clock::now() >= give_up) return std::nullopt;
      wait_until(give_up);
    }
  }

  [[nodiscard]] const std::optional<error>& failed() const { return failed_; }
  /// Behind the event that `next` gave last.
  [[nodiscard]] const std::map<std::string, std::uint64_t>& positions() const { return positions_; }
  [[nodiscard]] std::uint64_t lost() const { return lost_; }
  [[nodiscard]] net::event_subscription& socket() { return socket_; }
  [[nodiscard]] int answers() const { return inbox_->wake.descriptor(); }

 private:
  /// Events that wait to be taken, before nothing more is read from the socket.
  static constexpr std::size_t waiting_max = 1000;
  static constexpr milliseconds ask_budget{5'000};

  /// Shared with callbacks.
  struct inbox {
    net::wake_up wake;
    std::mutex mutex;
    std::optional<std::pair<std::uint64_t, result<std::string>>> answer;  ///< there is one question at a time
  };

  struct sink {
    event_follower& to;
    void on_event(const subscribed_event& in) const {
      const auto position = to.core_.positions().find(std::string{in.stream});
      to.waiting_.emplace_back(
          event{std::string{in.topic}, std::string{in.payload}, wire::headers_from_msgpack(in.headers), in.sequence, std::string{in.stream},
                std::chrono::system_clock::time_point{milliseconds{in.time_ms}}, std::string{in.event_id}},
          position == to.core_.positions().end() ? 0 : position->second);
    }
    void on_error(const error& why) const { to.failed_ = why; }
    void on_lost(std::string_view stream, std::uint64_t from, std::uint64_t until) const {
      to.lost_ += until < from ? 1 : until - from + 1;
      if (to.on_lost_) to.on_lost_({std::string{stream}, from, until});
    }
  };

  /// Does what can be done now.
  void turn() {
    using clock = std::chrono::steady_clock;
    const sink to{*this};
    inbox_->wake.lower();
    if (waiting_.empty()) positions_ = core_.positions();
    std::optional<std::pair<std::uint64_t, result<std::string>>> answer;
    {
      const std::lock_guard lock{inbox_->mutex};
      answer.swap(inbox_->answer);
    }
    if (answer) {
      auto& [id, got] = *answer;
      core_.answered(clock::now(), id, got.map([](const std::string& bytes) { return std::string_view{bytes}; }), to);
    }
    if (waiting_.empty()) positions_ = core_.positions();
    while (waiting_.size() < waiting_max) {
      const auto got = socket_.receive();
      if (!got) break;
      if (greeting_.empty()) {
        core_.receive(clock::now(), got->topic, got->event, to);
      } else if (got->topic == greeting_) {
        greeting_.clear();
      }
    }
    if (!greeting_.empty()) return;
    while (auto asked = core_.next_request(clock::now())) {
      log_.start_bytes(asked->command, std::move(asked->payload), ask_budget, [to_inbox = inbox_, id = asked->id](result<std::string> got) {
        {
          const std::lock_guard lock{to_inbox->mutex};
          to_inbox->answer.emplace(id, std::move(got));
        }
        to_inbox->wake.raise();
      });
    }
  }

  void wait_until(time_point give_up) {
    net::waiter waiter;
    waiter.read(socket_);
    waiter.read(inbox_->wake.descriptor());
    waiter.wait_until(greeting_.empty() ? std::min(give_up, core_.next_deadline()) : give_up);
  }

  std::shared_ptr<inbox> inbox_ = std::make_shared<inbox>();
  subscription_core core_;
  std::function<void(const lost_events&)> on_lost_;
  std::string greeting_;
  std::deque<std::pair<event, std::uint64_t>> waiting_;  ///< with the stream's position behind it
  std::optional<error> failed_;
  std::uint64_t lost_ = 0;
  std::map<std::string, std::uint64_t> positions_;
  net::peer_keys keys_;
  net::event_subscription socket_;
  client log_;
};

}  // namespace waggle::detail
