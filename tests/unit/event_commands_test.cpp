// Durable commands in the events' core: accepted, run by the rules of events, and their outcome kept.
#include "support/event_fixture.hpp"

using namespace std::literals;
using namespace waggle;
using namespace waggle::broker;

namespace {

std::string operation_of(event_fixture& net, std::uint64_t lease) { return net.told(lease).payload.at("operation"); }

}  // namespace

TEST_CASE("durable commands: the receipt names an operation, the command runs, and its result can be fetched", "[events][commands]") {
  event_fixture net;
  net.serve("order.pay");
  const auto operation = operation_of(net, net.later("order.pay", {{"traceparent", "t"}, {"later", "5000"}}, "\x07"));
  CHECK(operation.size() == 32);
  REQUIRE(net.deliveries.size() == 1);
  CHECK(net.told_of("waggle.outcome", {{"operation", operation}}).payload.at("state") == "running");
  const auto got = net.take();
  CHECK(got.command == "order.pay");
  CHECK(got.payload == "\x07");
  CHECK(got.budget == 5s);
  CHECK(got.headers == header_map{{"operation", operation}, {"traceparent", "t"}});
  net.acknowledge(got, "\x2a");
  const auto outcome = net.told_of("waggle.outcome", {{"operation", operation}}).payload;
  CHECK(outcome.at("state") == "succeeded");
  CHECK(outcome.at("result") == 42);
  CHECK(outcome.at("command") == "order.pay");
}

TEST_CASE("durable commands: an outcome is kept for 24 hours, also over a crash", "[events][commands]") {
  event_fixture net;
  net.serve("a");
  const auto operation = operation_of(net, net.later("a"));
  net.acknowledge(net.take(), "\x2a");
  net.advance(23h);
  net.crash();
  CHECK(net.told_of("waggle.outcome", {{"operation", operation}}).payload.at("result") == 42);
  net.advance(2h);
  CHECK(net.told_of("waggle.outcome", {{"operation", operation}}).code == status::not_found);
}

TEST_CASE("durable commands: one that nobody serves waits until somebody does", "[events][commands]") {
  event_fixture net;
  const auto operation = operation_of(net, net.later("a"));
  CHECK(net.deliveries.empty());
  CHECK(net.told_of("waggle.outcome", {{"operation", operation}}).payload.at("state") == "waiting");
  net.advance(5h);
  net.serve("a");
  CHECK(net.deliveries.size() == 1);
}

TEST_CASE("durable commands: an error that the caller must mend ends it at once; others are tried again", "[events][commands]") {
  event_fixture net;
  net.serve("a", true, 4);
  const auto bad = operation_of(net, net.later("a"));
  net.fail(net.take(), status::invalid_argument);
  const auto outcome = net.told_of("waggle.outcome", {{"operation", bad}}).payload;
  CHECK(outcome.at("state") == "failed");
  CHECK(outcome.at("status") == "INVALID_ARGUMENT");
  CHECK(outcome.at("error").at("message") == "it does not work");
  const auto flaky = operation_of(net, net.later("a"));
  net.fail(net.take(), status::unavailable);
  const auto waiting = net.told_of("waggle.outcome", {{"operation", flaky}}).payload;
  CHECK(waiting.at("state") == "retrying");
  CHECK(waiting.at("attempts") == 1);
  CHECK(waiting.at("next_attempt_ms") > 0);
  net.advance(1s);
  net.acknowledge(net.take());
  CHECK(net.told_of("waggle.outcome", {{"operation", flaky}}).payload.at("state") == "succeeded");
}

TEST_CASE("durable commands: one that fails eight times is a dead letter, and its outcome says so", "[events][commands]") {
  event_fixture net;
  net.serve("a", true);
  const auto operation = operation_of(net, net.later("a"));
  for (int i = 0; i < 8; ++i) {
    net.fail(net.take());
    net.advance(5min);
  }
  CHECK(net.deliveries.empty());
  CHECK(net.told_of("waggle.outcome", {{"operation", operation}}).payload.at("state") == "failed");
  const auto dead = net.told_of("waggle.dead", {{"group", "waggle.later"}}).payload;
  REQUIRE(dead.at("total") == 1);
  CHECK(dead.at("dead").at(0).at("attempts") == 8);
  net.told_of("waggle.retry_dead", {{"id", dead.at("dead").at(0).at("id")}});
  net.acknowledge(net.take(), "\x01");
  CHECK(net.told_of("waggle.outcome", {{"operation", operation}}).payload.at("state") == "succeeded");
}

