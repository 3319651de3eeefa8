#include "broker/shell.hpp"

#include <poll.h>

#include <cstdio>
#include <ctime>
#include <utility>

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

settings with_endpoints(settings from, const endpoints& bound) {
  from.events_in = bound.events_in;
  from.events_out = bound.events_out;
  return from;
}

}  // namespace

shell::shell(net::context& in, const endpoints& wanted, settings from, const majordomo::settings& majordomo)
    : commands_{in},
      events_in_{in},
      events_out_{in},
      bound_{commands_.bind(wanted.commands), events_in_.bind(wanted.events_in), events_out_.bind(wanted.events_out)},
      core_{with_endpoints(from, bound_)},
      majordomo_{majordomo, from.pulse} {
  events_in_.subscribe_to_all();
}

void shell::run(int stop_descriptor) {
  pollfd stop{stop_descriptor, POLLIN, 0};
  net::waiter waiter;
  while (::poll(&stop, 1, 0) < 1) {  // -1: a signal came in between
    // What has arrived is read before the clock is asked who has been silent for too long.
    bool busy = receive_commands();
    busy = receive_events() || busy;
    const auto now = std::chrono::steady_clock::now();
    majordomo_.tick(now, core_, out_);
    if (core_.next_deadline() <= now) core_.tick(now, out_);
    send_backlogs(now);
    perform();
    log_what_was_dropped(now);
    if (busy) continue;
    waiter.read(commands_);
    waiter.read(events_in_);
    waiter.read(events_out_);
    waiter.read(stop_descriptor);
    const auto until = std::min({core_.next_deadline(), majordomo_.next_deadline(), log_at_});
    waiter.wait_until(backlogged_.empty() ? until : std::min(until, now + backlog_pause));
  }
  // What was answered last still leaves.
  commands_.linger(std::chrono::milliseconds{200});
  events_out_.linger(std::chrono::milliseconds{200});
}

bool shell::receive_commands() {
  const auto now = std::chrono::steady_clock::now();
  for (int turn = 0; turn < turn_max; ++turn) {
    const auto message = commands_.receive();
    if (!message) return turn > 0;
    const auto from = number_of(message->from);
    if (message->parts_beyond == 0 && !majordomo_.has(from)) {
      core_.receive(now, from, message->bundle, out_);
    } else {
      receive_majordomo(now, from, commands_.parts(parts_));
    }
  }
  return true;
}

/// A message of several parts, or anything from somebody who speaks Majordomo.
void shell::receive_majordomo(detail::time_point now, peer_id from, bool is_whole) {
  if (!majordomo_.has(from) && !(is_whole && majordomo::adapter::recognises(parts_))) return core_.receive_parts(now, from, out_);
  if (!is_whole) parts_.clear();
  majordomo_.receive(now, from, parts_, core_, out_);
  for (const auto& each : majordomo_.take_replies()) commands_.send(links_[static_cast<std::size_t>(each.to)].routing_id, each.message);
}

bool shell::receive_events() {
  const auto now = std::chrono::steady_clock::now();
  bool busy = false;
  for (int turn = 0; turn < turn_max; ++turn) {
    const auto prefix = events_out_.next_subscription();
    if (!prefix) break;
    core_.subscribed(now, *prefix, out_);
    busy = true;
  }
  for (int turn = 0; turn < turn_max; ++turn) {
    const auto event = events_in_.receive();
    if (!event) return busy || turn > 0;
    core_.receive_event(now, event->topic, event->event, out_);
  }
  return true;
}

/// Does what the core wants done. What cannot be sent goes back to it, and what it wants done then is done too.
void shell::perform() {
  while (!out_.empty() || !failed_.empty() || !majordomo_answers_.empty()) {
    const auto now = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < out_.messages(); ++i) send(now, out_.message_at(i).to, out_.message_at(i).bytes);
    for (const auto& each : out_.notes()) log(each);
    for (const auto& each : out_.broadcasts()) events_out_.send(each.topic, each.event);
    for (const auto peer : out_.forgotten()) forget(peer);
    out_.clear();
    for (const auto& [peer, bundle] : std::exchange(majordomo_answers_, {})) {
      if (majordomo_.has(peer)) core_.receive(now, peer, bundle, out_);
    }
    for (const auto peer : std::exchange(failed_, {})) {
      auto& to = links_[static_cast<std::size_t>(peer)];
      if (!to.failed) continue;  // forgotten meanwhile
      const std::vector<std::string_view> unsent{to.backlog.begin(), to.backlog.end()};
      core_.unreachable(now, peer, unsent, out_);
    }
  }
}

