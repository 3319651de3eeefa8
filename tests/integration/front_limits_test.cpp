#include "front_fixture.hpp"

#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace front_fixture;

TEST_CASE("front: a client that does not read is not read from for ever", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  toy_server net{1, {}, tls};
  client flooder(net.port(), 4096, tls);
  const std::string flood = [] {
    std::string out;
    for (int i = 0; i < 1000; ++i) out += get("/size/1000");
    return out;
  }();
  // The server's output bound and the kernel's buffers fill; a server without a bound would take everything.
  std::size_t taken = 0;
  constexpr std::size_t much = 256 * 1024 * 1024;
  while (taken < much) {
    const std::size_t size = flooder.send_what_fits(flood);
    taken += size;
    if (size > 0) continue;
    client other(net.port(), 0, tls);
    if (!other.send(get("/")) || other.read_body() != "/") break;
    // Full, and still full after the server has been round its loop for somebody else.
    if (flooder.send_what_fits(flood) == 0) break;
  }
  CHECK(taken < much);
}

TEST_CASE("front: past the most connections a client is told and not served", "[front]") {
  limits bounds;
  bounds.connections_max = 3;
  toy_server net(1, bounds);
  std::vector<client> held;
  for (int i = 0; i < 3; ++i) {
    held.emplace_back(net.port());
    REQUIRE(held.back().send(get("/")));
    REQUIRE(held.back().read_body() == "/");
  }
  client refused(net.port());
  const std::string out = refused.read_to_end();
  CHECK(is(out, 503));
  CHECK(out.find("Retry-After: ") != std::string::npos);
  CHECK(out.find("Connection: close") != std::string::npos);

  held.pop_back();
  // The place is free once the server has seen the client go.
  const auto until = std::chrono::steady_clock::now() + patience;
  std::string body;
  while (body != "/" && std::chrono::steady_clock::now() < until) {
    client next(net.port());
    next.send(get("/"));
    body = next.read_body();
  }
  CHECK(body == "/");
}

