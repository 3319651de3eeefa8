#include "sim/broker_host.hpp"

#include <algorithm>

namespace waggle::sim {

namespace {

/// Messages read before the clock is looked at.
constexpr int turn_max = 100;
/// A full pipe does not say when it has room again.
constexpr milliseconds backlog_pause{1};

void add(model::sums& to, const model::sums& more) {
  for (const auto each : {&model::sums::accepted, &model::sums::replied, &model::sums::abandoned, &model::sums::refused, &model::sums::leases,
                          &model::sums::again, &model::sums::requeued, &model::sums::taken_back, &model::sums::rejected, &model::sums::orphaned,
                          &model::sums::parts, &model::sums::dead, &model::sums::broken, &model::sums::drained, &model::sums::held,
                          &model::sums::announced, &model::sums::keyed, &model::sums::overrun, &model::sums::asked_to_leave,
                          &model::sums::expected, &model::sums::quick, &model::sums::rested, &model::sums::woken,
                          &model::sums::died_resting}) {
    to.*each += more.*each;
  }
}

}  // namespace

void broker_host::start(instant now) {
  limits_.instance = "broker-" + std::to_string(++started_);
  core_ = std::make_unique<broker::broker_core>(limits_);
  model_ = std::make_unique<model>(limits_, *core_, out_, log_);
  log_.say(now, limits_.instance + " starts");
}

void broker_host::crash() {
  if (!running()) return;
  add(before_, model_->totals());
  model_.reset();
  core_.reset();
  out_.clear();
  links_.clear();
  free_numbers_.clear();
  failed_.clear();
  net_.cut_all();
}

model::sums broker_host::totals() const {
  auto out = before_;
  if (running()) add(out, model_->totals());
  return out;
}

peer_id broker_host::number_of(std::uint32_t index) {
  auto& from = net_.at(index);
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

void broker_host::read(instant now) {
  // One message of each connection in turn, as ZeroMQ does it.
  int turns = turn_max;
  for (bool any = true; any && turns > 0;) {
    any = false;
    for (std::uint32_t i = 0; i < net_.size() && turns > 0; ++i) {
      const auto index = (turn_ + i) % net_.size();
      auto& from = net_.at(index).to_broker;
      if (!from.arrived(now)) continue;
      any = true;
      --turns;
      ++steps_;
      const auto message = std::move(from.under_way.front());
      from.under_way.pop_front();
      const auto number = number_of(index);
      log_.number(static_cast<std::uint64_t>(number));
      log_.bytes(message.what.bundle);
      for (const auto& each : message.what.attachments) log_.bytes(each.bytes());
      if (log_.verbose()) log_.say(now, "broker reads " + std::to_string(message.what.bytes()) + " bytes of peer " + std::to_string(static_cast<std::uint32_t>(number)));
      if (message.garbage) {
        core_->receive_garbage(clock(now), number, "garbage", out_);
        model_->received_garbage(clock(now), number);
      } else {
        core_->receive(clock(now), number, message.what, out_);
        model_->received(clock(now), number, message.what);
      }
      // Now and then the outbox is done before more is read, as by a shell that has nothing else to read.
      if (chance_.chance(1, 4)) perform(now);
    }
  }
  if (net_.size() > 0) turn_ = (turn_ + 1) % net_.size();
}

/// Of some connections the shell hears that they have ended, and may be wrong about whose they were.
void broker_host::tell_of_ends(instant now) {
  if (!climate_.idle) return;
  for (std::size_t i = 0; i < links_.size(); ++i) {
    auto& each = links_[i];
    if (each.connection == nobody || each.ended || (net_.at(each.connection).up && !chance_.chance(1, 1000))) continue;
    each.ended = !net_.at(each.connection).up;
    if (chance_.chance(1, 2)) continue;
    ++steps_;
    core_->connection_ended(clock(now), static_cast<peer_id>(i), out_);
    model_->connection_ended(clock(now), static_cast<peer_id>(i));
  }
}

void broker_host::wake(instant now) {
  if (!running() || frozen_until_ > now) return;
  read(now);
  tell_of_ends(now);
  if (core_->next_deadline() <= clock(now)) {
    ++steps_;
    core_->tick(clock(now), out_);
    model_->ticked(clock(now));
  }
  send_backlogs(now);
  perform(now);
}

instant broker_host::next_wake(instant now) const {
  if (!running()) return instant::max();
  auto next = core_->next_deadline();
  if (next != instant::max()) next -= ahead_;
  for (std::uint32_t i = 0; i < net_.size(); ++i) {
    const auto& under_way = net_.at(i).to_broker.under_way;
    if (!under_way.empty()) next = std::min(next, under_way.front().at);
  }
  for (const auto& each : links_) {
    if (!each.backlog.empty() && !each.failed) next = std::min(next, now + backlog_pause);
  }
  return std::max({next, frozen_until_, now});
}

void broker_host::perform(instant now) {
  while (!out_.empty() || !failed_.empty()) {
    for (std::size_t i = 0; i < out_.messages(); ++i) send(now, out_.message_at(i).to, out_.message_at(i));
    for (const auto& each : out_.notes()) log_.say(now, each);
    for (const auto peer : out_.forgotten()) forget(peer);
    out_.clear();
    model_->cleared();
    for (const auto peer : std::exchange(failed_, {})) {
      auto& to = links_[static_cast<std::size_t>(peer)];
      if (!to.failed) continue;
      const std::vector<wire::message_view> unsent{to.backlog.begin(), to.backlog.end()};
      ++steps_;
      if (log_.verbose()) log_.say(now, "peer " + std::to_string(static_cast<std::uint32_t>(peer)) + " is unreachable, " + std::to_string(unsent.size()) + " unsent");
      core_->unreachable(clock(now), peer, unsent, out_);
      model_->unreachable(clock(now), peer, unsent);
    }
  }
}

void broker_host::send(instant now, peer_id peer, const wire::message& message) {
  const auto number = static_cast<std::size_t>(peer);
  if (number >= links_.size() || links_[number].connection == nobody) throw violation{"a message to a peer that is forgotten"};
  auto& to = links_[number];
  log_.number(number);
  log_.bytes(message.bundle);
  for (const auto& each : message.attachments) log_.bytes(each.bytes());
  const auto fail = [&] {
    if (!std::exchange(to.failed, true)) failed_.push_back(peer);
  };
  if (to.backlog.empty() && !to.failed) {
    const auto how = net_.to_peer(now, to.connection, message);
    if (how == sent::yes) return;
    if (how == sent::unreachable) fail();
    to.stuck_since = now;
  }
  to.backlog.push_back(message);
  to.backlog_bytes += message.bytes();
  if (to.backlog_bytes > climate_.backlog_bytes_max) fail();
}

void broker_host::send_backlogs(instant now) {
  for (std::size_t i = 0; i < links_.size(); ++i) {
    auto& to = links_[i];
    while (!to.backlog.empty() && !to.failed) {
      const auto how = net_.to_peer(now, to.connection, to.backlog.front());
      if (how == sent::unreachable || (how == sent::full && now - to.stuck_since > climate_.backlog_time_max)) {
        to.failed = true;
        failed_.push_back(static_cast<peer_id>(i));
      }
      if (how != sent::yes) break;
      to.backlog_bytes -= to.backlog.front().bytes();
      to.backlog.pop_front();
      to.stuck_since = now;
    }
  }
}

void broker_host::forget(peer_id peer) {
  const auto number = static_cast<std::size_t>(peer);
  if (number >= links_.size() || links_[number].connection == nobody) throw violation{"a peer is forgotten twice"};
  net_.at(links_[number].connection).numbered = false;
  links_[number] = link{};
  free_numbers_.push_back(peer);
}

}  // namespace waggle::sim
