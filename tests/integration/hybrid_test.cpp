// Broker, gateway and service in one process, over HTTP as clients speak it.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <fstream>
#include <mutex>

#include <waggle/detail/hybrid.hpp>

#include "network_fixture.hpp"

namespace {

using namespace waggle;
using namespace waggle::test;

/// All that a server says to one request, until it closes.
std::string fetch(const std::string& http, const std::string& path) {
  const auto colon = http.rfind(':');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(http.substr(colon + 1))));
  ::inet_pton(AF_INET, http.substr(0, colon).c_str(), &to.sin_addr);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  timeval patience{20, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::string out;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) {
    const auto request = "GET " + path + " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    [[maybe_unused]] const auto sent = ::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    char buffer[4096];
    for (ssize_t got; (got = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) out.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(fd);
  return out;
}

int status_of(const std::string& answer) { return answer.size() < 12 ? 0 : std::stoi(answer.substr(9, 3)); }
bool says(const std::string& answer, std::string_view what) { return answer.find(what) != std::string::npos; }

service_options joins(detail::hybrid& around) {
  service_options out;
  out.broker = around.broker();
  out.sockets = &around.sockets();
  return out;
}

}  // namespace

TEST_CASE("hybrid: one process answers its service's routes, and nobody else can get at its broker", "[hybrid]") {
  service hello{"hello", "1"};
  hello.on("hello.say", [] { return std::string{"hello"}; }).http("GET /hello").safe();
  std::atomic<int> told{0};
  const auto around = detail::start_hybrid({.service = "hello", .version = "1", .http = "127.0.0.1:0", .on_routes = [&] { ++told; }});
  CHECK(around->broker().starts_with("inproc://"));
  CHECK(around->listen().empty());
  CHECK(status_of(fetch(around->http(), "/livez")) == 200);
  CHECK(told == 0);
  running_service serving{hello, joins(*around)};
  REQUIRE(eventually([&] { return told == 1; }));
  for (int i = 0; i < 20; ++i) CHECK(says(fetch(around->http(), "/hello"), "\r\n\r\n\"hello\""));  // whichever thread it meets
  CHECK(status_of(fetch(around->http(), "/other")) == 404);
  CHECK(told == 1);
}

TEST_CASE("hybrid: its broker lets others in where --listen says, and their routes are served, too", "[hybrid]") {
  service hello{"hello", "1"}, other{"other", "1"};
  hello.on("hello.say", [] { return 1; }).http("GET /hello");
  other.on("other.say", [] { return 2; }).http("GET /other");
  const auto around = detail::start_hybrid({.service = "hello", .version = "1", .http = "127.0.0.1:0", .listen = "tcp://127.0.0.1:*"});
  running_service serving{hello, joins(*around)};
  service_options from_outside;
  from_outside.broker = around->listen();
  running_service beside{other, from_outside};
  REQUIRE(beside.joined_at_all);
  CHECK(eventually([&] { return status_of(fetch(around->http(), "/other")) == 200; }));
  client net{{.broker = around->listen()}};
  CHECK(net.call<int>("hello.say", nothing{}, 10s).value_or(0) == 1);
  // Subscribers are told where events leave: not at an inproc:// that ends with this process.
  auto events = subscriber::open({"x."}, {.broker = around->listen()});
  REQUIRE(events);
  CHECK(net.emit("x.y", 1, 5s));
  CHECK(events->next(10s).has_value());
}

TEST_CASE("hybrid: in a network it serves its own service's routes and those of files, and calls anybody", "[hybrid]") {
  net::context sockets;
  running_broker broker{sockets};
  service hello{"hello", "1"}, other{"other", "1"};
  hello.on("hello.say", [] { return 1; }).http("GET /hello").safe();
  other.on("other.say", [] { return 2; }).http("GET /other").safe();
  service_options from_outside;
  from_outside.broker = broker.commands();
  running_service beside{other, from_outside};
  const socket_folder folder;
  const auto file = (folder.path / "routes.yaml").string();
  std::ofstream{file} << "routes:\n  - route: GET /from-a-file\n    call: other.say\n";
  std::atomic<int> told{0};
  const auto around = detail::start_hybrid({.service = "hello", .version = "1", .http = "127.0.0.1:0", .broker = broker.commands(),
                                            .routes = {file}, .on_routes = [&] { ++told; }});
  CHECK(around->broker() == broker.commands());
  running_service serving{hello, joins(*around)};
  REQUIRE(eventually([&] { return told == 1; }));
  CHECK(status_of(fetch(around->http(), "/hello")) == 200);
  CHECK(says(fetch(around->http(), "/from-a-file"), "\r\n\r\n2"));
  CHECK(status_of(fetch(around->http(), "/other")) == 404);
}

TEST_CASE("hybrid: a drain lets open requests finish while the service goes on", "[hybrid]") {
  service slow{"slow", "1"};
  std::atomic<int> running{0};
  std::atomic<bool> may_end{false};
  slow.on("slow.wait", [&] {
    ++running;
    eventually([&] { return may_end.load(); });
    return 7;
  }).http("GET /slow");
  std::atomic<int> told{0};
  const auto around = detail::start_hybrid({.service = "slow", .version = "1", .http = "127.0.0.1:0", .on_routes = [&] { ++told; }});
  running_service serving{slow, joins(*around)};
  REQUIRE(eventually([&] { return told == 1; }));
  const auto http = around->http();
  std::string answers[4];
  std::vector<std::thread> clients;
  for (auto& each : answers) clients.emplace_back([&each, &http] { each = fetch(http, "/slow"); });
  REQUIRE(eventually([&] { return running == 4; }));
  std::thread closing{[&] { around->drain(10s); }};
  CHECK(eventually([&] { return fetch(http, "/livez").empty(); }));  // takes nobody in any more
  may_end = true;
  for (auto& each : clients) each.join();
  closing.join();
  for (const auto& each : answers) CHECK(says(each, "\r\n\r\n7"));
}

TEST_CASE("hybrid: what cannot be had is refused with the flag that helps", "[hybrid]") {
  const auto refusal = [](detail::hybrid_options with) -> std::string {
    with.service = "x";
    try {
      const auto none = detail::start_hybrid(std::move(with));
    } catch (const std::exception& e) {
      return e.what();
    }
    return {};
  };
  const auto first = detail::start_hybrid({.service = "x", .version = "1", .http = "127.0.0.1:0", .listen = "tcp://127.0.0.1:*"});
  CHECK(says(refusal({.http = first->http()}), "in use; choose another address with --http or WAGGLE_HTTP_SELF"));
  const auto listen = refusal({.http = "127.0.0.1:0", .listen = first->listen()});
  CHECK(says(listen, "in use"));
  CHECK(says(listen, "--listen"));
  CHECK(says(refusal({.http = "8101"}), "write HOST:PORT"));
  CHECK(says(refusal({.http = "127.0.0.1:0", .broker = "nonsense"}), "--broker"));
  const socket_folder folder;
  const auto file = (folder.path / "routes.yaml").string();
  std::ofstream{file} << "routes:\n  - route: GET /x\n    cal: other.say\n";
  CHECK(says(refusal({.http = "127.0.0.1:0", .routes = {file}}), file + ":"));
}

TEST_CASE("service: an endpoint that is none leaves no socket behind in a context that it shares", "[service]") {
  net::context sockets;  // would not end
  service none{"none", "1"};
  none.on("none.say", [] { return 1; });
  service_options with;
  with.broker = "nonsense";
  with.sockets = &sockets;
  CHECK_THROWS_AS(none.serve(with, std::stop_token{}), net::endpoint_error);
}
