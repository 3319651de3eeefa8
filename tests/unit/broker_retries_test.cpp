// Calls that may run twice outlive their worker in the broker core; calls that may not run twice never do.
#include "support/broker_fixture.hpp"

using namespace std::literals;
using namespace waggle;
using namespace waggle::broker;
using waggle::wire::frame_type;

namespace {

/// The one lease that the worker has, or the last of them.
std::uint64_t last_lease(broker_fixture& net, const std::string& worker) {
  const auto leases = net.leases_at(worker);
  REQUIRE_FALSE(leases.empty());
  return leases.back();
}

std::string payloads_at(broker_fixture& net, const std::string& worker) {
  std::string out;
  for (const auto& each : net.inbox(worker, frame_type::call)) out += each.payload;
  return out;
}

void reject(broker_fixture& net, const std::string& worker) {
  net.reply(worker, last_lease(net, worker), status::unavailable, "\xa4" "busy");
}

}  // namespace

TEST_CASE("broker: a safe or idempotent call whose worker dies is run by another worker, once, within what is left of its budget",
          "[broker]") {
  const bool safe = GENERATE(true, false);
  const auto a = safe ? serves("a").safe() : serves("a").idempotent();
  broker_fixture net{{.pulse = 1s, .missed_pulses_max = 3}};
  net.join("w1", a);
  net.call("client", 7, "a", 60s, "\xa3" "Ada", "\x81\xa1k\xa1v");
  REQUIRE(net.calls_at("w1") == 1);
  CHECK(net.core().kept_bytes() == 9);
  net.join("w2", a);
  SECTION("it falls silent") {
    net.silence("w1");
    net.advance(2999ms);
    CHECK(net.calls_at("w2") == 0);
    net.advance(1ms);
    REQUIRE(net.calls_at("w2") == 1);
    CHECK(net.inbox("w2", frame_type::call)[0].budget_ms == 57'000);
  }
  SECTION("it cannot be reached") { net.unreachable("w1"); }
  SECTION("it sends garbage") { net.send("w1", "\xc1"); }
  SECTION("it was draining") {
    net.leave("w1");
    net.unreachable("w1");
  }
  REQUIRE(net.calls_at("w2") == 1);
  const auto again = net.inbox("w2", frame_type::call)[0];
  CHECK(again.payload == "\xa3" "Ada");
  CHECK(again.headers == "\x81\xa1k\xa1v");
  CHECK(again.id != net.leases_at("w1")[0]);
  CHECK(net.replies_to("client") == 0);
  CHECK(net.core().counts().retries == 1);
  net.reply("w2", again.id);
  CHECK(net.status_of("client", 7) == status::ok);
  CHECK(net.core().open_calls() == 0);
  CHECK(net.core().kept_bytes() == 0);
}

TEST_CASE("broker: a call of a command that says nothing of retries runs once, whatever its worker's death", "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a"));
  net.call("client", 1, "a", 60s);
  CHECK(net.core().kept_bytes() == 0);
  net.join("w2", serves("a"));
  net.unreachable("w1");
  CHECK(net.error_of("client", 1).code == status::unavailable);
  CHECK(net.error_of("client", 1).may_have_run);
  CHECK(net.calls_at("w2") == 0);
  CHECK(net.core().counts().retries == 0);
}

TEST_CASE("broker: of one worker's calls, each command's class decides", "[broker]") {
  broker_fixture net;
  const auto both = serves("a.safe").safe().and_also("a.once").slots(4);
  net.join("w1", both);
  net.call("client", 1, "a.once", 60s);
  net.call("client", 2, "a.safe", 60s);
  net.join("w2", both);
  net.unreachable("w1");
  CHECK(net.status_of("client", 1) == status::unavailable);
  REQUIRE(net.calls_at("w2") == 1);
  CHECK(net.inbox("w2", frame_type::call)[0].name == "a.safe");
}

