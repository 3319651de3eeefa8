#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include <waggle/detail/caller_core.hpp>
#include <waggle/net/socket.hpp>

#include "gateway/front/application.hpp"
#include "gateway/routes/config.hpp"
#include "gateway/routes/router.hpp"

namespace waggle::gateway {

struct application_options {
  std::string broker;
  config routes;
  router_options routing;
  net::context* sockets = nullptr;            ///< one for all threads
  std::function<void(std::string_view)> log;  ///< takes lines about the network; only one thread is given one
  /// Only the routes of this service's manifest; empty: of all.
  std::string only_service{};
  /// Called on the reactor thread with each network that the routes are made of from then on; may be empty.
  std::function<void(const network_view&)> on_network{};
};

/// One reactor thread's gateway: its own routes, its own open calls, its own socket to the broker, nothing shared. Requests become
/// calls, their ends become answers, and one call of `waggle.services` always waits for the network to change.
class application final : public front::application {
 public:
  application(application_options from, front::responder& answers);

  void on_request(front::instant now, front::exchange_id id, const front::request& in) override;
  void on_abandoned(front::instant now, front::exchange_id id) override;
  [[nodiscard]] int descriptor() const override { return socket_->descriptor(); }
  void on_readable(front::instant now) override { pump(now); }
  void on_batch_end(front::instant now) override { pump(now); }
  [[nodiscard]] front::instant next_deadline() const override;
  void on_deadline(front::instant now) override { pump(now); }
  void on_drain(front::instant) override { draining_ = true; }

 private:
  /// What an open call is for: an exchange, or (without one) the watch on the network.
  struct purpose {
    std::optional<front::exchange_id> exchange;
    planned_call plan;
    std::string parts;  ///< of a command that streams: their payloads, back to back
    std::uint32_t part_count = 0;
    bool overfull = false;
  };
  using purpose_ptr = std::unique_ptr<purpose>;

  /// Takes what the caller core has to say.
  struct sink {
    application& to;
    void on_part(purpose_ptr& of, std::string_view payload) const { to.on_part(*of, payload); }
    void on_result(purpose_ptr of, std::string_view payload, std::string_view) const { to.on_result(*of, payload); }
    void on_error(purpose_ptr of, error why) const { to.on_error(*of, std::move(why)); }
    void on_complaint(const error& why) const { to.log("the broker says: " + why.message); }
  };

  front::response own_answer(const front::request& in, front::response get) const;
  front::response readiness() const;
  void on_part(purpose& of, std::string_view payload);
  void on_result(purpose& of, std::string_view payload);
  void on_error(purpose& of, error why);
  void answer(const purpose& of, const result<std::string>& payload);
  void watch(front::instant now);
  void learn(std::string_view payload);
  void pump(front::instant now);
  std::string headers_of(const front::request& in);
  void log(const std::string& text) const {
    if (options_.log) options_.log(text);
  }

  application_options options_;
  front::responder& answers_;
  router router_;
  std::unique_ptr<net::dealer> socket_;
  detail::caller_core<purpose_ptr> core_;
  std::string bundle_;  ///< taken from the core and not sent yet
  std::unordered_map<std::uint64_t, std::uint64_t> calls_;  ///< exchange → call id, for those that are abandoned
  std::string revision_;
  std::string broker_instance_;  ///< whose network the routes are of
  front::instant adopt_at_{};    ///< when the network of another broker is believed
  front::instant unready_since_;
  std::set<std::string> warned_;
  bool watching_ = false;
  front::instant watch_at_{};
  bool was_ready_ = false;
  bool behind_ = false;  ///< there is more to receive
  bool draining_ = false;
  std::mt19937_64 random_;  ///< for trace ids
};

}  // namespace waggle::gateway
