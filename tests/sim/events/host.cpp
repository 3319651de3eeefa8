#include "sim/events/host.hpp"

#include <algorithm>
#include <utility>

namespace waggle::sim {

using broker::peer_id;

namespace {

/// Messages read before the clock is looked at.
constexpr int turn_max = 100;
/// A full pipe does not say when it has room again.
constexpr milliseconds backlog_pause{1};

}  // namespace

void event_host::start(instant now) {
  auto limits = around_.events.net.limits;
  limits.instance = "broker-" + std::to_string(++around_.started);
  core_ = std::make_unique<broker::broker_core>(limits, around_.events.events);
  around_.log.say(now, limits.instance + " starts");
  const auto contents = station_.open(now);
  for (const auto& each : contents.streams) {
    const auto known = around_.books.streams().find(each.stream);
    const auto head = known == around_.books.streams().end() ? 0 : known->second.head;
    if (each.head != head) throw violation{"after a restart the stream " + each.stream + " ends at " + std::to_string(each.head) + " and not at " + std::to_string(head)};
  }
  core_->open_log(now, contents, out_);
  perform(now);
}

void event_host::crash(instant now, bool power) {
  if (!running()) return;
  station_.crash(now, power);
  core_.reset();
  out_.clear();
  links_.clear();
  free_numbers_.clear();
  failed_.clear();
  around_.net.cut_all();
  for (auto* const each : around_.subscribers) each->cut(now);
  around_.books.broker_gone();
}

peer_id event_host::number_of(std::uint32_t index) {
  auto& from = around_.net.at(index);
  if (from.numbered) return from.number;
  if (free_numbers_.empty()) {
    free_numbers_.push_back(static_cast<peer_id>(links_.size()));
    links_.emplace_back();
  }
  from.number = free_numbers_.back();
  from.numbered = true;
  free_numbers_.pop_back();
  links_[static_cast<std::size_t>(from.number)].connection = index;
  return from.number;
}

void event_host::read(instant now) {
  // One message of each connection in turn, as ZeroMQ does it.
  auto& net = around_.net;
  int turns = turn_max;
  for (bool any = true; any && turns > 0;) {
    any = false;
    for (std::uint32_t i = 0; i < net.size() && turns > 0; ++i) {
      const auto index = (turn_ + i) % net.size();
      auto& from = net.at(index).to_broker;
      if (!from.arrived(now)) continue;
      any = true;
      --turns;
      const auto message = std::move(from.under_way.front());
      from.under_way.pop_front();
      const auto number = number_of(index);
      around_.log.number(static_cast<std::uint64_t>(number));
      around_.log.bytes(message.what.bundle);
      wire::bundle_reader frames{message.what};
      wire::frame each;
      while (frames.next(each) == wire::decoded::frame) around_.books.reads(now, static_cast<std::uint32_t>(number), each);
      core_->receive(now, number, message.what, out_);
      // Now and then the outbox is done before more is read, as by a shell that has nothing else to read.
      if (around_.chance.chance(1, 4)) perform(now);
    }
  }
  if (net.size() > 0) turn_ = (turn_ + 1) % net.size();
}

void event_host::read_log(instant now) {
  log_station::answer each;
  while (station_.receive(now, each)) {
    if (const auto* const wrote = std::get_if<0>(&each.what)) {
      core_->wrote(now, wrote->ticket, wrote->what, out_);
    } else {
      core_->looked_up(now, std::get<1>(each.what).ticket, std::get<1>(each.what).what, out_);
    }
  }
}

void event_host::wake(instant now) {
  station_.wake(now);
  if (!running() || frozen_until_ > now) return;
  read(now);
  read_log(now);
  for (auto* const each : around_.subscribers) {
    if (!each->wants_connection(now)) continue;
    for (const auto& prefix : each->prefixes()) core_->subscribed(now, prefix, out_);
    each->connect();
  }
  if (core_->next_deadline() <= now) core_->tick(now, out_);
  send_backlogs(now);
  perform(now);
  station_.wake(now);
  const auto& limits = around_.events.events;
  if (core_->appending() > limits.appending_max) throw violation{"more events are on their way to the log than may be"};
}

instant event_host::next_wake(instant now) const {
  auto disk = station_.next(now);
  if (!running()) return std::max(disk, now);
  if (frozen_until_ > now && disk <= now) disk = frozen_until_;  // answers that nobody fetches
  auto next = core_->next_deadline();
  for (std::uint32_t i = 0; i < around_.net.size(); ++i) {
    const auto& under_way = around_.net.at(i).to_broker.under_way;
    if (!under_way.empty()) next = std::min(next, under_way.front().at);
  }
  for (const auto& each : links_) {
    if (!each.backlog.empty() && !each.failed) next = std::min(next, now + backlog_pause);
  }
  for (const auto* const each : around_.subscribers) next = std::min(next, each->connects_at());
  return std::max(std::min(disk, std::max(next, frozen_until_)), now);
}

void event_host::perform(instant now) {
  while (!out_.empty() || !failed_.empty()) {
    for (auto& each : out_.log_writes) station_.write(each.ticket, std::move(each.what));
    for (auto& each : out_.log_reads) station_.read(each.ticket, std::move(each.what));
    for (std::size_t i = 0; i < out_.messages(); ++i) {
      if (!out_.message_at(i).bundle.empty()) send(now, out_.message_at(i).to, out_.message_at(i).bundle);
    }
    for (const auto& each : out_.broadcasts()) {
      around_.books.broadcast(each.topic, each.event);
      for (auto* const to : around_.subscribers) to->publish(now, each.topic, each.event, around_.calm);
    }
    for (const auto& each : out_.notes()) around_.log.say(now, "broker: " + each);
    for (const auto peer : out_.forgotten()) forget(peer);
    out_.clear();
    for (const auto peer : std::exchange(failed_, {})) {
      auto& to = links_[static_cast<std::size_t>(peer)];
      if (!to.failed) continue;
      const std::vector<wire::message_view> unsent{to.backlog.begin(), to.backlog.end()};
      if (around_.log.verbose()) around_.log.say(now, "peer " + std::to_string(static_cast<std::uint32_t>(peer)) + " is unreachable, " + std::to_string(unsent.size()) + " unsent");
      around_.books.peer_gone(static_cast<std::uint32_t>(peer));
      core_->unreachable(now, peer, unsent, out_);
      // Members hear from the broker's pulses that they have lost their seats; others would wait for their answers for ever.
      if (auto& connection = around_.net.at(to.connection); to.connection != nobody && connection.up && !around_.is_member(connection.owner)) {
        around_.net.cut(now, to.connection, true);
      }
    }
  }
}

void event_host::has_left(instant now, peer_id to, const std::string& bytes, bool late) {
  wire::bundle_reader frames{bytes};
  wire::frame each;
  while (frames.next(each) == wire::decoded::frame) around_.books.sends(now, static_cast<std::uint32_t>(to), each, late);
}

void event_host::send(instant now, peer_id peer, const std::string& bytes) {
  const auto number = static_cast<std::size_t>(peer);
  if (number >= links_.size() || links_[number].connection == nobody) throw violation{"a message to a peer that is forgotten"};
  auto& to = links_[number];
  around_.log.number(number);
  around_.log.bytes(bytes);
  wire::bundle_reader frames{bytes};
  wire::frame each;
  while (frames.next(each) == wire::decoded::frame) around_.books.offers(each);
  const auto fail = [&] {
    if (!std::exchange(to.failed, true)) failed_.push_back(peer);
  };
  if (to.backlog.empty() && !to.failed) {
    const auto how = around_.net.to_peer(now, to.connection, bytes);
    if (how == sent::yes) return has_left(now, peer, bytes, false);
    if (how == sent::unreachable) fail();
    to.stuck_since = now;
  }
  to.backlog.push_back(bytes);
  to.backlog_bytes += bytes.size();
  if (to.backlog_bytes > around_.events.net.backlog_bytes_max) fail();
}

void event_host::send_backlogs(instant now) {
  for (std::size_t i = 0; i < links_.size(); ++i) {
    auto& to = links_[i];
    while (!to.backlog.empty() && !to.failed) {
      const auto how = around_.net.to_peer(now, to.connection, to.backlog.front());
      if (how == sent::unreachable || (how == sent::full && now - to.stuck_since > around_.events.net.backlog_time_max)) {
        to.failed = true;
        failed_.push_back(static_cast<peer_id>(i));
      }
      if (how != sent::yes) break;
      has_left(now, static_cast<peer_id>(i), to.backlog.front(), true);
      to.backlog_bytes -= to.backlog.front().size();
      to.backlog.pop_front();
      to.stuck_since = now;
    }
  }
}

void event_host::forget(peer_id peer) {
  const auto number = static_cast<std::size_t>(peer);
  if (number >= links_.size() || links_[number].connection == nobody) throw violation{"a peer is forgotten twice"};
  around_.books.peer_gone(static_cast<std::uint32_t>(peer));
  around_.net.at(links_[number].connection).numbered = false;
  links_[number] = link{};
  free_numbers_.push_back(peer);
}

}  // namespace waggle::sim
