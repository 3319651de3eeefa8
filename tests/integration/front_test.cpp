#include "front_fixture.hpp"

#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace front_fixture;

TEST_CASE("front: a connection serves one request after another", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  toy_server net{1, {}, tls};
  client one(net.port(), 0, tls);
  for (int i = 0; i < 100; ++i) {
    REQUIRE(one.send(get(numbered(i))));
    REQUIRE(one.read_body() == numbered(i));
  }
}

TEST_CASE("front: pipelined requests that are answered out of order leave in order", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  toy_server net{1, {}, tls};
  client one(net.port(), 0, tls);
  REQUIRE(one.send(get("/wait?1") + get("/wait?2") + get("/at-once") + get("/wait?3")));
  REQUIRE(net.notes.wait([&] { return net.notes.in_flight == 3; }));
  net.release();
  CHECK(one.read_body() == "1");
  CHECK(one.read_body() == "2");
  CHECK(one.read_body() == "/at-once");
  CHECK(one.read_body() == "3");
}

TEST_CASE("front: a thousand pipelined requests are all answered in order", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  toy_server net{2, {}, tls};
  client one(net.port(), 0, tls);
  std::string all;
  for (int i = 0; i < 1000; ++i) all += get(numbered(i));
  std::thread writer([&] { one.send(all); });
  for (int i = 0; i < 1000; ++i) {
    const std::string body = one.read_body();
    if (body != numbered(i)) FAIL_CHECK("answer " << i << " is " << body);
  }
  writer.join();
}

TEST_CASE("front: a request that arrives byte by byte is served", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  toy_server net{1, {}, tls};
  client one(net.port(), 0, tls);
  const std::string bytes =
      "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
  for (const char c : bytes) REQUIRE(one.send({&c, 1}));
  CHECK(one.read_body() == "abcde");
}

TEST_CASE("front: a body of a megabyte goes in and comes out", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  toy_server net{1, {}, tls};
  client one(net.port(), 0, tls);
  std::string body(1024 * 1024, 'x');
  for (std::size_t i = 0; i < body.size(); i += 1000) body[i] = static_cast<char>('a' + i % 26);
  std::thread writer([&] {
    one.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  });
  CHECK((one.read_body() == body));
  writer.join();
}

TEST_CASE("front: a slow reader gets all of a large answer, and others are served meanwhile", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  toy_server net{1, {}, tls};
  client slow(net.port(), 4096, tls);
  REQUIRE(slow.send(get("/size/5000000")));
  REQUIRE(slow.wait(POLLIN));
  client other(net.port(), 0, tls);
  for (int i = 0; i < 20; ++i) {
    REQUIRE(other.send(get("/")));
    REQUIRE(other.read_body() == "/");
  }
  CHECK(slow.read_body().size() == 5'000'000);
}

TEST_CASE("front: a half-closed client gets its answers", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  toy_server net{1, {}, tls};
  client one(net.port(), 0, tls);
  REQUIRE(one.send(get("/wait?1") + get("/wait?2")));
  one.end_sending();
  REQUIRE(net.notes.wait([&] { return net.notes.in_flight == 2; }));
  net.release();
  CHECK(one.read_body() == "1");
  CHECK(one.read_body() == "2");
  CHECK(one.ended());
  CHECK(net.notes.abandoned == 0);
}

TEST_CASE("front: a client that goes away is reported for each request it had open", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  toy_server net{1, {}, tls};
  client one(net.port(), 0, tls);
  REQUIRE(one.send(get("/wait?1") + get("/wait?2")));
  REQUIRE(net.notes.wait([&] { return net.notes.in_flight == 2; }));
  one.reset();
  CHECK(net.notes.wait([&] { return net.notes.abandoned == 2; }));
}