void shell::send(detail::time_point now, peer_id peer, const std::string& bytes) {
  auto& to = links_[static_cast<std::size_t>(peer)];
  const auto fail = [&] {
    if (!std::exchange(to.failed, true)) failed_.push_back(peer);
  };
  if (to.backlog.empty() && !to.failed) {
    const auto how = transmit(peer, bytes);
    if (how == net::sent::yes) return;
    if (how == net::sent::unreachable) fail();
    to.stuck_since = now;
    backlogged_.push_back(peer);
  }
  // Kept even when all is lost: the core wants to know what has not left.
  to.backlog.push_back(bytes);
  to.backlog_bytes += bytes.size();
  if (to.backlog_bytes > backlog_bytes_max) fail();
}

net::sent shell::transmit(peer_id peer, const std::string& bytes) {
  const auto& to = links_[static_cast<std::size_t>(peer)];
  if (!majordomo_.has(peer)) return commands_.send(to.routing_id, bytes);
  auto [message, answer] = majordomo_.translate(peer, bytes);
  if (!answer.empty()) majordomo_answers_.emplace_back(peer, std::move(answer));
  const auto how = message.empty() ? net::sent::yes : commands_.send(to.routing_id, message);
  if (how == net::sent::yes) majordomo_.sent(peer, bytes);
  return how;
}

void shell::send_backlogs(detail::time_point now) {
  std::erase_if(backlogged_, [&](peer_id peer) {
    auto& to = links_[static_cast<std::size_t>(peer)];
    while (!to.backlog.empty() && !to.failed) {
      const auto how = transmit(peer, to.backlog.front());
      if (how == net::sent::unreachable || (how == net::sent::full && now - to.stuck_since > backlog_time_max)) {
        to.failed = true;
        failed_.push_back(peer);
      }
      if (how != net::sent::yes) break;
      to.backlog_bytes -= to.backlog.front().size();
      to.backlog.pop_front();
      to.stuck_since = now;
    }
    return to.backlog.empty();
  });
}

void shell::forget(peer_id peer) {
  auto& gone = links_[static_cast<std::size_t>(peer)];
  numbers_.erase(gone.routing_id);
  majordomo_.forget(peer);
  if (!gone.backlog.empty()) std::erase(backlogged_, peer);
  gone = link{};
  free_numbers_.push_back(peer);
}

peer_id shell::number_of(std::string_view routing_id) {
  if (const auto known = numbers_.find(routing_id); known != numbers_.end()) return known->second;
  if (free_numbers_.empty()) {
    free_numbers_.push_back(static_cast<peer_id>(links_.size()));
    links_.emplace_back();
  }
  const auto number = free_numbers_.back();
  free_numbers_.pop_back();
  links_[static_cast<std::size_t>(number)].routing_id = routing_id;
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
  if (now < log_at_) return;
  log_at_ = now + log_interval;
  lines_logged_ = 0;
  const auto say = [&](std::uint64_t now_is, std::uint64_t& was, const char* what) {
    if (now_is > was) log(std::string{what} + " since the last such line: " + std::to_string(now_is - was));
    was = now_is;
  };
  const auto& counts = core_.counts();
  say(counts.dead_workers, logged_.dead_workers, "workers that fell silent or lost their connection");
  say(counts.retries, logged_.retries, "calls that went back to their queue because a worker died or rejected them");
  say(counts.broken_bundles, logged_.broken_bundles, "messages that were not command frames, whose senders lost their seats");
  say(counts.unasked_replies, logged_.unasked_replies, "replies dropped because they were late, doubled or nobody's");
  say(counts.overrun_parts, logged_.overrun_parts, "calls that ended because their worker sent more parts than it had credit for");
  say(counts.misplaced_frames, logged_.misplaced_frames, "frames refused because their peers may not send them");
  say(counts.broken_events, logged_.broken_events, "published messages dropped because they were not events");
  const auto& old = majordomo_.counts();
  say(old.refused, majordomo_logged_.refused, "Majordomo messages that meant nothing, whose senders lost their seats");
  say(old.unanswered, majordomo_logged_.unanswered, "Majordomo requests that ended as an error, for which that protocol has no words");
}

}  // namespace waggle::broker
