// The commands by which people look into the broker and steer it. What they cost grows with what is open: they are for people.
#include <algorithm>
#include <tuple>

#include "broker/core/broker_core.hpp"

namespace waggle::broker {

namespace {

/// Writes the entries of a map.
class entries {
 public:
  entries(std::string& to, std::size_t count) : writer_{to} { writer_.map(count); }
  entries& text(std::string_view key, std::string_view value) { return writer_.string(key), writer_.string(value), *this; }
  entries& number(std::string_view key, std::uint64_t value) {
    return writer_.string(key), writer_.unsigned_integer(value), *this;
  }
  entries& flag(std::string_view key, bool value) { return writer_.string(key), writer_.boolean(value), *this; }
  entries& list(std::string_view key, std::size_t size) { return writer_.string(key), writer_.array(size), *this; }
  entries& map(std::string_view key, std::size_t size) { return writer_.string(key), writer_.map(size), *this; }

 private:
  wire::writer writer_;
};

std::uint64_t milliseconds_between(instant from, instant to) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(std::chrono::duration_cast<milliseconds>(to - from).count(), 0));
}

/// The first of `all` in that order, at most `limit` or as many as there usually are.
template <class Item, class Before>
void sort_and_cut(std::vector<Item>& all, std::uint64_t limit, std::uint64_t usual, Before before) {
  const auto size = std::min<std::uint64_t>(limit == 0 ? usual : limit, all.size());
  const auto end = all.begin() + static_cast<std::ptrdiff_t>(size);
  std::partial_sort(all.begin(), end, all.end(), before);
  all.erase(end, all.end());
}

constexpr std::uint64_t rows_usual = 1000;
constexpr std::uint64_t calls_usual = 100;

void append_times(entries& to, std::string_view key, const histogram& of) {
  to.map(key, 3).number("p50", of.microseconds_at(0.5)).number("p99", of.microseconds_at(0.99)).number("p999", of.microseconds_at(0.999));
}

}  // namespace

/// False when the broker has no such command.
bool broker_core::on_operation(instant now, peer_id from, const wire::frame& in, outbox& out) {
  using operation = std::string (broker_core::*)(instant, const inquiry&, outbox&);
  struct entry {
    std::string_view name;
    operation run;
    std::string_view takes;
  };
  static constexpr entry operations[] = {
      {"waggle.workers", &broker_core::list_workers, "{prefix?: string, limit?: integer}"},
      {"waggle.queues", &broker_core::list_queues, "{prefix?: string, limit?: integer}"},
      {"waggle.calls", &broker_core::list_calls, "{command?: string, limit?: integer}"},
      {"waggle.stats", &broker_core::list_statistics, "{prefix?: string, limit?: integer}"},
      {"waggle.drain", &broker_core::drain_workers, "{worker: string}"},
      {"waggle.pause", &broker_core::pause, "{command: string}"},
      {"waggle.resume", &broker_core::resume, "{command: string}"},
  };
  const auto* const found = std::find_if(std::begin(operations), std::end(operations), [&](const auto& each) { return each.name == in.name; });
  if (found == std::end(operations)) return false;
  inquiry wanted;
  wire::reader payload{in.payload};
  const bool is_absent = in.payload.empty() || payload.peek() == wire::kind::nil;
  const bool is_read = is_absent || (payload.peek() == wire::kind::map && wire::read_entries(payload, [&](std::string_view key) {
    if (key == "prefix") return payload.string(wanted.prefix);
    if (key == "command") return payload.string(wanted.command);
    if (key == "worker") return payload.string(wanted.worker);
    if (key == "limit") return payload.unsigned_integer(wanted.limit);
    return payload.skip();
  }));
  if (!is_read) {
    refuse(from, in.id, {status::invalid_argument, std::string{in.name} + " takes " + std::string{found->takes}}, out);
    return true;
  }
  const auto answer = (this->*found->run)(now, wanted, out);
  if (!answer.empty() && answer.size() <= wire::payload_bytes_max) {
    wire::append_reply(frame_for(from, out), in.id, status::ok, answer, {});
  } else if (!answer.empty()) {
    refuse(from, in.id, {status::out_of_range, "the answer is too large for one payload; ask with a smaller limit or a prefix"}, out);
  } else if (in.name == "waggle.drain") {
    refuse(from, in.id, {status::not_found, "no worker is named \"" + std::string{wanted.worker} + "\"; `waggle workers` shows those there are"}, out);
  } else {
    refuse(from, in.id, {status::not_found, "no command is named \"" + std::string{wanted.command} + "\"; `waggle ls` shows those there are"}, out);
  }
  return true;
}