TEST_CASE("broker: what counts is the class that the worker which has the call has given", "[broker]") {
  broker_fixture net;
  net.join("careless", serves("a").version("1").safe());
  net.call("client", 1, "a", 60s);
  net.join("careful", serves("a").version("2"));
  net.unreachable("careless");
  REQUIRE(net.calls_at("careful") == 1);
  CHECK(net.core().kept_bytes() == 0);
  net.join("third", serves("a").version("1").safe());
  net.unreachable("careful");
  CHECK(net.error_of("client", 1).code == status::unavailable);
  CHECK(net.error_of("client", 1).may_have_run);
  CHECK(net.calls_at("third") == 0);
}

TEST_CASE("broker: a call of which a PART has been passed on does not begin again", "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a").safe());
  net.call("client", 1, "a", 60s);
  net.join("w2", serves("a").safe());
  net.part("w1", last_lease(net, "w1"));
  CHECK(net.core().kept_bytes() == 0);
  SECTION("its worker dies") {
    net.unreachable("w1");
    CHECK(net.error_of("client", 1).may_have_run);
  }
  SECTION("its worker rejects it all the same") {
    reject(net, "w1");
    CHECK(net.reply_to("client", 1).payload == "\xa4" "busy");
  }
  CHECK(net.status_of("client", 1) == status::unavailable);
  CHECK(net.calls_at("w2") == 0);
  CHECK(net.core().open_calls() == 0);
}

TEST_CASE("broker: a call is handed to attempts_max workers and no more", "[broker]") {
  broker_fixture net{{.attempts_max = 3}};
  net.join("w1", serves("a").safe());
  net.call("client", 1, "a", 60s);
  for (const auto* next : {"w2", "w3", "w4"}) net.join(next, serves("a").safe());
  net.unreachable("w1");
  CHECK(net.calls_at("w2") == 1);
  net.unreachable("w2");
  CHECK(net.calls_at("w3") == 1);
  CHECK(net.core().kept_bytes() == 0);  // it is the last time
  CHECK(net.replies_to("client") == 0);
  net.unreachable("w3");
  CHECK(net.error_of("client", 1).code == status::unavailable);
  CHECK(net.error_of("client", 1).may_have_run);
  CHECK(net.calls_at("w4") == 0);
  CHECK(net.core().counts().retries == 2);
  CHECK(net.core().open_calls() == 0);
}

TEST_CASE("broker: an attempts_max of 1 switches retries off", "[broker]") {
  broker_fixture net{{.attempts_max = 1}};
  net.join("w1", serves("a").safe());
  net.call("client", 1, "a", 60s);
  CHECK(net.core().kept_bytes() == 0);
  net.join("w2", serves("a").safe());
  net.unreachable("w1");
  CHECK(net.error_of("client", 1).may_have_run);
  CHECK(net.calls_at("w2") == 0);
}

TEST_CASE("broker: a record that is used again begins with all its attempts", "[broker]") {
  broker_fixture net{{.attempts_max = 2}};
  for (std::uint64_t id = 1; id <= 3; ++id) {
    net.join("w1", serves("a").safe().slots(9));  // more than the other: it is asked first
    net.join("w2", serves("a").safe());
    net.call("client", id, "a", 60s);
    if (id == 2) net.part("w1", last_lease(net, "w1"));
    net.unreachable("w1");
    if (id == 2) continue;
    net.reply("w2", last_lease(net, "w2"));
    CHECK(net.status_of("client", id) == status::ok);
  }
  CHECK(net.status_of("client", 2) == status::unavailable);
}

TEST_CASE("broker: a safe call that a worker rejects as UNAVAILABLE goes to another worker", "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a").safe());
  net.call("client", 1, "a", 60s, "\xa3" "Ada");
  net.join("w2", serves("a").safe());
  reject(net, "w1");
  CHECK(net.replies_to("client") == 0);
  REQUIRE(net.calls_at("w2") == 1);
  CHECK(net.inbox("w2", frame_type::call)[0].payload == "\xa3" "Ada");
  net.answer("w2");
  CHECK(net.status_of("client", 1) == status::ok);
  CHECK(net.core().counts().retries == 1);
  net.call("client", 2, "a", 60s);  // the slot of the one that rejected is free again
  net.call("client", 3, "a", 60s);
  CHECK(net.calls_at("w1") == 2);
  CHECK(net.calls_at("w2") == 2);
}

