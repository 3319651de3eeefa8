#include "broker/shell.hpp"

#include <poll.h>

#include <cstdio>
#include <ctime>
#include <random>
#include <stdexcept>
#include <utility>

#include "broker/events/memory_log.hpp"
#include "broker/peers/loopback.hpp"

namespace waggle::broker {

namespace {

/// Messages taken from one socket before the others have their turn.
constexpr int turn_max = 1000;
constexpr std::chrono::seconds log_interval{10};
constexpr std::size_t lines_max = 200;  // logged in one interval

// A peer whose pipe is full is given this much room and time before it is let go.
constexpr std::size_t backlog_bytes_max = 16u << 20;
constexpr std::chrono::seconds backlog_time_max{5};
/// A full pipe does not say when it has room again.
constexpr std::chrono::milliseconds backlog_pause{1};
/// libzmq tells of a connection's end a moment before the socket takes notice of it.
constexpr std::chrono::milliseconds end_pause{5};
/// While there is always something to read, ends of connections are looked for this often; otherwise as they come.
constexpr std::chrono::milliseconds ends_interval{100};
constexpr peer_id nobody{~std::uint32_t{0}};

settings with_what_is_its_own(settings from, const endpoints& bound) {
  std::random_device entropy;
  from.hash_seed = std::uint64_t{entropy()} << 32 | entropy();
  from.events_in = bound.events_in;
  from.events_out = bound.events_out;
  return from;
}

}  // namespace

event_store event_store::in_memory() {
  event_store out;
  out.log = std::make_unique<memory_log>(system_log_sources());
  out.settings.memory_receipts = true;
  return out;
}

shell::shell(net::context& in, const endpoints& wanted, settings from, majordomo::settings for_majordomo, event_store events, security who)
    : guard_{who.key.empty() ? nullptr : std::make_unique<guard>(in, who.key, wanted.events_out)},
      commands_{in},
      ends_{guard_ ? std::nullopt : std::optional<net::connection_ends>{std::in_place, in, commands_}},
      events_in_{in},
      events_out_{in},
      bound_{bind(wanted, who)},
      core_{with_what_is_its_own(from, bound_), std::move(events.settings)},
      majordomo_{for_majordomo, from.pulse, from.pulse * from.missed_pulses_max} {
  events_in_.subscribe_to_all();
  const auto there = events.log->open();
  if (!there) throw std::runtime_error{there.error().message};
  core_.open_log(std::chrono::steady_clock::now(), *there, out_);
  log_ = std::make_unique<log_thread>(std::move(events.log));
}

/// Whoever is to be let in has to be known before there is a door.
endpoints shell::bind(const endpoints& wanted, const security& who) {
  endpoints out{{}, {}, {}, {}};
  if (guard_) {
    guard_->protect(commands_, guard::commands_domain);
    guard_->protect(events_in_, guard::events_in_domain);
    guard_->take(who.peers);
    for (const auto& each : guard_->events_out()) out.events_out += (out.events_out.empty() ? "" : ",") + each;
  } else {
    for (const auto& each : {wanted.commands, wanted.events_in, wanted.events_out}) {
      if (!is_open(each) || who.in_the_open) continue;
      throw std::invalid_argument{each + " can be reached from elsewhere, and without a key whoever reaches it may do everything: give the broker one with "
                                         "--key-file (and --peers), or bind to 127.0.0.1; --insecure (WAGGLE_INSECURE=1) opens it to everybody"};
    }
    out.events_out = events_out_.bind(wanted.events_out);
  }
  out.commands = commands_.bind(wanted.commands);
  out.events_in = events_in_.bind(wanted.events_in);
  if (!wanted.commands_too.empty()) out.commands_too = commands_.bind(wanted.commands_too);
  return out;
}

void shell::replace_peers(peers_config with) {
  {
    const std::lock_guard lock{peers_mutex_};
    next_peers_ = std::move(with);
  }
  peers_changed_.raise();
}

/// Each peer that is connected is who it is by the new list.
void shell::take_peers() {
  peers_changed_.lower();
  std::optional<peers_config> next;
  {
    const std::lock_guard lock{peers_mutex_};
    next.swap(next_peers_);
  }
  if (!next || !guard_) return;
  try {
    guard_->take(*next);
  } catch (const net::endpoint_error& e) {
    log(std::string{e.what()} + "; look at the roles' events_out");
  }
  const auto now = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < links_.size(); ++i) {
    if (links_[i].key.empty()) continue;
    if (auto who = guard_->find(links_[i].key)) {
      core_.identify(now, static_cast<peer_id>(i), std::move(who), out_);
    } else {
      core_.expel(now, static_cast<peer_id>(i), out_);
    }
  }
  log("takes " + std::to_string(guard_->size()) + " peers");
}

