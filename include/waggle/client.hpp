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

#include <waggle/detail/callback.hpp>
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
/// Of a call of which nothing is said: made once, and not for each call.
[[nodiscard]] inline const call_options& nothing_said() {
  static const call_options out;
  return out;
}

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
  result<Reply> call(std::string_view command, const Request& request, milliseconds budget, const call_options& with = detail::nothing_said()) {
    return decode<Reply>(call_bytes(command, encode(request), budget, with));
  }

  /// Calls and goes on: the future has the answer within the budget.
  template <payload_type Reply, payload_type Request>
  std::future<result<Reply>> call_async(std::string_view command, const Request& request, milliseconds budget,
                                        const call_options& with = detail::nothing_said()) {
    auto promise = std::make_shared<std::promise<result<Reply>>>();
    auto answer = promise->get_future();
    start<Reply>(command, request, budget, [promise](result<Reply> got) { promise->set_value(std::move(got)); }, with);
    return answer;
  }

  /// Calls and goes on: `done(result<Reply>)` runs on the client's own thread (or, when the call cannot even begin, on this one),
  /// so it must be quick and must not wait for another call.
  template <payload_type Reply, payload_type Request, class Done>
  ticket start(std::string_view command, const Request& request, milliseconds budget, Done done, const call_options& with = detail::nothing_said());

  /// Calls a command that answers in parts: `on_part(Part)` runs on this thread, in order, for each; returning false gives the
  /// call up. The result is the final reply.
  template <payload_type Part, payload_type Reply = nothing, payload_type Request, class OnPart>
  result<Reply> stream(std::string_view command, const Request& request, milliseconds budget, OnPart on_part,
                       const call_options& with = detail::nothing_said());

  /// Emits an event and waits for the broker's receipt. An error says that it is not kept, unless it `may_have_run`.
  template <payload_type Payload>
  result<receipt> emit(std::string_view topic, const Payload& payload, milliseconds budget, const call_options& with = detail::nothing_said()) {
    return emit_bytes(topic, encode(payload), budget, with).map(detail::read_receipt);
  }
  /// Emits and goes on: `done(result<receipt>)` runs as that of `start` does.
  template <payload_type Payload, class Done>
  void start_emit(std::string_view topic, const Payload& payload, milliseconds budget, Done done, const call_options& with = detail::nothing_said()) {
    submit(wire::frame_type::emit, topic, encode(payload), budget, with,
           owning([done = std::move(done)](result<std::string> got) mutable { done(std::move(got).map(detail::read_receipt)); }));
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

  result<std::string> call_bytes(std::string_view command, std::string payload, milliseconds budget, const call_options& with = detail::nothing_said());
  result<std::string> emit_bytes(std::string_view topic, std::string payload, milliseconds budget, const call_options& with = detail::nothing_said());
  result<std::string> stream_bytes(std::string_view command, std::string payload, milliseconds budget, const bytes_part& on_part,
                                   const call_options& with = detail::nothing_said());
  ticket start_bytes(std::string_view command, std::string payload, milliseconds budget, bytes_done done,
                     const call_options& with = detail::nothing_said());
  /// The same with `done(result<std::string_view>)`, which is shown the reply's payload where it was received: no longer than until it returns.
  template <class Done>
  ticket start_view(std::string_view command, std::string_view payload, milliseconds budget, Done done,
                    const call_options& with = detail::nothing_said());

  /// What the broker says of itself: its endpoints for events among others. Waits until it has been reached.
  result<detail::welcome> broker(milliseconds budget);

 private:
  /// Who waits for a call: takes the reply's payload where it was received, or, if it is not null, why there is none.
  using done_callback = detail::callback<void(std::string_view payload, error* why)>;

  /// A call until it has ended. Records stay where they are and are used again: a callback that begins another call gets that of the one
  /// that has just ended, and with it buffers that are large enough.
  struct open_call {
    done_callback done;
    std::function<void(std::string_view)> part;  ///< on our thread
    std::uint64_t id = 0;                        ///< in the core, once it is there; our thread's, as is the next
    std::uint64_t generation = 0;                ///< how many calls have ended that had this record
    open_call* next = nullptr;                   ///< among those that are free
    // On the way into the core, if it does not get there at once:
    bool is_callbacks = false;  ///< begun on our thread
    wire::frame_type type = wire::frame_type::call;
    std::string name;
    std::string payload;
    std::string headers;
    std::chrono::steady_clock::time_point deadline;
    detail::caller_core<open_call*>::call_terms terms;
  };
  using call_core = detail::caller_core<open_call*>;

  /// Records that are free, linked, for a call must not end in a lack of memory.
  class record_list {
   public:
    void push(open_call& record) {
      record.next = first_;
      if (first_ == nullptr) last_ = &record;
      first_ = &record;
    }
    open_call* pop() {
      auto* const out = first_;
      if (out != nullptr) first_ = out->next;
      return out;
    }
    void take_all(record_list& from) {
      if (from.first_ == nullptr) return;
      from.last_->next = first_;
      if (first_ == nullptr) last_ = from.last_;
      first_ = std::exchange(from.first_, nullptr);
    }

   private:
    open_call* first_ = nullptr;
    open_call* last_ = nullptr;  ///< if there is a first
  };

  /// A call of which others have heard, and which may have ended since.
  struct call_name {
    open_call* record = nullptr;  ///< null: it could not even begin
    std::uint64_t generation = 0;
    [[nodiscard]] bool is_open() const { return record->generation == generation; }  ///< for our thread
  };

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
    void on_part(open_call* of, std::string_view payload) const {
      if (of->part) of->part(payload);
    }
    void on_result(open_call* of, std::string_view payload, std::string_view) const { to.finish(*of, payload); }
    void on_error(open_call* of, error why) const { to.finish(*of, {}, &why); }
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
    return decode<Reply>(std::string_view{*got});
  }
  template <payload_type Reply>
  static result<Reply> decode(std::string_view payload) {
    auto reply = read_payload<Reply>(payload);
    if (!reply) {  // the worker's mistake, not the caller's
      reply.error().code = status::internal;
      reply.error().message = "the reply is not what was asked for: " + reply.error().message;
      reply.error().may_have_run = true;
    }
    return reply;
  }

  result<std::string> wait_for(wire::frame_type type, std::string_view name, std::string payload, milliseconds budget,
                               const call_options& with);
  /// The payload, a std::string or a std::string_view, is taken over or copied.
  template <class Payload>
  call_name submit(wire::frame_type type, std::string_view name, Payload payload, milliseconds budget, const call_options& with, done_callback done,
                   std::function<void(std::string_view)> part = {});
  static const char* write_headers(std::string& to, const call_options& with, bool names_event);
  /// For those who want a payload of their own: `done(result<std::string>)`.
  template <class Done>
  static done_callback owning(Done done) {
    return [done = std::move(done)](std::string_view payload, error* why) mutable {
      why != nullptr ? done(tl::unexpected{std::move(*why)}) : done(std::string{payload});
    };
  }
  /// Puts a call into the core; false if that takes no more. On our thread.
  template <class Payload>
  bool open(call_core& core, std::chrono::steady_clock::time_point now, open_call& made, wire::frame_type type, std::string_view name, Payload&& payload,
            milliseconds budget, std::string_view headers, const call_core::call_terms& terms);
  open_call& free_record();
  open_call& record_of_ours();
  void give_up(call_name which);
  void give_credit(call_name which, std::uint64_t parts);
  void finish(open_call& which, std::string_view payload, error* why = nullptr);
  static void tell(done_callback& done, std::string_view payload, error* why);
  [[nodiscard]] bool is_our_thread() const { return std::this_thread::get_id() == thread_.get_id(); }
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
  void serve(call_core& core);

  /// What the answer about an operation may take beyond the wait.
  static constexpr milliseconds outcome_patience{5'000};
  static milliseconds outcome_budget(milliseconds wait) { return std::clamp(wait, milliseconds{0}, milliseconds{wire::budget_ms_max}) + outcome_patience; }
  /// Of a payload on its way: what a record keeps of its buffer for the next.
  static constexpr std::size_t kept_capacity_max = 512;
  /// Messages taken from the socket before cancellations and budgets have their turn.
  static constexpr int turn_max = 1000;

  client_options options_;
  net::peer_keys keys_;
  std::unique_ptr<net::context> own_sockets_;
  std::unique_ptr<net::dealer> socket_;
  net::wake_up wake_;
  // Our thread's:
  call_core* core_ = nullptr;       ///< while callbacks may begin calls in it
  std::vector<open_call*> taken_;   ///< on their way into the core; null: in it
  std::size_t queued_ = 0;          ///< calls of callbacks that are on their way into the core, and must not be overtaken by later ones
  record_list ended_;               ///< free, and not among `free_` yet

  std::mutex mutex_;  ///< of what follows
  std::deque<open_call> records_;
  record_list free_;
  std::vector<open_call*> submitted_;
  std::vector<call_name> given_up_;
  std::vector<std::pair<call_name, std::uint64_t>> credits_;
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
    if (which_.record != nullptr) owner_->give_up(which_);
  }

 private:
  friend client;
  ticket(client* owner, call_name which) : owner_{owner}, which_{which} {}
  client* owner_ = nullptr;
  call_name which_;
};

