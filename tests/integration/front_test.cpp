#include "gateway/front/server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using namespace waggle::front;

namespace {

constexpr auto patience = 10s;

/// What the applications of a server's threads tell the test.
struct board {
  template <typename Change>
  void change(Change&& with) {
    const std::lock_guard hold(mutex);
    with();
    changed.notify_all();
  }
  template <typename Condition>
  bool wait(Condition&& until) {
    std::unique_lock hold(mutex);
    return changed.wait_for(hold, patience, until);
  }

  std::mutex mutex;
  std::condition_variable changed;
  int made = 0, destroyed = 0, drained = 0, in_flight = 0;
  std::set<std::thread::id> made_in, destroyed_in;
  std::vector<std::string> asked;
  int abandoned = 0;
  std::uint64_t events_read = 0;
  int deadlines = 0;
};

/// Paths are orders: /echo answers with the body, /wait waits for the test's word (written to the eventfd) and then
/// answers everything that waits, the last first; /size/N answers N bytes; /throw throws; /deadline answers 20 ms
/// later.
class toy final : public application {
 public:
  toy(responder& out, board& notes, int event) : out_(out), notes_(notes), event_(event) {
    notes_.change([&] {
      ++notes_.made;
      notes_.made_in.insert(std::this_thread::get_id());
    });
  }
  ~toy() override {
    notes_.change([&] {
      ++notes_.destroyed;
      notes_.destroyed_in.insert(std::this_thread::get_id());
    });
  }

  void on_request(instant now, exchange_id id, const request& in) override {
    const std::string path(in.path);
    if (path == "/wait") {
      waiting_.emplace_back(id, std::string(in.query));
    } else if (path == "/deadline") {
      due_ = now + 20ms;
      due_id_ = id;
    } else if (path == "/throw") {
      throw std::runtime_error("a secret");
    } else if (path.rfind("/size/", 0) == 0) {
      answer(id, std::string(std::stoul(path.substr(6)), 'x'));
    } else if (path == "/echo") {
      answer(id, std::string(in.body));
    } else {
      answer(id, path);
    }
    notes_.change([&] {
      notes_.asked.push_back(path);
      notes_.in_flight = static_cast<int>(waiting_.size());
    });
  }
  void on_abandoned(instant, exchange_id id) override {
    std::erase_if(waiting_, [&](const auto& one) { return one.first == id; });
    notes_.change([&] {
      ++notes_.abandoned;
      notes_.in_flight = static_cast<int>(waiting_.size());
    });
  }
  [[nodiscard]] int descriptor() const override { return event_; }
  void on_readable(instant) override {
    eventfd_t count = 0;
    if (::eventfd_read(event_, &count) != 0) return;
    for (auto at = waiting_.rbegin(); at != waiting_.rend(); ++at) answer(at->first, at->second);
    waiting_.clear();
    notes_.change([&] {
      notes_.events_read += count;
      notes_.in_flight = 0;
    });
  }
  [[nodiscard]] instant next_deadline() const override { return due_; }
  void on_deadline(instant) override {
    due_ = instant::max();
    answer(due_id_, "deadline");
    notes_.change([&] { ++notes_.deadlines; });
  }
  void on_drain(instant) override {
    notes_.change([&] { ++notes_.drained; });
  }

 private:
  void answer(exchange_id id, std::string body) { out_.respond(id, {200, "text/plain", std::move(body), {}}); }

  responder& out_;
  board& notes_;
  const int event_;
  std::vector<std::pair<exchange_id, std::string>> waiting_;
  instant due_ = instant::max();
  exchange_id due_id_{};
};

struct toy_server {
  explicit toy_server(unsigned threads = 1, limits bounds = {})
      : event(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), front(options(threads, bounds), [this](responder& out) {
          return std::make_unique<toy>(out, notes, event.get());
        }) {
    front.start();
  }

  server_options options(unsigned threads, limits bounds) {
    server_options out;
    out.threads = threads;
    out.bounds = bounds;
    out.log = [this](std::string_view line) { notes.change([&] { lines.emplace_back(line); }); };
    return out;
  }
  [[nodiscard]] std::uint16_t port() const {
    const std::string at = front.endpoint();
    return static_cast<std::uint16_t>(std::stoi(at.substr(at.rfind(':') + 1)));
  }
  void release() { ::eventfd_write(event.get(), 1); }

  board notes;
  std::vector<std::string> lines;
  unique_fd event;
  server front;
};

/// A blocking client with a time limit on every read.
class client {
 public:
  explicit client(std::uint16_t port, int receive_buffer = 0) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer > 0) {
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }

