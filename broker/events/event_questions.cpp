// The broker's commands about events: what peers and people ask.
#include <algorithm>
#include <array>

#include "broker/events/event_parts.hpp"
#include "broker/events/headers.hpp"

namespace waggle::broker {

namespace {

constexpr std::uint64_t events_max = 1000;
constexpr std::uint64_t events_default = 100;
constexpr std::uint64_t dead_max = 1000;
constexpr std::uint64_t groups_max = 1000;
/// Dead letters that one call sends on their way again, or drops.
constexpr std::uint32_t dead_at_once = 1000;
constexpr std::uint64_t retried_bytes_max = 8u << 20;

constexpr std::array<std::string_view, 9> questions{"waggle.streams",     "waggle.events",     "waggle.groups",    "waggle.forget_group", "waggle.dead",
                                                     "waggle.dead_letter", "waggle.retry_dead", "waggle.drop_dead", "waggle.outcome"};

void entry(wire::writer& to, std::string_view key, std::string_view value) {
  to.string(key);
  to.string(value);
}

void entry(wire::writer& to, std::string_view key, std::uint64_t value) {
  to.string(key);
  to.unsigned_integer(value);
}

/// One msgpack value, or nothing, as a value.
void value_or_nil(wire::writer& to, std::string_view bytes) { bytes.empty() ? to.nil() : to.raw(bytes); }

std::string counted(std::string_view what, std::uint64_t count) {
  std::string out;
  wire::writer to{out};
  to.map(1);
  entry(to, what, count);
  return out;
}

void append_dead_letter(wire::writer& to, const dead_letter& of, bool whole) {
  to.map(9 + (of.event.event_id.empty() ? 0 : 1) + (whole ? 3 : 0));
  entry(to, "id", of.id);
  entry(to, "group", of.group);
  entry(to, "stream", of.stream);
  entry(to, "sequence", of.event.sequence);
  entry(to, "topic", of.event.topic);
  entry(to, "attempts", std::uint64_t{of.attempts});
  to.string("error");
  value_or_nil(to, of.why);
  entry(to, "dead_ms", static_cast<std::uint64_t>(std::max<std::int64_t>(of.dead_ms, 0)));
  if (!of.event.event_id.empty()) entry(to, "event_id", of.event.event_id);
  entry(to, "bytes", of.bytes);
  if (!whole) return;
  entry(to, "time_ms", static_cast<std::uint64_t>(std::max<std::int64_t>(of.event.time_ms, 0)));
  to.string("headers");
  value_or_nil(to, of.event.headers);
  to.string("payload");
  value_or_nil(to, of.event.payload);
}

/// Letters that were read may be those of a group that is gone, and there may be a new one of its name.
const error another_group{status::aborted, "a group was forgotten at the same time; ask again", false, milliseconds{100}};

}  // namespace

/// What a call asks; what it does not say is empty.
struct event_core::parts::question {
  std::vector<std::string> prefixes;
  bool names_topics = false;  ///< by prefixes, also if these are of all topics
  std::string stream;
  std::string group;
  std::string prefix;
  std::string operation;
  std::optional<std::uint64_t> from, last, age_ms, limit, id, wait_ms;
  std::shared_ptr<const role> asked_by;  ///< null: may see everything

  /// The first of the prefixes of which the role may see nothing at all; nothing if there is none.
  [[nodiscard]] std::optional<std::string> hidden() const {
    if (!asked_by) return std::nullopt;
    if (prefixes.empty() && !asked_by->may_see_any("")) return std::string{};
    const auto found = std::find_if(prefixes.begin(), prefixes.end(), [&](const auto& each) { return !asked_by->may_see_any(each); });
    return found == prefixes.end() ? std::nullopt : std::optional{*found};
  }

