#pragma once

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <waggle/client.hpp>
#include <waggle/command.hpp>
#include <waggle/context.hpp>
#include <waggle/detail/handler.hpp>
#include <waggle/detail/handler_pool.hpp>
#include <waggle/detail/service_events.hpp>
#include <waggle/detail/service_slots.hpp>
#include <waggle/detail/worker_core.hpp>
#include <waggle/environment.hpp>
#include <waggle/event_handler.hpp>
#include <waggle/fields.hpp>
#include <waggle/net/poll.hpp>
#include <waggle/net/socket.hpp>
#include <waggle/wire/manifest.hpp>

namespace waggle {

struct service_options {
  std::string broker = environment("WAGGLE_BROKER", default_broker);
  std::string instance;            ///< names this process among those of its service; empty: made up
  unsigned threads = 8;            ///< handlers that run at the same time
  /// Calls for handlers of the pool that the broker may hand over at the same time; 0: four for each thread, which
  /// is one that runs and three that wait here, where no other worker can take them (`detail::pool_slots` says more).
  unsigned slots = 0;
  /// Calls for quick handlers, which do not count among the others; 0: 1024. Where all are quick, `slots` says the same.
  unsigned quick_slots = 0;
  milliseconds drain{10'000};      ///< how long calls at hand may take after a stop
  net::context* sockets = nullptr; ///< to share one, as `inproc://` needs; it must outlive the service
  key_options keys{};              ///< for a broker that wants them
};

/// A worker: commands and their handlers. `on` what it serves, then `run` it; nothing is configured anywhere else.
///
/// One thread (that of `run`) keeps the connection, so heartbeats never wait behind handlers; handlers run in a pool of
/// others, several at a time, but for those that are quick. What a handler throws is logged and ends its call as INTERNAL, without the text.
class service final : private detail::context_host {
 public:
  service(std::string name, std::string version) : name_{std::move(name)}, version_{std::move(version)} {
    if (!wire::is_name(name_)) throw std::invalid_argument{"a service's name is 1 to 128 bytes without spaces"};
  }

  /// Serves a command. The handler takes a request (any payload type), a `context&`, both in this order, or nothing, and returns a
  /// reply, nothing, or a `result` of either. It is called from several threads. References to the command stay valid.
  template <class Handler>
  command& on(std::string name, Handler handler) {
    using types = detail::types_of<Handler>;
    using reply = typename detail::reply_of<typename types::returned>::type;
    static_assert(payload_type<typename types::request>, "the handler's request is no payload type; has it WAGGLE_FIELDS?");
    static_assert(payload_type<reply>, "the handler's reply is no payload type; has it WAGGLE_FIELDS?");
    if (!wire::is_name(name) || name.starts_with("waggle.")) {
      throw std::invalid_argument{"\"" + name + "\" is no name for a command: 1 to 128 bytes without spaces, not beginning with \"waggle.\""};
    }
    for (const auto& each : commands_) {
      if (each.manifest_.name == name) throw std::invalid_argument{"\"" + name + "\" has a handler already"};
    }
    auto& made = commands_.emplace_back();
    made.manifest_.name = std::move(name);
    made.manifest_.request = schema_of<typename types::request>();
    made.manifest_.reply = schema_of<reply>();
    made.handler_ = detail::erase_types(std::move(handler));
    return made;
  }

