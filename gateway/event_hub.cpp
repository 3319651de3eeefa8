#include "gateway/event_hub.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "gateway/routes/problems.hpp"

namespace waggle::gateway {
namespace {

using waggle::detail::subscription_core;
using std::chrono::milliseconds;

/// Events taken from the socket in one go, before clients and other sockets have their turn.
constexpr int events_per_turn = 1000;
/// Clients that lose their streams come back after a while that is different for each, lest they come all at once.
constexpr std::int64_t retry_ms_least = 1'000, retry_ms_most = 3'000;
/// Who finds no room is told to try again then.
constexpr milliseconds full_retry{5'000};
/// What is given to the front at once; it tells of room when so much has left (front/application.hpp).
constexpr std::size_t send_bytes = event_read_ahead_bytes;
constexpr std::string_view greetings = "waggle.hello.";
/// A greeting may be lost, as any event may. Then there is another.
constexpr milliseconds greeting_time{2'000};

/// Why a stream cannot begin. That its beginning is not kept any more is Gone: a client must not ask for it again.
front::response refusal_of(const error& why) { return problem_of(why, {}, why.code == status::out_of_range ? 410 : 0); }

}  // namespace

event_hub::event_hub(options with, front::responder& answers)
    : options_{std::move(with)}, answers_{answers}, random_{std::random_device{}()} {
  if (!options_.open) options_.open = std::make_shared<event_stream_count>(0);
}

event_hub::~event_hub() { *options_.open -= watchers_.size(); }

void event_hub::open(front::instant now, front::exchange_id to, const front::request& in, const events_config& with) {
  const auto refuse = [&](front::response out) { answers_.respond(to, std::move(out)); };
  auto request = read_event_request(in, with);
  if (auto* refused = std::get_if<front::response>(&request)) return refuse(std::move(*refused));
  if (closing_) return refuse(problem_of({status::unavailable, "the gateway is going down", false, milliseconds{retry_ms_least}}));
  if (++*options_.open > with.streams_max) {
    --*options_.open;
    return refuse(problem_of({status::unavailable, fmt::format("as many streams of events are open as may be ({})", with.streams_max), false, full_retry}));
  }
  const auto number = ++last_;
  auto& made = watchers_[number];
  made.exchange = to;
  made.head = in.method == "HEAD";
  event_stream::options of;
  of.what = std::move(std::get<event_request>(request));
  of.keep_alive = with.keep_alive;
  of.retry = milliseconds{std::uniform_int_distribution{retry_ms_least, retry_ms_most}(random_)};
  of.open_within = options_.open_within;
  made.stream.emplace(now, std::move(of));
  by_exchange_.emplace(static_cast<std::uint64_t>(to), number);
  subscribe(made.stream->prefixes());
  greeting_due_ = true;
  dirty_.insert(number);
}

bool event_hub::on_abandoned(front::exchange_id id) {
  const auto found = by_exchange_.find(static_cast<std::uint64_t>(id));
  if (found == by_exchange_.end()) return false;
  forget(found->second);
  return true;
}

bool event_hub::on_room(front::exchange_id id) {
  const auto found = by_exchange_.find(static_cast<std::uint64_t>(id));
  if (found == by_exchange_.end()) return false;
  dirty_.insert(found->second);
  return true;
}

void event_hub::answered(front::instant now, std::uint64_t stream, std::uint64_t request, const result<std::string_view>& payload) {
  const auto found = watchers_.find(stream);
  if (found == watchers_.end()) return;  // its client has gone
  found->second.stream->answered(now, request, payload);
  dirty_.insert(stream);
}

void event_hub::end_all(bool closing) {
  closing_ = closing_ || closing;
  for (auto& [number, each] : watchers_) {
    each.stream->end();
    dirty_.insert(number);
  }
}

void event_hub::forget(std::uint64_t number) {
  const auto found = watchers_.find(number);
  unsubscribe(found->second.stream->prefixes());
  by_exchange_.erase(static_cast<std::uint64_t>(found->second.exchange));
  watchers_.erase(found);
  dirty_.erase(number);
  --*options_.open;
}

/// Nothing is subscribed to that nobody wants: a thread without streams hears nothing.
void event_hub::subscribe(const std::vector<std::string>& prefixes) {
  if (!socket_ && !endpoint_.empty()) make_socket();
  const auto add = [&](const std::string& prefix) {
    if (++wanted_[prefix] == 1 && socket_) socket_->subscribe(prefix);
  };
  add(std::string{subscription_core::head_topics});
  for (const auto& each : prefixes) add(each);
}

void event_hub::unsubscribe(const std::vector<std::string>& prefixes) {
  const auto remove = [&](const std::string& prefix) {
    const auto found = wanted_.find(prefix);
    if (--found->second != 0) return;
    if (socket_) socket_->unsubscribe(prefix);
    wanted_.erase(found);
  };
  remove(std::string{subscription_core::head_topics});
  for (const auto& each : prefixes) remove(each);
}

/// The broker answers this subscription with an event, behind those of all subscriptions before it: once it is there they are in force.
/// One at a time: those who come meanwhile wait for the next.
void event_hub::greet(front::instant now) {
  greeting_due_ = false;
  greeting_ = fmt::format("{}{:016x}{:016x}", greetings, random_(), random_());
  greeted_ = last_;
  greet_again_at_ = now + greeting_time;
  socket_->subscribe(greeting_);
}

void event_hub::make_socket() {
  // The old one goes when the new one is there: their descriptors must not have the same number.
  auto made = std::make_unique<net::event_subscription>(*options_.sockets);
  for (const auto& [prefix, count] : wanted_) made->subscribe(prefix);
  made->connect(endpoint_, options_.keys);
  socket_ = std::move(made);
  greeting_.clear();
  greeting_due_ = !watchers_.empty();
}

void event_hub::connect(const std::string& endpoint, const std::string& broker) {
  endpoint_ = endpoint;
  broker_ = broker;
  if (!endpoint_.empty() && (socket_ || !watchers_.empty())) make_socket();  // a role that may see no event has no endpoint
}

void event_hub::deliver(front::instant now, const net::published& what) {
  if (!greeting_.empty() && what.topic == greeting_) {
    socket_->unsubscribe(std::exchange(greeting_, {}));
    for (auto& [number, each] : watchers_) {
      if (number > greeted_) break;
      each.stream->subscribed();
      dirty_.insert(number);
    }
    return;
  }
  wire::bundle_reader frames{what.event};
  wire::frame in;
  if (frames.next(in) != wire::decoded::frame || in.type != wire::frame_type::event || in.name != what.topic) return;
  for (auto& [number, each] : watchers_) {
    if (!each.stream->wants(in.name)) continue;
    each.stream->receive(now, in);
    dirty_.insert(number);
  }
}

bool event_hub::pump(front::instant now) {
  if (socket_) {
    if (!greeting_.empty() && now >= greet_again_at_) {
      socket_->unsubscribe(std::exchange(greeting_, {}));
      greeting_due_ = true;
    }
    if (greeting_due_ && greeting_.empty() && !watchers_.empty()) greet(now);
    for (int i = 0; i < events_per_turn; ++i) {
      const auto got = socket_->receive();
      if (!got) break;
      deliver(now, *got);
    }
  }
  const bool due = next_ <= now;
  if (due) {
    for (auto& [number, each] : watchers_) {
      if (each.stream->next_deadline() > now) continue;
      each.stream->tick(now);
      dirty_.insert(number);
    }
  }
  if (due || !dirty_.empty()) {
    for (const auto number : std::exchange(dirty_, {})) {
      if (const auto found = watchers_.find(number); found != watchers_.end() && !look_after(now, number, found->second)) forget(number);
    }
    next_ = greeting_.empty() ? front::instant::max() : greet_again_at_;
    for (const auto& [number, each] : watchers_) next_ = std::min(next_, each.stream->next_deadline());
  }
  return socket_ && socket_->readable();
}

bool event_hub::look_after(front::instant now, std::uint64_t number, watcher& of) {
  auto& stream = *of.stream;
  if (stream.refused()) {
    answers_.respond(of.exchange, refusal_of(*stream.refused()));
    return false;
  }
  if (stream.now() != event_stream::phase::opening && !send(of)) return false;
  const auto backlog = answers_.backlog(of.exchange);
  if (stream.too_slow(backlog)) {
    options_.note("GET /events: a client that let more than 1 MiB of events wait is cut off");
    answers_.abort(of.exchange);
    return false;
  }
  if (stream.now() == event_stream::phase::ended && stream.text().empty()) {
    answers_.finish(of.exchange);
    return false;
  }
  if (const auto wanted = stream.next_request(now, backlog); wanted && !options_.call(now, number, *wanted)) {
    stream.answered(now, wanted->id, failure(status::unavailable, "the gateway has no connection to the network"));
    if (stream.refused()) return look_after(now, number, of);
  }
  return true;
}

/// What there is, as far as the client takes it. False: there is nobody who reads it, or nothing to be read.
bool event_hub::send(watcher& of) {
  if (!std::exchange(of.begun, true)) {
    front::response head;
    head.content_type = "text/event-stream";
    head.headers = {{"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}, {"Vary", "Accept"}};
    answers_.begin(of.exchange, std::move(head));
    if (of.head) return false;
  }
  while (!of.stream->text().empty() && answers_.backlog(of.exchange) <= send_bytes) {
    const auto some = of.stream->text().substr(0, send_bytes);
    if (!answers_.append(of.exchange, some)) return false;
    of.stream->took(some.size());
  }
  return true;
}

}  // namespace waggle::gateway
