#include "sim/events/world.hpp"

#include <algorithm>

namespace waggle::sim {

using namespace std::chrono_literals;

event_world::event_world(std::uint64_t seed, bool verbose)
    : climate_{event_climate_of(seed)}, wild_{climate_}, chance_{seed}, log_{verbose} {
  const auto add = [&](auto& list, std::uint32_t count) {
    using each = typename std::remove_reference_t<decltype(list)>::value_type::element_type;
    for (; count > 0; --count) {
      list.push_back(std::make_unique<each>(around_, static_cast<std::uint32_t>(actors_.size())));
      actors_.push_back(list.back().get());
      actors_.back()->restart_after(now_, milliseconds{chance_.below(1000)});
    }
  };
  add(emitters_, climate_.emitters);
  add(members_, climate_.members);
  add(clients_, climate_.clients);
  add(operators_, climate_.operators);
  add(subscribers_, climate_.subscribers);
  broker_.start(now_);
  around_.broker_up = true;
  fault_at_ = now_ + climate_.net.fault_every;
}

void event_world::step() {
  ++steps_;
  instant next = std::min(broker_.next_wake(now_), broker_starts_at_);
  actor* who = nullptr;
  for (auto* const each : actors_) {
    const auto wants = each->next(now_);
    if (wants < next) {
      next = wants;
      who = each;
    }
  }
  const bool is_fault = !around_.calm && fault_at_ < next;
  if (is_fault) next = fault_at_;
  if (next > now_) stands_since_ = steps_;
  if (steps_ - stands_since_ > 20 * actors_.size() + 1000) throw violation{"somebody wants the clock again and again, and time stands still"};
  now_ = std::max(now_, next);
  log_.number(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
  if (is_fault) return fault();
  if (who != nullptr) return who->wake(now_);
  if (broker_starts_at_ <= now_) {
    broker_starts_at_ = instant::max();
    broker_.start(now_);
    around_.broker_up = true;
    return;
  }
  broker_.wake(now_);
}

void event_world::until(instant when) {
  while (now_ < when) step();
}

std::uint32_t event_world::some_connection() {
  std::vector<std::uint32_t> up;
  for (std::uint32_t i = 0; i < net_.size(); ++i) {
    if (net_.at(i).up) up.push_back(i);
  }
  return up.empty() ? nobody : chance_.pick(up);
}

void event_world::crash(bool power) {
  if (!broker_.running()) return;
  log_.say(now_, power ? "the power goes off" : "broker crashes");
  broker_.crash(now_, power);
  around_.broker_up = false;
  broker_starts_at_ = now_ + milliseconds{chance_.below(5000)};
}

void event_world::damage_something() {
  const auto& stream = chance_.pick(climate_.events.topics.streams).stream;
  const auto known = books_.streams().find(stream);
  if (known == books_.streams().end() || known->second.first > known->second.head) return;
  const auto sequence = chance_.between(known->second.first, known->second.head);
  if (known->second.events.at(sequence).damaged) return;
  log_.say(now_, "event " + std::to_string(sequence) + " of " + stream + " is damaged");
  broker_.station().under().damage(stream, sequence);
  books_.damage(now_, stream, sequence);
}

void event_world::fault() {
  const auto& in = climate_;
  const auto& net = in.net;
  fault_at_ = now_ + microseconds{chance_.between(1, 2 * static_cast<std::uint64_t>(net.fault_every.count()))};
  const std::uint32_t weights[] = {net.disconnects, net.stalls, net.freezes, net.crashes, net.departures, net.broker_freezes,
                                   net.broker_crashes, in.power_cuts, in.disk_full, in.disk_errors, in.silences, in.damage};
  std::uint64_t total = 0;
  for (const auto each : weights) total += each;
  if (total == 0) return;
  auto drawn = chance_.below(total);
  std::size_t kind = 0;
  while (drawn >= weights[kind]) drawn -= weights[kind++];

  auto* const who = chance_.pick(actors_);
  const auto connection = some_connection();
  const auto time = [&](std::uint64_t often, std::uint64_t seldom) { return milliseconds{chance_.below(chance_.chance(1, 5) ? seldom : often)}; };
  const auto say = [&](const std::string& what) {
    if (log_.verbose()) log_.say(now_, what + ", actor " + std::to_string(who->number()));
  };
  switch (kind) {
    case 0:
      if (connection == nobody) return;
      if (log_.verbose()) log_.say(now_, "connection " + std::to_string(connection) + " is cut, of actor " + std::to_string(net_.at(connection).owner));
      return net_.cut(now_, connection, chance_.chance(1, 2));
    case 1:
      if (connection != nobody) net_.stall(connection, now_ + time(1000, 20'000));
      return;
    case 2:
      say("freeze");
      return who->freeze(now_, now_ + time(1500, 30'000));
    case 3:
      if (!who->running()) return;
      say("crash");
      who->crash(now_);
      return who->restart_after(now_, time(1000, 20'000));
    case 4: return chance_.pick(members_)->depart(now_);
    case 5: {
      const auto pause = time(1500, 20'000);
      log_.say(now_, "broker stands still for " + std::to_string(pause.count()) + " ms");
      return broker_.freeze(now_, now_ + pause);
    }
    case 6: return crash(false);
    case 7: return crash(true);
    case 8:
      log_.say(now_, "the disk is full");
      return broker_.station().under().fail(now_ + time(2000, 20'000), status::resource_exhausted);
    case 9:
      log_.say(now_, "the disk fails");
      return broker_.station().under().fail(now_ + time(2000, 20'000), status::unavailable);
    case 10: {
      auto& quiet = *chance_.pick(members_);
      if (log_.verbose()) log_.say(now_, "member " + std::to_string(quiet.number()) + " falls silent");
      return quiet.fall_silent(now_ + time(4000, 20'000));
    }
    default: return damage_something();
  }
}

/// Faults stop and nobody begins anything: everything must be over soon.
void event_world::calm_down() {
  log_.say(now_, "calm");
  around_.calm = true;
  climate_.errors = 0;
  climate_.net.spikes = 0;
  climate_.net.delay_max = std::min<microseconds>(climate_.net.delay_max, 1ms);
  climate_.net.pipe_messages_max = std::max<std::size_t>(climate_.net.pipe_messages_max, 1000);
  climate_.net.backlog_bytes_max = 64u << 20;
  climate_.commit_max = std::min<microseconds>(climate_.commit_max, 5ms);
  climate_.slots_max = std::max<std::uint32_t>(climate_.slots_max, 5);
  broker_.thaw(now_);
  broker_.station().under().fail(now_, status::ok);
  if (!broker_.running()) broker_starts_at_ = now_;
  for (auto& each : members_) each->fall_silent(now_);
  for (auto* const each : actors_) each->thaw(now_);
  until(now_ + 20s);
  for (auto& each : members_) each->take_everything();
  until(now_ + 70s);
  // A group that is far behind has much to do, and gets it done.
  for (int left = 60; left > 0 && !books_.is_over(); --left) until(now_ + 10s);
  for (const auto& each : emitters_) {
    if (each->open() != 0) throw violation{"with nothing wrong any more, an EMIT is not answered"};
  }
  for (const auto& each : clients_) {
    if (each->open() != 0) throw violation{"with nothing wrong any more, it is not answered: " + each->open_in_words()};
  }
  for (const auto& each : operators_) {
    if (each->open() != 0) throw violation{"with nothing wrong any more, an operator is not answered"};
  }
  for (const auto& each : members_) {
    if (!each->joined()) throw violation{"with nothing wrong any more, member " + std::to_string(each->number()) + " does not join again"};
    if (each->at_hand() != 0) throw violation{"a member still has what nobody waits for"};
  }
  books_.all_is_over();
  look_at_everything();
}

void event_world::look_at_everything() {
  for (const auto& topic : climate_.topics) emitters_.front()->emit_now(now_, topic);
  until(now_ + 5s);
  if (emitters_.front()->open() != 0) throw violation{"with nothing wrong any more, an EMIT is not answered soon"};
  books_.all_is_over();
  for (const auto& each : subscribers_) each->all_is_there();
  around_.quiet = true;
  if (broker_.core().appending() != 0) throw violation{"with nothing wrong any more, events are on their way to the log"};
  if (broker_.core().open_calls() != 0) throw violation{"with nothing wrong any more, calls are open that nobody waits for"};
  if (broker_.core().kept_bytes() != 0) throw violation{"with nothing wrong any more, bytes are kept for nobody"};
  // Some are under way now and then: how far the groups are, and what is forgotten.
  for (int left = 100; left > 0 && broker_.station().waiting() != 0; --left) until(now_ + 20ms);
  if (broker_.station().waiting() != 0) throw violation{"with nothing wrong any more, entries wait to be written"};
  auto& person = *operators_.front();
  for (const auto& [stream, of] : books_.streams()) {
    if (stream != "waggle.later") person.read_stream(now_, stream);
    until(now_ + 1s);
  }
  person.look_at_groups(now_);
  for (const auto& [id, of] : books_.letters()) {
    person.look_at_dead(now_, id);
    until(now_ + 10ms);
  }
  for (auto& each : clients_) each->ask_for_all(now_);
  until(now_ + 3s);
  if (person.open() != 0) throw violation{"with nothing wrong any more, an operator is not answered soon"};
  for (auto& each : clients_) {
    if (each->open() != 0) throw violation{"with nothing wrong any more, an outcome is not told soon"};
  }
}

void event_world::run(std::uint64_t steps) {
  for (;;) {
    const auto wild_until = std::min(steps, steps_ + wild_steps);
    while (steps_ < wild_until) step();
    if (steps_ >= steps && steps < wild_steps / 20) return;  // too short for more
    calm_down();
    if (steps_ >= steps) return;
    climate_ = wild_;
    around_.calm = around_.quiet = false;
    fault_at_ = now_ + climate_.net.fault_every;
    for (auto& each : members_) each->take_what_it_likes();
    for (auto* const each : actors_) each->thaw(now_);
  }
}

}  // namespace waggle::sim
