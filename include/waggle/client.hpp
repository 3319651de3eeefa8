#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <waggle/detail/caller_core.hpp>
#include <waggle/detail/duration.hpp>
#include <waggle/environment.hpp>
#include <waggle/fields.hpp>
#include <waggle/keys.hpp>
#include <waggle/net/poll.hpp>
#include <waggle/net/socket.hpp>
#include <waggle/operation.hpp>
#include <waggle/receipt.hpp>
#include <waggle/wire/error.hpp>
#include <waggle/wire/headers.hpp>

namespace waggle {

using std::chrono::milliseconds;

struct client_options {
  std::string broker = environment("WAGGLE_BROKER", default_broker);
  std::string name = "client";      ///< who calls, for people who look at the broker
  std::size_t calls_max = 100'000;  ///< open calls; RESOURCE_EXHAUSTED at once past it
  net::context* sockets = nullptr;  ///< to share one, as `inproc://` needs; it must outlive the client
  key_options keys{};               ///< for a broker that wants them
};

struct call_options {
  std::string key{};          ///< what the call is about, as the header `key`
  std::string traceparent{};  ///< W3C trace context
  header_map headers{};       ///< others
  bool idempotent = false;  ///< it may run twice: when the broker is lost it is sent again, to the next, within its budget
  /// Of an emit: names the event. The same again within ten minutes is the same event, so the emit is idempotent.
  std::string event_id{};
};

namespace detail {
/// With an idempotency key it is the same operation however often it is sent.
[[nodiscard]] inline call_options later_call(const later_options& from) {
  call_options out;
  out.headers = later_headers(from);
  out.idempotent = !from.idempotency_key.empty();
  return out;
}
}  // namespace detail

/// Calls commands. Any thread may use it at any time; one thread of its own does the work, so thousands of calls may be under way.
/// Every call has a budget and ends within it (and a tenth of a second), whatever becomes of broker and worker.
class client {
 public:
  /// Does not wait for the broker: calls do. Throws net::endpoint_error for what is no endpoint, key_error for keys that cannot be read.
  explicit client(client_options from = {});
  /// What is open ends as CANCELLED, and so does what callbacks start meanwhile: one that starts another call whenever one ends
  /// would keep it here for ever. Not to be run from a callback.
  ~client();
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  /// Names a started call, to give it up.
  class ticket;

  /// Calls and waits for the answer.
  template <payload_type Reply, payload_type Request>
  result<Reply> call(std::string_view command, const Request& request, milliseconds budget, const call_options& with = {}) {
    return decode<Reply>(call_bytes(command, encode(request), budget, with));
  }

  /// Calls and goes on: the future has the answer within the budget.
  template <payload_type Reply, payload_type Request>
  std::future<result<Reply>> call_async(std::string_view command, const Request& request, milliseconds budget,
                                        const call_options& with = {}) {
    auto promise = std::make_shared<std::promise<result<Reply>>>();
    auto answer = promise->get_future();
    start<Reply>(command, request, budget, [promise](result<Reply> got) { promise->set_value(std::move(got)); }, with);
    return answer;
  }

  /// Calls and goes on: `done(result<Reply>)` runs on the client's own thread (or, when the call cannot even begin, on this one),
  /// so it must be quick and must not wait for another call.
  template <payload_type Reply, payload_type Request, class Done>
  ticket start(std::string_view command, const Request& request, milliseconds budget, Done done, const call_options& with = {});

  /// Calls a command that answers in parts: `on_part(Part)` runs on this thread, in order, for each; returning false gives the
  /// call up. The result is the final reply.
  template <payload_type Part, payload_type Reply = nothing, payload_type Request, class OnPart>
  result<Reply> stream(std::string_view command, const Request& request, milliseconds budget, OnPart on_part,
                       const call_options& with = {});

  /// Emits an event and waits for the broker's receipt. An error says that it is not kept, unless it `may_have_run`.
  template <payload_type Payload>
  result<receipt> emit(std::string_view topic, const Payload& payload, milliseconds budget, const call_options& with = {}) {
    return emit_bytes(topic, encode(payload), budget, with).map(detail::read_receipt);
  }
  /// Emits and goes on: `done(result<receipt>)` runs as that of `start` does.
  template <payload_type Payload, class Done>
  void start_emit(std::string_view topic, const Payload& payload, milliseconds budget, Done done, const call_options& with = {}) {
    submit(wire::frame_type::emit, topic, encode(payload), budget, with,
           [done = std::move(done)](result<std::string> got) mutable { done(std::move(got).map(detail::read_receipt)); });
  }

