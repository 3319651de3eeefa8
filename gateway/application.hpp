#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include <waggle/detail/caller_core.hpp>
#include <waggle/net/socket.hpp>

#include "gateway/answer_desk.hpp"
#include "gateway/event_hub.hpp"
#include "gateway/front/application.hpp"
#include "gateway/identity/authenticator.hpp"
#include "gateway/live_config.hpp"
#include "gateway/open_request.hpp"
#include "gateway/recycled.hpp"
#include "gateway/replies/reply_cache.hpp"
#include "gateway/replies/reply_keeper.hpp"
#include "gateway/routes/router.hpp"
#include "gateway/stream_text.hpp"
#include "gateway/traffic_control.hpp"
#include "gateway/usage.hpp"

namespace waggle::gateway {

struct application_options {
  std::string broker;
  std::shared_ptr<const live_config> routes;  ///< of all threads; null: none
  router_options routing;
  net::context* sockets = nullptr;            ///< one for all threads
  net::peer_keys keys;                        ///< for a broker that wants them
  std::function<void(std::string_view)> log;  ///< takes lines about the network; only one thread is given one
  std::function<void(std::string_view)> note; ///< takes lines about single requests; every thread is given one
  std::shared_ptr<traffic_control> traffic;   ///< what all threads count together; null: of this one
  std::shared_ptr<usage> deprecated;          ///< who calls what is deprecated, of all threads; null: not told
  /// What plans may keep, of one thread; past it a request that is a plan is refused. Plans outlive their answers, so that the bounds
  /// on connections are none on them.
  std::size_t plan_bytes_max = 256u << 20;
  std::shared_ptr<gateway::metrics> metrics;  ///< of all threads; /metrics shows them, to whoever asks. Null: nothing is counted
  std::shared_ptr<gateway::access_log> access_log;  ///< of all threads; null: none
  std::shared_ptr<reply_keeper> replies;      ///< under Idempotency-Keys, of all threads; null: of this one, in memory
  std::uint16_t https_port = 0;  ///< where `tls: {redirect: true}` leads; 0: nowhere
  bool docs = true;  ///< /docs shows what /openapi.json says
  /// What GET /events lets out where the routes do not say.
  std::optional<events_config> events;
  std::shared_ptr<event_stream_count> event_streams;  ///< of all threads; null: of this one
  /// Only the routes of this service's manifest; empty: of all.
  std::string only_service;
  /// Called on the reactor thread with each network that the routes are made of from then on; may be empty.
  std::function<void(const network_view&)> on_network;
};

/// One reactor thread's gateway: its own routes, its own open calls, its own socket to the broker, nothing shared. Requests become
/// calls, their ends become answers, and one call of `waggle.services` always waits for the network to change. Sockets and deadlines are looked at
/// once for each batch, at its end, whatever has happened in it.
class application final : public front::application {
 public:
  application(application_options from, front::responder& answers);
  ~application() override;

  void on_request(front::instant now, front::exchange_id id, const front::request& in) override;
  void on_abandoned(front::instant now, front::exchange_id id) override;
  void on_room(front::instant now, front::exchange_id id) override;
  void on_notified(front::instant now) override;
  [[nodiscard]] int descriptor() const override { return socket_->descriptor(); }
  [[nodiscard]] int second_descriptor() const override { return events_.descriptor(); }
  [[nodiscard]] int third_descriptor() const override { return store_->descriptor(); }
  bool on_batch_end(front::instant now, bool last) override;
  [[nodiscard]] front::instant next_deadline() const override;
  void on_drain(front::instant) override { draining_ = true; }
  void on_closing(front::instant now) override;
  /// Steps of `then` and undos are still under way, though every request has its answer.
  /// Plans that have not ended are dropped, and the log says which.
  [[nodiscard]] bool busy() const override { return !runs_.empty() || keyed_ > 0; }

