// Rates, places, breakers, retries and CORS in the gateway's application, without its front.
#include <atomic>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>

#include <waggle/wire/frames.hpp>
#include <waggle/wire/manifest.hpp>

#include "gateway_fixture.hpp"

namespace {

using namespace waggle;
using namespace waggle::test;

const front::peer_info ada{"192.0.2.1", false, {}}, bob{"192.0.2.2", false, {}}, proxy{"10.0.0.1", false, {}};

bool has(const front::response& of, std::string_view text) { return of.body.find(text) != std::string::npos; }

std::string all_of(const front::response& of, std::string_view name) {
  std::string out;
  for (const auto& [key, value] : of.headers) {
    if (key == name) out += (out.empty() ? "" : ", ") + std::string{value};
  }
  return out;
}

/// A worker written from the protocol alone, since one of the SDK has always run what it refuses: it answers calls of
/// `busy.safe` and `busy.once` with UNAVAILABLE as long as it has refusals left, then with 7.
class busy_worker {
 public:
  busy_worker(net::context& sockets, const std::string& broker) {
    thread_ = std::jthread{[this, &sockets, broker](const std::stop_token& stop) { run(sockets, broker, stop); }};
    eventually([&] { return joined.load(); });
  }
  std::atomic<bool> joined{false}, has_run{false};
  std::atomic<int> refusals{0}, asked{0};

 private:
  void run(net::context& sockets, const std::string& broker, const std::stop_token& stop) {
    net::dealer socket{sockets, net::dealer::greeting::none};
    socket.connect(broker);
    std::string manifest, out;
    wire::append_manifest(manifest, {"busy", "1", "", 8, 1, {{"busy.safe", "", retry_class::safe, false, {"GET /safe"}, "", ""},
                                                             {"busy.once", "", retry_class::once, false, {"GET /once"}, "", ""}}});
    wire::append_join(out, 1, manifest);
    auto pulse_at = std::chrono::steady_clock::now();
    while (!stop.stop_requested()) {
      if (std::chrono::steady_clock::now() >= pulse_at) {
        wire::append_pulse(out);
        pulse_at += 200ms;
      }
      if (!out.empty() && socket.send(out) == net::sent::yes) out.clear();
      const auto got = socket.receive();
      if (!got) {
        std::this_thread::yield();
        continue;
      }
      wire::bundle_reader frames{*got};
      wire::frame in;
      while (frames.next(in) == wire::decoded::frame) {
        if (in.type == wire::frame_type::reply && in.id == 1) joined = true;
        if (in.type != wire::frame_type::call) continue;
        ++asked;
        std::string payload;
        const bool refuses = refusals.fetch_sub(1) > 0;
        if (refuses) {
          wire::append_error(payload, {status::unavailable, "not now", has_run});
        } else {
          payload = "\x07";
        }
        wire::append_reply(out, in.id, refuses ? status::unavailable : status::ok, payload, {});
      }
    }
  }
  std::jthread thread_;
};

}  // namespace

TEST_CASE("gateway: a rate by address refuses one client and not the other, whatever they ask for", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  gateway_fixture net{broker, sockets, "rates: {limit: 2, per: 1m, by: address}\nproxies: [10.0.0.0/8]\n"};
  net.peer = &ada;
  REQUIRE(net.ready());
  for (const auto* left : {"\"address-1m\";r=1;t=30", "\"address-1m\";r=0;t=30"}) {
    const auto got = net.get("/none");
    CHECK(got.status == 404);
    CHECK(header_of(got, "RateLimit-Policy") == "\"address-1m\";q=2;w=60");
    CHECK(header_of(got, "RateLimit") == left);
  }
  const auto refused = net.get("/events");
  CHECK(refused.status == 429);
  CHECK(refused.content_type == "application/problem+json");
  CHECK(header_of(refused, "Retry-After") == "30");
  CHECK(has(refused, R"("code":"RESOURCE_EXHAUSTED","may_have_run":false,"violated-policies":["address-1m"])"));
  CHECK(net.get("/readyz").status == 200);
  // What a client says of itself gives it no other bucket.
  CHECK(net.get("/none", 10s, {{"X-Forwarded-For", "192.0.2.77"}}).status == 429);
  net.peer = &bob;
  CHECK(net.get("/none").status == 404);
  // What a proxy says does.
  net.peer = &proxy;
  CHECK(net.get("/none", 10s, {{"X-Forwarded-For", "192.0.2.1"}}).status == 429);
  CHECK(net.get("/none", 10s, {{"X-Forwarded-For", "192.0.2.1, 192.0.2.3"}}).status == 404);
}

