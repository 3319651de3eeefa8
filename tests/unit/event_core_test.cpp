// Emits, receipts, broadcasts and gaps in the events' core.
#include "support/event_fixture.hpp"

using namespace std::literals;
using namespace waggle;
using namespace waggle::broker;

TEST_CASE("events: a receipt is given when the event is in the log, not before", "[events]") {
  event_fixture net;
  net.stop_log();
  const auto lease = net.emit("order.placed");
  CHECK_FALSE(net.is_told(lease));
  CHECK(net.broadcasts.empty());
  CHECK(net.core().appending() == 1);
  net.start_log();
  CHECK(net.told(lease).payload == json{{"durable", true}, {"stream", "events"}, {"sequence", 1}});
  REQUIRE(net.broadcasts.size() == 1);
  CHECK(net.broadcasts[0].sequence == 1);
  CHECK(net.broadcasts[0].about.at("stream") == "events");
  CHECK(net.core().appending() == 0);
}

TEST_CASE("events: what the log cannot write is an error to the emitter, and nobody else hears of it", "[events]") {
  event_fixture net;
  net.join("billing", {handles("order.*")});
  net.fail_log({status::resource_exhausted, "the disk is full"});
  const auto lease = net.emit("order.placed");
  CHECK(net.told(lease).code == status::resource_exhausted);
  CHECK(net.broadcasts.empty());
  CHECK(net.deliveries.empty());
  net.mend_log();
  CHECK(net.told(net.emit("order.placed")).payload.at("sequence") == 1);
  CHECK(net.deliveries.size() == 1);
}

TEST_CASE("events: topics go to the stream whose pattern says most of them; ephemeral ones go to none", "[events]") {
  auto settings = event_fixture::durable();
  settings.topics.streams = {{"events", {"*"}}, {"orders", {"order.*", "payment.done"}}};
  settings.topics.ephemeral = {"order.seen", "metric.*"};
  event_fixture net{settings};
  CHECK(net.told(net.emit("order.placed")).payload.at("stream") == "orders");
  CHECK(net.told(net.emit("payment.done")).payload.at("stream") == "orders");
  CHECK(net.told(net.emit("payment.due")).payload.at("stream") == "events");
  CHECK(net.told(net.emit("order.seen")).payload == json{{"durable", false}});
  CHECK(net.told(net.emit("metric.load")).payload == json{{"durable", false}});
  CHECK(net.broadcasts.size() == 5);
  CHECK(net.broadcasts.back().sequence == 0);
  CHECK(net.broadcasts.back().about.is_null());
}

TEST_CASE("events: the same event id within its window is the same event", "[events]") {
  event_fixture net;
  net.join("billing", {handles("*")}, 8);
  net.emit("order.placed", {{"event_id", "a"}});
  const auto again = net.emit("order.placed", {{"event_id", "a"}});
  CHECK(net.told(again).payload == json{{"durable", true}, {"stream", "events"}, {"sequence", 1}, {"repeated", true}});
  CHECK(net.broadcasts.size() == 1);
  CHECK(net.deliveries.size() == 1);
  net.advance(11min);
  CHECK(net.told(net.emit("order.placed", {{"event_id", "a"}})).payload.at("sequence") == 2);
}

TEST_CASE("events: a broker without a disk gives no receipts, but its groups work", "[events]") {
  event_fixture net{event_settings{}};
  CHECK(net.told(net.emit("order.placed")).code == status::failed_precondition);
  net.join("billing", {handles("order.*")});
  net.core().emit(net.now, 0, "order.placed", "\x01", {});
  net.advance(0ms);
  net.ask("waggle.streams");
  REQUIRE(net.deliveries.size() == 1);
  CHECK(net.told(net.later("order.pay")).code == status::failed_precondition);
}

TEST_CASE("events: what is no topic, no event id or no key is refused", "[events]") {
  event_fixture net;
  CHECK(net.told(net.emit("waggle.x")).code == status::permission_denied);
  CHECK(net.told(net.emit("order.*")).code == status::invalid_argument);
  CHECK(net.told(net.emit("a", {{"event_id", std::string(129, 'x')}})).code == status::invalid_argument);
  CHECK(net.told(net.emit("a", {{"key", std::string(513, 'x')}})).code == status::invalid_argument);
}

TEST_CASE("events: the log's queue and a full stream refuse more, and name what is full", "[events]") {
  auto settings = event_fixture::durable();
  settings.appending_max = 2;
  settings.topics.streams[0].keep_bytes = 100;
  settings.topics.streams[0].full_bytes = 200;
  event_fixture net{settings};
  net.join("billing", {handles("*")});
  net.stop_log();
  net.emit("a");
  net.emit("a");
  const auto refused = net.told(net.emit("a"));
  CHECK(refused.code == status::resource_exhausted);
  CHECK(refused.payload.at("message").get<std::string>().find("appending_max") != std::string::npos);
  net.start_log();
  status code = status::ok;
  for (int i = 0; i < 200 && code == status::ok; ++i) {
    const auto told = net.told(net.emit("a"));
    code = told.code;
    if (code == status::ok) continue;
    CHECK(told.payload.at("message").get<std::string>().find("billing") != std::string::npos);
  }
  CHECK(code == status::resource_exhausted);
  SECTION("what the group has handled makes room") {
    for (int i = 0; i < 150 && !net.deliveries.empty(); ++i) net.acknowledge(net.take());
    net.advance(11s);
    CHECK(net.told(net.emit("a")).code == status::ok);
  }
}

