// What people ask of the broker core, and what they make it do; and the credit of streams.
#include "support/broker_fixture.hpp"

#include <waggle/wire/json.hpp>

#include "broker/core/statistics.hpp"

using namespace std::literals;
using namespace waggle;
using namespace waggle::broker;
using waggle::wire::frame_type;

namespace {

nlohmann::json ask(broker_fixture& net, std::string_view operation, std::string_view question = "null") {
  static std::uint64_t id = 1'000'000;
  net.call("operator", ++id, operation, 5s, wire::json_to_msgpack(question).value());
  const auto reply = net.reply_to("operator", id);
  if (reply.code != status::ok) return std::string{name(reply.code)};
  return nlohmann::json::from_msgpack(reply.payload);
}

}  // namespace

TEST_CASE("operations: workers are listed with what they have at hand", "[broker][operations]") {
  broker_fixture net;
  net.join("w1", serves("shop.buy").slots(2).instance("shop-b"));
  net.join("w2", serves("shop.buy").slots(1).instance("shop-a"));
  net.call("client", 1, "shop.buy", 60s);
  net.advance(250ms);
  const auto all = ask(net, "waggle.workers");
  CHECK(all["total"] == 2);
  CHECK(all["workers"][0]["instance"] == "shop-a");
  CHECK(all["workers"][1] == nlohmann::json::parse(R"({"instance":"shop-b","service":"shop","version":"1.0.0","slots":2,
    "in_flight":1,"draining":false,"keys":0,"heard_ms":250})"));
  CHECK(ask(net, "waggle.workers", R"({"prefix":"shop-b"})")["workers"].size() == 1);
  const auto one = ask(net, "waggle.workers", R"({"limit":1})");
  CHECK(one["workers"].size() == 1);
  CHECK(one["total"] == 2);
}

TEST_CASE("operations: queues show what waits, how long, and what runs", "[broker][operations]") {
  broker_fixture net;
  net.join("worker", serves("a").slots(1).and_also("b").group("g"));
  net.call("client", 1, "a", 60s);
  net.call("client", 2, "a", 60s, "12345");
  net.advance(2s);
  net.keyed("client", 3, "a", "k");
  const auto all = ask(net, "waggle.queues");
  CHECK(all["total"] == 2);
  const auto& a = all["queues"][0];
  CHECK(a["command"] == "a");
  CHECK(a["queued"] == 2);
  CHECK(a["keyed"] == 1);
  CHECK(a["oldest_ms"] == 2000);
  CHECK(a["running"] == 1);
  CHECK(a["workers"] == 1);
  CHECK(a["paused"] == false);
  CHECK(all["queues"][1]["group"] == "g");
}

TEST_CASE("operations: calls are listed with age, worker and key, oldest first", "[broker][operations]") {
  broker_fixture net;
  net.join("worker", serves("a").slots(1).instance("w"));
  net.send("client", "\x93\x00\x01\x81\xa4name\xa4shop"sv);
  net.keyed("client", 2, "a", "k7", 10s);
  net.advance(1s);
  net.call("other", 1, "a", 10s);
  const auto all = ask(net, "waggle.calls");
  CHECK(all["total"] == 2);
  CHECK(all["calls"][0] == nlohmann::json::parse(R"({"command":"a","caller":"shop","state":"running","age_ms":1000,
    "budget_left_ms":9000,"attempts":1,"bytes":0,"worker":"w","key":"k7"})"));
  CHECK(all["calls"][1]["state"] == "queued");
  CHECK_FALSE(all["calls"][1].contains("worker"));
  net.cancel("client", 2);
  const auto orphan = ask(net, "waggle.calls", R"({"command":"a","limit":1})");
  CHECK(orphan["calls"][0]["state"] == "orphaned");
}

