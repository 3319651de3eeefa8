#include "front_fixture.hpp"

#include <future>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace front_fixture;

TEST_CASE("front: a streamed answer comes bit by bit over a real connection, and the next request after it", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  toy_server net{1, {}, tls};
  client one(net.port(), 0, tls);
  REQUIRE(one.send(get("/open")));
  CHECK(one.read_until("4\r\nopen\r\n").find("Transfer-Encoding: chunked\r\n") != std::string::npos);
  for (int i = 0; i < 3; ++i) {
    net.release();
    CHECK(one.read_until("tick\r\n") == "4\r\ntick\r\n");
  }
  client other(net.port(), 0, tls);
  REQUIRE(other.send(get("/shut")));
  CHECK(other.read_body() == "shut");
  CHECK(one.read_until("0\r\n\r\n") == "0\r\n\r\n");
  REQUIRE(one.send(get("/next")));
  CHECK(one.read_body() == "/next");
}

TEST_CASE("front: a client that goes amid a quiet stream is noticed and the stream abandoned", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  toy_server net{1, {}, tls};
  for (const std::string_view fields : {"", "Connection: close\r\n"}) {
    const int before = net.notes.abandoned;
    client one(net.port(), 0, tls);
    REQUIRE(one.send(get("/open", fields)));
    one.read_until("open\r\n");
    one.reset();
    CHECK(net.notes.wait([&] { return net.notes.abandoned == before + 1 && net.notes.streams == 0; }));
  }
  // One that closes in peace looks half-closed until something is written.
  {
    client one(net.port(), 0, tls);
    REQUIRE(one.send("GET /open HTTP/1.0\r\n\r\n"));
    one.read_until("open");
  }
  for (int i = 0; i < 1000 && !net.notes.wait_for(10ms, [&] { return net.notes.abandoned == 3; }); ++i) net.release();
  CHECK(net.notes.abandoned == 3);
}

TEST_CASE("front: a quiet stream whose client has ended its side is let go after the half-closed time", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  limits bounds;
  bounds.half_closed_time = 30ms;
  toy_server net{1, bounds, tls};
  client one(net.port(), 0, tls);
  REQUIRE(one.send(get("/open")));
  one.read_until("open\r\n");
  one.end_sending();
  CHECK(net.notes.wait([&] { return net.notes.abandoned == 1; }));
  CHECK(one.ended());
}

TEST_CASE("front: streams are not cut for being quiet", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  limits bounds;
  bounds.idle_time = 20ms;
  bounds.head_time = 20ms;
  bounds.write_stall_time = 20ms;
  toy_server net{1, bounds, tls};
  client one(net.port(), 0, tls), idle(net.port(), 0, tls);
  REQUIRE(one.send(get("/open")));
  one.read_until("open\r\n");
  CHECK(idle.ended());  // for which its time has passed, as it has for the stream
  REQUIRE(client(net.port(), 0, tls).ended());
  net.release();
  CHECK(one.read_until("tick\r\n") == "4\r\ntick\r\n");
}

TEST_CASE("front: a stream as fast as there is room is whole, and what waits for a slow reader is bounded", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  toy_server net{1, {}, tls};
  client fast(net.port(), 0, tls), slow(net.port(), 4096, tls), other(net.port(), 0, tls);
  constexpr std::size_t size = 20'000'000;
  REQUIRE(slow.send(get("/pour/" + std::to_string(size), "Connection: close\r\n")));
  REQUIRE(fast.send(get("/pour/" + std::to_string(size), "Connection: close\r\n")));
  REQUIRE(other.send(get("/other")));
  CHECK(other.read_body() == "/other");
  CHECK((unchunked(fast.read_to_end()) == std::string(size, 'x')));
  CHECK((unchunked(slow.read_to_end()) == std::string(size, 'x')));
  CHECK(net.notes.backlog_max < 64 * 1024 + 17 * 1024);
  client old(net.port(), 0, tls);
  REQUIRE(old.send("GET /pour/1000000 HTTP/1.0\r\n\r\n"));
  const std::string out = old.read_to_end();
  CHECK((out.substr(out.find("\r\n\r\n") + 4) == std::string(1'000'000, 'x')));
}

TEST_CASE("front: the kernel does not take megabytes for a client that reads slowly", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  // It did: 2.3 MB for each, until all of the machine's memory for TCP was in use.
  toy_server net{1, {}, tls};
  client slow(net.port(), 4096, tls), other(net.port(), 0, tls);
  REQUIRE(slow.send(get("/pour/20000000")));
  for (int i = 0; i < 500; ++i) {  // in which the server would have filled it many times
    REQUIRE(other.send(get("/other")));
    REQUIRE(other.read_body() == "/other");
  }
  std::size_t appended = 0;
  net.notes.change([&] { appended = net.notes.appended; });
  CHECK(appended > 0);
  CHECK(appended < 1024 * 1024);
}

TEST_CASE("front: a stream that does not heed its backlog is cut at the limit and its client let go", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  limits bounds;
  bounds.stream_bytes_max = 1024 * 1024;
  toy_server net{1, bounds, tls};
  client one(net.port(), 0, tls);
  REQUIRE(one.send(get("/flood") + get("/wait?1")));
  REQUIRE(net.notes.wait([&] { return net.notes.appended > 0; }));
  CHECK(net.notes.appended <= 1024 * 1024 + 65536);
  CHECK(unchunked(one.read_to_end()).empty());
  client other(net.port(), 0, tls);
  REQUIRE(other.send(get("/other")));
  CHECK(other.read_body() == "/other");
}

