// Calls with a key in the broker core: one at a time, in order, at the worker that is the key's home.
#include "support/broker_fixture.hpp"

#include <map>

using namespace std::literals;
using namespace waggle;
using namespace waggle::broker;
using waggle::wire::frame_type;

namespace {

/// Where each of `count` keys goes, when each is called once and answered at once.
std::map<std::string, std::string> homes(broker_fixture& net, const std::vector<std::string>& workers, int count) {
  static std::uint64_t id = 1'000'000;
  std::map<std::string, std::string> out;
  for (int i = 0; i < count; ++i) {
    const auto key = "key-" + std::to_string(i);
    std::map<std::string, std::size_t> before;
    for (const auto& each : workers) before[each] = net.calls_at(each);
    net.keyed("client", ++id, "a", key);
    for (const auto& each : workers) {
      if (net.calls_at(each) > before[each]) out[key] = each;
    }
    for (const auto& each : workers) net.answer(each);
  }
  return out;
}

void join_named(broker_fixture& net, const std::string& name, std::uint32_t slots = 4) {
  net.join(name, serves("a").slots(slots).instance(name));
}

}  // namespace

TEST_CASE("keys: calls of one key run one at a time and in order, whoever calls", "[broker][keys]") {
  broker_fixture net;
  net.join("worker", serves("a").slots(8));
  net.keyed("ada", 1, "a", "k");
  net.keyed("bob", 1, "a", "k");
  net.keyed("ada", 2, "a", "k");
  net.keyed("ada", 3, "a", "other");
  CHECK(net.calls_at("worker") == 2);  // one of each key
  net.reply("worker", net.leases_at("worker")[0]);
  CHECK(net.status_of("ada", 1) == status::ok);
  REQUIRE(net.calls_at("worker") == 3);
  net.reply("worker", net.leases_at("worker")[2]);
  CHECK(net.status_of("bob", 1) == status::ok);
  CHECK(net.replies_to("ada", 2) == 0);
  REQUIRE(net.calls_at("worker") == 4);
  net.answer("worker");
  CHECK(net.status_of("ada", 2) == status::ok);
  CHECK(net.core().open_keys() == 0);
  CHECK(net.core().kept_bytes() == 0);
}

TEST_CASE("keys: commands of one group exclude each other, others do not", "[broker][keys]") {
  broker_fixture net;
  net.join("worker", serves("account.pay").group("account").and_also("account.close").group("account").and_also("account.log").slots(8));
  net.keyed("client", 1, "account.pay", "7");
  net.keyed("client", 2, "account.close", "7");
  net.keyed("client", 3, "account.log", "7");
  CHECK(net.calls_at("worker") == 2);
  net.reply("worker", net.leases_at("worker")[0]);
  CHECK(net.inbox("worker", frame_type::call).back().name == "account.close");
}

TEST_CASE("keys: a worker that puts a command into another group than those who serve it is refused", "[broker][keys]") {
  broker_fixture net{{.hold = 1s}};
  net.join("one", serves("a").group("x"));
  net.join("two", serves("a").group("y"));
  CHECK(net.error_of("two", 1).code == status::failed_precondition);
  net.leave("one");
  net.join("three", serves("a").group("y"));
  CHECK(net.status_of("three", 1) == status::failed_precondition);
  net.advance(1s);
  net.join("four", serves("a").group("y"));
  CHECK(net.status_of("four", 1) == status::ok);
}

TEST_CASE("keys: a command that needs a key is not called without one", "[broker][keys]") {
  broker_fixture net;
  net.join("worker", serves("a").needs_key());
  net.call("client", 1, "a", 1s);
  CHECK(net.error_of("client", 1).code == status::invalid_argument);
  CHECK(net.error_of("client", 1).message == "\"a\" needs a key: send it as the header `key`");
  net.keyed("client", 2, "a", "k");
  CHECK(net.calls_at("worker") == 1);
  net.keyed("client", 3, "a", std::string(513, 'k'));
  CHECK(net.status_of("client", 3) == status::invalid_argument);
}

TEST_CASE("keys: they spread evenly over workers, and stay where they are", "[broker][keys]") {
  broker_fixture net;
  const std::vector<std::string> workers{"w0", "w1", "w2", "w3"};
  for (const auto& each : workers) join_named(net, each);
  const auto first = homes(net, workers, 1000);
  REQUIRE(first.size() == 1000);
  for (const auto& each : workers) {
    const auto of = std::count_if(first.begin(), first.end(), [&](const auto& home) { return home.second == each; });
    INFO(each << " has " << of);
    CHECK(of > 190);
    CHECK(of < 310);
  }
  CHECK(homes(net, workers, 1000) == first);
}

