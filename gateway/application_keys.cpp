// Requests with an Idempotency-Key: reserved before they begin, settled before their answer leaves.
#include <string>
#include <utility>

#include "gateway/application.hpp"
#include "gateway/replies/idempotency.hpp"
#include "gateway/routes/preferences.hpp"
#include "gateway/routes/problems.hpp"
#include "gateway/routes/reply.hpp"

namespace waggle::gateway {
namespace {

using std::chrono::milliseconds;

/// A disk that takes longer to keep an answer lets it leave unkept; one that takes longer to reserve a key has the request refused.
constexpr milliseconds settle_time{5'000};
constexpr milliseconds reserve_time{10'000};
/// A key outlives its request by at least so much.
constexpr milliseconds keep_after_budget{60'000};

std::int64_t wall_ms() {
  return std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

front::response unable(const std::string& why) {
  return problem_of({status::unavailable, "the gateway cannot keep answers under Idempotency-Keys now: " + why + "; nothing has been done", false, milliseconds{1000}});
}

/// What may be different the next time, where nothing speaks against doing it again.
bool is_passing(int status) { return status == 429 || status == 503 || status == 504; }

}  // namespace

/// True: it is answered, or will be once the store has said whose the key is.
bool application::take_keyed(front::instant now, const open_request_ptr& to, const router::taken_route& by, const front::request& in, std::string_view claims) {
  const auto& of = *by.of;
  const auto refuse = [&](front::response with) {
    add_route_headers(of, with);
    deliver(*to, std::move(with));
    return true;
  };
  auto key = idempotency_key_of(in.headers);
  if (!key) return refuse(problem_of({status::invalid_argument, std::move(key.error())}));
  if (!*key) {
    if (of.what.idempotency == key_use::accepted) return false;
    return refuse(problem_of({status::invalid_argument, "this route wants an Idempotency-Key: a text of the client's choice, as a UUID, that is the same when it sends "
                                                        "this request again, and another for every other request"}));
  }
  // The broker keeps its own keys, for all gateways.
  if (to->call.what_for == planned_call::purpose::receipt || (to->run && !of.what.composed && !of.what.steps.front().emit.empty())) return false;

  const auto budget = to->run ? to->run->budget() : to->call.budget;
  const auto keep = std::max(keeping_.keep, budget + keep_after_budget);
  auto& keyed = to->keyed.emplace();
  keyed.key = key_digest(whose_claims(claims), of.text, **key);
  keyed.may_run_twice = to->run ? to->run->may_run_twice() : to->call.idempotent;
  keyed.keep_ms = keep.count();
  const auto wall = wall_ms();
  ask_store(now, to, store::reserve{keyed.key, request_digest(in), wall, wall + keyed.keep_ms, keyed.may_run_twice}, std::min(budget, reserve_time));
  return true;
}

void application::ask_store(front::instant now, const open_request_ptr& to, store_entry what, milliseconds within) {
  auto& keyed = *to->keyed;
  keyed.ticket = ++last_ticket_;
  keyed.until = now + within;
  asked_.emplace(keyed.ticket, to);
  deadlines_.emplace(keyed.until, to);
  if (store_->put(keyed.ticket, std::move(what))) return;
  asked_.erase(keyed.ticket);
  on_stored(now, to, failure(status::unavailable, "as much waits for its disk as may"));
}

void application::take_stored(front::instant now) {
  store_->take(outcomes_);
  for (auto& each : std::exchange(outcomes_, {})) {
    if (const auto found = asked_.extract(each.ticket); !found.empty()) on_stored(now, found.mapped(), std::move(each.what));
  }
}

void application::on_stored(front::instant now, const open_request_ptr& to, result<reserved> what) {
  auto& keyed = *to->keyed;
  keyed.ticket = 0;
  if (!keyed.is_mine) return on_reserved(now, to, std::move(what));
  keyed.is_mine = false;
  --keyed_;
  if (!what) note("an answer under an Idempotency-Key leaves though it is not kept yet: " + what.error().message);
  if (keyed.answer) deliver(*to, std::move(*std::exchange(keyed.answer, {})));
}

void application::on_reserved(front::instant now, const open_request_ptr& to, result<reserved> found) {
  auto& keyed = *to->keyed;
  const bool is_fresh = found && found->is == reserved::state::fresh;
  if (to->answered) {  // or nobody waits any more
    if (is_fresh) std::ignore = store_->put(0, store::release{keyed.key});
    return;
  }
  if (is_fresh) {
    keyed.is_mine = true;
    ++keyed_;
    return begin(now, to);
  }
  if (!found) return deliver(*to, unable(found.error().message));
  if (found->is == reserved::state::full) {
    note("no key can be taken for an Idempotency-Key: as many answers are kept as may; write idempotency: {entries: ..., bytes: ...} with more, or a shorter keep");
  }
  deliver(*to, answer_to_repeated(std::move(*found)));
}

/// The store takes too long.
void application::on_store_late(const open_request_ptr& to) {
  auto& keyed = *to->keyed;
  if (!keyed.is_mine) {
    if (!to->answered) deliver(*to, unable("its disk does not answer"));
  } else if (keyed.answer) {
    note("an answer under an Idempotency-Key leaves though it is not kept yet: the disk does not answer");
    deliver(*to, std::move(*std::exchange(keyed.answer, {})));
  }
}

/// The answer of a request that has a key: first it is kept. If nothing has been done, or what has failed may be done again, the key is free again.
void application::settle(open_request& to, front::response out) {
  auto& keyed = *to.keyed;
  if (to.nothing_ran || (keyed.may_run_twice && is_passing(out.status))) {
    keyed.is_mine = false;
    --keyed_;
    std::ignore = store_->put(0, store::release{keyed.key});
    return deliver(to, std::move(out));
  }
  keyed.answer = out;
  ask_store(front::clock::now(), to.shared_from_this(), store::settle{keyed.key, std::move(out), wall_ms() + keyed.keep_ms}, settle_time);
}

}  // namespace waggle::gateway
