// Durable commands in the broker core: accepted for later, and called by the broker itself.
#include "support/broker_fixture.hpp"

using namespace std::literals;
using namespace waggle;
using namespace waggle::broker;
using nlohmann::json;

namespace {

event_settings on_disk() {
  event_settings out;
  out.durable = true;
  return out;
}

settings quick() { return {.pulse = 1s, .missed_pulses_max = 3}; }

std::string operation_of(broker_fixture& net, const std::string& caller, std::uint64_t id) {
  return json_of(net.reply_to(caller, id).payload).at("operation");
}

header_map headers_at(broker_fixture& net, const std::string& worker, std::size_t n = 0) {
  const auto all = net.inbox(worker, wire::frame_type::call);
  REQUIRE(all.size() > n);
  return wire::headers_from_msgpack(all[n].headers);
}

}  // namespace

TEST_CASE("later: a command is accepted when it is in the log, and runs when somebody serves it", "[broker][later]") {
  broker_fixture net{quick(), on_disk()};
  net.stop_log();
  net.later("client", 1, "mail.send", {{"tenant", "acme"}}, "7000");
  CHECK(net.replies_to("client") == 0);
  net.start_log();
  const auto operation = operation_of(net, "client", 1);
  CHECK(net.core().open_calls() == 0);
  net.advance(60s);
  net.join("worker", serves("mail.send"));
  net.advance(1s);
  REQUIRE(net.calls_at("worker") == 1);
  CHECK(headers_at(net, "worker") == header_map{{"operation", operation}, {"tenant", "acme"}});
  CHECK(net.inbox("worker", wire::frame_type::call)[0].budget_ms == 7000);
  CHECK(net.ask("client", 2, "waggle.outcome", {{"operation", operation}}).at("state") == "running");
  net.answer("worker");
  const auto outcome = net.ask("client", 3, "waggle.outcome", {{"operation", operation}});
  CHECK(outcome.at("state") == "succeeded");
  CHECK(outcome.at("result") == 3);
  CHECK(net.replies_to("client", 1) == 1);
}

TEST_CASE("later: what asks for no time of its own has a minute for each run", "[broker][later]") {
  const auto budget = GENERATE("", "soon", "0");
  broker_fixture net{quick(), on_disk()};
  net.join("worker", serves("a"));
  net.later("client", 1, "a", {}, budget);
  REQUIRE(net.calls_at("worker") == 1);
  CHECK(net.inbox("worker", wire::frame_type::call)[0].budget_ms == 60'000);
}

TEST_CASE("later: the broker's own commands, and calls without the key that they need, are refused at once", "[broker][later]") {
  broker_fixture net{quick(), on_disk()};
  net.join("worker", serves("a").needs_key());
  net.later("client", 1, "waggle.drain");
  CHECK(net.error_of("client", 1).code == status::invalid_argument);
  net.later("client", 2, "a");
  CHECK(net.error_of("client", 2).code == status::invalid_argument);
  net.later("client", 3, "a", {{"key", std::string(513, 'k')}});
  CHECK(net.error_of("client", 3).code == status::invalid_argument);
  net.later("client", 4, "a", {{"key", "k"}});
  CHECK(net.status_of("client", 4) == status::ok);
  CHECK(net.calls_at("worker") == 1);
}

TEST_CASE("later: a broker without a disk takes none", "[broker][later]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.later("client", 1, "a");
  CHECK(net.error_of("client", 1).code == status::failed_precondition);
  CHECK(net.calls_at("worker") == 0);
}

TEST_CASE("later: commands of a key exclude calls of that key", "[broker][later]") {
  broker_fixture net{quick(), on_disk()};
  net.join("worker", serves("a").slots(8));
  net.keyed("client", 1, "a", "k");
  net.later("client", 2, "a", {{"key", "k"}});
  CHECK(net.calls_at("worker") == 1);
  net.answer("worker");
  REQUIRE(net.calls_at("worker") == 2);
  CHECK(headers_at(net, "worker", 1).contains("operation"));
  net.keyed("client", 3, "a", "k");
  CHECK(net.calls_at("worker") == 2);
  net.answer("worker");
  CHECK(net.calls_at("worker") == 3);
  net.answer("worker");
  CHECK(net.status_of("client", 3) == status::ok);
  CHECK(net.core().open_keys() == 0);
  CHECK(net.core().open_calls() == 0);
}

TEST_CASE("later: a command that may run twice goes to another worker at once when its own dies, with the whole budget", "[broker][later]") {
  broker_fixture net{quick(), on_disk()};
  net.join("one", serves("a").idempotent().slots(1));
  net.later("client", 1, "a", {}, "5000");
  REQUIRE(net.calls_at("one") == 1);
  net.join("two", serves("a").idempotent().slots(1));
  net.call("client", 2, "a", 60s);  // has the other's slot
  net.silence("one");
  net.advance(4s);
  net.advance(10s);  // it waits, which costs no budget
  CHECK(net.calls_at("two") == 1);
  net.answer("two");
  REQUIRE(net.calls_at("two") == 2);
  CHECK(net.inbox("two", wire::frame_type::call)[1].budget_ms == 5000);
  net.answer("two");
  CHECK(net.ask("client", 3, "waggle.outcome", {{"operation", operation_of(net, "client", 1)}}).at("state") == "succeeded");
}

TEST_CASE("later: a command that may run once only ends when its worker dies with it", "[broker][later]") {
  broker_fixture net{quick(), on_disk()};
  net.join("one", serves("a"));
  net.later("client", 1, "a");
  net.join("two", serves("a"));
  net.silence("one");
  net.advance(600s);
  CHECK(net.calls_at("two") == 0);
  const auto outcome = net.ask("client", 2, "waggle.outcome", {{"operation", operation_of(net, "client", 1)}});
  CHECK(outcome.at("state") == "failed");
  CHECK(outcome.at("error").at("may_have_run") == true);
}

TEST_CASE("later: parts of a durable command go nowhere, its reply is its result", "[broker][later]") {
  broker_fixture net{quick(), on_disk()};
  net.join("worker", serves("a"));
  net.later("client", 1, "a");
  const auto lease = net.leases_at("worker").at(0);
  net.part("worker", lease);
  net.reply("worker", lease);
  CHECK(net.inbox("client").size() == 1);
  CHECK(net.ask("client", 2, "waggle.outcome", {{"operation", operation_of(net, "client", 1)}}).at("state") == "succeeded");
}

TEST_CASE("later: who waits for an outcome is told, unless it has gone", "[broker][later]") {
  broker_fixture net{quick(), on_disk()};
  net.join("worker", serves("a"));
  net.later("client", 1, "a");
  const auto payload = wire::json_to_msgpack(json{{"operation", operation_of(net, "client", 1)}, {"wait_ms", 30'000}}.dump());
  REQUIRE(payload);
  for (const auto watcher : {"one", "two", "three"}) net.call(watcher, 5, "waggle.outcome", 60s, *payload);
  net.unreachable("two");
  net.cancel("three", 5);
  CHECK(net.replies_to("one") == 0);
  net.answer("worker");
  CHECK(json_of(net.reply_to("one", 5).payload).at("state") == "succeeded");
  CHECK(net.replies_to("two") == 0);
  CHECK(net.status_of("three", 5) == status::cancelled);
  CHECK(net.core().open_calls() == 0);
}