  [[nodiscard]] bool connected() const { return connected_; }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t size = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (size <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(size));
    }
    return true;
  }
  /// Sends what fits without waiting, and says how much that was.
  std::size_t send_what_fits(std::string_view bytes) {
    const ssize_t size = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return size < 0 ? 0 : static_cast<std::size_t>(size);
  }
  bool wait(short events) {
    pollfd one{fd_.get(), events, 0};
    return ::poll(&one, 1, static_cast<int>(std::chrono::milliseconds(patience).count())) == 1;
  }
  /// One whole answer (by its length), or what came before the end of the connection.
  std::string read() {
    for (;;) {
      const std::size_t head = buffer_.find("\r\n\r\n");
      if (head != std::string::npos) {
        const std::size_t at = buffer_.find("Content-Length: ");
        const std::size_t size = at < head ? std::stoul(buffer_.substr(at + 16)) : 0;
        if (buffer_.size() >= head + 4 + size) {
          const std::string out = buffer_.substr(0, head + 4 + size);
          buffer_.erase(0, out.size());
          return out;
        }
      }
      if (!more()) return std::exchange(buffer_, {});
    }
  }
  std::string read_body() {
    const std::string all = read();
    const std::size_t at = all.find("\r\n\r\n");
    return at == std::string::npos ? "" : all.substr(at + 4);
  }
  std::string read_to_end() {
    while (more()) {
    }
    return std::exchange(buffer_, {});
  }
  /// Whether the server ends the connection in time, with nothing more to read.
  bool ended() { return read_to_end().empty() && !timed_out_; }
  void end_sending() { ::shutdown(fd_.get(), SHUT_WR); }
  void reset() {
    const linger abort{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
    fd_.reset();
  }

 private:
  bool more() {
    if (!wait(POLLIN)) {
      timed_out_ = true;
      return false;
    }
    char bytes[65536];
    const ssize_t size = ::recv(fd_.get(), bytes, sizeof bytes, 0);
    if (size <= 0) return false;
    buffer_.append(bytes, static_cast<std::size_t>(size));
    return true;
  }

  unique_fd fd_;
  bool connected_ = false;
  bool timed_out_ = false;
  std::string buffer_;
};

std::string get(std::string_view path, std::string_view fields = "") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n";
}

std::string numbered(int i) { return std::string("/").append(std::to_string(i)); }

bool is(std::string_view answer, int status) {
  return answer.substr(0, 13) == "HTTP/1.1 " + std::to_string(status) + " ";
}

}  // namespace

TEST_CASE("front: a connection serves one request after another", "[front]") {
  toy_server net;
  client one(net.port());
  for (int i = 0; i < 100; ++i) {
    REQUIRE(one.send(get(numbered(i))));
    REQUIRE(one.read_body() == numbered(i));
  }
}

TEST_CASE("front: pipelined requests that are answered out of order leave in order", "[front]") {
  toy_server net;
  client one(net.port());
  REQUIRE(one.send(get("/wait?1") + get("/wait?2") + get("/at-once") + get("/wait?3")));
  REQUIRE(net.notes.wait([&] { return net.notes.in_flight == 3; }));
  net.release();
  CHECK(one.read_body() == "1");
  CHECK(one.read_body() == "2");
  CHECK(one.read_body() == "/at-once");
  CHECK(one.read_body() == "3");
}

TEST_CASE("front: a thousand pipelined requests are all answered in order", "[front]") {
  toy_server net(2);
  client one(net.port());
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
  toy_server net;
  client one(net.port());
  const std::string bytes =
      "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
  for (const char c : bytes) REQUIRE(one.send({&c, 1}));
  CHECK(one.read_body() == "abcde");
}

TEST_CASE("front: a body of a megabyte goes in and comes out", "[front]") {
  toy_server net;
  client one(net.port());
  std::string body(1024 * 1024, 'x');
  for (std::size_t i = 0; i < body.size(); i += 1000) body[i] = static_cast<char>('a' + i % 26);
  std::thread writer([&] {
    one.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  });
  CHECK((one.read_body() == body));
  writer.join();
}

TEST_CASE("front: a slow reader gets all of a large answer, and others are served meanwhile", "[front]") {
  toy_server net;
  client slow(net.port(), 4096);
  REQUIRE(slow.send(get("/size/5000000")));
  REQUIRE(slow.wait(POLLIN));
  client other(net.port());
  for (int i = 0; i < 20; ++i) {
    REQUIRE(other.send(get("/")));
    REQUIRE(other.read_body() == "/");
  }
  CHECK(slow.read_body().size() == 5'000'000);
}

TEST_CASE("front: a client that does not read is not read from for ever", "[front]") {
  toy_server net;
  client flooder(net.port(), 4096);
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
    client other(net.port());
    if (!other.send(get("/")) || other.read_body() != "/") break;
    // Full, and still full after the server has been round its loop for somebody else.
    if (flooder.send_what_fits(flood) == 0) break;
  }
  CHECK(taken < much);
}

TEST_CASE("front: a half-closed client gets its answers", "[front]") {
  toy_server net;
  client one(net.port());
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
  toy_server net;
  client one(net.port());
  REQUIRE(one.send(get("/wait?1") + get("/wait?2")));
  REQUIRE(net.notes.wait([&] { return net.notes.in_flight == 2; }));
  one.reset();
  CHECK(net.notes.wait([&] { return net.notes.abandoned == 2; }));
}

