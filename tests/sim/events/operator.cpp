#include "sim/events/operator.hpp"

#include <algorithm>

#include "sim/events/messages.hpp"

namespace waggle::sim {

void operator_::start(instant now) {
  up_ = true;
  act_at_ = now;
  socket_.open(now);
}

void operator_::crash(instant now) {
  socket_.cut(now, true);
  up_ = was_connected_ = false;
  forget_all();
}

/// What was asked may have been done.
void operator_::forget_all() {
  open_.clear();
  bundle_.clear();
}

void operator_::ask(instant now, question what) {
  static const std::map<kind, const char*> names{{kind::streams, "waggle.streams"},  {kind::groups, "waggle.groups"},     {kind::dead, "waggle.dead"},
                                                 {kind::letter, "waggle.dead_letter"}, {kind::retry, "waggle.retry_dead"}, {kind::drop, "waggle.drop_dead"},
                                                 {kind::forget, "waggle.forget_group"}, {kind::events, "waggle.events"},   {kind::ping, "waggle.ping"}};
  ++around_.books.totals().asks;
  asked_map payload;
  if (!what.group.empty()) payload.text("group", what.group);
  if (!what.stream.empty()) payload.text("stream", what.stream);
  if (!what.prefix.empty()) payload.texts("prefixes", {what.prefix});
  if (what.of == kind::events) payload.number("from", what.from).number("limit", what.to_the_end ? 1000 : around_.chance.between(1, 50));
  if (what.of == kind::letter || ((what.of == kind::retry || what.of == kind::drop) && what.group.empty())) payload.number("id", what.id);
  what.since = now;
  what.calm = around_.calm;
  const auto id = ++last_id_;
  if (what.of == kind::retry) around_.books.may_retry(what.group, what.id, 1);
  if (what.of == kind::drop) around_.books.may_drop(what.group, what.id, 1);
  wire::append_call(bundle_, id, names.at(what.of), payload.bytes(), 600'000, {});
  if (around_.log.verbose()) around_.log.say(now, std::string{"operator asks "} + names.at(what.of) + " " + what.group + what.stream + " " + std::to_string(what.id));
  open_.emplace(id, std::move(what));
}

void operator_::ask_something(instant now) {
  auto& chance = around_.chance;
  const auto& books = around_.books;
  question what;
  const auto some_group = [&] { return chance.pick(around_.events.groups).group; };
  const auto some_letter = [&]() -> std::uint64_t {
    if (books.letters().empty()) return 1;
    return std::next(books.letters().begin(), static_cast<std::ptrdiff_t>(chance.below(books.letters().size())))->first;
  };
  if (chance.chance(around_.events.forget_groups, 1000)) {
    what.of = kind::forget;
    what.group = some_group();
    return ask(now, what);
  }
  switch (chance.below(10)) {
    case 0: what.of = kind::streams; break;
    case 1: what.of = kind::groups; break;
    case 2:
      what.of = kind::dead;
      if (chance.chance(1, 2)) what.group = some_group();
      break;
    case 3:
      what.of = kind::letter;
      what.id = some_letter();
      break;
    case 4:
    case 5:
      what.of = chance.chance(2, 3) ? kind::retry : kind::drop;
      if (chance.chance(1, 3)) {
        what.group = some_group();
      } else {
        what.id = some_letter();
      }
      break;
    case 6: what.of = kind::ping; break;
    default:
      what.of = kind::events;
      what.stream = chance.pick(around_.events.events.topics.streams).stream;
      if (chance.chance(1, 2)) what.prefix = chance.chance(1, 2) ? "order." : "stock.";
      const auto known = books.streams().find(what.stream);
      what.from = known == books.streams().end() ? 0 : chance.chance(1, 5) ? 0 : chance.between(known->second.first, known->second.head + 1);
  }
  ask(now, what);
}

void operator_::read_stream(instant now, const std::string& stream) {
  question what;
  what.of = kind::events;
  what.stream = stream;
  what.to_the_end = true;
  ask(now, what);
  run(now);
}

void operator_::look_at_groups(instant now) {
  question what;
  what.of = kind::groups;
  ask(now, what);
  what.of = kind::streams;
  ask(now, what);
  what.of = kind::dead;
  ask(now, what);
  run(now);
}

void operator_::look_at_dead(instant now, std::uint64_t id) {
  question what;
  what.of = kind::letter;
  what.id = id;
  ask(now, what);
  run(now);
}

void operator_::ping(instant now) {
  question what;
  what.of = kind::ping;
  ask(now, what);
  run(now);
}

void operator_::told(instant now, const question& asked, const wire::frame& in) {
  if (asked.of == kind::retry) around_.books.may_retry(asked.group, 0, -1);
  if (asked.of == kind::drop) around_.books.may_drop(asked.group, 0, -1);
  if (in.status != status::ok) {
    const auto why = wire::read_error(in.status, in.payload);
    const bool passing = in.status == status::resource_exhausted || in.status == status::unavailable;
    const bool of_course = (asked.of == kind::letter || asked.of == kind::retry || asked.of == kind::drop) && (in.status == status::not_found || in.status == status::failed_precondition || in.status == status::data_loss || in.status == status::aborted);
    const bool not_now = asked.of == kind::forget && (in.status == status::failed_precondition || in.status == status::not_found);
    const bool gone = asked.of == kind::events && in.status == status::out_of_range && asked.from != 0 && (asked.from < around_.books.streams().at(asked.stream).first || !asked.calm);
    if ((!passing || asked.of == kind::ping) && !of_course && !not_now && !gone) throw violation{"what an operator asks is refused: " + why.message};
    return;
  }
  switch (asked.of) {
    case kind::streams: return told_streams(in);
    case kind::groups: return told_groups(in);
    case kind::dead:
    case kind::letter: return told_dead(asked, in);
    case kind::events: return told_events(now, asked, in);
    default: return;
  }
}

void operator_::told_streams(const wire::frame& in) {
  const told_map all{in.payload};
  for (const auto each : all.list("streams")) {
    const told_map stream{each};
    const auto known = around_.books.streams().find(stream.text("stream"));
    const auto head = known == around_.books.streams().end() ? 0 : known->second.head;
    if (stream.number("head") > head || (around_.quiet && stream.number("head") != head)) throw violation{"waggle.streams shows another head than the disk has"};
    if (known == around_.books.streams().end()) continue;
    if (stream.number("first") > known->second.first) throw violation{"waggle.streams shows that events are gone which are not"};
    if (around_.quiet && stream.number("bytes") != known->second.bytes) throw violation{"waggle.streams shows " + std::to_string(stream.number("bytes")) + " bytes and not " + std::to_string(known->second.bytes)};
  }
}

void operator_::told_groups(const wire::frame& in) {
  const told_map all{in.payload};
  for (const auto each : all.list("groups")) {
    const told_map group{each};
    const auto which = group.text("group") + " in " + group.text("stream");
    const auto settled = group.number("settled"), head = group.number("head");
    if (settled > head || group.number("lag") != head - settled) throw violation{"waggle.groups shows that " + which + " is at " + std::to_string(settled) + " of " + std::to_string(head)};
    if (!around_.quiet) continue;
    if (group.number("lag") + group.number("in_flight") + group.number("retrying") + group.number("waiting") != 0) throw violation{"with nothing wrong any more, " + which + " is behind"};
    const auto dead = around_.books.dead_of(group.text("group"));
    if (group.number("dead") != dead) throw violation{"waggle.groups shows " + std::to_string(group.number("dead")) + " dead letters of " + which + " and not " + std::to_string(dead)};
  }
}

void operator_::told_dead(const question& asked, const wire::frame& in) {
  const auto& books = around_.books;
  const auto check = [&](const told_map& letter) {
    const auto id = letter.number("id");
    const auto known = books.letters().find(id);
    if (known == books.letters().end()) return;  // dropped meanwhile
    const auto& of = known->second;
    if (letter.text("group") != of.group || letter.text("stream") != of.stream || letter.number("sequence") != of.sequence) throw violation{"a dead letter is shown as another"};
    const auto& event = books.streams().at(of.stream).events.at(of.sequence);
    if (letter.raw("error") != of.why && around_.quiet) throw violation{"a dead letter is shown with another error than it died of"};
    if (letter.has("payload") && letter.number("time_ms") != 0 && (letter.raw("payload") != (event.payload.empty() ? "\xc0" : std::string_view{event.payload}) || letter.raw("headers") != event.headers)) {
      throw violation{"a dead letter has lost what its event said"};
    }
    if (letter.has("payload") && letter.number("time_ms") == 0 && !event.damaged && !event.trimmed) throw violation{"a dead letter has lost its event"};
  };
  if (asked.of == kind::letter) return check(told_map{in.payload});
  const told_map all{in.payload};
  const auto list = all.list("dead");
  for (const auto each : list) check(told_map{each});
  const auto total = asked.group.empty() ? books.letters().size() : books.dead_of(asked.group);
  if (around_.quiet && all.number("total") != total) throw violation{"waggle.dead shows " + std::to_string(all.number("total")) + " dead letters and not " + std::to_string(total)};
}

void operator_::told_events(instant now, const question& asked, const wire::frame& in) {
  const auto& books = around_.books;
  const told_map answer{in.payload};
  static const event_books::kept_stream nothing;
  const auto known_stream = books.streams().find(asked.stream);
  const auto& stream = known_stream == books.streams().end() ? nothing : known_stream->second;
  const auto next = answer.number("next");
  std::uint64_t at = std::max<std::uint64_t>(asked.from, 1);
  std::vector<std::uint64_t> damaged;
  if (answer.has("damaged")) {
    for (const auto each : answer.list("damaged")) {
      std::uint64_t sequence = 0;
      wire::reader{each}.unsigned_integer(sequence);
      if (!stream.events.at(sequence).damaged) throw violation{"a sound event is said to be damaged"};
      damaged.push_back(sequence);
    }
  }
  const auto skip_to = [&](std::uint64_t sequence) {
    for (auto missed = stream.events.lower_bound(at); missed != stream.events.end() && missed->first < sequence; ++missed) {
      const auto& event = missed->second;
      if (event.trimmed || !event.topic.starts_with(asked.prefix)) continue;
      if (event.damaged && std::find(damaged.begin(), damaged.end(), missed->first) != damaged.end()) continue;
      throw violation{"waggle.events has stepped over event " + std::to_string(missed->first) + " of " + asked.stream};
    }
    at = sequence;
  };
  for (const auto each : answer.list("events")) {
    wire::reader fields{each};
    std::uint32_t count = 0;
    std::uint64_t sequence = 0;
    std::string_view topic, payload, headers;
    std::int64_t time_ms = 0;
    if (!fields.array(count) || count != 6 || !fields.unsigned_integer(sequence) || !fields.string(topic) || !(fields.peek() == wire::kind::nil ? fields.nil() : fields.binary(payload)) || !fields.raw(headers) || !fields.integer(time_ms)) throw violation{"waggle.events answers with something else"};
    const auto known = stream.events.find(sequence);
    if (known == stream.events.end()) throw violation{"waggle.events shows an event that is not there"};
    const auto& event = known->second;
    if (event.topic != topic || event.payload != payload || event.headers != headers || event.time_ms != time_ms) throw violation{"waggle.events shows another event than was emitted"};
    if (!topic.starts_with(asked.prefix)) throw violation{"waggle.events shows an event of another topic"};
    // While the answer was on its way the record may have been damaged that had been read for it.
    if (event.damaged && event.damaged_at < asked.since) throw violation{"waggle.events shows a damaged event"};
    if (sequence < at) throw violation{"waggle.events is out of order"};
    skip_to(sequence);
    at = sequence + 1;
  }
  if (next > stream.head + 1) throw violation{"waggle.events goes on beyond the end"};
  skip_to(next);
  if (asked.to_the_end && next <= stream.head) {
    auto more = asked;
    more.from = next;
    ask(now, more);
  }
}

void operator_::run(instant now) {
  if (was_connected_ && !socket_.connected()) forget_all();
  wire::message arrived;
  while (socket_.receive(now, arrived)) {
    wire::bundle_reader frames{arrived};
    wire::frame in;
    while (frames.next(in) == wire::decoded::frame) {
      if (in.type != wire::frame_type::reply) continue;
      const auto found = open_.find(in.id);
      if (found == open_.end()) throw violation{"an operator is answered twice"};
      const auto asked = found->second;
      open_.erase(found);
      told(now, asked, in);
    }
  }
  was_connected_ = socket_.connected();
  if (was_connected_ && !around_.calm && act_at_ <= now) {
    act_at_ = now + microseconds{around_.chance.between(1, 2 * static_cast<std::uint64_t>(around_.events.operate_every.count()))};
    ask_something(now);
  }
  if (!bundle_.empty() && socket_.send(now, bundle_)) bundle_.clear();
  look_at_ = now + milliseconds{bundle_.empty() ? was_connected_ ? 500 : 20 : 5};
}

instant operator_::next_deed(instant) const {
  return was_connected_ && !around_.calm ? std::min(act_at_, look_at_) : look_at_;
}

}  // namespace waggle::sim
