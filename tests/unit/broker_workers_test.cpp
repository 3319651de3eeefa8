// Workers in the broker core: joining, changing their mind, leaving, falling silent.
#include "support/broker_fixture.hpp"

using namespace std::literals;
using namespace waggle;
using namespace waggle::broker;
using waggle::wire::frame_type;

namespace {

std::uint64_t seats_told(broker_fixture& net, const std::string& peer) {
  const auto pulses = net.inbox(peer, frame_type::pulse);
  REQUIRE_FALSE(pulses.empty());
  return pulses.back().seats;
}

}  // namespace

TEST_CASE("broker: a refused JOIN names the entry that is wrong and changes nothing", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"), 1);
  net.join("worker", serves("waggle.mine"), 2);
  const auto why = net.error_of("worker", 2);
  CHECK(why.code == status::invalid_argument);
  REQUIRE(why.problems.size() == 1);
  CHECK(why.problems[0].path == "commands[0].name");
  net.call("client", 1, "a", 1s);
  CHECK(net.calls_at("worker") == 1);
}

TEST_CASE("broker: a worker that joins takes the calls that wait for its command", "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a"));
  for (std::uint64_t id = 1; id <= 4; ++id) net.call("client", id, "a", 10s);
  net.join("w2", serves("a").slots(2));
  CHECK(net.calls_at("w1") == 1);
  CHECK(net.calls_at("w2") == 2);
  CHECK(net.inbox("w2").front().type == frame_type::reply);  // the welcome comes before any call
}

TEST_CASE("broker: joining again with more slots takes what waits, with fewer takes nothing new until enough have returned",
          "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a").slots(1), 1);
  for (std::uint64_t id = 1; id <= 6; ++id) net.call("client", id, "a", 10s);
  net.join("worker", serves("a").slots(3), 2);
  CHECK(net.calls_at("worker") == 3);
  net.join("worker", serves("a").slots(2), 3);
  net.answer("worker", 1);
  CHECK(net.calls_at("worker") == 3);  // two are still in hand
  net.answer("worker", 1);
  CHECK(net.calls_at("worker") == 4);
  for (int i = 0; i < 6; ++i) net.answer("worker", 1);
  CHECK(net.replies_to("client") == 6);
  CHECK(net.core().worker_count() == 1);
  CHECK(net.core().open_calls() == 0);
}

TEST_CASE("broker: joining again with other commands keeps what is in hand and fails what nobody serves any more", "[broker]") {
  broker_fixture net{{.hold = 0ms}};
  net.join("worker", serves("a"), 1);
  net.call("client", 1, "a", 10s);
  net.call("client", 2, "a", 10s);
  net.join("worker", serves("b"), 2);
  CHECK(net.replies_to("client", 1) == 0);
  CHECK(net.error_of("client", 2).code == status::unavailable);
  CHECK_FALSE(net.error_of("client", 2).may_have_run);
  net.call("client", 3, "a", 10s);
  CHECK(net.status_of("client", 3) == status::unavailable);
  net.call("client", 4, "b", 10s);
  CHECK(net.calls_at("worker") == 1);  // its one slot is still taken by the call of "a"
  net.answer("worker");
  CHECK(net.status_of("client", 1) == status::ok);
  REQUIRE(net.calls_at("worker") == 2);
  net.answer("worker");
  CHECK(net.status_of("client", 4) == status::ok);
}

TEST_CASE("broker: joining again with a command that others wait for takes it over without a gap", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"), 1);
  net.call("client", 1, "a", 10s);
  net.call("client", 2, "a", 10s);
  net.join("worker", serves("a").and_also("b").slots(2), 2);
  CHECK(net.calls_at("worker") == 2);
  net.answer("worker");
  CHECK(net.status_of("client", 1) == status::ok);
  CHECK(net.status_of("client", 2) == status::ok);
}

