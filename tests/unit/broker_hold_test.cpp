// A service that has lost its last worker is held in the broker core: a restart costs its callers time, not errors.
#include "support/broker_fixture.hpp"

using namespace std::literals;
using namespace waggle;
using namespace waggle::broker;
using waggle::wire::frame_type;

namespace {

struct network {
  std::string revision;
  std::vector<std::string> services;  ///< "name version: instances, of them draining"
};

network read_network(const received& reply) {
  REQUIRE(reply.code == status::ok);
  network out;
  wire::reader in{reply.payload};
  const auto text = [&](std::string& to) {
    std::string_view value;
    const bool read = in.string(value);
    to = value;
    return read;
  };
  const auto each_of = [&](auto&& read) {
    std::uint32_t count = 0;
    if (!in.array(count)) return false;
    while (count-- > 0) {
      if (!read()) return false;
    }
    return true;
  };
  REQUIRE(wire::read_entries(in, [&](std::string_view key) {
    if (key == "revision") return text(out.revision);
    if (key != "services") return in.skip();
    return each_of([&] {
      std::string name, version;
      int instances = 0, draining = 0;
      const bool read = wire::read_entries(in, [&](std::string_view inner) {
        if (inner == "service") return text(name);
        if (inner == "version") return text(version);
        if (inner != "instances") return in.skip();
        return each_of([&] {
          ++instances;
          return wire::read_entries(in, [&](std::string_view what) {
            bool drains = false;
            if (what != "draining") return in.skip();
            const bool whole = in.boolean(drains);
            draining += drains;
            return whole;
          });
        });
      });
      out.services.push_back(name + " " + version + ": " + std::to_string(instances) + ", " + std::to_string(draining));
      return read;
    });
  }));
  CHECK(in.at_end());
  return out;
}

/// The network as it is now.
network services(broker_fixture& net) {
  static std::uint64_t id = 1'000'000;
  net.call("watcher", ++id, "waggle.services", 1s, {});
  return read_network(net.reply_to("watcher", id));
}

std::string watch(std::string_view known) {
  std::string payload;
  wire::writer out{payload};
  out.map(2);
  out.string("known");
  out.string(known);
  out.string("wait_ms");
  out.unsigned_integer(60'000);
  return payload;
}

using names = std::vector<std::string>;

}  // namespace

TEST_CASE("broker: a service whose only worker restarts costs its callers time and no errors", "[broker]") {
  broker_fixture net{{.hold = 2s}};
  const auto a = serves("a").safe().and_also("b");
  net.join("old", a);
  net.call("client", 1, "a", 60s, "in hand");
  SECTION("it dies") { net.unreachable("old"); }
  SECTION("it leaves and finishes what it has") {
    net.leave("old", 8);
    net.call("client", 2, "a", 60s, "while it drains");
    net.answer("old");
    CHECK(net.status_of("old", 8) == status::ok);
  }
  SECTION("it leaves, and dies before it has finished") {
    net.leave("old", 8);
    net.advance(1s);
    net.unreachable("old");
  }
  net.call("client", 3, "b", 60s, "between");
  net.advance(900ms);
  net.call("client", 4, "a", 60s, "late");
  CHECK(net.replies_to("client", 3) + net.replies_to("client", 4) == 0);
  net.join("new", a);
  for (int i = 0; i < 4; ++i) net.answer("new", 1);
  for (const auto& each : net.inbox("client", frame_type::reply)) CHECK(each.code == status::ok);
  CHECK(net.replies_to("client") >= 3);
  CHECK(net.core().open_calls() == 0);
  CHECK(net.core().kept_bytes() == 0);
}

TEST_CASE("broker: when the hold has passed, what waited is UNAVAILABLE and newcomers fail at once", "[broker]") {
  broker_fixture net{{.pulse = 1h, .idle_max = 10h, .hold = 2s}};
  net.join("worker", serves("a").safe());
  net.call("client", 1, "a", 60s);
  net.call("client", 2, "a", 60s);
  net.unreachable("worker");
  const auto gone_at = net.now();
  CHECK(net.core().next_deadline() == gone_at + 2s);
  net.call("client", 3, "a", 60s);
  net.advance(1999ms);
  CHECK(net.replies_to("client") == 0);
  net.advance(1ms);
  for (std::uint64_t id = 1; id <= 3; ++id) {
    const auto why = net.error_of("client", id);
    CHECK(why.code == status::unavailable);
    CHECK(why.may_have_run == (id == 1));
    CHECK(why.retry_after == 100ms);
    CHECK(why.message.find("\"a\"") != std::string::npos);
  }
  CHECK(net.core().open_calls() == 0);
  CHECK(net.core().kept_bytes() == 0);
  net.call("client", 4, "a", 60s);
  CHECK(net.status_of("client", 4) == status::unavailable);
  CHECK_FALSE(net.error_of("client", 4).may_have_run);
  CHECK(net.core().next_deadline() > gone_at + 1h - 1min);
}

TEST_CASE("broker: while a service is held, a budget that passes ends its call before the hold does", "[broker]") {
  broker_fixture net{{.hold = 2s}};
  net.join("worker", serves("a"));
  net.leave("worker");
  net.call("client", 1, "a", 500ms);
  net.advance(500ms);
  CHECK(net.error_of("client", 1).code == status::deadline_exceeded);
  CHECK_FALSE(net.error_of("client", 1).may_have_run);
}

TEST_CASE("broker: a hold of zero fails at once what waits for a worker that has gone", "[broker]") {
  broker_fixture net{{.hold = 0ms}};
  net.join("worker", serves("a").safe());
  net.call("client", 1, "a", 60s);
  net.call("client", 2, "a", 60s);
  SECTION("it dies") {
    net.unreachable("worker");
    CHECK(net.error_of("client", 1).may_have_run);
  }
  SECTION("it leaves") { net.leave("worker"); }
  SECTION("it serves something else") { net.join("worker", serves("b"), 2); }
  CHECK(net.error_of("client", 2).code == status::unavailable);
  CHECK_FALSE(net.error_of("client", 2).may_have_run);
  net.call("client", 3, "a", 60s);
  CHECK(net.status_of("client", 3) == status::unavailable);
}

TEST_CASE("broker: a command that nobody ever served fails at once, whatever is held", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.leave("worker");
  net.call("client", 1, "other", 60s);
  CHECK(net.status_of("client", 1) == status::unimplemented);
}

TEST_CASE("broker: while a service is held its queues have their limits", "[broker]") {
  broker_fixture net{{.queue_calls_max = 2}};
  net.join("worker", serves("a"));
  net.leave("worker");
  for (std::uint64_t id = 1; id <= 3; ++id) net.call("client", id, "a", 60s);
  CHECK(net.replies_to("client") == 1);
  CHECK(net.status_of("client", 3) == status::resource_exhausted);
}

TEST_CASE("broker: a new version takes the calls that waited for the old one, and the old one's end harms nobody", "[broker]") {
  broker_fixture net{{.hold = 2s}};
  net.join("old", serves("a").and_also("b").version("1"));
  net.leave("old");
  net.call("client", 1, "a", 60s);
  net.call("client", 2, "b", 60s);
  net.call("client", 3, "a", 60s);
  net.advance(1s);
  net.join("new", serves("a").version("2"));
  CHECK(net.calls_at("new") == 1);
  net.advance(1s);  // the hold of version 1 is over: only "b" had nobody else
  CHECK(net.status_of("client", 2) == status::unavailable);
  CHECK(services(net).services == names{"a 2: 1, 0"});
  net.answer("new", 1);
  net.answer("new", 1);
  CHECK(net.status_of("client", 1) == status::ok);
  CHECK(net.status_of("client", 3) == status::ok);
}

TEST_CASE("broker: as long as one of two held services may come back, calls wait for it", "[broker]") {
  broker_fixture net{{.hold = 2s}};
  net.join("v1", serves("a").version("1"));
  net.join("v2", serves("a").version("2"));
  net.leave("v1");
  net.advance(1s);
  net.leave("v2");
  net.call("client", 1, "a", 60s);
  net.advance(1s);
  CHECK(services(net).services == names{"a 2: 0, 0"});
  CHECK(net.replies_to("client") == 0);
  net.advance(1s);
  CHECK(net.status_of("client", 1) == status::unavailable);
}

TEST_CASE("broker: every loss of the last worker begins a hold of its own", "[broker]") {
  broker_fixture net{{.hold = 2s}};
  net.join("worker", serves("a"));
  for (std::uint64_t id = 1; id <= 3; ++id) {
    net.leave("worker");
    net.forget_inbox("worker");
    net.advance(1500ms);
    net.join("worker", serves("a"));
    CHECK(net.status_of("worker", 1) == status::ok);
    net.advance(1s);  // past the end of the hold that was cut short
    CHECK(services(net).services == names{"a 1.0.0: 1, 0"});
    net.call("client", id, "a", 60s);
    net.reply("worker", net.leases_at("worker").back());
    CHECK(net.status_of("client", id) == status::ok);
  }
  net.unreachable("worker");
  net.call("client", 9, "a", 60s);
  net.advance(1999ms);
  CHECK(net.replies_to("client", 9) == 0);
  net.advance(1ms);
  CHECK(net.status_of("client", 9) == status::unavailable);
}

TEST_CASE("broker: a draining worker that joins again within the hold serves what has waited", "[broker]") {
  broker_fixture net{{.hold = 2s}};
  net.join("worker", serves("a").slots(2), 1);
  net.call("client", 1, "a", 60s);
  net.leave("worker", 8);
  net.call("client", 2, "a", 60s);
  CHECK(net.calls_at("worker") == 1);
  net.join("worker", serves("a").slots(2), 9);
  CHECK(net.status_of("worker", 8) == status::aborted);
  CHECK(net.calls_at("worker") == 2);
  net.advance(5s);
  net.answer("worker");
  CHECK(net.status_of("client", 1) == status::ok);
  CHECK(net.status_of("client", 2) == status::ok);
}

TEST_CASE("broker: a worker that joins again with other commands leaves the old ones held", "[broker]") {
  broker_fixture net{{.hold = 2s}};
  net.join("worker", serves("a"), 1);
  net.call("client", 1, "a", 60s);
  net.call("client", 2, "a", 60s);
  net.join("worker", serves("b"), 2);
  CHECK(services(net).services == names{"a 1.0.0: 0, 0", "b 1.0.0: 1, 0"});
  net.advance(1s);
  CHECK(net.replies_to("client") == 0);
  net.join("other", serves("a"));
  CHECK(net.calls_at("other") == 1);
  net.answer("other");
  CHECK(net.status_of("client", 2) == status::ok);
  net.answer("worker");
  CHECK(net.status_of("client", 1) == status::ok);
}

TEST_CASE("broker: the commands of a held service count for commands_max until the hold has passed", "[broker]") {
  broker_fixture net{{.hold = 2s, .commands_max = 1}};
  net.join("one", serves("a"));
  net.leave("one");
  net.call("client", 1, "a", 60s);
  net.join("two", serves("b"), 1);
  CHECK(net.status_of("two", 1) == status::resource_exhausted);
  CHECK(net.replies_to("client") == 0);
  net.join("one", serves("a"), 3);  // what is held may come back
  CHECK(net.status_of("one", 3) == status::ok);
  CHECK(net.calls_at("one") == 1);
  net.answer("one");
  net.leave("one", 4);
  net.advance(2s);
  net.join("two", serves("b"), 2);
  CHECK(net.status_of("two", 2) == status::ok);
}

// Regression: all of them were let go, not the oldest.
TEST_CASE("broker: past held_pools_max the service that was held longest is held no longer", "[broker]") {
  broker_fixture net{{.hold = 2s, .held_pools_max = 2}};
  std::uint64_t id = 0;
  for (const auto* each : {"a", "b", "c"}) net.join(each, serves(each));
  for (const auto* each : {"a", "b"}) {
    net.leave(each);
    net.call("client", ++id, each, 60s);
    net.advance(100ms);
  }
  CHECK(net.replies_to("client") == 0);
  net.leave("c");
  net.call("client", ++id, "c", 60s);
  CHECK(net.status_of("client", 1) == status::unavailable);
  CHECK(net.replies_to("client") == 1);
  CHECK(services(net).services == names{"b 1.0.0: 0, 0", "c 1.0.0: 0, 0"});
  net.advance(1900ms);
  CHECK(net.status_of("client", 2) == status::unavailable);
  CHECK(net.replies_to("client") == 2);
  net.advance(100ms);
  CHECK(net.status_of("client", 3) == status::unavailable);
}

TEST_CASE("broker: a held_pools_max of zero holds nothing", "[broker]") {
  broker_fixture net{{.hold = 2s, .held_pools_max = 0}};
  net.join("worker", serves("a"));
  net.leave("worker");
  net.call("client", 1, "a", 60s);
  CHECK(net.status_of("client", 1) == status::unavailable);
  CHECK(services(net).services.empty());
}

TEST_CASE("broker: waggle.services lists a held service without instances, or with only draining ones, until the hold has passed",
          "[broker]") {
  broker_fixture net{{.pulse = 1h, .idle_max = 10h, .hold = 2s}};
  net.join("w1", serves("a").slots(2).version("1"));
  net.join("w2", serves("b"));
  net.call("client", 1, "a", 60s);
  net.leave("w1", 8);
  net.leave("w2", 8);
  CHECK(services(net).services == names{"a 1: 1, 1", "b 1.0.0: 0, 0"});
  net.advance(2s);
  CHECK(services(net).services == names{"a 1: 1, 1"});  // it is no longer held, but one is still at work
  net.call("client", 2, "a", 60s);
  CHECK(net.status_of("client", 2) == status::unavailable);
  net.answer("w1");
  CHECK(net.status_of("w1", 8) == status::ok);
  CHECK(services(net).services.empty());
}

TEST_CASE("broker: a watcher is told when a service loses its last worker, when its hold ends and when it returns", "[broker]") {
  broker_fixture net{{.pulse = 1h, .idle_max = 10h, .hold = 2s, .settle = 20ms}};
  std::uint64_t id = 0;
  auto known = services(net).revision;
  const auto told = [&] {
    const auto got = read_network(net.reply_to("client", id));
    CHECK(got.revision != known);
    known = got.revision;
    return got.services;
  };
  const auto ask = [&] { net.call("client", ++id, "waggle.services", 60s, watch(known)); };
  net.join("worker", serves("a"));
  known = services(net).revision;
  ask();
  net.leave("worker");
  net.advance(20ms);
  CHECK(told() == names{"a 1.0.0: 0, 0"});
  ask();
  net.advance(1979ms);
  CHECK(net.replies_to("client", id) == 0);
  net.advance(21ms);
  CHECK(told().empty());
  ask();
  net.join("worker", serves("a"), 2);
  net.advance(20ms);
  CHECK(told() == names{"a 1.0.0: 1, 0"});
}

TEST_CASE("broker: a hold that nobody waits for ends by the clock, and leaves nothing behind", "[broker]") {
  broker_fixture net{{.pulse = 1h, .idle_max = 10h, .hold = 2s, .commands_max = 1}};
  for (int i = 0; i < 50; ++i) {
    const auto name = "command" + std::to_string(i);
    net.join("worker", serves(name), 1);
    CHECK(net.status_of("worker", 1) == status::ok);
    net.leave("worker");
    CHECK(net.core().next_deadline() == net.now() + 2s);
    net.advance(2s);
    CHECK(net.core().next_deadline() > net.now() + 2s);
    CHECK(services(net).services.empty());
    net.forget_inbox("worker");
  }
}

TEST_CASE("broker: a worker that came while the broker itself stood still does not come too late for what was held", "[broker]") {
  broker_fixture net{{.hold = 2s}};
  net.join("worker", serves("a").safe());
  net.call("client", 1, "a", 60s);
  net.unreachable("worker");
  net.stall(10s);
  net.join("new", serves("a").safe());  // is read before the clock
  CHECK(net.calls_at("new") == 1);
  net.answer("new");
  CHECK(net.status_of("client", 1) == status::ok);
  net.advance(1ms);
  CHECK(services(net).services == names{"a 1.0.0: 1, 0"});
}
