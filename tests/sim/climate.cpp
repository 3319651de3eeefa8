#include "sim/climate.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace waggle::sim {

using namespace std::chrono_literals;

namespace {

broker::settings limits_of(random& chance) {
  broker::settings out;
  const auto one_of = [&](auto... values) {
    const std::common_type_t<decltype(values)...> list[] = {values...};
    return list[chance.below(sizeof...(values))];
  };
  out.version = "sim";
  out.pulse = one_of(200ms, 500ms, 1000ms, 1000ms);
  out.missed_pulses_max = static_cast<std::uint32_t>(chance.between(2, 4));
  out.idle_max = one_of(5'000ms, 60'000ms, 120'000ms);
  out.hold = one_of(0ms, 300ms, 2000ms, 2000ms);
  out.remember = one_of(0ms, 0ms, 5000ms, 600'000ms);
  out.grace = one_of(0ms, 0ms, 1500ms, 4000ms);
  out.attempts_max = static_cast<std::uint32_t>(one_of(1, 2, 3, 3, 5));
  out.settle = one_of(1ms, 20ms, 100ms);
  // Limits are met in some runs, and far away in others so that they do not hide everything else.
  if (chance.chance(1, 3)) out.caller_calls_max = chance.between(2, 12);
  if (chance.chance(1, 4)) out.calls_max = chance.between(10, 60);
  if (chance.chance(1, 3)) out.queue_calls_max = chance.between(1, 10);
  if (chance.chance(1, 4)) out.queue_bytes_max = chance.between(200, 3000);
  if (chance.chance(1, 3)) out.kept_bytes_max = chance.between(300, 5000);
  if (chance.chance(1, 4)) out.caller_kept_bytes_max = chance.between(200, 3000);
  if (chance.chance(1, 5)) out.held_pools_max = chance.between(1, 3);
  if (chance.chance(1, 6)) out.commands_max = chance.between(4, 10);
  if (chance.chance(1, 8)) out.peers_max = chance.between(4, 24);
  out.watchers_max = chance.between(1, 8);
  return out;
}

std::vector<service_kind> services_of(random& chance, const std::vector<std::string>& commands) {
  std::vector<service_kind> out;
  std::map<std::string, std::pair<std::string, bool>> groups;  // of commands, and whether they need a key
  const bool grouped = chance.chance(1, 2);
  for (const auto& each : commands) {
    groups[each] = {grouped && chance.chance(1, 2) ? "group." + std::to_string(chance.below(2)) : "", chance.chance(1, 10)};
  }
  const auto services = chance.between(1, 4);
  for (std::uint64_t service = 0; service < services; ++service) {
    std::vector<std::string> names;
    for (auto wanted = chance.between(1, 3); wanted > 0; --wanted) {
      const auto& name = chance.pick(commands);
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
    for (auto version = chance.between(1, 2); version > 0; --version) {
      service_kind kind{"service" + std::to_string(service), std::to_string(version), {}, chance.chance(1, 2)};
      for (const auto& name : names) {
        if (names.size() > 1 && chance.chance(1, 6)) continue;  // not every version serves everything
        auto& command = kind.commands.emplace_back();
        command.name = name;
        command.retry = static_cast<retry_class>(chance.below(3));
        command.group = groups[name].first;
        command.needs_key = groups[name].second;
      }
      if (!kind.commands.empty()) out.push_back(std::move(kind));
    }
  }
  if (out.empty()) {  // workers have something to serve
    out.push_back({"service0", "1", {}, false});
    out.back().commands.emplace_back().name = commands.front();
  }
  return out;
}

}  // namespace

climate climate_of(std::uint64_t seed) {
  random chance{seed ^ 0x636c696d617465u};
  climate out;
  out.limits = limits_of(chance);
  if (seed % 2 == 0) out.limits.look_ahead_from = 0;  // not by chance: seeds stay what they are known for
  out.callers = static_cast<std::uint32_t>(chance.between(1, 8));
  out.workers = static_cast<std::uint32_t>(chance.between(1, 10));
  out.raw_peers = static_cast<std::uint32_t>(chance.chance(1, 3) ? 0 : chance.between(1, 5));
  for (auto wanted = chance.between(1, 6); wanted > 0; --wanted) out.commands.push_back("cmd." + std::to_string(wanted));
  out.services = services_of(chance, out.commands);
  random rests{seed ^ 0x69646c65u};  // by itself, likewise
  out.idle = rests.chance(2, 3);
  out.limits.idle_pulse = out.limits.pulse * static_cast<std::int64_t>(out.idle ? rests.between(2, 10) : rests.below(2));
  random classes{seed ^ 0x717569636b6c79u};  // by itself, so that seeds without any go where they went before there were
  out.quick = classes.chance(1, 2);
  for (auto& kind : out.services) {
    for (auto& each : kind.commands) each.quick = out.quick && classes.chance(1, 2);
  }

  out.delay_max = microseconds{chance.between(1, 4) == 1 ? chance.between(1000, 50'000) : chance.between(50, 1000)};
  out.spikes = static_cast<std::uint32_t>(chance.chance(1, 2) ? 0 : chance.between(1, 20));
  out.pipe_messages_max = chance.chance(1, 3) ? chance.between(2, 8) : chance.between(20, 200);
  out.backlog_bytes_max = chance.chance(1, 3) ? chance.between(200, 5000) : 100'000;
  out.backlog_time_max = milliseconds{chance.chance(1, 2) ? 5000 : 500};
  out.broker_turn_max = microseconds{chance.chance(1, 4) ? chance.between(1000, 20'000) : chance.between(1, 200)};

  out.call_every = microseconds{chance.chance(1, 3) ? chance.between(500, 3000) : chance.between(5000, 200'000)};
  out.burst_max = static_cast<std::uint32_t>(chance.chance(1, 4) ? chance.between(10, 40) : chance.between(1, 4));
  out.budget_max = milliseconds{chance.chance(1, 3) ? chance.between(50, 500) : chance.between(1000, 30'000)};
  out.handler_max = milliseconds{chance.chance(1, 3) ? chance.between(200, 2000) : chance.between(1, 100)};
  out.payload_max = static_cast<std::uint32_t>(chance.chance(1, 8) ? 70'000 : chance.between(1, 300));
  out.slots_max = static_cast<std::uint32_t>(chance.chance(1, 6) ? 100 : chance.between(1, 6));
  out.stuck = static_cast<std::uint32_t>(chance.below(10));
  out.rejections = static_cast<std::uint32_t>(chance.chance(1, 2) ? 0 : chance.between(10, 300));
  out.parts = static_cast<std::uint32_t>(chance.chance(1, 3) ? 0 : chance.between(20, 400));
  out.cancels = static_cast<std::uint32_t>(chance.chance(1, 3) ? 0 : chance.between(10, 200));

  out.keyed = static_cast<std::uint32_t>(chance.chance(1, 3) ? 0 : chance.between(50, 1000));
  out.keys = static_cast<std::uint32_t>(chance.between(1, 12));
  out.limited = static_cast<std::uint32_t>(chance.chance(1, 2) ? 0 : chance.between(100, 1000));
  out.idempotent = static_cast<std::uint32_t>(chance.chance(1, 2) ? 0 : chance.between(100, 1000));
  out.operations = static_cast<std::uint32_t>(chance.chance(1, 2) || out.limits.commands_max < 100 ? 0 : chance.between(5, 50));

  out.fault_every = microseconds{chance.chance(1, 4) ? chance.between(60'000, 300'000) : chance.between(300'000, 3'000'000)};
  const auto weight = [&] { return static_cast<std::uint32_t>(chance.chance(1, 3) ? 0 : chance.between(1, 10)); };
  for (auto* each : {&out.disconnects, &out.stalls, &out.freezes, &out.crashes, &out.departures, &out.garbage}) *each = weight();
  for (auto* each : {&out.broker_freezes, &out.broker_crashes, &out.clock_steps}) *each = weight() / 3;
  out.raw_every = microseconds{chance.between(1000, 100'000)};
  out.limits.attachment_bytes_min = chance.between(1, 300);
  return out;
}

std::string climate::in_words() const {
  const auto field = [](const char* name, auto value) { return std::string{name} + " " + std::to_string(value) + ", "; };
  return field("callers", callers) + field("workers", workers) + field("raw peers", raw_peers) +
         field("commands", commands.size()) + field("hold ms", limits.hold.count()) +
         field("attempts", limits.attempts_max) + field("fault every us", fault_every.count()) +
         field("call every us", call_every.count()) + field("pipe", pipe_messages_max) +
         "calls max " + std::to_string(limits.calls_max);
}

}  // namespace waggle::sim
