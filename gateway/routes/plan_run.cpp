#include "gateway/routes/plan_run.hpp"

#include <algorithm>

#include <waggle/wire/json.hpp>
#include <waggle/wire/limits.hpp>
#include <waggle/wire/reader.hpp>

#include "gateway/routes/problems.hpp"
#include "gateway/routes/reply.hpp"

namespace waggle::gateway {
namespace {

using std::chrono::milliseconds;

/// Of a step of `then` that names none: nobody waits for it.
constexpr milliseconds then_budget{30'000};
constexpr milliseconds undo_pause_max{2'000};

// What is past these bounds is no frame, for which the gateway would lose its seat at the broker and every call that it has open.
constexpr const char* long_key = "its key is longer than 512 bytes";
constexpr const char* large_payload = "its payload is larger than 4 MiB";

std::string json_list(const std::vector<std::string>& names) {
  std::string out = "[";
  for (const auto& each : names) {
    if (out.size() > 1) out += ',';
    wire::append_json_string(out, each);
  }
  return out + ']';
}

/// Whether trying again may help an undo: it is told to be repeatable.
bool passes(status code) {
  return info(code).retryable || code == status::unimplemented || code == status::cancelled;
}

}  // namespace

plan_run::plan_run(beginning from)
    : from_{std::move(from)},
      states_(plan().steps().size()),
      outcomes_(plan().steps().size()),
      may_have_run_(plan().steps().size()) {}

std::string plan_run::request_text() const {
  std::string out;
  const auto add = [&](const std::optional<std::string>& text) {
    const auto size = text ? text->size() : ~std::size_t{0};
    out.append(reinterpret_cast<const char*>(&size), sizeof size);
    if (text) out += *text;
  };
  out += static_cast<char>(from_.reply);
  add(from_.key);
  for (const auto& each : from_.steps) {
    out.append(reinterpret_cast<const char*>(&each.target), sizeof each.target);
    add(each.payload);
    add(each.key);
    add(each.undo_key);
    each.taken.append_to(out);
    each.undo_taken.append_to(out);
  }
  from_.reply_taken.append_to(out);
  for (const auto& each : from_.header_taken) each.append_to(out);
  return out;
}

bool plan_run::may_run_twice() const {
  for (std::size_t i = 0; i < plan().steps().size(); ++i) {
    if (!step(i).what.call || !target(i).info || target(i).info->retry == retry_class::once) return false;
  }
  return true;
}

std::string plan_run::name_of(std::size_t i) const { return from_.of->text + ", step " + step(i).what.name; }

void plan_run::begin(front::instant now, plan_effects& out) {
  deadline_ = now + from_.budget;
  if (from_.mirror_payload && from_.mirror_payload->size() <= wire::payload_bytes_max) {
    ++open_;
    out.orders.push_back({mirror_slot(), false, plan().mirror()->command, std::move(*from_.mirror_payload), from_.budget,
                          from_.steps.front().key ? from_.steps.front().key : from_.key, {}, false, false});
  }
  advance(now, out);
}

void plan_run::on_result(front::instant now, std::size_t slot, std::string_view payload, plan_effects& out) {
  --open_;
  if (slot == mirror_slot()) return;
  if (slot >= plan().steps().size()) {
    end_undo(true, {}, out);
    return advance(now, out);
  }
  if (payload.empty()) payload = "\xc0";
  may_have_run_[slot] = true;
  if (wire::reader in{payload}; in.skip() && in.at_end()) {
    states_[slot] = state::succeeded;
    outcomes_[slot].value = payload;
    done_.push_back(slot);
  } else {  // it would say something else once it stands between other values
    fail(slot, {status::internal, "the reply of " + name_of(slot) + " cannot be used: it is not one msgpack value", true}, out);
  }
  advance(now, out);
}

void plan_run::on_error(front::instant now, std::size_t slot, error why, plan_effects& out) {
  --open_;
  if (slot == mirror_slot()) return;
  if (slot < plan().steps().size()) {
    may_have_run_[slot] = why.may_have_run;
    // That the broker keeps no events is nothing a client can mend.
    if (!step(slot).what.call && why.code == status::failed_precondition) why.code = status::unimplemented;
    fail(slot, std::move(why), out);
    return advance(now, out);
  }
  auto& undo = undos_.back();
  undo.open = false;
  const auto again = now + undo.pause;
  if (passes(why.code) && again < undo.deadline) {
    undo.again_at = again;
    undo.pause = std::min(undo.pause * 2, undo_pause_max);
  } else {
    end_undo(false, why.message, out);
  }
  advance(now, out);
}

void plan_run::on_abandoned(front::instant now, plan_effects& out) {
  if (answered_) return;
  answered_ = true;
  if (phase_ == phase::steps) begin_undoing(plan().steps().size(), {status::cancelled, "the client went away", true}, out);
  advance(now, out);
}

void plan_run::tick(front::instant now, plan_effects& out) {
  if (phase_ == phase::undoing && !answered_ && now >= deadline_) answer_failure(out);
  advance(now, out);
}

front::instant plan_run::next_deadline() const {
  if (phase_ != phase::undoing) return front::instant::max();
  auto at = answered_ ? front::instant::max() : deadline_;
  if (!undos_.empty() && !undos_.back().open) at = std::min(at, undos_.back().again_at);
  return at;
}

bool plan_run::finished() const { return phase_ == phase::over && open_ == 0; }

std::size_t plan_run::bytes() const {
  std::size_t out = sizeof *this + from_.reply_taken.bytes();
  for (const auto& each : from_.header_taken) out += each.bytes();
  for (const auto& each : from_.steps) {
    out += sizeof each + (each.payload ? each.payload->size() : 0) + each.taken.bytes() + each.undo_taken.bytes();
  }
  for (const auto& each : outcomes_) out += sizeof each + (each.value ? each.value->size() : 0);
  for (const auto& each : undos_) out += each.payload ? each.payload->size() : 0;
  return out;
}

bool plan_run::synchronous_open() const {
  return std::find(states_.begin(), states_.begin() + static_cast<std::ptrdiff_t>(plan().first_then()), state::open) !=
         states_.begin() + static_cast<std::ptrdiff_t>(plan().first_then());
}

void plan_run::advance(front::instant now, plan_effects& out) {
  const auto last = plan().steps().size();
  if (phase_ == phase::steps && advance_steps(now, 0, plan().first_then(), out)) answer_success(out);
  if (phase_ == phase::undoing) undo_more(now, out);
  if (phase_ == phase::then && advance_steps(now, plan().first_then(), last, out)) phase_ = phase::over;
}

/// Starts what can start. True when all of these steps have ended, and the phase has not.
bool plan_run::advance_steps(front::instant now, std::size_t from, std::size_t to, plan_effects& out) {
  const auto phase_before = phase_;
  const auto ended = [&](std::size_t i) { return states_[i] == state::succeeded || states_[i] == state::failed; };
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = from; i < to; ++i) {
      const auto& waits_for = step(i).waits_for;
      if (states_[i] != state::waiting || !std::all_of(waits_for.begin(), waits_for.end(), ended)) continue;
      start(now, i, out);
      if (phase_ != phase_before) return false;
      changed = changed || states_[i] != state::open;
    }
  }
  for (std::size_t i = from; i < to; ++i) {
    if (!ended(i)) return false;
  }
  return true;
}

void plan_run::start(front::instant now, std::size_t i, plan_effects& out) {
  const auto& what = step(i);
  auto& bound = from_.steps[i];
  for (const auto other : what.relies_on) {
    if (states_[other] == state::failed) {
      return fail(i, {status::failed_precondition, "the step " + step(other).what.name + " before it failed", false}, out);
    }
  }
  const auto refuse = [&](status code, const std::string& why) { fail(i, {code, name_of(i) + ": " + why, false}, out); };
  auto budget = what.what.budget.value_or(what.then ? then_budget : from_.budget);
  if (!what.then) budget = std::min(budget, std::chrono::ceil<milliseconds>(deadline_ - now));
  if (budget <= milliseconds{0}) return refuse(status::deadline_exceeded, "the budget passed before it could begin");
  if (!bound.payload) {
    std::vector<problem> wrong;
    auto made = (what.what.call ? target(i).payload : *what.event).make(bound.taken, outcomes_, wrong);
    if (!made) {
      out.notes.push_back(name_of(i) + ": " + made.error().reason);
      return fail(i, made.error().shown, out);
    }
    if (!wrong.empty()) {
      // The client did nothing wrong: the route makes something of other steps' results that the command does not take.
      return refuse(status::internal, "its payload does not fit: " + wrong.front().path + ": " + wrong.front().message);
    }
    bound.payload = std::move(*made);
  }
  if (bound.payload->size() > wire::payload_bytes_max) return refuse(status::out_of_range, large_payload);
  auto key = bound.key;
  if (!key && what.key) key = what.key->text(outcomes_);
  if (!key && !what.what.key) key = from_.key;
  if (key && key->size() > wire::key_bytes_max) return refuse(status::internal, long_key);
  plan_effects::order order;
  order.slot = i;
  order.payload = std::move(*bound.payload);
  order.budget = budget;
  order.key = std::move(key);
  order.patient = what.then;
  if (what.what.call) {
    order.name = target(i).command;
    order.idempotent = target(i).info && target(i).info->retry != retry_class::once;
  } else {
    order.emit = true;
    order.name = what.what.emit;
    if (!what.then) order.event_id = from_.event_id;
  }
  out.orders.push_back(std::move(order));
  states_[i] = state::open;
  ++open_;
}

void plan_run::fail(std::size_t i, error why, plan_effects& out) {
  states_[i] = state::failed;
  std::string shown;
  wire::append_error(shown, why);
  outcomes_[i].error = std::move(shown);
  const auto& what = step(i).what;
  if (step(i).then) {
    out.notes.push_back(name_of(i) + ", after the answer: " + std::string{name(why.code)} + ": " + why.message);
    return;
  }
  if (phase_ != phase::steps) return;
  if (what.needed == step_config::need::fallback) {
    outcomes_[i].value = what.fallback;
  } else if (what.needed == step_config::need::required) {
    begin_undoing(i, std::move(why), out);
  }
}

/// What is open is cancelled, and waited for if it has to be undone should it have run.
void plan_run::begin_undoing(std::size_t because, error why, plan_effects& out) {
  phase_ = phase::undoing;
  failure_ = std::move(why);
  if (because < plan().steps().size() && from_.of->what.composed) failed_step_ = step(because).what.name;
  for (std::size_t i = 0; i < plan().first_then(); ++i) {
    if (states_[i] == state::open) out.cancels.push_back(i);
  }
}

void plan_run::undo_more(front::instant now, plan_effects& out) {
  if (!undos_chosen_) {
    for (std::size_t i = 0; i < plan().first_then(); ++i) {
      if (states_[i] == state::open && step(i).undo) return;  // whether it has run is not known yet
    }
    undos_chosen_ = true;
    for (const auto i : done_) {
      if (step(i).undo) undos_.push_back({i});
    }
    for (std::size_t i = 0; i < plan().first_then(); ++i) {
      if (states_[i] == state::failed && may_have_run_[i] && step(i).undo) undos_.push_back({i});
    }
  }
  while (!undos_.empty() && !undos_.back().open) {
    auto& next = undos_.back();
    const auto i = next.step;
    const auto& undo = *step(i).undo;
    if (!next.payload) {
      std::vector<problem> wrong;
      auto made = undo.target.payload.make(from_.steps[i].undo_taken, outcomes_, wrong);
      if (!made || !wrong.empty() || made->size() > wire::payload_bytes_max) {
        end_undo(false, !made ? made.error().reason : wrong.empty() ? large_payload : wrong.front().path + ": " + wrong.front().message,
                 out);
        continue;
      }
      next.payload = std::move(*made);
      next.deadline = now + undo.budget;
      next.again_at = now;
    }
    if (next.again_at > now) break;
    auto key = from_.steps[i].undo_key;
    if (!key && undo.key) key = undo.key->text(outcomes_);
    if (key && key->size() > wire::key_bytes_max) {
      end_undo(false, long_key, out);
      continue;
    }
    const auto left = std::max(std::chrono::ceil<milliseconds>(next.deadline - now), milliseconds{1});
    out.orders.push_back({undo_slot(i), false, undo.target.command, *next.payload, left, std::move(key), {}, true, true});
    next.open = true;
    ++open_;
  }
  if (!undos_.empty()) return;
  if (!answered_) answer_failure(out);
  phase_ = phase::over;
}

void plan_run::end_undo(bool done, const std::string& why, plan_effects& out) {
  const auto& what = step(undos_.back().step).what;
  (done ? undone_ : not_undone_).push_back(what.name);
  if (!done) out.notes.push_back(name_of(undos_.back().step) + " is not undone: " + what.undo->command + ": " + why);
  undos_.pop_back();
}

void plan_run::answer_failure(plan_effects& out) {
  answered_ = true;
  auto why = *failure_;
  why.may_have_run = why.may_have_run || std::find(may_have_run_.begin(), may_have_run_.end(), true) != may_have_run_.end() ||
                     synchronous_open();
  std::string members;
  if (!failed_step_.empty()) {
    members += ",\"step\":";
    wire::append_json_string(members, failed_step_);
  }
  if (!undone_.empty()) members += ",\"undone\":" + json_list(undone_);
  auto left = not_undone_;
  for (const auto& each : undos_) left.push_back(step(each.step).what.name);
  if (!undos_chosen_) {
    for (std::size_t i = 0; i < plan().first_then(); ++i) {
      if (step(i).undo && (may_have_run_[i] || states_[i] == state::open)) left.push_back(step(i).what.name);
    }
  }
  if (!left.empty()) members += ",\"not_undone\":" + json_list(left);
  out.answer = decorated(problem_of(why, members));
  out.nothing_ran = !why.may_have_run;
}

void plan_run::answer_success(plan_effects& out) {
  const auto fail_reply = [&](const std::string& why) {
    begin_undoing(plan().steps().size(), {status::internal, "the reply of " + from_.of->text + " cannot be made: " + why, true},
                  out);
  };
  std::string made;
  std::string_view value;
  if (plan().reply()) {
    const auto there = plan().reply()->append(made, from_.reply_taken, outcomes_);
    if (!there) {
      out.notes.push_back(from_.of->text + ": " + there.error().reason);
      return fail_reply(there.error().shown.message);
    }
    if (!*there) made = "\xc0";
    value = made;
  } else if (outcomes_.front().value) {
    value = *outcomes_.front().value;
  } else {
    value = "\xc0";
  }
  auto answer = reply_of(value, from_.reply, from_.of->text);
  if (answer.status != 200) return fail_reply("it is no value that can be passed on");
  std::string missing;
  bool whole = true;
  for (const auto i : plan().reply_steps()) {
    if (states_[i] != state::failed) continue;
    missing += (missing.empty() ? "" : ", ") + step(i).what.name;
    whole = whole && step(i).what.needed == step_config::need::fallback;
  }
  const auto& what = from_.of->what;
  answer.status = static_cast<int>(whole ? what.status.value_or(what.steps.front().emit.empty() || what.composed ? 200 : 202)
                                         : what.incomplete.value_or(200));
  if (!missing.empty()) answer.headers.emplace_back("Waggle-Incomplete", missing);
  for (std::size_t i = 0; i < plan().headers().size(); ++i) {
    const auto& [name, text] = plan().headers()[i];
    if (auto value_text = text.text(from_.header_taken[i], outcomes_)) answer.headers.emplace_back(name, std::move(*value_text));
  }
  answered_ = true;
  out.answer = decorated(std::move(answer));
  phase_ = plan().first_then() == plan().steps().size() ? phase::over : phase::then;
  // The steps of `then` may take long, and need none of this.
  from_.reply_taken = {};
  from_.header_taken.clear();
  for (auto& each : from_.steps) each.undo_taken = {};
}

front::response plan_run::decorated(front::response of) const {
  add_route_headers(*from_.of, of);
  return of;
}

}  // namespace waggle::gateway
