#include <waggle/operation.hpp>
#include <waggle/receipt.hpp>

#include <string>

#include "support/catch.hpp"

namespace {

using namespace waggle;
using namespace std::chrono_literals;

/// A map whose values are msgpack already.
std::string map_of(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string out;
  wire::writer to{out};
  to.map(entries.size());
  for (const auto& [key, value] : entries) {
    to.string(key);
    to.raw(value);
  }
  return out;
}
template <class Type>
std::string packed(const Type& from) {
  std::string out;
  append_payload(out, from);
  return out;
}

}  // namespace

TEST_CASE("receipts: say where an event is, and of what is none say nothing", "[client]") {
  const auto got = detail::read_receipt(map_of({{"durable", packed(true)}, {"stream", packed(std::string{"events"})}, {"sequence", packed(7)}, {"repeated", packed(true)}}));
  CHECK(got.durable);
  CHECK(got.stream == "events");
  CHECK(got.sequence == 7);
  CHECK(got.repeated);
  CHECK_FALSE(detail::read_receipt(map_of({{"durable", packed(false)}})).durable);
  for (const std::string other : {"", "\xc0", "\x93", "\x81\xa7" "durable"}) CHECK_FALSE(detail::read_receipt(other).durable);
}

TEST_CASE("operations: their receipt is read, and the reply of a broker that has run the command at once is none", "[client]") {
  const auto got = detail::read_operation(map_of({{"operation", packed(std::string{"ab12"})}, {"state", packed(std::string{"ended"})}, {"repeated", packed(true)}}));
  REQUIRE(got.has_value());
  CHECK(got->id == "ab12");
  CHECK(got->repeated);
  CHECK(got->ended);
  CHECK(detail::read_operation(packed(1)).error().code == status::unimplemented);
  CHECK(detail::read_operation("").error().may_have_run);
}

TEST_CASE("operations: what goes along says how long a run may take, and the keys", "[client]") {
  const auto got = detail::later_headers({.key = "k", .idempotency_key = "i", .run_budget = 250ms, .traceparent = {}, .headers = {{"a", "b"}}});
  CHECK(got == header_map{{"a", "b"}, {"idempotency_key", "i"}, {"key", "k"}, {"later", "250"}});
}

TEST_CASE("outcomes: of each state are read, with the reply as a type or the error", "[client]") {
  const auto state = [](const std::string& named) { return std::pair{std::string{"state"}, packed(named)}; };
  const auto done = detail::read_outcome<int>(map_of({state("succeeded"), {"command", packed(std::string{"a.b"})}, {"accepted_ms", packed(1000)}, {"ended_ms", packed(2000)}, {"result", packed(7)}}));
  REQUIRE(done.has_value());
  CHECK(done->ended());
  CHECK(done->reply == 7);
  CHECK(done->command == "a.b");
  CHECK((done->ended_at.value() - done->accepted) == 1s);

  std::string why;
  wire::append_error(why, {status::not_found, "no such thing", true});
  const auto failed = detail::read_outcome<int>(map_of({state("failed"), {"status", packed(std::string{"NOT_FOUND"})}, {"error", why}}));
  REQUIRE(failed.has_value());
  CHECK(failed->ended());
  CHECK(failed->why.value().code == status::not_found);
  CHECK(failed->why.value().message == "no such thing");

  const auto again = detail::read_outcome<int>(map_of({state("retrying"), {"attempts", packed(3)}, {"next_attempt_ms", packed(1500)}, {"error", why}}));
  REQUIRE(again.has_value());
  CHECK_FALSE(again->ended());
  CHECK(again->attempts == 3);
  CHECK(again->next_attempt == 1500ms);

  CHECK(detail::read_outcome<int>(map_of({state("succeeded"), {"result", packed(std::string{"text"})}})).error().code == status::internal);
  CHECK(detail::read_outcome<int>(map_of({state("odd")})).error().code == status::internal);
  CHECK(detail::read_outcome<int>("").error().code == status::internal);
}
