#include <atomic>
#include <map>
#include <mutex>
#include <set>

#include <waggle/operation.hpp>

#include "broker/events/memory_log.hpp"
#include "network_fixture.hpp"

namespace {

using namespace waggle;
using namespace waggle::test;

/// A log in memory of which the broker says that it is durable, for what workers do then.
broker::event_store as_if_durable() {
  auto out = broker::event_store::in_memory();
  out.settings.durable = true;
  return out;
}

const broker::endpoints any_port{"tcp://127.0.0.1:*", "tcp://127.0.0.1:*", "tcp://127.0.0.1:*"};

/// A network with a client.
struct events_network {
  net::context sockets;
  running_broker broker;
  client net;

  explicit events_network(broker::event_store store = broker::event_store::in_memory())
      : broker{sockets, any_port, 1000ms, "test-broker", std::move(store)}, net{{broker.commands(), "test", 100'000, &sockets}} {}

  [[nodiscard]] service_options serving(unsigned threads = 8) {
    service_options out;
    out.broker = broker.commands();
    out.sockets = &sockets;
    out.threads = threads;
    return out;
  }
  [[nodiscard]] event_options watching(event_start start = from_now()) {
    event_options out;
    out.broker = broker.commands();
    out.sockets = &sockets;
    out.start = std::move(start);
    return out;
  }
};

}  // namespace

TEST_CASE("groups: each event goes to one instance of each group, and the handler knows what it is", "[groups]") {
  events_network net;
  std::mutex mutex;
  std::map<std::string, std::multiset<int>> seen;
  std::vector<handled_event> known;
  const auto note = [&](const std::string& who) {
    return [&, who](int number, context& with) {
      const std::lock_guard lock{mutex};
      seen[who].insert(number);
      if (with.event() != nullptr) known.push_back(*with.event());
    };
  };
  service shop{"shop", "1"}, also_shop{"shop", "1"}, mail{"mail", "1"};
  shop.on_event("order.*", note("shop"));
  also_shop.on_event("order.*", note("shop"));
  mail.on_event("order.placed", note("mail")).doc("Sends a letter.");
  mail.on_event("order.*", note("others"));
  running_service one{shop, net.serving()}, two{also_shop, net.serving()}, three{mail, net.serving()};
  REQUIRE(one.joined_at_all);
  REQUIRE(two.joined_at_all);
  REQUIRE(three.joined_at_all);
  for (int i = 0; i < 50; ++i) REQUIRE(net.net.emit(i % 2 == 0 ? "order.placed" : "order.paid", i, 5s).has_value());
  REQUIRE(eventually([&] {
    const std::lock_guard lock{mutex};
    return seen["shop"].size() >= 50 && seen["mail"].size() >= 25 && seen["others"].size() >= 25;
  }));
  const std::lock_guard lock{mutex};
  CHECK(seen["shop"].size() == 50);
  CHECK(std::set<int>(seen["shop"].begin(), seen["shop"].end()).size() == 50);
  for (const auto number : seen["mail"]) CHECK(number % 2 == 0);
  for (const auto number : seen["others"]) CHECK(number % 2 == 1);
  const auto& first = known.at(0);
  CHECK(first.stream == "events");
  CHECK(first.sequence > 0);
  CHECK(first.attempt == 1);
  CHECK(first.attempts_max == 8);
  CHECK((first.group == "shop" || first.group == "mail"));
  CHECK(first.id == "events-" + std::to_string(first.sequence));
  CHECK(std::chrono::system_clock::now() - first.time < 1h);
}

TEST_CASE("groups: a handler that fails gets the event again with the attempt raised, and after the last it is a dead letter", "[groups]") {
  events_network net;
  std::mutex mutex;
  std::vector<std::uint32_t> good, bad;
  service shop{"shop", "1"};
  shop.on_event("good", [&](context& with) -> result<void> {
    const std::lock_guard lock{mutex};
    good.push_back(with.event()->attempt);
    if (good.size() < 3) return failure(status::unavailable, "not yet");
    return {};
  }).backoff(10ms, 20ms);
  shop.on_event("bad", [&](context& with) {
    const std::lock_guard lock{mutex};
    bad.push_back(with.event()->attempt);
    throw std::runtime_error{"never"};
  }).backoff(10ms, 20ms).attempts(4);
  running_service serving{shop, net.serving()};
  REQUIRE(net.net.emit("good", 1, 5s).has_value());
  REQUIRE(net.net.emit("bad", 2, 5s).has_value());
  const auto dead = [&] {
    const auto got = net.net.call_bytes("waggle.dead", "\x80", 5s);
    return got && got->find("bad") != std::string::npos;
  };
  REQUIRE(eventually(dead));
  REQUIRE(eventually([&] {
    const std::lock_guard lock{mutex};
    return good.size() == 3;
  }));
  const std::lock_guard lock{mutex};
  CHECK(good == std::vector<std::uint32_t>{1, 2, 3});
  CHECK(bad == std::vector<std::uint32_t>{1, 2, 3, 4});
}

TEST_CASE("groups: what a handler emits is kept before it counts as done, and is one event however often it runs", "[groups]") {
  events_network net{as_if_durable()};
  std::atomic<int> runs{0};
  service shop{"shop", "1"};
  shop.on_event("order.placed", [&](int number, context& with) -> result<void> {
    if (const auto noted = with.emit("mail.sent", number); !noted) return tl::unexpected{noted.error()};
    if (++runs == 1) return failure(status::unavailable, "once more");
    return {};
  }).backoff(10ms, 20ms);
  running_service serving{shop, net.serving()};
  auto watching = subscriber::open({"mail."}, net.watching());
  REQUIRE(watching.has_value());
  REQUIRE(net.net.emit("order.placed", 7, 5s).has_value());
  const auto got = watching->next(5s);
  REQUIRE(got.has_value());
  CHECK(got->as<int>() == 7);
  CHECK(got->id == "shop/events-1/mail.sent/1");
  CHECK(runs == 2);
  // The same event by hand: it is known.
  const auto again = net.net.emit("mail.sent", 7, 5s, {.event_id = got->id});
  REQUIRE(again.has_value());
  CHECK(again->repeated);
  CHECK(again->sequence == got->sequence);
}

TEST_CASE("groups: a command whose events cannot be kept has not succeeded", "[groups]") {
  auto full = as_if_durable();
  full.settings.topics.streams.at(0).full_bytes = 1;
  events_network net{std::move(full)};
  service shop{"shop", "1"};
  shop.on("shop.order", [](int amount, context& with) -> result<int> {
    if (amount > 0 && !with.emit("shop.ordered", amount)) return failure(status::internal, "not emitted");
    return amount;
  });
  running_service serving{shop, net.serving()};
  CHECK(net.net.call<int>("shop.order", 0, 5s).has_value());
  const auto got = net.net.call<int>("shop.order", 2, 5s);
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().code == status::resource_exhausted);
  CHECK(got.error().may_have_run);
  CHECK(got.error().message.find("the event shop.ordered could not be kept") != std::string::npos);
}

TEST_CASE("groups: what a command has emitted is in the log when its reply comes", "[groups]") {
  events_network net{as_if_durable()};
  service shop{"shop", "1"};
  shop.on("shop.order", [](int amount, context& with) -> result<int> {
    if (!with.emit("shop.ordered", amount)) return failure(status::internal, "not emitted");
    return amount;
  });
  running_service serving{shop, net.serving()};
  for (int i = 1; i <= 20; ++i) {
    REQUIRE(net.net.call<int>("shop.order", i, 5s).has_value());
    auto late = subscriber::open({"shop."}, net.watching(last(1)));
    REQUIRE(late.has_value());
    const auto got = late->next(5s);
    REQUIRE(got.has_value());
    CHECK(got->as<int>() == i);
  }
}

TEST_CASE("subscribers: begin with the last so many, a sequence, or what is not too old, and go on without a gap", "[events]") {
  events_network net;
  for (int i = 1; i <= 10; ++i) REQUIRE(net.net.emit("count.up", i, 5s).has_value());
  const auto first_of = [&](event_start start) {
    auto opened = subscriber::open({"count."}, net.watching(std::move(start)));
    REQUIRE(opened.has_value());
    REQUIRE(net.net.emit("other", 0, 5s).has_value());
    const auto got = opened->next(5s);
    REQUIRE(got.has_value());
    int expected = *got->as<int>();
    while (const auto more = opened->next(0ms)) CHECK(more->as<int>() == ++expected);
    CHECK(expected == 10);
    return *got->as<int>();
  };
  CHECK(first_of(last(3)) == 8);
  CHECK(first_of(from_sequence("events", 5)) == 5);
  CHECK(first_of(from_sequence("", 0)) == 1);
  CHECK(first_of(since(1h)) == 1);
  CHECK(first_of(behind({{"events", 6}})) == 7);
  const auto too_far = subscriber::open({"count."}, net.watching(from_sequence("events", 100)));
  REQUIRE_FALSE(too_far.has_value());
  CHECK(too_far.error().code == status::out_of_range);
  const auto nowhere = subscriber::open({"count."}, net.watching(from_sequence("no-such-stream", 1)));
  REQUIRE_FALSE(nowhere.has_value());
  CHECK(nowhere.error().code == status::not_found);
}

TEST_CASE("subscribers: one that is too slow for the events reads what was dropped for it, in order and once", "[events]") {
  events_network net;
  auto slow = subscriber::open({"tick"}, net.watching());
  auto publisher = publisher::open(net.watching());
  REQUIRE(slow.has_value());
  REQUIRE(publisher.has_value());
  // More than all the sockets between hold; it does not read meanwhile. A publisher that is faster than the broker loses some on the way, so that what
  // counts is how many are kept.
  const std::string filling(200, 'x');
  std::uint64_t kept = 0;
  for (std::uint64_t last = 0; last < 30'000;) {
    for (int i = 0; i < 1000; ++i) REQUIRE(publisher->emit("tick", filling).has_value());
    const auto receipt = net.net.emit("tick", filling, 5s);
    REQUIRE(receipt.has_value());
    last = receipt->sequence;
  }
  const auto last_one = net.net.emit("tick.last", 1, 10s);
  REQUIRE(last_one.has_value());
  std::uint64_t expected = 0, wrong = 0;
  while (expected < last_one->sequence) {
    const auto got = slow->next(10s);
    REQUIRE(got.has_value());
    ++kept;
    wrong += got->sequence == ++expected ? 0 : 1;
  }
  CHECK(wrong == 0);
  CHECK(kept > 20'000);
  CHECK(slow->lost() == 0);
  CHECK_FALSE(slow->error().has_value());
  CHECK(slow->positions().at("events") == last_one->sequence);
}

TEST_CASE("clients: a durable command runs until it succeeds, its outcome can be fetched, and its key makes it one", "[groups]") {
  events_network net;
  std::atomic<int> runs{0};
  service shop{"shop", "1"};
  shop.on("shop.order", [&](int amount, context& with) -> result<int> {
    CHECK_FALSE(with.header("operation").empty());
    ++runs;
    if (amount < 0) return failure(status::invalid_argument, "an amount is not negative");
    return 2 * amount;
  }).idempotent();
  const auto early = net.net.call_later("shop.order", 21, {.idempotency_key = "k1"}, 5s);  // nobody serves it yet
  REQUIRE(early.has_value());
  CHECK_FALSE(early->ended);
  running_service serving{shop, net.serving()};
  const auto done = net.net.outcome<int>(early->id, 10s);
  REQUIRE(done.has_value());
  CHECK(done->state == operation_state::succeeded);
  CHECK(done->reply == 42);
  const auto again = net.net.call_later("shop.order", 21, {.idempotency_key = "k1"}, 5s);
  REQUIRE(again.has_value());
  CHECK(again->id == early->id);
  CHECK(again->repeated);
  CHECK(again->ended);
  CHECK(runs == 1);
  CHECK(net.net.call_later("shop.order", 22, {.idempotency_key = "k1"}, 5s).error().code == status::failed_precondition);

  const auto wrong = net.net.call_later("shop.order", -1, {}, 5s);
  REQUIRE(wrong.has_value());
  const auto failed = net.net.outcome<int>(wrong->id, 10s);
  REQUIRE(failed.has_value());
  CHECK(failed->state == operation_state::failed);
  CHECK(failed->why.value().code == status::invalid_argument);
  CHECK(net.net.outcome<int>("0000", 1s).error().code == status::not_found);
}