TEST_CASE("gateway: a rate by address that one route alone has tells its clients apart", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  service hello{"hello", "1"};
  hello.on("hello.say", [] { return 1; }).http("GET /hello").safe();
  running_service serving{hello, at(broker, sockets)};
  gateway_fixture net{broker, sockets, "routes:\n  - {route: GET /limited, call: hello.say, rate: {limit: 1, per: 1h, by: address}}\n"};
  REQUIRE(eventually([&] { return net.turn(), net.get("/hello").status == 200; }));
  net.peer = &ada;
  CHECK(net.get("/limited").status == 200);
  CHECK(net.get("/limited").status == 429);
  net.peer = &bob;
  CHECK(net.get("/limited").status == 200);
  CHECK(net.get("/limited").status == 429);
}

TEST_CASE("gateway: rates hold over all threads, and those that a new configuration leaves alone go on counting", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  service hello{"hello", "1"};
  hello.on("hello.say", [] { return 1; }).http("GET /hello").safe();
  running_service serving{hello, at(broker, sockets)};
  const std::string routes = "routes:\n  - {route: GET /limited, call: hello.say, rate: {limit: 3, per: 1h, by: route}}\n";
  gateway_fixture net{broker, sockets, routes};
  struct second_thread final : front::responder {
    void respond(front::exchange_id, front::response answer) override { got = std::move(answer); }
    void begin(front::exchange_id, front::response) override {}
    bool append(front::exchange_id, std::string_view) override { return true; }
    void finish(front::exchange_id) override {}
    void abort(front::exchange_id) override {}
    [[nodiscard]] std::size_t backlog(front::exchange_id) const override { return 0; }
    std::optional<front::response> got;
  } answers;
  auto with = net.options(broker, sockets);
  gateway::application other{std::move(with), answers};
  const auto ask_other = [&] {
    answers.got.reset();
    other.on_request(front::clock::now(), front::exchange_id{1}, {"GET", "/limited", {}, {}, {}});
    return answers.got ? answers.got->status : 0;  // 0: it is under way
  };
  REQUIRE(eventually([&] { return net.turn(), net.get("/hello").status == 200; }));
  CHECK(net.get("/limited").status == 200);
  CHECK(ask_other() != 429);
  CHECK(net.get("/limited").status == 200);
  CHECK(net.get("/limited").status == 429);
  CHECK(ask_other() == 429);
  CHECK(net.get("/hello").status == 200);  // the service's own route has no such rate

  // Elsewhere in the file, and with another budget: the same rate.
  net.live->replace(gateway_fixture::read("routes:\n  - {route: GET /a, call: hello.say}\n  - {route: GET /limited, call: hello.say, budget: 1s, rate: {limit: 3, per: 1h, by: route}}\n"));
  net.under_test.on_notified(front::clock::now());
  CHECK(net.get("/limited").status == 429);
  net.live->replace(gateway_fixture::read("routes:\n  - {route: GET /limited, call: hello.say, rate: {limit: 4, per: 1h, by: route}}\n"));
  net.under_test.on_notified(front::clock::now());
  CHECK(header_of(net.get("/limited"), "RateLimit") == "\"route-route-1h\";r=3;t=900");
}

TEST_CASE("gateway: a route has its places until what it calls has ended, and then they are free", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  std::atomic<bool> go{false};
  std::atomic<int> running{0};
  service slow{"slow", "1"};
  slow.on("slow.run", [&](context&) {
    ++running;
    eventually([&] { return go.load(); });
    --running;
    return 1;
  });
  auto options = at(broker, sockets);
  options.threads = 8;
  running_service serving{slow, options};
  gateway_fixture net{broker, sockets, "routes:\n  - {route: GET /slow, call: slow.run, concurrency: 2}\n  - {route: GET /free, call: slow.run}\n"};
  REQUIRE(net.ready());
  const auto first = net.ask("GET", "/slow"), second = net.ask("GET", "/slow");
  REQUIRE(eventually([&] { return net.turn(), running == 2; }));
  const auto refused = net.get("/slow");
  CHECK(refused.status == 503);
  CHECK(header_of(refused, "Retry-After") == "1");
  CHECK(has(refused, R"("code":"RESOURCE_EXHAUSTED","may_have_run":false)"));
  const auto free = net.ask("GET", "/free");
  REQUIRE(eventually([&] { return net.turn(), running == 3; }));
  // One whose client has gone is under way until the network says that it has ended.
  net.under_test.on_abandoned(front::clock::now(), front::exchange_id{first});
  CHECK(net.ask("GET", "/slow") > 0);
  go = true;
  CHECK(eventually([&] { return net.turn(), net.answers.contains(second) && net.answers.contains(free); }));
  CHECK(eventually([&] { return net.get("/slow").status == 200; }));
}