void shell::run(int stop_descriptor) {
  net::waiter waiter;
  while (!waiter.signalled(stop_descriptor)) {
    // What has arrived is read before the clock is asked who has been silent for too long.
    bool busy = receive_commands();
    if (guard_ || std::exchange(look_at_events_, false)) busy = receive_events() || busy;
    busy = receive_from_log() || busy;
    if (guard_) take_peers();
    const auto now = std::chrono::steady_clock::now();
    receive_ends(now);
    if (majordomo_.next_deadline() <= now) majordomo_.tick(now, core_, out_);
    if (core_.next_deadline() <= now) core_.tick(now, out_);
    send_backlogs(now);
    perform();
    log_what_was_dropped(now);
    if (busy || (look_at_events_ && !guard_)) {
      if (has_stopped(stop_descriptor)) break;
      continue;
    }
    waiter.read(commands_);
    if (guard_) {
      waiter.read(events_in_);
      guard_->wait_for(waiter);
      waiter.read(peers_changed_.descriptor());
    } else {
      waiter.read_drained(events_in_);
      waiter.read_drained(events_out_);
      waiter.read_drained(*ends_);
    }
    waiter.read(log_->descriptor());
    waiter.read(stop_descriptor);
    auto until = std::min({core_.next_deadline(), majordomo_.next_deadline(), log_at_});
    if (!ended_.empty()) until = std::min(until, ended_.front().look_at);
    waiter.wait_until(backlogged_.empty() ? until : std::min(until, now + backlog_pause));
    look_at_events_ = waiter.signalled(events_in_.descriptor()) || waiter.signalled(events_out_.descriptor());
    if (ends_ && waiter.signalled(ends_->descriptor())) look_at_ends_ = {};
  }
  // What has come still gets to the log, and its receipts leave.
  log_->stop();
  receive_from_log();
  perform();
  commands_.linger(std::chrono::milliseconds{200});
  events_out_.linger(std::chrono::milliseconds{200});
  if (guard_) guard_->linger(std::chrono::milliseconds{200});
}

bool shell::has_stopped(int stop_descriptor) const {
  pollfd stop{stop_descriptor, POLLIN, 0};
  return ::poll(&stop, 1, 0) > 0;
}

bool shell::receive_commands() {
  const auto now = std::chrono::steady_clock::now();
  for (int turn = 0; turn < turn_max; ++turn) {
    const auto message = commands_.receive();
    if (!message) return false;
    const bool several = message->parts_beyond > 0;
    const bool stranger = several && !numbers_.contains(message->from);
    if (guard_ && !is_known(now, message->from)) {
      ++strangers_;
      continue;
    }
    const auto from = number_of(message->from);
    if (several || links_[static_cast<std::size_t>(from)].majordomo) {
      receive_several(now, from, stranger, 1 + message->parts_beyond);
    } else {
      core_.receive(now, from, message->bundle, out_);
    }
  }
  return true;
}

