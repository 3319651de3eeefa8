// The broker core's bounds and clock: every limit has an answer, and the core asks for the clock exactly when it needs it.
#include "support/broker_fixture.hpp"

using namespace std::literals;
using namespace waggle;
using namespace waggle::broker;
using waggle::wire::frame_type;

namespace {

/// It is told to come back later, that nothing has run, and which limit it met.
void check_overload(const error& why, std::string_view limit) {
  CHECK(why.code == status::resource_exhausted);
  CHECK_FALSE(why.may_have_run);
  CHECK(why.retry_after == 100ms);
  INFO(why.message);
  CHECK(why.message.find(limit) != std::string::npos);
}

}  // namespace

TEST_CASE("broker: a queue holds as many calls as queue_calls_max, each command its own", "[broker]") {
  broker_fixture net{{.queue_calls_max = 2}};
  net.join("worker", serves("a").and_also("b"));
  for (std::uint64_t id = 1; id <= 4; ++id) net.call("client", id, "a", 1s);
  check_overload(net.error_of("client", 4), "queue");
  net.call("client", 5, "b", 1s);
  CHECK(net.replies_to("client", 5) == 0);
  net.answer("worker", 1);
  net.call("client", 6, "a", 1s);
  net.call("client", 7, "b", 1s);
  CHECK(net.replies_to("client", 6) + net.replies_to("client", 7) == 0);
}

TEST_CASE("broker: a queue holds payloads and headers up to queue_bytes_max, and takes more once they have gone", "[broker]") {
  broker_fixture net{{.queue_bytes_max = 1000}};
  net.join("worker", serves("a"));
  net.call("client", 1, "a", 1s, std::string(5000, 'x'));  // leased: not in the queue
  net.call("client", 2, "a", 1s, std::string(900, 'x'), "\x81\xa1k\xa1v");
  CHECK(net.core().kept_bytes() == 905);
  net.call("client", 3, "a", 1s, std::string(95, 'x'));
  CHECK(net.core().kept_bytes() == 1000);
  net.call("client", 4, "a", 1s, "x");
  check_overload(net.error_of("client", 4), "queue");
  net.cancel("client", 2);
  CHECK(net.core().kept_bytes() == 95);
  net.call("client", 5, "a", 1s, std::string(905, 'x'));
  CHECK(net.replies_to("client", 5) == 0);
  net.advance(1s);
  CHECK(net.core().kept_bytes() == 0);
}

TEST_CASE("broker: the queues of all commands together hold kept_bytes_max", "[broker]") {
  broker_fixture net{{.queue_bytes_max = 800, .kept_bytes_max = 1000}};
  net.join("worker", serves("a").and_also("b"));
  net.call("client", 1, "a", 1s);
  net.call("client", 2, "a", 1s, std::string(700, 'x'));
  net.call("client", 3, "b", 1s, std::string(301, 'x'));
  check_overload(net.error_of("client", 3), "queue");
  net.call("client", 4, "b", 1s, std::string(300, 'x'));
  CHECK(net.replies_to("client", 4) == 0);
}

TEST_CASE("broker: one caller has at most caller_calls_max calls open, and others are not touched", "[broker]") {
  broker_fixture net{{.caller_calls_max = 2}};
  net.join("worker", serves("a").slots(9));
  for (std::uint64_t id = 1; id <= 3; ++id) net.call("greedy", id, "a", 1s);
  check_overload(net.error_of("greedy", 3), "caller_calls_max");
  net.call("other", 1, "a", 1s);
  CHECK(net.calls_at("worker") == 3);
  net.answer("worker");
  net.call("greedy", 4, "a", 1s);
  net.answer("worker");
  CHECK(net.status_of("greedy", 4) == status::ok);
}

TEST_CASE("broker: all callers have at most calls_max calls open, those only held by a worker counted", "[broker]") {
  broker_fixture net{{.calls_max = 2}};
  net.join("worker", serves("a").slots(9));
  net.call("one", 1, "a", 1s);
  net.call("two", 1, "a", 1s);
  net.call("three", 1, "a", 1s);
  check_overload(net.error_of("three", 1), "calls_max");
  net.cancel("one", 1);
  net.call("three", 2, "a", 1s);
  CHECK(net.status_of("three", 2) == status::resource_exhausted);
  net.answer("worker", 1);
  net.call("three", 3, "a", 1s);
  CHECK(net.replies_to("three", 3) == 0);
}

