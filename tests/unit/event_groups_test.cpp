// Consumer groups in the events' core: who gets what, how often, in which order, and what becomes of what nobody can handle.
#include "support/event_fixture.hpp"

using namespace std::literals;
using namespace waggle;
using namespace waggle::broker;

TEST_CASE("groups: each event goes once to each group that handles its topic", "[events][groups]") {
  event_fixture net;
  net.join("billing", {handles("order.*")}, 4);
  net.join("mail", {handles("order.placed")}, 4);
  net.join("audit", {handles("*").group("everything")}, 4);
  net.emit("order.placed");
  net.emit("order.paid");
  net.emit("page.seen");
  std::map<std::string, int> counts;
  for (const auto& each : net.deliveries) ++counts[each.about.at("group")];
  CHECK(counts == std::map<std::string, int>{{"billing", 2}, {"mail", 1}, {"everything", 3}});
}

TEST_CASE("groups: a delivery says what it is", "[events][groups]") {
  event_fixture net;
  net.join("billing", {handles("order.*").attempts(3).budget(5s)});
  net.emit("order.placed", {{"event_id", "e-1"}, {"traceparent", "t"}}, "\x07");
  const auto got = net.take();
  CHECK(got.command == event_command("billing", "order.*"));
  CHECK(got.topic == "order.placed");
  CHECK(got.payload == "\x07");
  CHECK(got.headers.at("traceparent") == "t");
  CHECK(got.budget == 5s);
  CHECK(got.about == json{{"group", "billing"}, {"stream", "events"}, {"sequence", 1}, {"attempt", 1}, {"attempts_max", 3},
                          {"time", net.wall_ms()}, {"budget_ms", 5000}, {"event_id", "e-1"}});
}

TEST_CASE("groups: an acknowledged event does not come again, not after a crash either", "[events][groups]") {
  event_fixture net;
  net.join("billing", {handles("*")}, 4);
  net.emit("a");
  net.emit("a");
  net.emit("a");
  const auto first = net.take(), second = net.take(), third = net.take();
  net.acknowledge(second);  // out of order
  net.acknowledge(first);
  net.crash();
  net.join("billing", {handles("*")}, 4);
  REQUIRE(net.deliveries.size() == 1);
  CHECK(net.deliveries[0].sequence() == third.sequence());
  CHECK(net.deliveries[0].attempt() == 2);
}

TEST_CASE("groups: an acknowledgement that did not get into the log before the crash counts as an attempt", "[events][groups]") {
  event_fixture net;
  net.join("billing", {handles("*")});
  net.emit("a");
  const auto got = net.take();
  net.stop_log();
  net.acknowledge(got);
  net.crash();
  net.start_log();
  net.join("billing", {handles("*")});
  REQUIRE(net.deliveries.size() == 1);
  CHECK(net.deliveries[0].attempt() == 2);
}

TEST_CASE("groups: a failed event comes again after a back-off that doubles, and is a dead letter after its last attempt", "[events][groups]") {
  event_fixture net;
  net.join("billing", {handles("order.*").attempts(4)});
  net.emit("order.placed", {}, "\x07");
  auto pause = 1000ms;
  for (std::uint64_t attempt = 1; attempt <= 3; ++attempt, pause *= 2) {
    REQUIRE(net.deliveries.size() == 1);
    CHECK(net.deliveries[0].attempt() == attempt);
    net.fail(net.take());
    net.advance(pause * 3 / 4 - 1ms);
    CHECK(net.deliveries.empty());
    net.advance(pause / 4 + 1ms);
  }
  REQUIRE(net.deliveries.size() == 1);
  CHECK(net.deliveries[0].attempt() == 4);
  net.fail(net.take());
  net.advance(24h);
  CHECK(net.deliveries.empty());
  const auto dead = net.told_of("waggle.dead").payload;
  REQUIRE(dead.at("total") == 1);
  CHECK(dead.at("dead").at(0).at("attempts") == 4);
  CHECK(dead.at("dead").at(0).at("topic") == "order.placed");
  const auto letter = net.told_of("waggle.dead_letter", {{"id", dead.at("dead").at(0).at("id")}}).payload;
  CHECK(letter.at("payload") == 7);
  CHECK(letter.at("error").at("message") == "it does not work");
  CHECK(net.core().counts().dead == 1);
}

TEST_CASE("groups: an event that fails does not keep others back", "[events][groups]") {
  event_fixture net;
  net.join("billing", {handles("*")});
  net.emit("a");
  net.emit("a");
  net.fail(net.take());
  REQUIRE(net.deliveries.size() == 1);
  CHECK(net.deliveries[0].sequence() == 2);
}