TEST_CASE("broker: a rejected call goes to another worker even if the one that rejected it has more free slots", "[broker]") {
  broker_fixture net;
  net.join("large", serves("a").safe().slots(100));
  const auto version = GENERATE(values({"1.0.0"s, "2"s}));  // in the same pool or another
  net.call("client", 1, "a", 60s);
  net.join("small", serves("a").safe().version(version));
  reject(net, "large");
  CHECK(net.calls_at("large") == 1);
  CHECK(net.calls_at("small") == 1);
  net.call("client", 2, "a", 60s);
  CHECK(net.calls_at("large") == 2);
}

TEST_CASE("broker: a rejected call for which no other worker has a slot comes back to the same one, attempts_max times in all",
          "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a").safe());
  net.call("client", 1, "a", 60s);
  reject(net, "w1");
  CHECK(net.calls_at("w1") == 2);
  reject(net, "w1");
  CHECK(net.calls_at("w1") == 3);
  CHECK(net.replies_to("client") == 0);
  reject(net, "w1");
  CHECK(net.status_of("client", 1) == status::unavailable);
  CHECK(net.reply_to("client", 1).payload == "\xa4" "busy");  // as the worker has put it
  CHECK(net.core().open_calls() == 0);
  CHECK(net.core().kept_bytes() == 0);
}

TEST_CASE("broker: UNAVAILABLE from the worker of a command that may not run twice is passed on as it is", "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a"));
  net.call("client", 1, "a", 60s);
  net.join("w2", serves("a"));
  reject(net, "w1");
  CHECK(net.status_of("client", 1) == status::unavailable);
  CHECK(net.reply_to("client", 1).payload == "\xa4" "busy");
  CHECK(net.calls_at("w2") == 0);
}

TEST_CASE("broker: any other error of a safe call's worker is its answer", "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a").safe());
  net.call("client", 1, "a", 60s);
  net.join("w2", serves("a").safe());
  const auto code = GENERATE(status::internal, status::resource_exhausted, status::deadline_exceeded, status::aborted);
  net.reply("w1", last_lease(net, "w1"), code);
  CHECK(net.status_of("client", 1) == code);
  CHECK(net.calls_at("w2") == 0);
  CHECK(net.core().kept_bytes() == 0);
}

TEST_CASE("broker: a worker that leaves may reject what it has in hand, and its LEAVE is answered", "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a").safe());
  net.call("client", 1, "a", 60s);
  net.leave("w1", 8);
  SECTION("another is there") {
    net.join("w2", serves("a").safe());
    reject(net, "w1");
    CHECK(net.status_of("w1", 8) == status::ok);
  }
  SECTION("another comes within the hold") {
    reject(net, "w1");
    CHECK(net.status_of("w1", 8) == status::ok);
    CHECK(net.replies_to("client") == 0);
    net.join("w2", serves("a").safe());
  }
  net.answer("w2");
  CHECK(net.status_of("client", 1) == status::ok);
  CHECK(net.calls_at("w1") == 1);
}

TEST_CASE("broker: a rejection after which nobody is awaited any more is passed on", "[broker]") {
  broker_fixture net{{.hold = 2s}};
  net.join("w1", serves("a").safe());
  net.call("client", 1, "a", 60s);
  net.leave("w1", 8);
  net.advance(2s);
  reject(net, "w1");
  CHECK(net.reply_to("client", 1).payload == "\xa4" "busy");
  CHECK(net.status_of("w1", 8) == status::ok);
  CHECK(net.core().kept_bytes() == 0);
}

TEST_CASE("broker: a rejected call whose caller has had its reply goes nowhere, and its slot is free", "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a").safe());
  net.call("client", 1, "a", 60s);
  net.cancel("client", 1);
  CHECK(net.core().kept_bytes() == 0);
  net.join("w2", serves("a").safe());
  reject(net, "w1");
  CHECK(net.calls_at("w2") == 0);
  CHECK(net.replies_to("client") == 1);
  CHECK(net.core().open_calls() == 0);
}