TEST_CASE("broker: two versions of a service share one queue, and the old one leaves without losing a call", "[broker]") {
  broker_fixture net;
  net.join("old", serves("a").version("1"));
  net.join("new", serves("a").version("2"));
  for (std::uint64_t id = 1; id <= 6; ++id) net.call("client", id, "a", 10s);
  CHECK(net.calls_at("old") == 1);
  CHECK(net.calls_at("new") == 1);
  net.answer("new", 1);
  net.answer("old", 1);
  CHECK(net.calls_at("old") == 2);
  CHECK(net.calls_at("new") == 2);
  net.leave("old", 9);
  CHECK(net.replies_to("old", 9) == 0);
  net.answer("old");
  CHECK(net.status_of("old", 9) == status::ok);
  for (int i = 0; i < 6; ++i) net.answer("new", 1);
  CHECK(net.replies_to("client") == 6);
  for (std::uint64_t id = 1; id <= 6; ++id) CHECK(net.status_of("client", id) == status::ok);
}

TEST_CASE("broker: of two pools the one that has more free slots in one worker is asked", "[broker]") {
  broker_fixture net;
  net.join("old", serves("a").version("1").slots(1));
  net.join("new", serves("a").version("2").slots(3));
  net.call("client", 1, "a", 10s);
  net.call("client", 2, "a", 10s);
  CHECK(net.calls_at("new") == 2);
  CHECK(net.calls_at("old") == 0);
}

TEST_CASE("broker: the queue of a command with two pools drains through whichever has a slot", "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a").version("1"));
  net.join("w2", serves("a").version("2"));
  for (std::uint64_t id = 1; id <= 12; ++id) net.call("client", id, "a", 10s);
  for (int i = 0; i < 2; ++i) net.answer("w1", 1);
  for (int i = 0; i < 3; ++i) net.answer("w2", 1);
  CHECK(net.calls_at("w1") == 3);
  CHECK(net.calls_at("w2") == 4);
  for (int i = 0; i < 12; ++i) {
    net.answer("w1", 1);
    net.answer("w2", 1);
  }
  net.call("client", 20, "a", 10s);  // and the turn still works once it has been empty
  net.call("client", 21, "a", 10s);
  net.call("client", 22, "a", 10s);
  net.answer("w1");
  net.answer("w2");
  net.answer("w1");
  net.answer("w2");
  CHECK(net.replies_to("client") == 15);
}

TEST_CASE("broker: LEAVE with nothing in hand is answered at once, and the peer is a peer like any other", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.silence("worker");
  net.leave("worker", 8);
  CHECK(net.status_of("worker", 8) == status::ok);
  CHECK(net.core().worker_count() == 0);
  CHECK(net.core().peer_count() == 1);
  net.advance(10s);
  CHECK(net.inbox("worker", frame_type::pulse).empty());
  CHECK(net.core().counts().dead_workers == 0);
}

TEST_CASE("broker: without a hold LEAVE fails what waits; it lets what is in hand finish, and is answered last", "[broker]") {
  broker_fixture net{{.hold = 0ms}};
  net.join("worker", serves("a").slots(2));
  for (std::uint64_t id = 1; id <= 3; ++id) net.call("client", id, "a", 10s);
  net.leave("worker", 8);
  CHECK(net.error_of("client", 3).code == status::unavailable);
  CHECK_FALSE(net.error_of("client", 3).may_have_run);
  net.call("client", 4, "a", 10s);
  CHECK(net.status_of("client", 4) == status::unavailable);
  net.answer("worker", 1);
  CHECK(net.status_of("client", 1) == status::ok);
  CHECK(net.replies_to("worker", 8) == 0);
  net.answer("worker", 1);
  CHECK(net.status_of("client", 2) == status::ok);
  CHECK(net.status_of("worker", 8) == status::ok);
  CHECK(net.inbox("worker").back().id == 8);
}

TEST_CASE("broker: LEAVE waits for a cancelled call too, since the worker may still be busy with it", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.call("client", 1, "a", 10s);
  net.cancel("client", 1);
  net.leave("worker", 8);
  CHECK(net.replies_to("worker", 8) == 0);
  net.answer("worker");
  CHECK(net.status_of("worker", 8) == status::ok);
}

TEST_CASE("broker: while a worker drains its pulses say that it has no seat", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a").and_also("b"));
  net.call("client", 1, "a", 1min);
  net.advance(1s);
  CHECK(seats_told(net, "worker") == 2);
  net.leave("worker", 8);
  net.advance(1s);
  CHECK(seats_told(net, "worker") == 0);
}

