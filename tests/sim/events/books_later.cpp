#include <algorithm>

#include <waggle/wire/headers.hpp>

#include "sim/events/books.hpp"

namespace waggle::sim {

namespace write = broker::write;
using broker::written;

std::uint64_t event_books::call_later(std::string command, std::string payload, std::string key, std::string idempotency_key) {
  ++sums_.commands;
  asked_.emplace(++sent_, asked_command{std::move(command), std::move(payload), std::move(key), std::move(idempotency_key), false, {}});
  return sent_;
}

void event_books::on(std::int64_t wall_ms, const write::accept& what, const written& how) {
  const auto n = number_in_headers(what.headers);
  const auto known = asked_.find(n);
  if (known == asked_.end()) fail("the log is given a command that nobody has called");
  auto& asked = known->second;
  if (asked.command != what.command || asked.payload != what.payload || asked.idempotency_key != what.idempotency_key) fail("the log is given another command than was called");
  if (asked.refused) fail("a command is kept whose caller was told that it is not");
  const auto same = what.idempotency_key.empty() ? by_idempotency_key_.end() : by_idempotency_key_.find({what.command, what.idempotency_key});
  if (how.conflict || how.repeated) {
    if (same == by_idempotency_key_.end()) fail("an idempotency key counts as used that was not");
    const auto& first = operations_.at(same->second);
    if (how.conflict != (first.payload != what.payload)) fail("an idempotency key counts as used with the same payload, or with another, and it was not");
    if (how.conflict) return;
    if (how.operation != same->second) fail("the same command is another operation");
    asked.operation = how.operation;
    return;
  }
  if (same != by_idempotency_key_.end()) {
    const auto& first = operations_.at(same->second);
    if (!first.ended || wall_ms - first.ended_ms < first.keep_ms) fail("an idempotency key was used before, and counts as new");
  }
  if (how.operation.size() != 32 || operations_.contains(how.operation)) fail("an operation has no id of its own");
  auto& in = streams_[what.stream];
  if (how.sequence != in.head + 1) fail("the stream of commands has a hole, at " + std::to_string(how.sequence));
  in.head = how.sequence;
  in.events[how.sequence] = {n, how.time_ms, what.command, asked.key, how.operation, what.payload, what.headers, false, false, {}, sums_.crashes};
  in.bytes += what.command.size() + what.payload.size() + what.headers.size() + how.operation.size();
  asked.operation = how.operation;
  auto& made = operations_[how.operation];
  made.n = n;
  made.command = what.command;
  made.payload = what.payload;
  made.idempotency_key = what.idempotency_key;
  made.sequence = how.sequence;
  if (!what.idempotency_key.empty()) by_idempotency_key_[{what.command, what.idempotency_key}] = how.operation;
  if (log_.verbose()) log_.say({}, "  disk: command " + std::to_string(n) + " (" + what.command + ") is operation " + how.operation);
}

void event_books::on(std::int64_t wall_ms, const write::finish& what, const written&) {
  const auto found = operations_.find(what.operation);
  if (found == operations_.end()) fail("an operation ends that was never accepted");
  auto& of = found->second;
  if (of.ended && wall_ms - of.ended_ms >= of.keep_ms) {
    of.late = true;
    return;
  }
  if (of.ended && of.code == status::ok) return;  // somebody may have been told so; an error is replaced by what its dead letter came to
  const bool said = std::any_of(of.said.begin(), of.said.end(), [&](const auto& each) { return each.first == what.code && each.second == what.payload; });
  if (what.code == status::ok && !said) fail("operation " + what.operation + " succeeds with what no worker has said");
  // An operator has had its dead letter tried again: the member that was taken for dead may still run it, too.
  of.tried_again = of.ended;
  if (!of.ended) ++sums_.ended;
  of.ended = true;
  of.ended_ms = wall_ms;
  of.keep_ms = what.keep_ms;
  of.code = what.code;
  of.result = what.payload;
  if (log_.verbose()) log_.say({}, "  disk: operation " + what.operation + " ends as " + std::string{name(what.code)});
}

void event_books::on(std::int64_t, const write::expire_operations& what, const written& how) {
  if (how.count > what.count_max) fail("more operations are forgotten at once than were to be");
}

void event_books::hands_command_over(instant clock, peer to, const wire::frame& frame, bool late) {
  const auto headers = wire::headers_from_msgpack(frame.headers);
  const auto named = headers.find("operation");
  if (named == headers.end()) return;
  const auto found = operations_.find(named->second);
  if (found == operations_.end()) fail("a durable command is handed over, and is not on the disk");
  auto& of = found->second;
  if (of.command != frame.name || of.payload != frame.payload) fail("a durable command is handed over as another than was called");
  if (headers.contains("later")) fail("a durable command is handed over as one for later");
  if (of.ended) {
    const bool revived = std::any_of(letters_.begin(), letters_.end(), [&](const auto& each) {
      return each.second.group == "waggle.later" && each.second.sequence == of.sequence && (each.second.may_revive || asked_to_retry_.contains(each.first));
    });
    // What stood in a full pipe is an earlier attempt.
    if (!revived && !late) fail("operation " + found->first + " is handed over, though it has ended");
    of.begun = of.handed = 0;
    of.said.clear();
  }
  ++of.handed;
  auto& lease = leases_[frame.id];
  lease = {};
  lease.to = to;
  lease.operation = found->first;
  lease.at = clock;
  lease.budget = milliseconds{frame.budget_ms};
  lease.lost = late;
  peers_[to].leases.insert(frame.id);
}

void event_books::begins(const std::string& operation) {
  ++sums_.begun;
  const auto found = operations_.find(operation);
  if (found == operations_.end()) fail("a member runs an operation that is not on the disk");
  auto& of = found->second;
  ++of.begun;
  const auto plan = std::find_if(in_.commands.begin(), in_.commands.end(), [&](const auto& each) { return each.name == of.command; });
  if (plan != in_.commands.end() && plan->retry == retry_class::once && of.begun > 1 && !of.tried_again) fail("operation " + operation + " runs again, and may run only once");
}

void event_books::accepted(std::uint64_t n, const std::string& operation, bool repeated) {
  const auto& asked = asked_.at(n);
  const auto found = operations_.find(operation);
  if (found == operations_.end()) fail("a receipt names an operation that is not on the disk");
  if (asked.operation != operation) fail("a receipt names another operation than its own");
  if (repeated != (found->second.n != n)) fail("a receipt is wrong about being repeated");
}

void event_books::not_accepted(std::uint64_t n, const error& why) {
  auto& asked = asked_.at(n);
  if (why.code == status::failed_precondition) {
    const auto same = by_idempotency_key_.find({asked.command, asked.idempotency_key});
    if (same == by_idempotency_key_.end() || operations_.at(same->second).payload == asked.payload) fail("a good idempotency key is refused: " + why.message);
  } else if (why.code != status::resource_exhausted && why.code != status::unavailable && why.code != status::data_loss && why.code != status::deadline_exceeded) {
    fail("a good command for later is refused as " + std::string{name(why.code)} + ": " + why.message);
  }
  if (why.may_have_run) return;
  asked.refused = true;
  if (!asked.operation.empty()) fail("a caller is told that its command is not kept, and it is");
}

bool event_books::has_ended(const std::string& operation) const {
  const auto found = operations_.find(operation);
  return found != operations_.end() && found->second.ended;
}

void event_books::outcome(const std::string& operation, std::string_view state, std::string_view status_name, std::string_view result, bool had_ended) {
  const auto& of = operations_.at(operation);
  if (state == "succeeded" || state == "failed") {
    if (!of.ended) fail("the outcome of operation " + operation + " is told before it has ended");
    if ((state == "succeeded") != (status_name == "OK")) fail("an outcome's state is not its status");
    if (status_name == name(of.code)) {
      if (state == "succeeded" && result != (of.result.empty() ? std::string_view{"\xc0"} : of.result)) fail("the outcome of operation " + operation + " is another than it ended with");
      return;
    }
    const bool revived = of.begun == 0 || of.late || std::any_of(letters_.begin(), letters_.end(), [&](const auto& each) { return each.second.sequence == of.sequence && each.second.group == "waggle.later"; });
    if (!revived) fail("the outcome of operation " + operation + " is " + std::string{status_name} + ", and it ended as " + std::string{name(of.code)});
    return;
  }
  if (had_ended && std::none_of(letters_.begin(), letters_.end(), [&](const auto& each) { return each.second.sequence == of.sequence && (each.second.may_revive || asked_to_retry_.contains(each.first)); })) {
    fail("operation " + operation + " is said to be " + std::string{state} + ", and has ended");
  }
}

void event_books::outcome_unknown(std::int64_t wall_ms, const std::string& operation) {
  const auto found = operations_.find(operation);
  if (found == operations_.end()) return;
  const auto& of = found->second;
  if (!of.ended || wall_ms - of.ended_ms < of.keep_ms) fail("the outcome of operation " + operation + " is forgotten " + std::to_string(wall_ms - of.ended_ms) + " ms after its end, and was to be kept for " + std::to_string(of.keep_ms));
}

}  // namespace waggle::sim
