#include "sim/world.hpp"

#include <algorithm>
#include <set>

namespace waggle::sim {

using namespace std::chrono_literals;

world::world(std::uint64_t seed, bool verbose)
    : climate_{climate_of(seed)}, wild_{climate_}, chance_{seed}, log_{verbose}, book_{climate_.limits.attempts_max} {
  const auto add = [&](auto& list, std::uint32_t count, auto&&... more) {
    using each = typename std::remove_reference_t<decltype(list)>::value_type::element_type;
    for (; count > 0; --count) {
      list.push_back(std::make_unique<each>(around_, static_cast<std::uint32_t>(actors_.size()), more...));
      actors_.push_back(list.back().get());
      actors_.back()->restart_after(now_, milliseconds{chance_.below(1000)});
    }
  };
  add(callers_, climate_.callers);
  add(workers_, climate_.workers);
  add(raw_peers_, climate_.raw_peers, leases_seen_);
  broker_.start(now_);
  around_.broker_up = true;
  fault_at_ = now_ + climate_.fault_every;
}

void world::step() {
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
  if (!around_.calm && fault_at_ < next) {
    if (fault_at_ > now_) stands_since_ = steps_;
    now_ = std::max(now_, fault_at_);
    log_.number(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
    return fault();
  }
  if (next > now_) stands_since_ = steps_;
  if (steps_ - stands_since_ > 20 * actors_.size() + 1000) throw violation{"somebody wants the clock again and again, and time stands still"};
  now_ = std::max(now_, next);
  log_.number(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
  if (who != nullptr) return who->wake(now_);
  if (broker_starts_at_ <= now_) {
    broker_starts_at_ = instant::max();
    broker_.start(now_);
    around_.broker_up = true;
    return;
  }
  broker_.wake(now_);
}

void world::until(instant when) {
  while (now_ < when) step();
}

std::uint32_t world::some_connection() {
  std::vector<std::uint32_t> up;
  for (std::uint32_t i = 0; i < net_.size(); ++i) {
    if (net_.at(i).up) up.push_back(i);
  }
  return up.empty() ? nobody : chance_.pick(up);
}

void world::broker_fault() {
  const auto which = chance_.below(climate_.broker_freezes + climate_.broker_crashes);
  if (which < climate_.broker_freezes) {
    const auto time = milliseconds{chance_.chance(1, 5) ? chance_.below(20'000) : chance_.below(1500)};
    log_.say(now_, "broker stands still for " + std::to_string(time.count()) + " ms");
    return broker_.freeze(now_, now_ + time);
  }
  if (!broker_.running()) return;
  log_.say(now_, "broker crashes");
  broker_.crash();
  around_.broker_up = false;
  broker_starts_at_ = now_ + milliseconds{chance_.below(5000)};
}

void world::fault() {
  const auto& in = climate_;
  fault_at_ = now_ + microseconds{chance_.between(1, 2 * static_cast<std::uint64_t>(in.fault_every.count()))};
  const std::uint32_t weights[] = {in.disconnects, in.stalls, in.freezes, in.crashes, in.departures, in.garbage, in.clock_steps,
                                   in.broker_freezes + in.broker_crashes};
  std::uint64_t total = 0;
  for (const auto each : weights) total += each;
  if (total == 0) return;
  auto drawn = chance_.below(total);
  std::size_t kind = 0;
  while (drawn >= weights[kind]) drawn -= weights[kind++];

  auto* const who = chance_.pick(actors_);
  const auto connection = some_connection();
  const auto say = [&](const char* what) {
    if (log_.verbose()) log_.say(now_, std::string{what} + ", actor " + std::to_string(who->number()));
  };
  switch (kind) {
    case 0:
      if (connection == nobody) return;
      if (log_.verbose()) log_.say(now_, "connection " + std::to_string(connection) + " is cut");
      return net_.cut(now_, connection, chance_.chance(1, 2));
    case 1:
      if (connection != nobody) net_.stall(connection, now_ + milliseconds{chance_.chance(1, 4) ? chance_.below(20'000) : chance_.below(1000)});
      return;
    case 2:
      say("freeze");
      return who->freeze(now_, now_ + milliseconds{chance_.chance(1, 30) ? chance_.below(1'000'000) : chance_.chance(1, 4) ? chance_.below(20'000) : chance_.below(1500)});
    case 3:
      if (!who->running()) return;
      say("crash");
      who->crash(now_);
      return who->restart_after(now_, milliseconds{chance_.below(chance_.chance(1, 4) ? 20'000 : 1000)});
    case 4: return chance_.pick(workers_)->depart(now_);
    case 5: {
      if (connection == nobody) return;
      // Bytes that are no frame at all: a frame that is only a little wrong might say something else than its sender meant.
      std::string bytes{"\xc1"};
      for (auto left = chance_.below(20); left > 0; --left) bytes += static_cast<char>(chance_.below(256));
      if (chance_.chance(1, 2)) {
        net_.to_broker(now_, connection, bytes, chance_.chance(1, 4));
      } else {
        net_.to_peer(now_, connection, bytes);
      }
      return;
    }
    case 6: {
      const auto by = milliseconds{chance_.chance(1, 3) ? chance_.below(100'000'000) : chance_.below(5000)};
      if (log_.verbose()) log_.say(now_, "a clock jumps by " + std::to_string(by.count()) + " ms, actor " + std::to_string(who->number()));
      if (chance_.chance(1, 3)) return broker_.step_clock(chance_.chance(1, 4) ? -std::min<milliseconds>(by, 2000ms) : by);
      return who->step_clock(by);
    }
    default: return broker_fault();
  }
}

/// Faults stop and nobody begins anything: everything must end.
void world::calm_down() {
  log_.say(now_, "calm");
  around_.calm = true;
  climate_.spikes = 0;
  climate_.delay_max = std::min<microseconds>(climate_.delay_max, 1ms);
  climate_.pipe_messages_max = std::max<std::size_t>(climate_.pipe_messages_max, 100);
  broker_.thaw(now_);
  if (!broker_.running()) broker_starts_at_ = now_;
  for (auto& each : raw_peers_) each->crash(now_);
  for (auto* const each : actors_) each->thaw(now_);
  for (auto& each : raw_peers_) each->restart_after(now_, 1h);
  until(now_ + 20s);
  for (const auto& each : climate_.commands) callers_.front()->resume(now_, each);
  // Budgets and handlers take half a minute at most; then the last of the dead are found and others take their calls.
  until(now_ + 70s);
  for (const auto& each : callers_) {
    if (each->open_calls() != 0) throw violation{"with nothing wrong any more, a call does not end"};
  }
  if (broker_.core().open_calls() != 0) throw violation{"calls are open that nobody waits for"};
  if (broker_.core().kept_bytes() != 0) throw violation{"bytes are kept for nobody"};
  // Where there are too many peers or commands, some have no place.
  if (climate_.limits.peers_max < 100 || climate_.limits.commands_max < 100) return;
  for (const auto& each : workers_) {
    if (!each->joined()) throw violation{"with nothing wrong any more, a worker does not join again"};
    if (each->at_hand() != 0) throw violation{"a worker still has calls that nobody waits for"};
  }
  if (broker_.core().worker_count() != workers_.size()) throw violation{"the broker counts workers that are not there"};
  probe_all();
}

void world::probe_all() {
  std::set<std::string> served;
  for (const auto& each : workers_) {
    for (const auto& command : each->kind()->commands) served.insert(command.name);
  }
  for (const auto& each : callers_) {
    for (const auto& command : served) {
      each->probe(now_, command);
      ++probes_;
      until(now_ + 500ms);
      if (each->open_calls() != 0) throw violation{"with nothing wrong any more, a call of " + command + " is not answered soon"};
    }
  }
}

void world::run(std::uint64_t steps) {
  for (;;) {
    const auto wild_until = std::min(steps, steps_ + wild_steps);
    while (steps_ < wild_until) step();
    if (steps_ >= steps && steps < wild_steps / 20) return;  // too short for more
    calm_down();
    if (steps_ >= steps) return;
    climate_ = wild_;
    around_.calm = false;
    fault_at_ = now_ + climate_.fault_every;
    for (auto* const each : actors_) each->thaw(now_);
  }
}

}  // namespace waggle::sim