TEST_CASE("broker: past peers_max a newcomer is told so and forgotten, and may come when another has gone", "[broker]") {
  broker_fixture net{{.idle_max = 10s, .peers_max = 2}};
  net.call("one", 1, "a", 1s);
  net.call("two", 1, "a", 1s);
  net.call("three", 1, "a", 1s);
  check_overload(net.error_of("three", 0), "peers_max");
  CHECK(net.replies_to("three", 1) == 0);
  CHECK(net.is_forgotten("three"));
  CHECK(net.core().peer_count() == 2);
  net.advance(10s);
  net.call("three", 2, "a", 1s);
  CHECK(net.status_of("three", 2) == status::unimplemented);
}

TEST_CASE("broker: an idle peer is forgotten after idle_max, one that waits for an answer is not", "[broker]") {
  broker_fixture net{{.idle_max = 10s}};
  net.join("worker", serves("a"));
  net.call("waiting", 1, "a", 1min);
  net.call("idle", 1, "b", 1s);
  net.advance(9999ms);
  CHECK_FALSE(net.is_forgotten("idle"));
  net.advance(1ms);
  CHECK(net.is_forgotten("idle"));
  net.advance(40s);
  CHECK_FALSE(net.is_forgotten("waiting"));
  net.answer("worker");
  CHECK(net.status_of("waiting", 1) == status::ok);
  net.advance(10s);
  CHECK(net.is_forgotten("waiting"));
  CHECK(net.core().peer_count() == 1);
}

TEST_CASE("broker: past commands_max a JOIN is refused, unless a command that nobody serves can be forgotten", "[broker]") {
  broker_fixture net{{.hold = 0ms, .commands_max = 3}};
  net.join("one", serves("b").and_also("a"));
  net.join("two", serves("c").and_also("d"), 1);
  CHECK(net.error_of("two", 1).code == status::resource_exhausted);
  net.join("two", serves("c"), 2);
  CHECK(net.status_of("two", 2) == status::ok);

  net.leave("one");
  net.call("client", 1, "a", 1s);
  CHECK(net.status_of("client", 1) == status::unavailable);  // still remembered
  net.join("one", serves("b").and_also("e"), 3);  // room is made by forgetting "a", not "b", which is in the manifest
  CHECK(net.status_of("one", 3) == status::ok);
  net.call("client", 2, "a", 1s);
  CHECK(net.status_of("client", 2) == status::unimplemented);
  net.call("client", 3, "b", 1s);
  net.answer("one");
  CHECK(net.status_of("client", 3) == status::ok);
}

TEST_CASE("broker: what is forgotten first is what nobody has served for longest", "[broker]") {
  broker_fixture net{{.hold = 0ms, .commands_max = 2}};
  for (const auto* command : {"a", "b"}) {
    net.join("worker", serves(command));
    net.leave("worker");
  }
  net.forget_inbox("worker");
  net.join("worker", serves("c"));
  net.call("client", 1, "a", 1s);
  CHECK(net.status_of("client", 1) == status::unimplemented);
  net.call("client", 2, "b", 1s);
  CHECK(net.status_of("client", 2) == status::unavailable);
}

TEST_CASE("broker: a call in hand outlives the forgetting of its command's name", "[broker]") {
  broker_fixture net{{.hold = 0ms, .commands_max = 1}};
  net.join("old", serves("a"));
  net.call("client", 1, "a", 1min);
  net.leave("old", 5);
  net.unreachable("old");
  net.join("worker", serves("b"));
  CHECK(net.error_of("client", 1).code == status::unavailable);
  net.call("client", 2, "b", 1min);
  net.answer("worker");
  CHECK(net.status_of("client", 2) == status::ok);
}

