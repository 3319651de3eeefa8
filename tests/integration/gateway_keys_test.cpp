// Requests with an Idempotency-Key, through the gateway's application.
#include <poll.h>

#include <atomic>

#include "gateway/replies/memory_reply_store.hpp"
#include "gateway_fixture.hpp"

using namespace waggle;
using namespace waggle::test;

namespace {

const std::string routes = R"(
- { route: "POST /orders/{shop}", call: order.place, idempotency: required }
- { route: PUT /notes, call: note.put, idempotency: accepted }
- { route: POST /plans, steps: { a: { call: order.place, fields: { x: body.x } } }, reply: { made: step.a }, status: 201, headers: { Location: "/o/{step.a}" }, idempotency: required }
)";

/// A shop whose one command may not run twice, and waits as long as it is told to.
struct shop {
  shop() {
    service_.on("order.place", [this](context& with) -> result<int> {
      const int number = ++runs;
      eventually([&] { return go.load() || with.cancelled(); });
      if (with.cancelled()) ++cancelled;
      if (fails) return failure(status::failed_precondition, "no money");
      return number;
    });
    service_.on("note.put", [this](context&) -> result<int> {
      const int number = ++runs;
      if (fails) return failure(status::unavailable, "later");
      return number;
    }).idempotent();
  }
  std::atomic<int> runs{0}, cancelled{0};
  std::atomic<bool> go{true}, fails{false};
  service service_{"shop", "1"};
};

struct keys_fixture : gateway_fixture {
  using gateway_fixture::gateway_fixture;
  std::uint64_t post(std::string_view path, std::string_view key, std::string_view body = "{}") {
    return key.empty() ? ask("POST", path, body) : ask("POST", path, body, {{"Idempotency-Key", key}});
  }
  bool is_answered(std::uint64_t id) {
    pollfd told{under_test.third_descriptor(), POLLIN, 0};
    ::poll(&told, 1, 0);
    turn();
    return answers.contains(id);
  }
  front::response answer(std::uint64_t id) {
    REQUIRE(eventually([&] { return is_answered(id); }));
    return answers[id];
  }
};

}  // namespace

TEST_CASE("keys: the same request with the same key is run once, and answered the same each time", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  shop of;
  running_service serving{of.service_, at(broker, sockets)};
  keys_fixture net{broker, sockets, routes};
  REQUIRE(net.ready());
  const auto first = net.answer(net.post("/orders/a", "k1"));
  CHECK(first.status == 200);
  CHECK(first.body == "1");
  CHECK(header_of(first, "Idempotent-Replayed") == "none");
  const auto again = net.answer(net.post("/orders/a", "\"k1\""));
  CHECK(again.body == "1");
  CHECK(header_of(again, "Idempotent-Replayed") == "true");
  CHECK(header_of(again, "Vary") == "Accept");
  CHECK(net.answer(net.post("/orders/a", "k1", "{\"x\":1}")).status == 422);
  CHECK(net.answer(net.post("/orders/b", "k1")).status == 422);
  CHECK(net.answer(net.post("/orders/a", "k2")).body == "2");
  CHECK(net.answer(net.ask("PUT", "/notes", "{}", {{"Idempotency-Key", "k1"}})).body == "3");  // another route's key
  CHECK(net.answer(net.ask("PUT", "/notes", "{}")).body == "4");
  CHECK(net.answer(net.ask("PUT", "/notes", "{}")).body == "5");
  const auto missing = net.answer(net.post("/orders/a", ""));
  CHECK(missing.status == 400);
  CHECK(missing.body.find("wants an Idempotency-Key") != std::string::npos);
  CHECK(net.answer(net.post("/orders/a", "not one")).status == 400);
  CHECK(of.runs == 5);

  const auto plan = net.answer(net.post("/plans", "p", R"({"x":1})"));
  CHECK(plan.status == 201);
  CHECK(plan.body == R"({"made":6})");
  const auto replayed = net.answer(net.post("/plans", "p", R"({"x":1})"));
  CHECK(replayed.status == 201);
  CHECK(replayed.body == R"({"made":6})");
  CHECK(header_of(replayed, "Location") == "/o/6");
  CHECK(of.runs == 6);
}