TEST_CASE("durable commands: one that may not run twice is not run again when its worker is lost", "[events][commands]") {
  event_fixture net;
  net.serve("a");
  const auto operation = operation_of(net, net.later("a"));
  SECTION("the worker died") {
    net.lose(net.take());
    net.advance(1h);
    CHECK(net.deliveries.empty());
    CHECK(net.told_of("waggle.outcome", {{"operation", operation}}).payload.at("state") == "failed");
    CHECK(net.told_of("waggle.dead").payload.at("total") == 1);
  }
  SECTION("the broker died") {
    net.take();
    net.crash();
    net.serve("a");
    net.advance(1h);
    CHECK(net.deliveries.empty());
    CHECK(net.told_of("waggle.outcome", {{"operation", operation}}).payload.at("state") == "failed");
  }
  SECTION("the worker said that it has not run") {
    net.fail(net.take(), status::unavailable, false);
    net.advance(1s);
    CHECK(net.deliveries.size() == 1);
  }
  SECTION("it never left the broker") {
    net.give_back(net.take());
    net.advance(1s);
    CHECK(net.deliveries.size() == 1);
  }
}

TEST_CASE("durable commands: an idempotency key names one operation for one payload", "[events][commands]") {
  event_fixture net;
  const auto first = net.told(net.later("a", {{"idempotency_key", "k"}})).payload;
  CHECK_FALSE(first.contains("repeated"));
  const auto again = net.told(net.later("a", {{"idempotency_key", "k"}})).payload;
  CHECK(again.at("operation") == first.at("operation"));
  CHECK(again.at("repeated") == true);
  CHECK(again.at("state") == "waiting");
  const auto other = net.told(net.later("a", {{"idempotency_key", "k"}}, "\x02"));
  CHECK(other.code == status::failed_precondition);
  CHECK(other.payload.at("problems").at(0).at("path") == "idempotency_key");
  CHECK(net.told(net.later("b", {{"idempotency_key", "k"}}, "\x02")).code == status::ok);
  net.serve("a");
  CHECK(net.deliveries.size() == 1);
  net.acknowledge(net.take());
  CHECK(net.told(net.later("a", {{"idempotency_key", "k"}})).payload.at("state") == "ended");
}

TEST_CASE("durable commands: who waits for an outcome is told when it is there, or when the wait is over", "[events][commands]") {
  event_fixture net;
  net.serve("a");
  const auto operation = operation_of(net, net.later("a"));
  const auto patient = net.ask("waggle.outcome", {{"operation", operation}, {"wait_ms", 8000}});
  const auto hasty = net.ask("waggle.outcome", {{"operation", operation}, {"wait_ms", 100}});
  CHECK_FALSE(net.is_told(hasty));
  net.advance(100ms);
  CHECK(net.told(hasty).payload.at("state") == "running");
  CHECK_FALSE(net.is_told(patient));
  net.acknowledge(net.take(), "\x01");
  CHECK(net.told(patient).payload.at("state") == "succeeded");
}

TEST_CASE("durable commands: those of one key run one after the other", "[events][commands]") {
  event_fixture net;
  net.serve("a", false, 4);
  net.later("a", {{"key", "k"}}, "\x01");
  net.later("a", {{"key", "k"}}, "\x02");
  REQUIRE(net.deliveries.size() == 1);
  net.acknowledge(net.take());
  CHECK(net.take().payload == "\x02");
}

TEST_CASE("durable commands: their stream is not one of those that hold topics, whatever the topics begin with", "[events]") {
  event_fixture net;
  net.later("report.make");
  CHECK(net.told_of("waggle.streams").payload.at("streams").size() == 2);
  CHECK(net.told_of("waggle.streams", json{{"prefixes", json::array({""})}}).payload.at("streams").size() == 1);
}