  /// Handles events whose topic matches a pattern: a topic, or what topics begin with and a `*` behind it, as in "order.*". The handler takes
  /// a payload (any payload type), a `context&`, both in this order, or nothing, and returns nothing or a `result<void>`: an error, or what it
  /// throws, has the event delivered again. It is called from several threads. Of several patterns that match, the most specific is the one.
  /// A group handles a pattern once, or `run` and `serve` throw. References stay valid.
  template <class Handler>
  event_handler& on_event(std::string pattern, Handler handler) {
    using types = detail::types_of<Handler>;
    static_assert(payload_type<typename types::request>, "the handler's payload is no payload type; has it WAGGLE_FIELDS?");
    static_assert(std::is_same_v<typename detail::reply_of<typename types::returned>::type, nothing>,
                  "an event's handler returns nothing or a waggle::result<void>: nobody waits for an answer");
    if (!wire::is_topic_pattern(pattern)) {
      throw std::invalid_argument{"\"" + pattern + "\" is no pattern of topics: a topic, or what topics begin with and a * behind it, as in \"order.*\""};
    }
    auto& made = events_.emplace_back();
    made.manifest_.topic = std::move(pattern);
    if constexpr (types::has_request) made.manifest_.payload = schema_of<typename types::request>();
    made.handler_ = detail::erase_types(std::move(handler));
    return made;
  }

  /// Serves as a program: flags and environment, `ready` on standard output once joined, logs on standard error, drain on SIGTERM
  /// and SIGINT (a second one does not wait) and when an operator asks for it. Returns the exit code. A program that links the
  /// CMake target waggle::hybrid has --http, too: it then answers HTTP itself, and needs neither broker nor gateway.
  int run(int argc, char** argv);

  /// What is told when the service has joined, first or again.
  struct seat {
    std::string instance;
    std::string broker;
    std::size_t commands;
    std::size_t events = 0;  ///< patterns that it handles
  };

  /// Serves as part of a program, on this thread, until stop is requested (or an operator asks it to leave) and the calls at hand are answered. Throws
  /// net::endpoint_error, key_error for keys that cannot be read, and std::runtime_error when the broker refuses the manifest. Returns false when calls were still running after
  /// `drain`; their handlers go on, and the service must outlive them.
  bool serve(const service_options& with, const std::stop_token& stop, const std::function<void(const seat&)>& on_joined = {});

 private:
  static constexpr milliseconds send_patience{500};
  /// So long what has arrived is taken in before what there is to say is said.
  static constexpr milliseconds turn_time_max{1};

  struct sink {
    service& to;
    void on_joined(const detail::welcome& by) const { to.joined(by); }
    void on_call(const detail::lease& lease, const wire::frame& in) const { to.take(lease, in); }
    void on_cancel(const detail::lease& lease) const { to.give_up(lease); }
    void on_credit(const detail::lease& lease, std::uint64_t parts) const { to.take_credit(lease, parts); }
    void on_asked_to_leave() const { to.asked_to_leave_ = true; }
    void on_lost(const std::string& why) const { to.lost(why); }
    void on_refused(error why) const { to.refused_ = std::move(why.message); }
    void on_left() const {}
    void on_complaint(const error& why) const { to.log(why.message); }
  };

  client& caller() override;
  bool send_part(void* call, std::string payload, const std::stop_token& stop) override;

  [[nodiscard]] std::string manifest_bytes(const detail::service_slots& slots) const;
  [[nodiscard]] bool is_any(bool quick) const;
  void connect();
  std::chrono::steady_clock::time_point keep_connected(detail::worker_core& core, const std::stop_token& stop);
  void receive(detail::worker_core& core);
  void answer(detail::worker_core& core);
  bool send(detail::worker_core& core);
  void take(const detail::lease& lease, const wire::frame& in);
  void run_quick(const detail::lease& lease, const wire::frame& in, const detail::bytes_handler& handler, milliseconds budget,
                 const handled_event* event);
  [[nodiscard]] const event_handler* handler_of(const std::string& group, std::string_view topic) const;
  void give_up(const detail::lease& lease);
  void take_credit(const detail::lease& lease, std::uint64_t parts);
  void joined(const detail::welcome& by);
  void lost(const std::string& why);
  detail::handler_output run_job(detail::job& which);
  status run_handler(const detail::bytes_handler& handler, std::string_view payload, context& with, std::string& reply,
                     std::vector<detail::emitted>& emitted) const;
  /// Never throws for a standard error that is closed or that nobody reads, as fmt::print would: handlers' threads log, too.
  void log(const std::string& text) const { std::fprintf(stderr, "%s: %s\n", (instance_.empty() ? name_ : instance_).c_str(), text.c_str()); }