TEST_CASE("keys: only those of a worker that goes move, and a newcomer takes only its share", "[broker][keys]") {
  broker_fixture net;
  const std::vector<std::string> workers{"w0", "w1", "w2", "w3"};
  for (const auto& each : workers) join_named(net, each);
  const auto before = homes(net, workers, 500);
  net.leave("w1");
  const auto without = homes(net, workers, 500);
  for (const auto& [key, home] : before) {
    if (home != "w1") CHECK(without.at(key) == home);
    if (home == "w1") CHECK(without.at(key) != "w1");
  }
  net.join("again", serves("a").slots(4).instance("w1"));  // a restart under the same name
  const auto again = homes(net, {"w0", "again", "w2", "w3"}, 500);
  for (const auto& [key, home] : before) CHECK(again.at(key) == (home == "w1" ? "again" : home));
}

TEST_CASE("keys: workers of one name share the keys all the same", "[broker][keys]") {
  broker_fixture net;
  net.join("one", serves("a").slots(4).instance("same"));
  net.join("two", serves("a").slots(4).instance("same"));
  const auto all = homes(net, {"one", "two"}, 200);
  CHECK(std::count_if(all.begin(), all.end(), [](const auto& home) { return home.second == "one"; }) > 60);
  CHECK(std::count_if(all.begin(), all.end(), [](const auto& home) { return home.second == "two"; }) > 60);
}

TEST_CASE("keys: a key waits for its home, not for whoever is free", "[broker][keys]") {
  broker_fixture net;
  join_named(net, "w0", 1);
  join_named(net, "w1", 1);
  const auto all = homes(net, {"w0", "w1"}, 50);
  std::vector<std::string> at_w0;
  for (const auto& [key, home] : all) {
    if (home == "w0") at_w0.push_back(key);
  }
  REQUIRE(at_w0.size() >= 2);
  const auto before = net.calls_at("w1");
  net.keyed("client", 1, "a", at_w0[0]);
  net.keyed("client", 2, "a", at_w0[1]);
  CHECK(net.calls_at("w1") == before);
  net.answer("w0");
  CHECK(net.status_of("client", 1) == status::ok);
  CHECK(net.replies_to("client", 2) == 0);
  net.answer("w0");
  CHECK(net.status_of("client", 2) == status::ok);
}

TEST_CASE("keys: while a key has open calls a newcomer does not take it", "[broker][keys]") {
  broker_fixture net;
  join_named(net, "w0", 64);
  for (int i = 0; i < 40; ++i) {
    net.keyed("client", 2 * i + 1, "a", "key-" + std::to_string(i));
    net.keyed("client", 2 * i + 2, "a", "key-" + std::to_string(i));
  }
  join_named(net, "w1", 64);
  net.answer("w0");
  CHECK(net.calls_at("w0") == 80);
  CHECK(net.calls_at("w1") == 0);
}

TEST_CASE("keys: order and exclusion hold when the worker dies", "[broker][keys]") {
  broker_fixture net;
  net.join("w0", serves("a").safe().slots(4).instance("w0"));
  for (std::uint64_t id = 1; id <= 4; ++id) net.keyed("client", id, "a", "k");
  net.join("w1", serves("a").safe().slots(4).instance("w1"));
  net.unreachable("w0");
  for (std::uint64_t id = 1; id <= 4; ++id) {
    REQUIRE(net.calls_at("w1") == id);  // one at a time
    net.answer("w1");
    CHECK(net.status_of("client", id) == status::ok);
  }
  CHECK(net.core().counts().retries == 1);
}

TEST_CASE("keys: a call that may not run twice ends with its worker, and the next of its key goes on elsewhere", "[broker][keys]") {
  broker_fixture net;
  join_named(net, "w0");
  net.keyed("client", 1, "a", "k");
  net.keyed("client", 2, "a", "k");
  join_named(net, "w1");
  net.unreachable("w0");
  CHECK(net.status_of("client", 1) == status::unavailable);
  CHECK(net.error_of("client", 1).may_have_run);
  CHECK(net.calls_at("w1") == 1);
  net.answer("w1");
  CHECK(net.status_of("client", 2) == status::ok);
}

TEST_CASE("keys: the key of a worker that leaves goes elsewhere only when its call there has ended", "[broker][keys]") {
  broker_fixture net;
  join_named(net, "w0");
  net.keyed("client", 1, "a", "k");
  net.keyed("client", 2, "a", "k");
  join_named(net, "w1");
  net.leave("w0");
  CHECK(net.calls_at("w1") == 0);
  net.answer("w0");
  CHECK(net.status_of("client", 1) == status::ok);
  CHECK(net.calls_at("w1") == 1);
}

TEST_CASE("keys: a key whose call nobody waits for stays taken until the worker has answered", "[broker][keys]") {
  broker_fixture net;
  join_named(net, "w0");
  net.keyed("client", 1, "a", "k", 1s);
  net.keyed("client", 2, "a", "k", 60s);
  net.advance(1s);
  CHECK(net.status_of("client", 1) == status::deadline_exceeded);
  CHECK(net.calls_at("w0") == 1);
  net.answer("w0");
  CHECK(net.calls_at("w0") == 2);
}