TEST_CASE("gateway: a command that fails too often is given a rest, also as a step, and comes back by its probes", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  std::atomic<bool> well{false};
  std::atomic<int> runs{0};
  service shaky{"shaky", "1"};
  shaky.on("shaky.run", [&](context&) -> result<int> {
    ++runs;
    if (!well) return failure(status::unavailable, "not now", true);
    return 7;
  });
  shaky.on("shaky.bug", [](context&) -> result<int> { return failure(status::internal, "a bug", true); });
  running_service serving{shaky, at(broker, sockets)};
  gateway_fixture net{broker, sockets,
                      "breaker: {failures: 50%, of: 4, within: 1m, open: 300ms}\n"
                      "routes:\n  - {route: GET /run, call: shaky.run}\n  - {route: GET /bug, call: shaky.bug}\n"
                      "  - route: GET /plan\n    steps: {one: {call: shaky.run, fields: {}, fallback: 0}}\n    reply: step.one\n"};
  REQUIRE(net.ready());
  REQUIRE(eventually([&] { return net.get("/bug").status == 500; }));
  for (int i = 0; i < 10; ++i) CHECK(net.get("/bug").status == 500);  // one payload after the other: no reason to shut anybody out
  for (int i = 0; i < 4; ++i) CHECK(has(net.get("/run"), "not now"));
  const auto before = runs.load();
  const auto refused = net.get("/run");
  CHECK(refused.status == 503);
  CHECK(has(refused, R"("code":"UNAVAILABLE","may_have_run":false)"));
  CHECK(header_of(refused, "Retry-After") == "1");
  const auto plan = net.get("/plan");
  CHECK(plan.status == 200);
  CHECK(plan.body == "0");
  CHECK(header_of(plan, "Waggle-Incomplete") == "one");
  CHECK(runs == before);
  const auto seen = net.traffic->now()->commands->states(front::clock::now());
  REQUIRE(seen.size() == 2);
  CHECK(seen[1].command == "shaky.run");
  CHECK(seen[1].state == gateway::circuit_breaker::state::open);
  CHECK(seen[1].refused == 2);
  const auto shown = net.get("/metrics");
  CHECK(has(shown, "\nwaggle_gateway_breaker_state{command=\"shaky.run\"} 2\n"));
  CHECK(has(shown, "\nwaggle_gateway_breaker_refused_calls_total{command=\"shaky.run\"} 2\n"));
  CHECK(has(shown, "\nwaggle_gateway_call_retries_total{command=\"shaky.run\"} 0\n"));
  well = true;
  CHECK(eventually([&] { return net.get("/run").status == 200; }));
  for (int i = 0; i < 10; ++i) CHECK(net.get("/run").status == 200);
  CHECK(net.traffic->now()->commands->states(front::clock::now())[1].state == gateway::circuit_breaker::state::closed);
}

TEST_CASE("gateway: a safe call that has not run is tried again within its budget, and another is not", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  busy_worker busy{sockets, broker.commands()};
  REQUIRE(busy.joined);
  const std::string routes =
      "routes:\n  - {route: GET /plan, steps: {one: {call: busy.safe, fields: {}}}, reply: step.one}\n  - {route: GET /short, call: busy.safe, budget: 60ms}\n";
  gateway_fixture net{broker, sockets, "retries: {attempts: 2, budget: 0%}\n" + routes};
  gateway_fixture without{broker, sockets, routes};
  REQUIRE(eventually([&] { return net.turn(), net.get("/safe").status == 200; }));
  REQUIRE(eventually([&] { return without.turn(), without.get("/safe").status == 200; }));
  const auto refusing = [&](int times, bool has_run) {
    busy.has_run = has_run;
    busy.asked = 0;
    busy.refusals = times;
  };
  // The broker hands it over three times itself, and then passes on what the worker says.
  refusing(4, false);
  CHECK(without.get("/safe").status == 503);
  CHECK(busy.asked == 3);
  for (const auto* path : {"/safe", "/plan"}) {
    CAPTURE(path);
    refusing(4, false);
    CHECK(net.get(path).status == 200);
    CHECK(busy.asked == 5);
    refusing(100, false);
    CHECK(net.get(path).status == 503);
    CHECK(busy.asked == 6);  // two attempts
  }
  refusing(4, true);
  CHECK(net.get("/safe").status == 503);
  CHECK(busy.asked == 3);  // it may have run
  refusing(4, false);
  CHECK(net.get("/once").status == 503);
  CHECK(busy.asked == 1);
  refusing(4, false);
  CHECK(net.get("/short").status == 503);
  CHECK(busy.asked == 3);  // its budget has no room for the pause

  // Whoever goes away while it waits has nothing called for him any more, and nothing stays.
  refusing(100, false);
  for (const auto* path : {"/safe", "/plan"}) {
    const auto id = net.ask("GET", path);
    const auto before = net.traffic->now()->commands->states(front::clock::now()).at(0).retried;
    REQUIRE(eventually([&] { return net.turn(), net.traffic->now()->commands->states(front::clock::now()).at(0).retried > before; }));
    net.under_test.on_abandoned(front::clock::now(), front::exchange_id{id});
    CHECK(!net.under_test.busy());
  }
  refusing(0, false);
  CHECK(net.get("/safe").status == 200);
  CHECK(busy.asked == 1);

  // There are no more of them than the budget has.
  int answered = 0;
  for (int i = 0; i < 40; ++i) {
    refusing(4, false);
    answered += net.get("/safe").status == 200;
  }
  CHECK(answered < 40);
}