TEST_CASE("broker: a second LEAVE is refused and the first is still answered", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.call("client", 1, "a", 10s);
  net.leave("worker", 8);
  net.leave("worker", 9);
  CHECK(net.status_of("worker", 9) == status::failed_precondition);
  net.answer("worker");
  CHECK(net.status_of("worker", 8) == status::ok);
}

TEST_CASE("broker: LEAVE of a peer that has no seat has nothing to wait for", "[broker]") {
  broker_fixture net;
  net.leave("stranger", 3);
  CHECK(net.status_of("stranger", 3) == status::ok);
}

TEST_CASE("broker: joining again while draining ends the LEAVE as ABORTED and serves on", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a").slots(2), 1);
  net.call("client", 1, "a", 10s);
  net.leave("worker", 8);
  const auto commands = GENERATE(values({"a"s, "b"s}));
  net.join("worker", serves(commands).slots(2), 9);
  CHECK(net.status_of("worker", 8) == status::aborted);
  CHECK(net.status_of("worker", 9) == status::ok);
  net.call("client", 2, commands, 10s);
  net.answer("worker");
  CHECK(net.status_of("client", 1) == status::ok);
  CHECK(net.status_of("client", 2) == status::ok);
  net.leave("worker", 10);
  CHECK(net.status_of("worker", 10) == status::ok);
  CHECK(net.replies_to("worker", 8) == 1);
}

TEST_CASE("broker: a draining worker whose new JOIN is refused goes on draining, and its LEAVE is answered once", "[broker]") {
  broker_fixture net{{.commands_max = 1}};
  net.join("worker", serves("a"), 1);
  net.call("client", 1, "a", 10s);
  net.leave("worker", 8);
  net.join("worker", serves("a").and_also("b"), 9);
  CHECK(net.status_of("worker", 9) == status::resource_exhausted);
  CHECK(net.replies_to("worker", 8) == 0);
  net.answer("worker");
  CHECK(net.status_of("worker", 8) == status::ok);
}

TEST_CASE("broker: a worker that is silent for too long is dead, and its calls fail as UNAVAILABLE that may have run", "[broker]") {
  broker_fixture net{{.pulse = 1s, .missed_pulses_max = 3, .hold = 2s}};
  net.join("worker", serves("a"));
  net.call("client", 1, "a", 1min);
  net.call("client", 2, "a", 1min);
  net.silence("worker");
  net.advance(2999ms);
  CHECK(net.replies_to("client") == 0);
  net.advance(1ms);
  const auto busy = net.error_of("client", 1);
  CHECK(busy.code == status::unavailable);
  CHECK(busy.may_have_run);
  CHECK(net.replies_to("client", 2) == 0);
  net.advance(2s);  // no other worker has come meanwhile
  const auto waiting = net.error_of("client", 2);
  CHECK(waiting.code == status::unavailable);
  CHECK_FALSE(waiting.may_have_run);
  CHECK(net.core().counts().dead_workers == 1);
  CHECK(net.is_forgotten("worker"));
  CHECK(net.core().open_calls() == 0);
}

TEST_CASE("broker: calls that wait outlive a dead worker when another serves the command", "[broker]") {
  broker_fixture net;
  net.join("w1", serves("a"));
  net.join("w2", serves("a"));
  for (std::uint64_t id = 1; id <= 3; ++id) net.call("client", id, "a", 1min);
  net.silence("w1");
  net.advance(5s);
  CHECK(net.replies_to("client") == 1);
  net.answer("w2", 1);
  net.answer("w2", 1);
  CHECK(net.replies_to("client") == 3);
}

TEST_CASE("broker: any frame is a sign of life", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.silence("worker");
  net.call("client", 1, "a", 1min);
  const auto lease = net.leases_at("worker")[0];
  for (int i = 0; i < 10; ++i) {
    net.advance(2s);
    net.part("worker", lease);
  }
  CHECK(net.core().worker_count() == 1);
  CHECK(net.replies_to("client") == 0);
}

