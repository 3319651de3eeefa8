#include "broker/core/directory.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "broker/events/event_core.hpp"

namespace waggle::broker {

namespace {

/// What workers of one pool have in common. Commands are sorted, so that the order in a manifest does not matter.
std::string identity_of(const manifest& from) {
  manifest common{from.service, from.version, {}, 1, 1, from.commands};
  std::sort(common.commands.begin(), common.commands.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  common.events = from.events;
  common.quick_slots = std::min(from.quick_slots, 1u);  // whether there are any decides for which slots its commands wait
  std::sort(common.events.begin(), common.events.end(),
            [](const auto& a, const auto& b) { return std::tie(a.group, a.topic) < std::tie(b.group, b.topic); });
  std::string bytes;
  wire::append_manifest(bytes, common);
  return bytes;
}

/// An entry of manifest bytes that `identity_of` made; empty if there is none.
std::string_view entry_in(std::string_view identity, std::string_view wanted) {
  wire::reader in{identity};
  std::uint32_t entries = 0;
  std::string_view key, value;
  in.map(entries);
  for (std::uint32_t i = 0; i < entries && in.string(key) && in.raw(value); ++i) {
    if (key == wanted) return value;
  }
  return {};
}

/// The same manifest in which events are commands, too: whoever takes them is found like whoever serves a command.
manifest with_event_commands(const manifest& from) {
  auto out = from;
  for (const auto& each : from.events) {
    auto& made = out.commands.emplace_back();
    made.name = event_command(each.group.empty() ? from.service : each.group, each.topic);
    made.quick = each.quick;
  }
  return out;
}

}  // namespace

bool directory::make_room_for(const manifest& from) {
  std::vector<std::string_view> names;  // once each: a manifest may name a command twice
  names.reserve(from.commands.size());
  for (const auto& each : from.commands) names.push_back(each.name);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::size_t added = 0, revived = 0;
  for (const auto each : names) {
    const auto known = find(each);
    if (known == none) {
      ++added;
    } else if (commands_[known].pools.empty() && !commands_[known].expected) {
      ++revived;
      idle_commands_.move_to_back(commands_, known);
    }
  }
  if (commands_.used() - idle_commands_.size() + added + revived > commands_max_) return false;
  while (commands_.used() + added > commands_max_ && !idle_commands_.empty()) {
    const auto forgotten = idle_commands_.front();
    idle_commands_.erase(commands_, forgotten);
    by_name_.erase(hash_of(commands_[forgotten].name), forgotten);
    commands_[forgotten] = command{};
    commands_.give_back(forgotten);
  }
  return true;
}

std::uint32_t directory::pool_for(const manifest& from, std::string identity) {
  if (const auto found = by_identity_.find(identity); found != by_identity_.end()) return found->second;
  const auto index = pools_.take();
  auto& made = pools_[index];
  made = pool{};
  made.service = from.service;
  made.version = from.version;
  made.lane_count = from.quick_slots == 0 ? 1 : 2;
  for (const auto& each : from.commands) {
    std::uint32_t command_index = none;
    if (const auto known = find(each.name); known != none) {
      command_index = known;
      if (std::exchange(commands_[command_index].expected, false)) {
        expected_commands_.erase(commands_, command_index);
      } else if (commands_[command_index].pools.empty()) {
        idle_commands_.erase(commands_, command_index);
      }
    } else {
      command_index = commands_.take();
      commands_[command_index] = command{};
      commands_[command_index].name_it(each.name);
      commands_[command_index].serial = ++named_;
      by_name_.insert(hash_of(each.name), command_index);
    }
    auto& served = commands_[command_index];
    // A manifest may name a command twice; it is one seat.
    if (served.pools.empty() || served.pools.back().pool != index) {
      served.pools.push_back({index, each.retry, each.needs_key, false, static_cast<std::uint8_t>(each.quick && made.lane_count > 1)});
      served.served = true;
      made.commands.push_back(command_index);
    }
  }
  made.lanes[0].quick = made.lane_count == 1 && std::all_of(from.commands.begin(), from.commands.end(), [](const auto& each) { return each.quick; });
  made.lanes[1].quick = true;
  by_identity_.emplace(identity, index);
  made.identity = std::move(identity);
  return index;
}

result<std::uint32_t> directory::join(instant now, peer_id peer, const manifest& said, std::uint32_t again) {
  const auto from = with_event_commands(said);
  if (const auto* const other = in_other_group(from)) {
    return failure(status::failed_precondition,
                   "\"" + other->name + "\" is in the group \"" + std::string{other->key_group()} +
                       "\", as others who serve it say; a command is in one group, or calls of one key would not exclude each other");
  }
  if (!make_room_for(from)) {  // which may forget commands, so nothing is refused after it
    return failure(status::resource_exhausted, "the broker knows as many commands as it may (commands_max); "
                                               "stop workers that are not needed or start it with a higher limit");
  }
  const auto pool_index = pool_for(from, identity_of(said));
  // Also of a pool that was only remembered: another may have put its commands into other groups since.
  for (const auto& each : from.commands) commands_[find(each.name)].group = each.group;
  auto index = again;
  if (again == none) {
    index = workers_.take();
    workers_[index] = worker{};
    workers_[index].peer = peer;
    for (auto& each : workers_[index].lanes) each.taken = taken_;
  } else if (workers_[again].pool != pool_index || workers_[again].draining) {
    pools_[pool_index].active++;  // a pool that somebody is about to enter is not dissolved
    deactivate(now, again, false);
    leave_pool(again);
    pools_[pool_index].active--;
  }
  auto& seated = workers_[index];
  seated.instance = from.instance.empty() ? from.service + "-" + std::to_string(++joined_) : from.instance;
  seated.lanes[0].slots = from.slots;
  seated.lanes[1].slots = from.quick_slots;
  seated.credit = from.credit;
  seated.idles = from.idles;
  seated.leaving = false;
  if (seated.pool == none) {
    activate(index, pool_index);
  } else {
    unsettle(index);
    settle(index);
  }
  if (pools_[pool_index].lane_count == 1) seated.lanes[0].in_flight += std::exchange(seated.lanes[1].in_flight, 0);
  relist(index);
  return index;
}

/// Somebody who serves a command of this manifest now, or did a moment ago, puts it into another group.
const directory::command* directory::in_other_group(const manifest& from) const {
  for (const auto& each : from.commands) {
    const auto index = find(each.name);
    if (index == none) continue;
    const auto& known = commands_[index];
    const auto group = each.group.empty() ? std::string_view{each.name} : std::string_view{each.group};
    if (known.key_group() == group) continue;
    for (const auto& member : known.pools) {
      if (!pools_[member.pool].workers.empty() || pools_[member.pool].held) return &known;
    }
  }
  return nullptr;
}

/// The worker is a home for keys from now on. Its name decides for which; a name that another has, too, is told apart.
void directory::settle(std::uint32_t worker_index) {
  auto& settled = workers_[worker_index];
  auto& homes = pools_[settled.pool].homes;
  settled.seed = key_table::hash_of(settled.instance);
  while (std::any_of(homes.begin(), homes.end(), [&](const auto& each) { return each.seed == settled.seed; })) {
    settled.seed = key_table::mixed(settled.seed + 1);
  }
  settled.home_at = static_cast<std::uint32_t>(homes.size());
  homes.push_back({settled.seed, worker_index});
  for (std::uint32_t lane = 0; lane < lanes_max; ++lane) {
    settled.slots_counted[lane] = settled.lanes[lane].slots;
    pools_[settled.pool].lanes[lane].slots += settled.slots_counted[lane];
  }
}

void directory::unsettle(std::uint32_t worker_index) {
  auto& homes = pools_[workers_[worker_index].pool].homes;
  const auto at = std::exchange(workers_[worker_index].home_at, none);
  if (at == none) return;
  for (std::uint32_t lane = 0; lane < lanes_max; ++lane) {
    pools_[workers_[worker_index].pool].lanes[lane].slots -= std::exchange(workers_[worker_index].slots_counted[lane], 0);
  }
  homes[at] = homes.back();
  workers_[homes[at].worker].home_at = at;
  homes.pop_back();
  workers_[worker_index].home_at = none;
}

void directory::activate(std::uint32_t worker_index, std::uint32_t pool_index) {
  workers_[worker_index].pool = pool_index;
  workers_[worker_index].draining = false;
  auto& entered = pools_[pool_index];
  entered.workers.push_back(workers_, worker_index);
  entered.active++;
  settle(worker_index);
  unhold(pool_index);
  for (const auto each : entered.commands) {
    if (!commands_[each].queue.empty()) wait(each);
  }
}

/// Puts the worker under the numbers of its free slots.
void directory::relist(std::uint32_t worker_index) {
  for (std::uint32_t lane = 0; lane < pools_[workers_[worker_index].pool].lane_count; ++lane) relist(worker_index, lane);
}

void directory::relist(std::uint32_t worker_index, std::uint32_t lane) {
  const auto& of = workers_[worker_index];
  const auto& moved = of.lanes[lane];
  list_as(pools_[of.pool].lanes[lane], worker_index, lane,
          of.draining                     ? none
          : moved.slots > moved.in_flight ? std::min(moved.slots - moved.in_flight, free_listed_max)
                                          : 0);
}

void directory::list_as(pool_lane& in, std::uint32_t worker_index, std::uint32_t lane, std::uint32_t free) {
  auto& moved = workers_[worker_index].lanes[lane];
  if (free == moved.listed_free && free != none && in.by_free[free].back() == worker_index) return;  // the last in its list already
  lane_items items{workers_, lane};
  if (moved.listed_free != none) in.by_free[moved.listed_free].erase(items, worker_index);
  moved.listed_free = free;
  if (free != none) {
    in.by_free[free].push_back(items, worker_index);
    in.free_max = std::max(in.free_max, free);
  }
  while (in.free_max > 0 && in.by_free[in.free_max].empty()) --in.free_max;
}

void directory::deactivate(instant now, std::uint32_t worker_index, bool died) {
  auto& idle = workers_[worker_index];
  if (idle.draining) return;
  idle.draining = true;
  unsettle(worker_index);
  relist(worker_index);
  auto& in = pools_[idle.pool];
  if (--in.active > 0) return;
  in.held = true;
  in.died = died;
  in.held_until = now + hold_;
  held_pools_.push_back(pools_, idle.pool);
  if (held_pools_.size() > held_pools_max_) pools_[held_pools_.front()].held_until = now;
}

void directory::leave_pool(std::uint32_t worker_index) {
  auto& leaving = workers_[worker_index];
  const auto pool_index = std::exchange(leaving.pool, none);
  auto& in = pools_[pool_index];
  for (auto& each : in.lanes) {
    if (each.burst.worker == worker_index) each.burst = {};
  }
  in.workers.erase(workers_, worker_index);
  if (in.workers.empty() && in.active == 0 && !in.held) dissolve(pool_index);
}

void directory::unhold(std::uint32_t pool_index) {
  auto& in = pools_[pool_index];
  if (std::exchange(in.held, false)) held_pools_.erase(pools_, pool_index);
  if (std::exchange(in.remembered, false)) remembered_pools_.erase(pools_, pool_index);
}

/// The pool is nobody's any more.
void directory::dissolve(std::uint32_t pool_index) {
  auto& in = pools_[pool_index];
  for (const auto each : in.commands) {
    auto& served = commands_[each];
    served.pools.erase_if([&](const auto& member) { return member.pool == pool_index; });
    if (served.pools.empty()) idle_commands_.push_back(commands_, each);
  }
  by_identity_.erase(in.identity);
  in = pool{};
  pools_.give_back(pool_index);
}

void directory::drain(instant now, std::uint32_t worker_index, bool died) { deactivate(now, worker_index, died); }

void directory::remove(std::uint32_t worker_index) {
  leave_pool(worker_index);
  workers_.give_back(worker_index);
}

bool directory::release_held(instant now, std::vector<std::uint32_t>& unserved) {
  bool any = false;
  while (!held_pools_.empty() && pools_[held_pools_.front()].held_until <= now) {
    const auto pool_index = held_pools_.front();
    unhold(pool_index);
    for (const auto each : pools_[pool_index].commands) {
      if (!is_awaited(each)) unserved.push_back(each);
    }
    any = true;
    auto& in = pools_[pool_index];
    if (!in.workers.empty()) continue;
    if (!in.died || remember_ == milliseconds{0} || remembered_pools_.size() >= held_pools_max_) {
      dissolve(pool_index);
    } else {
      in.remembered = true;
      in.held_until = now + remember_;
      remembered_pools_.push_back(pools_, pool_index);
    }
  }
  while (!remembered_pools_.empty() && pools_[remembered_pools_.front()].held_until <= now) {
    const auto pool_index = remembered_pools_.front();
    unhold(pool_index);
    dissolve(pool_index);
    any = true;
  }
  return any;
}

instant directory::held_until() const {
  const auto first = [&](const auto& list) { return list.empty() ? instant::max() : pools_[list.front()].held_until; };
  return std::min(first(held_pools_), first(remembered_pools_));
}

std::uint32_t directory::expect(std::string_view name) {
  if (expected_commands_.size() >= expected_max || commands_.used() >= commands_max_) return none;
  const auto index = commands_.take();
  commands_[index] = command{};
  commands_[index].name_it(name);
  commands_[index].serial = ++named_;
  commands_[index].expected = true;
  expected_commands_.push_back(commands_, index);
  by_name_.insert(hash_of(name), index);
  return index;
}

void directory::end_expecting(std::vector<std::uint32_t>& unserved) {
  while (!expected_commands_.empty()) {
    const auto index = expected_commands_.front();
    expected_commands_.erase(commands_, index);
    commands_[index].expected = false;
    idle_commands_.push_back(commands_, index);
    unserved.push_back(index);
  }
}

bool directory::takes(std::uint32_t worker_index, std::uint32_t command_index) const {
  if (workers_[worker_index].draining) return false;
  const auto& pools = commands_[command_index].pools;
  return std::any_of(pools.begin(), pools.end(), [&](const auto& member) { return member.pool == workers_[worker_index].pool; });
}

std::uint32_t directory::home_of(std::uint32_t command_index, std::uint64_t hash) const {
  std::uint32_t best = none;
  std::uint64_t highest = 0;
  for (const auto& member : commands_[command_index].pools) {
    for (const auto& each : pools_[member.pool].homes) {
      const auto score = key_table::mixed(each.seed ^ hash);
      if (best == none || score > highest || (score == highest && each.worker < best)) {
        best = each.worker;
        highest = score;
      }
    }
  }
  return best;
}

std::uint32_t directory::take_slot(std::uint32_t command_index, std::uint64_t round) {
  std::uint32_t best = none, most = 0, best_lane = 0;
  for (const auto& member : commands_[command_index].pools) {
    const auto free = pools_[member.pool].lanes[member.lane].free_max;
    if (free < most || free == 0 || (free == most && !is_before(member.pool, member.lane, best, best_lane))) continue;
    most = free;
    best = member.pool;
    best_lane = member.lane;
  }
  return best == none ? none : take_slot_in(best, best_lane, round);
}

/// Of two pools whose workers are equally free, whether the one whose turn it is in this has waited for longer.
bool directory::is_before(std::uint32_t pool_index, std::uint32_t lane, std::uint32_t other, std::uint32_t other_lane) {
  const auto last_of = [&](std::uint32_t of, std::uint32_t in_lane) {
    auto& from = pools_[of].lanes[in_lane];
    return workers_[from.by_free[from.free_max].front()].lanes[in_lane].taken;
  };
  return static_cast<std::int32_t>(last_of(pool_index, lane) - last_of(other, other_lane)) < 0;
}

/// Whose turn it is in a lane that has a free slot.
std::uint32_t directory::next_in(pool_lane& in, std::uint32_t lane, std::uint64_t round) const {
  const auto first = in.by_free[in.free_max].front();
  if (!in.quick) return first;
  auto& now = in.burst;
  if (now.round == round && now.left > 0 && now.worker != none && workers_[now.worker].lanes[lane].listed_free == in.free_max) {
    --now.left;
    return now.worker;
  }
  now = {round, first, burst::calls_max - 1};
  return first;
}

std::uint32_t directory::take_slot_in(std::uint32_t pool_index, std::uint32_t lane, std::uint64_t round) {
  auto& in = pools_[pool_index].lanes[lane];
  if (in.free_max == 0) return none;
  const auto index = next_in(in, lane, round);
  take_slot_of(index, lane);
  return index;
}

void directory::take_slot_of(std::uint32_t worker_index, std::uint32_t lane) {
  auto& of = workers_[worker_index].lanes[lane];
  of.in_flight++;
  of.taken = ++taken_;
  relist(worker_index, lane);
}

void directory::release_slot(std::uint32_t worker_index, std::uint32_t lane) {
  workers_[worker_index].lanes[lane].in_flight--;
  if (!workers_[worker_index].draining) relist(worker_index, lane);
}

void directory::pass_over(std::uint32_t worker_index, std::uint32_t lane) {
  list_as(pools_[workers_[worker_index].pool].lanes[lane], worker_index, lane, none);
}

void directory::wait(std::uint32_t command_index) {
  for (auto& member : commands_[command_index].pools) {
    if (member.waiting) continue;
    member.waiting = true;
    pools_[member.pool].lanes[member.lane].waiting.push_back(command_index);
  }
}

std::uint32_t directory::next_waiting(std::uint32_t pool_index, std::uint32_t lane) {
  auto& in = pools_[pool_index].lanes[lane];
  while (in.free_max > 0 && !in.waiting.empty()) {
    const auto index = in.waiting.front();
    in.waiting.pop_front();
    auto& next = commands_[index];
    if (next.queue.calls > 1 && !next.paused) {  // it will still wait once its first is gone
      in.waiting.push_back(index);
    } else {
      for (auto& member : next.pools) {
        if (member.pool == pool_index) member.waiting = false;
      }
    }
    if (!next.queue.empty() && !next.paused) return index;
  }
  return none;
}

std::size_t directory::seats(std::uint32_t worker_index) const {
  const auto& seated = workers_[worker_index];
  return seated.leaving ? 0 : pools_[seated.pool].commands.size();
}

std::vector<std::uint32_t> directory::seated() const {
  std::vector<std::uint32_t> out;
  for (const auto& [identity, pool_index] : by_identity_) {
    const auto& in = pools_[pool_index].workers;
    for (auto i = in.front(); i != none; i = in.after(workers_, i)) out.push_back(i);
  }
  return out;
}

std::vector<std::uint32_t> directory::known_commands() const {
  std::vector<std::uint32_t> out;
  by_name_.each([&](auto index) { out.push_back(index); });
  return out;
}

std::size_t directory::active_workers(std::uint32_t command_index) const {
  std::size_t out = 0;
  for (const auto& member : commands_[command_index].pools) out += pools_[member.pool].active;
  return out;
}

std::uint32_t directory::slots_of(std::uint32_t command_index) const {
  std::uint32_t out = 0;
  for (const auto& member : commands_[command_index].pools) out += pools_[member.pool].lanes[member.lane].slots;
  return out;
}

bool directory::may_repeat(std::uint32_t command_index) const {
  const auto& pools = commands_[command_index].pools;
  return std::none_of(pools.begin(), pools.end(), [&](const auto& member) {
    return pools_[member.pool].active > 0 && member.retry == retry_class::once;
  });
}

std::string directory::describe(std::uint32_t worker_index) const {
  const auto& described = workers_[worker_index];
  const auto& in = pools_[described.pool];
  return described.instance + " of " + in.service + (in.version.empty() ? "" : " " + in.version);
}

void directory::append_services(std::string& out) const {
  std::vector<std::uint32_t> order;
  for (const auto& entry : by_identity_) order.push_back(entry.second);
  std::sort(order.begin(), order.end(), [&](auto a, auto b) {
    const auto& left = pools_[a];
    const auto& right = pools_[b];
    return std::tie(left.service, left.version, left.identity) < std::tie(right.service, right.version, right.identity);
  });
  wire::writer writer{out};
  writer.array(order.size());
  for (const auto pool_index : order) {
    const auto& each = pools_[pool_index];
    const auto events = entry_in(each.identity, "events");
    writer.map(events.empty() ? 4 : 5);
    writer.string("service");
    writer.string(each.service);
    writer.string("version");
    writer.string(each.version);
    writer.string("commands");
    writer.raw(entry_in(each.identity, "commands"));
    if (!events.empty()) {
      writer.string("events");
      writer.raw(events);
    }
    writer.string("instances");
    writer.array(each.workers.size());
    for (auto i = each.workers.front(); i != none; i = each.workers.after(workers_, i)) {
      const auto& instance = workers_[i];
      writer.map(each.lane_count > 1 ? 6 : 4);
      writer.string("instance");
      writer.string(instance.instance);
      writer.string("slots");
      writer.unsigned_integer(instance.lanes[0].slots);
      writer.string("in_flight");
      writer.unsigned_integer(instance.lanes[0].in_flight);
      if (each.lane_count > 1) {
        writer.string("quick_slots");
        writer.unsigned_integer(instance.lanes[1].slots);
        writer.string("quick_in_flight");
        writer.unsigned_integer(instance.lanes[1].in_flight);
      }
      writer.string("draining");
      writer.boolean(instance.draining);
    }
  }
}

}  // namespace waggle::broker
