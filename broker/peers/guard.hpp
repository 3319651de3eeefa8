#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <tsl/robin_map.h>

#include <waggle/net/curve.hpp>
#include <waggle/net/gate.hpp>
#include <waggle/net/poll.hpp>
#include <waggle/net/socket.hpp>

#include "broker/core/role.hpp"
#include "broker/peers/peers_config.hpp"

namespace waggle::broker {

/// Who may use a broker that wants keys, and the sockets by which events leave for them. Of the shell's thread; the gate has one of its own.
///
/// Each set of topics that a role may see has a socket. One for all would need ZMQ_XPUB_MANUAL, by which libzmq 4.3 does not filter safely: what
/// one peer subscribes to is given to another when a third message of theirs comes in between, and a peer whose role changes keeps what it has.
class guard {
 public:
  static constexpr const char* commands_domain = "commands";
  static constexpr const char* events_in_domain = "events-in";

  /// Lets nobody in yet. Throws net::endpoint_error when the context has a gate.
  guard(net::context& in, net::key_pair own, std::string events_out);

  /// Before the socket is bound.
  void protect(net::socket& what, const std::string& domain);
  /// These peers and no others from now on; those who subscribe and may not any more are let go. Throws net::endpoint_error when an endpoint for
  /// events cannot be had: a new one, and then nothing has changed; or one of before, and then nobody gets events there.
  void take(const peers_config& from);

  /// Whose key that is; null if it is none of the network's.
  [[nodiscard]] std::shared_ptr<const identity> find(std::string_view key) const {
    const auto found = peers_.find(key);
    return found == peers_.end() ? nullptr : found->second;
  }
  [[nodiscard]] std::size_t size() const { return peers_.size(); }

  void send(std::string_view topic, std::string_view event);
  /// The next prefix that somebody has newly subscribed to; valid until the next call.
  std::optional<std::string_view> next_subscription();
  void wait_for(net::waiter& waits);
  void linger(std::chrono::milliseconds at_most);
  /// Where events leave, in the order of the roles.
  [[nodiscard]] std::vector<std::string> events_out() const;

  [[nodiscard]] std::vector<std::string> take_notes() { return gate_.take_notes(); }
  [[nodiscard]] std::set<int> take_ended() { return gate_.take_ended(); }
  [[nodiscard]] net::gate::counters counts() const { return gate_.counts(); }

 private:
  struct outlet {
    std::string wanted;  ///< the endpoint, as it was said or chosen
    std::string domain;
    std::vector<std::string> sees;  ///< patterns of topics
    std::string bound{};
    std::unique_ptr<net::event_sink> socket{};
  };

  [[nodiscard]] std::vector<outlet> outlets_for(const peers_config& from, std::vector<std::size_t>& outlet_of_role) const;
  void open(outlet& which);

  net::context& context_;
  net::key_pair own_;
  std::string events_out_;
  std::size_t opened_ = 0;
  net::gate gate_;  ///< goes after the sockets that it guards
  std::vector<outlet> outlets_;
  tsl::robin_map<std::string, std::shared_ptr<const identity>, std::hash<std::string_view>, std::equal_to<>> peers_;
};

}  // namespace waggle::broker
