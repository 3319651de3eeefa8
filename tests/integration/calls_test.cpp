#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <barrier>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <set>

#include "network_fixture.hpp"

namespace {

struct say {
  std::string name;
};
struct greeting {
  std::string message;
};
struct counting {
  int to = 0;
};
struct seen {
  std::string traceparent;
  std::string key;
  long long budget_ms = 0;
};
WAGGLE_FIELDS(say, name)
WAGGLE_FIELDS(greeting, message)
WAGGLE_FIELDS(counting, to)
WAGGLE_FIELDS(seen, traceparent, key, budget_ms)

using namespace waggle;
using namespace waggle::test;

}  // namespace

TEST_CASE("network: a typed call reaches its handler and the answer its caller", "[network]") {
  net::context sockets;
  running_broker broker{sockets};
  service hello{"hello", "1.0.0"};
  hello.on("hello.say", [](const say& in) { return greeting{"hello " + in.name}; }).safe();
  running_service serving{hello, at(broker, sockets)};
  REQUIRE(serving.joined_at_all);
  client net{caller(broker, sockets)};

  const auto reply = net.call<greeting>("hello.say", say{"Ada"}, 5s);
  REQUIRE(reply.has_value());
  CHECK(reply->message == "hello Ada");
}

TEST_CASE("network: quick handlers answer and fail as others do, beside those of the pool", "[network]") {
  net::context sockets;
  running_broker broker{sockets};
  service mixed{"mixed", "1.0.0"};
  std::atomic<std::thread::id> ran_on;
  mixed.on("quick.say", [&](const say& in, context& with) {
    ran_on = std::this_thread::get_id();
    return greeting{std::string{with.header("tone")} + in.name};
  }).quick();
  mixed.on("quick.fails", [](const say&) -> result<greeting> { return failure(status::not_found, "nobody of that name"); }).quick();
  mixed.on("quick.throws", []() -> greeting { throw std::runtime_error{"secret"}; }).quick();
  std::atomic<bool> slow_may_end{false};
  mixed.on("slow.say", [&](const say& in) {
    while (!slow_may_end) std::this_thread::yield();
    return greeting{in.name};
  });
  running_service serving{mixed, at(broker, sockets)};
  REQUIRE(serving.joined_at_all);
  client net{caller(broker, sockets)};

  auto slow = net.call_async<greeting>("slow.say", say{"Bob"}, 10s);
  const auto reply = net.call<greeting>("quick.say", say{"Ada"}, 5s, {.headers = {{"tone", "dear "}}});
  REQUIRE(reply.has_value());
  CHECK(reply->message == "dear Ada");
  const auto first = ran_on.load();
  REQUIRE(net.call<greeting>("quick.say", say{"Ada"}, 5s).has_value());
  CHECK(ran_on.load() == first);  // the connection's, always
  const auto wrong = net.call<greeting>("quick.say", counting{1}, 5s);
  REQUIRE_FALSE(wrong.has_value());
  CHECK((wrong.error().code == status::invalid_argument && !wrong.error().may_have_run));
  const auto fails = net.call<greeting>("quick.fails", say{"x"}, 5s);
  REQUIRE_FALSE(fails.has_value());
  CHECK((fails.error().code == status::not_found && fails.error().may_have_run));
  const auto throws = net.call<greeting>("quick.throws", nothing{}, 5s);
  REQUIRE_FALSE(throws.has_value());
  CHECK(throws.error().code == status::internal);
  CHECK(throws.error().message.find("secret") == std::string::npos);
  slow_may_end = true;
  CHECK(slow.get().value().message == "Bob");
}

TEST_CASE("network: handlers of the pool that fill all their slots, and more that wait, do not delay quick ones", "[network]") {
  net::context sockets;
  running_broker broker{sockets};
  service mixed{"mixed", "1"};
  std::atomic<bool> over{false};
  std::atomic<int> slow{0};
  mixed.on("mixed.slow", [&] { ++slow, eventually([&] { return over.load(); }); });
  mixed.on("mixed.quick", [](int in) { return in; }).quick();
  auto with = at(broker, sockets, 2);
  with.slots = 2;
  running_service serving{mixed, with};
  client net{caller(broker, sockets)};
  std::vector<std::future<result<nothing>>> waiting;
  for (int i = 0; i < 8; ++i) waiting.push_back(net.call_async<nothing>("mixed.slow", nothing{}, 60s));
  REQUIRE(eventually([&] { return slow == 2; }));
  int wrong = 0;
  for (int i = 0; i < 100; ++i) {
    const auto got = net.call<int>("mixed.quick", i, 20s);
    wrong += got && *got == i ? 0 : 1;
  }
  CHECK(wrong == 0);
  CHECK(slow == 2);  // no more than it has slots for
  over = true;
  for (auto& each : waiting) CHECK(each.get().has_value());
}