TEST_CASE("keys: while a request runs the same one is 409, and a client that has gone finds its answer when it comes back", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  shop of;
  of.go = false;
  running_service serving{of.service_, at(broker, sockets)};
  keys_fixture net{broker, sockets, routes};
  REQUIRE(net.ready());
  const auto first = net.post("/orders/a", "k1");
  REQUIRE(eventually([&] { return net.turn(), of.runs == 1; }));
  const auto second = net.answer(net.post("/orders/a", "k1"));
  CHECK(second.status == 409);
  CHECK(header_of(second, "Retry-After") == "1");
  net.under_test.on_abandoned(front::clock::now(), front::exchange_id{first});
  CHECK(net.under_test.busy());  // a gateway that ends waits for it
  CHECK(net.answer(net.post("/orders/a", "k1")).status == 409);
  of.go = true;
  REQUIRE(eventually([&] { return net.turn(), !net.under_test.busy(); }));
  const auto third = net.answer(net.post("/orders/a", "k1"));
  CHECK(third.body == "1");
  CHECK(header_of(third, "Idempotent-Replayed") == "true");
  CHECK(of.cancelled == 0);
  CHECK(of.runs == 1);
}

TEST_CASE("keys: what has failed and may have been done is kept; what has certainly not been done frees the key", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  shop of;
  of.fails = true;
  auto serving = std::make_unique<running_service>(of.service_, at(broker, sockets));
  keys_fixture net{broker, sockets, routes};
  REQUIRE(net.ready());
  CHECK(net.answer(net.post("/orders/a", "k1")).status == 400);
  of.fails = false;
  const auto replayed = net.answer(net.post("/orders/a", "k1"));
  CHECK(replayed.status == 400);
  CHECK(replayed.body.find("no money") != std::string::npos);
  CHECK(of.runs == 1);
  // Not its last word, and it may be done twice.
  of.fails = true;
  CHECK(net.answer(net.ask("PUT", "/notes", "{}", {{"Idempotency-Key", "n"}})).status == 503);
  of.fails = false;
  CHECK(net.answer(net.ask("PUT", "/notes", "{}", {{"Idempotency-Key", "n"}})).status == 200);

  // Nobody serves it: nothing has been done.
  serving.reset();
  const auto before = of.runs.load();
  REQUIRE(eventually([&] { return net.answer(net.post("/orders/a", "k9")).status >= 500; }));
  shop back;
  running_service returned{back.service_, at(broker, sockets)};
  REQUIRE(eventually([&] { return net.answer(net.post("/orders/a", "k9")).status == 200; }));
  CHECK(of.runs == before);
  CHECK(back.runs == 1);
}

TEST_CASE("keys: of a hundred who come with one key at once one is run", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  shop of;
  running_service serving{of.service_, at(broker, sockets)};
  keys_fixture net{broker, sockets, routes};
  REQUIRE(net.ready());
  std::vector<std::uint64_t> all;
  for (int i = 0; i < 100; ++i) all.push_back(net.post("/orders/a", "k1"));
  int done = 0, refused = 0;
  for (const auto each : all) {
    const auto got = net.answer(each);
    done += got.status == 200 && got.body == "1";
    refused += got.status == 409;
  }
  CHECK(done >= 1);
  CHECK(done + refused == 100);
  CHECK(of.runs == 1);
}

TEST_CASE("keys: a store without room, or whose disk fails, has requests with keys refused before anything is done", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  shop of;
  running_service serving{of.service_, at(broker, sockets)};
  keys_fixture usual{broker, sockets, routes};
  auto options = usual.options(broker, sockets);
  options.replies = std::make_shared<gateway::reply_keeper>(std::make_unique<gateway::memory_reply_store>(gateway::store_limits{.entries_max = 1, .bytes_max = 1 << 20}));
  gateway::application small{options, usual};
  std::uint64_t id = 1000;
  const auto post = [&](std::string_view key) {
    small.on_request(front::clock::now(), front::exchange_id{++id}, {"POST", "/orders/a", {}, "{}", {{"Idempotency-Key", key}}, false, nullptr});
    eventually([&] {
      small.on_batch_end(front::clock::now(), true);
      return usual.answers.contains(id);
    });
    return usual.answers[id];
  };
  REQUIRE(eventually([&] { return post("k1").status == 200; }));
  const auto full = post("k2");
  CHECK(full.status == 503);
  CHECK(header_of(full, "Retry-After") == "60");
  CHECK(post("k1").status == 200);
  CHECK(of.runs == 1);
  CHECK(usual.notes.back().find("as many answers are kept as may; write idempotency: {entries: ...") != std::string::npos);
}