TEST_CASE("gateway: pages of an allowed origin may read every answer, and preflights are told the routes of their path", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  service hello{"hello", "1"};
  hello.on("hello.say", [] { return 1; }).http("GET /hello").safe();
  hello.on("hello.set", [] { return 1; }).http("PUT /hello");
  running_service serving{hello, at(broker, sockets)};
  gateway_fixture net{broker, sockets,
                      "cors: {origins: [\"https://a.example\"], credentials: true}\nevents: {topics: [a.*]}\n"
                      "rates: {limit: 4, per: 1h, by: address}\nroutes: []\n"};
  REQUIRE(eventually([&] { return net.turn(), net.get("/readyz", 10s, {{"Origin", "https://a.example"}}).status == 200; }));
  const std::vector<front::header> from_a{{"Origin", "https://a.example"}}, from_b{{"Origin", "https://b.example"}};
  const auto preflight = [&](std::string_view path, std::vector<front::header> headers, std::string_view method) {
    headers.push_back({"Access-Control-Request-Method", method});
    const auto id = net.ask("OPTIONS", path, {}, std::move(headers));
    REQUIRE(net.answers.contains(id));
    return net.answers[id];
  };
  REQUIRE(eventually([&] { return net.turn(), all_of(preflight("/hello", from_a, "PUT"), "Access-Control-Allow-Methods") == "GET, HEAD, PUT, OPTIONS"; }));
  for (int i = 0; i < 10; ++i) CHECK(preflight("/hello", from_a, "PUT").status == 204);  // no rate counts them
  CHECK(all_of(preflight("/events", from_a, "GET"), "Access-Control-Allow-Methods") == "GET, HEAD, OPTIONS");
  CHECK(all_of(preflight("/operations/1", from_a, "GET"), "Access-Control-Allow-Methods") == "GET, HEAD, OPTIONS");
  CHECK(all_of(preflight("/readyz", from_a, "GET"), "Access-Control-Allow-Methods") == "GET, HEAD, OPTIONS");
  CHECK(all_of(preflight("/none", from_a, "GET"), "Access-Control-Allow-Methods").empty());
  CHECK(all_of(preflight("/hello", from_b, "PUT"), "Access-Control-Allow-Methods").empty());
  CHECK(all_of(preflight("/hello", from_b, "PUT"), "Access-Control-Allow-Origin").empty());
  CHECK(preflight("/hello", from_b, "PUT").status == 204);
  CHECK(all_of(preflight("/hello", from_a, "PUT"), "Vary") ==
        "Access-Control-Request-Method, Access-Control-Request-Headers, Origin");

  for (const auto& [path, status] : {std::pair{"/hello", 200}, {"/none", 404}, {"/readyz", 200}, {"/%00", 400}}) {
    CAPTURE(path);
    const auto allowed = net.get(path, 10s, from_a);
    CHECK(allowed.status == status);
    CHECK(all_of(allowed, "Access-Control-Allow-Origin") == "https://a.example");
    CHECK(all_of(allowed, "Access-Control-Allow-Credentials") == "true");
    CHECK(all_of(allowed, "Vary").find("Origin") != std::string::npos);
  }
  CHECK(all_of(net.get("/hello", 10s, from_b), "Access-Control-Allow-Origin").empty());
  const auto refused = net.get("/hello", 10s, from_a);
  CHECK(refused.status == 429);
  CHECK(all_of(refused, "Access-Control-Allow-Origin") == "https://a.example");
  CHECK(all_of(refused, "Access-Control-Expose-Headers").find("Retry-After") != std::string::npos);
  CHECK(all_of(refused, "Vary") == "Origin");
}

TEST_CASE("cors: a page may send an API key under whatever header the gateway takes it", "[gateway]") {
  gateway::config with;
  with.cors.emplace().origins = {"https://app.example.com"};
  with.identity.api_keys.emplace().header = "X-Shop-Key";
  gateway::traffic_control of;
  const front::request asked{"OPTIONS", "/a", {}, {}, {{"Origin", "https://app.example.com"}, {"Access-Control-Request-Method", "GET"}}};
  const auto answer = of.plan_of(with, 1)->cors->preflight(asked, "GET");
  CHECK(all_of(answer, "Access-Control-Allow-Headers").find("X-Shop-Key") != std::string::npos);
}