std::string broker_core::list_workers(instant now, const inquiry& wanted, outbox&) {
  auto all = directory_.seated();
  std::erase_if(all, [&](auto each) { return !std::string_view{directory_.worker_at(each).instance}.starts_with(wanted.prefix); });
  const auto total = all.size();
  sort_and_cut(all, wanted.limit, rows_usual, [&](auto a, auto b) {
    return std::tie(directory_.pool_of(a).service, directory_.worker_at(a).instance, a) <
           std::tie(directory_.pool_of(b).service, directory_.worker_at(b).instance, b);
  });
  std::string payload;
  entries{payload, 2}.number("total", total).list("workers", all.size());
  for (const auto each : all) {
    const auto& worker = directory_.worker_at(each);
    const auto& pool = directory_.pool_of(each);
    const bool has_quick = pool.lane_count > 1;
    entries row{payload, has_quick ? 10u : 8u};
    row.text("instance", worker.instance)
        .text("service", pool.service)
        .text("version", pool.version)
        .number("slots", worker.lanes[0].slots)
        .number("in_flight", worker.lanes[0].in_flight)
        .flag("draining", worker.draining)
        .number("keys", worker.keys())
        .number("heard_ms", milliseconds_between(presence_of(worker.peer).heard, now));
    if (has_quick) row.number("quick_slots", worker.lanes[1].slots).number("quick_in_flight", worker.lanes[1].in_flight);
  }
  return payload;
}

std::string broker_core::list_queues(instant now, const inquiry& wanted, outbox&) {
  struct row {
    std::uint32_t command;
    std::uint64_t running = 0;
    std::uint64_t oldest_ms = 0;
  };
  std::vector<row> all;
  for (const auto each : directory_.known_commands()) {
    const auto& command = directory_.command_at(each);
    if (std::string_view{command.name}.starts_with(wanted.prefix)) all.push_back({each});
  }
  const auto total = all.size();
  sort_and_cut(all, wanted.limit, rows_usual, [&](const row& a, const row& b) {
    const auto& left = directory_.command_at(a.command);
    const auto& right = directory_.command_at(b.command);
    return left.waiting_calls() != right.waiting_calls() ? left.waiting_calls() > right.waiting_calls() : left.name < right.name;
  });
  tsl::robin_map<std::uint32_t, std::size_t> row_of;
  for (std::size_t i = 0; i < all.size(); ++i) row_of.emplace(all[i].command, i);
  for (std::uint32_t i = 0; calls_.items().has(i); ++i) {
    const auto& call = calls_[i];
    if (call.state == call_state::free || command_of(i) == nullptr) continue;
    const auto found = row_of.find(call.command);
    if (found == row_of.end()) continue;
    auto& in = all[found->second];
    if (call.state == call_state::queued) {
      in.oldest_ms = std::max(in.oldest_ms, milliseconds_between(call.opened, now));
    } else {
      ++in.running;
    }
  }
  std::string payload;
  entries{payload, 2}.number("total", total).list("queues", all.size());
  for (const auto& each : all) {
    const auto& command = directory_.command_at(each.command);
    entries{payload, 9}
        .text("command", command.name)
        .text("group", command.key_group())
        .number("queued", command.waiting_calls())
        .number("keyed", command.keyed_calls)
        .number("bytes", command.waiting_bytes())
        .number("oldest_ms", each.oldest_ms)
        .number("running", each.running)
        .number("workers", directory_.active_workers(each.command))
        .flag("paused", command.paused);
  }
  return payload;
}

std::string broker_core::list_calls(instant now, const inquiry& wanted, outbox&) {
  std::vector<std::uint32_t> all;
  for (std::uint32_t i = 0; calls_.items().has(i); ++i) {
    const auto state = calls_[i].state;
    if (state == call_state::free || state == call_state::parked || state == call_state::asked) continue;
    const auto* const command = command_of(i);
    if (wanted.command.empty() || (command != nullptr && command->name == wanted.command)) all.push_back(i);
  }
  const auto total = all.size();
  sort_and_cut(all, wanted.limit, calls_usual,
               [&](auto a, auto b) { return std::tie(calls_[a].opened, a) < std::tie(calls_[b].opened, b); });
  std::string payload;
  entries{payload, 2}.number("total", total).list("calls", all.size());
  for (const auto each : all) {
    const auto& call = calls_[each];
    const auto* const command = command_of(each);
    const bool has_worker = call.state != call_state::queued;
    const bool is_orphan = call.state == call_state::orphaned;
    const auto& caller = at(call.caller);
    entries row{payload, 7 + std::size_t{has_worker} + std::size_t{call.key_line != none}};
    row.text("command", command == nullptr ? std::string_view{"?"} : std::string_view{command->name})
        .text("caller", is_orphan             ? std::string{"gone"}  // its number may be another's by now
                        : caller.name.empty() ? "peer " + std::to_string(static_cast<std::uint32_t>(call.caller))
                                              : caller.name)
        .text("state", is_orphan ? "orphaned" : has_worker ? "running" : "queued")
        .number("age_ms", milliseconds_between(call.opened, now))
        .number("budget_left_ms", is_orphan                       ? 0
                                  : call.deadline == instant::max() ? static_cast<std::uint64_t>(call.own->budget.count())
                                                                    : milliseconds_between(now, call.deadline))
        .number("attempts", call.attempts)
        .number("bytes", call.kept_bytes);
    if (has_worker) row.text("worker", directory_.worker_at(call.worker).instance);
    if (call.key_line != none) row.text("key", keys_.key_of(call.key_line));
  }
  return payload;
}

