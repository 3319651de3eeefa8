// Whose waiting call is served next.
#include "support/broker_fixture.hpp"
#include "support/catch.hpp"

namespace {

using namespace waggle;
using namespace waggle::broker;
using namespace std::chrono_literals;

/// Who was answered, in order, while the worker answers one call after the other.
std::string served(broker_fixture& net, std::size_t count, std::initializer_list<std::string> callers) {
  std::string out;
  std::map<std::string, std::size_t> had;
  for (const auto& each : callers) had[each] = net.replies_to(each);
  for (std::size_t i = 0; i < count; ++i) {
    net.answer("worker", 1);
    for (auto& [caller, replies] : had) {
      if (net.replies_to(caller) == replies) continue;
      out += caller;
      replies = net.replies_to(caller);
    }
  }
  return out;
}

}  // namespace

TEST_CASE("broker: a caller with many waiting calls does not starve one with a single call", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a.b").slots(1));
  for (std::uint64_t id = 1; id <= 100; ++id) net.call("g", id, "a.b", 60s);
  net.call("m", 1, "a.b", 60s);
  // One of g's is at the worker, and its next has its turn before m came.
  CHECK(served(net, 5, {"g", "m"}) == "ggmgg");
}

TEST_CASE("broker: callers of one command are served in turn, each in its own order", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a.b").slots(1));
  for (std::uint64_t id = 1; id <= 4; ++id) net.call("a", id, "a.b", 60s, "\x01");
  for (std::uint64_t id = 1; id <= 2; ++id) net.call("b", id, "a.b", 60s, "\x02");
  for (std::uint64_t id = 1; id <= 2; ++id) net.call("c", id, "a.b", 60s, "\x03");
  CHECK(served(net, 8, {"a", "b", "c"}) == "aabcabca");
  for (const char* caller : {"a", "b", "c"}) {
    const auto replies = net.inbox(caller, wire::frame_type::reply);
    for (std::size_t i = 0; i < replies.size(); ++i) CHECK(replies[i].id == i + 1);
  }
  CHECK(net.core().kept_bytes() == 0);
}

TEST_CASE("broker: a call given up or past its budget leaves its line, and the turn goes on", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a.b").slots(1));
  net.call("a", 1, "a.b", 60s);
  net.call("b", 1, "a.b", 1s);
  net.call("c", 1, "a.b", 60s);
  net.call("d", 1, "a.b", 60s);
  net.cancel("c", 1);
  net.advance(1s);
  CHECK(net.status_of("b", 1) == status::deadline_exceeded);
  CHECK(net.status_of("c", 1) == status::cancelled);
  CHECK(served(net, 2, {"a", "d"}) == "ad");
  CHECK(net.core().open_calls() == 0);
  CHECK(net.core().kept_bytes() == 0);
}

TEST_CASE("broker: a call that comes back from a dead worker is served before all that wait", "[broker]") {
  broker_fixture net;
  net.join("dying", serves("a.b").slots(1).safe());
  net.call("a", 1, "a.b", 60s);
  net.call("b", 1, "a.b", 60s);
  net.call("a", 2, "a.b", 60s);
  net.unreachable("dying");
  net.join("worker", serves("a.b").slots(1).safe());
  CHECK(served(net, 3, {"a", "b"}) == "aba");
  CHECK(net.reply_to("a", 1).code == status::ok);
}

TEST_CASE("broker: the calls of a caller that goes leave their line, and the others' stay", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a.b").slots(1));
  net.call("a", 1, "a.b", 60s);
  for (std::uint64_t id = 1; id <= 3; ++id) net.call("gone", id, "a.b", 60s);
  net.call("b", 1, "a.b", 60s);
  net.unreachable("gone");
  CHECK(served(net, 2, {"a", "b"}) == "ab");
  CHECK(net.core().open_calls() == 0);
}

TEST_CASE("broker: workers of two versions have their turns when they are equally free", "[broker]") {
  broker_fixture net;
  net.join("old", serves("a.b").slots(200));
  net.join("new", serves("a.b").version("2").slots(200));
  net.join("new too", serves("a.b").version("2").slots(200));
  SECTION("a call at a time") {
    for (std::uint64_t id = 1; id <= 9; ++id) {
      net.call("caller", id, "a.b", 60s);
      for (const char* each : {"old", "new", "new too"}) net.answer(each);
      REQUIRE(net.replies_to("caller") == id);
    }
  }
  SECTION("many at once") {
    for (std::uint64_t id = 1; id <= 9; ++id) net.call("caller", id, "a.b", 60s);
  }
  CHECK(net.calls_at("old") == 3);
  CHECK(net.calls_at("new") == 3);
  CHECK(net.calls_at("new too") == 3);
}
