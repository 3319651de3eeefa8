// What the gateway's application keeps of replies, and for whom.
#include <atomic>

#include "gateway_fixture.hpp"

using namespace waggle;
using namespace waggle::test;

namespace {

/// A service whose one safe command counts its runs, and waits as long as it is told to.
struct counting_service {
  counting_service() {
    slow.on("slow.get", [this](context& with) -> result<int> {
      const int number = ++runs;
      eventually([&] { return go.load() || with.cancelled(); });
      if (with.cancelled()) ++cancelled;
      if (fails) return failure(status::not_found, "not today");
      return number;
    }).safe();
    slow.on("slow.set", [this](context&) { return ++runs; });
  }
  std::atomic<int> runs{0}, cancelled{0};
  std::atomic<bool> go{true}, fails{false};
  service slow{"slow", "1"};
};

const std::string cached = "- { route: \"GET /slow/{id}\", call: slow.get, cache: { for: 1h } }\n";

}  // namespace

TEST_CASE("cache: what a safe command has answered is answered again without a call, to who asks the same", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  counting_service of;
  running_service serving{of.slow, at(broker, sockets)};
  gateway_fixture net{broker, sockets, cached};
  REQUIRE(net.ready());
  const auto first = net.get("/slow/a");
  CHECK(first.body == "1");
  CHECK(header_of(first, "Cache-Status") == "waggle; fwd=uri-miss; stored");
  CHECK(header_of(first, "Cache-Control") == "no-cache");
  const auto second = net.get("/slow/a");
  CHECK(second.body == "1");
  CHECK(header_of(second, "Cache-Status").starts_with("waggle; hit; ttl=35"));
  CHECK(header_of(second, "Age") == "0");
  CHECK(header_of(second, "ETag") == header_of(first, "ETag"));
  CHECK(header_of(second, "X-Request-Id") != header_of(first, "X-Request-Id"));
  CHECK(net.get("/slow/a", 10s, {{"If-None-Match", header_of(first, "ETag")}}).status == 304);
  CHECK(net.get("/slow/b").body == "2");
  CHECK(net.get("/slow/a", 10s, {{"Accept", "application/msgpack"}}).body == "\x03");
  CHECK(net.get("/slow/a", 10s, {{"Waggle-Key", "k"}}).body == "4");
  CHECK(net.get("/slow/a", 10s, {{"Cache-Control", "no-cache"}}).body == "5");
  CHECK(net.get("/slow/a").body == "5");
  const auto head = net.ask("HEAD", "/slow/a");
  REQUIRE(eventually([&] { return net.turn(), net.answers.contains(head); }));
  CHECK(header_of(net.answers[head], "ETag") == header_of(net.get("/slow/a"), "ETag"));
  CHECK(of.runs == 5);
}

TEST_CASE("cache: what a configuration or a service has become is not answered with what it was", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  counting_service of;
  running_service serving{of.slow, at(broker, sockets)};
  gateway_fixture net{broker, sockets, cached};
  REQUIRE(net.ready());
  CHECK(net.get("/slow/a").body == "1");
  net.live->replace(gateway_fixture::read(cached));
  net.under_test.on_notified(front::clock::now());
  CHECK(net.get("/slow/a").body == "2");

  // Another instance of the same version changes nothing; one of another version does.
  counting_service more;
  running_service another{more.slow, at(broker, sockets)};
  CHECK(net.get("/slow/a").body == "2");
  service next{"slow", "2"};
  next.on("slow.other", [](context&) { return 1; }).http("GET /other");
  running_service newer{next, at(broker, sockets)};
  REQUIRE(eventually([&] { return net.turn(), net.get("/other").status == 200; }));
  CHECK(header_of(net.get("/slow/a"), "Cache-Status").starts_with("waggle; fwd=uri-miss"));
}

