#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tsl/robin_map.h>

#include <waggle/net/poll.hpp>
#include <waggle/net/socket.hpp>

#include "broker/core/broker_core.hpp"
#include "broker/events/log_thread.hpp"
#include "broker/majordomo/adapter.hpp"
#include "broker/peers/guard.hpp"

namespace waggle::broker {

struct endpoints {
  std::string commands = "tcp://127.0.0.1:5555";
  std::string events_in = "tcp://127.0.0.1:5556";
  std::string events_out = "tcp://127.0.0.1:5557";
  std::string commands_too{};  ///< where peers can connect besides: an inproc:// of the broker's own process; empty: nowhere
};

/// Where a broker keeps events, and how.
struct event_store {
  std::unique_ptr<event_log> log;
  event_settings settings;

  /// In memory: what is kept ends with the process. Receipts are given all the same, for a broker that is a part of a program under
  /// development.
  [[nodiscard]] static event_store in_memory();
};

/// Who may use a broker. Without a key of its own it takes everybody who reaches it, and lets itself be reached from this machine only.
struct security {
  net::key_pair key{};
  peers_config peers{};
  bool in_the_open = false;  ///< without a key, too, it binds wherever it is told
};

/// The broker's sockets around its core: receives, steps, sends. One thread, that which calls `run`; decides nothing. The log has a thread
/// of its own.
class shell {
 public:
  /// Opens the log and binds. Throws net::endpoint_error, std::invalid_argument when it would be in the open without a key, and
  /// std::runtime_error when the log cannot be opened.
  shell(net::context& in, const endpoints& wanted, settings from, majordomo::settings for_majordomo = {},
        event_store events = event_store::in_memory(), security who = {});

  /// The actual endpoints, with what the system filled in.
  [[nodiscard]] const endpoints& bound() const { return bound_; }

  /// Serves until the descriptor can be read.
  void run(int stop_descriptor);

  /// Other peers from now on, if the broker has a key. From any thread; it counts a moment later, and the log says so.
  void replace_peers(peers_config with);

 private:
  endpoints bind(const endpoints& wanted, const security& who);
  void take_peers();
  bool is_known(detail::time_point now, std::string_view routing_id);
  bool receive_commands();
  void receive_several(detail::time_point now, peer_id from, bool stranger, std::size_t parts);
  bool receive_events();
  [[nodiscard]] bool has_stopped(int stop_descriptor) const;
  void receive_guarded(detail::time_point now, const net::published& event);
  bool receive_from_log();
  void perform();
  void send(detail::time_point now, peer_id to, wire::message& message);
  void send_backlogs(detail::time_point now);
  void forget(peer_id peer);
  void receive_ends(detail::time_point now);
  void connection_ended(detail::time_point now, int descriptor);
  peer_id number_of(std::string_view routing_id);
  void log(const std::string& line);
  void log_what_was_dropped(detail::time_point now);

  std::unique_ptr<guard> guard_;  ///< of a broker with a key; goes after the sockets
  net::router commands_;
  std::optional<net::connection_ends> ends_;  ///< of `commands_`; where there is a guard it is the guard who hears of them
  net::event_intake events_in_;
  net::event_sink events_out_;
  endpoints bound_;
  broker_core core_;
  majordomo::adapter majordomo_;
  outbox out_;
  std::unique_ptr<log_thread> log_;
  log_answers answers_;
  bool look_at_events_ = true;  ///< their sockets may have something, which their descriptors need not show

  /// What a peer's pipe had no room for.
  struct unsent {
    wire::message message;           ///< as the core knows it
    std::vector<std::string> parts;  ///< what is to be sent, if that is something else

    [[nodiscard]] std::size_t bytes() const {
      auto sum = message.bytes();
      for (const auto& each : parts) sum += each.size() + sizeof each;
      return sum;
    }
  };
  /// A peer as ZeroMQ knows it. Routing ids that ROUTER assigns have 5 bytes, which a std::string holds without allocation.
  struct link {
    std::string routing_id;
    std::deque<unsent> backlog;  ///< after a burst, or of a peer that does not read
    std::size_t backlog_bytes = 0;
    detail::time_point stuck_since{};  ///< when the first of it should have left
    bool failed = false;
    bool majordomo = false;  ///< its first message was
    std::string key{};       ///< that it was let in by, of a broker with a key
    int connection = -1;     ///< descriptor; -1: in this process
  };
  net::sent send_again(const link& to, unsent& kept);

  struct bytes_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view bytes) const { return std::hash<std::string_view>{}(bytes); }
  };
  tsl::robin_map<std::string, peer_id, bytes_hash, std::equal_to<>> numbers_;
  std::vector<link> links_;  ///< by peer_id
  std::vector<peer_id> free_numbers_;
  std::vector<peer_id> backlogged_;
  std::vector<peer_id> failed_;

  struct ended {
    detail::time_point look_at{};
    peer_id peer{};
  };
  std::vector<peer_id> by_connection_;  ///< who came by which descriptor last; `nobody`
  std::deque<ended> ended_;             ///< whose connections have
  detail::time_point look_at_ends_{};

  net::wake_up peers_changed_;
  std::mutex peers_mutex_;  ///< of what follows
  std::optional<peers_config> next_peers_;

  std::uint64_t strangers_ = 0;  ///< messages of connections whose keys have gone, or that came under another's routing id
  net::gate::counters gate_logged_;
  std::uint64_t strangers_logged_ = 0;
  counters logged_;
  event_counters events_logged_;
  majordomo::counters majordomo_logged_;
  std::size_t lines_logged_ = 0;
  detail::time_point log_at_{};
};

}  // namespace waggle::broker