TEST_CASE("network: a quick handler that would wait for its own thread fails instead", "[network]") {
  net::context sockets;
  running_broker broker{sockets};
  service mixed{"mixed", "1.0.0"};
  mixed.on("quick.part", [](context& with) { return with.part(1), nothing{}; }).quick();
  mixed.on("quick.calls", [](context& with) { return with.call<greeting>("quick.part", nothing{}); }).quick();
  running_service serving{mixed, at(broker, sockets)};
  REQUIRE(serving.joined_at_all);
  client net{caller(broker, sockets)};
  for (const auto* each : {"quick.part", "quick.calls"}) {
    const auto got = net.call<nothing>(each, nothing{}, 5s);
    REQUIRE_FALSE(got.has_value());
    CHECK((got.error().code == status::internal && got.error().may_have_run));
  }

  service wrong{"wrong", "1"};
  wrong.on("x", [](context&) {}).streams().quick();
  CHECK_THROWS_AS(wrong.serve(at(broker, sockets), {}), std::invalid_argument);
}

TEST_CASE("network: a service whose handlers are all quick takes a thousand calls at a time, and answers each once", "[network]") {
  net::context sockets;
  running_broker broker{sockets};
  service echo{"echo", "1"};
  echo.on("echo.number", [](int in) { return in; }).quick();
  running_service serving{echo, at(broker, sockets)};
  REQUIRE(serving.joined_at_all);
  client net{caller(broker, sockets)};
  constexpr int calls = 8'000;  // as many may wait
  std::vector<std::atomic<int>> answered(calls);
  std::atomic<int> ended{0};
  for (int i = 0; i < calls; ++i) {
    net.start<int>("echo.number", i, 20s, [&, i](result<int> got) {
      if (got && *got == i) ++answered[static_cast<std::size_t>(i)];
      ++ended;
    });
  }
  REQUIRE(eventually([&] { return ended == calls; }, 30s));
  CHECK(std::all_of(answered.begin(), answered.end(), [](const auto& each) { return each == 1; }));
}

TEST_CASE("network: what a handler cannot take is refused with the path, and has not run", "[network]") {
  net::context sockets;
  running_broker broker{sockets};
  std::atomic<int> runs{0};
  service hello{"hello", "1.0.0"};
  hello.on("hello.say", [&](const say& in) { return ++runs, greeting{in.name}; });
  running_service serving{hello, at(broker, sockets)};
  client net{caller(broker, sockets)};

  const auto reply = net.call<greeting>("hello.say", counting{3}, 5s);
  REQUIRE_FALSE(reply.has_value());
  CHECK(reply.error().code == status::invalid_argument);
  CHECK_FALSE(reply.error().may_have_run);
  REQUIRE(reply.error().problems.size() == 1);
  CHECK(reply.error().problems[0].path == "name");
  CHECK(runs == 0);
}

TEST_CASE("network: failures of a handler reach the caller as what they are, exceptions without their text", "[network]") {
  net::context sockets;
  running_broker broker{sockets};
  service store{"store", "1"};
  store.on("store.find", [](const say& in) -> result<greeting> {
    if (in.name == "throw") throw std::runtime_error{"secret detail"};
    return failure(status::not_found, "there is no " + in.name);
  });
  running_service serving{store, at(broker, sockets)};
  client net{caller(broker, sockets)};

  const auto missing = net.call<greeting>("store.find", say{"Bob"}, 5s);
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().code == status::not_found);
  CHECK(missing.error().message == "there is no Bob");
  CHECK(missing.error().may_have_run);

  const auto thrown = net.call<greeting>("store.find", say{"throw"}, 5s);
  REQUIRE_FALSE(thrown.has_value());
  CHECK(thrown.error().code == status::internal);
  CHECK(thrown.error().message.find("secret") == std::string::npos);
}