TEST_CASE("groups: events of one key come in their order, one at a time, and only they wait for each other", "[events][groups]") {
  event_fixture net;
  net.join("billing", {handles("*")}, 8);
  net.emit("a", {{"key", "k"}});  // 1
  net.emit("a", {{"key", "k"}});  // 2
  net.emit("a", {{"key", "l"}});  // 3
  net.emit("a");                  // 4
  REQUIRE(net.deliveries.size() == 3);
  const auto first = net.take();
  CHECK(first.sequence() == 1);
  CHECK(net.take().sequence() == 3);
  CHECK(net.take().sequence() == 4);
  net.fail(first);
  CHECK(net.deliveries.empty());
  net.advance(1s);
  const auto again = net.take();
  CHECK(again.sequence() == 1);
  net.acknowledge(again);
  CHECK(net.take().sequence() == 2);
}

TEST_CASE("groups: a key whose first event dies goes on with the next", "[events][groups]") {
  event_fixture net;
  net.join("billing", {handles("*").attempts(1)}, 8);
  net.emit("a", {{"key", "k"}});
  net.emit("a", {{"key", "k"}});
  net.fail(net.take());
  CHECK(net.take().sequence() == 2);
}

TEST_CASE("groups: a new group begins from now, or from the beginning", "[events][groups]") {
  event_fixture net;
  net.emit("a");
  net.join("late", {handles("*")}, 4);
  net.join("thorough", {handles("*").from_beginning()}, 4);
  REQUIRE(net.deliveries.size() == 1);
  CHECK(net.take().about.at("group") == "thorough");
  net.emit("a");
  CHECK(net.deliveries.size() == 2);
}

TEST_CASE("groups: what comes while no member is there waits for the next one", "[events][groups]") {
  event_fixture net;
  net.join("billing", {handles("order.*")}, 2);
  net.leave("billing", {handles("order.*")});
  for (int i = 0; i < 5; ++i) net.emit("order.placed");
  net.emit("page.seen");
  CHECK(net.deliveries.empty());
  const auto shown = net.told_of("waggle.groups").payload.at("groups").at(0);
  CHECK(shown.at("lag") == 6);
  CHECK(shown.at("members") == 0);
  net.join("billing", {handles("order.*")}, 8);
  CHECK(net.deliveries.size() == 5);
}

TEST_CASE("groups: a group that has fallen behind reads what it missed from the log, in order", "[events][groups]") {
  event_fixture net;
  net.join("billing", {handles("a")}, 1);
  for (int i = 0; i < 2000; ++i) net.emit(i % 2 == 0 ? "a" : "b");
  std::vector<std::uint64_t> seen;
  while (!net.deliveries.empty()) {
    const auto got = net.take();
    seen.push_back(got.sequence());
    net.acknowledge(got);
  }
  REQUIRE(seen.size() == 1000);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
  CHECK(seen.back() == 1999);
  net.advance(2s);
  CHECK(net.told_of("waggle.groups").payload.at("groups").at(0).at("lag") == 0);
}

TEST_CASE("groups: no more is handed out than members have slots for, and a little", "[events][groups]") {
  event_fixture net;
  net.join("billing", {handles("*")}, 3);
  for (int i = 0; i < 50; ++i) net.emit("a");
  CHECK(net.deliveries.size() == 6);
  net.acknowledge(net.take());
  CHECK(net.deliveries.size() == 6);
}

TEST_CASE("groups: a delivery that never left the broker is no attempt", "[events][groups]") {
  event_fixture net;
  net.join("billing", {handles("*").attempts(1)});
  net.emit("a");
  for (int i = 0; i < 5; ++i) {
    const auto got = net.take();
    CHECK(got.attempt() == 1);
    net.give_back(got);
    net.advance(1s);
  }
  net.acknowledge(net.take());
  CHECK(net.told_of("waggle.dead").payload.at("total") == 0);
}

TEST_CASE("groups: of several patterns the most specific that a member has takes an event", "[events][groups]") {
  event_fixture net;
  net.join("billing", {handles("order.*"), handles("order.placed")}, 4);
  net.emit("order.placed");
  CHECK(net.take().command == event_command("billing", "order.placed"));
  net.leave("billing", {handles("order.placed")});
  net.emit("order.placed");
  CHECK(net.take().command == event_command("billing", "order.*"));
}

TEST_CASE("groups: a topic that no present member takes waits ten minutes, then is a dead letter, and is not the group's any more", "[events][groups]") {
  event_fixture net;
  net.join("billing", {handles("a"), handles("b")}, 4);
  net.leave("billing", {handles("a")});
  net.emit("a");
  net.emit("b");
  REQUIRE(net.deliveries.size() == 1);
  net.acknowledge(net.take());
  SECTION("somebody comes in time") {
    net.advance(9min);
    net.join("billing", {handles("a")}, 4);
    REQUIRE(net.deliveries.size() == 1);
    CHECK(net.take().topic == "a");
  }
  SECTION("nobody comes") {
    net.advance(11min);
    const auto dead = net.told_of("waggle.dead").payload;
    REQUIRE(dead.at("total") == 1);
    CHECK(dead.at("dead").at(0).at("error").at("code") == "UNIMPLEMENTED");
    net.emit("a");
    net.advance(11min);
    CHECK(net.told_of("waggle.dead").payload.at("total") == 1);
  }
}

