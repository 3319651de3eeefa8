#include "gateway/application.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>
#include <span>
#include <utility>
#include <variant>

#include <waggle/detail/event_endpoint.hpp>
#include <waggle/wire/json.hpp>
#include <waggle/wire/writer.hpp>

#include "gateway/front/http_syntax.hpp"
#include "gateway/replies/memory_reply_store.hpp"
#include "gateway/routes/network_view.hpp"
#include "gateway/routes/operations.hpp"
#include "gateway/routes/problems.hpp"
#include "gateway/routes/reply.hpp"

namespace waggle::gateway {

namespace {

using std::chrono::milliseconds;

/// The watch is asked anew this often even when nothing changes, so that it cannot hang on a broker that lost it.
constexpr milliseconds watch_time{20'000};
constexpr milliseconds watch_budget{25'000};
constexpr milliseconds watch_pause{500};
/// A broker that has just started knows little of the network: so long its workers have to join again before routes that it does not
/// list are taken away.
constexpr milliseconds adopt_time{3'000};
/// So long after a broker is lost requests wait for it to come back; then they are answered at once.
constexpr milliseconds unready_max{2'000};
/// For what streams of events ask of the broker.
constexpr milliseconds event_read_budget{10'000};
constexpr std::size_t warned_max = 1'000;
constexpr std::uint64_t notes_per_second_max = 20;
constexpr std::string_view watched = "waggle.services";

/// Messages taken from the socket in one go, and goes in one turn, before clients and other sockets have theirs.
constexpr int receive_max = 1000;
constexpr int turns_max = 4;
/// So many calls must be open for others to wait for company.
constexpr std::size_t gather_from = 8;

/// Fewer than 16, as one msgpack map.
void write_texts(std::string& out, std::span<const std::pair<std::string_view, std::string_view>> all) {
  wire::frame_writer map{out};
  map.map(all.size());
  for (const auto& [name, value] : all) {
    map.string(name);
    map.string(value);
  }
}

reply_keeper& replies_of(application_options& from) {
  if (!from.replies) from.replies = std::make_shared<reply_keeper>(std::make_unique<memory_reply_store>());
  return *from.replies;
}

std::uint64_t seed() {
  std::random_device entropy;
  return (std::uint64_t{entropy()} << 32) | entropy();
}

router_options routing_of(const application_options& from) {
  auto out = from.routing;
  out.events = from.events.has_value();
  return out;
}

/// What workers, tokens and jq programs say goes into a log, too: it is one line, whatever is in it.
std::string one_line(std::string text) {
  std::replace_if(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return text;
}

}  // namespace

application::application(application_options from, front::responder& answers)
    : options_{std::move(from)},
      desk_{answers, options_.metrics, options_.access_log},
      open_calls_{options_.metrics, metrics::quantity::open_calls},
      open_plans_{options_.metrics, metrics::quantity::plans},
      open_streams_{options_.metrics, metrics::quantity::event_streams},
      router_{{}, routing_of(options_)},
      socket_{new_socket()},
      core_{front::clock::now(), {"gateway", options_.broker}},
      cache_{cache_limits{}.bytes, seed()},
      store_{replies_of(options_).join()},
      events_{event_options(), desk_},
      unready_since_{front::clock::now()},
      random_{seed()} {
  if (!options_.traffic) options_.traffic = std::make_shared<traffic_control>();
  on_notified(unready_since_);
  socket_->connect(options_.broker, options_.keys);
  log("waiting for the broker at " + options_.broker);
}

std::unique_ptr<net::dealer> application::new_socket() const {
  auto out = std::make_unique<net::dealer>(*options_.sockets);
  return out;
}

application::~application() {
  std::map<std::string, std::size_t> dropped;
  for (const auto& [to, held] : runs_) ++dropped[to->run->of().text];
  for (const auto& [text, count] : dropped) {
    note(fmt::format("{}: {} of its plans {} dropped unfinished, as the time to drain is over", text, count, count == 1 ? "is" : "are"));
  }
}

event_hub::options application::event_options() {
  event_hub::options out;
  out.sockets = options_.sockets;
  out.keys = options_.keys;
  out.open = options_.event_streams;
  out.open_within = options_.routing.budget;
  out.call = [this](front::instant now, std::uint64_t stream, const detail::subscription_core::request& what) {
    call_tag tag{nullptr, what.id, stream};
    return core_.call(now, tag, what.command, what.payload, event_read_budget, {}, {.idempotent = true}) != 0;
  };
  out.note = [this](std::string line) { note(std::move(line)); };
  return out;
}

/// The configuration may have been replaced.
void application::on_notified(front::instant) {
  if (!options_.routes) {
    let_out_ = options_.events;
    traffic_ = options_.traffic->plan_of({}, 0);
    return;
  }
  const auto [config, revision] = options_.routes->now();
  if (revision == config_revision_) return;
  const auto warnings = router_.update(*config);
  config_revision_ = revision;
  traffic_ = options_.traffic->plan_of(*config, revision);
  compress_ = config->compress;
  keeping_ = config->idempotency;
  const auto is_keyed = [](const auto& each) { return each.idempotency != key_use::none; };
  if (!options_.replies->durable() && !memory_told_ && std::any_of(config->routes.begin(), config->routes.end(), is_keyed)) {
    memory_told_ = true;
    log("answers under Idempotency-Keys are in memory only: after a restart what is sent again runs again; waggle-gateway --data DIR keeps them");
  }
  cache_.clear();
  cache_.set_bytes_max(config->cache.bytes);
  desk_.log_as(config->access_log);
  redirects_ = options_.https_port != 0 && config->tls && config->tls->redirect;
  const auto& let_out = config->events ? config->events : options_.events;
  const auto seen_by = let_out && let_out->access ? *let_out->access : config->access.routes;
  // Who may still see them comes back; what he showed may count no more.
  if (let_out != std::exchange(let_out_, let_out) || seen_by.is != access_rule::who::anyone) events_.end_all(false);
  authenticator_ = authenticator{config->identity};
  access_ = config->access;
  warn(warnings);
}

void application::log(std::string text) const {
  if (options_.log) options_.log(one_line(std::move(text)));
}

/// What goes wrong with single requests may go wrong with all of them, and clients choose how often.
void application::note(std::string text) {
  if (!options_.note) return;
  const auto now = front::clock::now();
  if (now - notes_since_ >= std::chrono::seconds{1}) {
    if (notes_ > notes_per_second_max) options_.note("and " + std::to_string(notes_ - notes_per_second_max) + " lines more like these");
    notes_since_ = now;
    notes_ = 0;
  }
  if (++notes_ <= notes_per_second_max) options_.note(one_line(std::move(text)));
}

void application::warn(const std::vector<std::string>& warnings) {
  if (revision_.empty()) return;  // without a network every route lacks its command
  for (const auto& warning : warnings) {
    if (warned_.size() >= warned_max) warned_.clear();
    if (warned_.insert(warning).second) log(warning);
  }
}

void application::on_closing(front::instant now) {
  events_.end_all(true);
  pump(now);
}

/// How long a call may wait, or nothing when it must not begin: requests wait for a broker that has just been lost, then are
/// answered at once.
std::optional<milliseconds> application::budget_now(front::instant now, milliseconds wanted) const {
  if (core_.ready()) return wanted;
  const auto waits = std::chrono::ceil<milliseconds>(unready_since_ + unready_max - now);
  if (waits <= milliseconds{0}) return std::nullopt;
  return std::min(wanted, waits);
}

error application::full() { return {status::resource_exhausted, "the gateway has as many open calls as it may"}; }

error application::away() { return {status::unavailable, "the gateway has no connection to the network", false, unready_max}; }

void application::begin(front::instant now, const open_request_ptr& to) {
  to->begun = true;
  if (to->run) return begin_run(now, to);
  begin_call(now, to);
}

void application::begin_call(front::instant now, const open_request_ptr& to) {
  auto& call = to->call;
  if (call.payload.size() > wire::payload_bytes_max) return answer(*to, refusal(413, "the payload is larger than 4 MiB"));
  const auto budget = budget_now(now, call.budget);
  if (!budget) return answer(*to, tl::unexpected{away()});
  const auto parts = is_stream(call.reply) ? parts_ahead : wire::no_credit_limit;
  to->since = now;
  const auto opened = open_call(now, to, 0, {call.command, std::move(call.payload), *budget, call.key, &call, call.idempotent, parts, call.what_for == planned_call::purpose::reply});
  if (!opened) return answer(*to, tl::unexpected{opened.error()});
  to->call_id = *opened;
  to->nothing_ran = false;
}

void application::begin_run(front::instant now, const open_request_ptr& to) {
  if (plan_bytes_ >= options_.plan_bytes_max) {
    auto refused = problem_of({status::resource_exhausted, "the gateway has as much under way as it may", false, retry_time});
    add_route_headers(to->run->of(), refused);
    return answer(*to, std::move(refused));
  }
  runs_.emplace(to.get(), to);
  plan_effects effects;
  to->run->begin(now, effects);
  perform(now, to, effects);
}

/// What the plan wants, and what comes of that.
void application::perform(front::instant now, const open_request_ptr& to, plan_effects& effects) {
  for (bool more = true; more;) {
    auto todo = std::exchange(effects, {});
    if (todo.answer) {
      to->nothing_ran = todo.nothing_ran;
      answer(*to, std::move(*todo.answer));
    }
    for (const auto& each : todo.notes) note(each);
    for (auto& each : todo.orders) {
      const auto budget = each.patient ? each.budget : budget_now(now, each.budget);
      result<std::uint64_t> opened = tl::unexpected{away()};
      if (budget && each.emit) {
        call_tag tag{to, each.slot};
        opened = core_.emit(now, tag, each.name, std::move(each.payload), *budget, headers_of(*to, {each.key, each.event_id}));
        if (*opened == 0) opened = tl::unexpected{full()};
      } else if (budget) {
        opened = open_call(now, to, each.slot, {each.name, std::move(each.payload), *budget, each.key, nullptr, each.idempotent, wire::no_credit_limit, !each.patient});
      }
      if (opened) {
        to->calls[each.slot] = {*opened, now, each.emit ? std::string{} : std::move(each.name)};
      } else {
        to->run->on_error(now, each.slot, opened.error(), effects);
      }
    }
    for (const auto slot : todo.cancels) {
      if (cancel_retry(*to, slot)) {
        to->calls.erase(slot);
        to->run->on_error(now, slot, {status::cancelled, "the caller gave up", false}, effects);
      } else if (const auto call = to->calls.find(slot); call != to->calls.end()) {
        core_.cancel(call->second.id, sink{*this, now});
      }
    }
    more = effects.answer || !effects.orders.empty() || !effects.cancels.empty() || !effects.notes.empty();
  }
  const auto bytes = to->run->finished() ? 0 : to->run->bytes();
  plan_bytes_ = plan_bytes_ - to->plan_bytes + bytes;
  to->plan_bytes = bytes;
  if (to->run->finished()) {
    runs_.erase(to.get());
  } else if (const auto at = to->run->next_deadline(); at < to->scheduled) {
    to->scheduled = at;
    deadlines_.emplace(at, to);
  }
}

void application::run_deadlines(front::instant now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const auto of = deadlines_.begin()->second.lock();
    deadlines_.erase(deadlines_.begin());
    if (of && of->keyed && of->keyed->ticket != 0 && of->keyed->until <= now) on_store_late(of);
    if (!of || !runs_.contains(of.get())) continue;
    of->scheduled = front::instant::max();
    plan_effects effects;
    of->run->tick(now, effects);
    perform(now, of, effects);
  }
}

/// What goes along with a call or an event; good until the next one's.
std::string_view application::headers_of(const open_request& of, const extra_headers& with) {
  std::array<std::pair<std::string_view, std::string_view>, 7> all;
  std::size_t count = 0;
  const auto add = [&](std::string_view name, std::string_view value) { all[count++] = {name, value}; };
  std::string later;
  if (of.who) add("claims", of.who->claims_json);
  if (with.event_id) add("event_id", *with.event_id);
  if (with.kept != nullptr && with.kept->what_for == planned_call::purpose::receipt) {
    later = std::to_string(with.kept->run_budget.count());
    add("later", later);
    if (with.kept->idempotency_key) add("idempotency_key", *with.kept->idempotency_key);
  }
  if (with.key) add("key", *with.key);
  add("request_id", of.request_id);
  add("traceparent", of.trace);
  headers_.clear();
  write_texts(headers_, std::span{all}.first(count));
  return headers_;
}

void application::on_abandoned(front::instant now, front::exchange_id id) {
  desk_.abandoned(now, id);
  if (events_.on_abandoned(id)) return;
  const auto found = unanswered_.find(static_cast<std::uint64_t>(id));
  if (found == unanswered_.end()) return;
  const auto to = found->second;
  unanswered_.erase(found);
  if (to->keyed && to->keyed->is_mine) return;  // it goes on, and who comes back with the key gets its answer
  if (to->flight == 0) return give_up(now, to);
  if (!to->leads) to->answered = true;
  if (!cache_.left(to->flight, static_cast<std::uint64_t>(id))) return;  // others wait for it
  if (const auto flight = flights_.extract(to->flight); !flight.empty()) give_up(now, flight.mapped());
}

/// Nobody waits for what a request began.
void application::give_up(front::instant now, const open_request_ptr& to) {
  to->answered = true;
  if (!to->begun) return;
  if (!to->run && cancel_retry(*to, 0)) return;
  if (!to->run) return core_.cancel(to->call_id, sink{*this, now});
  plan_effects effects;
  to->run->on_abandoned(now, effects);
  perform(now, to, effects);
}

/// Asks for the network, or for its next change.
void application::watch(front::instant now) {
  std::string asked;
  wire::writer writer{asked};
  writer.map(2);
  writer.string("known");
  writer.string(revision_);
  writer.string("wait_ms");
  writer.unsigned_integer(static_cast<std::uint64_t>(watch_time.count()));
  call_tag tag;
  watching_ = core_.call(now, tag, watched, asked, watch_budget, {}) != 0;
  if (!watching_) watch_at_ = now + watch_pause;
}

void application::watch_later(front::instant now) {
  watching_ = false;
  watch_at_ = now + watch_pause;
}

void application::learn(std::string_view payload) {
  watching_ = false;
  watch_at_ = {};
  auto network = read_network_view(payload);
  if (!network) {
    watch_later(front::clock::now());
    return log("the broker's list of services cannot be read: " + network.error().message);
  }
  if (network->revision == revision_) return;
  if (!broker_instance_.empty() && network->broker.instance != broker_instance_) {
    const auto now = front::clock::now();
    if (adopt_at_ == front::instant{}) adopt_at_ = now + adopt_time;
    if (now < adopt_at_) {
      watch_at_ = adopt_at_;
      return;
    }
  }
  adopt_at_ = {};
  broker_instance_ = network->broker.instance;
  revision_ = network->revision;
  if (!options_.only_service.empty()) {
    for (auto& service : network->services) {
      if (service.service == options_.only_service) continue;
      for (auto& command : service.commands) command.http.clear();
    }
  }
  if (const auto served = sha256(what_is_served(*network)); served != std::exchange(served_, served)) cache_.clear();
  if (options_.on_network) options_.on_network(*network);
  warn(router_.update(*network));
}

front::instant application::next_deadline() const {
  if (behind_) return {};
  auto next = core_.next_deadline();
  if (!watching_ && core_.ready()) next = std::min(next, watch_at_);
  if (!deadlines_.empty()) next = std::min(next, deadlines_.begin()->first);
  if (!retries_.empty()) next = std::min(next, retries_.begin()->first);
  return std::min(next, events_.next_deadline());
}

/// Sends what is ready. False: there was nothing.
bool application::send_calls(front::instant now) {
  bool any = false;
  while (!message_.empty() || core_.take_message(now, message_)) {
    any = true;
    if (socket_->hand_over(message_) != net::sent::yes) break;
  }
  return any;
}

/// Whether calls that are ready gain from waiting for company. Small messages cost everybody on their way as much as large ones, and breed small ones:
/// answers that come one by one let requests come one by one. So where many calls are open and their number still grows, clients that have just had
/// their answers get the chance to be in the same message. A call that is alone leaves at once.
bool application::gathers() const {
  return core_.ready() && message_.empty() && core_.open_calls() >= gather_from && core_.waiting_ids() > gathered_;
}

bool application::on_batch_end(front::instant now, bool last) {
  const bool keeps = !last && gathers();
  gathered_ = keeps ? core_.waiting_ids() : 0;
  pump(now, keeps);
  return keeps;
}

/// Sends what the batch's requests want, receives, lets time pass, sends what came of that; until the socket, whose descriptor tells only of
/// changes, has nothing more to say, or has said so much that others must have their turn first.
///
/// A send may swallow the descriptor's word that something has come; a receive that finds nothing has looked. So what can be sent is sent first,
/// and libzmq is asked (which is two system calls) only if something was left to be sent after that.
void application::pump(front::instant now, bool keeps_calls) {
  const sink to{*this, now};
  int turns = 0;
  if (!keeps_calls) send_calls(now);
  do {
    bool drained = false;
    for (int i = 0; i < receive_max && !drained; ++i) {
      if (const auto got = socket_->receive()) {
        core_.receive(now, *got, to);
      } else {
        drained = true;
      }
    }
    core_.tick(now, to);
    take_stored(now);
    run_deadlines(now);
    run_retries(now);
    if (core_.wants_connection()) {
      message_.clear();
      socket_ = new_socket();
      socket_->connect(options_.broker, options_.keys);
    }
    if (core_.ready() != was_ready_) {
      was_ready_ = core_.ready();
      if (was_ready_) {
        log("connected to " + core_.broker().broker + " at " + options_.broker);
        watch_at_ = {};
      } else {
        unready_since_ = now;
        log("lost the broker at " + options_.broker + "; waiting for it");
      }
    }
    if (core_.ready() && events_.broker() != core_.broker().broker) {
      events_.connect(detail::event_endpoint(core_.broker().events_out, options_.broker), core_.broker().broker);
    }
    if (core_.ready() && !watching_ && watch_at_ <= now) watch(now);
    const bool more_events = events_.pump(now);
    const bool has_sent = !keeps_calls && send_calls(now);
    behind_ = !drained || more_events || (has_sent && socket_->readable());
  } while (behind_ && ++turns < turns_max);
  open_calls_.set(core_.open_calls());
  open_plans_.set(runs_.size());
  open_streams_.set(events_.size());
}

}  // namespace waggle::gateway
