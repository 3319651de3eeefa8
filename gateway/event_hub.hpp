#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <waggle/net/socket.hpp>
#include <waggle/wire/error.hpp>

#include "gateway/events/event_stream.hpp"
#include "gateway/front/application.hpp"
#include "gateway/routes/config.hpp"

namespace waggle::gateway {

/// How many streams of events all threads of a gateway have open: the one thing that they share.
using event_stream_count = std::atomic<std::uint64_t>;

/// The clients of one reactor thread who watch events: each has an `event_stream`, all have one SUB socket, made for the first of them, with
/// the union of what they want to see. Used by that thread only.
class event_hub {
 public:
  struct options {
    net::context* sockets = nullptr;
    net::peer_keys keys;
    std::shared_ptr<event_stream_count> open;            ///< of all threads
    std::chrono::milliseconds open_within{10'000};       ///< (event_stream.hpp)
    /// Calls a command of the broker for a stream; its end comes to `answered` with the same two numbers. False: not now.
    std::function<bool(front::instant, std::uint64_t stream, const waggle::detail::subscription_core::request&)> call;
    std::function<void(std::string)> note;               ///< takes lines about single clients
  };
  event_hub(options with, front::responder& answers);
  ~event_hub();
  event_hub(const event_hub&) = delete;
  event_hub& operator=(const event_hub&) = delete;

  /// A request for events, answered at once (GET and HEAD: or later).
  void open(front::instant now, front::exchange_id to, const front::request& in, const events_config& with);
  /// The client has gone, or has room. False: it watches no events.
  bool on_abandoned(front::exchange_id id);
  bool on_room(front::exchange_id id);
  void answered(front::instant now, std::uint64_t stream, std::uint64_t request, const result<std::string_view>& payload);
  /// All streams end; clients come back by themselves. `closing`: and new ones are refused from now on.
  void end_all(bool closing);

  /// Where events come from now, and the instance of the broker that said so.
  void connect(const std::string& endpoint, const std::string& broker);
  [[nodiscard]] const std::string& broker() const { return broker_; }
  /// Receives, lets time pass, asks and answers. Returns whether there is more to receive.
  bool pump(front::instant now);
  [[nodiscard]] int descriptor() const { return socket_ ? socket_->descriptor() : -1; }
  [[nodiscard]] front::instant next_deadline() const { return dirty_.empty() ? next_ : front::instant{}; }
  [[nodiscard]] std::size_t size() const { return watchers_.size(); }

 private:
  struct watcher {
    front::exchange_id exchange{};
    bool head = false;  ///< HEAD: it is over with its headers
    bool begun = false;
    std::optional<event_stream> stream;
  };

  void subscribe(const std::vector<std::string>& prefixes);
  void unsubscribe(const std::vector<std::string>& prefixes);
  void greet(front::instant now);
  void make_socket();
  void deliver(front::instant now, const net::published& what);
  /// Does what there is to do for one of them. False: it is over.
  bool look_after(front::instant now, std::uint64_t number, watcher& of);
  bool send(watcher& of);
  void forget(std::uint64_t number);

  options options_;
  front::responder& answers_;
  std::unique_ptr<net::event_subscription> socket_;
  std::string endpoint_, broker_;
  std::map<std::string, std::size_t> wanted_;         ///< prefix → how many streams want it
  std::map<std::uint64_t, watcher> watchers_;         ///< by number, which is never used again
  std::unordered_map<std::uint64_t, std::uint64_t> by_exchange_;
  std::set<std::uint64_t> dirty_;                     ///< those that something has happened to
  /// What the broker answers a subscription to: it comes behind all that were made before. Those up to `greeted_` wait for it.
  std::string greeting_;
  std::uint64_t greeted_ = 0;
  bool greeting_due_ = false;
  front::instant greet_again_at_{};
  std::uint64_t last_ = 0;
  front::instant next_ = front::instant::max();  ///< not later than the first deadline of any stream
  bool closing_ = false;
  std::mt19937_64 random_;
};

}  // namespace waggle::gateway