TEST_CASE("groups: attempt numbers rise over crashes", "[events][groups]") {
  event_fixture net;
  std::uint64_t last = 0;
  net.join("billing", {handles("*").attempts(20)});
  net.emit("a");
  for (int i = 0; i < 6; ++i) {
    REQUIRE(net.deliveries.size() == 1);
    const auto got = net.take();
    CHECK(got.attempt() > last);
    last = got.attempt();
    if (i % 2 == 0) {
      net.fail(got);
      net.advance(10min);
    } else {
      net.crash();
      net.join("billing", {handles("*").attempts(20)});
      net.advance(10min);
    }
  }
  CHECK(last == 6);
}

TEST_CASE("groups: a restart while an event waits for its next attempt costs it none", "[events][groups]") {
  event_fixture net;
  net.join("billing", {handles("*")});
  net.emit("a");
  net.fail(net.take());
  net.crash();
  net.join("billing", {handles("*")});
  CHECK(net.deliveries.empty());
  net.advance(1s);
  CHECK(net.take().attempt() == 2);
}

TEST_CASE("groups: a dead letter that is retried is handled, or dies anew with a higher number", "[events][groups][dead]") {
  event_fixture net;
  net.join("billing", {handles("*").attempts(2)});
  net.emit("a", {{"key", "k"}}, "\x07");
  net.fail(net.take());
  net.advance(2s);
  net.fail(net.take());
  const auto id = net.told_of("waggle.dead").payload.at("dead").at(0).at("id");
  CHECK(net.told_of("waggle.retry_dead", {{"id", id}}).payload.at("retried") == 1);
  const auto got = net.take();
  CHECK(got.attempt() == 3);
  CHECK(got.payload == "\x07");
  SECTION("handled") {
    net.acknowledge(got);
    CHECK(net.told_of("waggle.dead").payload.at("total") == 0);
    CHECK(net.told_of("waggle.groups").payload.at("groups").at(0).at("dead") == 0);
  }
  SECTION("dies anew") {
    net.fail(got);
    net.advance(2s);
    const auto last = net.take();
    CHECK(last.attempt() == 4);
    net.fail(last);
    const auto dead = net.told_of("waggle.dead").payload;
    REQUIRE(dead.at("total") == 1);
    CHECK(dead.at("dead").at(0).at("id") == id);
    CHECK(dead.at("dead").at(0).at("attempts") == 4);
  }
  SECTION("dropped meanwhile") {
    CHECK(net.told_of("waggle.drop_dead", {{"id", id}}).code == status::failed_precondition);
  }
}

TEST_CASE("groups: dead letters are dropped by id and by group", "[events][groups][dead]") {
  event_fixture net;
  net.join("billing", {handles("*").attempts(1)}, 4);
  for (int i = 0; i < 3; ++i) net.emit("a");
  while (!net.deliveries.empty()) net.fail(net.take());
  const auto id = net.told_of("waggle.dead", {{"group", "billing"}}).payload.at("dead").at(0).at("id");
  CHECK(net.told_of("waggle.drop_dead", {{"id", id}}).payload.at("dropped") == 1);
  CHECK(net.told_of("waggle.drop_dead", {{"id", id}}).code == status::not_found);
  CHECK(net.told_of("waggle.drop_dead", {{"group", "billing"}}).payload.at("dropped") == 2);
  CHECK(net.told_of("waggle.dead").payload.at("total") == 0);
}

TEST_CASE("groups: a group is forgotten only without members, and then begins anew", "[events][groups]") {
  event_fixture net;
  net.join("billing", {handles("*")});
  CHECK(net.told_of("waggle.forget_group", {{"group", "billing"}}).code == status::failed_precondition);
  net.leave("billing", {handles("*")});
  net.emit("a");
  CHECK(net.told_of("waggle.forget_group", {{"group", "billing"}}).code == status::ok);
  CHECK(net.told_of("waggle.groups").payload.at("total") == 0);
  net.crash();
  CHECK(net.told_of("waggle.groups").payload.at("total") == 0);
  net.join("billing", {handles("*")});
  CHECK(net.deliveries.empty());
}

TEST_CASE("groups: a window full of events that wait stops a group, and moving on starts it again", "[events][groups]") {
  auto settings = event_fixture::durable();
  settings.window_max = 10;
  event_fixture net{settings};
  net.join("billing", {handles("*")}, 4);
  net.emit("a");
  const auto stuck = net.take();
  net.fail(stuck);
  for (int i = 0; i < 40; ++i) {
    net.emit("a");
    while (!net.deliveries.empty()) net.acknowledge(net.take());
  }
  const auto shown = net.told_of("waggle.groups").payload.at("groups").at(0);
  CHECK(shown.at("settled") == 0);
  CHECK(shown.at("lag") == 41);
  net.advance(1s);
  net.acknowledge(net.take());
  while (!net.deliveries.empty()) net.acknowledge(net.take());
  CHECK(net.told_of("waggle.groups").payload.at("groups").at(0).at("lag") == 0);
}