TEST_CASE("broker: the calls of a worker that dies go to the head of the queue in their order", "[broker]") {
  broker_fixture net;
  const auto two = serves("a").safe().and_also("b").safe();
  net.join("w1", serves("a").safe().and_also("b").safe().slots(4));
  std::uint64_t id = 0;
  for (const auto& [command, payload] : {std::pair{"a", "1"}, {"b", "x"}, {"a", "2"}, {"b", "y"}, {"a", "3"}, {"b", "z"}}) {
    net.call("client", ++id, command, 60s, payload);
  }
  net.unreachable("w1");
  net.join("w2", two);
  for (int i = 0; i < 6; ++i) net.answer("w2", 1);
  std::string a, b;
  for (const auto& each : net.inbox("w2", frame_type::call)) (each.name == "a" ? a : b) += each.payload;
  CHECK(a == "123");
  CHECK(b == "xyz");
  CHECK(net.replies_to("client") == 6);
}

TEST_CASE("broker: a requeued call overtakes those that waited, and all of them are answered", "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a").safe());
  net.join("w2", serves("a").safe());
  for (std::uint64_t id = 1; id <= 5; ++id) net.call("client", id, "a", 60s, std::string(1, static_cast<char>('0' + id)));
  net.unreachable("w1");
  for (int i = 0; i < 5; ++i) net.answer("w2", 1);
  CHECK(payloads_at(net, "w2") == "21345");
  CHECK(net.replies_to("client") == 5);
}

TEST_CASE("broker: the lease of a requeued call is void: what its thawed worker says late is counted and reaches nobody", "[broker]") {
  broker_fixture net{{.pulse = 1s, .missed_pulses_max = 3}};
  net.join("w1", serves("a").safe());
  net.call("client", 1, "a", 60s);
  const auto old = last_lease(net, "w1");
  net.silence("w1");
  net.advance(3s);
  net.join("w1", serves("a").safe(), 2);  // it thaws, and gets the call anew
  REQUIRE(net.calls_at("w1") == 2);
  net.part("w1", old);
  net.reply("w1", old, status::ok, "\xa4late");
  CHECK(net.inbox("client").empty());
  CHECK(net.core().counts().unasked_replies == 2);
  net.reply("w1", last_lease(net, "w1"), status::ok, "\xa5right");
  CHECK(net.reply_to("client", 1).payload == "\xa5right");
}

TEST_CASE("broker: a rejected lease is void at the worker that rejected it", "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a").safe());
  net.call("client", 1, "a", 60s);
  const auto old = last_lease(net, "w1");
  reject(net, "w1");
  REQUIRE(net.calls_at("w1") == 2);
  net.reply("w1", old);
  net.reply("w1", old, status::unavailable);
  CHECK(net.replies_to("client") == 0);
  CHECK(net.calls_at("w1") == 2);
  CHECK(net.core().counts().unasked_replies == 2);
}

TEST_CASE("broker: a call that waits again ends like any that waits, but may have run", "[broker]") {
  broker_fixture net{{.hold = 10s}};
  net.join("w1", serves("a").safe());
  net.call("client", 1, "a", 5s);
  net.unreachable("w1");
  REQUIRE(net.replies_to("client") == 0);
  CHECK(net.core().kept_bytes() == 1);
  auto code = status::ok;
  SECTION("its budget passes") {
    net.advance(5s);
    code = status::deadline_exceeded;
  }
  SECTION("its budget passes and a slot comes before a tick") {
    net.stall(5s);
    net.join("w2", serves("a").safe());
    code = status::deadline_exceeded;
  }
  SECTION("it is cancelled") {
    net.cancel("client", 1);
    code = status::cancelled;
  }
  CHECK(net.error_of("client", 1).code == code);
  CHECK(net.error_of("client", 1).may_have_run);
  net.join("w3", serves("a").safe());
  CHECK(net.calls_at("w3") + net.calls_at("w2") == 0);
  CHECK(net.core().open_calls() == 0);
  CHECK(net.core().kept_bytes() == 0);
}

TEST_CASE("broker: a call that runs again may have run, whatever ends it", "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a").safe());
  net.call("client", 1, "a", 5s);
  net.join("w2", serves("a").safe());
  net.unreachable("w1");
  net.advance(5s);
  CHECK(net.error_of("client", 1).code == status::deadline_exceeded);
  CHECK(net.error_of("client", 1).may_have_run);
  CHECK(net.cancels_at("w2") == net.leases_at("w2"));
  CHECK(net.core().kept_bytes() == 0);
}

