// Slots of their own for what is quick: two classes of calls at one worker.
#include <string>

#include "support/broker_fixture.hpp"

using namespace waggle;
using namespace waggle::broker;
using namespace std::chrono_literals;

namespace {

/// One slot for "a.slow", two for "a.quick".
serves two_classes() { return serves("a.slow").safe().and_also("a.quick").safe().quick().slots(1).quick_slots(2); }

std::vector<std::string> names_at(broker_fixture& net, const std::string& worker) {
  std::vector<std::string> out;
  for (const auto& each : net.inbox(worker, wire::frame_type::call)) out.push_back(each.name);
  return out;
}

}  // namespace

TEST_CASE("broker: each class of calls has its slots, and neither waits for the other", "[broker][slots]") {
  broker_fixture net;
  net.join("worker", two_classes());
  for (std::uint64_t id = 1; id <= 3; ++id) net.call("client", id, "a.slow", 60s);
  for (std::uint64_t id = 11; id <= 14; ++id) net.call("client", id, "a.quick", 60s);
  CHECK(names_at(net, "worker") == std::vector<std::string>{"a.slow", "a.quick", "a.quick"});
  net.answer("worker", 1);  // a slow one, whose slot is for the next slow one
  CHECK(names_at(net, "worker").back() == "a.slow");
  CHECK(net.calls_at("worker") == 4);
  net.answer("worker", 2);  // and two quick ones
  CHECK(net.calls_at("worker") == 6);
  CHECK(names_at(net, "worker").back() == "a.quick");
}

TEST_CASE("broker: a worker that says nothing of slots for what is quick has one class", "[broker][slots]") {
  broker_fixture net;
  net.join("worker", serves("a.slow").and_also("a.quick").quick().slots(2));
  net.call("client", 1, "a.slow", 60s);
  net.call("client", 2, "a.slow", 60s);
  net.call("client", 3, "a.quick", 60s);
  CHECK(net.calls_at("worker") == 2);
  net.answer("worker", 1);
  CHECK(names_at(net, "worker").back() == "a.quick");
}

TEST_CASE("broker: of two workers the one with more free slots of the call's class gets it", "[broker][slots]") {
  broker_fixture net;
  net.join("one", serves("a.slow").and_also("a.quick").quick().slots(9).quick_slots(1));
  net.join("two", serves("a.slow").and_also("a.quick").quick().slots(1).quick_slots(9));
  net.call("client", 1, "a.quick", 60s);
  net.call("client", 2, "a.slow", 60s);
  CHECK(names_at(net, "two") == std::vector<std::string>{"a.quick"});
  CHECK(names_at(net, "one") == std::vector<std::string>{"a.slow"});
}

TEST_CASE("broker: calls with a key take the slots of their class", "[broker][slots]") {
  broker_fixture net;
  net.join("worker", two_classes());
  net.keyed("client", 1, "a.slow", "x");
  net.keyed("client", 2, "a.slow", "y");
  net.keyed("client", 3, "a.quick", "x");  // another group than that of the slow ones
  net.keyed("client", 4, "a.quick", "y");
  net.keyed("client", 5, "a.quick", "z");
  CHECK(names_at(net, "worker") == std::vector<std::string>{"a.slow", "a.quick", "a.quick"});
  net.reply("worker", net.leases_at("worker")[1]);
  CHECK(names_at(net, "worker").back() == "a.quick");
  net.reply("worker", net.leases_at("worker")[0]);
  CHECK(names_at(net, "worker").back() == "a.slow");
}

TEST_CASE("broker: a group of commands of both classes keeps its order, each call in its class", "[broker][slots]") {
  broker_fixture net;
  net.join("worker", serves("a.slow").group("g").and_also("a.quick").group("g").quick().slots(1).quick_slots(1));
  net.keyed("client", 1, "a.quick", "other");  // the quick slot is taken
  net.keyed("client", 2, "a.slow", "x");
  net.keyed("client", 3, "a.quick", "x");
  net.reply("worker", net.leases_at("worker")[1]);
  CHECK(net.calls_at("worker") == 2);  // the next of x is quick, and waits for a quick slot
  net.keyed("client", 4, "a.slow", "y");
  CHECK(net.calls_at("worker") == 3);
  net.reply("worker", net.leases_at("worker")[0]);
  CHECK(names_at(net, "worker").back() == "a.quick");
}