 private:
  /// So many parts of a stream may be under way to a client before the worker waits.
  static constexpr std::uint64_t parts_ahead = 16;
  /// Who is refused because others have much under way may try again then.
  static constexpr std::chrono::milliseconds retry_time{1'000};

  /// Takes what the caller core has to say.
  struct sink {
    application& to;
    front::instant now;
    void on_part(call_tag& of, std::string_view payload) const { to.on_part(of, payload); }
    void on_result(call_tag of, std::string_view payload, std::string_view) const { to.on_result(now, of, payload); }
    void on_error(call_tag of, error why) const { to.on_error(now, of, std::move(why)); }
    void on_complaint(const error& why) const { to.log("the broker says: " + why.message); }
  };

  /// The answer while there is no broker, and while too much is under way.
  static error away();
  static error full();

  void take(front::instant now, exchange& seen, const front::request& in);
  bool own_answer(front::instant now, exchange& seen, const front::request& in, const ip_address& client);
  void show_metrics(front::instant now, exchange& seen, const front::request& in);
  void set_terms(exchange& seen, const route& of) const;
  bool take_kept(front::instant now, const open_request_ptr& to, const router::taken_route& by, const front::request& in, const decoded_path& path,
                 std::string_view claims);
  void end_flight(open_request& to, front::response out);
  void give_up(front::instant now, const open_request_ptr& to);
  bool take_keyed(front::instant now, const open_request_ptr& to, const router::taken_route& by, const front::request& in);
  void ask_store(front::instant now, const open_request_ptr& to, store_entry what, std::chrono::milliseconds within);
  void take_stored(front::instant now);
  void on_stored(front::instant now, const open_request_ptr& to, result<reserved> what);
  void on_reserved(front::instant now, const open_request_ptr& to, result<reserved> found);
  void on_store_late(const open_request_ptr& to);
  void settle(open_request& to, front::response out);
  [[nodiscard]] front::response preflight(const front::request& in) const;
  [[nodiscard]] ip_address client_of(const front::request& in) const;
  bool within_rates(front::instant now, exchange& seen, std::span<const rate_rule> rules, const rate_subject& of, rate_report& report,
                    const route* taken = nullptr);
  bool within_concurrency(exchange& seen, open_request& to, const route& taken);
  [[nodiscard]] bool serves_events(const front::request& in, std::string_view claims) const;
  void begin_events(front::instant now, front::exchange_id id, const front::request& in);
  void note_deprecated(const route& of, const front::request& in, std::string_view claims);
  [[nodiscard]] event_hub::options event_options();
  front::response readiness() const;
  [[nodiscard]] std::optional<front::response> identify(front::instant now, exchange& seen, const front::request& in, const ip_address& client);
  [[nodiscard]] std::optional<front::response> refuse_access(const access_rule& to, const exchange& seen) const;
  [[nodiscard]] std::optional<std::chrono::milliseconds> budget_now(front::instant now, std::chrono::milliseconds wanted) const;
  void begin(front::instant now, const open_request_ptr& to);
  void begin_call(front::instant now, const open_request_ptr& to);
  void begin_run(front::instant now, const open_request_ptr& to);
  void perform(front::instant now, const open_request_ptr& to, plan_effects& effects);
  void run_deadlines(front::instant now);
  /// One call, as it leaves.
  struct outgoing {
    const std::string& command;
    std::string&& payload;  ///< is given away: a large one would be copied only to be attached
    std::chrono::milliseconds budget;
    const std::optional<std::string>& key;
    const planned_call* kept = nullptr;  ///< as in extra_headers
    bool idempotent = false;
    std::uint64_t parts = wire::no_credit_limit;
    bool guarded = true;  ///< breaker and retries are for it
  };
  [[nodiscard]] result<std::uint64_t> open_call(front::instant now, const open_request_ptr& to, std::size_t slot, const outgoing& call);
  [[nodiscard]] result<circuit_breaker::ticket> admit(front::instant now, command_guards& by, const std::string& command);
  void record(front::instant now, const call_tag& of, call_verdict how) const;
  bool retry_later(front::instant now, call_tag& of, const error& why);
  void retry(front::instant now, call_tag of);
  void run_retries(front::instant now);
  bool cancel_retry(open_request& of, std::size_t slot);
  void on_failure(front::instant now, const call_tag& of, error why);
  void on_part(call_tag& of, std::string_view payload);
  void on_result(front::instant now, call_tag& of, std::string_view payload);
  void on_error(front::instant now, call_tag& of, error why);
  bool stream(open_request& to, stream_item what, std::string_view payload);
  void give_credit(open_request& to);
  void count_call(const call_tag& of, status code);
  [[nodiscard]] front::response metrics_answer(std::string_view queues) const;
  void answer(open_request& to, const result<std::string_view>& payload);
  void answer(open_request& to, front::response out);
  void deliver(open_request& to, front::response out);
  void watch(front::instant now);
  void watch_later(front::instant now);
  void learn(std::string_view payload);
  bool send_calls(front::instant now);
  [[nodiscard]] std::unique_ptr<net::dealer> new_socket() const;
  [[nodiscard]] bool gathers() const;
  void pump(front::instant now, bool keeps_calls = false);
  void warn(const std::vector<std::string>& warnings);
  [[nodiscard]] trace_text trace_of(const front::request& in);
  [[nodiscard]] request_id_text request_id_of(const front::request& in);
  /// What goes along with one call or event besides what all of a request's have.
  struct extra_headers {
    const std::optional<std::string>& key;
    const std::optional<std::string>& event_id;
    const planned_call* kept = nullptr;  ///< not null: a command that is to be kept and run later
  };
  [[nodiscard]] std::string_view headers_of(const open_request& of, const extra_headers& with);
  void log(std::string text) const;
  void note(std::string text);

  recycled_memory memory_;  ///< of requests; before all that may hold one
  application_options options_;
  answer_desk desk_;
  metrics::level open_calls_, open_plans_, open_streams_;
  router router_;
  std::uint64_t config_revision_ = 0;
  std::shared_ptr<const traffic_plan> traffic_;
  authenticator authenticator_;
  access_config access_;
  std::optional<events_config> let_out_;  ///< by GET /events
  bool redirects_ = false;                ///< plain requests to https
  std::unique_ptr<net::dealer> socket_;
  detail::caller_core<call_tag> core_;
  bool compress_ = true;
  reply_cache cache_;
  std::unordered_map<std::uint64_t, open_request_ptr> flights_;  ///< who makes the calls that the cache waits for
  std::unique_ptr<reply_keeper::seat> store_;
  std::unordered_map<std::uint64_t, open_request_ptr> asked_;  ///< of the store, by ticket
  std::uint64_t last_ticket_ = 0;
  std::size_t keyed_ = 0;  ///< requests that have a key of the store
  idempotency_config keeping_;
  bool memory_told_ = false;
  std::vector<reply_keeper::outcome> outcomes_;
  digest served_{};                                              ///< what the network serves: what is kept is of that
  event_hub events_;
  wire::message message_;  ///< taken from the core and not sent yet
  std::string headers_;  ///< of the last call
  recycled_table<open_request_ptr> unanswered_;  ///< by exchange
  std::unordered_map<open_request*, open_request_ptr> runs_;        ///< plans with something left to do
  std::size_t plan_bytes_ = 0;                                      ///< what these keep
  std::multimap<front::instant, std::weak_ptr<open_request>> deadlines_;
  std::multimap<front::instant, call_tag> retries_;  ///< calls that are made again then
  std::string revision_;
  std::string broker_instance_;  ///< whose network the routes are of
  front::instant adopt_at_{};    ///< when the network of another broker is believed
  front::instant unready_since_;
  std::set<std::string> warned_;
  bool watching_ = false;
  front::instant watch_at_{};
  bool was_ready_ = false;
  bool behind_ = false;  ///< there is more to receive
  std::size_t gathered_ = 0;  ///< calls that waited for company when the thread last went to look for it
  bool draining_ = false;
  front::instant notes_since_{};  ///< of the second whose notes are counted
  std::uint64_t notes_ = 0;
  std::mt19937_64 random_;  ///< for trace and request ids, and for what is left to chance
};

}  // namespace waggle::gateway