TEST_CASE("broker: a requeued call whose caller goes is forgotten", "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a").safe());
  net.call("client", 1, "a", 60s);
  net.unreachable("w1");
  net.unreachable("client");
  CHECK(net.core().open_calls() == 0);
  CHECK(net.core().kept_bytes() == 0);
  net.join("w2", serves("a").safe());
  CHECK(net.calls_at("w2") == 0);
}

TEST_CASE("broker: a worker that dies while it calls its own safe command takes the call with it, and bothers nobody else", "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a").safe().slots(2));
  net.call("w1", 5, "a", 60s);
  net.call("client", 1, "a", 60s);
  net.join("w2", serves("a").safe().slots(2));
  net.unreachable("w1");
  CHECK(net.calls_at("w2") == 1);
  CHECK(net.cancels_at("w2").empty());
  net.answer("w2");
  CHECK(net.status_of("client", 1) == status::ok);
  CHECK(net.core().open_calls() == 0);
  CHECK(net.core().kept_bytes() == 0);
}

TEST_CASE("broker: a call does not go from one worker to the next when both are found dead at once", "[broker]") {
  broker_fixture net{{.pulse = 1s, .missed_pulses_max = 3}};
  for (const auto* each : {"w1", "w2", "w3"}) net.join(each, serves("a").safe());
  net.call("client", 1, "a", 60s);
  net.advance(500ms);
  net.join("w4", serves("a").safe());
  for (const auto* each : {"w1", "w2", "w3"}) net.silence(each);
  net.advance(3s);
  CHECK(net.core().worker_count() == 1);
  CHECK(net.calls_at("w1") + net.calls_at("w2") + net.calls_at("w3") == 1);
  CHECK(net.calls_at("w4") == 1);
  CHECK(net.core().counts().retries == 1);
}

TEST_CASE("broker: a call that finds kept_bytes_max reached is handed over, but not kept and so not retried", "[broker]") {
  broker_fixture net{{.kept_bytes_max = 1000}};
  net.join("w1", serves("a").safe().slots(3));
  net.call("client", 1, "a", 60s, std::string(600, '1'));
  net.call("client", 2, "a", 60s, std::string(401, '2'));
  net.call("client", 3, "a", 60s, std::string(390, '3'), "\x81\xa1k\xa6" "vvvvvv");
  CHECK(net.calls_at("w1") == 3);
  CHECK(net.core().kept_bytes() == 1000);
  net.call("client", 4, "a", 60s);  // there is no slot, and no room to wait either
  CHECK(net.status_of("client", 4) == status::resource_exhausted);
  net.join("w2", serves("a").safe().slots(3));
  net.unreachable("w1");
  CHECK(net.error_of("client", 2).code == status::unavailable);
  CHECK(net.error_of("client", 2).may_have_run);
  CHECK(payloads_at(net, "w2") == std::string(600, '1') + std::string(390, '3'));
  net.answer("w2");
  CHECK(net.core().kept_bytes() == 0);
  CHECK(net.core().open_calls() == 0);
}

TEST_CASE("broker: requeued calls may exceed a queue's limits, newcomers may not", "[broker]") {
  broker_fixture net{{.queue_calls_max = 2, .queue_bytes_max = 100}};
  net.join("w1", serves("a").safe().slots(4));
  for (std::uint64_t id = 1; id <= 4; ++id) net.call("client", id, "a", 60s, std::string(90, 'x'));
  net.unreachable("w1");
  CHECK(net.replies_to("client") == 0);
  CHECK(net.core().kept_bytes() == 360);
  net.call("client", 5, "a", 60s);
  CHECK(net.status_of("client", 5) == status::resource_exhausted);
  net.join("w2", serves("a").safe().slots(4));
  CHECK(net.calls_at("w2") == 4);
  net.call("client", 6, "a", 60s, std::string(100, 'x'));  // their bytes are in the queue no longer
  CHECK(net.replies_to("client", 6) == 0);
}

