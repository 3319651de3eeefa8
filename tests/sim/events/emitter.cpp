#include "sim/events/emitter.hpp"

#include <algorithm>

#include "sim/events/messages.hpp"

namespace waggle::sim {

void emitter::start(instant now) {
  up_ = true;
  act_at_ = now;
  socket_.open(now);
}

void emitter::crash(instant now) {
  socket_.cut(now, true);
  up_ = was_connected_ = false;
  open_.clear();
  again_.clear();
  bundle_.clear();
}

/// The same event again, as another sending.
void emitter::send_again(instant now, std::uint64_t n) {
  auto what = around_.books.sending_of(n);
  if (what.event_id.empty()) return;
  what.refused = false;
  what.kept_as = 0;
  again_.push_back({now + milliseconds{around_.chance.below(around_.chance.chance(1, 5) ? 20'000 : 500)}, std::move(what)});
}

/// Nobody knows what has become of what was under way.
void emitter::lost(instant now) {
  for (const auto& [id, each] : open_) send_again(now, each.n);
  open_.clear();
  bundle_.clear();
}

void emitter::emit(instant now, event_books::sending what) {
  const bool receipt = what.receipt;
  const auto n = around_.books.send(std::move(what));
  const auto& sent = around_.books.sending_of(n);
  std::uint64_t id = 0;
  if (receipt) {
    id = ++last_id_;
    open_[id] = {n, now};
  }
  if (around_.log.verbose()) around_.log.say(now, "emitter " + std::to_string(number_) + " emits sending " + std::to_string(n) + " of " + sent.topic + ", id " + std::to_string(id) + ", event id " + sent.event_id);
  wire::append_emit(bundle_, id, sent.topic, sent.payload, headers_of(n, sent));
}

void emitter::emit_something(instant now) {
  auto& chance = around_.chance;
  const auto& in = around_.events;
  event_books::sending what;
  what.topic = chance.chance(in.ephemeral, 1000) ? chance.pick(in.ephemeral_topics) : chance.pick(in.topics);
  if (chance.chance(in.keyed, 1000)) what.key = "k" + std::to_string(chance.below(in.keys));
  if (chance.chance(in.named, 1000)) what.event_id = "e" + std::to_string(number_) + "." + std::to_string(++named_);
  if (!chance.chance(1, 50)) {
    what.payload = packed((chance.chance(in.poisoned, 1000) ? "poison" : "event") + std::string(chance.below(in.payload_max), static_cast<char>('a' + chance.below(26))));
  }
  what.receipt = !chance.chance(in.unasked, 1000);
  emit(now, std::move(what));
}

void emitter::emit_now(instant now, const std::string& topic) {
  event_books::sending what;
  what.topic = topic;
  what.payload = packed("calm");
  what.receipt = true;
  emit(now, std::move(what));
  run(now);
}

void emitter::told(instant now, const wire::frame& in) {
  if (in.type != wire::frame_type::reply) return;
  const auto found = open_.find(in.id);
  if (found == open_.end()) throw violation{"an EMIT is answered twice, or one that nobody has sent"};
  const auto n = found->second.n;
  open_.erase(found);
  auto& chance = around_.chance;
  if (in.status != status::ok) {
    const auto why = wire::read_error(in.status, in.payload);
    if (around_.log.verbose()) around_.log.say(now, "emitter " + std::to_string(number_) + " is refused sending " + std::to_string(n) + ": " + why.message);
    around_.books.refused(n, why);
    if (chance.chance(1, 2)) send_again(now, n);
    return;
  }
  const told_map receipt{in.payload};
  if (!receipt.flag("durable")) return around_.books.ephemeral_receipt(n);
  around_.books.receipt(n, receipt.text("stream"), receipt.number("sequence"), receipt.has("repeated") && receipt.flag("repeated"));
  if (!around_.calm && chance.chance(around_.events.doubled, 1000)) send_again(now, n);
}

void emitter::run(instant now) {
  if (was_connected_ && !socket_.connected()) lost(now);
  wire::message arrived;
  while (socket_.receive(now, arrived)) {
    wire::bundle_reader frames{arrived};
    wire::frame in;
    while (frames.next(in) == wire::decoded::frame) told(now, in);
  }
  was_connected_ = socket_.connected();
  while (!again_.empty() && again_.front().at <= now) {
    auto next = std::move(again_.front());
    again_.pop_front();
    if (!around_.calm) emit(now, std::move(next.what));
  }
  if (!around_.calm && act_at_ <= now) {
    const auto every = static_cast<std::uint64_t>(around_.events.emit_every.count());
    act_at_ = now + microseconds{around_.chance.between(1, 2 * every)};
    for (auto left = around_.chance.between(1, around_.events.burst_max); left > 0; --left) emit_something(now);
  }
  if (!bundle_.empty() && !was_connected_ && !socket_.connected()) lost(now);
  if (!bundle_.empty() && socket_.send(now, bundle_)) bundle_.clear();
  look_at_ = now + milliseconds{bundle_.empty() ? was_connected_ ? 500 : 20 : 5};
}

instant emitter::next_deed(instant) const {
  const auto next = around_.calm ? look_at_ : std::min(act_at_, look_at_);
  return again_.empty() ? next : std::min(next, again_.front().at);
}

}  // namespace waggle::sim