std::string broker_core::list_statistics(instant now, const inquiry& wanted, outbox&) {
  struct row {
    std::string_view command;
    const command_statistics* what;
    std::uint64_t calls;
  };
  std::vector<row> all;
  for (const auto each : directory_.known_commands()) {
    auto& command = directory_.command_at(each);
    if (!std::string_view{command.name}.starts_with(wanted.prefix)) continue;
    if (const auto* const what = command.meter.read()) all.push_back({command.name, what, what->calls()});
  }
  const auto total = all.size();
  sort_and_cut(all, wanted.limit, rows_usual,
               [](const row& a, const row& b) { return a.calls != b.calls ? a.calls > b.calls : a.command < b.command; });
  const auto& events = events_.counts();
  const std::pair<std::string_view, std::uint64_t> counted[] = {
      {"bundles", counts_.bundles},
      {"frames", counts_.frames},
      {"attachments", counts_.attachments},
      {"calls", counts_.calls},
      {"events", counts_.events},
      {"events_kept", events.appended},
      {"events_repeated", events.repeated},
      {"events_ephemeral", events.ephemeral},
      {"events_dropped", events.dropped},
      {"deliveries", events.delivered},
      {"deliveries_failed", events.failed},
      {"dead_letters", events.dead},
      {"damaged_records", events.damaged},
      {"log_failures", events.log_failures},
      {"events_under_way", events_.appending()},
      {"retries", counts_.retries},
      {"dead_workers", counts_.dead_workers},
      {"broken_bundles", counts_.broken_bundles},
      {"broken_events", counts_.broken_events},
      {"unknown_frames", counts_.unknown_frames},
      {"misplaced_frames", counts_.misplaced_frames},
      {"denied", counts_.denied},
      {"unasked_replies", counts_.unasked_replies},
      {"overrun_parts", counts_.overrun_parts},
      {"open_calls", calls_.size()},
      {"open_keys", keys_.size()},
      {"kept_bytes", kept_bytes_},
      {"peers", peer_count()},
      {"workers", directory_.worker_count()},
  };
  std::string payload;
  entries head{payload, 4};
  head.number("uptime_ms", milliseconds_between(started_, now)).map("counters", std::size(counted));
  for (const auto& [name, value] : counted) head.number(name, value);
  head.number("total", total).list("commands", all.size());
  for (const auto& each : all) {
    const auto& of = *each.what;
    std::size_t kinds = 0;
    for (std::size_t code = 1; code < of.by_status.size(); ++code) kinds += of.by_status[code] > 0 ? 1 : 0;
    entries command{payload, 6};
    command.text("command", each.command).number("calls", each.calls).map("errors", kinds);
    for (std::size_t code = 1; code < of.by_status.size(); ++code) {
      if (of.by_status[code] > 0) command.number(name(static_cast<status>(code)), of.by_status[code]);
    }
    command.number("retries", of.retries);
    append_times(command, "queue_us", of.queued);
    append_times(command, "run_us", of.ran);
  }
  return payload;
}

/// Every worker of that name gets no more calls, and is asked to leave.
std::string broker_core::drain_workers(instant now, const inquiry& wanted, outbox& out) {
  std::uint64_t drained = 0, in_flight = 0;
  for (const auto each : directory_.seated()) {
    const auto& worker = directory_.worker_at(each);
    if (worker.instance != wanted.worker) continue;
    ++drained;
    in_flight += worker.in_flight();
    if (worker.draining) continue;
    out.note(directory_.describe(each) + " is asked to leave");
    wire::append_leave(frame_for(worker.peer, out), 0);
    drain(now, each, out);
  }
  std::string payload;
  if (drained > 0) entries{payload, 2}.number("drained", drained).number("in_flight", in_flight);
  return payload;
}

std::string broker_core::pause(instant, const inquiry& wanted, outbox& out) {
  const auto command_index = directory_.find(wanted.command);
  std::string payload;
  if (command_index == none) return payload;
  auto& command = directory_.command_at(command_index);
  if (!command.paused) out.note(command.name + " is paused");
  command.paused = true;
  entries{payload, 1}.number("queued", command.waiting_calls());
  return payload;
}

std::string broker_core::resume(instant now, const inquiry& wanted, outbox& out) {
  const auto command_index = directory_.find(wanted.command);
  std::string payload;
  if (command_index == none) return payload;
  auto& command = directory_.command_at(command_index);
  entries{payload, 1}.number("queued", command.waiting_calls());
  if (!command.paused) return payload;
  out.note(command.name + " is resumed");
  command.paused = false;
  if (!command.queue.empty()) directory_.wait(command_index);
  unlist_homeless(command_index);
  returned_.push_back(command_index);
  dispatch_returned(now, out);
  return payload;
}

}  // namespace waggle::broker