  /// Has the broker run a command later, again and again until it succeeds or has failed for good, and waits until that is on disk. The budget is for
  /// this; `later_options::run_budget` for the command.
  template <payload_type Request>
  result<operation> call_later(std::string_view command, const Request& request, const later_options& with, milliseconds budget) {
    return call_bytes(command, encode(request), budget, detail::later_call(with)).and_then(detail::read_operation);
  }
  /// The same, and goes on: `done(result<operation>)` runs as that of `start` does.
  template <payload_type Request, class Done>
  ticket start_later(std::string_view command, const Request& request, const later_options& with, milliseconds budget, Done done);

  /// What has become of such a command: as soon as it has ended, at the latest after `wait`. NOT_FOUND for one that is unknown, or forgotten.
  template <payload_type Reply>
  result<waggle::outcome<Reply>> outcome(std::string_view operation, milliseconds wait) {
    return call_bytes("waggle.outcome", detail::outcome_question(operation, wait), outcome_budget(wait), {.idempotent = true})
        .and_then(detail::read_outcome<Reply>);
  }
  /// The same, and goes on: `done(result<outcome<Reply>>)` runs as that of `start` does.
  template <payload_type Reply, class Done>
  ticket start_outcome(std::string_view operation, milliseconds wait, Done done);

  // The same with payloads that are msgpack already.

  using bytes_done = std::function<void(result<std::string>)>;
  /// Takes a part's payload; false gives the call up.
  using bytes_part = std::function<bool(std::string_view)>;

  result<std::string> call_bytes(std::string_view command, std::string payload, milliseconds budget, const call_options& with = {});
  result<std::string> emit_bytes(std::string_view topic, std::string payload, milliseconds budget, const call_options& with = {});
  result<std::string> stream_bytes(std::string_view command, std::string payload, milliseconds budget, const bytes_part& on_part,
                                   const call_options& with = {});
  ticket start_bytes(std::string_view command, std::string payload, milliseconds budget, bytes_done done,
                     const call_options& with = {});

  /// What the broker says of itself: its endpoints for events among others. Waits until it has been reached.
  result<detail::welcome> broker(milliseconds budget);

 private:
  /// One call between the caller's thread and ours.
  struct open_call {
    wire::frame_type type = wire::frame_type::call;
    std::string name;
    std::string payload;
    std::string headers;
    std::chrono::steady_clock::time_point deadline;
    bytes_done done;
    std::function<void(std::string_view)> part;  ///< on our thread
    detail::caller_core<std::shared_ptr<open_call>>::call_terms terms;
    std::uint64_t id = 0;                        ///< our thread's
  };
  using open_call_ptr = std::shared_ptr<open_call>;

  /// Parts on their way from our thread to the caller's.
  struct part_queue {
    /// What lies here at the most. A worker that heeds credit waits; of any other the call is given up: RESOURCE_EXHAUSTED.
    static constexpr std::size_t bytes_max = 16u << 20;
    static constexpr std::uint64_t credit_min = 3;  ///< of the largest parts there are
    static constexpr std::uint64_t credit_max = 256;
    static std::size_t cost(std::string_view part) { return part.size() + sizeof(std::string); }  ///< small ones are not free
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::string> parts;
    std::size_t bytes = 0;
    std::size_t largest = bytes_max / credit_min;  ///< part so far; before the first, as large as can be
    bool any = false;                              ///< part has come
    std::uint64_t credit = credit_min;             ///< given, and not taken from here yet
    bool overfull = false;
    std::optional<result<std::string>> end;

    /// One part has been taken: as many may be under way as would fit here. What to give, in portions that are worth a frame.
    std::uint64_t credit_to_give() {
      const auto wanted = std::clamp<std::uint64_t>(bytes_max / std::max<std::size_t>(largest, 1), credit_min, credit_max);
      if (credit > 0) --credit;  // a worker that heeds none may send more
      if (credit > wanted - wanted / 4 || credit >= wanted) return 0;
      return wanted - std::exchange(credit, wanted);
    }
  };