TEST_CASE("broker: a rejected call comes back to its class, and the other class goes on", "[broker][slots]") {
  broker_fixture net;
  net.join("worker", two_classes());
  net.call("client", 1, "a.quick", 60s);
  net.reply("worker", net.leases_at("worker")[0], status::unavailable);
  CHECK(net.calls_at("worker") == 2);  // no other has a free slot
  net.call("client", 2, "a.quick", 60s);
  net.call("client", 3, "a.quick", 60s);
  CHECK(net.calls_at("worker") == 3);
  net.call("client", 4, "a.slow", 60s);
  CHECK(net.calls_at("worker") == 4);
}

TEST_CASE("broker: a worker has left when nothing of either class is at hand", "[broker][slots]") {
  broker_fixture net;
  net.join("worker", two_classes(), 1);
  net.call("client", 1, "a.quick", 60s);
  net.call("client", 2, "a.slow", 60s);
  net.leave("worker", 2);
  net.answer("worker", 1);
  CHECK(net.replies_to("worker", 2) == 0);
  net.answer("worker", 1);
  CHECK(net.status_of("worker", 2) == status::ok);
}

TEST_CASE("broker: who joins again without slots for what is quick has all that is at hand in the one class there is", "[broker][slots]") {
  broker_fixture net;
  net.join("worker", two_classes(), 1);
  net.call("client", 1, "a.quick", 60s);
  net.call("client", 2, "a.quick", 60s);
  net.call("client", 3, "a.slow", 60s);
  const auto plain = [](std::uint32_t slots) { return serves("a.slow").safe().and_also("a.quick").safe().quick().slots(slots); };
  net.join("worker", plain(3), 2);
  net.call("client", 4, "a.slow", 60s);
  CHECK(net.calls_at("worker") == 3);
  net.answer("worker", 1);  // a quick one, whose slot is everybody's now
  CHECK(net.calls_at("worker") == 4);
  net.join("worker", two_classes(), 3);  // what is at hand stays in the class in which it was got
  net.call("client", 5, "a.quick", 60s);
  net.call("client", 6, "a.quick", 60s);
  net.call("client", 7, "a.slow", 60s);
  CHECK(net.calls_at("worker") == 6);
  net.answer("worker");
  CHECK(net.calls_at("worker") == 7);
  net.answer("worker");
  const auto counted = net.ask("operator", 1, "waggle.workers")["workers"][0];
  CHECK((counted["in_flight"] == 0 && counted["quick_in_flight"] == 0));
}

TEST_CASE("broker: what people see of a worker has both classes, and only where there are two", "[broker][slots]") {
  broker_fixture net;
  net.join("worker", two_classes().instance("m"));
  net.join("plain", serves("b").slots(5).instance("p"));
  net.call("client", 1, "a.slow", 60s);
  net.call("client", 2, "a.quick", 60s);
  net.call("client", 3, "a.quick", 60s);
  const auto workers = net.ask("operator", 1, "waggle.workers")["workers"];
  CHECK((workers[0]["slots"] == 1 && workers[0]["in_flight"] == 1 && workers[0]["quick_slots"] == 2 && workers[0]["quick_in_flight"] == 2));
  CHECK((workers[1]["slots"] == 5 && !workers[1].contains("quick_slots") && !workers[1].contains("quick_in_flight")));
  const auto services = net.ask("operator", 2, "waggle.services")["services"];
  const auto& instance = services[0]["instances"][0];
  CHECK((instance["slots"] == 1 && instance["in_flight"] == 1 && instance["quick_slots"] == 2 && instance["quick_in_flight"] == 2));
  CHECK_FALSE(services[1]["instances"][0].contains("quick_slots"));
  CHECK(net.ask("operator", 3, "waggle.drain", {{"worker", "m"}})["in_flight"] == 3);
}