TEST_CASE("cache: of fifty who ask the same at once one makes the call", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  counting_service of;
  of.go = false;
  running_service serving{of.slow, at(broker, sockets)};
  gateway_fixture net{broker, sockets, cached};
  REQUIRE(net.ready());
  std::vector<std::uint64_t> all;
  for (int i = 0; i < 50; ++i) all.push_back(net.ask("GET", "/slow/a"));
  REQUIRE(eventually([&] { return net.turn(), of.runs == 1; }));
  // Who made the call goes away, and so does one who waits.
  net.under_test.on_abandoned(front::clock::now(), front::exchange_id{all[0]});
  net.under_test.on_abandoned(front::clock::now(), front::exchange_id{all[7]});
  of.go = true;
  REQUIRE(eventually([&] { return net.turn(), net.answers.contains(all[49]); }));
  for (std::size_t i = 1; i < all.size(); ++i) {
    if (i == 7) continue;
    REQUIRE(net.answers.contains(all[i]));
    CHECK(net.answers[all[i]].body == "1");
    CHECK(header_of(net.answers[all[i]], "Cache-Status") == "waggle; fwd=uri-miss; collapsed; stored");
  }
  CHECK_FALSE(net.answers.contains(all[0]));
  CHECK_FALSE(net.answers.contains(all[7]));
  CHECK(of.runs == 1);
  CHECK(of.cancelled == 0);
}

TEST_CASE("cache: a failure is the answer of all who wait, and is not kept; a call that nobody waits for is cancelled", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  counting_service of;
  of.go = false;
  of.fails = true;
  running_service serving{of.slow, at(broker, sockets)};
  gateway_fixture net{broker, sockets, cached};
  REQUIRE(net.ready());
  const auto first = net.ask("GET", "/slow/a"), second = net.ask("GET", "/slow/a");
  REQUIRE(eventually([&] { return net.turn(), of.runs == 1; }));
  of.go = true;
  REQUIRE(eventually([&] { return net.turn(), net.answers.contains(first) && net.answers.contains(second); }));
  CHECK(net.answers[first].status == 404);
  CHECK(net.answers[second].status == 404);
  CHECK(header_of(net.answers[second], "Cache-Control") == "no-store");
  of.go = of.fails = false;
  const auto third = net.ask("GET", "/slow/a"), fourth = net.ask("GET", "/slow/a");
  REQUIRE(eventually([&] { return net.turn(), of.runs == 2; }));
  net.under_test.on_abandoned(front::clock::now(), front::exchange_id{third});
  net.under_test.on_abandoned(front::clock::now(), front::exchange_id{fourth});
  CHECK(eventually([&] { return net.turn(), of.cancelled == 1; }));
}

TEST_CASE("cache: commands that are not safe are called each time, and the log says why", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  counting_service of;
  running_service serving{of.slow, at(broker, sockets)};
  gateway_fixture net{broker, sockets, "- { route: GET /set, call: slow.set, cache: { for: 1h } }\n" + cached};
  auto options = net.options(broker, sockets);
  std::vector<std::string> lines;
  options.log = [&](std::string_view line) { lines.emplace_back(line); };
  gateway::application speaking{options, net};
  REQUIRE(net.ready());
  CHECK(net.get("/set").body == "1");
  CHECK(net.get("/set").body == "2");
  CHECK(header_of(net.get("/set"), "Cache-Status") == "none");
  const std::string wanted = "routes.yaml:2: the route \"GET /set\" is not cached, because slow.set is not safe: have its service say so, or remove cache";
  CHECK(eventually([&] {
    speaking.on_batch_end(front::clock::now(), true);
    return std::find(lines.begin(), lines.end(), wanted) != lines.end();
  }));
}

TEST_CASE("cache: several commands are kept as one answer", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  counting_service of;
  running_service serving{of.slow, at(broker, sockets)};
  gateway_fixture net{broker, sockets, R"(
- route: GET /both/{id}
  steps:
    a: { call: slow.get, fields: { id: path.id } }
    b: { call: slow.get, after: a, fields: { tenant: header.X-Tenant } }
  reply: { a: step.a, b: step.b, who: header.X-User }
  cache: { for: 1h }
)"};
  REQUIRE(net.ready());
  const std::vector<front::header> as_ada{{"X-Tenant", "t"}, {"X-User", "ada"}}, as_bob{{"X-Tenant", "t"}, {"X-User", "bob"}}, other{{"X-Tenant", "u"}, {"X-User", "ada"}};
  CHECK(net.get("/both/1", 10s, as_ada).body == R"({"a":1,"b":2,"who":"ada"})");
  CHECK(net.get("/both/1", 10s, as_ada).body == R"({"a":1,"b":2,"who":"ada"})");
  CHECK(net.get("/both/1", 10s, as_bob).body == R"({"a":3,"b":4,"who":"bob"})");
  CHECK(net.get("/both/1", 10s, other).body == R"({"a":5,"b":6,"who":"ada"})");
  CHECK(net.get("/both/2", 10s, as_ada).body == R"({"a":7,"b":8,"who":"ada"})");
}