TEST_CASE("front: a thread holds no more bytes for its clients than it may, and small requests still pass", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  limits bounds;
  bounds.body_bytes_max = 100 * 1024 * 1024;
  bounds.buffered_bytes_max = 1024 * 1024;
  toy_server net{1, bounds, tls};
  client large(net.port(), 0, tls), small(net.port(), 0, tls);
  REQUIRE(large.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n"));
  std::thread writer([&] { large.send(std::string(8 * 1024 * 1024, 'x')); });
  CHECK(is(large.read(), 503));
  writer.join();
  REQUIRE(small.send(get("/small")));
  CHECK(small.read_body() == "/small");

  client slow(net.port(), 4096, tls);
  REQUIRE(slow.send(get("/size/20000000") + get("/wait?1")));
  CHECK(slow.read().size() < 20'000'000);
  REQUIRE(small.send(get("/small")));
  CHECK(small.read_body() == "/small");
}

TEST_CASE("front: out of descriptors a client is told, and served once there are some again", "[front]") {
  // In a process of its own, since the limit is the process's; this one has threads, so the child only execs itself.
  if (::getenv("WAGGLE_FRONT_TEST_CHILD") == nullptr) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::setenv("WAGGLE_FRONT_TEST_CHILD", "1", 1);
      ::execl("/proc/self/exe", "front_test", "front: out of descriptors a client is told*",
              static_cast<char*>(nullptr));
      ::_exit(127);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
    return;
  }
  toy_server net;
  client held(net.port());
  REQUIRE(held.send(get("/")));
  REQUIRE(held.read_body() == "/");
  // The clients' own sockets are made before the limit is lowered to what is in use.
  std::vector<unique_fd> sockets;
  for (int i = 0; i < 4; ++i) sockets.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int in_use = ::dup(0);
  ::close(in_use);
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(net.port());
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const rlimit low{static_cast<rlim_t>(in_use), before.rlim_max};
  const bool lowered = ::setrlimit(RLIMIT_NOFILE, &low) == 0;
  // Nothing is checked while descriptors are short: the sanitizers' own checks need some.
  std::vector<std::string> answers;
  for (const unique_fd& fd : sockets) {
    std::string& out = answers.emplace_back(1024, ' ');
    pollfd one{fd.get(), POLLIN, 0};
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 || ::poll(&one, 1, 10'000) != 1)
      break;
    out.resize(static_cast<std::size_t>(std::max<ssize_t>(::recv(fd.get(), out.data(), out.size(), 0), 0)));
  }
  // Those who are in stay in.
  held.send(get("/held"));
  const std::string held_body = held.read_body();
  ::setrlimit(RLIMIT_NOFILE, &before);
  REQUIRE(lowered);
  CHECK(held_body == "/held");
  CHECK(answers.size() == sockets.size());
  for (const std::string& out : answers) CHECK(is(out, 503));

  client next(net.port());
  REQUIRE(next.send(get("/next")));
  CHECK(next.read_body() == "/next");
}

TEST_CASE("front: late heads and bodies get 408, idle clients are let go", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  limits bounds;
  bounds.head_time = 30ms;
  bounds.body_grace_time = 30ms;
  bounds.idle_time = 60ms;
  toy_server net{1, bounds, tls};
  client head(net.port(), 0, tls), body(net.port(), 0, tls), idle(net.port(), 0, tls), used(net.port(), 0, tls);
  REQUIRE(head.send("GET / HTTP/1.1\r\nHost: "));
  REQUIRE(body.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe"));
  REQUIRE(used.send(get("/used")));
  CHECK(is(head.read_to_end(), 408));
  CHECK(is(body.read_to_end(), 408));
  CHECK(idle.ended());
  CHECK(used.read_body() == "/used");
  CHECK(used.ended());
}

TEST_CASE("front: a client that stops reading is let go and its requests abandoned", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  limits bounds;
  bounds.write_stall_time = 50ms;
  bounds.output_bytes_max = 1024 * 1024 * 1024;  // so that the second request is read at all
  toy_server net{1, bounds, tls};
  client stalled(net.port(), 4096, tls);
  REQUIRE(stalled.send(get("/size/20000000") + get("/wait?1")));
  CHECK(net.notes.wait([&] { return net.notes.abandoned == 1; }));
}

TEST_CASE("front: a client that does not close after its last answer is let go", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  limits bounds;
  bounds.linger_time = 30ms;
  bounds.connections_max = 1;
  toy_server net{1, bounds, tls};
  client one(net.port(), 0, tls);
  REQUIRE(one.send(get("/", "Connection: close\r\n")));
  REQUIRE(one.read_body() == "/");
  const auto until = std::chrono::steady_clock::now() + patience;
  std::string body;
  while (body != "/" && std::chrono::steady_clock::now() < until) {
    client next(net.port(), 0, tls);
    next.send(get("/"));
    body = next.read_body();
  }
  CHECK(body == "/");
}

TEST_CASE("front: thousands of idle connections stop nobody", "[front]") {
  // Both ends are in this process.
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  const rlimit most{files.rlim_max, files.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &most);
  const std::size_t count = std::min<std::size_t>(5000, (most.rlim_cur - 200) / 2);
  {
    toy_server net(2);
    std::vector<client> idle;
    idle.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      idle.emplace_back(net.port());
      REQUIRE(idle.back().connected());
      // Some have asked something, some are amid a request, the others have said nothing.
      if (i % 3 == 0) REQUIRE(idle.back().send(get("/")));
      if (i % 3 == 1) REQUIRE(idle.back().send("GET / HTTP/1.1\r\nHo"));
    }
    client busy(net.port());
    for (int i = 0; i < 200; ++i) {
      REQUIRE(busy.send(get(numbered(i))));
      REQUIRE(busy.read_body() == numbered(i));
    }
    // They are all still there.
    for (std::size_t i = 0; i < count; i += 97) {
      if (i % 3 == 0) REQUIRE(idle[i].read_body() == "/");
      REQUIRE(idle[i].send(i % 3 == 1 ? "st: a\r\n\r\n" : get("/")));
      REQUIRE(idle[i].read_body() == "/");
    }
  }
  ::setrlimit(RLIMIT_NOFILE, &files);
}

TEST_CASE("front: slow heads and bodies get 408 in time although bytes keep coming, and others are served meanwhile", "[front]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  limits bounds;
  bounds.head_time = 100ms;
  bounds.body_grace_time = 100ms;
  bounds.body_bytes_per_second_min = 10'000'000;
  toy_server net{1, bounds, tls};
  std::vector<client> slow;
  for (int i = 0; i < 100; ++i) {
    slow.emplace_back(net.port(), 0, tls);
    REQUIRE(slow.back().send(i % 2 == 0 ? "GET / HTTP/1.1\r\nHost: a\r\nX: " : "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"));
  }
  client other(net.port(), 0, tls);
  const auto until = std::chrono::steady_clock::now() + patience;
  std::size_t refused = 0;
  while (refused < slow.size() && std::chrono::steady_clock::now() < until) {
    refused = 0;
    for (client& one : slow) {
      one.send("x");  // a byte at a time, for as long as it is let
      refused += one.has_input();
    }
    REQUIRE(other.send(get("/other")));
    REQUIRE(other.read_body() == "/other");
  }
  CHECK(refused == slow.size());
  for (client& one : slow) CHECK(is(one.read(), 408));
  CHECK(net.notes.asked == std::vector<std::string>(net.notes.asked.size(), "/other"));
}
