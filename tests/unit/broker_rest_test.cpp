// Workers that are quiet while they have nothing at hand. `advance` lets those pulse that are not silenced, so the quiet ones are.
#include <waggle/detail/caller_core.hpp>

#include "support/broker_fixture.hpp"

using namespace std::literals;
using namespace waggle;
using namespace waggle::broker;
using waggle::wire::frame_type;

namespace {

settings quick_and_slow() {
  settings out;
  out.pulse = 1s;
  out.idle_pulse = 20s;
  out.missed_pulses_max = 3;
  out.hold = 0ms;
  return out;
}

struct quiet_fixture : broker_fixture {
  quiet_fixture() : broker_fixture{quick_and_slow()} {}
  void join_quiet(const std::string& peer, serves what = serves{"a"}) {
    join(peer, what.idles());
    silence(peer);
    forget_inbox(peer);
  }
  std::size_t pulses_to(const std::string& peer) { return inbox(peer, frame_type::pulse).size(); }
};

}  // namespace

TEST_CASE("broker: a worker that says it is quiet while idle is pulsed seldom, and lives through its silence", "[broker]") {
  quiet_fixture net;
  net.join_quiet("quiet");
  net.join("other", serves("b"));
  net.forget_inbox("other");
  net.advance(50s);
  CHECK(net.core().worker_count() == 2);
  CHECK(net.pulses_to("quiet") == 3);  // after a second, and two of those that are seldom
  CHECK(net.pulses_to("other") == 50);
}

TEST_CASE("broker: a quiet worker that stays silent is dead after the missed idle pulses", "[broker]") {
  quiet_fixture net;
  net.join_quiet("quiet");
  net.advance(60s);
  CHECK(net.core().worker_count() == 1);
  net.advance(2s);  // its silence began with the first pulse that was due; and after so long a pause the broker waits for one more
  CHECK(net.core().worker_count() == 0);
  CHECK(net.core().counts().dead_workers == 1);
}

TEST_CASE("broker: a quiet worker that pulses seldom lives on, and still rests", "[broker]") {
  quiet_fixture net;
  net.join_quiet("quiet");
  for (int i = 0; i < 10; ++i) {
    net.advance(20s);
    net.pulse("quiet");
  }
  CHECK(net.core().worker_count() == 1);
  CHECK(net.pulses_to("quiet") <= 11);
}

TEST_CASE("broker: a worker that does not say that it is quiet is dead after the missed pulses, idle or not", "[broker]") {
  quiet_fixture net;
  net.join("worker", serves("a"));
  net.silence("worker");
  net.advance(3s);
  CHECK(net.core().worker_count() == 0);
}

TEST_CASE("broker: a call to a quiet worker that has died ends within the missed pulses of others", "[broker]") {
  quiet_fixture net;
  net.join_quiet("quiet");
  net.advance(30s);
  net.call("client", 1, "a", 60s);
  REQUIRE(net.calls_at("quiet") == 1);
  net.advance(2999ms);
  CHECK(net.replies_to("client") == 0);
  net.advance(1ms);
  CHECK(net.error_of("client", 1).code == status::unavailable);
  CHECK(net.error_of("client", 1).may_have_run);
  CHECK(net.core().worker_count() == 0);
}

TEST_CASE("broker: a safe call to a quiet worker that has died goes to another as soon as with workers that are never quiet", "[broker]") {
  quiet_fixture net;
  net.join_quiet("dead", serves("a").safe());
  net.advance(30s);
  net.call("client", 1, "a", 60s);
  REQUIRE(net.calls_at("dead") == 1);
  net.join_quiet("alive", serves("a").safe());
  net.advance(3s);
  CHECK(net.calls_at("alive") == 1);
  net.answer("alive");
  CHECK(net.status_of("client", 1) == status::ok);
}

TEST_CASE("broker: a quiet worker is pulsed as others are while it has a call, and rests again after it", "[broker]") {
  quiet_fixture net;
  net.join_quiet("quiet");
  net.advance(30s);
  net.forget_inbox("quiet");
  net.call("client", 1, "a", 60s);
  for (int i = 0; i < 10; ++i) {
    net.advance(1s);
    net.pulse("quiet");
  }
  CHECK(net.pulses_to("quiet") == 10);
  net.answer("quiet");
  CHECK(net.status_of("client", 1) == status::ok);
  net.forget_inbox("quiet");
  net.advance(30s);
  CHECK(net.core().worker_count() == 1);
  CHECK(net.pulses_to("quiet") == 2);
}