template <payload_type Reply, payload_type Request, class Done>
client::ticket client::start(std::string_view command, const Request& request, milliseconds budget, Done done,
                             const call_options& with) {
  return {this, submit(wire::frame_type::call, command, encode(request), budget, with,
                       [done = std::move(done)](std::string_view payload, error* why) mutable {
                         done(why != nullptr ? result<Reply>{tl::unexpected{std::move(*why)}} : decode<Reply>(payload));
                       })};
}

template <class Done>
client::ticket client::start_view(std::string_view command, std::string_view payload, milliseconds budget, Done done, const call_options& with) {
  return {this, submit(wire::frame_type::call, command, payload, budget, with,
                       [done = std::move(done)](std::string_view got, error* why) mutable {
                         done(why != nullptr ? result<std::string_view>{tl::unexpected{std::move(*why)}} : result<std::string_view>{got});
                       })};
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

template <class Payload>
client::call_name client::submit(wire::frame_type type, std::string_view name, Payload payload, milliseconds budget, const call_options& with,
                                 done_callback done, std::function<void(std::string_view)> part) {
  const auto now = std::chrono::steady_clock::now();
  const bool names_event = type == wire::frame_type::emit && !with.event_id.empty();
  const bool has_headers = names_event || !with.key.empty() || !with.traceparent.empty() || !with.headers.empty();
  std::string headers;
  const auto refuse = [&](status code, const char* why) {
    error wrong{code, why};
    done({}, &wrong);
    return call_name{};
  };
  if (!wire::is_name(name)) return refuse(status::invalid_argument, "a name is 1 to 128 bytes of UTF-8 without spaces or control characters");
  if (payload.size() > wire::payload_bytes_max) return refuse(status::invalid_argument, "the payload is larger than 4 MiB");
  if (has_headers) {
    if (const char* why = write_headers(headers, with, names_event)) return refuse(status::invalid_argument, why);
  }
  if (budget <= milliseconds{0}) return refuse(status::deadline_exceeded, "the budget has passed before the call began");
  if (open_.fetch_add(1) >= options_.calls_max) {
    --open_;
    return refuse(status::resource_exhausted, "the client has as many open calls as it may (calls_max)");
  }
  budget = std::min(budget, milliseconds{wire::budget_ms_max});
  call_core::call_terms terms{.idempotent = with.idempotent || names_event};
  if (part) terms.parts = part_queue::credit_min;

  // A callback's call goes into the core at once. What does not fit there is queued all the same, and refused after the callback has returned: one that
  // begins a call whenever one ends would be inside itself without end.
  const bool is_callbacks = is_our_thread();
  if (is_callbacks && core_ != nullptr && queued_ == 0) {
    auto& made = record_of_ours();
    if (open(*core_, now, made, type, name, std::move(payload), budget, headers, terms)) {
      made.done = std::move(done);
      made.part = std::move(part);
      return {&made, made.generation};
    }
    ended_.push(made);
  }
  std::unique_lock lock{mutex_};
  if (closed_) {
    lock.unlock();
    --open_;
    error gone{status::cancelled, "the client is closed"};
    tell(done, {}, &gone);
    return {};
  }
  auto& made = free_record();
  made.is_callbacks = is_callbacks;
  if (is_callbacks) ++queued_;
  made.type = type;
  made.name = name;
  made.payload = std::move(payload);
  made.headers = headers;
  made.deadline = now + budget;
  made.terms = terms;
  made.done = std::move(done);
  made.part = std::move(part);
  submitted_.push_back(&made);
  wake();
  return {&made, made.generation};
}

/// What goes along with a call as one msgpack map; or why it cannot.
inline const char* client::write_headers(std::string& to, const call_options& with, bool names_event) {
  auto headers = with.headers;
  if (!with.key.empty()) headers.insert_or_assign("key", with.key);
  if (!with.traceparent.empty()) headers.insert_or_assign("traceparent", with.traceparent);
  if (names_event) headers.insert_or_assign("event_id", with.event_id);
  if (const char* why = wire::headers_problem(headers)) return why;
  to = wire::headers_to_msgpack(headers);
  return nullptr;
}

template <class Payload>
bool client::open(call_core& core, std::chrono::steady_clock::time_point now, open_call& made, wire::frame_type type, std::string_view name,
                  Payload&& payload, milliseconds budget, std::string_view headers, const call_core::call_terms& terms) {
  auto* tag = &made;
  made.id = type == wire::frame_type::call ? core.call(now, tag, name, std::forward<Payload>(payload), budget, headers, terms)
                                           : core.emit(now, tag, name, std::forward<Payload>(payload), budget, headers, terms);
  return made.id != 0;
}

/// With the mutex held.
inline client::open_call& client::free_record() {
  auto* const out = free_.pop();
  return out != nullptr ? *out : records_.emplace_back();
}

inline client::open_call& client::record_of_ours() {
  if (auto* const out = ended_.pop()) return *out;
  const std::lock_guard lock{mutex_};
  return free_record();
}

inline result<std::string> client::wait_for(wire::frame_type type, std::string_view name, std::string payload, milliseconds budget,
                                            const call_options& with) {
  if (is_our_thread()) {
    return failure(status::failed_precondition, "a callback of the client may not wait for another call of it; use start");
  }
  // Shared, because this thread may go on before set_value has returned.
  const auto promise = std::make_shared<std::promise<result<std::string>>>();
  submit(type, name, std::move(payload), budget, with, owning([promise](result<std::string> got) { promise->set_value(std::move(got)); }));
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
  return {this, submit(wire::frame_type::call, command, std::move(payload), budget, with, done ? owning(std::move(done)) : done_callback{})};
}

inline result<std::string> client::stream_bytes(std::string_view command, std::string payload, milliseconds budget,
                                                const bytes_part& on_part, const call_options& with) {
  if (is_our_thread()) {
    return failure(status::failed_precondition, "a callback of the client may not wait for another call of it; use start");
  }
  const auto queue = std::make_shared<part_queue>();
  const auto call = submit(
      wire::frame_type::call, command, std::move(payload), budget, with,
      owning([queue](result<std::string> got) {
        const std::lock_guard lock{queue->mutex};
        queue->end = std::move(got);
        queue->changed.notify_one();
      }),
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
        if (call.record != nullptr && !queue->end) give_up(call);
        throw;
      }
      if (goes_on && more > 0 && call.record != nullptr) give_credit(call, more);
      lock.lock();
      if (goes_on) continue;
      given_up = true;
      if (call.record != nullptr && !queue->end) give_up(call);  // once it has ended, the client may be gone
    } else if (given_up && !queue->parts.empty()) {
      queue->parts.clear();
      queue->bytes = 0;
    } else if (queue->overfull && !given_up) {
      given_up = true;
      if (call.record != nullptr) give_up(call);
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

inline void client::give_up(call_name which) {
  const std::lock_guard lock{mutex_};
  if (closed_) return;
  given_up_.push_back(which);
  wake();
}

inline void client::give_credit(call_name which, std::uint64_t parts) {
  const std::lock_guard lock{mutex_};
  if (closed_) return;
  credits_.emplace_back(which, parts);
  wake();
}

/// On our thread. The record is free before the callback runs, which may begin another call.
inline void client::finish(open_call& which, std::string_view payload, error* why) {
  --open_;
  auto done = std::move(which.done);
  which.part = nullptr;
  ++which.generation;
  ended_.push(which);
  tell(done, payload, why);
}

/// What a callback throws ends here: it must not take the other calls with it.
inline void client::tell(done_callback& done, std::string_view payload, error* why) {
  try {
    if (done) done(payload, why);
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
  call_core core{std::chrono::steady_clock::now(), {options_.name, described_broker(), options_.calls_max}};
  core_ = &core;
  try {
    serve(core);
  } catch (const std::exception& e) {  // no memory, no descriptor: nothing to go on with, but nobody is left waiting
    std::fprintf(stderr, "waggle client: %s; the client is closed\n", e.what());
    const std::lock_guard lock{mutex_};
    closing_ = true;
  }
  core_ = nullptr;
  core.close_all(sink{*this});
  const auto closed = [this](open_call& which) {
    error why{status::cancelled, "the client is closed"};
    finish(which, {}, &why);
  };
  for (auto* const each : taken_) {  // not empty after an exception only, and without those that the core has taken
    if (each != nullptr && each->done) closed(*each);
  }
  std::vector<open_call*> submitted;
  do {  // callbacks may have tried to call again
    for (auto* const each : submitted) closed(*each);
    submitted.clear();
    const std::lock_guard lock{mutex_};
    submitted.swap(submitted_);
    closed_ = submitted.empty();
  } while (!submitted.empty());
}

inline void client::serve(call_core& core) {
  using clock = std::chrono::steady_clock;
  const sink to{*this};
  wire::message message;  // taken from the core and not sent yet
  auto& submitted = taken_;
  std::vector<call_name> given_up;
  std::vector<std::pair<call_name, std::uint64_t>> credits;
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
      free_.take_all(ended_);
    }
    if (!submitted.empty()) {
      const auto now = clock::now();
      for (auto*& each : submitted) {
        auto& made = *each;
        if (made.is_callbacks) --queued_;
        const auto budget = std::chrono::ceil<milliseconds>(made.deadline - now);
        if (open(core, now, made, made.type, made.name, std::move(made.payload), budget, made.headers, made.terms)) {
          each = nullptr;
        } else {
          error full{status::resource_exhausted, "64 MiB wait to be sent or answered; the broker does not keep up"};
          finish(made, {}, &full);
        }
        if (made.payload.capacity() > kept_capacity_max) made.payload = {};
      }
    }
    for (const auto& which : given_up) {
      if (which.is_open()) core.cancel(which.record->id, to);
    }
    for (const auto& [which, parts] : credits) {
      if (which.is_open()) core.give_credit(which.record->id, parts);
    }
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