/// Whether whoever sent the message that was received last has a key of the network. Looked at each time: a peer can choose its routing id, also
/// that of another who has gone and is not missed yet, and must not be taken for that one.
bool shell::is_known(detail::time_point now, std::string_view routing_id) {
  const auto key = commands_.user();
  if (const auto known = numbers_.find(routing_id); known != numbers_.end()) {
    if (links_[static_cast<std::size_t>(known->second)].key == key) return true;
    core_.unreachable(now, known->second, {}, out_);
    return false;
  }
  auto who = guard_->find(key);
  if (!who) return false;
  const auto from = number_of(routing_id);
  links_[static_cast<std::size_t>(from)].key = key;
  core_.identify(now, from, std::move(who), out_);
  return true;
}

/// A message with attachments, or one of Majordomo's. Whether a peer is one of those is settled by its first message.
void shell::receive_several(detail::time_point now, peer_id from, bool stranger, std::size_t parts) {
  const auto message = commands_.parts();
  auto& sender = links_[static_cast<std::size_t>(from)];
  if (stranger) sender.majordomo = majordomo::dialect_of(message).has_value();
  if (sender.majordomo) {
    majordomo_.receive(now, from, message, message.size() == parts, core_, out_);
  } else if (message.size() < parts || parts > 1 + wire::attachments_max) {
    core_.receive_garbage(now, from, "a message has at most " + std::to_string(wire::attachments_max) + " attachments and 8 MiB", out_);
  } else {
    core_.receive(now, from, commands_.whole(), out_);
  }
}

/// Both of the events' sockets, unless they have more than a turn is for.
bool shell::receive_events() {
  const auto now = std::chrono::steady_clock::now();
  for (int turn = 0; turn < turn_max; ++turn) {
    const auto prefix = guard_ ? guard_->next_subscription() : events_out_.next_subscription();
    if (!prefix) break;
    core_.subscribed(now, *prefix, out_);
    look_at_events_ |= turn + 1 == turn_max;
  }
  for (int turn = 0; turn < turn_max; ++turn) {
    const auto event = events_in_.receive();
    if (!event) return false;
    if (guard_) {
      receive_guarded(now, *event);
    } else if (core_.passes_on(event->topic, event->event)) {
      events_out_.pass_on(events_in_);
      look_at_events_ = true;  // whoever sends through a socket may miss what it has to say
    } else {
      core_.receive_event(now, event->topic, event->event, out_);
    }
  }
  return look_at_events_ = true;
}

void shell::receive_guarded(detail::time_point now, const net::published& event) {
  const auto who = guard_->find(events_in_.user());
  if (!who) {
    ++strangers_;
  } else if (core_.passes_on(event.topic, event.event, who.get())) {
    guard_->send(event.topic, event.event);
  } else {
    core_.receive_event(now, event.topic, event.event, out_, who.get());
  }
}

/// What the log has done since the last time.
bool shell::receive_from_log() {
  log_->take(answers_);
  if (answers_.empty()) return false;
  const auto now = std::chrono::steady_clock::now();
  for (const auto& each : answers_.writes) core_.wrote(now, each.ticket, each.what, out_);
  for (const auto& each : answers_.reads) core_.looked_up(now, each.ticket, each.what, out_);
  for (const auto& each : answers_.notes) log(each);
  answers_ = {};
  return true;
}

/// Does what the core wants done. What cannot be sent goes back to it, and what it wants done then is done too.
void shell::perform() {
  while (!out_.empty() || !failed_.empty() || majordomo_.unsettled()) {
    const auto now = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < out_.messages(); ++i) send(now, out_.message_at(i).to, out_.message_at(i));
    for (const auto& each : out_.notes()) log(each);
    look_at_events_ |= !out_.broadcasts().empty();
    for (const auto& each : out_.broadcasts()) guard_ ? guard_->send(each.topic, each.event) : events_out_.send(each.topic, each.event);
    for (const auto peer : out_.forgotten()) forget(peer);
    log_->put(out_.log_writes, out_.log_reads);
    out_.clear();
    majordomo_.settle(now, core_, out_);
    for (const auto peer : std::exchange(failed_, {})) {
      auto& to = links_[static_cast<std::size_t>(peer)];
      if (!to.failed) continue;  // forgotten meanwhile
      std::vector<wire::message_view> left;
      for (const auto& each : to.backlog) left.push_back(each.message);
      core_.unreachable(now, peer, left, out_);
    }
  }
}

