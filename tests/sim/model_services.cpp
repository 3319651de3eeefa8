// What the model says of workers: seated, draining, gone, and how long their services are held.
#include <algorithm>

#include <waggle/detail/caller_core.hpp>
#include <waggle/wire/manifest.hpp>

#include "sim/model.hpp"

namespace waggle::sim {

namespace {

bool said_nothing(const wire::frame& in) { return in.status == status::ok && in.payload.empty(); }

}  // namespace

model::command& model::command_of(std::string_view name) {
  const auto known = commands_.find(name);
  if (known != commands_.end()) return known->second;
  auto& made = commands_[std::string{name}];
  made.name = name;
  return made;
}

/// Those that somebody serves, or that belong to who is held or remembered, and these.
std::size_t model::commands_in_use(const std::set<std::string_view>& and_these) const {
  auto names = and_these;
  for (const auto& each : pools_) {
    for (const auto& member : each.commands) names.insert(member.what->name);
  }
  for (const auto& each : commands_) {
    if (each.second.expected) names.insert(each.first);
  }
  return names.size();
}

model::pool& model::pool_of(const manifest& from) {
  auto sorted = from.commands;
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  std::string identity;
  wire::append_manifest(identity, manifest{from.service, from.version, {}, 1, 1, std::move(sorted), false, {}, from.quick_slots > 0 ? 1u : 0u});
  for (auto& each : pools_) {
    if (each.identity == identity) return each;
  }
  auto& made = pools_.emplace_back();
  made.identity = std::move(identity);
  made.has_quick = from.quick_slots > 0;
  made.all_quick = std::all_of(from.commands.begin(), from.commands.end(), [](const auto& each) { return each.quick; });
  for (const auto& each : from.commands) {
    auto* const served = &command_of(each.name);
    const bool twice = std::any_of(made.commands.begin(), made.commands.end(), [&](const auto& other) { return other.what == served; });
    if (!twice) made.commands.push_back({served, each.retry, each.needs_key, each.group.empty() ? each.name : each.group, each.quick});
  }
  return made;
}

bool model::awaited(const command& what) const {
  if (what.expected) return true;
  return std::any_of(pools_.begin(), pools_.end(), [&](const auto& each) {
    return (each.active > 0 || each.held) &&
           std::any_of(each.commands.begin(), each.commands.end(), [&](const auto& member) { return member.what == &what; });
  });
}

bool model::serves(const peer& worker, const command& what) const {
  return std::any_of(worker.seat->commands.begin(), worker.seat->commands.end(), [&](const auto& member) { return member.what == &what; });
}

retry_class model::class_at(const peer& worker, const command& what) const {
  for (const auto& member : worker.seat->commands) {
    if (member.what == &what) return member.retry;
  }
  return retry_class::once;
}

void model::on_join(peer_id from, const wire::frame& in) {
  auto& who = at(from);
  const auto wanted = wire::read_manifest(in.manifest);
  if (!wanted) return expect_error(from, in.id, wanted.error().code, false, "a manifest that is wrong");
  for (const auto& each : wanted->commands) {
    const auto group = each.group.empty() ? each.name : each.group;
    for (const auto& other : pools_) {
      if (other.workers == 0 && !other.held) continue;
      for (const auto& member : other.commands) {
        if (member.what->name == each.name && member.group != group) {
          return expect_error(from, in.id, status::failed_precondition, false, "others put the command into another group");
        }
      }
    }
  }
  std::set<std::string_view> names;
  for (const auto& each : wanted->commands) names.insert(each.name);
  if (commands_in_use(names) > limits_.commands_max) {
    return expect_error(from, in.id, status::resource_exhausted, false, "commands_max");
  }
  const bool was_leaving = who.seat != nullptr && who.leaving;
  auto& entered = pool_of(*wanted);
  if (who.seat != nullptr && (who.seat != &entered || who.draining)) {
    ++entered.active;
    deactivate(who, false);
    leave_pool(who);
    --entered.active;
  }
  if (was_leaving) expect_error(from, who.leave_id, status::aborted, false, "it joined again before it had left");
  if (who.seat == nullptr) {
    if (who.pulse_due == instant{}) who.pulse_due = now_ + limits_.pulse;
    who.seat = &entered;
    who.draining = false;
    ++entered.workers;
    ++entered.active;
    unhold(entered);
  }
  for (const auto& member : entered.commands) {
    member.what->group = member.group;
    member.what->served = true;
    member.what->expected = false;
  }
  settle_as(who, *wanted);
  who.leaving = false;
  who.credit = wanted->credit;
  end_rest(who);
  who.idles = wanted->idles;
  who.slots[0] = wanted->slots;
  who.slots[1] = wanted->quick_slots;
  if (!entered.has_quick) {  // what it has at hand counts there, whatever it was before
    who.in_flight[0] += std::exchange(who.in_flight[1], 0);
    for (const auto number : who.leases) calls_.at(number).lane = 0;
  }
  who.bundle = wanted->bundle;
  who.bundle_in_round = std::max(who.bundle_in_round, who.bundle);
  who.attachments = wanted->attachments;
  who.attachments_in_round = std::max(who.attachments_in_round, who.attachments);
  who.listed[0] = who.listed[1] = ++listings_;
  const auto& reply = expect_reply(from, in.id, "a JOIN", is_welcome);
  const auto said = detail::read_welcome(reply.payload);
  if (reply.status != status::ok || said.broker != limits_.instance || said.seats != seats(who)) {
    fail("the answer to a JOIN is wrong: " + (reply.status == status::ok ? "another welcome" : wire::read_error(reply.status, reply.payload).message));
  }
  network_changed();
  release_held();
  leave_home(from);
  for (const auto& member : entered.commands) seek_homes(*member.what);
  dispatch();
}

void model::on_leave(peer_id from, const wire::frame& in) {
  auto& who = at(from);
  if (who.seat == nullptr) {
    if (expect_reply(from, in.id, "a LEAVE from who is no worker", said_nothing).status != status::ok) fail("who is no worker may not leave");
    return;
  }
  if (who.leaving) return expect_error(from, in.id, status::failed_precondition, false, "it is leaving already");
  who.leave_id = in.id;
  who.leaving = true;
  drain(from);
  if (who.in_flight[0] + who.in_flight[1] == 0) finish_drain(from);
}

void model::drain(peer_id worker) {
  deactivate(at(worker), false);
  leave_home(worker);
  network_changed();
  release_held();
  dispatch();
}

/// Its name decides which keys are its own; one that has the name of another in its pool is told apart.
void model::settle_as(peer& worker, const manifest& from) {
  worker.instance = from.instance.empty() ? from.service + "-" + std::to_string(++joined_) : from.instance;
  worker.seed = broker::key_table::hash_of(worker.instance);
  const auto taken = [&] {
    return std::any_of(peers_.begin(), peers_.end(), [&](const auto& each) {
      return &each != &worker && each.known && each.seat == worker.seat && !each.draining && each.seed == worker.seed;
    });
  };
  while (taken()) worker.seed = broker::key_table::mixed(worker.seed + 1);
}

void model::finish_drain(peer_id from) {
  const auto id = at(from).leave_id;
  ++sums_.drained;
  remove_worker(from);
  if (expect_reply(from, id, "nothing is at hand any more", said_nothing).status != status::ok) fail("a LEAVE fails");
}

void model::deactivate(peer& idle, bool died) {
  if (idle.draining) return;
  idle.draining = true;
  auto& in = *idle.seat;
  if (--in.active > 0) return;
  in.held = true;
  in.died = died;
  in.until = now_ + limits_.hold;
  held_.push_back(&in);
  ++sums_.held;
  if (held_.size() > limits_.held_pools_max) held_.front()->until = now_;
}

void model::leave_pool(peer& leaving) {
  auto& in = *std::exchange(leaving.seat, nullptr);
  --in.workers;
  dissolve_if_empty(in);
}

void model::unhold(pool& which) {
  which.held = which.remembered = false;
  std::erase(held_, &which);
  std::erase(remembered_, &which);
}

void model::dissolve_if_empty(pool& which) {
  if (which.workers > 0 || which.active > 0 || which.held || which.remembered) return;
  pools_.remove_if([&](const auto& each) { return &each == &which; });
}

/// Who was held for long enough is held no more: what waits for it ends.
void model::release_held() {
  bool any = false;
  std::vector<command*> unserved;
  while (!held_.empty() && held_.front()->until <= now_) {
    auto& released = *held_.front();
    unhold(released);
    any = true;
    for (const auto& each : released.commands) {
      if (!awaited(*each.what)) unserved.push_back(each.what);
    }
    if (released.workers == 0 && released.died && limits_.remember > milliseconds{0} && remembered_.size() < limits_.held_pools_max) {
      released.remembered = true;
      released.until = now_ + limits_.remember;
      remembered_.push_back(&released);
    }
    dissolve_if_empty(released);
  }
  while (!remembered_.empty() && remembered_.front()->until <= now_) {
    auto& released = *remembered_.front();
    unhold(released);
    dissolve_if_empty(released);
    any = true;
  }
  if (any) network_changed();
  for (auto* const each : unserved) end_waiting(*each);
}

/// Calls without a key at once, those with one when their line is placed.
void model::end_waiting(command& what) {
  while (!what.turns.empty()) end(what.turns.front().calls.front(), fate(what), "nobody serves it any more");
  seek_homes(what);
}

/// Old enough to know who is there.
void model::end_grace() {
  if (now_ < started_ + limits_.grace) return;
  for (auto& each : commands_) {
    if (!std::exchange(each.second.expected, false)) continue;
    end_waiting(each.second);
  }
}

/// The calls that it had go back, in the order in which it had got them, or end.
void model::remove_worker(peer_id from) {
  auto& who = at(from);
  deactivate(who, true);
  while (!who.leases.empty()) {
    const auto number = who.leases.back();
    who.leases.pop_back();
    auto& lost = calls_.at(number);
    if (goes_back(lost, {})) {
      requeue(number);
      continue;
    }
    if (lost.state == call::leased) {
      expect_error(lost.caller, lost.id, status::unavailable, lost.attempts > 0, "the worker that had it is gone");
      ++sums_.replied;
      let_go(lost);
      settle(number);
    }
    close(number);
  }
  leave_home(from);
  leave_pool(who);
  for (const auto lane : {0, 1}) {
    who.slots[lane] = 0;
    who.in_flight[lane] = 0;
    who.passed_over[lane] = false;
  }
  who.draining = who.leaving = who.idles = who.rests = false;
  who.pulse_due = {};
  who.heard = now_;
  network_changed();
  release_held();
}

void model::drop(peer_id gone) {
  if (at(gone).seat != nullptr) remove_worker(gone);
  while (!at(gone).calls.empty()) {
    ++sums_.abandoned;
    abandon(at(gone).calls.front());
  }
  forget(gone);
}

void model::forget(peer_id gone) {
  at(gone) = peer{};
  at(gone).attachments_in_round = wire::attachments_max;
  at(gone).bundle_in_round = wire::bundle_frames_max;  // it may have been written to in this round
  std::erase(forgotten_, gone);
  forgotten_.push_back(gone);
}

}  // namespace waggle::sim
