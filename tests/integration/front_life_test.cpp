#include "front_fixture.hpp"

#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace front_fixture;

TEST_CASE("front: each thread makes and destroys its application itself", "[front]") {
  toy_server net(3);
  CHECK(net.notes.made == 3);
  CHECK(net.notes.made_in.size() == 3);
  net.front.stop();
  CHECK(net.notes.destroyed == 3);
  CHECK(net.notes.destroyed_in == net.notes.made_in);
  CHECK(net.notes.made_in.count(std::this_thread::get_id()) == 0);
}

TEST_CASE("front: what a factory throws comes out of start", "[front]") {
  for (int i = 0; i < 3; ++i) {
    std::atomic<int> made = 0;
    server_options options;
    options.threads = 3;
    board notes;
    server front(options, [&](responder& out) -> std::unique_ptr<application> {
      if (++made == 2) throw std::runtime_error("no broker");
      return std::make_unique<toy>(out, notes, -1);
    });
    CHECK_THROWS_WITH(front.start(), "no broker");
    CHECK(notes.made == notes.destroyed);
  }
}

TEST_CASE("front: a server that was never started goes away quietly", "[front]") {
  board notes;
  server front({}, [&](responder& out) { return std::make_unique<toy>(out, notes, -1); });
  front.stop();
  CHECK(notes.made == 0);
}

TEST_CASE("front: a port in use is reported as such, though its sockets are shared between threads", "[front]") {
  toy_server net(2);
  server_options options;
  options.threads = 2;
  options.listen.front().port = net.port();
  try {
    const server second(options, [](responder&) { return nullptr; });
    FAIL("a second server shares the port");
  } catch (const bind_error& e) {
    CHECK(e.code() == std::errc::address_in_use);
    CHECK(std::string(e.what()).find("127.0.0.1:" + std::to_string(net.port())) != std::string::npos);
  }
}

TEST_CASE("front: a port can be listened on again at once", "[front]") {
  auto first = std::make_unique<toy_server>(2);
  server_options options;
  options.listen.front().port = first->port();
  client one(first->port());
  REQUIRE(one.send(get("/")));
  REQUIRE(one.read_body() == "/");
  first.reset();  // which leaves the connection in TIME_WAIT on the server's side
  board notes;
  server again(options, [&](responder& out) { return std::make_unique<toy>(out, notes, -1); });
  again.start();
  client two(options.listen.front().port);
  REQUIRE(two.send(get("/again")));
  CHECK(two.read_body() == "/again");
}

TEST_CASE("front: hosts are names, addresses of both kinds, or all interfaces", "[front]") {
  board notes;
  const auto endpoint = [&](const std::string& host) {
    server_options options;
    options.listen.front().host = host;
    const server front(options, [&](responder& out) { return std::make_unique<toy>(out, notes, -1); });
    return front.endpoint();
  };
  CHECK(endpoint("localhost").rfind("127.0.0.1:", 0) == 0);
  CHECK(endpoint("*").rfind("0.0.0.0:", 0) == 0);
  CHECK_THROWS_AS(endpoint("no.such.host.invalid"), bind_error);
  CHECK_THROWS_AS(endpoint("192.0.2.1"), bind_error);
  const unique_fd ipv6(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 loopback{};
  loopback.sin6_family = AF_INET6;
  loopback.sin6_addr = in6addr_loopback;
  if (!ipv6 || ::bind(ipv6.get(), reinterpret_cast<const sockaddr*>(&loopback), sizeof loopback) != 0) return;
  CHECK(endpoint("::1").rfind("[::1]:", 0) == 0);
  CHECK(endpoint("[::1]").rfind("[::1]:", 0) == 0);
}

TEST_CASE("front: what is kept back waits for what has come meanwhile, and for nothing else", "[front]") {
  toy_server net;
  client first(net.port()), second(net.port());
  REQUIRE(second.send(get("/")));
  REQUIRE(second.read_body() == "/");
  REQUIRE(first.send(get("/keep")));
  REQUIRE(net.notes.wait([&] { return net.notes.holding; }));
  REQUIRE(second.send(get("/keep")));
  net.notes.change([&] { net.notes.let_go = true; });
  CHECK(first.read_body() == "2");
  CHECK(second.read_body() == "2");
  REQUIRE(first.send(get("/keep")));
  CHECK(first.read_body() == "1");
}

TEST_CASE("front: drain lets open requests finish, ends idle connections and takes no new ones", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  toy_server net{1, {}, tls};
  client idle(net.port(), 0, tls);
  REQUIRE(idle.send(get("/")));
  REQUIRE(idle.read_body() == "/");
  {
    client open(net.port(), 0, tls);
    REQUIRE(open.send(get("/wait?1")));
    REQUIRE(net.notes.wait([&] { return net.notes.in_flight == 1; }));
    auto done = std::async(std::launch::async, [&] { net.front.drain(3 * patience); });
    REQUIRE(net.notes.wait([&] { return net.notes.drained == 1; }));
    CHECK(idle.ended());
    client late(net.port(), 0, tls);
    CHECK((!late.connected() || late.ended()));
    CHECK(done.wait_for(0s) == std::future_status::timeout);
    net.release();
    const std::string out = open.read();
    CHECK(is(out, 200));
    CHECK(out.find("Connection: close") != std::string::npos);
    CHECK(open.ended());
    open.end_sending();
    CHECK(done.wait_for(patience) == std::future_status::ready);
  }
  CHECK(net.notes.destroyed == 1);
  CHECK(net.notes.abandoned == 0);
}

TEST_CASE("front: drain gives up on a request after its patience", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  toy_server net{1, {}, tls};
  client open(net.port(), 0, tls);
  REQUIRE(open.send(get("/wait?1")));
  REQUIRE(net.notes.wait([&] { return net.notes.in_flight == 1; }));
  net.front.drain(30ms);
  CHECK(net.notes.abandoned == 1);
  CHECK(net.notes.destroyed == 1);
  CHECK(open.ended());
}

TEST_CASE("front: stop cuts a drain short", "[front]") {
  toy_server net;
  client open(net.port());
  REQUIRE(open.send(get("/wait?1")));
  REQUIRE(net.notes.wait([&] { return net.notes.in_flight == 1; }));
  auto done = std::async(std::launch::async, [&] { net.front.drain(3 * patience); });
  REQUIRE(net.notes.wait([&] { return net.notes.drained == 1; }));
  net.front.stop();
  CHECK(done.wait_for(patience) == std::future_status::ready);
}

TEST_CASE("front: a server under load stops within two seconds", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  for (int round = 0; round < 3; ++round) {
    toy_server net{2, {}, tls};
    std::atomic<bool> stopping = false;
    std::atomic<int> answers = 0;
    std::vector<std::thread> load;
    for (int i = 0; i < 8; ++i) {
      load.emplace_back([&, port = net.port()] {
        while (!stopping) {
          client one(port, 0, tls);
          if (!one.connected()) return;
          while (one.send(get("/") + get("/wait") + get("/size/10000")) && !one.read().empty()) ++answers;
        }
      });
    }
    const auto until = std::chrono::steady_clock::now() + patience;
    while (answers < 8 && std::chrono::steady_clock::now() < until) {
      net.release();
      std::this_thread::yield();
    }
    CHECK(answers >= 8);
    const auto from = std::chrono::steady_clock::now();
    net.front.stop();
    CHECK(std::chrono::steady_clock::now() - from < 2s);
    stopping = true;
    for (std::thread& one : load) one.join();
    CHECK(net.notes.destroyed == 2);
  }
}