TEST_CASE("broker: a paused quick command gives its slots to other quick commands", "[broker][slots]") {
  broker_fixture net;
  net.join("worker", serves("a.slow").and_also("a.quick").quick().and_also("b.quick").quick().slots(1).quick_slots(1));
  net.ask("operator", 1, "waggle.pause", {{"command", "a.quick"}});
  net.call("client", 1, "a.quick", 60s);
  net.call("client", 2, "b.quick", 60s);
  CHECK(names_at(net, "worker") == std::vector<std::string>{"b.quick"});
  net.ask("operator", 2, "waggle.resume", {{"command", "a.quick"}});
  net.answer("worker", 1);
  CHECK(names_at(net, "worker").back() == "a.quick");
}

TEST_CASE("broker: deliveries of quick events take slots of their class", "[broker][slots][events]") {
  event_settings on_disk;
  on_disk.durable = true;
  broker_fixture net{{}, on_disk};
  net.join("worker", serves::service("mailer").handles("slow.*").handles("quick.*").quick().slots(1).quick_slots(2));
  for (std::uint64_t id = 1; id <= 4; ++id) net.emit("emitter", id, "slow.one");
  for (std::uint64_t id = 11; id <= 14; ++id) net.emit("emitter", id, "quick.one");
  std::size_t slow = 0, quick = 0;
  for (const auto& each : net.events_at("worker")) ++(each.name == "slow.one" ? slow : quick);
  CHECK(slow == 1);
  CHECK(quick == 2);
}

namespace {

/// Quick calls, `per_message` in each message; where they went.
std::vector<std::size_t> spread(broker_fixture& net, std::size_t messages, std::size_t per_message, std::string_view command = "a.quick") {
  static std::uint64_t id = 0;
  for (std::size_t i = 0; i < messages; ++i) {
    std::string bundle;
    for (std::size_t k = 0; k < per_message; ++k) wire::append_call(bundle, ++id, command, "\x01", 60'000, {});
    net.send("client", bundle);
  }
  return {net.calls_at("one"), net.calls_at("two"), net.calls_at("three")};
}

}  // namespace

TEST_CASE("broker: quick calls that come together go to a worker eight at a time, others one by one", "[broker][slots]") {
  broker_fixture net;
  const auto serving = serves("a.slow").and_also("a.quick").quick().slots(200).quick_slots(200);
  for (const auto* each : {"one", "two", "three"}) net.join(each, serving);
  CHECK(spread(net, 1, 10) == std::vector<std::size_t>{8, 2, 0});
  CHECK(spread(net, 1, 8) == std::vector<std::size_t>{8, 2, 8});   // the second has had its turn
  CHECK(spread(net, 3, 1) == std::vector<std::size_t>{9, 3, 9});
  CHECK(spread(net, 1, 6, "a.slow") == std::vector<std::size_t>{11, 5, 11});
}

TEST_CASE("broker: without slots for what is quick calls come in bursts if all is quick", "[broker][slots]") {
  const bool all_quick = GENERATE(false, true);
  broker_fixture net;
  for (const auto* each : {"one", "two", "three"}) {
    net.join(each, all_quick ? serves("a.quick").quick().slots(200) : serves("a.quick").quick().and_also("a.slow").slots(200));
  }
  CHECK(spread(net, 1, 9) == (all_quick ? std::vector<std::size_t>{8, 1, 0} : std::vector<std::size_t>{3, 3, 3}));
}

TEST_CASE("broker: a burst does not go on to a worker that has fewer free slots than another, nor to one that leaves", "[broker][slots]") {
  broker_fixture net;
  for (const auto* each : {"one", "two", "three"}) net.join(each, serves("a.quick").quick().slots(3));
  CHECK(spread(net, 1, 6) == std::vector<std::size_t>{2, 2, 2});
  broker_fixture other;
  for (const auto* each : {"one", "two", "three"}) other.join(each, serves("a.quick").quick().slots(200));
  CHECK(spread(other, 1, 2) == std::vector<std::size_t>{2, 0, 0});
  other.leave("one");
  CHECK(spread(other, 1, 8) == std::vector<std::size_t>{2, 8, 0});
}
