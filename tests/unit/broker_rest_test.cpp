// Workers that have nothing at hand rest: they and the broker let hear from themselves seldom, and nothing is found out later for it.
#include "support/broker_fixture.hpp"

using namespace std::literals;
using namespace waggle;
using namespace waggle::broker;
using waggle::wire::frame_type;

namespace {

settings with_rest() { return {.pulse = 1s, .idle_pulse = 30s, .missed_pulses_max = 3}; }

std::size_t pulses_to(broker_fixture& net, const std::string& peer) { return net.inbox(peer, frame_type::pulse).size(); }

}  // namespace

TEST_CASE("broker: a worker that idles is sent few pulses and may be silent for long, others are not", "[broker][rest]") {
  broker_fixture net{with_rest()};
  net.join("idle", serves("a").idles());
  net.join("other", serves("a"));
  net.silence("idle");
  net.advance(89s);
  CHECK(pulses_to(net, "idle") == 3);    // after 1, 31 and 61 s
  CHECK(pulses_to(net, "other") == 89);
  CHECK(net.core().worker_count() == 2);
  net.silence("other");
  net.advance(2s);
  CHECK(net.core().worker_count() == 1);  // the one that rests, after 91 s
  net.advance(1s);
  CHECK(net.core().worker_count() == 0);
}

TEST_CASE("broker: a broker that knows no rest treats all alike", "[broker][rest]") {
  broker_fixture net;
  net.join("idle", serves("a").idles());
  net.silence("idle");
  net.advance(3s);
  CHECK(net.core().worker_count() == 0);
}

TEST_CASE("broker: the rest of a worker that gets a call is over, and it has as long as others to be heard", "[broker][rest]") {
  broker_fixture net{with_rest()};
  net.join("worker", serves("a").idles());
  net.silence("worker");
  net.advance(20s);
  net.call("client", 1, "a", 60s);
  const auto before = pulses_to(net, "worker");
  net.advance(2900ms);
  CHECK(pulses_to(net, "worker") == before + 2);
  CHECK(net.replies_to("client") == 0);
  net.advance(100ms);
  const auto why = net.error_of("client", 1);
  CHECK((why.code == status::unavailable && why.may_have_run));
  CHECK(net.core().worker_count() == 0);
}

TEST_CASE("broker: a worker with calls at hand does not rest, nor one whose caller waits no longer", "[broker][rest]") {
  broker_fixture net{with_rest()};
  net.join("worker", serves("a").idles());
  net.call("client", 1, "a", 60s);
  net.advance(10s);
  CHECK(pulses_to(net, "worker") == 10);
  net.cancel("client", 1);
  net.advance(10s);
  CHECK(pulses_to(net, "worker") == 20);
  net.answer("worker");
  net.advance(10s);
  CHECK(pulses_to(net, "worker") == 21);
  net.call("client", 2, "a", 60s);
  net.silence("worker");
  net.advance(3s);
  CHECK(net.core().worker_count() == 0);
}

TEST_CASE("broker: a worker that rests and is heard now and then lives on", "[broker][rest]") {
  broker_fixture net{with_rest()};
  net.join("worker", serves("a").idles());
  net.silence("worker");
  for (int i = 0; i < 10; ++i) {
    net.advance(80s);
    net.pulse("worker");
  }
  CHECK(net.core().worker_count() == 1);
  net.call("client", 1, "a", 60s);
  net.answer("worker");
  CHECK(net.status_of("client", 1) == status::ok);
}

TEST_CASE("broker: events end a rest as calls do", "[broker][rest][events]") {
  event_settings on_disk;
  on_disk.durable = true;
  broker_fixture net{with_rest(), on_disk};
  net.join("mailer", serves::service("mailer").handles("order.*").idles());
  net.silence("mailer");
  net.advance(20s);
  net.emit("shop", 1, "order.placed");
  REQUIRE(net.events_at("mailer").size() == 1);
  net.advance(3s);
  CHECK(net.core().worker_count() == 0);
}

TEST_CASE("broker: who joins again and idles no more rests no more", "[broker][rest]") {
  broker_fixture net{with_rest()};
  net.join("worker", serves("a").idles(), 1);
  net.advance(10s);
  const auto before = pulses_to(net, "worker");
  net.join("worker", serves("a"), 2);
  net.silence("worker");
  net.advance(2s);
  CHECK(pulses_to(net, "worker") == before + 2);
  net.advance(1s);
  CHECK(net.core().worker_count() == 0);
}

TEST_CASE("broker: a worker that rests leaves, and is let go, as others are", "[broker][rest]") {
  broker_fixture net{with_rest()};
  net.join("one", serves("a").idles());
  net.join("two", serves("a").idles());
  net.join("three", serves("a").idles());
  net.advance(10s);
  net.leave("one", 7);
  CHECK(net.status_of("one", 7) == status::ok);
  net.unreachable("two");
  net.call("client", 1, "a", 60s);
  CHECK(net.calls_at("three") == 1);
  net.answer("three");
  net.advance(100s);
  CHECK(net.core().worker_count() == 1);
}

TEST_CASE("broker: nobody who rests is taken for dead because the broker stood still", "[broker][rest]") {
  broker_fixture net{with_rest()};
  net.join("worker", serves("a").idles());
  net.silence("worker");
  net.advance(10s);
  net.stall(200s);
  net.tick();
  CHECK(net.core().worker_count() == 1);  // its pulses may lie unread
  net.advance(999ms);
  CHECK(net.core().worker_count() == 1);
  net.advance(1ms);
  CHECK(net.core().worker_count() == 0);
}

TEST_CASE("broker: whose connection has ended is sent a pulse at once if it is a worker", "[broker][rest]") {
  broker_fixture net{with_rest()};
  net.join("worker", serves("a").idles());
  net.call("client", 1, "a", 60s);
  net.connection_ended("worker");
  net.connection_ended("client");
  net.connection_ended("nobody");
  CHECK(pulses_to(net, "worker") == 1);
  CHECK(net.inbox("client").empty());
}

TEST_CASE("broker: an empty message is answered as a pulse is", "[broker][rest]") {
  broker_fixture net{with_rest()};
  net.send("stranger", std::string{});
  REQUIRE(pulses_to(net, "stranger") == 1);
  CHECK(net.inbox("stranger").front().seats == 0);
  CHECK(net.core().counts().frames == 0);
  CHECK(net.core().counts().broken_bundles == 0);
  net.join("worker", serves("a").idles());
  net.send("worker", std::string{});
  CHECK(pulses_to(net, "worker") == 0);
}

TEST_CASE("broker: the welcome says how seldom workers may pulse that rest", "[broker][rest]") {
  broker_fixture net{with_rest()}, without;
  net.hello("client", 1, 1);
  without.hello("client", 1, 1);
  CHECK(json_of(net.reply_to("client", 1).payload)["idle_pulse_ms"] == 30'000);
  CHECK_FALSE(json_of(without.reply_to("client", 1).payload).contains("idle_pulse_ms"));
}