  std::string name_;
  std::string version_;
  std::deque<command> commands_;
  std::deque<event_handler> events_;

  service_options options_;
  net::peer_keys keys_;
  std::string instance_;
  std::function<void(const seat&)> on_joined_;
  std::unordered_map<std::string_view, const command*> by_name_;
  std::unique_ptr<net::context> own_sockets_;
  std::unique_ptr<net::dealer> socket_;
  std::optional<std::string> refused_;
  bool asked_to_leave_ = false;
  std::shared_ptr<detail::handler_pool> pool_;

  // Of the connection's thread, while it serves:
  std::thread::id connection_thread_;
  detail::worker_core* core_ = nullptr;
  std::chrono::steady_clock::time_point now_{};  ///< when the message at hand was received
  wire::message message_;  ///< taken from the core and not sent yet
  std::unordered_map<std::uint64_t, detail::job_ptr> at_hand_;  ///< by lease id, of the present seat
  std::vector<detail::job_ptr> arrived_;
  std::vector<detail::handler_output> outputs_;
  std::string reply_;
  std::vector<detail::emitted> emitted_;

  std::mutex caller_mutex_;  ///< of what follows
  std::unique_ptr<client> caller_;
};

inline std::string service::manifest_bytes(const detail::service_slots& slots) const {
  manifest all{name_, version_, instance_, slots.all, wire::bundle_frames_max, {}, true, {}, slots.quick, wire::attachments_max, true};
  for (const auto& each : commands_) {
    if (each.manifest_.quick && each.manifest_.streams) {
      throw std::invalid_argument{"\"" + each.manifest_.name + "\" is quick and streams: parts wait for the thread that a quick handler keeps"};
    }
    all.commands.push_back(each.manifest_);
  }
  for (const auto& each : events_) {
    all.events.push_back(each.manifest_);
    if (all.events.back().group.empty()) all.events.back().group = name_;  // said, so that it is one with a handler that says it
  }
  std::string bytes;
  wire::append_manifest(bytes, all);
  // The broker would refuse it too, but this is nearer to the mistake.
  if (const auto checked = wire::read_manifest(bytes); !checked) throw std::invalid_argument{checked.error().message};
  return bytes;
}

/// Whether it has any handlers of that class.
inline bool service::is_any(bool quick) const {
  const auto is = [&](const auto& each) { return each.manifest_.quick == quick; };
  return std::any_of(commands_.begin(), commands_.end(), is) || std::any_of(events_.begin(), events_.end(), is);
}

inline bool service::serve(const service_options& with, const std::stop_token& stop,
                           const std::function<void(const seat&)>& on_joined) {
  using clock = std::chrono::steady_clock;
  options_ = with;
  keys_ = read_keys(with.keys);
  options_.threads = std::max(options_.threads, 1u);
  on_joined_ = on_joined;
  std::random_device entropy;
  const auto seed = (std::uint64_t{entropy()} << 32) | entropy();
  instance_ = with.instance.empty() ? fmt::format("{}-{}-{:04x}", name_, ::getpid(), seed & 0xffff) : with.instance;
  by_name_.clear();
  for (const auto& each : commands_) by_name_.emplace(each.manifest_.name, &each);
  if (options_.sockets == nullptr) {
    own_sockets_ = std::make_unique<net::context>();
    options_.sockets = own_sockets_.get();
  }
  refused_.reset();
  asked_to_leave_ = false;
  const bool has_pool = is_any(false);
  const auto slots = detail::slots_for(is_any(true), has_pool, options_.threads, with.slots, with.quick_slots);
  detail::worker_core core{clock::now(), {.manifest = manifest_bytes(slots), .broker = options_.broker, .jitter_seed = seed, .idles = true}};
  connect();
  pool_ = std::make_shared<detail::handler_pool>([this](detail::job& next) { return run_job(next); });
  auto drained_by = clock::time_point::min();
  std::exception_ptr failed;  // the handlers under way get their time to end all the same, and no more than that
  try {
    if (has_pool) pool_->start(options_.threads);
    drained_by = keep_connected(core, stop);
  } catch (...) {
    failed = std::current_exception();
    drained_by = detail::instant_in(options_.drain);
  }
  core_ = nullptr;
  pool_->close();
  for (const auto& [id, each] : at_hand_) each->stop.request_stop();
  // Handlers whose seat was lost are nobody's any more, but they still run in our threads.
  if (!pool_->end(drained_by)) return false;
  socket_->linger(milliseconds{200});
  caller_.reset();
  socket_.reset();
  if (failed) std::rethrow_exception(failed);
  if (refused_) throw std::runtime_error{*refused_};
  return true;
}

inline void service::connect() {
  auto made = std::make_unique<net::dealer>(*options_.sockets);
  made->connect(options_.broker, keys_);  // if it throws, no socket may be left: a context of others could not end
  socket_ = std::move(made);
}

/// The loop of the connection's thread: until the service has left, or was refused, or `drain` has passed. Returns when that is.
inline std::chrono::steady_clock::time_point service::keep_connected(detail::worker_core& core, const std::stop_token& stop) {
  using clock = std::chrono::steady_clock;
  const sink to{*this};
  const auto pool = pool_;
  const std::stop_callback on_stop{stop, [pool] { pool->interrupt(); }};
  const auto begun = clock::now();
  bool told = false, leaving = false;
  auto drained_by = clock::time_point::max(), sent_by = clock::time_point::max();
  net::waiter waiter;
  connection_thread_ = std::this_thread::get_id();
  core_ = &core;
  at_hand_.clear();
  message_.clear();
  while (!refused_) {
    if ((stop.stop_requested() || asked_to_leave_) && !leaving) {
      if (asked_to_leave_) log("asked to leave (`waggle drain`)");
      leaving = true;
      drained_by = detail::instant_in(options_.drain);
      core.leave(clock::now(), to);
    }
    receive(core);
    core.tick(clock::now(), to);
    answer(core);
    if (core.wants_connection()) {
      message_.clear();
      socket_.reset();
      connect();
    }
    const bool all_sent = send(core);
    pool_->set_room(core.has_room());
    // What is left to send when all is over is for a broker that may be gone for good.
    if (core.left()) sent_by = std::min(sent_by, clock::now() + send_patience);
    if ((core.left() && all_sent) || clock::now() >= std::min(drained_by, sent_by)) break;
    if (!told && !core.joined() && clock::now() - begun > std::chrono::seconds{1}) {
      told = true;
      log("no broker answers at " + options_.broker +
          (keys_.empty() ? "; waiting for it (start waggle-broker, set --broker or WAGGLE_BROKER, or --key-file and --broker-key if it wants keys)"
                         : " to these keys; waiting for it (it may have another key, or not know ours: its log says)"));
    }
    if (!pool_->wait_for_output()) continue;
    waiter.read(pool_->descriptor());
    all_sent ? waiter.read(*socket_) : waiter.read_write(*socket_);
    auto until = std::min({core.next_deadline(), drained_by, sent_by});
    if (!told) until = std::min(until, begun + milliseconds{1100});
    waiter.wait_until(until);
    told = told || core.joined();
  }
  return std::min(drained_by, detail::instant_in(options_.drain));
}

/// Takes in what has arrived; quick handlers run meanwhile.
inline void service::receive(detail::worker_core& core) {
  const auto turn_ends = std::chrono::steady_clock::now() + turn_time_max;
  do {
    const auto got = socket_->receive();
    if (!got) break;
    now_ = std::chrono::steady_clock::now();
    core.receive(now_, *got, sink{*this});
  } while (now_ < turn_ends);
  pool_->add(arrived_);
}

/// Hands over what handlers have had for the network.
inline void service::answer(detail::worker_core& core) {
  pool_->take(outputs_);
  for (auto& each : outputs_) {
    if (each.is_part) {
      core.part(each.lease, std::move(each.payload));
      continue;
    }
    if (each.code == status::ok) {
      core.succeed(each.lease, std::move(each.payload), each.emitted_events, each.deadline);
    } else {
      core.reply(each.lease, each.code, std::move(each.payload));
    }
    if (const auto found = at_hand_.find(each.lease.id); found != at_hand_.end() && found->second->lease == each.lease) {
      at_hand_.erase(found);
    }
  }
  outputs_.clear();
}

/// Sends what there is; false when the socket takes no more now.
inline bool service::send(detail::worker_core& core) {
  const auto now = std::chrono::steady_clock::now();
  while (!message_.empty() || core.take_message(now, message_)) {
    if (socket_->hand_over(message_) != net::sent::yes) return false;
  }
  return true;
}

inline void service::joined(const detail::welcome& by) {
  log("joined " + by.broker + " at " + options_.broker + " with " + std::to_string(commands_.size()) + " commands" +
      (events_.empty() ? "" : " and handlers of " + std::to_string(events_.size()) + " patterns of events"));
  if (on_joined_) on_joined_({instance_, options_.broker, commands_.size(), events_.size()});
}

inline void service::take(const detail::lease& lease, const wire::frame& in) {
  const detail::bytes_handler* handler = nullptr;
  bool quick = false;
  auto budget = milliseconds{in.budget_ms};
  std::optional<handled_event> event;
  const auto found = [&](const auto& by) {
    handler = &by.handler_;
    quick = by.manifest_.quick;
  };
  if (in.type == wire::frame_type::event) {
    auto about = detail::read_delivery(in);
    budget = about.budget;
    if (const auto* const by = handler_of(about.event.group, in.name)) found(*by);
    event = std::move(about.event);
  } else if (const auto by = by_name_.find(in.name); by != by_name_.end()) {
    found(*by->second);
  }
  if (handler == nullptr) {
    std::string payload;
    wire::append_error(payload, {status::unimplemented,
                                 name_ + (event ? " does not handle \"" : " does not serve \"") + std::string{in.name} + "\"", false});
    return core_->reply(lease, status::unimplemented, payload);
  }
  if (quick) return run_quick(lease, in, *handler, budget, event ? &*event : nullptr);
  auto made = std::make_shared<detail::job>();
  made->lease = lease;
  made->pool = pool_.get();
  made->handler = handler;
  made->name = in.name;
  made->event = std::move(event);
  if (in.attached != nullptr) {
    made->attached = *in.attached;
  } else {
    made->payload = in.payload;
  }
  made->headers = in.headers;
  made->deadline = now_ + budget;
  made->parts = in.parts;
  at_hand_.insert_or_assign(lease.id, made);
  arrived_.push_back(std::move(made));
}

inline void service::run_quick(const detail::lease& lease, const wire::frame& in, const detail::bytes_handler& handler, milliseconds budget,
                               const handled_event* event) {
  context with{*this, nullptr, in.name, in.headers, now_ + budget, {}, event};
  const auto code = run_handler(handler, in.payload, with, reply_, emitted_);
  if (code == status::ok) {
    core_->succeed(lease, std::move(reply_), emitted_, now_ + budget);
  } else {
    core_->reply(lease, code, std::move(reply_));
  }
}

/// The broker gives an event to a group for the most specific pattern that one of it has; of ours it is the same.
inline const event_handler* service::handler_of(const std::string& group, std::string_view topic) const {
  const event_handler* out = nullptr;
  for (const auto& each : events_) {
    const auto& mine = each.manifest_;
    if ((mine.group.empty() ? name_ : mine.group) != group || !wire::matches(mine.topic, topic)) continue;
    if (out == nullptr || wire::is_more_specific(mine.topic, out->manifest_.topic)) out = &each;
  }
  return out;
}

/// The handler learns of it; if it has not begun, it never will.
inline void service::give_up(const detail::lease& lease) {
  const auto found = at_hand_.find(lease.id);
  if (found == at_hand_.end() || found->second->lease != lease) return;
  found->second->stop.request_stop();
}

inline void service::take_credit(const detail::lease& lease, std::uint64_t parts) {
  const auto found = at_hand_.find(lease.id);
  if (found == at_hand_.end() || found->second->lease != lease) return;
  found->second->pool->give_credit(*found->second, parts);
}

inline void service::lost(const std::string& why) {
  log(why + "; joining again");
  for (const auto& [id, each] : at_hand_) each->stop.request_stop();
  at_hand_.clear();
}

inline bool service::send_part(void* call, std::string payload, const std::stop_token& stop) {
  if (call == nullptr) throw std::logic_error{"a quick handler sends no parts: it would wait for the thread that it keeps; take .quick() away"};
  if (payload.size() > wire::payload_bytes_max) throw std::length_error{"a part is larger than 4 MiB"};
  auto& of = *static_cast<detail::job*>(call);
  return of.pool->send_part(of, std::move(payload), stop);
}

inline client& service::caller() {
  if (std::this_thread::get_id() == connection_thread_) {
    throw std::logic_error{"a quick handler does not call others: nothing else would happen meanwhile; take .quick() away"};
  }
  const std::lock_guard lock{caller_mutex_};
  if (!caller_) caller_ = std::make_unique<client>(client_options{options_.broker, instance_, 100'000, options_.sockets, options_.keys});
  return *caller_;
}

/// Runs one handler in the pool: every lease is answered.
inline detail::handler_output service::run_job(detail::job& which) {
  detail::handler_output out{which.lease, false, status::ok, {}, {}, which.deadline};
  std::optional<error> late;
  if (which.stop.stop_requested()) {
    late = error{status::cancelled, "the caller gave up before the handler began"};
  } else if (std::chrono::steady_clock::now() >= which.deadline) {
    late = error{status::deadline_exceeded, "the budget passed before the handler began"};
  }
  if (late) {
    out.code = late->code;
    wire::append_error(out.payload, *late);
    return out;
  }
  context with{*this, &which, which.name, std::string_view{which.headers}, which.deadline, which.stop.get_token(), which.event ? &*which.event : nullptr};
  out.code = run_handler(*which.handler, which.bytes(), with, out.payload, out.emitted_events);
  return out;
}

/// Runs a handler, whatever it does. `reply` is then a payload or, with another status than OK, an error object.
inline status service::run_handler(const detail::bytes_handler& handler, std::string_view payload, context& with, std::string& reply,
                                   std::vector<detail::emitted>& emitted) const {
  const std::string_view name = with.command();
  std::optional<result<void>> returned;
  emitted.clear();
  try {
    reply.clear();
    returned = handler(payload, with, reply);
    if (*returned && with.has_emitted()) emitted = with.take_emitted();
  } catch (const std::exception& e) {
    log(std::string{name} + " threw: " + e.what());
  } catch (...) {
    log(std::string{name} + " threw something that is no std::exception");
  }
  if (!returned) returned = failure(status::internal, "the handler failed; the log of " + instance_ + " says why", true);
  auto& got = *returned;
  if (got && reply.size() > wire::payload_bytes_max) {
    got = failure(status::out_of_range, "the reply is larger than 4 MiB; send it in parts", true);
    emitted.clear();
  }
  if (got) return status::ok;
  auto why = std::move(got.error());
  if (why.code == status::ok) {
    log(std::string{name} + " failed with the status OK");
    why.code = status::internal;
  }
  if (why.problems.size() > wire::error_problems_max) why.problems.resize(wire::error_problems_max);
  if (why.message.size() > wire::headers_bytes_max) why.message.resize(wire::headers_bytes_max);
  reply.clear();
  wire::append_error(reply, why);
  if (reply.size() > wire::payload_bytes_max) {  // the broker would take it for garbage, and us with it
    log(std::string{name} + " failed with problems that are larger than 4 MiB; they are left out");
    why.problems.clear();
    reply.clear();
    wire::append_error(reply, why);
  }
  return why.code;
}

}  // namespace waggle

#include <waggle/detail/run.hpp>
