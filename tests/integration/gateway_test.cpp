// The gateway's application without its front: a test in the place of the reactor thread.
#include <atomic>
#include <map>

#include "gateway/application.hpp"
#include "network_fixture.hpp"

namespace {

using namespace waggle;
using namespace waggle::test;

struct gateway_fixture final : front::responder {
  explicit gateway_fixture(const running_broker& broker, net::context& sockets)
      : under_test{{broker.commands(), {}, {}, &sockets, {}}, *this} {}

  void respond(front::exchange_id to, front::response answer) override {
    answers.emplace(static_cast<std::uint64_t>(to), std::move(answer));
  }
  /// What a reactor thread would do, until the request has its answer.
  front::response get(std::string_view path, milliseconds within = 10s) {
    const auto id = ++last_;
    under_test.on_request(front::clock::now(), front::exchange_id{id}, {"GET", path, {}, {}, {}});
    eventually([&] { return turn(), answers.count(id) > 0; }, within);
    return answers[id];
  }
  void turn() {
    const auto now = front::clock::now();
    if (under_test.next_deadline() <= now) under_test.on_deadline(now);
    under_test.on_readable(now);
  }

  std::map<std::uint64_t, front::response> answers;
  gateway::application under_test;

 private:
  std::uint64_t last_ = 0;
};

}  // namespace

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