TEST_CASE("broker: at the instant of next_deadline a tick does something, a moment before it does nothing", "[broker]") {
  broker_core core{{.pulse = 1s, .missed_pulses_max = 3, .idle_max = 60s, .hold = 2s}};
  outbox out;
  auto now = instant{} + 1h;
  const auto receive = [&](std::uint32_t peer, auto&& append) {
    std::string bytes;
    append(bytes);
    core.receive(now, peer_id{peer}, bytes, out);
    out.clear();
  };
  const auto happens_at = [&](instant at) {
    REQUIRE((core.next_deadline() - at).count() == 0);
    core.tick(at - 1ns, out);
    CHECK(out.empty());
    CHECK((core.next_deadline() - at).count() == 0);
    core.tick(at, out);
    CHECK_FALSE(out.empty());
    CHECK(core.next_deadline() > at);
    out.clear();
  };
  CHECK(core.next_deadline() == instant::max());

  const auto joined = now;
  receive(0, [](auto& to) { wire::append_join(to, 1, serves("a").bytes()); });
  CHECK(core.next_deadline() == joined + 1s);  // its pulse; the network has changed, but nobody watches
  now = joined + 100ms;
  receive(1, [](auto& to) { wire::append_call(to, 1, "a", {}, 1500, {}); });
  receive(1, [](auto& to) { wire::append_call(to, 2, "a", {}, 300, {}); });
  happens_at(joined + 400ms);   // the queued call's budget
  happens_at(joined + 1s);      // the first pulse
  happens_at(joined + 1600ms);  // the leased call's budget
  happens_at(joined + 2s);
  happens_at(joined + 3s);  // the worker is dead, having said nothing since it joined
  CHECK(core.worker_count() == 0);
  now = joined + 4s;
  receive(1, [](auto& to) { wire::append_call(to, 3, "a", {}, 10'000, {}); });
  happens_at(joined + 5s);  // no other has come for the waiting call
  CHECK(core.open_calls() == 0);
  happens_at(joined + 64s);  // the caller is forgotten
  CHECK(core.next_deadline() == instant::max());
  CHECK(core.peer_count() == 0);
}

TEST_CASE("broker: an answered call leaves no deadline behind", "[broker]") {
  broker_fixture net{{.pulse = 1h, .idle_max = 10h}};
  net.join("worker", serves("a"));
  const auto quiet = net.core().next_deadline();
  net.call("client", 1, "a", 100ms);
  CHECK(net.core().next_deadline() == net.now() + 100ms);
  net.answer("worker");
  CHECK(net.core().next_deadline() == quiet);
  net.call("client", 2, "a", 100ms);
  net.cancel("client", 2);
  CHECK(net.core().next_deadline() == quiet);
}

TEST_CASE("broker: budgets end in the order of their deadlines, whatever the order of the calls", "[broker]") {
  broker_fixture net{{.pulse = 1h, .idle_max = 10h}};
  net.join("worker", serves("a"));
  const int budgets[] = {500, 100, 900, 300, 700, 200, 800, 400, 600, 1000};
  std::uint64_t id = 0;
  for (const auto each : budgets) net.call("client", ++id, "a", milliseconds{each});
  net.cancel("client", 4);
  net.cancel("client", 1);
  net.forget_inbox("client");
  std::vector<std::uint64_t> order;
  net.advance(1s);
  for (const auto& each : net.inbox("client")) order.push_back(each.id);
  CHECK(order == std::vector<std::uint64_t>{2, 6, 8, 9, 5, 7, 3, 10});
}

TEST_CASE("broker: time that runs backwards is taken as standing still", "[broker]") {
  broker_core core{{}};
  outbox out;
  const auto now = instant{} + 1h;
  std::string join, call;
  wire::append_join(join, 1, serves("a").bytes());
  wire::append_call(call, 1, "a", {}, 1000, {});
  core.receive(now, peer_id{0}, join, out);
  core.receive(now - 30min, peer_id{1}, call, out);
  core.tick(now - 29min, out);
  CHECK(core.open_calls() == 1);
  CHECK(core.next_deadline() == now + 1s);
}