TEST_CASE("front: a client sees that an aborted answer is not whole", "[front]") {
  toy_server net;
  client one(net.port());
  REQUIRE(one.send(get("/0") + get("/break") + get("/never")));
  CHECK(one.read_body() == "/0");
  const std::string out = one.read_to_end();
  CHECK(out.substr(out.size() - 9) == "4\r\npart\r\n");
  CHECK(net.notes.asked.size() == 2);

  client old(net.port());
  REQUIRE(old.send("GET /break HTTP/1.0\r\n\r\n"));
  old.read_to_end();
  CHECK(old.was_reset());

  client thrown(net.port());
  REQUIRE(thrown.send(get("/begin-throw")));
  const std::string cut = thrown.read_to_end();
  CHECK(cut.substr(cut.size() - 9) == "4\r\npart\r\n");
  CHECK(cut.find("secret") == std::string::npos);
}

TEST_CASE("front: pipelined streams and whole answers leave in order", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  toy_server net{1, {}, tls};
  client one(net.port(), 0, tls);
  REQUIRE(one.send(get("/wait?first") + get("/pour/200000") + get("/third", "Connection: close\r\n")));
  REQUIRE(net.notes.wait([&] { return net.notes.asked.size() == 3; }));
  net.release();
  CHECK(one.read_body() == "first");
  CHECK((unchunked(one.read_until("0\r\n\r\n")) == std::string(200'000, 'x')));
  CHECK(one.read_body() == "/third");
}

TEST_CASE("front: notify reaches the application of each thread", "[front]") {
  toy_server net(3);
  net.front.notify();
  CHECK(net.notes.wait([&] { return net.notes.notified == 3; }));
  net.front.notify();
  CHECK(net.notes.wait([&] { return net.notes.notified == 6; }));
  net.front.stop();
  net.front.notify();
  CHECK(net.notes.notified == 6);
}

TEST_CASE("front: during the notice of a drain new clients are served, and told that it is the last answer", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  toy_server net{1, {}, tls};
  client idle(net.port(), 0, tls);
  REQUIRE(idle.send(get("/")));
  REQUIRE(idle.read_body() == "/");
  auto done = std::async(std::launch::async, [&] { net.front.drain(patience, 3 * patience); });
  REQUIRE(net.notes.wait([&] { return net.notes.drained == 1; }));
  for (int i = 0; i < 3; ++i) {
    client fresh(net.port(), 0, tls);
    REQUIRE(fresh.send(get(numbered(i))));
    const std::string out = fresh.read_to_end();
    CHECK(is(out, 200));
    CHECK(out.find("Connection: close\r\n") != std::string::npos);
  }
  REQUIRE(idle.send(get("/idle")));
  CHECK(idle.read().find("Connection: close\r\n") != std::string::npos);
  CHECK(done.wait_for(0s) == std::future_status::timeout);
  net.front.stop();  // which cuts it short
  CHECK(done.wait_for(patience) == std::future_status::ready);
  CHECK(net.notes.drained == 1);
}

TEST_CASE("front: after its notice a drain takes no new connections and lets open requests finish", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  toy_server net{1, {}, tls};
  client open(net.port(), 0, tls);
  REQUIRE(open.send(get("/wait?1")));
  REQUIRE(net.notes.wait([&] { return net.notes.in_flight == 1; }));
  auto done = std::async(std::launch::async, [&] { net.front.drain(3 * patience, 20ms); });
  const auto until = std::chrono::steady_clock::now() + patience;
  bool refused = false;
  while (!refused && std::chrono::steady_clock::now() < until) {
    client late(net.port(), 0, tls);
    refused = !late.connected();
    if (!refused) late.send(get("/late"));
  }
  CHECK(refused);
  net.release();
  CHECK(open.read_body() == "1");
  CHECK(done.wait_for(patience) == std::future_status::ready);
  CHECK(net.notes.drained == 1);
  CHECK(net.notes.abandoned == 0);
}

TEST_CASE("front: a stream that would go on for ever does so during the notice of a drain, and ends whole after it", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  toy_server net{1, {}, tls};
  client one(net.port(), 0, tls);
  REQUIRE(one.send(get("/endless")));
  one.read_until("begun\r\n");
  auto done = std::async(std::launch::async, [&] { net.front.drain(3 * patience, 2s); });
  REQUIRE(net.notes.wait([&] { return net.notes.drained == 1; }));
  client fresh(net.port(), 0, tls);
  REQUIRE(fresh.send(get("/endless")));
  fresh.read_until("begun\r\n");
  CHECK(net.notes.closing == 0);
  CHECK(one.read_until("0\r\n\r\n") == "0\r\n\r\n");
  CHECK(fresh.read_until("0\r\n\r\n") == "0\r\n\r\n");
  CHECK(done.wait_for(patience) == std::future_status::ready);
  CHECK(net.notes.closing == 1);
  CHECK(net.notes.abandoned == 0);
}

TEST_CASE("front: a drain without notice ends endless streams at once", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  toy_server net{2, {}, tls};
  client one(net.port(), 0, tls);
  REQUIRE(one.send(get("/endless")));
  one.read_until("begun\r\n");
  net.front.drain(patience);
  CHECK(one.read_until("0\r\n\r\n") == "0\r\n\r\n");
  CHECK(net.notes.closing == 2);
}