TEST_CASE("network: an unknown command and a served one without workers have different answers", "[network]") {
  net::context sockets;
  running_broker broker{sockets};
  client net{caller(broker, sockets)};
  CHECK(net.call<nothing>("nobody.serves", nothing{}, 5s).error().code == status::unimplemented);
  {
    service hello{"hello", "1"};
    hello.on("hello.say", [](const say& in) { return in; });
    running_service serving{hello, at(broker, sockets)};
    CHECK(net.call<say>("hello.say", say{"x"}, 5s).has_value());
  }
  const auto gone = net.call<say>("hello.say", say{"x"}, 5s);
  CHECK(gone.error().code == status::unavailable);
  CHECK_FALSE(gone.error().may_have_run);
}

TEST_CASE("client: without a broker a call ends within its budget and says truly that it has not run", "[client]") {
  client_options nowhere;
  nowhere.broker = "ipc:///nonexistent-folder/waggle-test";
  client net{nowhere};
  const auto before = std::chrono::steady_clock::now();
  const auto reply = net.call<nothing>("hello.say", nothing{}, 50ms);
  CHECK(reply.error().code == status::unavailable);
  CHECK_FALSE(reply.error().may_have_run);
  CHECK(std::chrono::steady_clock::now() - before < 5s);
}

TEST_CASE("client: ten thousand calls under way each get the answer that is theirs", "[client]") {
  net::context sockets;
  running_broker broker{sockets};
  service twice{"twice", "1"};
  twice.on("twice.of", [](int in) { return 2 * in; });
  auto with = at(broker, sockets);
  with.slots = 256;
  running_service serving{twice, with};
  client net{caller(broker, sockets)};

  std::vector<std::future<result<int>>> answers;
  for (int i = 0; i < 10'000; ++i) answers.push_back(net.call_async<int>("twice.of", i, 60s));
  int wrong = 0;
  for (int i = 0; i < 10'000; ++i) {
    const auto got = answers[static_cast<std::size_t>(i)].get();
    wrong += got && *got == 2 * i ? 0 : 1;
  }
  CHECK(wrong == 0);
}

TEST_CASE("client: calls that callbacks begin reach the network in the order in which they were begun, whichever way they go", "[client]") {
  net::context sockets;
  running_broker broker{sockets};
  std::mutex mutex;
  std::vector<int> reached;
  service numbers{"numbers", "1"};
  numbers.on("numbers.take", [&](int in) {
    const std::lock_guard lock{mutex};
    reached.push_back(in);
  }).quick();
  running_service serving{numbers, at(broker, sockets)};
  REQUIRE(serving.joined_at_all);
  constexpr int calls = 300;
  client net{caller(broker, sockets)};
  std::atomic<int> ended{0};
  int begun = 0;  // of the client's thread
  std::function<void(result<nothing>)> next = [&](const result<nothing>&) {
    for (int i = 0; i < 3 && begun < calls; ++i) net.start<nothing>("numbers.take", begun++, 20s, next);
    ++ended;
  };
  net.start<nothing>("numbers.take", -1, 20s, next);
  REQUIRE(eventually([&] { return ended == calls + 1; }));
  const std::lock_guard lock{mutex};
  REQUIRE(reached.size() == calls + 1);
  CHECK(std::is_sorted(reached.begin(), reached.end()));
}

TEST_CASE("client: a ticket of a call that has ended gives up none that came after it", "[client]") {
  net::context sockets;
  running_broker broker{sockets};
  service echo{"echo", "1"};
  echo.on("echo.number", [](int in) { return in; }).quick();
  running_service serving{echo, at(broker, sockets)};
  REQUIRE(serving.joined_at_all);
  client net{caller(broker, sockets)};
  std::atomic<int> good{0}, ended{0};
  client::ticket last;  // of the client's thread
  std::function<void(result<int>)> next = [&](const result<int>& got) {
    if (got) ++good;
    auto of_ended = last;
    if (ended < 200) last = net.start<int>("echo.number", 1, 20s, next);
    of_ended.cancel();
    ++ended;
  };
  net.start<int>("echo.number", 1, 20s, next);
  REQUIRE(eventually([&] { return ended == 201; }));
  CHECK(good == 201);
}

TEST_CASE("client: a callback is shown the payload where it was received, or why there is none", "[client]") {
  net::context sockets;
  running_broker broker{sockets};
  service echo{"echo", "1"};
  echo.on("echo.value", [](value in) { return in; }).quick();
  running_service serving{echo, at(broker, sockets)};
  REQUIRE(serving.joined_at_all);
  client net{caller(broker, sockets)};
  for (const std::size_t size : {std::size_t{1}, std::size_t{500}, std::size_t{520}, std::size_t{100'000}}) {
    std::string payload;
    append_payload(payload, std::string(size, 'x'));
    std::promise<std::string> got;
    net.start_view("echo.value", payload, 20s, [&, only = std::make_unique<int>(1)](const result<std::string_view>& reply) {
      got.set_value(reply ? std::string{*reply} : reply.error().message);
    });
    CHECK(got.get_future().get() == payload);
  }
  std::promise<error> why;
  net.start_view("nobody.has_it", "\xc0", 20s, [&](result<std::string_view> reply) { why.set_value(std::move(reply.error())); });
  CHECK(why.get_future().get().code == status::unimplemented);
}

TEST_CASE("client: a callback that begins a call whenever one is refused does not run inside itself", "[client]") {
  client_options nowhere;
  nowhere.broker = "ipc:///nonexistent-folder/waggle-test";
  const std::string large(wire::payload_bytes_max, 'x');
  int depth = 0, deepest = 0, refused = 0;  // of the client's thread, while it lives
  std::promise<void> over;
  {
    client net{nowhere};
    std::function<void(const result<std::string_view>&)> next = [&](const result<std::string_view>& got) {
      deepest = std::max(deepest, ++depth);
      if (got.error().code == status::resource_exhausted && ++refused == 100) over.set_value();
      if (refused < 100) {  // more than fit, the first time
        for (int i = 0; i < (refused == 0 ? 20 : 1); ++i) net.start_view("any", large, 60s, next);
      }
      --depth;
    };
    net.start_view("any", "\xc0", 1ms, next);
    over.get_future().get();
  }
  CHECK(deepest == 1);
}

TEST_CASE("network: two instances of a service share its calls", "[network]") {
  net::context sockets;
  running_broker broker{sockets};
  std::atomic<int> runs[2]{};
  std::barrier both{2};
  const auto make = [&](int which) {
    auto made = std::make_unique<service>("pair", "1");
    // Two calls that wait for each other can only end if both instances have one.
    made->on("pair.meet", [&, which] { ++runs[which], both.arrive_and_wait(); });
    return made;
  };
  const auto one = make(0), two = make(1);
  running_service first{*one, at(broker, sockets, 1)}, second{*two, at(broker, sockets, 1)};
  client net{caller(broker, sockets)};
  for (int i = 0; i < 20; ++i) {
    auto left = net.call_async<nothing>("pair.meet", nothing{}, 20s);
    auto right = net.call_async<nothing>("pair.meet", nothing{}, 20s);
    REQUIRE(left.get().has_value());
    REQUIRE(right.get().has_value());
  }
  CHECK(runs[0] == 20);
  CHECK(runs[1] == 20);
}

TEST_CASE("network: a call given up stops its handler through the token", "[network]") {
  net::context sockets;
  running_broker broker{sockets};
  std::atomic<bool> begun{false}, stopped{false};
  service slow{"slow", "1"};
  slow.on("slow.wait", [&](context& with) {
    begun = true;
    eventually([&] { return with.stop().stop_requested(); });
    stopped = with.cancelled();
  });
  running_service serving{slow, at(broker, sockets)};
  client net{caller(broker, sockets)};
  std::promise<result<nothing>> ended;
  auto ticket = net.start<nothing>("slow.wait", nothing{}, 60s, [&](result<nothing> got) { ended.set_value(std::move(got)); });
  REQUIRE(eventually([&] { return begun.load(); }));
  ticket.cancel();
  const auto got = ended.get_future().get();
  CHECK(got.error().code == status::cancelled);
  CHECK(got.error().may_have_run);
  CHECK(eventually([&] { return stopped.load(); }));
}

TEST_CASE("network: a passed budget ends the call and stops its handler", "[network]") {
  net::context sockets;
  running_broker broker{sockets};
  std::atomic<bool> stopped{false};
  service slow{"slow", "1"};
  slow.on("slow.wait", [&](context& with) { stopped = eventually([&] { return with.stop().stop_requested(); }); });
  running_service serving{slow, at(broker, sockets)};
  client net{caller(broker, sockets)};
  const auto got = net.call<nothing>("slow.wait", nothing{}, 50ms);
  CHECK(got.error().code == status::deadline_exceeded);
  CHECK(got.error().may_have_run);
  CHECK(eventually([&] { return stopped.load(); }));
}

TEST_CASE("network: parts arrive in order before the reply, until the reader has enough", "[network]") {
  net::context sockets;
  running_broker broker{sockets};
  std::atomic<bool> told{false};
  service count{"count", "1"};
  count.on("count.up", [&](const counting& in, context& with) {
    for (int i = 1; i <= in.to; ++i) {
      if (!with.part(i)) return told = true, -1;
    }
    return in.to;
  }).streams();
  running_service serving{count, at(broker, sockets)};
  client net{caller(broker, sockets)};

  std::vector<int> parts;
  const auto all = net.stream<int, int>("count.up", counting{1000}, 20s, [&](int part) { parts.push_back(part); });
  REQUIRE(all.has_value());
  CHECK(*all == 1000);
  REQUIRE(parts.size() == 1000);
  CHECK(std::is_sorted(parts.begin(), parts.end()));

  parts.clear();
  const auto some = net.stream<int, int>("count.up", counting{1'000'000'000}, 20s, [&](int part) {
    parts.push_back(part);
    return parts.size() < 10;
  });
  CHECK(some.error().code == status::cancelled);
  CHECK(parts.size() == 10);
  CHECK(eventually([&] { return told.load(); }));
}

TEST_CASE("context: a handler's calls carry the trace and no more than what is left of the budget", "[network]") {
  net::context sockets;
  running_broker broker{sockets};
  service inner{"inner", "1"};
  inner.on("inner.see", [](context& with) {
    return seen{std::string{with.header("traceparent")}, std::string{with.key()}, with.budget_left().count()};
  });
  service outer{"outer", "1"};
  outer.on("outer.ask", [](context& with) { return with.call<seen>("inner.see", nothing{}, 1h, {.key = "k1", .traceparent = {}, .headers = {}}); });
  running_service low{inner, at(broker, sockets)}, high{outer, at(broker, sockets)};
  client net{caller(broker, sockets)};
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto got = net.call<seen>("outer.ask", nothing{}, 5s, {.key = {}, .traceparent = trace, .headers = {}});
  REQUIRE(got.has_value());
  CHECK(got->traceparent == trace);
  CHECK(got->key == "k1");
  CHECK(got->budget_ms <= 5000);
  CHECK(got->budget_ms > 0);
}

TEST_CASE("service: a stop lets the call at hand finish and takes no other", "[network]") {
  net::context sockets;
  running_broker broker{sockets};
  std::promise<void> begun, go_on;
  service slow{"slow", "1"};
  slow.on("slow.wait", [&] {
    begun.set_value();
    go_on.get_future().wait();
    return 7;
  });
  running_service serving{slow, at(broker, sockets)};
  client net{caller(broker, sockets)};
  auto first = net.call_async<int>("slow.wait", nothing{}, 30s);
  begun.get_future().wait();
  serving.request_stop();
  // The drain has begun once the broker refuses the next call.
  REQUIRE(eventually([&] {
    const auto got = net.call<int>("slow.wait", nothing{}, 50ms);
    return !got && got.error().code == status::unavailable;
  }));
  go_on.set_value();
  const auto got = first.get();
  REQUIRE(got.has_value());
  CHECK(*got == 7);
  serving.stop();
  CHECK(serving.drained);
}

TEST_CASE("service: a name that a worker may not have is refused before anything connects", "[service]") {
  service bad{"bad", "1"};
  CHECK_THROWS_AS(bad.on("waggle.services", [] {}), std::invalid_argument);
  CHECK_THROWS_AS(bad.on("two words", [] {}), std::invalid_argument);
}

TEST_CASE("network: broker, service and caller may live in one process and talk through it alone", "[network]") {
  net::context sockets;
  running_broker broker{sockets, {"inproc://commands", "inproc://in", "inproc://out"}};
  service hello{"hello", "1"};
  hello.on("hello.say", [](const say& in) { return in; });
  running_service serving{hello, at(broker, sockets)};
  REQUIRE(serving.joined_at_all);
  client net{caller(broker, sockets)};
  CHECK(net.call<say>("hello.say", say{"x"}, 5s)->name == "x");
}

TEST_CASE("service: what is served again after a stop can still call from its handlers", "[service]") {
  net::context sockets;
  running_broker broker{sockets};
  service asks{"asks", "1"};
  asks.on("asks.ping", [](int in, context& with) { return with.call<int>("waggle.ping", in); });
  client net{caller(broker, sockets)};
  for (int round = 1; round <= 2; ++round) {
    running_service serving{asks, at(broker, sockets)};
    REQUIRE(serving.joined_at_all);
    CHECK(net.call<int>("asks.ping", round, 5s) == round);
  }
}

TEST_CASE("service: a stop does not wait for a broker that is not there", "[service]") {
  // Takes connections and says nothing on them: what the service has to send stays where it is.
  const int listening = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(listening, reinterpret_cast<const sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(listening, 8) == 0);
  REQUIRE(::getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size) == 0);

  service idle{"idle", "1"};
  idle.on("idle.call", [] {});
  service_options with;
  with.broker = "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  with.drain = 1h;
  std::stop_source stop;
  auto served = std::async(std::launch::async, [&] { return idle.serve(with, stop.get_token()); });
  // At the second attempt to connect the service has long tried to join.
  for (int attempt = 0; attempt < 2; ++attempt) {
    int accepted = -1;
    REQUIRE(eventually([&] { return (accepted = ::accept(listening, nullptr, nullptr)) >= 0; }));
    ::close(accepted);
  }
  stop.request_stop();
  CHECK(served.wait_for(10s) == std::future_status::ready);
  ::close(listening);
}

TEST_CASE("service: whatever a handler fails with, emits or sends, its service keeps its seat", "[service]") {
  net::context sockets;
  running_broker broker{sockets};
  service odd{"odd", "1"};
  const std::string huge(5u << 20, 'x');
  odd.on("odd.problems", [&]() -> result<nothing> {
    return tl::unexpected{error{status::not_found, "nowhere", false, {}, {{huge, huge}}}};
  });
  odd.on("odd.key", [&](context& with) -> result<nothing> {
    const auto emitted = with.emit("odd.event", 1, huge);
    if (!emitted) return tl::unexpected{emitted.error()};
    return nothing{};
  });
  odd.on("odd.part", [&](context& with) { with.part(huge); }).streams();
  running_service serving{odd, at(broker, sockets)};
  client net{caller(broker, sockets)};
  const auto problems = net.call<nothing>("odd.problems", nothing{}, 5s);
  REQUIRE_FALSE(problems.has_value());
  CHECK(problems.error().code == status::not_found);
  CHECK(problems.error().message == "nowhere");
  const auto key = net.call<nothing>("odd.key", nothing{}, 5s);
  REQUIRE_FALSE(key.has_value());
  CHECK(key.error().code == status::invalid_argument);
  // A part that cannot be sent is not left out in silence.
  const auto part = net.stream<std::string, nothing>("odd.part", nothing{}, 5s, [](const std::string&) {});
  REQUIRE_FALSE(part.has_value());
  CHECK(part.error().code == status::internal);
  CHECK(serving.joined == 1);
}

TEST_CASE("service: a log that cannot be written takes nothing with it", "[service]") {
  net::context sockets;
  running_broker broker{sockets};
  service bad{"bad", "1"};
  bad.on("bad.throw", [] { throw std::runtime_error{"on purpose"}; });
  running_service serving{bad, at(broker, sockets)};
  client net{caller(broker, sockets)};
  std::fflush(stderr);
  const int before = ::dup(STDERR_FILENO), full = ::open("/dev/full", O_WRONLY);
  REQUIRE(::dup2(full, STDERR_FILENO) >= 0);
  const auto got = net.call<nothing>("bad.throw", nothing{}, 5s);
  ::dup2(before, STDERR_FILENO);
  ::close(before);
  ::close(full);
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().code == status::internal);
}

TEST_CASE("client: a reader of parts that throws gives its call up", "[client]") {
  net::context sockets;
  running_broker broker{sockets};
  std::atomic<bool> told{false};
  service count{"count", "1"};
  count.on("count.up", [&](context& with) {
    while (with.part(1)) {
    }
    told = true;
  }).streams();
  running_service serving{count, at(broker, sockets)};
  client net{caller(broker, sockets)};
  const auto read = [&] { (void)net.stream<int, nothing>("count.up", nothing{}, 1h, [](int) { throw std::runtime_error{"enough"}; }); };
  CHECK_THROWS_AS(read(), std::runtime_error);
  CHECK(eventually([&] { return told.load(); }));
}
