// What the core does in a step without a sign of when, the model tries: that it finds that a queued call's budget has passed, and whom of several workers
// of one name it drains first.
#include <algorithm>
#include <exception>
#include <tuple>

#include "sim/model.hpp"

namespace waggle::sim {

namespace {

/// More orders than that nobody wants to wait for.
constexpr int tries_max = 10'000;

template <class... Parts>
std::tuple<Parts...> copy_of(const std::tuple<Parts&...>& parts) {
  return parts;
}

}  // namespace

auto model::state() {
  return std::tie(peers_, calls_, last_call_, by_id_, by_lease_, by_deadline_, keys_, commands_, pools_, held_, remembered_, queued_, parked_, settled_, kept_bytes_,
                  listings_, joined_, changes_, announce_at_, sums_, told_, broadcasts_, forgotten_);
}

/// Whether calls that waited have ended in this step because their budgets had passed: between two ticks the core finds them when it looks whose turn
/// it is, and in a message of many frames it does so many times. Or whether several workers have been asked to leave.
bool model::is_ambiguous() const {
  const auto asked = std::count_if(told_.begin(), told_.end(), [](const told& each) { return each.in.type == wire::frame_type::leave; });
  return asked > 1 || std::any_of(told_.begin(), told_.end(), [&](const told& each) {
    if (each.in.type != wire::frame_type::reply || each.in.status != status::deadline_exceeded) return false;
    const auto found = by_id_.find({each.to, each.in.id});
    if (found == by_id_.end()) return false;
    const auto& of = calls_.at(found->second);
    return of.deadline <= now_ && (of.state == call::queued || of.state == call::leased);
  });
}

/// Does a step's books, in one order after the other until one agrees with all that the core has sent, and with what it says of itself. If none
/// does, the core has done what it may not.
void model::explain(const std::function<void()>& step) {
  if (!is_ambiguous()) return step();
  std::map<const command*, std::string> commands;
  std::map<const pool*, std::size_t> pools;
  for (const auto& each : commands_) commands.emplace(&each.second, each.first);
  for (const auto& each : pools_) pools.emplace(&each, pools.size());
  const auto before = copy_of(state());
  std::exception_ptr wrong;
  for (int tries = 0; tries < tries_max; ++tries) {
    chosen_ = 0;
    try {
      step();
      return choices_.clear();
    } catch (const violation&) {
      if (!wrong) wrong = std::current_exception();
    }
    while (!choices_.empty() && ++choices_.back().taken == choices_.back().options) choices_.pop_back();
    if (choices_.empty()) std::rethrow_exception(wrong);
    state() = before;
    relink(commands, pools);
    log_.say(now_, "  in another order:");
  }
  std::rethrow_exception(wrong);
}

std::size_t model::choose(std::size_t options) {
  if (chosen_ == choices_.size()) choices_.push_back({0, options});
  return choices_[chosen_++].taken;
}

/// The books have been copied, and point at commands and pools that are elsewhere now.
void model::relink(const std::map<const command*, std::string>& commands, const std::map<const pool*, std::size_t>& pools) {
  const auto follow = [&](command*& to) {
    if (to != nullptr) to = &commands_.at(commands.at(to));
  };
  const auto follow_pool = [&](pool*& to) {
    if (to != nullptr) to = &*std::next(pools_.begin(), static_cast<std::ptrdiff_t>(pools.at(to)));
  };
  for (auto& each : calls_) follow(each.second.what);
  for (auto& each : keys_) follow(each.second.wants);
  for (auto& each : pools_) {
    for (auto& member : each.commands) follow(member.what);
  }
  for (auto& each : peers_) follow_pool(each.seat);
  for (auto& each : held_) follow_pool(each);
  for (auto& each : remembered_) follow_pool(each);
}

}  // namespace waggle::sim
