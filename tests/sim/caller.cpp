#include "sim/caller.hpp"

#include <waggle/wire/headers.hpp>

namespace waggle::sim {

namespace {

/// So long the caller waits for the broker's own verdict on a budget that has passed.
constexpr milliseconds grace{100};

}  // namespace

struct caller::sink {
  caller& to;
  instant now;

  void on_part(const tag& of, std::string_view payload) {
    auto& call = to.open_.at(of.number);
    if (payload != part_of(of.number, call.parts)) throw violation{"a PART is not the next one of its call"};
    if (call.parts + 1 == call.credit) to.starving_.insert(of.number);
    if (++call.parts > call.credit && to.around_.in.all_heed_credit()) throw violation{"more PARTs come than the caller has given credit for"};
  }
  void on_result(tag of, std::string_view payload, std::string_view) {
    to.end(now, of.number, nullptr, payload);
    again();
  }
  void on_error(tag of, const error& why) {
    to.end(now, of.number, &why, {});
    again();
  }
  void on_complaint(const error& why) {
    if (to.around_.log.verbose()) to.around_.log.say(now, "caller " + std::to_string(to.number_) + " hears a complaint: " + why.message);
  }
  /// Whoever gets an answer may call at once.
  void again() {
    if (!to.around_.calm && to.around_.chance.chance(1, 20)) to.call(now, to.around_.chance.pick(to.around_.in.commands), milliseconds{100}, false);
  }
};

void caller::start(instant now) {
  core_.emplace(clock(now), caller_core::options{.name = "caller", .broker = "sim", .attachment_bytes_min = around_.chance.between(1, 400)});
  act_at_ = now;
  socket_.open(now);
}

void caller::crash(instant now) {
  socket_.cut(now, true);
  core_.reset();
  message_.clear();
  for (const auto& each : open_) around_.book.abandon(each.first);
  open_.clear();
  by_end_.clear();
  starving_.clear();
}

void caller::end(instant now, std::uint64_t number, const error* why, std::string_view result) {
  const auto found = open_.find(number);
  if (found == open_.end()) throw violation{"a call ends twice at its caller"};
  const auto& ended = found->second;
  if (around_.log.verbose()) around_.log.say(now, "call " + std::to_string(number) + " of caller " + std::to_string(number_) + " ends as " + std::string{name(why == nullptr ? status::ok : why->code)});
  around_.log.number(number);
  around_.log.number(why == nullptr ? 0 : static_cast<std::uint64_t>(why->code) * 2 + (why->may_have_run ? 1 : 0));
  around_.book.end(number, why == nullptr || why->may_have_run);
  if (why == nullptr && !ended.operation && result != result_of(call_payload(number, ended.more), ended.parts)) {
    throw violation{"the result of a call is another's, or its parts are not all there: " + std::string{result}};
  }
  if (why != nullptr && ended.must_succeed) {
    throw violation{"with nothing wrong any more, a call of " + ended.command + " fails: " + std::string{name(why->code)} + " " + why->message};
  }
  by_end_.erase({ended.ends_by, number});
  starving_.erase(number);
  open_.erase(found);
}

void caller::call(instant now, const std::string& command, milliseconds budget, bool must_succeed) {
  auto& chance = around_.chance;
  const auto& in = around_.in;
  detail::caller_core<tag>::call_terms terms;
  terms.idempotent = chance.chance(in.idempotent, 1000);
  if (chance.chance(in.limited, 1000)) terms.parts = chance.below(4);
  std::string headers;
  const bool needs_key = must_succeed && in.needs_key(command);
  if (needs_key || chance.chance(in.keyed, 1000)) headers = wire::headers_to_msgpack({{"key", "key" + std::to_string(chance.below(in.keys))}});
  const auto number = around_.book.open(terms.idempotent);
  auto& made = open_[number];
  made.credit = terms.parts;
  made.ends_by = clock(now) + budget + grace;
  made.more = around_.chance.below(around_.in.payload_max + 1);
  made.command = command;
  made.must_succeed = must_succeed;
  tag as{number};
  made.id = core_->call(clock(now), as, command, call_payload(number, made.more), budget, headers, terms);
  if (made.id == 0) {  // what waits for a broker is bounded
    if (must_succeed || core_->open_calls() < 100) throw violation{"a caller may not call though it has room"};
    open_.erase(number);
    return around_.book.abandon(number);
  }
  by_end_.emplace(made.ends_by, number);
  if (made.credit == 0) starving_.insert(number);
  if (around_.log.verbose()) around_.log.say(now, "caller " + std::to_string(number_) + " makes call " + std::to_string(number) + ", id " + std::to_string(made.id) + " of " + command + ", budget " + std::to_string(budget.count()) + " ms");
}

void caller::ask(instant now, const std::string& operation, const std::string& key, const std::string& value) {
  if (!core_) return;
  std::string payload;
  wire::writer out{payload};
  out.map(1);
  out.string(key);
  out.string(value);
  const auto number = around_.book.open(true);
  auto& made = open_[number];
  made.operation = true;
  made.ends_by = clock(now) + milliseconds{5000} + grace;
  tag as{number};
  made.id = core_->call(clock(now), as, operation, payload, milliseconds{5000}, {});
  if (made.id == 0) {
    open_.erase(number);
    return around_.book.abandon(number);
  }
  by_end_.emplace(made.ends_by, number);
}

void caller::operate(instant now) {
  auto& chance = around_.chance;
  switch (chance.below(8)) {
    case 0: return ask(now, "waggle.workers", "prefix", chance.chance(1, 2) ? "" : "worker");
    case 1: return ask(now, "waggle.queues", "prefix", "cmd");
    case 2: return ask(now, "waggle.calls", "command", chance.chance(1, 2) ? "" : "cmd.1");
    case 3: return ask(now, "waggle.stats", "prefix", "");
    case 4: return ask(now, "waggle.drain", "worker", "worker-" + std::to_string(around_.in.callers + chance.below(around_.in.workers)));
    case 5: return ask(now, "waggle.pause", "command", chance.pick(around_.in.commands));
    default: return resume(now, chance.pick(around_.in.commands));
  }
}

/// Whoever reads slowly gives credit now and then; of calls that have none left, so that they end.
void caller::give_credit() {
  auto& chance = around_.chance;
  std::erase_if(starving_, [&](std::uint64_t number) {
    auto& each = open_.at(number);
    if (!chance.chance(1, around_.calm ? 1 : 3)) return false;
    const auto more = chance.between(1, 5);
    each.credit += more;
    core_->give_credit(each.id, more);
    return each.parts < each.credit;
  });
}

void caller::probe(instant now, const std::string& command) {
  call(now, command, milliseconds{20'000}, true);
  run(now);
}

void caller::act(instant now) {
  auto& chance = around_.chance;
  const auto& in = around_.in;
  act_at_ = now + microseconds{chance.between(1, 2 * static_cast<std::uint64_t>(in.call_every.count()))};
  for (auto left = chance.between(1, in.burst_max); left > 0; --left) {
    const auto budget = milliseconds{chance.chance(1, 30) ? chance.below(3) : chance.between(1, static_cast<std::uint64_t>(in.budget_max.count()))};
    if (chance.chance(in.operations, 1000)) operate(now);
    call(now, chance.chance(1, 100) ? "cmd.unknown" : chance.pick(in.commands), budget, false);
  }
  if (!open_.empty() && chance.chance(in.cancels, 1000)) {
    const auto id = std::next(open_.begin(), static_cast<std::ptrdiff_t>(chance.below(std::min<std::size_t>(open_.size(), 8))))->second.id;
    core_->cancel(id, sink{*this, now});
  }
}

void caller::run(instant now) {
  sink to{*this, now};
  wire::message got;
  while (socket_.receive(now, got)) core_->receive(clock(now), got, to);
  core_->tick(clock(now), to);
  if (core_->next_deadline() < clock(now)) throw violation{"after a tick a caller wants the clock at a time that is past"};
  if (!by_end_.empty() && by_end_.begin()->first <= clock(now)) throw violation{"a call has not ended though its budget has passed"};
  if (core_->wants_connection()) {
    message_.clear();
    socket_.close();
    socket_.open(now);
  }
  if (!around_.calm && act_at_ <= now) act(now);
  if (!starving_.empty()) give_credit();
  while (!message_.empty() || core_->take_message(clock(now), message_)) {
    if (!socket_.send(now, message_)) break;
    message_.clear();
  }
  if (core_->open_calls() != open_.size()) throw violation{"a caller has other calls open than it should have"};
}

instant caller::next_deed(instant now) const {
  auto next = true_time(core_->next_deadline());
  if (!around_.calm) next = std::min(next, act_at_);
  if (!message_.empty()) next = std::min(next, now + milliseconds{5});
  return next;
}

}  // namespace waggle::sim
