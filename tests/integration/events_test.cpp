#include <future>

#include "network_fixture.hpp"

namespace {

using namespace waggle;
using namespace waggle::test;

event_options events_at(const running_broker& broker, net::context& sockets) {
  event_options out;
  out.broker = broker.commands();
  out.sockets = &sockets;
  return out;
}

}  // namespace

TEST_CASE("events: a subscriber gets all topics with its prefix from the moment it is open, and no others", "[events]") {
  net::context sockets;
  running_broker broker{sockets};
  auto subscriber = subscriber::open({"order."}, events_at(broker, sockets));
  REQUIRE(subscriber.has_value());
  client net{{broker.commands(), "test", 1000, &sockets}};
  REQUIRE(net.emit("order.placed", std::string{"first"}, 5s, {.key = "c7", .traceparent = {}, .headers = {}}).has_value());
  REQUIRE(net.emit("other.thing", 1, 5s).has_value());
  REQUIRE(net.emit("order.paid", 3, 5s).has_value());

  const auto first = subscriber->next(5s);
  REQUIRE(first.has_value());
  CHECK(first->topic == "order.placed");
  CHECK(first->as<std::string>() == "first");
  CHECK(first->headers.at("key") == "c7");
  const auto second = subscriber->next(5s);
  REQUIRE(second.has_value());
  CHECK(second->topic == "order.paid");
}

TEST_CASE("events: what a publisher emits once it is open arrives, in order", "[events]") {
  net::context sockets;
  running_broker broker{sockets};
  auto subscriber = subscriber::open({""}, events_at(broker, sockets));
  auto publisher = publisher::open(events_at(broker, sockets));
  REQUIRE(subscriber.has_value());
  REQUIRE(publisher.has_value());
  for (int i = 0; i < 1000; ++i) REQUIRE(publisher->emit("tick", i).has_value());
  int wrong = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto got = subscriber->next(5s);
    REQUIRE(got.has_value());
    wrong += got->as<int>() == i ? 0 : 1;
  }
  CHECK(wrong == 0);
}

TEST_CASE("events: the longest time that can be said is a wait, not an overflow", "[events]") {
  net::context sockets;
  running_broker broker{sockets};
  auto options = events_at(broker, sockets);
  options.patience = milliseconds::max();
  auto subscriber = subscriber::open({"late."}, options);
  REQUIRE(subscriber.has_value());
  client net{{broker.commands(), "test", 1000, &sockets}};
  CHECK(net.broker(milliseconds::max()).has_value());
  std::promise<void> waits;
  auto got = std::async(std::launch::async, [&] {
    waits.set_value();
    return subscriber->next(milliseconds::max());
  });
  waits.get_future().wait();
  REQUIRE(net.emit("late.event", 1, 5s).has_value());
  CHECK(got.get().has_value());
}

TEST_CASE("events: topics that are the broker's own, or no names, are refused", "[events]") {
  net::context sockets;
  running_broker broker{sockets};
  auto publisher = publisher::open(events_at(broker, sockets));
  REQUIRE(publisher.has_value());
  CHECK(publisher->emit("waggle.hello.x", 1).error().code == status::invalid_argument);
  CHECK(publisher->emit("two words", 1).error().code == status::invalid_argument);
  client net{{broker.commands(), "test", 1000, &sockets}};
  CHECK(net.emit("waggle.x", 1, 5s).error().code == status::permission_denied);
}

TEST_CASE("events: what is published but is no event goes to nobody", "[events]") {
  net::context sockets;
  running_broker broker{sockets};
  auto subscriber = subscriber::open({""}, events_at(broker, sockets));
  REQUIRE(subscriber.has_value());
  net::event_sink rude{sockets};
  rude.connect(broker.at().events_in);
  REQUIRE(eventually([&] { return rude.next_subscription().has_value(); }));
  std::string good;
  wire::append_event(good, 0, "good", "\x01", {});
  rude.send("other", good);  // a topic that is not the event's
  rude.send("good", "garbage");
  rude.native().send(zmq::str_buffer("one part"), zmq::send_flags::none);
  rude.send("good", good);
  const auto got = subscriber->next(5s);
  REQUIRE(got.has_value());
  CHECK(got->topic == "good");
}

TEST_CASE("context: events of a handler that succeeds are emitted, of one that fails are not", "[events]") {
  net::context sockets;
  running_broker broker{sockets};
  service shop{"shop", "1"};
  shop.on("shop.order", [](int amount, context& with) -> result<int> {
    if (!with.emit("shop.ordered", amount)) return failure(status::internal, "not emitted");
    if (amount < 0) return failure(status::invalid_argument, "an amount is not negative");
    return amount;
  });
  service_options options;
  options.broker = broker.commands();
  options.sockets = &sockets;
  running_service serving{shop, options};
  auto subscriber = subscriber::open({"shop."}, events_at(broker, sockets));
  REQUIRE(subscriber.has_value());
  client net{{broker.commands(), "test", 1000, &sockets}};
  CHECK_FALSE(net.call<int>("shop.order", -1, 5s).has_value());
  CHECK(net.call<int>("shop.order", 2, 5s).has_value());
  const auto got = subscriber->next(5s);
  REQUIRE(got.has_value());
  CHECK(got->as<int>() == 2);
}