TEST_CASE("keys: when the first of a line is cancelled, the next is sent to whoever serves that", "[broker][keys]") {
  broker_fixture net;
  net.join("busy", serves("a.one").group("a").slots(1).instance("busy"));
  net.join("idle", serves("a.two").group("a").slots(1).instance("idle"));
  net.keyed("client", 1, "a.one", "other");
  net.keyed("client", 2, "a.one", "k");
  net.keyed("client", 3, "a.two", "k");
  CHECK(net.calls_at("idle") == 0);
  net.cancel("client", 2);
  CHECK(net.calls_at("idle") == 1);
}

TEST_CASE("keys: keys and calls without one get a worker's slots in turn", "[broker][keys]") {
  broker_fixture net;
  net.join("worker", serves("a").slots(1));
  for (std::uint64_t i = 0; i < 4; ++i) {
    net.keyed("client", 10 + i, "a", "key-" + std::to_string(i));
    net.call("client", 20 + i, "a", 60s);
  }
  std::string order;
  for (int i = 0; i < 8; ++i) {
    order += net.inbox("worker", frame_type::call).back().headers.empty() ? '.' : 'k';
    net.answer("worker");
  }
  CHECK(std::count(order.begin(), order.end(), 'k') == 4);
  CHECK(order.find("...") == std::string::npos);
  CHECK(order.find("kkk") == std::string::npos);
}

TEST_CASE("keys: they wait while a command is held, and end when nobody comes", "[broker][keys]") {
  broker_fixture net{{.hold = 2s}};
  join_named(net, "w0");
  net.unreachable("w0");
  net.keyed("client", 1, "a", "k");
  net.keyed("client", 2, "a", "k");
  net.advance(1s);
  CHECK(net.replies_to("client") == 0);
  net.advance(1s);
  for (const std::uint64_t id : {1, 2}) {
    CHECK(net.status_of("client", id) == status::unavailable);
    CHECK_FALSE(net.error_of("client", id).may_have_run);
  }
  CHECK(net.core().open_keys() == 0);
  net.join("w1", serves("a"));
  net.keyed("client", 3, "a", "k");
  CHECK(net.calls_at("w1") == 1);
}

TEST_CASE("keys: waiting calls count in the limits of their command's queue and of their caller", "[broker][keys]") {
  broker_fixture net{{.queue_calls_max = 2}};
  join_named(net, "w0");
  for (std::uint64_t id = 1; id <= 4; ++id) net.keyed("client", id, "a", "k");
  CHECK(net.replies_to("client", 3) == 0);
  CHECK(net.status_of("client", 4) == status::resource_exhausted);
  net.answer("w0");
  net.keyed("client", 5, "a", "k");
  CHECK(net.replies_to("client", 5) == 0);

  broker_fixture small{{.caller_kept_bytes_max = 1000}};
  small.join("w0", serves("a").slots(1));
  small.call("client", 1, "a", 60s);
  small.call("client", 2, "a", 60s, std::string(900, 'x'));
  small.call("client", 3, "a", 60s, std::string(200, 'x'));
  CHECK(small.error_of("client", 3).code == status::resource_exhausted);
  CHECK(small.error_of("client", 3).retry_after.has_value());
  small.call("other", 1, "a", 60s, std::string(200, 'x'));
  CHECK(small.replies_to("other") == 0);
}

TEST_CASE("keys: a rejected call goes to the key's home again, three times in all", "[broker][keys]") {
  broker_fixture net;
  net.join("w0", serves("a").safe().slots(2).instance("w0"));
  net.join("w1", serves("a").safe().slots(2).instance("w1"));
  net.keyed("client", 1, "a", "k");
  const auto home = net.calls_at("w0") == 1 ? "w0"s : "w1"s;
  for (int attempt = 1; attempt <= 3; ++attempt) {
    REQUIRE(net.calls_at(home) == static_cast<std::size_t>(attempt));
    net.reply(home, net.leases_at(home).back(), status::unavailable);
  }
  CHECK(net.status_of("client", 1) == status::unavailable);
  CHECK(net.core().open_keys() == 0);
}

TEST_CASE("keys: a service that comes back after it was remembered has its own group again, whatever another has said since", "[broker][keys]") {
  broker_fixture net{{.hold = 1s, .remember = 60s}};
  net.join("one", serves("a").group("x"));
  net.unreachable("one");
  net.advance(1s);
  net.join("two", serves("a").group("y").version("2"));
  net.leave("two");
  net.advance(1s);
  net.join("one", serves("a").group("x"), 3);
  CHECK(net.status_of("one", 3) == status::ok);
  net.join("three", serves("a").group("x").version("3"));
  CHECK(net.status_of("three", 1) == status::ok);
}

TEST_CASE("keys: a JOIN that is refused because of a group makes nobody forget a command", "[broker][keys]") {
  broker_fixture net{{.hold = 100ms, .commands_max = 2}};
  net.join("one", serves("old"));
  net.leave("one");
  net.advance(100ms);
  net.join("two", serves("a").group("x"));
  net.join("three", serves("new").and_also("a").group("y"));
  CHECK(net.status_of("three", 1) == status::failed_precondition);
  net.call("client", 1, "old", 1s);
  CHECK(net.status_of("client", 1) == status::unavailable);  // known, though nobody serves it now
}
