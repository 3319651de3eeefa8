#include "broker/events/consumer.hpp"

#include <algorithm>

#include "broker/events/headers.hpp"
#include "broker/events/log_parts.hpp"

namespace waggle::broker {

namespace {

/// Events looked at ahead of those who take them.
constexpr std::size_t ready_wanted = 256;
/// First attempts that are reserved ahead, so that an event that comes now need not wait for the log twice.
constexpr std::uint64_t reserve_ahead = 128;
/// Events that need no delivery are written down as settled so often, or after so long.
constexpr std::uint64_t moved_max = 1000;
constexpr milliseconds flush_after{1000};
/// After a read that failed, and after a delivery that nobody got.
constexpr milliseconds read_pause{1000};
constexpr milliseconds unhanded_pause{100};
constexpr std::size_t why_bytes_max = 1024;
constexpr milliseconds command_budget{60'000};

std::string error_object(const error& from) {
  std::string out;
  wire::append_error(out, from);
  return out;
}

/// What a worker said, or the broker for it, in a form that can be kept: small, and an error object whatever came.
std::string why_of(const delivery_outcome& how) {
  auto why = wire::read_error(how.code, how.payload);
  why.problems.clear();
  if (why.message.size() > why_bytes_max) {
    why.message.resize(why_bytes_max);
    while (!wire::is_utf8(why.message)) why.message.pop_back();
  }
  return error_object(why);
}

/// Spreads those that failed together; the same input gives the same output.
std::uint64_t mixed(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

/// min(backoff × 2^(attempt − 1), backoff_max), and of that 75 to 100 %.
milliseconds pause_after(const group::subscription& terms, std::uint32_t attempt, std::uint64_t random) {
  std::uint64_t pause = terms.backoff_ms;
  for (std::uint32_t i = 1; i < attempt && pause < terms.backoff_max_ms; ++i) pause *= 2;
  pause = std::min(pause, terms.backoff_max_ms);
  return milliseconds{pause - random % (pause / 4 + 1)};
}

status code_of(std::string_view error_object) {
  std::string_view code;
  wire::reader in{error_object};
  if (in.peek() == wire::kind::map) {
    wire::read_entries(in, [&](std::string_view key) { return key == "code" && in.peek() == wire::kind::string ? in.string(code) : in.skip(); });
  }
  const auto found = std::find_if(status_table.begin(), status_table.end(), [&](const auto& each) { return each.name == code; });
  return found == status_table.end() ? status::unknown : found->code;
}

}  // namespace

consumer::consumer(desk& with, group& of, stream& in, std::uint64_t settled, on_ended told)
    : desk_{with}, group_{of}, stream_{in}, told_{std::move(told)}, position_{settled + 1}, durably_settled_{settled} {}

void consumer::resume(std::uint64_t began_to, std::uint64_t reserved) {
  began_to_ = began_to;
  reserved_ = reserving_ = reserved;
}

void consumer::resume(instant now, const write::mark& what) {
  marks_.insert_or_assign(what.sequence, std::pair{what, now + milliseconds{std::max<std::int64_t>(what.retry_in_ms, 0)}});
}

void consumer::begin(instant now) {
  flush();
  want(now);
}

std::uint64_t consumer::settled() const {
  return items_.empty() || (items_.begin()->first & revived_bit) != 0 ? position_ - 1 : items_.begin()->first - 1;
}

std::uint32_t consumer::attempts_max(const item& of) const {
  const auto* const terms = group_.terms_of(of.topic);
  return of.base + (terms == nullptr ? desk_.settings.command_attempts : terms->attempts);
}

void consumer::appended(instant now, const std::shared_ptr<const stored_event>& what) {
  if (what->sequence != position_ || reading_) return want(now);  // it is behind, and reads what it has not seen
  if (!group_.matches(what->topic)) {
    ++position_;
    return moved(now);
  }
  if (!group_.has_members() || items_.size() >= desk_.settings.window_max || ready_.size() >= ready_wanted) return;
  take(now, what);
  ++position_;
  pump(now);
}

/// A new event that matches, at `position_`.
void consumer::take(instant now, const std::shared_ptr<const stored_event>& what) {
  const item_id id = what->sequence;
  auto& made = items_[id];
  made.topic = what->topic;
  made.key = header_of(what->headers, "key");
  made.time_ms = what->time_ms;
  if (group_.is_of_commands()) made.operation = what->event_id;
  if (loaded_bytes_ < desk_.settings.loaded_bytes_max) {
    made.event = what;
    loaded_bytes_ += bytes_of(*what);
  }
  if (const auto known = marks_.find(id); known != marks_.end()) {
    const auto [mark, due] = std::move(known->second);
    marks_.erase(known);
    if (mark.settled) {
      unload(made);
      made.at = stage::settled;
      return;  // whoever takes events looks at the front when it has taken them all
    }
    made.attempts = made.begun = mark.attempts;
    made.why = mark.why;
    made.due = due;
    made.uncertain = mark.begun;
    if (mark.begun) ++desk_.counts.failed;
  } else if (id <= began_to_) {
    made.attempts = made.begun = 1;
    ++desk_.counts.failed;
  }
  if (made.attempts > 0 && made.why.empty()) {
    made.why = error_object({status::unavailable, "the broker stopped while the event was being delivered", true});
  }
  enter_line(now, id);
}

/// Events of one key have their turns; others need not wait.
void consumer::enter_line(instant now, item_id id) {
  auto& entered = items_.at(id);
  if (!entered.key.empty()) {
    auto& line = lines_[entered.key];
    line.push_back(id);
    if (line.front() != id) {
      entered.at = stage::blocked;
      return;
    }
  }
  schedule(now, id);
}

void consumer::leave_line(instant now, item_id id) {
  const auto found = lines_.find(items_.at(id).key);
  if (found == lines_.end()) return;
  found->second.pop_front();
  if (found->second.empty()) {
    lines_.erase(found);
  } else {
    schedule(now, found->second.front());
  }
}

/// It is its turn: now, or when it is due.
void consumer::schedule(instant now, item_id id) {
  auto& next = items_.at(id);
  if (next.due > now) return wait_until(id, stage::waiting, next.due);
  next.at = stage::ready;
  ready_.insert(id);
}

void consumer::wait_until(item_id id, stage as, instant due) {
  auto& waiting = items_.at(id);
  waiting.at = as;
  waiting.due = due;
  timers_.emplace(due, id);
  if (as == stage::untaken) untaken_.insert(id);
}

/// Reads on, if there is more and it is wanted.
void consumer::want(instant now) {
  if (reading_ || position_ > stream_.head || now < (read_again_at_ == instant::max() ? instant{} : read_again_at_)) return;
  if (!group_.has_members() || items_.size() >= desk_.settings.window_max || ready_.size() >= ready_wanted) return;
  reading_ = true;
  const auto count = std::min<std::size_t>(ready_wanted, desk_.settings.window_max - items_.size());
  auto prefixes = group_.prefixes();
  desk_.read(read::events{stream_.name(), position_, prefixes, static_cast<std::uint32_t>(count)},
             guarded([this, asked = prefixes](instant then, const read_result& what) {
               // What has joined meanwhile may want events that were stepped over.
               if (what && asked != group_.prefixes()) {
                 reading_ = false;
                 return want(then);
               }
               on_read(then, what);
             }));
}

void consumer::on_read(instant now, const read_result& what) {
  reading_ = false;
  read_again_at_ = instant::max();
  if (!what) {
    desk_.note("the group " + group_.name() + " cannot read the stream " + stream_.name() + ": " + what.error().message);
    read_again_at_ = now + read_pause;
    return;
  }
  auto damaged = what->damaged.begin();
  const auto set_aside = [&](std::uint64_t before) {
    for (; damaged != what->damaged.end() && *damaged < before; ++damaged) {
      if (*damaged < position_) continue;
      const auto known = marks_.find(*damaged);
      if (known != marks_.end() && known->second.first.settled) continue;  // it was handled while it was sound
      ++desk_.counts.damaged;
      auto& lost = items_[*damaged];
      lost.attempts = lost.begun = known != marks_.end() ? known->second.first.attempts : *damaged <= began_to_ ? 1 : 0;
      lost.why = error_object({status::data_loss, "the event's record in the log is damaged", false});
      bury(*damaged);
    }
  };
  for (const auto& each : what->events) {
    set_aside(each.sequence);
    if (each.sequence < position_ || !group_.matches(each.topic)) continue;
    position_ = each.sequence;
    take(now, std::make_shared<const stored_event>(each));
    ++position_;
  }
  set_aside(~std::uint64_t{0});
  position_ = std::max(position_, what->next);
  while (!items_.empty() && items_.begin()->second.at == stage::settled) items_.erase(items_.begin());
  marks_.erase(marks_.begin(), marks_.lower_bound(position_));  // of events that are not there any more
  moved(now);
  pump(now);
  want(now);
}

void consumer::members_changed(instant now) {
  for (const auto id : std::exchange(untaken_, {})) {
    auto& again = items_.at(id);
    timers_.erase({again.due, id});
    again.due = {};
    schedule(now, id);
  }
  for (auto& [command, there] : lanes_) {
    for (const auto id : std::exchange(there.parked, {})) schedule(now, id);
  }
  std::erase_if(lanes_, [](const auto& each) { return each.second.in_flight == 0; });
  pump(now);
  want(now);
}

void consumer::pump(instant now) {
  // Revived dead letters stand behind all others in the order, which may never end.
  if (++turn_ % 8 == 0 && in_flight_ < desk_.settings.in_flight_max && !ready_.empty() && (*ready_.rbegin() & revived_bit) != 0) hand_over(now, *ready_.rbegin());
  for (auto next = ready_.begin(); next != ready_.end() && in_flight_ < desk_.settings.in_flight_max;) {
    const auto id = *next++;
    if (!hand_over(now, id)) next = ready_.lower_bound(std::max(id + 1, revived_bit));
  }
}

/// Sees to it that an event that is ready gets to a member. False if it has to wait for the log to reserve first attempts, as then do
/// those behind it.
bool consumer::hand_over(instant now, item_id id) {
  auto& next = items_.at(id);
  if (next.is_handled) {  // that could not be written
    ready_.erase(id);
    forget_letter(id);
    return true;
  }
  if (next.outcome) {  // likewise
    ready_.erase(id);
    write_outcome(id);
    return true;
  }
  if (next.is_dead || next.attempts >= attempts_max(next)) {
    ready_.erase(id);
    bury(id);
    return true;
  }
  const auto to = group_.taker_of(next.topic);
  if (!to) {
    ready_.erase(id);
    if (next.patience == instant{}) next.patience = now + (group_.is_of_commands() ? desk_.settings.unserved_max : desk_.settings.untaken_max);
    wait_until(id, stage::untaken, next.patience);
    return true;
  }
  if (next.uncertain && group_.is_of_commands() && !desk_.members.may_repeat(next.topic)) {
    ready_.erase(id);
    bury(id);
    return true;
  }
  auto& there = lanes_[std::string{to->command}];
  if (there.in_flight >= 2 * std::size_t{to->slots}) {
    ready_.erase(id);
    next.at = stage::parked;
    there.parked.push_back(id);
    return true;
  }
  if (next.event == nullptr) {
    ready_.erase(id);
    load(id);
    return true;
  }
  // Of a command that may not run twice one must know exactly whether it was begun.
  const bool is_first = next.attempts == 0 && next.dead_id == 0 && !group_.is_of_commands();
  if (is_first && id > reserved_) {
    reserve(id);
    return false;
  }
  ready_.erase(id);
  if (!is_first && next.begun <= next.attempts) {
    mark_begun(id);
  } else {
    if (is_first) reserve(id);
    deliver(id, *to);
  }
  return true;
}

void consumer::load(item_id id) {
  items_.at(id).at = stage::loading;
  desk_.read(read::events{stream_.name(), id, {}, 1}, guarded([this, id](instant now, const read_result& what) {
    const auto found = items_.find(id);
    if (found == items_.end() || found->second.at != stage::loading) return;
    auto& loaded = found->second;
    if (!what) return wait_until(id, stage::waiting, now + read_pause);
    if (what->events.empty() || what->events.front().sequence != id) {
      ++desk_.counts.damaged;
      loaded.why = error_object({status::data_loss, "the event's record in the log is damaged or gone", false});
      return bury(id);
    }
    loaded.event = std::make_shared<const stored_event>(what->events.front());
    loaded_bytes_ += bytes_of(*loaded.event);
    loaded.at = stage::ready;
    ready_.insert(id);
    pump(now);
  }));
}

/// Every attempt but the first is written down before it is made.
void consumer::mark_begun(item_id id) {
  auto& next = items_.at(id);
  next.at = stage::marking;
  const auto begun = next.attempts + 1;
  const auto then = guarded([this, id, begun](instant later, const result<written>& what) {
    const auto found = items_.find(id);
    if (found == items_.end() || found->second.at != stage::marking) return;
    if (!what) return wait_until(id, stage::waiting, later + read_pause);
    found->second.begun = begun;
    found->second.at = stage::ready;
    ready_.insert(id);
    pump(later);
  });
  if (next.dead_id != 0) {
    desk_.write(write::bury{group_.name(), stream_.name(), id & ~revived_bit, begun, next.why}, then);
  } else {
    desk_.write(write::mark{group_.name(), stream_.name(), id, begun, true, false, 0, next.why}, then);
  }
}

void consumer::deliver(item_id id, const group::taker& to) {
  auto& next = items_.at(id);
  const auto& event = *next.event;
  const std::string command{to.command};
  event_effects::delivery out;
  out.command = command;
  out.payload = event.payload;
  if (group_.is_of_commands()) {
    out.headers = with_header(event.headers, "later", "operation", event.event_id);
    const auto budget = digits(header_of(event.headers, "later"));
    out.budget = budget ? milliseconds{std::clamp<std::uint64_t>(*budget, 1, wire::budget_ms_max)} : command_budget;
  } else {
    out.is_event = true;
    out.topic = event.topic;
    out.headers = event.headers;
    out.budget = milliseconds{to.terms->budget_ms};
    wire::writer about{out.about};
    about.map(7 + (event.event_id.empty() ? 0 : 1));
    about.string("group");
    about.string(group_.name());
    about.string("stream");
    about.string(stream_.name());
    about.string("sequence");
    about.unsigned_integer(id & ~revived_bit);
    about.string("attempt");
    about.unsigned_integer(next.attempts + 1);
    about.string("attempts_max");
    about.unsigned_integer(attempts_max(next));
    about.string("time");
    about.integer(event.time_ms);
    about.string("budget_ms");
    about.unsigned_integer(to.terms->budget_ms);
    if (!event.event_id.empty()) {
      about.string("event_id");
      about.string(event.event_id);
    }
  }
  next.at = stage::in_flight;
  next.due = next.patience = {};
  next.uncertain = false;
  next.repeatable = group_.is_of_commands() && desk_.members.may_repeat(command);
  ++in_flight_;
  ++lanes_[command].in_flight;
  ++desk_.counts.delivered;
  desk_.deliver(std::move(out), guarded([this, id, command](instant later, const delivery_outcome& how) { delivered(later, id, command, how); }));
}

void consumer::delivered(instant now, item_id id, const std::string& command, const delivery_outcome& how) {
  --in_flight_;
  if (const auto found = lanes_.find(command); found != lanes_.end()) {
    auto& there = found->second;
    --there.in_flight;
    if (!there.parked.empty()) {
      schedule(now, there.parked.front());
      there.parked.pop_front();
    }
    if (there.in_flight == 0 && there.parked.empty()) lanes_.erase(found);
  }
  auto& over = items_.at(id);
  if (!how.handed_over && group_.is_of_commands() && how.code == status::invalid_argument) {
    finish(id, how.code, how.payload);  // nobody takes it as it is
  } else if (!how.handed_over) {  // this attempt has not been made
    wait_until(id, stage::waiting, now + unhanded_pause);
  } else {
    ++over.attempts;
    over.begun = std::max(over.begun, over.attempts);
    if (how.code != status::ok) {
      failed(now, id, how);
    } else if (group_.is_of_commands()) {
      finish(id, how.code, how.payload);
    } else {
      settle(now, id);
    }
  }
  pump(now);
}

void consumer::failed(instant now, item_id id, const delivery_outcome& how) {
  auto& over = items_.at(id);
  ++desk_.counts.failed;
  over.why = why_of(how);
  if (group_.is_of_commands() && is_final(over, how)) {
    // Whether it has run is for a person to find out; what it said itself is all there is to know.
    return how.answered ? finish(id, how.code, how.payload) : bury(id);
  }
  if (over.attempts >= attempts_max(over)) return bury(id);
  const auto* const terms = group_.terms_of(over.topic);
  const auto pause = terms == nullptr ? desk_.settings.backoff
                                      : pause_after(*terms, over.attempts - over.base, mixed(desk_.settings.seed ^ mixed(id) ^ over.attempts));
  if (over.dead_id == 0) {
    unload(over);
    desk_.write(write::mark{group_.name(), stream_.name(), id, over.attempts, false, false, pause.count(), over.why});
  }
  wait_until(id, stage::waiting, now + pause);
}

/// Whether a durable command that failed is not to be run again.
bool consumer::is_final(const item& of, const delivery_outcome& how) const {
  switch (how.code) {
    case status::invalid_argument:
    case status::not_found:
    case status::already_exists:
    case status::permission_denied:
    case status::failed_precondition:
    case status::out_of_range:
    case status::unimplemented:
    case status::data_loss:
    case status::unauthenticated: return how.answered;
    default: break;
  }
  if (of.repeatable) return false;
  return !how.answered || wire::read_error(how.code, how.payload).may_have_run;
}

/// It becomes a dead letter; the next of its key waits until that is written. How a durable command has ended is written with it: who finds one
/// in the log must find the other.
void consumer::bury(item_id id) {
  auto& dead = items_.at(id);
  dead.at = stage::burying;
  dead.is_dead = true;
  const bool is_command = group_.is_of_commands() && !dead.topic.empty();
  if (is_command) desk_.write(write::finish{dead.operation, code_of(dead.why), dead.why, desk_.settings.keep_operations.count()});
  desk_.write(write::bury{group_.name(), stream_.name(), id & ~revived_bit, dead.attempts, dead.why},
              guarded([this, id, is_command](instant later, const result<written>& what) {
                const auto found = items_.find(id);
                if (found == items_.end() || found->second.at != stage::burying) return;
                auto& buried = found->second;
                if (!what) return wait_until(id, stage::waiting, later + read_pause);
                ++desk_.counts.dead;
                const bool is_new = buried.dead_id == 0;
                if (is_new) ++group_.dead;
                const auto why = wire::read_error(status::unknown, buried.why);
                desk_.note("dead letter " + std::to_string(what->id) + ": " + (buried.topic.empty() ? "an event" : buried.topic) + " (" +
                           stream_.name() + " " + std::to_string(id & ~revived_bit) + ") of the group " + group_.name() + " after " +
                           std::to_string(buried.attempts) + " attempts: " + why.message);
                buried.dead_id = 0;  // the letter stays
                const auto operation = buried.operation;
                settle(later, id);
                if (is_command) told_(later, operation);
              }));
}

/// Writes down how a durable command has ended, until that is there: nothing else knows it.
void consumer::finish(item_id id, status code, std::string_view payload) {
  items_.at(id).outcome.emplace(code, payload);
  write_outcome(id);
}

void consumer::write_outcome(item_id id) {
  auto& ended = items_.at(id);
  ended.at = stage::burying;
  const auto& [code, payload] = *ended.outcome;
  // In one batch with what says that it needs no more delivery: after a crash it would run again though it has ended.
  desk_.write(write::finish{ended.operation, code, payload, desk_.settings.keep_operations.count()},
              guarded([this, id](instant later, const result<written>& what) {
                const auto found = items_.find(id);
                if (found == items_.end() || found->second.at != stage::burying) return;
                if (!what) return wait_until(id, stage::waiting, later + read_pause);
                const auto operation = found->second.operation;
                settle(later, id);
                told_(later, operation);
              }));
  if ((id & revived_bit) == 0) desk_.write(write::mark{group_.name(), stream_.name(), id, ended.attempts, false, true, 0, {}});
}

void consumer::settle(instant now, item_id id) {
  auto& over = items_.at(id);
  unload(over);
  leave_line(now, id);
  if ((id & revived_bit) != 0) {
    if (over.dead_id != 0) return forget_letter(id);
    items_.erase(id);
    return pump(now);
  }
  over.at = stage::settled;
  unmarked_.push_back(id);
  while (!items_.empty() && items_.begin()->second.at == stage::settled) items_.erase(items_.begin());
  flush();
  pump(now);
  want(now);
}

/// A dead letter that was delivered anew has been handled.
void consumer::forget_letter(item_id id) {
  auto& handled = items_.at(id);
  handled.at = stage::burying;
  handled.is_handled = true;
  handled.key.clear();  // those behind it go on
  desk_.drop_letter(handled.dead_id, guarded([this, id](instant later, const result<written>& how) {
    if (!how) return wait_until(id, stage::waiting, later + read_pause);
    if (group_.dead > 0) --group_.dead;
    items_.erase(id);
    pump(later);
  }));
}

void consumer::unload(item& of) {
  if (of.event == nullptr) return;
  loaded_bytes_ -= bytes_of(*of.event);
  of.event = nullptr;
}

void consumer::reserve(std::uint64_t sequence) {
  if (reserving_ >= sequence + reserve_ahead / 2) return;
  reserving_ = sequence + reserve_ahead;
  flush();
}

/// Events that need no delivery have been stepped over.
void consumer::moved(instant now) {
  const auto to = settled();
  if (to == durably_settled_) return;
  if (to - durably_settled_ >= moved_max) return flush();
  flush_at_ = std::min(flush_at_, now + flush_after);
}

/// Writes down how far it is: one such note at a time is under way, so that what is settled meanwhile goes into the next.
void consumer::flush() {
  flush_at_ = instant::max();
  if (flushing_) {
    flush_again_ = true;
    return;
  }
  flushing_ = true;
  const auto to = settled();
  for (const auto id : std::exchange(unmarked_, {})) {
    if (const auto found = items_.find(id); found != items_.end()) {
      desk_.write(write::mark{group_.name(), stream_.name(), id, found->second.attempts, false, true, 0, {}});
    }
  }
  const auto reserved = std::max(reserving_, reserved_);
  desk_.write(write::progress{group_.name(), stream_.name(), to, reserved}, guarded([this, to, reserved](instant later, const result<written>& what) {
    flushing_ = false;
    if (what) {
      durably_settled_ = std::max(durably_settled_, to);
      reserved_ = std::max(reserved_, reserved);
    }
    if (std::exchange(flush_again_, false) || !what) flush_at_ = what ? later : later + flush_after;
    if (flush_at_ <= later) flush();
    pump(later);
  }));
}

void consumer::revive(instant now, const dead_letter& what) {
  const auto id = what.event.sequence | revived_bit;
  if (items_.contains(id)) return;
  auto& made = items_[id];
  made.topic = what.event.topic;
  made.key = header_of(what.event.headers, "key");
  made.time_ms = what.event.time_ms;
  if (group_.is_of_commands()) made.operation = what.event.event_id;
  made.attempts = made.begun = made.base = what.attempts;
  made.why = what.why;
  made.dead_id = what.id;
  made.event = std::make_shared<const stored_event>(what.event);
  loaded_bytes_ += bytes_of(*made.event);
  enter_line(now, id);
  pump(now);
}

void consumer::tick(instant now) {
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const auto id = timers_.begin()->second;
    timers_.erase(timers_.begin());
    auto& due = items_.at(id);
    if (due.at == stage::waiting) {
      schedule(now, id);
      continue;
    }
    untaken_.erase(id);
    if (!group_.has_members()) {  // nobody is there who could not take it
      due.patience = now + desk_.settings.untaken_max;
      wait_until(id, stage::untaken, due.patience);
      continue;
    }
    due.why = error_object({status::unimplemented, group_.is_of_commands() ? "nobody has served the command" : "no member of the group takes this topic", false});
    // Not while there is more of the stream to look at: its events would be nobody's then, without a word.
    const bool has_seen_all = position_ > stream_.head && !reading_;
    if (const auto* const terms = group_.terms_of(due.topic); terms != nullptr && has_seen_all && !group_.is_of_commands()) {
      group_.unsubscribe(std::string{terms->pattern});
      desk_.write(write::group{group_.name(), group_.to_msgpack()});
    }
    bury(id);
  }
  if (read_again_at_ <= now) {
    read_again_at_ = instant::max();
    want(now);
  }
  if (flush_at_ <= now) flush();
  pump(now);
}

instant consumer::next_deadline() const {
  return std::min({timers_.empty() ? instant::max() : timers_.begin()->first, read_again_at_, flush_at_});
}

consumer::view consumer::look() const {
  view out;
  out.settled = settled();
  for (const auto& [id, each] : items_) {
    if (each.at == stage::settled) continue;
    if (out.oldest_ms == 0) out.oldest_ms = each.time_ms;
    if (each.at == stage::in_flight) {
      ++out.in_flight;
    } else if (each.attempts > each.base) {
      ++out.retrying;
    } else {
      ++out.waiting;
    }
  }
  return out;
}

consumer::standing consumer::standing_of(std::uint64_t sequence) const {
  standing out;
  auto found = items_.find(sequence | revived_bit);
  if (found == items_.end()) found = items_.find(sequence);
  if (found == items_.end()) return out;
  const auto& of = found->second;
  out.attempts = of.attempts + (of.at == stage::in_flight ? 1 : 0);
  out.state = of.at == stage::in_flight ? "running" : of.attempts > of.base ? "retrying" : "waiting";
  if (of.at == stage::waiting) out.due = of.due;
  out.why = of.why;
  return out;
}

}  // namespace waggle::broker