TEST_CASE("broker: a call that never left for its worker goes to another whatever its class, and has not run", "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a").slots(2));
  net.call("client", 1, "a", 60s, "left");
  net.clog("w1");
  net.call("client", 2, "a", 60s, "stuck", "\x81\xa1k\xa1v");
  CHECK(net.core().kept_bytes() == 0);
  SECTION("another is there") {
    net.join("w2", serves("a"));
    net.unreachable_clogged("w1");
    REQUIRE(net.calls_at("w2") == 1);
    CHECK(net.inbox("w2", frame_type::call)[0].payload == "stuck");
    CHECK(net.inbox("w2", frame_type::call)[0].headers == "\x81\xa1k\xa1v");
    net.answer("w2");
    CHECK(net.status_of("client", 2) == status::ok);
  }
  SECTION("nobody comes") {
    net.unreachable_clogged("w1");
    CHECK(net.core().kept_bytes() == 10);
    net.advance(2s);
    CHECK(net.error_of("client", 2).code == status::unavailable);
    CHECK_FALSE(net.error_of("client", 2).may_have_run);
  }
  SECTION("its budget passes meanwhile") {
    net.unreachable_clogged("w1");
    net.stall(60s);
    net.tick();
    CHECK(net.error_of("client", 2).code == status::deadline_exceeded);
    CHECK_FALSE(net.error_of("client", 2).may_have_run);
  }
  CHECK(net.error_of("client", 1).code == status::unavailable);
  CHECK(net.error_of("client", 1).may_have_run);
  CHECK(net.core().counts().retries == 1);
  CHECK(net.core().open_calls() == 0);
  CHECK(net.core().kept_bytes() == 0);
}

TEST_CASE("broker: a call that is taken back and handed over once more ends as one that was handed over once", "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a"));
  net.clog("w1");
  net.call("client", 1, "a", 60s);
  net.join("w2", serves("a"));
  net.unreachable_clogged("w1");
  REQUIRE(net.calls_at("w2") == 1);
  CHECK(net.core().kept_bytes() == 0);
  net.join("w3", serves("a"));
  net.unreachable("w2");
  CHECK(net.error_of("client", 1).code == status::unavailable);
  CHECK(net.error_of("client", 1).may_have_run);
  CHECK(net.calls_at("w3") == 0);
}

TEST_CASE("broker: calls that are taken back do not use up attempts", "[broker]") {
  broker_fixture net{{.attempts_max = 2}};
  net.join("w1", serves("a").safe());
  net.clog("w1");
  net.call("client", 1, "a", 60s);
  for (int i = 0; i < 5; ++i) {
    const auto next = "clogged" + std::to_string(i);
    net.join(next, serves("a").safe());
    net.clog(next);
    net.unreachable_clogged(i == 0 ? "w1" : "clogged" + std::to_string(i - 1));
  }
  CHECK(net.core().counts().retries == 5);
  net.join("w2", serves("a").safe());
  net.unreachable_clogged("clogged4");
  CHECK(net.calls_at("w2") == 1);
  net.join("w3", serves("a").safe());
  net.unreachable("w2");
  CHECK(net.calls_at("w3") == 1);  // the second that it was handed to
  net.join("w4", serves("a").safe());
  net.unreachable("w3");
  CHECK(net.calls_at("w4") == 0);
  CHECK(net.status_of("client", 1) == status::unavailable);
}

TEST_CASE("broker: a call that is taken back keeps its place before those that came after it", "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a").slots(2).bundle(8));
  net.clog("w1");
  net.hold();
  for (std::uint64_t id = 1; id <= 4; ++id) net.call("client", id, "a", 60s, std::string(1, static_cast<char>('0' + id)));
  net.release();
  net.unreachable_clogged("w1");
  net.join("w2", serves("a"));
  for (int i = 0; i < 4; ++i) net.answer("w2", 1);
  CHECK(payloads_at(net, "w2") == "1234");
}

// Regression: its payload was kept for nobody, and stayed counted for ever.
TEST_CASE("broker: a call that nobody waits for any more is not taken back", "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a"));
  net.clog("w1");
  net.call("client", 1, "a", 1s, "stuck");
  SECTION("cancelled") { net.cancel("client", 1); }
  SECTION("its budget has passed") { net.advance(1s); }
  SECTION("its caller has gone") { net.unreachable("client"); }
  net.join("w2", serves("a"));
  net.unreachable_clogged("w1");
  CHECK(net.calls_at("w2") == 0);
  CHECK(net.core().kept_bytes() == 0);
  CHECK(net.core().open_calls() == 0);
  net.call("client", 2, "a", 1s, "next");  // takes the place of the first
  CHECK(net.core().kept_bytes() == 0);
  net.answer("w2");
  CHECK(net.core().kept_bytes() == 0);
}