TEST_CASE("broker: every worker hears a pulse in every interval, which says how many of its commands are seated", "[broker]") {
  broker_fixture net{{.pulse = 500ms}};
  net.join("one", serves("a").and_also("b"));
  net.advance(200ms);
  net.join("two", serves("c"));
  net.advance(5s);
  CHECK(net.inbox("one", frame_type::pulse).size() == 10);
  CHECK(net.inbox("two", frame_type::pulse).size() == 10);
  CHECK(seats_told(net, "one") == 2);
  CHECK(seats_told(net, "two") == 1);
}

TEST_CASE("broker: a pulse of a peer without a seat is answered by [9, 0], so that it joins again", "[broker]") {
  broker_fixture net;
  net.pulse("stranger");
  CHECK(seats_told(net, "stranger") == 0);

  net.join("worker", serves("a"));
  net.silence("worker");
  net.advance(10s);
  REQUIRE(net.is_forgotten("worker"));
  net.pulse("worker");
  CHECK(seats_told(net, "worker") == 0);
  net.join("worker", serves("a"), 5);
  net.call("client", 1, "a", 1s);
  CHECK(net.calls_at("worker") == 1);
}

TEST_CASE("broker: a worker's own pulse is not answered", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.pulse("worker");
  net.pulse("worker");
  CHECK(net.inbox("worker", frame_type::pulse).empty());
}

TEST_CASE("broker: when the broker itself stood still, nobody is found dead before a pulse could be read", "[broker]") {
  broker_fixture net{{.pulse = 1s, .missed_pulses_max = 3}};
  net.join("alive", serves("a"));
  net.join("dead", serves("b"));
  net.call("client", 1, "a", 10min);
  net.call("client", 2, "b", 10min);
  net.advance(500ms);
  net.silence("dead");
  net.stall(1min);
  net.tick();
  CHECK(net.replies_to("client") == 0);
  net.pulse("alive");
  net.advance(1s);
  CHECK(net.replies_to("client", 1) == 0);
  CHECK(net.error_of("client", 2).code == status::unavailable);
  CHECK(net.core().worker_count() == 1);
}

TEST_CASE("broker: a worker that cannot be reached is dead at once", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.call("client", 1, "a", 1min);
  net.unreachable("worker");
  CHECK(net.error_of("client", 1).code == status::unavailable);
  CHECK(net.error_of("client", 1).may_have_run);
  CHECK(net.core().counts().dead_workers == 1);
  CHECK(net.is_forgotten("worker"));
  net.reply("worker", net.leases_at("worker")[0]);  // it was only slow: it comes back with a reply nobody waits for
  CHECK(net.replies_to("client") == 1);
  CHECK(net.core().counts().unasked_replies == 1);
}

TEST_CASE("broker: an unreachable peer that is not known, or not any more, is stepped over", "[broker]") {
  broker_core core{{}};
  outbox out;
  core.unreachable(instant{} + 1s, peer_id{0}, {}, out);
  core.unreachable(instant{} + 1s, peer_id{77}, {}, out);
  CHECK(out.empty());
}

TEST_CASE("broker: a draining worker that dies fails what it had", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.call("client", 1, "a", 1min);
  net.leave("worker");
  net.silence("worker");
  net.advance(4s);
  CHECK(net.error_of("client", 1).code == status::unavailable);
  CHECK(net.core().worker_count() == 0);
  CHECK(net.core().open_calls() == 0);
}

TEST_CASE("broker: a worker that leaves keeps the calls it has made itself", "[broker]") {
  broker_fixture net;
  net.join("one", serves("a"));
  net.join("two", serves("b"));
  net.call("one", 5, "b", 1min);
  net.leave("one", 8);
  CHECK(net.status_of("one", 8) == status::ok);
  net.answer("two");
  CHECK(net.status_of("one", 5) == status::ok);
}

TEST_CASE("broker: a manifest that names a command twice has one seat for it", "[broker]") {
  broker_fixture net{{.hold = 0ms, .commands_max = 1}};
  net.join("worker", serves("a").and_also("a"));
  CHECK(net.status_of("worker", 1) == status::ok);
  net.advance(1s);
  CHECK(seats_told(net, "worker") == 1);
  net.leave("worker");
  net.call("client", 1, "a", 1s);
  CHECK(net.status_of("client", 1) == status::unavailable);
}
