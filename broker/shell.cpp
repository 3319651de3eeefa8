#include "broker/shell.hpp"

#include <fmt/core.h>
#include <poll.h>

#include <utility>

namespace waggle::broker {

namespace {

/// Messages taken from one socket before the others have their turn.
constexpr int turn_max = 1000;
constexpr std::chrono::seconds log_interval{10};

settings with_endpoints(settings from, const endpoints& bound) {
  from.events_in = bound.events_in;
  from.events_out = bound.events_out;
  return from;
}

}  // namespace

shell::shell(net::context& in, const endpoints& wanted, settings from)
    : commands_{in},
      events_in_{in},
      events_out_{in},
      bound_{commands_.bind(wanted.commands), events_in_.bind(wanted.events_in), events_out_.bind(wanted.events_out)},
      core_{with_endpoints(std::move(from), bound_)} {
  events_in_.subscribe_to_all();
}

void shell::run(int stop_descriptor) {
  pollfd stop{stop_descriptor, POLLIN, 0};
  net::waiter waiter;
  while (::poll(&stop, 1, 0) == 0) {
    // What has arrived is read before the clock is asked who has been silent for too long.
    bool busy = receive_commands();
    busy = receive_events() || busy;
    const auto now = std::chrono::steady_clock::now();
    if (core_.next_deadline() <= now) core_.tick(now, out_);
    perform();
    log_what_was_dropped(now);
    if (busy) continue;
    waiter.read(commands_);
    waiter.read(events_in_);
    waiter.read(events_out_);
    waiter.read(stop_descriptor);
    waiter.wait_until(std::min(core_.next_deadline(), log_at_));
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
    if (message->parts_beyond == 0) {
      core_.receive(now, from, message->bundle, out_);
    } else {
      core_.receive_parts(now, from, out_);
    }
  }
  return true;
}

bool shell::receive_events() {
  const auto now = std::chrono::steady_clock::now();
  while (const auto prefix = events_out_.next_subscription()) core_.subscribed(now, *prefix, out_);
  for (int turn = 0; turn < turn_max; ++turn) {
    const auto event = events_in_.receive();
    if (!event) return turn > 0;
    core_.receive_event(now, event->topic, event->event, out_);
  }
  return true;
}

/// Does what the core wants done. What cannot be sent goes back to it, and what it wants done then is done too.
void shell::perform() {
  while (!out_.empty()) {
    for (std::size_t i = 0; i < out_.messages(); ++i) {
      const auto& message = out_.message_at(i);
      const auto& routing_id = routing_ids_[static_cast<std::size_t>(message.to)];
      if (commands_.send(routing_id, message.bytes) != net::sent::yes) failed_.push_back(message.to);
    }
    for (const auto& each : out_.broadcasts()) events_out_.send(each.topic, each.event);
    for (const auto peer : out_.forgotten()) {
      auto& routing_id = routing_ids_[static_cast<std::size_t>(peer)];
      numbers_.erase(routing_id);
      routing_id.clear();
      free_numbers_.push_back(peer);
      std::erase(failed_, peer);
    }
    out_.clear();
    for (const auto peer : failed_) core_.unreachable(std::chrono::steady_clock::now(), peer, out_);
    failed_.clear();
  }
}

peer_id shell::number_of(std::string_view routing_id) {
  if (const auto known = numbers_.find(routing_id); known != numbers_.end()) return known->second;
  if (free_numbers_.empty()) {
    free_numbers_.push_back(static_cast<peer_id>(routing_ids_.size()));
    routing_ids_.emplace_back();
  }
  const auto number = free_numbers_.back();
  free_numbers_.pop_back();
  routing_ids_[static_cast<std::size_t>(number)] = routing_id;
  numbers_.emplace(routing_id, number);
  return number;
}

void shell::log_what_was_dropped(detail::time_point now) {
  if (now < log_at_) return;
  log_at_ = now + log_interval;
  const auto& counts = core_.counts();
  const auto say = [&](std::uint64_t counters::*which, const char* what) {
    if (const auto more = counts.*which - logged_.*which; more > 0) fmt::print(stderr, "waggle-broker: {} {}\n", more, what);
  };
  say(&counters::dead_workers, "workers fell silent or lost their connection");
  say(&counters::broken_bundles, "messages were not command frames; their senders lost their seats");
  say(&counters::unasked_replies, "replies were late, doubled or nobody's, and dropped");
  say(&counters::misplaced_frames, "frames came from a peer that may not send them, and were refused");
  say(&counters::broken_events, "published messages were not events, and dropped");
  logged_ = counts;
}

}  // namespace waggle::broker