TEST_CASE("broker: a call that its caller has given up keeps a quiet worker awake until the answer", "[broker]") {
  quiet_fixture net;
  net.join_quiet("quiet");
  net.advance(30s);
  net.call("client", 1, "a", 60s);
  net.cancel("client", 1);
  net.advance(3s);
  CHECK(net.core().worker_count() == 0);
}

TEST_CASE("broker: after it stood still a broker waits for a pulse before it finds resting workers dead", "[broker]") {
  quiet_fixture net;
  net.join_quiet("quiet");
  net.advance(10s);
  net.stall(10min);
  net.tick();
  CHECK(net.core().worker_count() == 1);
  net.pulse("quiet");
  net.advance(5s);
  CHECK(net.core().worker_count() == 1);
}

TEST_CASE("broker: a quiet worker that joins again and says so no more has to be heard as others", "[broker]") {
  quiet_fixture net;
  net.join_quiet("worker");
  net.advance(30s);
  net.join("worker", serves("a"), 2);
  net.silence("worker");
  net.advance(3s);
  CHECK(net.core().worker_count() == 0);
}

TEST_CASE("broker: resting workers count as peers", "[broker]") {
  quiet_fixture net;
  net.join_quiet("quiet");
  net.advance(10s);
  CHECK(net.core().peer_count() == 1);
  net.unreachable("quiet");
  CHECK(net.core().peer_count() == 0);
}

TEST_CASE("broker: an empty message is a pulse, so that who has just connected and has no seat is told so at once", "[broker]") {
  quiet_fixture net;
  net.send("worker", std::string_view{});
  REQUIRE(net.pulses_to("worker") == 1);
  CHECK(net.inbox("worker", frame_type::pulse).back().seats == 0);
  net.join("worker", serves("a"));
  net.forget_inbox("worker");
  net.send("worker", std::string_view{});
  CHECK(net.pulses_to("worker") == 0);
}

TEST_CASE("broker: a worker whose connection may have ended gets a pulse at once, and nobody else does", "[broker]") {
  quiet_fixture net;
  net.join_quiet("quiet");
  net.call("client", 1, "a", 60s);
  net.advance(1ms);
  net.forget_inbox("quiet");
  net.connection_ended("quiet");
  net.connection_ended("client");
  CHECK(net.pulses_to("quiet") == 1);
  CHECK(net.inbox("quiet", frame_type::pulse).back().seats == 1);
  CHECK(net.pulses_to("client") == 0);
}

TEST_CASE("broker: the welcome says how seldom idle workers may pulse, unless that is as often as ever", "[broker]") {
  for (const auto idle : {20'000ms, 1000ms, 0ms}) {
    auto with = quick_and_slow();
    with.idle_pulse = idle;
    broker_fixture net{with};
    net.hello("peer", 1, 1);
    const auto payload = net.reply_to("peer", 1).payload;
    CHECK((std::string_view{payload}.find("idle_pulse_ms") != std::string_view::npos) == (idle > with.pulse));
    CHECK(detail::read_welcome(payload).idle_pulse == std::max(idle, with.pulse));
    net.join("quiet", serves("a").idles());
    net.silence("quiet");
    net.advance(3s);
    CHECK(net.core().worker_count() == (idle > with.pulse ? 1 : 0));
  }
}

TEST_CASE("broker: events end a rest as calls do", "[broker][events]") {
  event_settings on_disk;
  on_disk.durable = true;
  broker_fixture net{quick_and_slow(), on_disk};
  net.join("mailer", serves::service("mailer").handles("order.*").idles());
  net.silence("mailer");
  net.advance(20s);
  net.emit("shop", 1, "order.placed");
  REQUIRE(net.events_at("mailer").size() == 1);
  net.advance(3s);
  CHECK(net.core().worker_count() == 0);
}

TEST_CASE("broker: a worker that rests leaves, and is let go, as others are", "[broker]") {
  broker_fixture net{quick_and_slow()};
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
  net.advance(50s);
  CHECK(net.core().worker_count() == 1);
}
