#include "gateway/events/event_stream.hpp"

#include <algorithm>
#include <utility>

#include <waggle/wire/json.hpp>
#include <waggle/wire/json_string.hpp>
#include <waggle/wire/topic.hpp>

#include "gateway/routes/problems.hpp"

namespace waggle::gateway {

using waggle::detail::subscribed_event;
using waggle::detail::subscription_core;

struct event_stream::sink {
  event_stream& to;
  front::instant now;
  void on_event(const subscribed_event& event) const { to.append_event(now, event); }
  void on_error(const error& why) const { to.fail(now, why); }
  void on_lost(std::string_view stream, std::uint64_t from, std::uint64_t up_to) const { to.append_lost(now, stream, from, up_to); }
};

namespace {

subscription_core::options core_options(const event_request& of) {
  subscription_core::options out;
  out.prefixes = of.prefixes;
  out.stream = of.stream;
  out.start = of.start;
  out.held_bytes_max = event_held_bytes_max;
  return out;
}

}  // namespace

event_stream::event_stream(front::instant now, options with)
    : options_{std::move(with)}, core_{core_options(options_.what)}, open_until_{now + options_.open_within} {}

bool event_stream::wants(std::string_view topic) const {
  if (topic.starts_with(subscription_core::head_topics)) return true;
  const auto& all = core_.prefixes();
  return std::any_of(all.begin(), all.end(), [&](const auto& each) { return topic.starts_with(each); });
}

void event_stream::receive(front::instant now, const wire::frame& event) {
  if (phase_ == phase::ended) return;
  core_.receive(now, event, sink{*this, now});
  look(now);
}

void event_stream::answered(front::instant now, std::uint64_t id, const result<std::string_view>& payload) {
  if (phase_ == phase::ended) return;
  const auto before = text_.size();
  core_.answered(now, id, payload, sink{*this, now});
  look(now);
  read_bytes_ += text_.size() - before;
}

/// Once it is known of each stream that it has what the client wants to begin with, nothing but a stream can be the answer. (Or once so
/// much has come of one that it cannot wait for the others.)
void event_stream::look(front::instant now) {
  if (phase_ != phase::opening || !(core_.begun() || text_.size() > event_backlog_bytes_max)) return;
  phase_ = phase::open;
  keep_alive_at_ = now + options_.keep_alive;
  auto events = std::exchange(text_, {});
  text_ = "retry: " + std::to_string(options_.retry.count()) + '\n';
  // Without data it is no event, but a client remembers it: what comes while it is away before the first event is not lost either.
  if (events.empty()) append_id();
  text_ += '\n';
  text_ += events;
}

/// Only where it has changed: an ephemeral event has no place in a stream.
void event_stream::append_id() {
  auto id = positions_text(core_.positions());
  if (id == id_) return;
  id_ = std::move(id);
  text_ += "id: " + id_ + '\n';
}

void event_stream::append_event(front::instant now, const subscribed_event& event) {
  const auto& allowed = options_.what.allowed;
  if (std::none_of(allowed.begin(), allowed.end(), [&](const auto& each) { return wire::matches(each, event.topic); })) return;
  if (phase_ == phase::opening && event.sequence == 0) return;  // it has not begun, and a log has nothing to catch up with
  keep_alive_at_ = now + options_.keep_alive;
  const auto json = wire::try_msgpack_to_json(event.payload.empty() ? std::string_view{"\xc0"} : event.payload);
  append_id();
  if (!json) {
    // Whoever emitted it is to blame, and others go on.
    text_ += ": an event of the topic ";
    text_ += event.topic;
    text_ += " is no value that can be passed on\n\n";
    return;
  }
  text_ += "event: ";
  text_ += event.topic;
  text_ += "\ndata: ";
  text_ += *json;
  text_ += "\n\n";
}

void event_stream::append_lost(front::instant now, std::string_view stream, std::uint64_t from, std::uint64_t to) {
  append_id();
  text_ += "event: waggle.lost\ndata: {\"stream\":";
  wire::append_json_string(text_, stream);
  text_ += ",\"from\":" + std::to_string(from);
  if (to != 0) text_ += ",\"to\":" + std::to_string(to);  // otherwise nobody knows how many
  text_ += "}\n\n";
  keep_alive_at_ = now + options_.keep_alive;
}

void event_stream::fail(front::instant, const error& why) {
  if (phase_ == phase::ended) return;
  const bool was_open = std::exchange(phase_, phase::ended) == phase::open;
  if (!was_open) {
    refused_ = why;
    return;
  }
  text_ += "event: waggle.error\ndata: " + problem_of(why).body + "\n\n";
}

void event_stream::tick(front::instant now) {
  if (phase_ == phase::opening && now >= open_until_) {
    return fail(now, {status::unavailable, subscribed_ ? "the broker does not say what its streams hold" : "the broker sends no events",
                      false, std::chrono::milliseconds{1'000}});
  }
  if (phase_ != phase::open || now < keep_alive_at_) return;
  keep_alive_at_ = now + options_.keep_alive;
  text_ += ": keep-alive\n";
  append_id();  // events of other topics have been stepped over: the client need not begin before them
  text_ += '\n';
}

void event_stream::end() {
  if (phase_ == phase::opening) refused_ = error{status::unavailable, "the gateway is going down", false, options_.retry};
  phase_ = phase::ended;
}

void event_stream::took(std::size_t bytes) {
  taken_ += bytes;
  if (taken_ < text_.size() && taken_ < event_backlog_bytes_max) return;
  text_.erase(0, taken_);
  taken_ = 0;
  if (text_.empty()) text_.shrink_to_fit();
}

std::optional<subscription_core::request> event_stream::next_request(front::instant now, std::size_t backlog) {
  waits_for_client_ = phase_ == phase::open && text().size() + backlog > event_read_ahead_bytes;
  if (phase_ == phase::ended || !subscribed_ || waits_for_client_) return std::nullopt;
  return core_.next_request(now);
}

bool event_stream::too_slow(std::size_t backlog) {
  const auto waits = text().size() + backlog;
  if (waits <= event_read_ahead_bytes) read_bytes_ = 0;
  return phase_ == phase::open && waits > event_backlog_bytes_max + read_bytes_;
}

front::instant event_stream::next_deadline() const {
  if (phase_ == phase::ended) return front::instant::max();
  const auto own = phase_ == phase::opening ? open_until_ : keep_alive_at_;
  return subscribed_ && !waits_for_client_ ? std::min(own, core_.next_deadline()) : own;
}

}  // namespace waggle::gateway