  /// Null if it is one; otherwise why not.
  const char* read(std::string_view payload);
};

const char* event_core::parts::question::read(std::string_view payload) {
  if (payload.empty()) return nullptr;
  wire::reader in{payload};
  if (in.peek() == wire::kind::nil) return nullptr;
  if (in.peek() != wire::kind::map) return "the payload is a map or nothing";
  const auto text = [&](std::string& to) {
    std::string_view view;
    if (in.peek() != wire::kind::string) return in.fail("expected a string");
    if (!in.string(view)) return false;
    if (view.size() > wire::name_bytes_max) return in.fail("the string is too long");
    to = view;
    return true;
  };
  const auto number = [&](std::optional<std::uint64_t>& to) {
    std::uint64_t value = 0;
    if (!in.unsigned_integer(value)) return false;
    to = value;
    return true;
  };
  const auto list = [&](std::vector<std::string>& to) {
    std::uint32_t count = 0;
    if (!in.array(count)) return false;
    if (count > 64) return in.fail("there are more than 64 prefixes");
    to.clear();
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!text(to.emplace_back())) return false;
    }
    return true;
  };
  wire::read_entries(in, [&](std::string_view key) {
    if (key == "prefixes") return names_topics = true, list(prefixes);
    if (key == "stream") return text(stream);
    if (key == "group") return text(group);
    if (key == "prefix") return text(prefix);
    if (key == "operation") return text(operation);
    if (key == "from") return number(from);
    if (key == "last") return number(last);
    if (key == "age_ms") return number(age_ms);
    if (key == "limit") return number(limit);
    if (key == "id") return number(id);
    if (key == "wait_ms") return number(wait_ms);
    return in.skip();
  });
  if (std::any_of(prefixes.begin(), prefixes.end(), [](const auto& each) { return each.empty(); })) prefixes.clear();
  return in.why();
}

bool event_core::answers(std::string_view command) {
  return std::find(questions.begin(), questions.end(), command) != questions.end();
}

bool event_core::only_reads(std::string_view command) {
  return command != "waggle.forget_group" && command != "waggle.retry_dead" && command != "waggle.drop_dead";
}

bool event_core::parts::ask(instant now, std::uint64_t lease, std::string_view command, std::string_view payload, milliseconds budget,
                            std::shared_ptr<const role> asked_by) {
  if (!answers(command)) return false;
  question about;
  about.asked_by = std::move(asked_by);
  if (const char* const why = about.read(payload)) {
    at.refuse(lease, {status::invalid_argument, std::string{command} + ": " + why});
  } else if (const auto hidden = command == "waggle.events" || about.names_topics ? about.hidden() : std::nullopt) {
    at.refuse(lease, {status::permission_denied, "the role \"" + about.asked_by->name + "\" may not see events of topics that begin with \"" + *hidden +
                                                     "\"; the broker's --peers file says what it may"});
  } else if (command == "waggle.streams") {
    list_streams(now, lease, about);
  } else if (command == "waggle.events") {
    list_events(now, lease, about);
  } else if (command == "waggle.groups") {
    list_groups(now, lease, about);
  } else if (command == "waggle.forget_group") {
    forget_group(lease, about);
  } else if (command == "waggle.dead") {
    list_dead(lease, about);
  } else if (command == "waggle.dead_letter") {
    show_dead(lease, about);
  } else if (command == "waggle.retry_dead") {
    retry_dead(lease, about);
  } else if (command == "waggle.drop_dead") {
    drop_dead(lease, about);
  } else {
    tell_outcome(now, lease, about, budget);
  }
  return true;
}

/// Reads for a peer; what cannot be read is answered here.
void event_core::parts::look(std::uint64_t lease, read_entry what, std::function<void(instant, const found&)> then) {
  if (looking_ >= at.settings.reads_max) {
    return at.refuse(lease, {status::resource_exhausted, "as many reads of the log as may be are under way (reads_max)", false, milliseconds{100}});
  }
  ++looking_;
  at.read(std::move(what), [this, lease, then = std::move(then)](instant now, const read_result& got) {
    --looking_;
    if (!got) return at.refuse(lease, got.error());
    at.counts.damaged += got->damaged.size();
    then(now, *got);
  });
}

