// What the broker still says of services whose workers died, and what it says when it has only just begun.
#include <waggle/network.hpp>

#include "support/broker_fixture.hpp"
#include "support/catch.hpp"

namespace {

using namespace waggle;
using namespace waggle::broker;
using namespace std::chrono_literals;

std::size_t services_listed(broker_fixture& net, std::uint64_t id) {
  net.call("asks", id, "waggle.services", 1s, "\x80");
  return read_payload<network>(net.reply_to("asks", id).payload).value().services.size();
}

}  // namespace

TEST_CASE("broker: a service whose last worker died is listed without instances until its memory fades", "[broker]") {
  broker_fixture net{{.hold = 1s, .remember = 60s}};
  net.join("worker", serves("a.b"));
  net.unreachable("worker");
  net.advance(1s);
  CHECK(services_listed(net, 1) == 1);
  net.call("client", 1, "a.b", 5s);
  CHECK(net.status_of("client", 1) == status::unavailable);
  net.advance(59s);
  CHECK(services_listed(net, 2) == 1);
  net.advance(1s);
  CHECK(services_listed(net, 3) == 0);
}

TEST_CASE("broker: a service whose last worker left is not remembered", "[broker]") {
  broker_fixture net{{.hold = 1s, .remember = 60s}};
  net.join("worker", serves("a.b"));
  net.leave("worker");
  CHECK(services_listed(net, 1) == 1);
  net.advance(1s);
  CHECK(services_listed(net, 2) == 0);
}

TEST_CASE("broker: a remembered service that comes back serves, and is not forgotten while it does", "[broker]") {
  broker_fixture net{{.hold = 1s, .remember = 60s}};
  net.join("worker", serves("a.b"));
  net.unreachable("worker");
  net.advance(30s);
  net.join("again", serves("a.b"));
  net.advance(120s);
  CHECK(services_listed(net, 1) == 1);
  net.call("client", 1, "a.b", 5s);
  CHECK(net.calls_at("again") == 1);
}

TEST_CASE("broker: no more services are remembered than held_pools_max", "[broker]") {
  broker_fixture net{{.hold = 1s, .remember = 60s, .held_pools_max = 2}};
  for (const char* name : {"a.a", "b.b", "c.c"}) {
    net.join(name, serves(name));
    net.unreachable(name);
    net.advance(1s);
  }
  CHECK(services_listed(net, 1) == 2);
}

TEST_CASE("broker: just after its start an unknown command is unavailable, not unimplemented", "[broker]") {
  broker_fixture net{{.grace = 4s}};
  net.call("client", 1, "a.b", 5s);
  const auto early = net.error_of("client", 1);
  CHECK(early.code == status::unavailable);
  CHECK_FALSE(early.may_have_run);
  CHECK(early.retry_after.has_value());
  net.advance(4s);
  net.call("client", 2, "a.b", 5s);
  CHECK(net.status_of("client", 2) == status::unimplemented);
}