TEST_CASE("front: an answer for a client that has gone reaches nobody", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  toy_server net{1, {}, tls};
  std::vector<client> gone;
  for (int i = 0; i < 8; ++i) {
    gone.emplace_back(net.port(), 0, tls);
    REQUIRE(gone.back().send(get("/wait?old")));
  }
  REQUIRE(net.notes.wait([&] { return net.notes.in_flight == 8; }));
  for (client& one : gone) one.reset();
  REQUIRE(net.notes.wait([&] { return net.notes.abandoned == 8; }));
  std::vector<client> fresh;
  for (int i = 0; i < 8; ++i) {
    fresh.emplace_back(net.port(), 0, tls);
    REQUIRE(fresh.back().send(get("/wait?new")));
  }
  REQUIRE(net.notes.wait([&] { return net.notes.in_flight == 8; }));
  net.release();
  for (client& one : fresh) CHECK(one.read_body() == "new");
}

TEST_CASE("front: an exception of the application is a 500 without its text, and logged", "[front]") {
  toy_server net;
  client one(net.port());
  REQUIRE(one.send(get("/throw") + get("/after")));
  const std::string out = one.read();
  CHECK(is(out, 500));
  CHECK(out.find("application/problem+json") != std::string::npos);
  CHECK(out.find("secret") == std::string::npos);
  CHECK(one.read_body() == "/after");
  CHECK(net.notes.wait([&] { return !net.lines.empty(); }));
  CHECK(net.lines.front().find("a secret") != std::string::npos);
}

TEST_CASE("front: after a framing error the answer arrives although the client keeps sending", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  toy_server net{1, {}, tls};
  client one(net.port(), 0, tls);
  REQUIRE(one.send("GET / HTTP/1.1\r\nHost : a\r\n\r\n"));
  for (int i = 0; i < 10; ++i) one.send(get("/smuggled"));
  const std::string out = one.read_to_end();
  CHECK(is(out, 400));
  CHECK(out.find("HTTP/1.1", 1) == std::string::npos);
  one.send(get("/smuggled"));
  CHECK(net.notes.asked.empty());
}

TEST_CASE("front: the application's descriptor wakes it once for each edge", "[front]") {
  toy_server net;
  for (std::uint64_t i = 1; i <= 50; ++i) {
    net.release();
    REQUIRE(net.notes.wait([&] { return net.notes.events_read == i; }));
  }
}

TEST_CASE("front: so does its second descriptor", "[front]") {
  toy_server net;
  for (std::uint64_t i = 1; i <= 50; ++i) {
    ::eventfd_write(net.second_event.get(), 1);
    REQUIRE(net.notes.wait([&] { return net.notes.second_events_read == i; }));
  }
  net.release();
  CHECK(net.notes.wait([&] { return net.notes.events_read == 1; }));
}

TEST_CASE("front: the application's deadline is kept", "[front]") {
  toy_server net;
  client one(net.port());
  for (int i = 1; i <= 5; ++i) {
    REQUIRE(one.send(get("/deadline")));
    CHECK(one.read_body() == "deadline");
  }
  CHECK(net.notes.deadlines == 5);
}

TEST_CASE("front: a request says from where it came and in which version of HTTP", "[front]") {
  toy_server at;
  client one(at.port());
  one.send(get("/peer"));
  CHECK(one.read_body() == "127.0.0.1 HTTP/1.1");
  one.send("GET /peer HTTP/1.0\r\n\r\n");
  CHECK(one.read_body() == "127.0.0.1 HTTP/1.0");
}

TEST_CASE("front: an IPv4 client of an IPv6 socket has its IPv4 address", "[front]") {
  const auto shown = [](const char* text) {
    sockaddr_storage out{};
    auto& v6 = reinterpret_cast<sockaddr_in6&>(out);
    v6.sin6_family = AF_INET6;
    REQUIRE(::inet_pton(AF_INET6, text, &v6.sin6_addr) == 1);
    return host_of(out);
  };
  CHECK(shown("::ffff:203.0.113.7") == "203.0.113.7");
  CHECK(shown("2001:db8::1") == "2001:db8::1");
}
