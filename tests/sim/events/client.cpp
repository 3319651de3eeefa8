#include "sim/events/client.hpp"

#include <algorithm>

#include <waggle/wire/headers.hpp>

#include "sim/events/messages.hpp"

namespace waggle::sim {

void client::start(instant now) {
  up_ = true;
  act_at_ = now;
  socket_.open(now);
}

void client::crash(instant now) {
  socket_.cut(now, true);
  up_ = was_connected_ = false;
  calls_.clear();
  questions_.clear();
  bundle_.clear();
}

void client::call(instant now) {
  auto& chance = around_.chance;
  const auto& command = chance.pick(around_.events.commands).name;
  const auto payload = packed("job " + std::to_string(chance.below(3)));
  const auto key = chance.chance(1, 3) ? "j" + std::to_string(chance.below(3)) : std::string{};
  const auto idempotency_key = chance.chance(1, 3) ? "i" + std::to_string(chance.below(20)) : std::string{};
  const auto n = around_.books.call_later(command, payload, key, idempotency_key);
  header_map headers{{"n", std::to_string(n)}, {"later", chance.chance(1, 2) ? "2000" : "10000"}};
  if (!key.empty()) headers["key"] = key;
  if (!idempotency_key.empty()) headers["idempotency_key"] = idempotency_key;
  const auto id = ++last_id_;
  calls_[id] = n;
  wire::append_call(bundle_, id, command, payload, 600'000, wire::headers_to_msgpack(headers));
  if (around_.log.verbose()) around_.log.say(now, "client " + std::to_string(number_) + " calls " + command + " for later, number " + std::to_string(n));
}

void client::ask(const std::string& operation, std::uint64_t wait_ms) {
  if (around_.log.verbose()) around_.log.say({}, "  client " + std::to_string(number_) + " asks for the outcome of " + operation + ", waits " + std::to_string(wait_ms));
  const auto id = ++last_id_;
  questions_[id] = {operation, around_.books.has_ended(operation)};
  wire::append_call(bundle_, id, "waggle.outcome", asked_map{}.text("operation", operation).number("wait_ms", wait_ms).bytes(), 600'000, {});
}

std::string client::open_in_words() const {
  std::string out = "client " + std::to_string(number_) + ":";
  for (const auto& [id, n] : calls_) out += " call " + std::to_string(n) + " (id " + std::to_string(id) + ")";
  for (const auto& [id, each] : questions_) out += " outcome of " + each.operation + " (id " + std::to_string(id) + ")";
  return out;
}

void client::ask_for_all(instant now) {
  for (const auto& each : operations_) ask(each, 0);
  run(now);
}

void client::told(instant now, const wire::frame& in) {
  if (in.type != wire::frame_type::reply) return;
  if (const auto asked = questions_.find(in.id); asked != questions_.end()) {
    const auto what = asked->second;
    questions_.erase(asked);
    return told_outcome(now, what, in);
  }
  const auto found = calls_.find(in.id);
  if (found == calls_.end()) throw violation{"a call for later is answered twice, or one that nobody has made"};
  const auto n = found->second;
  calls_.erase(found);
  if (in.status != status::ok) return around_.books.not_accepted(n, wire::read_error(in.status, in.payload));
  const told_map receipt{in.payload};
  const auto operation = receipt.text("operation");
  const auto state = receipt.text("state");
  if (state != "waiting" && state != "ended") throw violation{"a receipt says that an operation is " + state};
  if (state == "ended" && !around_.books.has_ended(operation)) throw violation{"a receipt says that an operation has ended, and it has not"};
  around_.books.accepted(n, operation, receipt.has("repeated") && receipt.flag("repeated"));
  operations_.push_back(operation);
}

void client::told_outcome(instant now, const question& asked, const wire::frame& in) {
  if (in.status == status::not_found) return around_.books.outcome_unknown(around_.wall_ms(now), asked.operation);
  if (in.status != status::ok) {
    if (in.status != status::resource_exhausted && in.status != status::unavailable && in.status != status::deadline_exceeded) {
      throw violation{"a good waggle.outcome is refused: " + wire::read_error(in.status, in.payload).message};
    }
    return;
  }
  const told_map outcome{in.payload};
  if (outcome.text("operation") != asked.operation) throw violation{"the outcome of another operation"};
  std::string_view result = outcome.raw("result");
  around_.books.outcome(asked.operation, outcome.text("state"), outcome.has("status") ? outcome.text("status") : "", result, asked.had_ended);
}

void client::run(instant now) {
  if (was_connected_ && !socket_.connected()) {
    calls_.clear();
    questions_.clear();
    bundle_.clear();
  }
  wire::message arrived;
  while (socket_.receive(now, arrived)) {
    wire::bundle_reader frames{arrived};
    wire::frame in;
    while (frames.next(in) == wire::decoded::frame) told(now, in);
  }
  was_connected_ = socket_.connected();
  if (was_connected_ && !around_.calm && act_at_ <= now) {
    auto& chance = around_.chance;
    act_at_ = now + microseconds{chance.between(1, 2 * static_cast<std::uint64_t>(around_.events.later_every.count()))};
    if (operations_.empty() || chance.chance(1, 2)) {
      call(now);
    } else {
      ask(chance.pick(operations_), chance.chance(1, 2) ? 0 : chance.below(5000));
    }
  }
  if (!bundle_.empty() && socket_.send(now, bundle_)) bundle_.clear();
  look_at_ = now + milliseconds{bundle_.empty() ? was_connected_ ? 500 : 20 : 5};
}

instant client::next_deed(instant) const {
  return was_connected_ && !around_.calm ? std::min(act_at_, look_at_) : look_at_;
}

}  // namespace waggle::sim