  struct sink {
    client& to;
    void on_part(open_call_ptr& of, std::string_view payload) const {
      if (of->part) of->part(payload);
    }
    void on_result(open_call_ptr of, std::string_view payload, std::string_view) const { to.finish(of, std::string{payload}); }
    void on_error(open_call_ptr of, error why) const { to.finish(of, tl::unexpected{std::move(why)}); }
    void on_complaint(const error& why) const { std::fprintf(stderr, "waggle client: the broker says: %s\n", why.message.c_str()); }
  };

  template <payload_type Payload>
  static std::string encode(const Payload& payload) {
    std::string bytes;
    append_payload(bytes, payload);
    return bytes;
  }

  template <payload_type Reply>
  static result<Reply> decode(result<std::string> got) {
    if (!got) return tl::unexpected{std::move(got.error())};
    auto reply = read_payload<Reply>(*got);
    if (!reply) {  // the worker's mistake, not the caller's
      reply.error().code = status::internal;
      reply.error().message = "the reply is not what was asked for: " + reply.error().message;
      reply.error().may_have_run = true;
    }
    return reply;
  }

  result<std::string> wait_for(wire::frame_type type, std::string_view name, std::string payload, milliseconds budget,
                               const call_options& with);
  open_call_ptr submit(wire::frame_type type, std::string_view name, std::string payload, milliseconds budget,
                       const call_options& with, bytes_done done, std::function<void(std::string_view)> part = {});
  void give_up(open_call_ptr which);
  void give_credit(open_call_ptr which, std::uint64_t parts);
  void finish(const open_call_ptr& which, result<std::string> with);
  /// Wakes our thread if it waits. With the mutex held, so that it finds what it is woken for.
  void wake() {
    if (!std::exchange(waits_, false)) return;
    raised_ = true;
    wake_.raise();
  }
  void connect_anew();
  /// Where the broker is, for those who are told that it does not answer: one that refuses keys does so without a word.
  [[nodiscard]] std::string described_broker() const {
    return options_.broker + (keys_.empty() ? "" : " to these keys (the broker may have another key, or not know ours: its log says)");
  }
  void serve();
  void serve(detail::caller_core<open_call_ptr>& core);

  /// What the answer about an operation may take beyond the wait.
  static constexpr milliseconds outcome_patience{5'000};
  static milliseconds outcome_budget(milliseconds wait) { return std::clamp(wait, milliseconds{0}, milliseconds{wire::budget_ms_max}) + outcome_patience; }
  /// Messages taken from the socket before cancellations and budgets have their turn.
  static constexpr int turn_max = 1000;

  client_options options_;
  net::peer_keys keys_;
  std::unique_ptr<net::context> own_sockets_;
  std::unique_ptr<net::dealer> socket_;
  net::wake_up wake_;
  std::vector<open_call_ptr> taken_;  ///< our thread's: on their way into the core

  std::mutex mutex_;  ///< of what follows
  std::vector<open_call_ptr> submitted_;
  std::vector<open_call_ptr> given_up_;
  std::vector<std::pair<open_call_ptr, std::uint64_t>> credits_;
  std::optional<detail::welcome> welcome_;
  std::condition_variable welcomed_;
  bool closing_ = false;
  bool closed_ = false;  ///< our thread takes nothing any more
  bool waits_ = false;   ///< our thread does
  bool raised_ = false;  ///< `wake_`

  std::atomic<std::size_t> open_{0};
  std::thread thread_;
};

class client::ticket {
 public:
  ticket() = default;
  /// Gives the call up: it ends as CANCELLED soon. Nothing happens if it has ended. The client must still live.
  void cancel() {
    if (auto which = operation_.lock()) owner_->give_up(std::move(which));
  }

