// The life of a call in the broker core: from CALL to its one REPLY.
#include "support/broker_fixture.hpp"

using namespace std::literals;
using namespace waggle;
using namespace waggle::broker;
using waggle::wire::frame_type;

TEST_CASE("broker: a call reaches a worker of its command and the reply comes back under the caller's id", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("hello.say"));
  net.call("client", 7, "hello.say", 1500ms, "\xa3""Ada", "\x81\xa3key\xa1k");
  REQUIRE(net.calls_at("worker") == 1);
  const auto call = net.inbox("worker", frame_type::call).front();
  CHECK(call.name == "hello.say");
  CHECK(call.payload == "\xa3""Ada");
  CHECK(call.headers == "\x81\xa3key\xa1k");
  CHECK(call.budget_ms == 1500);
  CHECK(call.id != 0);
  CHECK(call.id < (std::uint64_t{1} << 53));

  net.reply("worker", call.id, status::ok, "\xa5hello", "\x81\xa1h\xc3");
  const auto reply = net.reply_to("client", 7);
  CHECK(reply.code == status::ok);
  CHECK(reply.payload == "\xa5hello");
  CHECK(reply.headers == "\x81\xa1h\xc3");
  CHECK(net.core().open_calls() == 0);
}

TEST_CASE("broker: an error of the worker is passed on as it is", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.call("client", 1, "a", 1s);
  net.reply("worker", net.leases_at("worker")[0], status::not_found, "\xa4gone");
  CHECK(net.status_of("client", 1) == status::not_found);
  CHECK(net.reply_to("client", 1).payload == "\xa4gone");
}

TEST_CASE("broker: a command that nobody has ever served is UNIMPLEMENTED and has not run", "[broker]") {
  broker_fixture net;
  net.call("client", 1, "no.such", 1s);
  const auto why = net.error_of("client", 1);
  CHECK(why.code == status::unimplemented);
  CHECK_FALSE(why.may_have_run);
  CHECK(why.message.find("no.such") != std::string::npos);
  CHECK(net.core().open_calls() == 0);
}

TEST_CASE("broker: a command whose workers have all gone is UNAVAILABLE, may be tried later and has not run", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.leave("worker");
  net.advance(2s);  // so long one could have come back
  net.call("client", 1, "a", 1s);
  const auto why = net.error_of("client", 1);
  CHECK(why.code == status::unavailable);
  CHECK_FALSE(why.may_have_run);
  CHECK(why.retry_after == 100ms);
}

TEST_CASE("broker: calls wait in order while all slots are taken, and go out as slots return", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a").slots(2));
  for (std::uint64_t id = 1; id <= 4; ++id) net.call("client", id, "a", 10s, std::string(1, static_cast<char>(id)));
  REQUIRE(net.calls_at("worker") == 2);
  CHECK(net.core().kept_bytes() == 2);
  net.advance(300ms);
  net.answer("worker", 1);
  REQUIRE(net.calls_at("worker") == 3);
  const auto third = net.inbox("worker", frame_type::call)[2];
  CHECK(third.payload == "\x03");
  CHECK(third.budget_ms == 9700);  // the time left, not the time asked for
  net.answer("worker");
  net.answer("worker");
  CHECK(net.replies_to("client") == 4);
  CHECK(net.core().open_calls() == 0);
  CHECK(net.core().kept_bytes() == 0);
}

TEST_CASE("broker: a budget that passes in the queue is DEADLINE_EXCEEDED and the call never runs", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.call("client", 1, "a", 10s);
  net.call("client", 2, "a", 200ms);
  net.advance(199ms);
  CHECK(net.replies_to("client") == 0);
  net.advance(1ms);
  const auto why = net.error_of("client", 2);
  CHECK(why.code == status::deadline_exceeded);
  CHECK_FALSE(why.may_have_run);
  net.answer("worker");
  CHECK(net.calls_at("worker") == 1);
  CHECK(net.replies_to("client") == 2);
}

TEST_CASE("broker: a budget that passes at the worker is DEADLINE_EXCEEDED, says it may have run, and cancels the lease", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.call("client", 1, "a", 200ms);
  net.advance(200ms);
  const auto why = net.error_of("client", 1);
  CHECK(why.code == status::deadline_exceeded);
  CHECK(why.may_have_run);
  CHECK(net.cancels_at("worker") == net.leases_at("worker"));
}