TEST_CASE("events: a broadcast says which event of a subscriber's prefix was before it", "[events]") {
  event_fixture net;
  net.core().subscribed("order.");
  net.core().subscribed("order.placed");
  net.emit("order.placed");   // 1
  net.emit("payment.done");   // 2
  net.emit("order.shipped");  // 3
  net.emit("order.placed");   // 4
  CHECK(net.broadcasts[0].about.at("after") == json{6, 0, 12, 0});
  CHECK(net.broadcasts[1].about.at("after") == json::array());
  CHECK(net.broadcasts[2].about.at("after") == json{6, 1});
  CHECK(net.broadcasts[3].about.at("after") == json{6, 3, 12, 1});
}

TEST_CASE("events: a prefix that is subscribed to later is never said to have had less than it had", "[events]") {
  event_fixture net;
  net.emit("order.placed");
  net.emit("payment.done");
  net.core().subscribed("order.");
  net.emit("order.placed");
  CHECK(net.broadcasts.back().about.at("after") == json{6, 2});
}

TEST_CASE("events: how far the streams are is told every pulse, once somebody wants to know", "[events]") {
  event_fixture net;
  net.emit("a");
  net.advance(5s);
  CHECK(net.broadcasts.size() == 1);
  net.core().subscribed("waggle.head.");
  net.advance(1s);
  REQUIRE(net.broadcasts.size() == 2);
  CHECK(net.broadcasts[1].topic == "waggle.head.events");
  CHECK(net.broadcasts[1].sequence == 1);
  CHECK(net.broadcasts[1].about.at("stream") == "events");
}

TEST_CASE("events: sequences go on after a crash, and what was not in the log is not there", "[events]") {
  event_fixture net;
  net.emit("a");
  net.stop_log();
  net.emit("a");
  net.crash();
  net.start_log();
  CHECK(net.told(net.emit("a")).payload.at("sequence") == 2);
}

TEST_CASE("events: the log is read from a sequence, from an age, and the last ones, with prefixes", "[events][questions]") {
  event_fixture net;
  for (int i = 0; i < 5; ++i) {
    net.emit("order.placed", {{"event_id", "e" + std::to_string(i)}}, std::string{static_cast<char>(i)});
    net.emit("payment.done");
    net.advance(1min);
  }
  const auto sequences = [&](const json& what) {
    const auto told = net.told_of("waggle.events", what);
    REQUIRE(told.code == status::ok);
    std::vector<int> out;
    for (const auto& each : told.payload.at("events")) out.push_back(each.at(0));
    return out;
  };
  CHECK(sequences({{"stream", "events"}, {"from", 8}}) == std::vector<int>{8, 9, 10});
  CHECK(sequences({{"stream", "events"}, {"from", 0}, {"prefixes", {"order."}}}) == std::vector<int>{1, 3, 5, 7, 9});
  CHECK(sequences({{"stream", "events"}, {"last", 2}, {"prefixes", {"order."}}}) == std::vector<int>{7, 9});
  CHECK(sequences({{"stream", "events"}, {"age_ms", 150'000}}) == std::vector<int>{7, 8, 9, 10});
  const auto page = net.told_of("waggle.events", {{"stream", "events"}, {"from", 1}, {"limit", 2}, {"prefixes", {"order."}}}).payload;
  CHECK(page.at("events").at(0).at(5) == "e0");
  CHECK(page.at("next").get<int>() > 3);
  CHECK(page.at("next").get<int>() <= 5);
  CHECK(page.at("head") == 10);
  CHECK(net.told_of("waggle.events", {{"stream", "events"}, {"from", 11}}).payload.at("next") == 11);
  CHECK(net.told_of("waggle.events", {{"stream", "events"}, {"from", 12}}).code == status::out_of_range);
  CHECK(net.told_of("waggle.events", {{"stream", "nope"}, {"from", 1}}).code == status::not_found);
  CHECK(net.told_of("waggle.events", {{"stream", "events"}}).code == status::invalid_argument);
}

TEST_CASE("events: a subscriber that has missed nothing is told so without a look at the disk", "[events][questions]") {
  event_fixture net;
  net.core().subscribed("order.");
  net.emit("order.placed");
  net.emit("payment.done");
  net.stop_log();
  const auto lease = net.ask("waggle.events", {{"stream", "events"}, {"from", 2}, {"prefixes", {"order."}}});
  REQUIRE(net.is_told(lease));
  CHECK(net.told(lease).payload.at("next") == 3);
}

TEST_CASE("events: what is older than a stream keeps is forgotten, and asking for it says so", "[events]") {
  auto settings = event_fixture::durable();
  settings.topics.streams[0].keep = 1h;
  event_fixture net{settings};
  net.emit("a");
  net.emit("a");
  net.advance(2h);
  net.emit("a");
  net.advance(11s);
  const auto streams = net.told_of("waggle.streams").payload.at("streams");
  CHECK(streams.at(0).at("first") == 3);
  CHECK(streams.at(0).at("head") == 3);
  CHECK(net.told_of("waggle.events", {{"stream", "events"}, {"from", 1}}).code == status::out_of_range);
  CHECK(net.told_of("waggle.events", {{"stream", "events"}, {"from", 0}}).payload.at("events").size() == 1);
}

TEST_CASE("events: nothing is forgotten that a group has not handled", "[events]") {
  auto settings = event_fixture::durable();
  settings.topics.streams[0].keep = 1h;
  event_fixture net{settings};
  net.join("billing", {handles("*")});
  net.emit("a");
  net.emit("a");
  net.leave("billing", {handles("*")});
  net.advance(48h);
  CHECK(net.told_of("waggle.streams").payload.at("streams").at(0).at("first") == 1);
  net.join("billing", {handles("*")});
  REQUIRE(net.deliveries.size() >= 1);
  while (!net.deliveries.empty()) net.acknowledge(net.take());
  net.advance(11s);
  CHECK(net.told_of("waggle.streams").payload.at("streams").at(0).at("first") == 3);
}