/// The message is gone afterwards, or kept.
void shell::send(detail::time_point now, peer_id peer, wire::message& message) {
  auto& to = links_[static_cast<std::size_t>(peer)];
  majordomo::frames parts;
  if (to.majordomo) {
    parts = majordomo_.translate(now, peer, message.bundle, out_);
    if (parts.empty()) return;
  }
  const auto fail = [&] {
    if (!std::exchange(to.failed, true)) failed_.push_back(peer);
  };
  if (to.backlog.empty() && !to.failed) {
    const auto how = to.majordomo ? commands_.send(to.routing_id, parts) : commands_.hand_over(to.routing_id, message);
    if (how == net::sent::yes) return;
    if (how == net::sent::unreachable) fail();
    to.stuck_since = now;
    backlogged_.push_back(peer);
  }
  // Kept even when all is lost: the core wants to know what has not left.
  auto& kept = to.backlog.emplace_back(unsent{std::move(message), {}});
  if (to.majordomo) kept.parts.assign(parts.begin(), parts.end());
  to.backlog_bytes += kept.bytes();
  if (to.backlog_bytes > backlog_bytes_max) fail();
}

net::sent shell::send_again(const link& to, unsent& kept) {
  if (kept.parts.empty()) return commands_.hand_over(to.routing_id, kept.message);
  const std::vector<std::string_view> parts{kept.parts.begin(), kept.parts.end()};
  return commands_.send(to.routing_id, parts);
}

void shell::send_backlogs(detail::time_point now) {
  std::erase_if(backlogged_, [&](peer_id peer) {
    auto& to = links_[static_cast<std::size_t>(peer)];
    while (!to.backlog.empty() && !to.failed) {
      const auto bytes = to.backlog.front().bytes();
      const auto how = send_again(to, to.backlog.front());
      if (how == net::sent::unreachable || (how == net::sent::full && now - to.stuck_since > backlog_time_max)) {
        to.failed = true;
        failed_.push_back(peer);
      }
      if (how != net::sent::yes) break;
      to.backlog_bytes -= bytes;
      to.backlog.pop_front();
      to.stuck_since = now;
    }
    return to.backlog.empty();
  });
}

void shell::forget(peer_id peer) {
  auto& gone = links_[static_cast<std::size_t>(peer)];
  numbers_.erase(gone.routing_id);
  if (!gone.backlog.empty()) std::erase(backlogged_, peer);
  if (gone.majordomo) majordomo_.forget(peer);
  if (gone.connection >= 0 && by_connection_[static_cast<std::size_t>(gone.connection)] == peer) {
    by_connection_[static_cast<std::size_t>(gone.connection)] = nobody;
  }
  gone = link{};
  free_numbers_.push_back(peer);
}

/// Connections that have ended: whoever came by one of them is probably gone.
void shell::receive_ends(detail::time_point now) {
  if (guard_) {
    for (const auto each : guard_->take_ended()) connection_ended(now, each);
  } else if (look_at_ends_ <= now) {
    while (const auto each = ends_->next()) connection_ended(now, *each);
    look_at_ends_ = now + ends_interval;
  }
  for (; !ended_.empty() && ended_.front().look_at <= now; ended_.pop_front()) core_.connection_ended(now, ended_.front().peer, out_);
}

/// The descriptor may be another's by now, and the number too: then somebody hears a pulse more.
void shell::connection_ended(detail::time_point now, int descriptor) {
  if (descriptor < 0 || static_cast<std::size_t>(descriptor) >= by_connection_.size()) return;
  const auto whose = by_connection_[static_cast<std::size_t>(descriptor)];
  if (whose != nobody) ended_.push_back({now + end_pause, whose});
}