void event_core::parts::list_streams(instant now, std::uint64_t lease, const question& about) {
  std::vector<const stream*> shown;
  for (const auto& each : streams_) {
    if (each->name() == group::of_commands && about.names_topics) continue;  // it has commands, of which nobody can be a subscriber
    const auto& topics = each->settings.topics;
    const bool may_hold = about.prefixes.empty() || topics.empty() || std::any_of(topics.begin(), topics.end(), [&](const auto& pattern) {
      return std::any_of(about.prefixes.begin(), about.prefixes.end(), [&](const auto& prefix) { return wire::overlap(pattern, prefix + '*'); });
    });
    if (may_hold) shown.push_back(each.get());
  }
  std::string out;
  wire::writer to{out};
  to.map(3);
  to.string("durable");
  to.boolean(at.settings.durable);
  to.string("streams");
  to.array(shown.size());
  const auto wall = at.wall_ms(now);
  for (const auto* const each : shown) {
    const bool has_age = each->oldest_ms != 0 && wall != 0 && each->first <= each->head;
    to.map(6 + (has_age ? 1 : 0));
    entry(to, "stream", each->name());
    to.string("topics");
    to.array(each->settings.topics.size());
    for (const auto& pattern : each->settings.topics) to.string(pattern);
    entry(to, "first", each->first);
    entry(to, "head", each->head);
    entry(to, "events", each->head + 1 - each->first);
    entry(to, "bytes", each->bytes);
    if (has_age) entry(to, "oldest_ms", static_cast<std::uint64_t>(std::max<std::int64_t>(wall - each->oldest_ms, 0)));
  }
  to.string("ephemeral");
  to.array(at.settings.topics.ephemeral.size());
  for (const auto& pattern : at.settings.topics.ephemeral) to.string(pattern);
  at.answer(lease, std::move(out));
}

void event_core::parts::list_events(instant now, std::uint64_t lease, const question& about) {
  static_cast<void>(now);
  const auto* const in = find_stream(about.stream);
  if (in == nullptr || in->name() == group::of_commands) {
    return at.refuse(lease, {status::not_found, "there is no stream \"" + about.stream + "\"; `waggle streams` shows those there are"});
  }
  const auto ways = (about.from ? 1 : 0) + (about.last ? 1 : 0) + (about.age_ms ? 1 : 0);
  if (ways != 1) return at.refuse(lease, {status::invalid_argument, "waggle.events takes one of from, last and age_ms"});
  if (about.limit.value_or(1) == 0) return at.refuse(lease, {status::invalid_argument, "the limit is 1 to 1000"});
  if (!about.from) {
    read::place place{in->name(), about.prefixes};
    if (about.last) place.last = std::min<std::uint64_t>(*about.last, in->head);
    if (about.age_ms) place.age_max_ms = static_cast<std::int64_t>(std::min<std::uint64_t>(*about.age_ms, INT64_MAX));
    if (about.last && *about.last == 0) return read_events(lease, about, in->name(), in->head + 1);
    return look(lease, place, [this, lease, about, name = in->name()](instant, const found& got) { read_events(lease, about, name, got.next); });
  }
  if (*about.from > in->head + 1) {
    return at.refuse(lease, {status::out_of_range, "the stream " + in->name() + " ends at " + std::to_string(in->head)});
  }
  if (*about.from != 0 && *about.from < in->first) {
    return at.refuse(lease, {status::out_of_range, "the stream " + in->name() + " keeps no events before " + std::to_string(in->first) + " any more"});
  }
  read_events(lease, about, in->name(), std::max(*about.from, in->first));
}