TEST_CASE("broker: a budget of zero is over before anything runs", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.call("client", 1, "a", 0ms);
  CHECK(net.error_of("client", 1).code == status::deadline_exceeded);
  CHECK_FALSE(net.error_of("client", 1).may_have_run);
  CHECK(net.calls_at("worker") == 0);
}

TEST_CASE("broker: a worker is told at least one millisecond, and budgets above a day are cut to a day", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a").slots(1));
  net.call("client", 1, "a", 24h * 365);
  net.call("client", 2, "a", 10ms);
  net.advance(9ms);
  net.stall(999us);
  net.answer("worker");
  REQUIRE(net.calls_at("worker") == 2);
  CHECK(net.inbox("worker", frame_type::call)[0].budget_ms == wire::budget_ms_max);
  CHECK(net.inbox("worker", frame_type::call)[1].budget_ms == 1);
}

TEST_CASE("broker: a call whose budget passed while nobody ticked is not handed to the slot that comes free", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.call("client", 1, "a", 10s);
  net.call("client", 2, "a", 100ms);
  net.call("client", 3, "a", 10s);
  net.stall(150ms);
  net.answer("worker");
  CHECK(net.error_of("client", 2).code == status::deadline_exceeded);
  CHECK_FALSE(net.error_of("client", 2).may_have_run);
  CHECK(net.calls_at("worker") == 2);
  net.answer("worker");
  CHECK(net.status_of("client", 3) == status::ok);
}

TEST_CASE("broker: a cancelled call in the queue ends at once and has not run", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.call("client", 1, "a", 10s);
  net.call("client", 2, "a", 10s);
  net.cancel("client", 2);
  const auto why = net.error_of("client", 2);
  CHECK(why.code == status::cancelled);
  CHECK_FALSE(why.may_have_run);
  CHECK(net.core().kept_bytes() == 0);
  CHECK(net.cancels_at("worker").empty());
  net.answer("worker");
  CHECK(net.calls_at("worker") == 1);
}

TEST_CASE("broker: a cancelled call at a worker ends at once, and the worker is told", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.call("client", 1, "a", 10s);
  net.cancel("client", 1);
  const auto why = net.error_of("client", 1);
  CHECK(why.code == status::cancelled);
  CHECK(why.may_have_run);
  CHECK(net.cancels_at("worker") == net.leases_at("worker"));
  net.advance(1min);
  CHECK(net.replies_to("client", 1) == 1);
}

TEST_CASE("broker: CANCEL of a call that is not open is stepped over", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.call("client", 1, "a", 10s);
  net.answer("worker");
  net.cancel("client", 1);
  net.cancel("client", 0);
  net.cancel("client", 99);
  net.cancel("stranger", 1);
  CHECK(net.replies_to("client") == 1);
  CHECK(net.replies_to("stranger") == 0);
  CHECK(net.cancels_at("worker").empty());
}

TEST_CASE("broker: nobody can cancel the call of another peer", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.call("client", 1, "a", 10s);
  net.cancel("other", 1);
  net.cancel("other", net.leases_at("worker")[0]);
  net.answer("worker");
  CHECK(net.status_of("client", 1) == status::ok);
}

TEST_CASE("broker: a lease whose caller has its reply keeps its slot until the worker answers", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.call("client", 1, "a", 100ms);
  net.call("client", 2, "a", 10s);
  net.advance(5s);
  CHECK(net.status_of("client", 1) == status::deadline_exceeded);
  CHECK(net.calls_at("worker") == 1);  // the worker is still busy with the first
  net.answer("worker", 1);
  CHECK(net.replies_to("client", 1) == 1);
  CHECK(net.calls_at("worker") == 2);
  net.answer("worker", 1);
  CHECK(net.status_of("client", 2) == status::ok);
  CHECK(net.core().open_calls() == 0);
}

TEST_CASE("broker: late, doubled and foreign replies are counted and reach nobody", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.join("other", serves("b"));
  net.call("client", 1, "a", 10s);
  const auto lease = net.leases_at("worker")[0];

  net.reply("other", lease);     // another worker
  net.reply("stranger", lease);  // no worker at all
  net.reply("client", lease);
  net.part("other", lease);
  CHECK(net.replies_to("client") == 0);
  CHECK(net.core().counts().unasked_replies == 4);

  net.reply("worker", lease);
  net.reply("worker", lease);  // doubled
  net.part("worker", lease);   // late
  net.reply("worker", 0);
  net.reply("worker", ~std::uint64_t{0});
  CHECK(net.replies_to("client") == 1);
  CHECK(net.core().counts().unasked_replies == 8);
  CHECK(net.inbox("client", frame_type::part).empty());
}