/// The number of whoever sent the message that was received last.
peer_id shell::number_of(std::string_view routing_id) {
  if (const auto known = numbers_.find(routing_id); known != numbers_.end()) return known->second;
  if (free_numbers_.empty()) {
    free_numbers_.push_back(static_cast<peer_id>(links_.size()));
    links_.emplace_back();
  }
  const auto number = free_numbers_.back();
  free_numbers_.pop_back();
  auto& made = links_[static_cast<std::size_t>(number)];
  made.routing_id = routing_id;
  made.connection = commands_.connection();
  if (made.connection >= 0) {
    const auto connection = static_cast<std::size_t>(made.connection);
    if (by_connection_.size() <= connection) by_connection_.resize(connection + 1, nobody);
    connection_ended(std::chrono::steady_clock::now(), made.connection);  // of whoever had that descriptor before, and has not been missed yet
    by_connection_[connection] = number;
  }
  numbers_.emplace(routing_id, number);
  return number;
}

/// One line with the time in UTC. A flood of them is cut: the sums that follow tell how much it was.
void shell::log(const std::string& line) {
  if (++lines_logged_ > lines_max) return;
  const auto now = std::time(nullptr);
  std::tm utc{};
  char time[32];
  std::strftime(time, sizeof time, "%FT%TZ", ::gmtime_r(&now, &utc));
  // fmt::print would throw, and end the broker, when nobody reads its log.
  std::fprintf(stderr, "%s waggle-broker: %s\n", time, line.c_str());
}

void shell::log_what_was_dropped(detail::time_point now) {
  if (guard_) {
    for (const auto& each : guard_->take_notes()) log(each);
  }
  if (now < log_at_) return;
  log_at_ = now + log_interval;
  lines_logged_ = 0;
  const auto tell = [&](std::uint64_t more, const char* what) {
    if (more > 0) log(std::string{what} + " since the last such line: " + std::to_string(more));
  };
  const auto& counts = core_.counts();
  const auto say = [&](std::uint64_t counters::*which, const char* what) { tell(counts.*which - logged_.*which, what); };
  say(&counters::dead_workers, "workers that fell silent or lost their connection");
  say(&counters::retries, "calls that went back to their queue because a worker died or rejected them");
  say(&counters::broken_bundles, "messages that were not command frames, whose senders lost their seats");
  say(&counters::unasked_replies, "replies dropped because they were late, doubled or nobody's");
  say(&counters::overrun_parts, "calls that ended because their worker sent more parts than it had credit for");
  say(&counters::misplaced_frames, "frames refused because their peers may not send them");
  say(&counters::broken_events, "published messages dropped because they were not events");
  say(&counters::denied, "calls, joins and events that the roles of their senders do not allow");
  logged_ = counts;
  if (guard_) {
    const auto gate = guard_->counts();
    tell(gate.refused - gate_logged_.refused, "connections refused because of their keys");
    tell(gate.failed - gate_logged_.failed, "connections that failed before they had a key to show");
    gate_logged_ = gate;
    tell(strangers_ - std::exchange(strangers_logged_, strangers_), "messages dropped because the keys of their senders have gone");
  }
  const auto& events = core_.event_counts();
  const auto say_of_events = [&](std::uint64_t event_counters::*which, const char* what) { tell(events.*which - events_logged_.*which, what); };
  say_of_events(&event_counters::dropped, "events without receipt that could not be kept");
  say_of_events(&event_counters::failed, "deliveries of events and durable commands that failed");
  say_of_events(&event_counters::dead, "dead letters");
  say_of_events(&event_counters::damaged, "damaged records of the log that were met");
  say_of_events(&event_counters::log_failures, "events and marks that the log could not write");
  events_logged_ = events;
  const auto& from = majordomo_.counts();
  tell(from.dropped_requests - majordomo_logged_.dropped_requests, "Majordomo requests dropped because they were too large or too many");
  tell(from.failed_requests - majordomo_logged_.failed_requests, "Majordomo requests that failed, which their clients are not told");
  tell(from.refused_peers - majordomo_logged_.refused_peers, "Majordomo peers let go because of what they sent");
  majordomo_logged_ = from;
}

}  // namespace waggle::broker