void event_core::parts::read_events(std::uint64_t lease, const question& about, const std::string& name, std::uint64_t from) {
  const auto answer = [this, lease, name, may = about.asked_by](const found& got) {
    const auto* const in = find_stream(name);
    const auto seen = [&](const stored_event& each) { return may == nullptr || may->may_see(each.topic); };
    std::string out;
    wire::writer to{out};
    to.map(5 + (got.damaged.empty() ? 0 : 1));
    entry(to, "stream", name);
    to.string("events");
    to.array(static_cast<std::size_t>(std::count_if(got.events.begin(), got.events.end(), seen)));
    for (const auto& each : got.events) {
      if (!seen(each)) continue;
      to.array(6);
      to.unsigned_integer(each.sequence);
      to.string(each.topic);
      each.payload.empty() ? to.nil() : to.binary(each.payload);
      value_or_nil(to, each.headers);
      to.integer(each.time_ms);
      each.event_id.empty() ? to.nil() : to.string(each.event_id);
    }
    entry(to, "next", got.next);
    entry(to, "head", in->head);
    entry(to, "first", in->first);
    if (!got.damaged.empty()) {
      to.string("damaged");
      to.array(got.damaged.size());
      for (const auto each : got.damaged) to.unsigned_integer(each);
    }
    at.answer(lease, std::move(out));
  };
  const auto* const in = find_stream(name);
  // What is in memory is enough to know that there is nothing.
  if (from > in->head || (!about.prefixes.empty() && prefixes_.newest(about.prefixes, index_of(*in), in->head) < from)) {
    found nothing;
    nothing.next = std::max(from, in->head + 1);
    return answer(nothing);
  }
  read::events wanted{name, from, about.prefixes};
  wanted.count_max = static_cast<std::uint32_t>(std::min(about.limit.value_or(events_default), events_max));
  look(lease, wanted, [answer](instant, const found& got) { answer(got); });
}

void event_core::parts::list_groups(instant now, std::uint64_t lease, const question& about) {
  std::vector<std::pair<const group*, const consumer*>> shown;
  std::uint64_t total = 0;
  for (const auto& [name, each] : groups_) {
    if (!name.starts_with(about.prefix)) continue;
    for (const auto& consumed : each.in) {
      if (++total <= std::min(about.limit.value_or(groups_max), groups_max)) shown.emplace_back(each.of.get(), consumed.get());
    }
  }
  std::string out;
  wire::writer to{out};
  to.map(2);
  entry(to, "total", total);
  to.string("groups");
  to.array(shown.size());
  const auto wall = at.wall_ms(now);
  for (const auto& [of, consumed] : shown) {
    const auto seen = consumed->look();
    const bool has_age = seen.oldest_ms != 0 && wall != 0;
    to.map(11 + (has_age ? 1 : 0));
    entry(to, "group", of->name());
    entry(to, "stream", consumed->in().name());
    to.string("topics");
    to.array(of->is_of_commands() ? 0 : of->subscriptions().size());
    for (const auto& each : of->subscriptions()) {
      if (!of->is_of_commands()) to.string(each.pattern);
    }
    entry(to, "settled", seen.settled);
    entry(to, "head", consumed->in().head);
    entry(to, "lag", consumed->in().head - std::min(seen.settled, consumed->in().head));
    entry(to, "in_flight", seen.in_flight);
    entry(to, "retrying", seen.retrying);
    entry(to, "waiting", seen.waiting);
    entry(to, "dead", of->dead);
    entry(to, "members", std::uint64_t{of->slots()});
    if (has_age) entry(to, "oldest_ms", static_cast<std::uint64_t>(std::max<std::int64_t>(wall - seen.oldest_ms, 0)));
  }
  at.answer(lease, std::move(out));
}

void event_core::parts::forget_group(std::uint64_t lease, const question& about) {
  const auto found = groups_.find(about.group);
  if (found == groups_.end() || found->second.of->is_of_commands()) {
    return at.refuse(lease, {status::not_found, "there is no group \"" + about.group + "\"; `waggle groups` shows those there are"});
  }
  if (found->second.of->has_members()) {
    return at.refuse(lease, {status::failed_precondition, "the group \"" + about.group + "\" has members; stop them first"});
  }
  // A delivery that is queued would go to the first member of a new group of this name.
  for (const auto& each : found->second.in) {
    if (each->look().in_flight > 0) {
      return at.refuse(lease, {status::failed_precondition, "events are still being delivered to the group \"" + about.group + "\"; try again in a moment",
                               false, milliseconds{1000}});
    }
  }
  // Until the log has forgotten it too, nobody may make a new one of its name: what is read meanwhile is the old one's.
  forgetting_.insert(about.group);
  groups_.erase(found);
  at.write(write::forget_group{about.group}, [this, lease, name = about.group](instant, const result<written>& how) {
    forgetting_.erase(name);
    ++forgotten_;
    how ? at.answer(lease, counted("forgotten", how->count)) : at.refuse(lease, how.error());
  });
}