TEST_CASE("broker: only the worker's own leases are taken back, whatever the shell says did not leave", "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a"));
  net.join("w2", serves("a"));
  net.call("client", 1, "a", 60s);
  net.call("client", 2, "a", 60s);
  std::string others, none_known, broken;
  wire::append_call(others, last_lease(net, "w2"), "a", "foreign", 1000, {});
  wire::append_call(none_known, 77, "a", "unknown", 1000, {});
  wire::append_cancel(broken, last_lease(net, "w1"));
  broken += '\xc1';
  net.unreachable("w1", {others, none_known, broken, ""});
  CHECK(net.error_of("client", 1).may_have_run);
  CHECK(net.core().kept_bytes() == 0);
  net.unreachable("client", {others});  // no worker: it has no leases
  CHECK(net.core().kept_bytes() == 0);
  CHECK(net.core().open_calls() == 1);  // what w2 holds still
}

TEST_CASE("broker: every way in which a kept call can end lets go of its bytes", "[broker]") {
  broker_fixture net{{.pulse = 1s, .missed_pulses_max = 3}};
  net.join("w1", serves("a").safe().slots(2));
  net.call("client", 1, "a", 10s, std::string(2000, 'x'));
  net.call("client", 2, "a", 10s, "y");
  REQUIRE(net.core().kept_bytes() == 2001);
  SECTION("answered") { net.answer("w1"); }
  SECTION("cancelled") {
    net.cancel("client", 1);
    CHECK(net.core().kept_bytes() == 1);
    net.cancel("client", 2);
  }
  SECTION("its budget passes") { net.advance(10s); }
  SECTION("its caller goes") { net.unreachable("client"); }
  SECTION("a PART comes") {
    for (const auto lease : net.leases_at("w1")) net.part("w1", lease);
  }
  SECTION("nobody comes when its worker has died") {
    net.unreachable("w1");
    CHECK(net.core().kept_bytes() == 2001);
    net.advance(2s);
    CHECK(net.error_of("client", 1).may_have_run);
    CHECK(net.error_of("client", 1).retry_after == 100ms);
    CHECK(net.error_of("client", 2).code == status::unavailable);
  }
  SECTION("another finishes it") {
    net.unreachable("w1");
    net.join("w2", serves("a").slots(2));
    CHECK(net.core().kept_bytes() == 0);
    net.answer("w2");
  }
  CHECK(net.core().kept_bytes() == 0);
}

// Regression: the call's command was known by its place alone, so the payload of one command was handed to the worker of another.
TEST_CASE("broker: a call whose command was forgotten while a worker had it is never taken for a call of another command", "[broker]") {
  broker_fixture net{{.hold = 0ms, .commands_max = 2}};
  net.join("w1", serves("a").safe(), 1);
  net.call("client", 1, "a", 60s, "for a");
  net.join("w1", serves("c").safe(), 2);  // "a" is in hand, but nobody serves it
  net.join("w2", serves("b").safe());     // takes the place of "a"
  REQUIRE(net.status_of("w2", 1) == status::ok);
  SECTION("its worker dies") { net.unreachable("w1"); }
  SECTION("its worker rejects it") { reject(net, "w1"); }
  CHECK(net.calls_at("w2") == 0);
  CHECK(net.status_of("client", 1) == status::unavailable);
  CHECK(net.core().open_calls() == 0);
  CHECK(net.core().kept_bytes() == 0);
}

TEST_CASE("broker: a safe call of a worker that has joined anew without its command waits for whoever serves it", "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a").safe(), 1);
  net.call("client", 1, "a", 60s);
  net.join("w1", serves("c"), 2);
  net.join("w2", serves("a").safe());
  net.unreachable("w1");
  CHECK(net.calls_at("w2") == 1);
}