 private:
  friend client;
  ticket(client* owner, std::weak_ptr<open_call> which) : owner_{owner}, operation_{std::move(which)} {}
  client* owner_ = nullptr;
  std::weak_ptr<open_call> operation_;
};

template <payload_type Reply, payload_type Request, class Done>
client::ticket client::start(std::string_view command, const Request& request, milliseconds budget, Done done,
                             const call_options& with) {
  return start_bytes(
      command, encode(request), budget,
      [done = std::move(done)](result<std::string> got) mutable { done(decode<Reply>(std::move(got))); }, with);
}

template <payload_type Request, class Done>
client::ticket client::start_later(std::string_view command, const Request& request, const later_options& with, milliseconds budget,
                                   Done done) {
  return start_bytes(
      command, encode(request), budget,
      [done = std::move(done)](result<std::string> got) mutable { done(std::move(got).and_then(detail::read_operation)); },
      detail::later_call(with));
}

template <payload_type Reply, class Done>
client::ticket client::start_outcome(std::string_view operation, milliseconds wait, Done done) {
  return start_bytes(
      "waggle.outcome", detail::outcome_question(operation, wait), outcome_budget(wait),
      [done = std::move(done)](result<std::string> got) mutable { done(std::move(got).and_then(detail::read_outcome<Reply>)); },
      {.idempotent = true});
}

template <payload_type Part, payload_type Reply, payload_type Request, class OnPart>
result<Reply> client::stream(std::string_view command, const Request& request, milliseconds budget, OnPart on_part,
                             const call_options& with) {
  std::optional<error> wrong_part;
  auto end = stream_bytes(
      command, encode(request), budget,
      [&](std::string_view bytes) {
        auto part = read_payload<Part>(bytes);
        if (!part) {
          wrong_part = std::move(part.error());
          wrong_part->code = status::internal;
          wrong_part->may_have_run = true;
          return false;
        }
        if constexpr (std::is_convertible_v<std::invoke_result_t<OnPart&, Part>, bool>) {
          return static_cast<bool>(on_part(std::move(*part)));
        } else {
          on_part(std::move(*part));
          return true;
        }
      },
      with);
  if (wrong_part) return tl::unexpected{std::move(*wrong_part)};
  return decode<Reply>(std::move(end));
}

inline client::client(client_options from) : options_{std::move(from)}, keys_{read_keys(options_.keys)} {
  if (options_.sockets == nullptr) {
    own_sockets_ = std::make_unique<net::context>();
    options_.sockets = own_sockets_.get();
  }
  socket_ = std::make_unique<net::dealer>(*options_.sockets);
  socket_->connect(options_.broker, keys_);
  thread_ = std::thread{[this] { serve(); }};
}

inline client::~client() {
  {
    const std::lock_guard lock{mutex_};
    closing_ = true;
    wake();
  }
  thread_.join();
}

inline client::open_call_ptr client::submit(wire::frame_type type, std::string_view name, std::string payload, milliseconds budget,
                                            const call_options& with, bytes_done done, std::function<void(std::string_view)> part) {
  const auto now = std::chrono::steady_clock::now();
  auto headers = with.headers;
  if (!with.key.empty()) headers.insert_or_assign("key", with.key);
  if (!with.traceparent.empty()) headers.insert_or_assign("traceparent", with.traceparent);

  const bool names_event = type == wire::frame_type::emit && !with.event_id.empty();
  if (names_event) headers.insert_or_assign("event_id", with.event_id);

  std::optional<error> wrong;
  if (!wire::is_name(name)) {
    wrong = error{status::invalid_argument, "a name is 1 to 128 bytes of UTF-8 without spaces or control characters"};
  } else if (payload.size() > wire::payload_bytes_max) {
    wrong = error{status::invalid_argument, "the payload is larger than 4 MiB"};
  } else if (const char* why = wire::headers_problem(headers)) {
    wrong = error{status::invalid_argument, why};
  } else if (budget <= milliseconds{0}) {
    wrong = error{status::deadline_exceeded, "the budget has passed before the call began"};
  } else if (open_.fetch_add(1) >= options_.calls_max) {
    --open_;
    wrong = error{status::resource_exhausted, "the client has as many open calls as it may (calls_max)"};
  }
  if (wrong) {
    done(tl::unexpected{std::move(*wrong)});
    return {};
  }
  auto made = std::make_shared<open_call>();
  made->type = type;
  made->name = name;
  made->payload = std::move(payload);
  made->headers = wire::headers_to_msgpack(headers);
  made->deadline = now + std::min(budget, milliseconds{wire::budget_ms_max});
  made->done = std::move(done);
  made->part = std::move(part);
  made->terms.idempotent = with.idempotent || names_event;
  if (made->part) made->terms.parts = part_queue::credit_min;
  {
    std::unique_lock lock{mutex_};
    if (closed_) {
      lock.unlock();
      finish(made, failure(status::cancelled, "the client is closed"));
      return {};
    }
    submitted_.push_back(made);
    wake();
  }
  return made;
}

inline result<std::string> client::wait_for(wire::frame_type type, std::string_view name, std::string payload, milliseconds budget,
                                            const call_options& with) {
  if (std::this_thread::get_id() == thread_.get_id()) {
    return failure(status::failed_precondition, "a callback of the client may not wait for another call of it; use start");
  }
  // Shared, because this thread may go on before set_value has returned.
  const auto promise = std::make_shared<std::promise<result<std::string>>>();
  submit(type, name, std::move(payload), budget, with, [promise](result<std::string> got) { promise->set_value(std::move(got)); });
  return promise->get_future().get();
}

inline result<std::string> client::call_bytes(std::string_view command, std::string payload, milliseconds budget,
                                              const call_options& with) {
  return wait_for(wire::frame_type::call, command, std::move(payload), budget, with);
}

inline result<std::string> client::emit_bytes(std::string_view topic, std::string payload, milliseconds budget,
                                              const call_options& with) {
  return wait_for(wire::frame_type::emit, topic, std::move(payload), budget, with);
}

inline client::ticket client::start_bytes(std::string_view command, std::string payload, milliseconds budget, bytes_done done,
                                          const call_options& with) {
  return {this, submit(wire::frame_type::call, command, std::move(payload), budget, with, std::move(done))};
}

inline result<std::string> client::stream_bytes(std::string_view command, std::string payload, milliseconds budget,
                                                const bytes_part& on_part, const call_options& with) {
  if (std::this_thread::get_id() == thread_.get_id()) {
    return failure(status::failed_precondition, "a callback of the client may not wait for another call of it; use start");
  }
  const auto queue = std::make_shared<part_queue>();
  const auto call = submit(
      wire::frame_type::call, command, std::move(payload), budget, with,
      [queue](result<std::string> got) {
        const std::lock_guard lock{queue->mutex};
        queue->end = std::move(got);
        queue->changed.notify_one();
      },
      [queue](std::string_view part) {
        const std::lock_guard lock{queue->mutex};
        if (queue->bytes + part_queue::cost(part) > part_queue::bytes_max) {
          queue->overfull = true;
        } else if (!queue->overfull) {
          const auto cost = part_queue::cost(part);
          queue->largest = queue->any ? std::max(queue->largest, cost) : cost;
          queue->any = true;
          queue->parts.emplace_back(part);
          queue->bytes += cost;
        }
        queue->changed.notify_one();
      });
  std::unique_lock lock{queue->mutex};
  bool given_up = false;
  for (;;) {
    queue->changed.wait(lock, [&] { return !queue->parts.empty() || queue->end || (queue->overfull && !given_up); });
    if (!queue->parts.empty() && !given_up) {
      const auto part = std::move(queue->parts.front());
      queue->parts.pop_front();
      queue->bytes -= part_queue::cost(part);
      const auto more = queue->end ? 0 : queue->credit_to_give();
      lock.unlock();
      bool goes_on = false;
      try {
        goes_on = on_part(part);
      } catch (...) {  // nobody waits any more
        lock.lock();
        if (call && !queue->end) give_up(call);
        throw;
      }
      if (goes_on && more > 0 && call) give_credit(call, more);
      lock.lock();
      if (goes_on) continue;
      given_up = true;
      if (call && !queue->end) give_up(call);  // once it has ended, the client may be gone
    } else if (given_up && !queue->parts.empty()) {
      queue->parts.clear();
      queue->bytes = 0;
    } else if (queue->overfull && !given_up) {
      given_up = true;
      if (call) give_up(call);
    } else if (queue->end) {
      if (!queue->overfull) return std::move(*queue->end);
      return failure(status::resource_exhausted, "parts came faster than they were taken (16 MiB waited)", true);
    }
  }
}

inline result<detail::welcome> client::broker(milliseconds budget) {
  std::unique_lock lock{mutex_};
  if (!welcomed_.wait_until(lock, detail::instant_in(budget), [&] { return welcome_.has_value(); })) {
    return failure(status::unavailable, "no broker answers at " + described_broker());
  }
  return *welcome_;
}

inline void client::give_up(open_call_ptr which) {
  {
    const std::lock_guard lock{mutex_};
    given_up_.push_back(std::move(which));
    wake();
  }
}

inline void client::give_credit(open_call_ptr which, std::uint64_t parts) {
  {
    const std::lock_guard lock{mutex_};
    credits_.emplace_back(std::move(which), parts);
    wake();
  }
}

/// On our thread. What a callback throws ends here: it must not take the other calls with it.
inline void client::finish(const open_call_ptr& which, result<std::string> with) {
  --open_;
  const auto done = std::exchange(which->done, {});
  try {
    if (done) done(std::move(with));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "waggle client: a callback threw: %s\n", e.what());
  } catch (...) {
    std::fprintf(stderr, "waggle client: a callback threw\n");
  }
}

/// Another socket instead of one whose broker is silent. Without a descriptor for it the old one has to do: libzmq
/// connects it again by itself.
inline void client::connect_anew() {
  try {
    auto made = std::make_unique<net::dealer>(*options_.sockets);
    made->connect(options_.broker, keys_);
    socket_ = std::move(made);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "waggle client: no new connection to %s: %s\n", options_.broker.c_str(), e.what());
  }
}