void event_core::parts::list_dead(std::uint64_t lease, const question& about) {
  read::dead_letters wanted{about.group, about.from.value_or(0)};
  wanted.count_max = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(about.limit.value_or(100), 1, dead_max));
  look(lease, wanted, [this, lease](instant, const found& got) {
    std::string out;
    wire::writer to{out};
    to.map(2);
    entry(to, "total", got.total);
    to.string("dead");
    to.array(got.dead.size());
    for (const auto& each : got.dead) append_dead_letter(to, each, false);
    at.answer(lease, std::move(out));
  });
}

void event_core::parts::show_dead(std::uint64_t lease, const question& about) {
  if (!about.id) return at.refuse(lease, {status::invalid_argument, "waggle.dead_letter needs the letter's id"});
  look(lease, read::dead_letters{{}, *about.id, 1, true}, [this, lease, id = *about.id](instant, const found& got) {
    if (got.dead.empty() || got.dead.front().id != id) return at.refuse(lease, {status::not_found, "there is no dead letter " + std::to_string(id)});
    std::string out;
    wire::writer to{out};
    append_dead_letter(to, got.dead.front(), true);
    at.answer(lease, std::move(out));
  });
}

consumer* event_core::parts::consumer_of(std::string_view of, std::string_view in) {
  const auto found = groups_.find(of);
  if (found == groups_.end()) return nullptr;
  for (const auto& each : found->second.in) {
    if (each->in().name() == in) return each.get();
  }
  return nullptr;
}

void event_core::parts::retry_dead(std::uint64_t lease, const question& about) {
  if (about.id.has_value() == !about.group.empty()) return at.refuse(lease, {status::invalid_argument, "waggle.retry_dead takes an id or a group"});
  read::dead_letters wanted{about.group, about.id.value_or(about.from.value_or(0)), about.id ? 1 : dead_at_once, true, retried_bytes_max};
  look(lease, wanted, [this, lease, id = about.id, forgotten = forgotten_](instant now, const found& got) {
    if (forgotten != forgotten_) return at.refuse(lease, another_group);
    if (id && (got.dead.empty() || got.dead.front().id != *id)) {
      return at.refuse(lease, {status::not_found, "there is no dead letter " + std::to_string(*id)});
    }
    std::uint64_t retried = 0;
    for (const auto& each : got.dead) {
      auto* const consumed = consumer_of(each.group, each.stream);
      const bool is_whole = each.event.time_ms != 0;
      if (id && !is_whole) return at.refuse(lease, {status::data_loss, "what the event said is lost, so it cannot be delivered"});
      if (consumed == nullptr || !is_whole || consumed->is_reviving(each.event.sequence) || at.dropping.contains(each.id)) continue;
      consumed->revive(now, each);
      ++retried;
    }
    at.answer(lease, counted("retried", retried));
  });
}

