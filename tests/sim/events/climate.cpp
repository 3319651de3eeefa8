#include "sim/events/climate.hpp"

#include <algorithm>
#include <type_traits>

namespace waggle::sim {

using namespace std::chrono_literals;

namespace {

template <class... Values>
auto one_of(random& chance, Values... values) {
  const std::common_type_t<Values...> list[] = {values...};
  return list[chance.below(sizeof...(values))];
}

broker::topic_settings topics_of(random& chance) {
  broker::topic_settings out;
  out.ephemeral = {"tick.*"};
  if (chance.chance(1, 2)) {
    out.streams = {{"events", {"*"}}};
  } else {
    out.streams = {{"orders", {"order.*"}}, {"others", {"*", "order.odd.*"}}};
  }
  for (auto& each : out.streams) {
    if (chance.chance(1, 3)) each.keep = one_of(chance, 2'000ms, 20'000ms, 100'000ms);
    if (chance.chance(1, 3)) each.keep_bytes = chance.between(2'000, 30'000);
    if (chance.chance(1, 5)) each.full_bytes = chance.between(20'000, 200'000);
  }
  return out;
}

broker::event_settings limits_of(random& chance) {
  broker::event_settings out;
  out.topics = topics_of(chance);
  out.durable = true;
  out.seed = chance.next();
  out.once_within = one_of(chance, 600'000ms, 600'000ms, 30'000ms);
  out.keep_operations = one_of(chance, 86'400'000ms, 86'400'000ms, 120'000ms);
  out.untaken_max = one_of(chance, 600'000ms, 600'000ms, 20'000ms);
  out.unserved_max = one_of(chance, 86'400'000ms, 30'000ms);
  out.pulse = one_of(chance, 500ms, 1000ms, 1000ms);
  out.command_attempts = static_cast<std::uint32_t>(one_of(chance, 1, 2, 3, 8));
  out.backoff = one_of(chance, 20ms, 200ms, 1000ms);
  out.backoff_max = one_of(chance, 300ms, 2000ms, 5000ms);
  if (chance.chance(1, 4)) out.appending_max = chance.between(1, 20);
  if (chance.chance(1, 5)) out.appending_bytes_max = chance.between(500, 5000);
  if (chance.chance(1, 3)) out.window_max = chance.between(1, 20);
  if (chance.chance(1, 3)) out.loaded_bytes_max = chance.between(100, 2000);
  if (chance.chance(1, 3)) out.in_flight_max = chance.between(1, 6);
  if (chance.chance(1, 6)) out.prefixes_max = chance.between(1, 4);
  if (chance.chance(1, 5)) out.reads_max = chance.between(1, 3);
  if (chance.chance(1, 5)) out.outcome_watchers_max = chance.between(1, 3);
  return out;
}

std::vector<group_plan> groups_of(random& chance) {
  const std::vector<std::vector<std::string>> choices{
      {"*"}, {"order.*"}, {"order.*", "order.placed"}, {"order.placed", "stock.*"}, {"*", "order.odd.*"}, {"stock.low"}, {"note", "order.odd.*"}};
  std::vector<group_plan> out;
  for (auto left = chance.between(1, 4); left > 0; --left) {
    auto& each = out.emplace_back();
    each.group = "group" + std::to_string(out.size());
    each.patterns = choices[chance.below(choices.size())];
    each.from_beginning = chance.chance(1, 2);
    each.attempts = static_cast<std::uint32_t>(one_of(chance, 1, 2, 3, 5, 8));
    each.budget = one_of(chance, 500ms, 2000ms, 10'000ms);
    each.backoff = one_of(chance, 10ms, 100ms, 1000ms);
    each.backoff_max = one_of(chance, 200ms, 1000ms, 5000ms);
  }
  return out;
}

}  // namespace

event_climate event_climate_of(std::uint64_t seed) {
  random chance{seed * 2 + 0x5eed};
  event_climate out;

  auto& net = out.net;
  net.limits.version = "sim";
  net.limits.pulse = one_of(chance, 200ms, 500ms, 1000ms);
  net.limits.missed_pulses_max = static_cast<std::uint32_t>(chance.between(2, 4));
  net.limits.idle_max = 600'000ms;
  net.limits.hold = one_of(chance, 0ms, 300ms, 2000ms);
  net.limits.grace = one_of(chance, 0ms, 1500ms);
  net.limits.attempts_max = static_cast<std::uint32_t>(one_of(chance, 1, 3));
  net.delay_max = microseconds{chance.chance(1, 4) ? chance.between(1'000, 30'000) : chance.between(20, 1000)};
  net.spikes = static_cast<std::uint32_t>(chance.chance(1, 2) ? 0 : chance.between(1, 20));
  net.pipe_messages_max = chance.chance(1, 4) ? chance.between(3, 30) : 1000;
  net.backlog_bytes_max = chance.chance(1, 4) ? chance.between(500, 5000) : 1u << 20;
  net.backlog_time_max = one_of(chance, 500ms, 5000ms);

  out.events = limits_of(chance);
  out.topics = {"order.placed", "order.paid", "order.odd.one", "stock.low", "stock.out", "note"};
  out.ephemeral_topics = {"tick.one", "tick.two"};
  out.groups = groups_of(chance);
  out.commands = {{"job.once", retry_class::once}, {"job.idempotent", retry_class::idempotent}, {"job.safe", retry_class::safe}};

  out.emitters = static_cast<std::uint32_t>(chance.between(1, 4));
  out.members = static_cast<std::uint32_t>(chance.between(2, 8));
  out.operators = 1;
  out.clients = static_cast<std::uint32_t>(chance.between(0, 2));
  out.subscribers = static_cast<std::uint32_t>(chance.between(1, 3));

  out.commit_max = microseconds{chance.chance(1, 4) ? chance.between(20'000, 300'000) : chance.between(100, 10'000)};
  out.batch_max = chance.chance(1, 4) ? chance.between(1, 20) : 4096;
  out.answer_max = microseconds{chance.between(1, 2'000)};
  out.errors = static_cast<std::uint32_t>(chance.chance(1, 2) ? 0 : chance.between(1, 60));

  out.emit_every = microseconds{chance.chance(1, 4) ? chance.between(2'000, 20'000) : chance.between(20'000, 300'000)};
  out.burst_max = static_cast<std::uint32_t>(chance.chance(1, 3) ? chance.between(5, 40) : chance.between(1, 4));
  out.payload_max = static_cast<std::uint32_t>(chance.chance(1, 6) ? 4'000 : chance.between(1, 300));
  out.keyed = static_cast<std::uint32_t>(chance.chance(1, 4) ? 0 : chance.between(100, 1000));
  out.keys = static_cast<std::uint32_t>(chance.between(1, 8));
  out.named = static_cast<std::uint32_t>(chance.chance(1, 4) ? 0 : chance.between(100, 1000));
  out.doubled = static_cast<std::uint32_t>(chance.chance(1, 3) ? 0 : chance.between(20, 200));
  out.unasked = static_cast<std::uint32_t>(chance.chance(1, 3) ? 0 : chance.between(20, 500));
  out.ephemeral = static_cast<std::uint32_t>(chance.chance(1, 2) ? 0 : chance.between(20, 300));
  out.later_every = microseconds{chance.between(30'000, 1'000'000)};
  out.operate_every = microseconds{chance.between(50'000, 1'000'000)};
  out.forget_groups = static_cast<std::uint32_t>(chance.chance(2, 3) ? 0 : chance.between(5, 60));

  out.handler_max = milliseconds{chance.chance(1, 4) ? chance.between(200, 1500) : chance.between(1, 80)};
  out.slots_max = static_cast<std::uint32_t>(chance.chance(1, 5) ? 30 : chance.between(1, 5));
  out.failures = static_cast<std::uint32_t>(chance.chance(1, 4) ? 0 : chance.between(10, 400));
  const auto seldom = [&] { return static_cast<std::uint32_t>(chance.chance(1, 2) ? 0 : chance.between(1, 40)); };
  for (auto* each : {&out.mute, &out.late, &out.twice, &out.rejections, &out.poisoned}) *each = seldom();
  out.rejoins = static_cast<std::uint32_t>(chance.chance(1, 2) ? 0 : chance.between(1, 60));
  out.pub_sub_losses = static_cast<std::uint32_t>(chance.chance(1, 3) ? 0 : chance.between(1, 300));

  net.fault_every = microseconds{chance.chance(1, 4) ? chance.between(100'000, 500'000) : chance.between(500'000, 5'000'000)};
  const auto weight = [&] { return static_cast<std::uint32_t>(chance.chance(1, 3) ? 0 : chance.between(1, 10)); };
  for (auto* each : {&net.disconnects, &net.stalls, &net.freezes, &net.crashes, &net.departures, &out.silences}) *each = weight();
  for (auto* each : {&net.broker_freezes, &net.broker_crashes, &out.power_cuts, &out.disk_full, &out.disk_errors}) *each = weight() / 2;
  out.damage = chance.chance(1, 5) ? weight() / 2 : 0;
  out.quick = random{seed ^ 0x717569636b6c79u}.chance(1, 2);  // by itself, so that seeds without go where they went before there was
  return out;
}

bool pattern_takes(std::string_view pattern, std::string_view topic) {
  if (pattern.empty() || pattern.back() != '*') return pattern == topic;
  const auto prefix = pattern.substr(0, pattern.size() - 1);
  return topic.substr(0, prefix.size()) == prefix;
}

bool event_climate::is_ephemeral(std::string_view topic) const { return stream_of(topic).empty(); }

std::string event_climate::stream_of(std::string_view topic) const {
  // An exact pattern before all others, then the longest.
  std::string out;
  std::size_t best = 0;
  const auto look = [&](const std::string& pattern, const std::string& stream) {
    if (!pattern_takes(pattern, topic)) return;
    const auto value = pattern == topic ? 10'000 : pattern.size();
    if (value > best) {
      best = value;
      out = stream;
    }
  };
  for (const auto& each : events.topics.ephemeral) look(each, "");
  for (const auto& stream : events.topics.streams) {
    for (const auto& each : stream.topics) look(each, stream.stream);
  }
  return out;
}

const group_plan* event_climate::plan_of(std::string_view group) const {
  const auto found = std::find_if(groups.begin(), groups.end(), [&](const auto& each) { return each.group == group; });
  return found == groups.end() ? nullptr : &*found;
}

std::string event_climate::in_words() const {
  const auto field = [](const char* name, auto value) { return std::string{name} + " " + std::to_string(value) + ", "; };
  return field("emitters", emitters) + field("members", members) + field("clients", clients) + field("subscribers", subscribers) +
         field("groups", groups.size()) + field("streams", events.topics.streams.size()) + field("commit us", commit_max.count()) +
         field("emit every us", emit_every.count()) + field("fault every us", net.fault_every.count()) + field("window", events.window_max) +
         "slots " + std::to_string(slots_max);
}

}  // namespace waggle::sim
