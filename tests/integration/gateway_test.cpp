// The gateway's application without its front: a test in the place of the reactor thread.
#include <atomic>

#include <waggle/wire/utf8.hpp>

#include "gateway_fixture.hpp"

using namespace waggle;
using namespace waggle::test;

TEST_CASE("gateway: parts that are too much for one answer end the call, and its handler, at once", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  std::atomic<bool> stopped{false};
  service flood{"flood", "1"};
  flood.on("flood.all", [&](context& with) {
    while (with.part(std::string(100'000, 'x'))) {
    }
    stopped = true;
  }).http("GET /flood").streams();
  service_options options;
  options.broker = broker.commands();
  options.sockets = &sockets;
  running_service serving{flood, options};
  REQUIRE(serving.joined_at_all);

  gateway_fixture net{broker, sockets};
  REQUIRE(eventually([&] { return net.turn(), net.get("/readyz").status == 200; }));
  const auto begun = std::chrono::steady_clock::now();
  const auto got = net.get("/flood", 30s);
  CHECK(got.status == 400);
  CHECK(got.body.find("larger than 4 MiB") != std::string::npos);
  CHECK(eventually([&] { return stopped.load(); }));
  CHECK(std::chrono::steady_clock::now() - begun < 9s);  // not by its budget of 10 s
}

TEST_CASE("gateway: while it cannot send it waits for the clock", "[gateway]") {
  net::context sockets;
  auto broker = std::make_unique<running_broker>(sockets);
  gateway_fixture net{*broker, sockets};
  REQUIRE(eventually([&] { return net.turn(), net.get("/readyz").status == 200; }));
  broker.reset();
  // Through its losing the broker, which it finds out by the clock.
  CHECK(eventually([&] {
    net.turn();
    REQUIRE(net.under_test.next_deadline() > front::clock::now() - 1s);
    return net.get("/readyz").status == 503;
  }, 20s));
}

TEST_CASE("gateway: a streamed answer goes on part by part, and the worker waits for a client that does not read", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  std::atomic<int> sent{0};
  service counter{"counter", "1"};
  counter.on("count.up", [&](context& with) {
    for (int i = 0; i < 200 && with.part(i); ++i) ++sent;
    return std::string{"done"};
  }).http("GET /count").streams();
  running_service serving{counter, at(broker, sockets)};
  REQUIRE(serving.joined_at_all);
  gateway_fixture net{broker, sockets};
  REQUIRE(net.ready());

  net.waiting_bytes = 1 << 20;  // nobody reads
  const auto id = net.ask("GET", "/count", {}, {{"Accept", "text/event-stream"}});
  REQUIRE(eventually([&] { return net.turn(), sent >= 8 && net.streams.contains(id); }));
  for (int i = 0; i < 1000; ++i) net.turn();
  CHECK(sent < 100);
  CHECK(header_of(net.streams[id], "Cache-Control") == "no-store");
  CHECK(net.streams[id].content_type == "text/event-stream");
  net.waiting_bytes = 0;
  net.under_test.on_room(front::clock::now(), front::exchange_id{id});
  REQUIRE(eventually([&] { return net.turn(), net.ended.contains(id); }));
  CHECK(net.streams[id].body.starts_with("data: 0\n\ndata: 1\n\n"));
  CHECK(net.streams[id].body.ends_with("data: 199\n\nevent: reply\ndata: \"done\"\n\n"));

  const auto lines = net.ask("GET", "/count", {}, {{"Accept", "application/x-ndjson"}});
  REQUIRE(eventually([&] { return net.turn(), net.ended.contains(lines); }));
  CHECK(net.streams[lines].body.ends_with("{\"part\":199}\n{\"reply\":\"done\"}\n"));
}

TEST_CASE("gateway: a stream whose client goes away ends the handler", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  std::atomic<bool> stopped{false};
  service endless{"endless", "1"};
  endless.on("endless.run", [&](context& with) {
    while (with.part(1)) {
    }
    stopped = true;
  }).http("GET /endless").streams();
  running_service serving{endless, at(broker, sockets)};
  gateway_fixture net{broker, sockets};
  REQUIRE(net.ready());
  const auto id = net.ask("GET", "/endless", {}, {{"Accept", "text/event-stream"}});
  REQUIRE(eventually([&] { return net.turn(), !net.streams[id].body.empty(); }));
  net.under_test.on_abandoned(front::clock::now(), front::exchange_id{id});
  CHECK(eventually([&] { return net.turn(), stopped.load(); }));
}

TEST_CASE("gateway: a plan answers from its steps, and what follows goes on after the answer", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  std::atomic<bool> mailed{false};
  std::string request_id, key;
  service shop{"shop", "1"};
  shop.on("price.of", [](context& with) { return static_cast<int>(with.key().size()); });
  shop.on("order.place", [&](context& with) {
    request_id = with.header("request_id");
    key = with.key();
    return 7;
  });
  shop.on("mail.send", [&](context&) {
    mailed = true;
    return 0;
  });
  running_service serving{shop, at(broker, sockets)};
  gateway_fixture net{broker, sockets, R"(
- route: GET /buy/{sku}
  steps:
    price: { call: price.of, fields: { sku: path.sku } }
    place: { call: order.place, fields: { price: step.price }, key: path.sku }
  reply: { order: step.place, price: step.price }
  then:
    mail: { call: mail.send, fields: { order: step.place } }
)"};
  REQUIRE(net.ready());
  const auto got = net.get("/buy/abc", 10s, {{"X-Request-Id", "r-1"}, {"Waggle-Key", "four"}});
  CHECK(got.body == R"({"order":7,"price":4})");
  CHECK(header_of(got, "X-Request-Id") == "r-1");
  CHECK(request_id == "r-1");
  CHECK(key == "abc");
  CHECK(eventually([&] { return net.turn(), mailed.load() && !net.under_test.busy(); }));
}

TEST_CASE("gateway: another configuration takes the place of the old one, while requests are under way", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  std::atomic<bool> go{false};
  service slow{"slow", "1"};
  slow.on("slow.get", [&](context& with) {
    eventually([&] { return go.load() || with.cancelled(); });
    return 1;
  });
  running_service serving{slow, at(broker, sockets)};
  gateway_fixture net{broker, sockets, "- { route: GET /old, call: slow.get, status: 201 }"};
  REQUIRE(net.ready());
  const auto under_way = net.ask("GET", "/old");
  net.live->replace(gateway_fixture::read("- { route: GET /new, call: slow.get }"));
  net.under_test.on_notified(front::clock::now());
  go = true;
  CHECK(net.get("/old").status == 404);
  CHECK(net.get("/new").status == 200);
  REQUIRE(eventually([&] { return net.turn(), net.answers.contains(under_way); }));
  CHECK(net.answers[under_way].status == 201);
}

TEST_CASE("gateway: who calls what is deprecated is counted", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  service hello{"hello", "1"};
  hello.on("hello.say", [](context&) { return 1; });
  running_service serving{hello, at(broker, sockets)};
  gateway_fixture net{broker, sockets, "- { route: GET /v1, call: hello.say, deprecated: 2026-01-01, sunset: 2027-01-01, link: https://example.org/v2 }"};
  REQUIRE(net.ready());
  const auto got = net.get("/v1", 10s, {{"User-Agent", "curl/7.88"}});
  CHECK(got.status == 200);
  CHECK(header_of(got, "Deprecation") == "@1767225600");
  CHECK(header_of(got, "Sunset") == "Fri, 01 Jan 2027 00:00:00 GMT");
  CHECK(header_of(got, "Link") == "<https://example.org/v2>; rel=\"deprecation\"");
  net.get("/v1", 10s, {{"User-Agent", "curl/7.88"}});
  CHECK(net.get("/metrics").body.find("{caller=\"curl\",route=\"GET /v1\"} 2\n") != std::string::npos);
  CHECK(net.notes == std::vector<std::string>{"GET /v1 is deprecated, and curl calls it"});
}

TEST_CASE("gateway: plans that go on after their answers keep no more than they may", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  service slow{"slow", "1"};
  std::atomic<bool> go{false};
  slow.on("slow.say", [](context&) { return 1; });
  slow.on("slow.mail", [&](context&) { return eventually([&] { return go.load(); }); });
  running_service serving{slow, at(broker, sockets)};
  gateway_fixture net{broker, sockets, R"(
- route: POST /x
  call: slow.say
  fields: {}
  then: { a: { call: slow.mail, fields: {} }, b: { call: slow.say, after: a, fields: { text: body.text } } }
- { route: POST /y, call: slow.say, fields: { text: body.text } })", 10'000};
  REQUIRE(net.ready());
  const auto status_of = [&](std::string_view path) {
    const auto id = net.ask("POST", path, R"({"text":")" + std::string(4'000, 'x') + "\"}");
    REQUIRE(eventually([&] { return net.turn(), net.answers.contains(id); }));
    return net.answers[id].status;
  };
  CHECK(status_of("/x") == 200);
  CHECK(status_of("/x") == 200);
  int status = 200;
  for (int i = 0; i < 3 && status == 200; ++i) status = status_of("/x");
  CHECK(status == 429);
  CHECK(status_of("/y") == 200);  // keeps nothing after its answer
  go = true;
  REQUIRE(eventually([&] { return net.turn(), !net.under_test.busy(); }));
  CHECK(status_of("/x") == 200);
}

TEST_CASE("gateway: what a token or a worker says is one line of the log", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  service hello{"hello", "1"};
  hello.on("hello.say", [](context&) { return 1; });
  hello.on("hello.fail", [](context&) -> result<int> { return failure(status::not_found, "no\nwaggle-gateway: all is well"); });
  running_service serving{hello, at(broker, sockets)};
  gateway_fixture net{broker, sockets, "- { route: GET /x, call: hello.say, then: { a: { call: hello.fail, fields: {} } } }"};
  REQUIRE(net.ready());
  CHECK(net.get("/x").status == 200);
  REQUIRE(eventually([&] { return net.turn(), !net.notes.empty(); }));
  CHECK(net.notes == std::vector<std::string>{"GET /x, step a, after the answer: NOT_FOUND: no waggle-gateway: all is well"});

  // 64 bytes of a name may end inside a character.
  std::string claims = "\x81\xa3sub\xd9\x43";
  for (int i = 0; i < 22; ++i) claims += "\xe2\x82\xac";
  claims += 'x';
  const auto caller = gateway::caller_of({}, claims);
  CHECK(caller.size() == 63);
  CHECK(wire::is_utf8(caller));
}

TEST_CASE("gateway: of a service's own gateway only its own routes are served", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  service one{"one", "1"}, two{"two", "1"};
  one.on("one.get", [](context&) { return 1; }).http("GET /one");
  two.on("two.get", [](context&) { return 2; }).http("GET /two");
  running_service first{one, at(broker, sockets)}, second{two, at(broker, sockets)};
  gateway_fixture all{broker, sockets};
  auto options = all.options(broker, sockets);
  options.only_service = "one";
  gateway::application own{std::move(options), all};
  REQUIRE(all.ready());
  CHECK(all.get("/two").status == 200);
  std::uint64_t id = 1000;
  const auto status_of = [&](std::string_view path) {
    own.on_request(front::clock::now(), front::exchange_id{++id}, {"GET", path, {}, {}, {}});
    eventually([&] {
      own.on_batch_end(front::clock::now(), true);
      return all.answers.contains(id);
    });
    return all.answers[id].status;
  };
  REQUIRE(eventually([&] { return status_of("/readyz") == 200; }));
  CHECK(status_of("/one") == 200);
  CHECK(status_of("/two") == 404);
}

TEST_CASE("gateway: where many calls are open, others wait for company as long as it comes; one alone leaves at once", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  service one{"one", "1"};
  one.on("one.get", [](context&) { return 1; }).http("GET /one");
  running_service serving{one, at(broker, sockets)};
  gateway_fixture asked{broker, sockets};
  REQUIRE(asked.ready());
  REQUIRE(eventually([&] { return asked.get("/one").status == 200; }));
  asked.answers.clear();
  const auto keeps_back = [&](bool last = false) { return asked.under_test.on_batch_end(front::clock::now(), last); };
  const auto ask = [&](int times) {
    for (int i = 0; i < times; ++i) asked.ask("GET", "/one");
  };

  ask(1);
  CHECK_FALSE(keeps_back());
  REQUIRE(eventually([&] { return asked.turn(), asked.answers.size() == 1; }));

  ask(10);
  CHECK(keeps_back());
  ask(1);
  CHECK(keeps_back());
  CHECK(asked.answers.size() == 1);
  CHECK_FALSE(keeps_back());  // nobody has come
  REQUIRE(eventually([&] { return keeps_back(), asked.answers.size() == 12; }));

  ask(10);
  CHECK_FALSE(keeps_back(true));  // the thread is about to sleep
  REQUIRE(eventually([&] { return asked.turn(), asked.answers.size() == 22; }));
}