void event_core::parts::drop_dead(std::uint64_t lease, const question& about) {
  if (about.id.has_value() == !about.group.empty()) return at.refuse(lease, {status::invalid_argument, "waggle.drop_dead takes an id or a group"});
  read::dead_letters wanted{about.group, about.id.value_or(0), about.id ? 1 : dead_at_once};
  look(lease, wanted, [this, lease, id = about.id, forgotten = forgotten_](instant, const found& got) {
    if (forgotten != forgotten_) return at.refuse(lease, another_group);
    if (id && (got.dead.empty() || got.dead.front().id != *id)) {
      return at.refuse(lease, {status::not_found, "there is no dead letter " + std::to_string(*id)});
    }
    // One that is on its way again is left: it ends by itself, one way or the other.
    std::vector<const dead_letter*> dropped;
    for (const auto& each : got.dead) {
      const auto* const consumed = consumer_of(each.group, each.stream);
      if (consumed == nullptr || !consumed->is_reviving(each.event.sequence)) dropped.push_back(&each);
    }
    if (dropped.empty()) {
      if (id) return at.refuse(lease, {status::failed_precondition, "the dead letter is being delivered again"});
      return at.answer(lease, counted("dropped", 0));
    }
    for (const auto* const each : dropped) {
      at.drop_letter(each->id, [this, lease, group = each->group, count = each == dropped.back() ? dropped.size() : 0](instant, const result<written>& how) {
        if (const auto known = groups_.find(group); how && how->count > 0 && known != groups_.end() && known->second.of->dead > 0) --known->second.of->dead;
        if (count > 0) how ? at.answer(lease, counted("dropped", count)) : at.refuse(lease, how.error());
      });
    }
  });
}

void event_core::parts::tell_outcome(instant now, std::uint64_t lease, const question& about, milliseconds budget) {
  if (about.operation.empty()) return at.refuse(lease, {status::invalid_argument, "waggle.outcome needs the operation"});
  // The answer is to be there before the budget has passed.
  const auto wait_max = budget - std::min(budget / 10, milliseconds{100});
  const auto wait = milliseconds{std::min<std::uint64_t>(about.wait_ms.value_or(0), wire::budget_ms_max)};
  answer_outcome(lease, about.operation, now + std::min(wait, wait_max));
}

void event_core::parts::answer_outcome(std::uint64_t lease, const std::string& operation, instant until) {
  look(lease, read::operation{operation}, [this, lease, until, operation](instant now, const found& got) {
    if (!got.operation) {
      return at.refuse(lease, {status::not_found, "there is no operation \"" + operation + "\"; it is not known, or has been forgotten"});
    }
    const auto& of = *got.operation;
    if (!of.ended_ms && until > now) {
      if (watchers_.size() >= at.settings.outcome_watchers_max) {
        return at.refuse(lease, {status::resource_exhausted, "as many callers as may wait for outcomes (outcome_watchers_max)", false, milliseconds{100}});
      }
      watchers_.insert_or_assign(lease, watcher{operation, until});
      return;
    }
    consumer::standing standing;
    if (!of.ended_ms) {
      if (auto* const runs = consumer_of(group::of_commands, group::of_commands)) standing = runs->standing_of(of.sequence);
    }
    const bool is_due = standing.due != instant::max();
    const bool failed = of.ended_ms && of.code != status::ok;
    const bool has_error = failed || (!of.ended_ms && !standing.why.empty());
    std::string out;
    wire::writer to{out};
    to.map(4 + (of.ended_ms ? 2 : 1) + (is_due ? 1 : 0) + (of.ended_ms && !failed ? 1 : 0) + (has_error ? 1 : 0));
    entry(to, "operation", of.operation);
    entry(to, "command", of.command);
    entry(to, "state", of.ended_ms ? (failed ? "failed" : "succeeded") : standing.state);
    entry(to, "accepted_ms", static_cast<std::uint64_t>(std::max<std::int64_t>(of.accepted_ms, 0)));
    if (of.ended_ms) {
      entry(to, "ended_ms", static_cast<std::uint64_t>(std::max<std::int64_t>(*of.ended_ms, 0)));
      entry(to, "status", name(of.code));
      if (!failed) {
        to.string("result");
        value_or_nil(to, of.payload);
      }
    } else {
      entry(to, "attempts", std::uint64_t{standing.attempts});
    }
    if (is_due) {
      const auto left = std::chrono::duration_cast<milliseconds>(standing.due - now).count();
      entry(to, "next_attempt_ms", static_cast<std::uint64_t>(std::max<std::int64_t>(left, 0)));
    }
    if (has_error) {
      to.string("error");
      value_or_nil(to, failed ? std::string_view{of.payload} : std::string_view{standing.why});
    }
    at.answer(lease, std::move(out));
  });
}

}  // namespace waggle::broker