TEST_CASE("broker: a lease that has ended never names the call that took its place", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.call("client", 1, "a", 10s);
  const auto first = net.leases_at("worker")[0];
  net.reply("worker", first);
  net.call("client", 2, "a", 10s);
  const auto second = net.leases_at("worker")[1];
  CHECK(second != first);
  net.reply("worker", first, status::ok, "\xa4late");
  CHECK(net.replies_to("client", 2) == 0);
  net.reply("worker", second, status::ok, "\xa5right");
  CHECK(net.reply_to("client", 2).payload == "\xa5right");
}

TEST_CASE("broker: no lease is ever 0, not even when a place has been used half a billion times", "[broker]") {
  call_table calls;
  const auto first = calls.open(peer_id{1}, 1);
  calls[first].generation = (1u << 29) - 1;
  calls.detach(first);
  calls.close(first);
  const auto again = calls.open(peer_id{1}, 2);
  REQUIRE(again == first);
  CHECK(calls.lease_of(again) != 0);
  CHECK(calls.lease_of(again) < (std::uint64_t{1} << 53));
}

TEST_CASE("broker: parts reach the caller in order before the reply, and none after it", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.call("client", 9, "a", 10s);
  const auto lease = net.leases_at("worker")[0];
  net.part("worker", lease, "\x01");
  net.part("worker", lease, "\x02");
  net.reply("worker", lease);
  net.part("worker", lease, "\x03");
  const auto& got = net.inbox("client");
  REQUIRE(got.size() == 3);
  CHECK(got[0].type == frame_type::part);
  CHECK(got[0].id == 9);
  CHECK(got[0].payload == "\x01");
  CHECK(got[1].payload == "\x02");
  CHECK(got[2].type == frame_type::reply);
}

TEST_CASE("broker: parts of a call that has ended for its caller are dropped", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.call("client", 9, "a", 10s);
  net.cancel("client", 9);
  net.part("worker", net.leases_at("worker")[0]);
  CHECK(net.inbox("client", frame_type::part).empty());
  CHECK(net.core().counts().unasked_replies == 0);  // the CANCEL was on its way
}

TEST_CASE("broker: a CALL without an id, or with one that is still open, is refused under id 0 and not run", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a").slots(9));
  net.call("client", 0, "a", 10s);
  CHECK(net.error_of("client", 0).code == status::failed_precondition);
  net.forget_inbox("client");
  net.call("client", 5, "a", 10s);
  net.call("client", 5, "a", 10s);
  CHECK(net.error_of("client", 0).code == status::failed_precondition);
  CHECK(net.calls_at("worker") == 1);
  CHECK(net.core().counts().misplaced_frames == 2);
  net.answer("worker");
  CHECK(net.status_of("client", 5) == status::ok);
  net.call("client", 5, "a", 10s);  // the id is free again
  net.answer("worker");
  CHECK(net.replies_to("client", 5) == 2);
}

TEST_CASE("broker: an id may be used again while the worker still holds the cancelled call of that id", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a").slots(2));
  net.call("client", 5, "a", 10s);
  net.cancel("client", 5);
  net.forget_inbox("client");
  net.call("client", 5, "a", 10s);
  const auto leases = net.leases_at("worker");
  REQUIRE(leases.size() == 2);
  net.reply("worker", leases[0], status::ok, "\xa3old");
  CHECK(net.replies_to("client") == 0);
  net.reply("worker", leases[1], status::ok, "\xa3new");
  CHECK(net.reply_to("client", 5).payload == "\xa3new");
}

TEST_CASE("broker: the ids of different callers do not touch each other", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a").slots(9));
  net.call("one", 1, "a", 10s, "\x01");
  net.call("two", 1, "a", 10s, "\x02");
  const auto calls = net.inbox("worker", frame_type::call);
  REQUIRE(calls.size() == 2);
  for (const auto& each : calls) net.reply("worker", each.id, status::ok, each.payload);
  CHECK(net.reply_to("one", 1).payload == "\x01");
  CHECK(net.reply_to("two", 1).payload == "\x02");
}