TEST_CASE("front: an answer for a client that has gone reaches nobody", "[front]") {
  toy_server net;
  std::vector<client> gone;
  for (int i = 0; i < 8; ++i) {
    gone.emplace_back(net.port());
    REQUIRE(gone.back().send(get("/wait?old")));
  }
  REQUIRE(net.notes.wait([&] { return net.notes.in_flight == 8; }));
  for (client& one : gone) one.reset();
  REQUIRE(net.notes.wait([&] { return net.notes.abandoned == 8; }));
  std::vector<client> fresh;
  for (int i = 0; i < 8; ++i) {
    fresh.emplace_back(net.port());
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
  toy_server net;
  client one(net.port());
  REQUIRE(one.send("GET / HTTP/1.1\r\nHost : a\r\n\r\n"));
  for (int i = 0; i < 10; ++i) one.send(get("/smuggled"));
  const std::string out = one.read_to_end();
  CHECK(is(out, 400));
  CHECK(out.find("HTTP/1.1", 1) == std::string::npos);
  one.send(get("/smuggled"));
  CHECK(net.notes.asked.empty());
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
  limits bounds;
  bounds.body_bytes_max = 100 * 1024 * 1024;
  bounds.buffered_bytes_max = 1024 * 1024;
  toy_server net(1, bounds);
  client large(net.port()), small(net.port());
  REQUIRE(large.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n"));
  std::thread writer([&] { large.send(std::string(8 * 1024 * 1024, 'x')); });
  CHECK(is(large.read(), 503));
  writer.join();
  REQUIRE(small.send(get("/small")));
  CHECK(small.read_body() == "/small");

  client slow(net.port(), 4096);
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
  options.port = net.port();
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
  options.port = first->port();
  client one(first->port());
  REQUIRE(one.send(get("/")));
  REQUIRE(one.read_body() == "/");
  first.reset();  // which leaves the connection in TIME_WAIT on the server's side
  board notes;
  server again(options, [&](responder& out) { return std::make_unique<toy>(out, notes, -1); });
  again.start();
  client two(options.port);
  REQUIRE(two.send(get("/again")));
  CHECK(two.read_body() == "/again");
}

TEST_CASE("front: hosts are names, addresses of both kinds, or all interfaces", "[front]") {
  board notes;
  const auto endpoint = [&](const std::string& host) {
    server_options options;
    options.host = host;
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

TEST_CASE("front: the application's descriptor wakes it once for each edge", "[front]") {
  toy_server net;
  for (std::uint64_t i = 1; i <= 50; ++i) {
    net.release();
    REQUIRE(net.notes.wait([&] { return net.notes.events_read == i; }));
  }
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

TEST_CASE("front: late heads and bodies get 408, idle clients are let go", "[front]") {
  limits bounds;
  bounds.head_time = 30ms;
  bounds.body_grace_time = 30ms;
  bounds.idle_time = 60ms;
  toy_server net(1, bounds);
  client head(net.port()), body(net.port()), idle(net.port()), used(net.port());
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
  limits bounds;
  bounds.write_stall_time = 50ms;
  bounds.output_bytes_max = 1024 * 1024 * 1024;  // so that the second request is read at all
  toy_server net(1, bounds);
  client stalled(net.port(), 4096);
  REQUIRE(stalled.send(get("/size/20000000") + get("/wait?1")));
  CHECK(net.notes.wait([&] { return net.notes.abandoned == 1; }));
}

TEST_CASE("front: a client that does not close after its last answer is let go", "[front]") {
  limits bounds;
  bounds.linger_time = 30ms;
  bounds.connections_max = 1;
  toy_server net(1, bounds);
  client one(net.port());
  REQUIRE(one.send(get("/", "Connection: close\r\n")));
  REQUIRE(one.read_body() == "/");
  const auto until = std::chrono::steady_clock::now() + patience;
  std::string body;
  while (body != "/" && std::chrono::steady_clock::now() < until) {
    client next(net.port());
    next.send(get("/"));
    body = next.read_body();
  }
  CHECK(body == "/");
}

TEST_CASE("front: drain lets open requests finish, ends idle connections and takes no new ones", "[front]") {
  toy_server net;
  client idle(net.port());
  REQUIRE(idle.send(get("/")));
  REQUIRE(idle.read_body() == "/");
  {
    client open(net.port());
    REQUIRE(open.send(get("/wait?1")));
    REQUIRE(net.notes.wait([&] { return net.notes.in_flight == 1; }));
    auto done = std::async(std::launch::async, [&] { net.front.drain(3 * patience); });
    REQUIRE(net.notes.wait([&] { return net.notes.drained == 1; }));
    CHECK(idle.ended());
    client late(net.port());
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
  toy_server net;
  client open(net.port());
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
  for (int round = 0; round < 3; ++round) {
    toy_server net(2);
    std::atomic<bool> stopping = false;
    std::atomic<int> answers = 0;
    std::vector<std::thread> load;
    for (int i = 0; i < 8; ++i) {
      load.emplace_back([&, port = net.port()] {
        while (!stopping) {
          client one(port);
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