TEST_CASE("operations: statistics count calls and errors by status, and say how long they queued and ran", "[broker][operations]") {
  broker_fixture net;
  net.join("worker", serves("a").slots(1));
  net.call("client", 1, "a", 60s);
  net.call("client", 2, "a", 60s);
  net.advance(100ms);
  net.reply("worker", net.leases_at("worker")[0]);
  net.advance(100ms);
  net.reply("worker", net.leases_at("worker")[1], status::not_found);
  net.call("client", 3, "a", 60s);
  net.cancel("client", 3);
  const auto all = ask(net, "waggle.stats");
  const auto& a = all["commands"][0];
  CHECK(a["command"] == "a");
  CHECK(a["calls"] == 3);
  CHECK(a["errors"] == nlohmann::json::parse(R"({"NOT_FOUND":1,"CANCELLED":1})"));
  const auto near = [](const nlohmann::json& value, double wanted) { return std::abs(value.get<double>() - wanted) <= wanted * 0.07; };
  CHECK(near(a["run_us"]["p50"], 100'000));
  CHECK(a["queue_us"]["p50"] == 0);
  CHECK(near(a["queue_us"]["p999"], 100'000));
  CHECK(all["counters"]["calls"].get<int>() >= 3);
  CHECK(all["uptime_ms"] == 200);
}

TEST_CASE("operations: a histogram is within seven per cent, and forgets", "[broker][operations]") {
  for (const std::uint64_t value : {0ull, 1ull, 7ull, 8ull, 9ull, 100ull, 12'345ull, 999'999ull, 86'400'000'000ull}) {
    histogram of;
    of.add(std::chrono::microseconds{value});
    const auto said = static_cast<double>(of.microseconds_at(0.5));
    CHECK(std::abs(said - static_cast<double>(value)) <= static_cast<double>(value) * 0.07);
  }
  histogram of;
  for (int i = 0; i < 1000; ++i) of.add(std::chrono::microseconds{1000});
  for (int i = 0; i < 10; ++i) of.add(std::chrono::seconds{1});
  CHECK(of.microseconds_at(0.5) < 1100);
  CHECK(of.microseconds_at(0.999) > 900'000);
  for (int i = 0; i < 300'000; ++i) of.add(std::chrono::microseconds{10});
  CHECK(of.microseconds_at(0.99) == 10);
}

TEST_CASE("operations: a paused command queues its calls, with and without a key, until it is resumed", "[broker][operations]") {
  broker_fixture net;
  net.join("worker", serves("a").slots(4).and_also("b"));
  CHECK(ask(net, "waggle.pause", R"({"command":"a"})")["queued"] == 0);
  net.call("client", 1, "a", 60s);
  net.keyed("client", 2, "a", "k");
  net.call("client", 3, "b", 60s);
  CHECK(net.inbox("worker", frame_type::call).size() == 1);
  CHECK(ask(net, "waggle.queues", R"({"prefix":"a"})")["queues"][0]["paused"] == true);
  net.answer("worker");
  CHECK(net.calls_at("worker") == 1);
  CHECK(ask(net, "waggle.resume", R"({"command":"a"})")["queued"] == 2);
  CHECK(net.calls_at("worker") == 3);
  net.answer("worker");
  CHECK(net.status_of("client", 1) == status::ok);
  CHECK(net.status_of("client", 2) == status::ok);
}

TEST_CASE("operations: what is paused still ends when its budget passes or nobody serves it", "[broker][operations]") {
  broker_fixture net{{.hold = 1s}};
  net.join("worker", serves("a"));
  ask(net, "waggle.pause", R"({"command":"a"})");
  net.call("client", 1, "a", 500ms);
  net.call("client", 2, "a", 60s);
  net.keyed("client", 3, "a", "k");
  net.advance(500ms);
  CHECK(net.status_of("client", 1) == status::deadline_exceeded);
  net.unreachable("worker");
  net.advance(1s);
  CHECK(net.status_of("client", 2) == status::unavailable);
  CHECK(net.status_of("client", 3) == status::unavailable);
}

TEST_CASE("operations: a key that waits for its home is not served while its command is paused", "[broker][operations]") {
  broker_fixture net;
  net.join("worker", serves("a").slots(1));
  net.keyed("client", 1, "a", "k1");
  net.keyed("client", 2, "a", "k2");
  ask(net, "waggle.pause", R"({"command":"a"})");
  net.answer("worker");
  CHECK(net.calls_at("worker") == 1);
  ask(net, "waggle.resume", R"({"command":"a"})");
  CHECK(net.calls_at("worker") == 2);
}

TEST_CASE("operations: a drained worker gets no more calls, is asked to leave, and may come back by joining", "[broker][operations]") {
  broker_fixture net;
  net.join("w1", serves("a").slots(1).instance("one"));
  net.join("w2", serves("a").slots(1).instance("two"));
  net.call("client", 1, "a", 60s);
  net.call("client", 2, "a", 60s);
  const auto said = ask(net, "waggle.drain", R"({"worker":"one"})");
  CHECK(said["drained"] == 1);
  CHECK(said["in_flight"] == 1);
  CHECK(net.inbox("w1", frame_type::leave).size() == 1);
  net.answer("w1");
  net.answer("w2");
  net.call("client", 3, "a", 60s);
  CHECK(net.calls_at("w1") == 1);
  CHECK(net.calls_at("w2") == 2);
  net.forget_inbox("w1");
  net.advance(1s);  // its pulses do not say that it has been forgotten
  CHECK(net.inbox("w1", frame_type::pulse).back().seats == 1);
  net.leave("w1");
  CHECK(net.status_of("w1", 2) == status::ok);
  net.join("w1", serves("a").slots(1).instance("one"), 3);
  net.call("client", 4, "a", 60s);
  CHECK(net.calls_at("w1") == 1);
}

TEST_CASE("operations: what does not exist is not found, and nonsense is refused", "[broker][operations]") {
  broker_fixture net;
  CHECK(ask(net, "waggle.drain", R"({"worker":"nobody"})") == "NOT_FOUND");
  CHECK(ask(net, "waggle.pause", R"({"command":"a"})") == "NOT_FOUND");
  CHECK(ask(net, "waggle.resume", R"({"command":"a"})") == "NOT_FOUND");
  CHECK(ask(net, "waggle.workers", R"({"limit":"many"})") == "INVALID_ARGUMENT");
  CHECK(ask(net, "waggle.queues", R"([1])") == "INVALID_ARGUMENT");
  CHECK(ask(net, "waggle.dance") == "UNIMPLEMENTED");
}

TEST_CASE("credit: it travels with the call, and more of it follows", "[broker][credit]") {
  broker_fixture net;
  net.join("worker", serves("a").credit());
  net.streamed("client", 1, "a", 2);
  CHECK(net.inbox("worker", frame_type::call)[0].parts == 2);
  const auto lease = net.leases_at("worker")[0];
  net.part("worker", lease);
  net.part("worker", lease);
  net.credit("client", 1, 5);
  REQUIRE(net.inbox("worker", frame_type::credit).size() == 1);
  CHECK(net.inbox("worker", frame_type::credit)[0].id == lease);
  CHECK(net.inbox("worker", frame_type::credit)[0].parts == 5);
  for (int i = 0; i < 5; ++i) net.part("worker", lease);
  net.reply("worker", lease);
  CHECK(net.inbox("client", frame_type::part).size() == 7);
  CHECK(net.status_of("client", 1) == status::ok);
}

TEST_CASE("credit: what comes before a worker has the call is added up for it", "[broker][credit]") {
  broker_fixture net;
  net.join("worker", serves("a").credit().slots(1));
  net.call("client", 1, "a", 60s);
  net.streamed("client", 2, "a", 1);
  net.credit("client", 2, 3);
  net.credit("client", 2, ~std::uint64_t{0});
  net.answer("worker");
  CHECK(net.inbox("worker", frame_type::call)[1].parts == wire::no_credit_limit - 1);
  CHECK(net.inbox("worker", frame_type::credit).empty());
}

TEST_CASE("credit: a worker that promised to heed it and does not loses the call", "[broker][credit]") {
  broker_fixture net;
  net.join("worker", serves("a").credit());
  net.streamed("client", 1, "a", 1);
  const auto lease = net.leases_at("worker")[0];
  net.part("worker", lease);
  net.part("worker", lease);
  CHECK(net.error_of("client", 1).code == status::internal);
  CHECK(net.error_of("client", 1).may_have_run);
  CHECK(net.cancels_at("worker") == std::vector{lease});
  CHECK(net.core().counts().overrun_parts == 1);
}

TEST_CASE("credit: workers that know nothing of it send as many parts as they like", "[broker][credit]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.streamed("client", 1, "a", 1);
  net.credit("client", 1, 1);
  CHECK(net.inbox("worker", frame_type::credit).empty());
  for (int i = 0; i < 5; ++i) net.part("worker", net.leases_at("worker")[0]);
  CHECK(net.inbox("client", frame_type::part).size() == 5);
}
