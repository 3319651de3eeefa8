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

TEST_CASE("broker: just after its start a call of an unknown command waits for its worker to join again", "[broker]") {
  broker_fixture net{{.grace = 4s}};
  net.call("client", 1, "a.b", 5s);
  CHECK(net.replies_to("client") == 0);
  net.advance(3s);
  net.join("worker", serves("a.b"));
  CHECK(net.calls_at("worker") == 1);
  net.answer("worker");
  CHECK(net.status_of("client", 1) == status::ok);
}

TEST_CASE("broker: a call of an unknown command ends as unimplemented once the grace is over", "[broker]") {
  broker_fixture net{{.grace = 4s}};
  net.call("client", 1, "a.b", 5s);
  net.call("client", 2, "a.b", 5s, "\x01", "\x81\xa3key\xa1k");
  net.advance(3999ms);
  CHECK(net.replies_to("client") == 0);
  net.advance(1ms);
  for (const std::uint64_t id : {1, 2}) {
    CHECK(net.status_of("client", id) == status::unimplemented);
    CHECK_FALSE(net.error_of("client", id).may_have_run);
  }
  net.call("client", 3, "a.b", 5s);
  CHECK(net.status_of("client", 3) == status::unimplemented);
  CHECK(net.core().kept_bytes() == 0);
  CHECK(net.core().open_keys() == 0);
}

TEST_CASE("broker: in its grace it waits for no more than 1024 commands that it does not know", "[broker]") {
  broker_fixture net{{.grace = 4s}};
  for (std::uint64_t id = 1; id <= 1024; ++id) net.call("client", id, "made.up." + std::to_string(id), 5s);
  CHECK(net.replies_to("client") == 0);
  net.call("client", 2000, "one.more", 5s);
  CHECK(net.status_of("client", 2000) == status::unavailable);
  net.advance(4s);
  CHECK(net.replies_to("client") == 1025);
}
