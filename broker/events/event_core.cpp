#include "broker/events/event_core.hpp"

#include <algorithm>

#include <waggle/wire/frames.hpp>

#include "broker/events/event_parts.hpp"
#include "broker/events/headers.hpp"

namespace waggle::broker {

namespace {

/// The stream of durable commands.
constexpr std::string_view command_stream = group::of_commands;
constexpr milliseconds trim_interval{10'000};
constexpr milliseconds expire_interval{60'000};
constexpr std::uint32_t forget_at_once = 1000;
constexpr std::uint64_t memory_keep_bytes = 64u << 20;
constexpr std::uint64_t memory_full_bytes = 256u << 20;
constexpr std::string_view head_topic = "waggle.head.";
/// What `operation` and its 32 digits add to the headers of a durable command.
constexpr std::size_t operation_bytes = 64;
constexpr std::size_t frame_bytes = 32;  // what an EVENT frame has besides its parts, at the most

}  // namespace

event_core::event_core(event_settings from, const event_members& members) : parts_{std::make_unique<parts>(std::move(from), members)} {}
event_core::~event_core() = default;

void event_core::open(instant now, const log_contents& what) { parts_->touched().open(now, what); }
void event_core::emit(instant, std::uint64_t lease, std::string_view topic, std::string_view payload, std::string_view headers) {
  parts_->touched().emit(lease, topic, payload, headers);
}
void event_core::later(instant, std::uint64_t lease, std::string_view command, std::string_view payload, std::string_view headers, milliseconds budget) {
  parts_->touched().later(lease, command, payload, headers, budget);
}
bool event_core::ask(instant now, std::uint64_t lease, std::string_view command, std::string_view payload, milliseconds budget,
                     std::shared_ptr<const role> asked_by) {
  return parts_->touched().ask(now, lease, command, payload, budget, std::move(asked_by));
}
void event_core::abandon(std::uint64_t lease) { parts_->touched().abandon(lease); }
void event_core::subscribed(std::string_view prefix) { parts_->touched().subscribed(prefix); }
result<void> event_core::may_join(const std::vector<event_manifest>& what, std::string_view service) const { return parts_->may_join(what, service); }
void event_core::joined(instant now, const std::vector<event_manifest>& what, std::string_view service) { parts_->touched().joined(now, what, service); }
void event_core::members_changed(instant now) { parts_->touched().members_changed(now); }
void event_core::delivered(instant now, std::uint64_t ticket, const delivery_outcome& how) { parts_->touched().at.delivered(now, ticket, how); }
void event_core::wrote(instant now, std::uint64_t ticket, const result<written>& what) {
  if (!what) ++parts_->at.counts.log_failures;
  parts_->touched().at.wrote(now, ticket, what);
}
void event_core::looked_up(instant now, std::uint64_t ticket, const read_result& what) { parts_->touched().at.looked_up(now, ticket, what); }
void event_core::tick(instant now) { parts_->touched().tick(now); }
instant event_core::next_deadline() const { return parts_->next_deadline(); }
bool event_core::is_ephemeral(std::string_view topic) const { return !topic.starts_with("waggle.") && parts_->stream_of(topic) == nullptr; }
void event_core::passed_on() { ++parts_->at.counts.ephemeral; }
bool event_core::is_durable() const { return parts_->at.settings.durable; }
event_effects& event_core::effects() { return parts_->at.effects; }
const event_counters& event_core::counts() const { return parts_->at.counts; }
std::size_t event_core::appending() const { return parts_->appending(); }

event_core::parts::parts(event_settings from, const event_members& members) : at{std::move(from), members}, prefixes_{at.settings.prefixes_max} {
  for (const auto& each : at.settings.topics.streams) make_stream(each);
}

stream& event_core::parts::make_stream(stream_settings from) {
  if (!at.settings.durable) {  // what is kept in memory is not to fill it
    from.keep_bytes = std::min(from.keep_bytes, memory_keep_bytes);
    from.full_bytes = std::min(from.full_bytes, memory_full_bytes);
  }
  streams_.push_back(std::make_unique<stream>());
  streams_.back()->settings = std::move(from);
  return *streams_.back();
}

stream* event_core::parts::find_stream(std::string_view name) {
  const auto found = std::find_if(streams_.begin(), streams_.end(), [&](const auto& each) { return each->name() == name; });
  return found == streams_.end() ? nullptr : found->get();
}

std::size_t event_core::parts::index_of(const stream& which) const {
  return static_cast<std::size_t>(std::find_if(streams_.begin(), streams_.end(), [&](const auto& each) { return each.get() == &which; }) - streams_.begin());
}

void event_core::parts::open(instant now, const log_contents& what) {
  opened_ = true;
  for (const auto& each : what.streams) {
    auto* known = find_stream(each.stream);
    if (known == nullptr) {
      known = &make_stream({each.stream, {}});
      if (each.stream == command_stream) known->settings.keep = at.settings.keep_operations;
    }
    known->first = each.first;
    known->head = each.head;
    known->bytes = each.bytes;
  }
  for (const auto& each : what.groups) make_group(each.group).of->read(each.about);
  for (const auto& each : what.dead) make_group(each.group).of->dead = each.count;
  for (const auto& each : what.cursors) {
    auto* const in = find_stream(each.stream);
    if (in == nullptr) continue;
    auto& of = make_group(each.group);
    const auto made = make_consumer(*of.of, *in, each.settled);
    // What was reserved beyond the newest event has certainly not been delivered.
    const auto reserved = std::min(each.reserved, in->head);
    made->resume(reserved, reserved);
    for (const auto& mark : what.marks) {
      if (mark.group == each.group && mark.stream == each.stream) made->resume(now, mark);
    }
    of.in.push_back(made);
  }
  if (find_stream(command_stream) != nullptr) make_group(group::of_commands);
  for (auto& [name, each] : groups_) cover(now, each, nullptr);
  heads_at_ = now + at.settings.pulse;
  trim_at_ = now + trim_interval;
  expire_at_ = now + expire_interval;
  members_changed(now);
}

event_core::parts::member_of& event_core::parts::make_group(std::string_view name) {
  const auto found = groups_.find(name);
  if (found != groups_.end()) return found->second;
  auto& made = groups_[std::string{name}];
  made.of = std::make_unique<group>(at, std::string{name});
  return made;
}

std::shared_ptr<consumer> event_core::parts::make_consumer(group& of, stream& in, std::uint64_t settled) {
  return std::make_shared<consumer>(at, of, in, settled, [this](instant now, const std::string& operation) { command_ended(now, operation); });
}

void event_core::parts::cover(instant now, member_of& which, const event_manifest* newcomer) {
  for (const auto& each : streams_) {
    const bool is_of_commands = each->name() == command_stream;
    if (is_of_commands != which.of->is_of_commands()) continue;
    if (std::any_of(which.in.begin(), which.in.end(), [&](const auto& in) { return &in->in() == each.get(); })) continue;
    const auto& topics = each->settings.topics;
    const auto& patterns = which.of->subscriptions();
    const bool may_hold = is_of_commands || std::any_of(topics.begin(), topics.end(), [&](const auto& topic) {
      return std::any_of(patterns.begin(), patterns.end(), [&](const auto& mine) { return wire::overlap(topic, mine.pattern); });
    });
    if (!may_hold) continue;
    // A group that was there before the stream has missed nothing of it.
    const bool from_now = newcomer != nullptr && !newcomer->from_beginning;
    which.in.push_back(make_consumer(*which.of, *each, from_now ? each->head : each->first - 1));
    which.in.back()->begin(now);
  }
}

/// The stream that the topic belongs to; null if it is ephemeral.
stream* event_core::parts::stream_of(std::string_view topic) const {
  std::string_view best;
  stream* out = nullptr;
  for (const auto& each : streams_) {
    for (const auto& pattern : each->settings.topics) {
      if (!wire::matches(pattern, topic) || (!best.empty() && !wire::is_more_specific(pattern, best))) continue;
      best = pattern;
      out = each.get();
    }
  }
  for (const auto& pattern : at.settings.topics.ephemeral) {
    if (wire::matches(pattern, topic) && (best.empty() || wire::is_more_specific(pattern, best))) {
      best = pattern;
      out = nullptr;
    }
  }
  return out;
}

std::optional<error> event_core::parts::no_room(const stream& in, std::size_t bytes) const {
  const auto overload = [](std::string message) { return error{status::resource_exhausted, std::move(message), false, milliseconds{100}}; };
  if (appending_ >= at.settings.appending_max || appending_bytes_ + bytes > at.settings.appending_bytes_max) {
    return overload("as many events as may be on their way to the log (appending_max, appending_bytes_max)");
  }
  if (in.bytes + bytes <= in.settings.full_bytes) return std::nullopt;
  std::string behind;
  for (const auto& [name, each] : groups_) {
    for (const auto& consumed : each.in) {
      if (&consumed->in() == &in && consumed->durably_settled() < in.head && behind.empty()) behind = name;
    }
  }
  return overload("the stream " + in.name() + " is full (full_bytes)" +
                  (behind.empty() ? std::string{} : "; the group " + behind + " is behind (`waggle groups`), and nothing is forgotten before it has been handled"));
}

void event_core::parts::emit(std::uint64_t lease, std::string_view topic, std::string_view payload, std::string_view headers) {
  if (topic.starts_with("waggle.")) {
    return at.refuse(lease, {status::permission_denied, "topics that begin with \"waggle.\" are the broker's own"});
  }
  if (!wire::is_topic(topic)) return at.refuse(lease, {status::invalid_argument, "a topic has no *; patterns of topics do"});
  auto* const in = stream_of(topic);
  if (in == nullptr) {
    ++at.counts.ephemeral;
    std::string event;
    event.reserve(topic.size() + payload.size() + headers.size() + frame_bytes);
    wire::append_event(event, 0, topic, payload, headers);
    at.effects.broadcasts.push_back({std::string{topic}, std::move(event)});
    if (lease == 0) return;
    std::string receipt;
    wire::writer to{receipt};
    to.map(1);
    to.string("durable");
    to.boolean(false);
    return at.answer(lease, std::move(receipt));
  }
  if (!at.settings.durable && !at.settings.memory_receipts && lease != 0) {
    return at.refuse(lease, {status::failed_precondition, "this broker keeps events in memory only (--data none), so it gives no receipts; start it with "
                                                          "--data FOLDER, or make the topic ephemeral in its configuration"});
  }
  const auto event_id = header_of(headers, "event_id");
  if (event_id.size() > wire::name_bytes_max) return at.refuse(lease, {status::invalid_argument, "an event_id has at most 128 bytes"});
  if (header_of(headers, "key").size() > wire::key_bytes_max) return at.refuse(lease, {status::invalid_argument, "a key has at most 512 bytes"});
  const auto bytes = topic.size() + payload.size() + headers.size() + event_id.size();
  if (const auto why = no_room(*in, bytes)) {
    if (lease == 0) ++at.counts.dropped;
    return at.refuse(lease, *why);
  }
  auto event = std::make_shared<stored_event>();
  event->topic = topic;
  event->payload = payload;
  event->headers = headers;
  event->event_id = event_id;
  ++appending_;
  appending_bytes_ += bytes;
  at.write(write::append{in->name(), event->topic, event->payload, event->headers, event->event_id, at.settings.once_within.count()},
           [this, lease, in, event, bytes](instant later, const result<written>& how) {
             --appending_;
             appending_bytes_ -= bytes;
             if (!how) {
               if (lease == 0) ++at.counts.dropped;
               return at.refuse(lease, how.error());
             }
             kept(later, lease, *in, event, *how);
           });
}

/// The event is in the log.
void event_core::parts::kept(instant now, std::uint64_t lease, stream& in, const std::shared_ptr<stored_event>& event, const written& how) {
  std::string receipt;
  wire::writer to{receipt};
  to.map(how.repeated ? 4 : 3);
  to.string("durable");
  to.boolean(at.settings.durable);
  to.string("stream");
  to.string(in.name());
  to.string("sequence");
  to.unsigned_integer(how.sequence);
  if (how.repeated) {
    to.string("repeated");
    to.boolean(true);
  }
  at.answer(lease, std::move(receipt));
  if (how.repeated) {
    ++at.counts.repeated;
    return;
  }
  ++at.counts.appended;
  event->sequence = how.sequence;
  event->time_ms = how.time_ms;
  at.learn_wall(now, how.time_ms);
  in.head = std::max(in.head, how.sequence);
  in.bytes = how.bytes;
  if (in.first == how.sequence) in.oldest_ms = how.time_ms;
  broadcast(in, *event);
  for (auto& [name, each] : groups_) {
    for (const auto& consumed : each.in) {
      if (&consumed->in() == &in) consumed->appended(now, event);
    }
  }
  if (in.bytes > in.settings.keep_bytes) trim(in);
}

void event_core::parts::broadcast(stream& in, const stored_event& event) {
  const auto after = prefixes_.note(event.topic, index_of(in), event.sequence);
  std::string about;
  wire::writer to{about};
  to.map(3 + (event.event_id.empty() ? 0 : 1));
  to.string("stream");
  to.string(in.name());
  to.string("time");
  to.integer(event.time_ms);
  to.string("after");
  to.array(after.size());
  for (const auto each : after) to.unsigned_integer(each);
  if (!event.event_id.empty()) {
    to.string("event_id");
    to.string(event.event_id);
  }
  std::string frame;
  frame.reserve(event.topic.size() + event.payload.size() + event.headers.size() + about.size() + frame_bytes);
  wire::append_event(frame, event.sequence, event.topic, event.payload, event.headers, about);
  at.effects.broadcasts.push_back({event.topic, std::move(frame)});
}

/// Tells subscribers how far each stream is, in case that they have missed the last event.
void event_core::parts::announce_heads() {
  for (const auto& each : streams_) {
    if (each->name() == command_stream) continue;
    std::string about, frame;
    wire::writer to{about};
    to.map(1);
    to.string("stream");
    to.string(each->name());
    auto topic = std::string{head_topic} + each->name();
    wire::append_event(frame, each->head, topic, {}, {}, about);
    at.effects.broadcasts.push_back({std::move(topic), std::move(frame)});
  }
}

void event_core::parts::subscribed(std::string_view prefix) {
  if (prefix.starts_with(head_topic)) heads_wanted_ = true;
  if (prefix.starts_with("waggle.")) return;
  std::vector<std::uint64_t> heads;
  for (const auto& each : streams_) heads.push_back(each->head);
  prefixes_.add(prefix, heads);
}

void event_core::parts::later(std::uint64_t lease, std::string_view command, std::string_view payload, std::string_view headers, milliseconds budget) {
  if (!at.settings.durable && !at.settings.memory_receipts) {
    return at.refuse(lease, {status::failed_precondition,
                             "this broker keeps nothing on disk (--data none), so it takes no commands for later; start it with --data FOLDER"});
  }
  const auto key = header_of(headers, "idempotency_key");
  if (key.size() > wire::key_bytes_max) return at.refuse(lease, {status::invalid_argument, "an idempotency key has at most 512 bytes"});
  std::uint32_t entries = 0;
  wire::reader in_headers{headers};
  if (!headers.empty() && in_headers.map(entries) && (entries >= wire::headers_count_max || headers.size() + operation_bytes > wire::headers_bytes_max)) {
    return at.refuse(lease, {status::invalid_argument, "the headers have no room for the operation's id"});
  }
  auto* in = find_stream(command_stream);
  if (in == nullptr) {
    in = &make_stream({std::string{command_stream}, {}});
    in->settings.keep = at.settings.keep_operations;
  }
  const auto bytes = command.size() + payload.size() + headers.size();
  if (const auto why = no_room(*in, bytes)) return at.refuse(lease, *why);
  auto event = std::make_shared<stored_event>();
  event->topic = command;
  event->payload = payload;
  event->headers = with_header(headers, "later", "later", std::to_string(budget.count()));
  ++appending_;
  appending_bytes_ += bytes;
  at.write(write::accept{in->name(), event->topic, event->payload, event->headers, std::string{key}},
           [this, lease, in, event, bytes](instant then, const result<written>& how) {
             --appending_;
             appending_bytes_ -= bytes;
             accepted(then, lease, *in, event, how);
           });
}

void event_core::parts::accepted(instant now, std::uint64_t lease, stream& in, const std::shared_ptr<stored_event>& command, const result<written>& how) {
  if (!how) return at.refuse(lease, how.error());
  if (how->conflict) {
    return at.refuse(lease, {status::failed_precondition, "this idempotency key was used with another payload", false, {},
                             {{"idempotency_key", "was used with another payload"}}});
  }
  std::string receipt;
  wire::writer to{receipt};
  to.map(how->repeated ? 3 : 2);
  to.string("operation");
  to.string(how->operation);
  to.string("state");
  to.string(how->ended ? "ended" : "waiting");
  if (how->repeated) {
    to.string("repeated");
    to.boolean(true);
  }
  at.answer(lease, std::move(receipt));
  if (how->repeated) {
    ++at.counts.repeated;
    return;
  }
  ++at.counts.appended;
  command->sequence = how->sequence;
  command->time_ms = how->time_ms;
  command->event_id = how->operation;
  at.learn_wall(now, how->time_ms);
  in.head = std::max(in.head, how->sequence);
  in.bytes = how->bytes;
  auto& runs = make_group(group::of_commands);
  if (runs.in.empty()) {
    in.first = std::min(in.first, how->sequence);
    cover(now, runs, nullptr);
  }
  for (const auto& each : runs.in) each->appended(now, command);
  if (in.bytes > in.settings.keep_bytes) trim(in);
}

result<void> event_core::parts::may_join(const std::vector<event_manifest>& what, std::string_view service) const {
  std::vector<std::string_view> added;
  for (const auto& each : what) {
    const auto name = each.group.empty() ? service : std::string_view{each.group};
    if (forgetting_.contains(name)) {
      return failure(status::unavailable, "the group \"" + std::string{name} + "\" is just being forgotten; join again in a moment");
    }
    if (!groups_.contains(name) && std::find(added.begin(), added.end(), name) == added.end()) added.push_back(name);
  }
  if (groups_.size() + added.size() <= at.settings.groups_max || added.empty()) return {};
  return failure(status::resource_exhausted, "the broker knows as many consumer groups as it may (groups_max); forget those that are not needed "
                                             "(`waggle groups forget`)");
}

void event_core::parts::joined(instant now, const std::vector<event_manifest>& what, std::string_view service) {
  for (const auto& each : what) {
    auto& in = make_group(each.group.empty() ? service : std::string_view{each.group});
    if (in.of->subscribe(each)) at.write(write::group{in.of->name(), in.of->to_msgpack()});
    cover(now, in, &each);
  }
}

void event_core::parts::members_changed(instant now) {
  for (auto& [name, each] : groups_) {
    each.of->count_members();
    for (const auto& consumed : each.in) consumed->members_changed(now);
  }
}

/// Forgets old events, never those that a group still has to handle.
void event_core::parts::trim(stream& which) {
  if (which.trimming || which.first > which.head) return;
  auto settled = which.head;
  for (const auto& [name, each] : groups_) {
    for (const auto& consumed : each.in) {
      if (&consumed->in() == &which) settled = std::min(settled, consumed->durably_settled());
    }
  }
  if (settled < which.first) return;
  which.trimming = true;
  at.write(write::trim{which.name(), which.settings.keep.count(), which.settings.keep_bytes, settled, forget_at_once},
           [this, of = &which](instant, const result<written>& how) {
             of->trimming = false;
             if (!how) return;
             of->first = std::max(of->first, how->first);
             of->bytes = how->bytes;
             of->oldest_ms = how->time_ms;
             if (how->count >= forget_at_once) trim(*of);
           });
}

void event_core::parts::tick(instant now) {
  for (auto& [name, each] : groups_) {
    for (const auto& consumed : each.in) {
      if (consumed->next_deadline() <= now) consumed->tick(now);
    }
  }
  if (heads_wanted_ && heads_at_ <= now) {
    heads_at_ = now + at.settings.pulse;
    announce_heads();
  }
  if (trim_at_ <= now) {
    trim_at_ = now + trim_interval;
    for (const auto& each : streams_) trim(*each);
  }
  if (expire_at_ <= now) {
    expire_at_ = now + expire_interval;
    at.write(write::expire_operations{forget_at_once});
  }
  for (auto next = watchers_.begin(); next != watchers_.end();) {
    const auto [lease, of] = *next++;
    if (of.until > now) continue;
    watchers_.erase(lease);
    answer_outcome(lease, of.operation, now);
  }
}

instant event_core::parts::next_deadline() {
  if (deadline_known_) return deadline_;
  auto out = std::min({heads_wanted_ ? heads_at_ : instant::max(), trim_at_, expire_at_});
  for (const auto& [name, each] : groups_) {
    for (const auto& consumed : each.in) out = std::min(out, consumed->next_deadline());
  }
  for (const auto& [lease, of] : watchers_) out = std::min(out, of.until);
  deadline_known_ = true;
  return deadline_ = out;
}

void event_core::parts::abandon(std::uint64_t lease) { watchers_.erase(lease); }

void event_core::parts::command_ended(instant now, const std::string& operation) {
  for (auto next = watchers_.begin(); next != watchers_.end();) {
    const auto [lease, of] = *next++;
    if (of.operation != operation) continue;
    watchers_.erase(lease);
    answer_outcome(lease, of.operation, now);
  }
}

}  // namespace waggle::broker