inline void client::serve() {
  detail::caller_core<open_call_ptr> core{std::chrono::steady_clock::now(), {options_.name, described_broker(), options_.calls_max}};
  try {
    serve(core);
  } catch (const std::exception& e) {  // no memory, no descriptor: nothing to go on with, but nobody is left waiting
    std::fprintf(stderr, "waggle client: %s; the client is closed\n", e.what());
    const std::lock_guard lock{mutex_};
    closing_ = true;
  }
  core.close_all(sink{*this});
  for (const auto& each : taken_) {  // not empty after an exception only, and without those that the core has taken
    if (each && each->done) finish(each, failure(status::cancelled, "the client is closed", each->id != 0));
  }
  std::vector<open_call_ptr> submitted;
  do {  // callbacks may have tried to call again
    for (const auto& each : submitted) finish(each, failure(status::cancelled, "the client is closed"));
    submitted.clear();
    const std::lock_guard lock{mutex_};
    submitted.swap(submitted_);
    closed_ = submitted.empty();
  } while (!submitted.empty());
}

inline void client::serve(detail::caller_core<open_call_ptr>& core) {
  using clock = std::chrono::steady_clock;
  const sink to{*this};
  wire::message message;  // taken from the core and not sent yet
  auto& submitted = taken_;
  std::vector<open_call_ptr> given_up;
  std::vector<std::pair<open_call_ptr, std::uint64_t>> credits;
  net::waiter waiter;
  bool was_ready = false;
  for (;;) {
    {
      const std::lock_guard lock{mutex_};
      waits_ = false;
      if (std::exchange(raised_, false)) wake_.lower();
      if (closing_) return;
      submitted.swap(submitted_);
      given_up.swap(given_up_);
      credits.swap(credits_);
    }
    if (!submitted.empty()) {
      const auto now = clock::now();
      for (auto& each : submitted) {
        auto& made = *each;
        const auto budget = std::chrono::ceil<milliseconds>(made.deadline - now);
        made.id = made.type == wire::frame_type::call ? core.call(now, each, made.name, std::move(made.payload), budget, made.headers, made.terms)
                                                      : core.emit(now, each, made.name, std::move(made.payload), budget, made.headers, made.terms);
        if (made.id != 0) {
          made.payload = {};
        } else {
          finish(each, failure(status::resource_exhausted, "64 MiB wait to be sent or answered; the broker does not keep up"));
        }
      }
    }
    for (auto& each : given_up) core.cancel(each->id, to);
    for (const auto& [which, parts] : credits) core.give_credit(which->id, parts);
    credits.clear();
    submitted.clear();
    given_up.clear();

    for (int turn = 0; turn < turn_max; ++turn) {
      const auto got = socket_->receive();
      if (!got) break;
      core.receive(clock::now(), *got, to);
    }
    core.tick(clock::now(), to);
    if (core.wants_connection()) {
      message.clear();
      connect_anew();
    }
    const auto now = clock::now();
    while (!message.empty() || core.take_message(now, message)) {
      if (socket_->hand_over(message) != net::sent::yes) break;
    }
    if (core.ready() != was_ready) {
      was_ready = core.ready();
      const std::lock_guard lock{mutex_};
      was_ready ? void(welcome_ = core.broker()) : welcome_.reset();
      welcomed_.notify_all();
    }
    {
      const std::lock_guard lock{mutex_};
      if (!submitted_.empty() || !given_up_.empty() || !credits_.empty() || closing_) continue;
      waits_ = true;
    }
    waiter.read(wake_.descriptor());
    message.empty() ? waiter.read(*socket_) : waiter.read_write(*socket_);
    waiter.wait_until(core.next_deadline());
  }
}

}  // namespace waggle