TEST_CASE("broker: a caller that cannot be reached has its calls cancelled, and its late replies go nowhere", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.call("client", 1, "a", 10s);
  net.call("client", 2, "a", 10s);
  net.unreachable("client");
  CHECK(net.cancels_at("worker") == net.leases_at("worker"));
  CHECK(net.core().kept_bytes() == 0);
  net.call("newcomer", 1, "a", 10s);  // takes the number of the one that has gone
  net.answer("worker", 1);
  CHECK(net.replies_to("newcomer") == 0);
  net.answer("worker", 1);
  CHECK(net.status_of("newcomer", 1) == status::ok);
  CHECK(net.core().open_calls() == 0);
}

TEST_CASE("broker: a worker may call its own command", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a").slots(2));
  net.call("worker", 5, "a", 10s);
  net.call("worker", 6, "a", 10s);
  net.answer("worker");
  CHECK(net.status_of("worker", 5) == status::ok);
  CHECK(net.status_of("worker", 6) == status::ok);
}

TEST_CASE("broker: a worker that calls itself and goes ends nothing twice", "[broker]") {
  const auto hold = GENERATE(0ms, 2000ms);
  broker_fixture net{{.hold = hold}};
  net.join("worker", serves("a"));
  net.call("worker", 5, "a", 10s);
  net.call("worker", 6, "a", 10s);
  net.call("client", 1, "a", 10s);
  SECTION("it cannot be reached") { net.unreachable("worker"); }
  SECTION("it falls silent") {
    net.silence("worker");
    net.advance(4s);
  }
  SECTION("it sends garbage") { net.send("worker", "\xc1"); }
  net.advance(hold);
  CHECK(net.core().open_calls() == 0);
  CHECK(net.core().worker_count() == 0);
  CHECK(net.replies_to("worker", 5) <= 1);
  CHECK(net.replies_to("worker", 6) <= 1);
  CHECK(net.error_of("client", 1).code == status::unavailable);
  CHECK_FALSE(net.error_of("client", 1).may_have_run);
}

TEST_CASE("broker: load goes to the worker with the most free slots, whatever their sizes", "[broker]") {
  broker_fixture net;
  net.join("small", serves("a").slots(1));
  net.join("large", serves("a").slots(4));
  net.join("middle", serves("a").slots(2));
  const auto spread = [&] { return std::vector{net.calls_at("small"), net.calls_at("middle"), net.calls_at("large")}; };
  std::uint64_t id = 0;
  const auto calls = [&](int count) {
    while (count-- > 0) net.call("client", ++id, "a", 10s);
  };
  calls(2);
  CHECK(spread() == std::vector<std::size_t>{0, 0, 2});  // 1 2 4 → 1 2 2
  calls(2);
  CHECK(spread() == std::vector<std::size_t>{0, 1, 3});  // 1 1 1
  calls(3);
  CHECK(spread() == std::vector<std::size_t>{1, 2, 4});
  calls(1);
  CHECK(spread() == std::vector<std::size_t>{1, 2, 4});  // all are full: it waits
}

TEST_CASE("broker: among workers with as many free slots, the one longest unused is next", "[broker]") {
  broker_fixture net;
  for (const auto* each : {"w1", "w2", "w3"}) net.join(each, serves("a"));
  for (std::uint64_t id = 1; id <= 9; ++id) {
    net.call("client", id, "a", 10s);
    for (const auto* each : {"w1", "w2", "w3"}) net.answer(each);
  }
  CHECK(net.calls_at("w1") == 3);
  CHECK(net.calls_at("w2") == 3);
  CHECK(net.calls_at("w3") == 3);
}

TEST_CASE("broker: commands of one pool take turns, so a flood of one does not starve the other", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a").and_also("b"));
  for (std::uint64_t id = 1; id <= 5; ++id) net.call("client", id, "a", 10s);
  net.call("client", 11, "b", 10s);
  net.call("client", 12, "b", 10s);
  for (int i = 0; i < 7; ++i) net.answer("worker", 1);
  std::string order;
  for (const auto& each : net.inbox("worker", frame_type::call)) order += each.name;
  CHECK(order == "aababaa");
  CHECK(net.replies_to("client") == 7);
}
