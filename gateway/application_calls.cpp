// Calls on their way out: what a breaker lets through, and what is tried again.
#include <algorithm>
#include <utility>

#include "gateway/application.hpp"

namespace waggle::gateway {
namespace {

using std::chrono::milliseconds;

/// The first pause before a retry whose error does not say when; doubled for each one after.
constexpr milliseconds retry_pause{100};
/// Payloads that are larger are not kept for a retry.
constexpr std::size_t retry_payload_bytes_max = 256 * 1024;

}  // namespace

/// Begins a call. Its id, or why there is none.
result<std::uint64_t> application::open_call(front::instant now, const open_request_ptr& to, std::size_t slot, const outgoing& call) {
  call_tag tag{to, slot};
  const auto& guards = traffic_->commands;
  if (guards && call.guarded && !call.command.starts_with("waggle.")) {
    const auto ticket = admit(now, *guards, call.command);
    if (!ticket) return tl::unexpected{ticket.error()};
    tag.guarded = std::make_unique<guarded_call>(guarded_call{guards, call.command, *ticket, {}});
    const auto& retries = guards->retries();
    if (retries && retries->attempts > 1 && call.idempotent && call.payload.size() <= retry_payload_bytes_max) {
      guards->pay_in(now, call.command);
      tag.guarded->again.emplace(guarded_call::repeatable{call.payload, call.key, call.parts, now + call.budget});
    }
  }
  const auto id = core_.call(now, tag, call.command, std::move(call.payload), call.budget, headers_of(*to, {call.key, {}, call.kept}), {call.idempotent, call.parts});
  if (id != 0) return id;
  record(now, tag, call_verdict::neither);
  return tl::unexpected{full()};
}

result<circuit_breaker::ticket> application::admit(front::instant now, command_guards& by, const std::string& command) {
  const auto said = by.admit(now, command);
  if (!said.open) return said.ticket;
  return tl::unexpected{error{status::unavailable, "calls of \"" + command + "\" are not begun now, since too many have failed", false, said.retry_after}};
}

/// Tells the breaker how a call has ended that it has let through.
void application::record(front::instant now, const call_tag& of, call_verdict how) const {
  if (of.guarded) of.guarded->by->record(now, of.guarded->command, of.guarded->ticket, how);
}

/// Whether a call that has failed is made again after a pause; then the tag is kept for that. It is only one that no worker has had: the broker tries
/// calls again itself that a worker has died with (PROTOCOL.md, "Retries"), and three attempts there would be as many here for each.
bool application::retry_later(front::instant now, call_tag& of, const error& why) {
  if (!of.guarded || !of.guarded->again || why.code != status::unavailable || why.may_have_run || !core_.ready()) return false;
  auto& again = *of.guarded->again;
  auto& to = *of.of;
  if ((!to.run && to.answered) || again.attempts >= of.guarded->by->retries()->attempts) return false;
  auto pause = why.retry_after.value_or(retry_pause * (1 << (again.attempts - 1)));
  pause += milliseconds{random_() % (static_cast<std::uint64_t>(std::max<milliseconds::rep>(pause.count(), 1)) / 2 + 1)};
  if (now + pause >= again.deadline || !of.guarded->by->take_retry(now, of.guarded->command)) return false;
  ++again.attempts;
  again.why = why;
  to.waiting.insert(of.slot);
  retries_.emplace(now + pause, std::move(of));
  return true;
}

/// True: the call was about to be made again, and is not any more.
bool application::cancel_retry(open_request& of, std::size_t slot) { return of.waiting.erase(slot) > 0; }

void application::run_retries(front::instant now) {
  while (!retries_.empty() && retries_.begin()->first <= now) {
    auto due = std::move(retries_.extract(retries_.begin()).mapped());
    if (due.of->waiting.erase(due.slot) > 0) retry(now, std::move(due));
  }
}

void application::retry(front::instant now, call_tag of) {
  auto& guarded = *of.guarded;
  auto& again = *guarded.again;
  const auto left = std::chrono::floor<milliseconds>(again.deadline - now);
  const auto budget = left > milliseconds{0} ? budget_now(now, left) : std::nullopt;
  const auto ticket = admit(now, *guarded.by, guarded.command);
  if (!budget || !ticket) {
    if (ticket) guarded.by->record(now, guarded.command, *ticket, call_verdict::neither);
    return on_failure(now, of, std::move(again.why));
  }
  guarded.ticket = *ticket;
  const auto to = of.of;
  const auto slot = of.slot;
  const auto id = core_.call(now, of, guarded.command, again.payload, *budget, headers_of(*to, {again.key, {}}), {true, again.parts});
  if (id == 0) {
    record(now, of, call_verdict::neither);
    return on_failure(now, of, full());
  }
  if (to->run) {
    auto& open = to->calls[slot];
    open.id = id;
    open.since = now;
  } else {
    to->call_id = id;
    to->since = now;
  }
}

}  // namespace waggle::gateway
