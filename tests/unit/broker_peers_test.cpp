// What the broker core says to every peer: welcome, bundles, its own commands, events, and the answer to garbage.
#include "support/broker_fixture.hpp"

#include <cmath>
#include <map>

using namespace std::literals;
using namespace waggle;
using namespace waggle::broker;
using waggle::wire::frame_type;

namespace {

struct welcome {
  std::map<std::string, std::uint64_t> numbers;
  std::map<std::string, std::string> texts;
  bool durable = true;
};

welcome read_welcome(std::string_view payload) {
  welcome out;
  wire::reader in{payload};
  REQUIRE(wire::read_entries(in, [&](std::string_view key) {
    std::string_view text;
    if (key == "durable") return in.boolean(out.durable);
    if (in.peek() == wire::kind::string) return in.string(text) && (out.texts[std::string{key}] = text, true);
    return in.unsigned_integer(out.numbers[std::string{key}]);
  }));
  CHECK(in.at_end());
  return out;
}

struct network {
  std::string revision;
  std::string broker;
  std::vector<std::string> instances;  ///< as "service version instance in_flight/slots", with "draining" behind it
};

network read_network(const received& reply) {
  network out;
  REQUIRE(reply.code == status::ok);
  wire::reader in{reply.payload};
  std::string_view text;
  std::string service, version;
  const auto take = [&](std::string& to) { return in.string(text) && (to = text, true); };
  const auto instance = [&] {
    std::string name;
    std::uint64_t slots = 0, in_flight = 0;
    bool draining = false;
    if (!wire::read_entries(in, [&](std::string_view key) {
          if (key == "instance") return take(name);
          if (key == "slots") return in.unsigned_integer(slots);
          if (key == "in_flight") return in.unsigned_integer(in_flight);
          return key == "draining" ? in.boolean(draining) : in.skip();
        })) {
      return false;
    }
    out.instances.push_back(service + " " + version + " " + name + " " + std::to_string(in_flight) + "/" +
                            std::to_string(slots) + (draining ? " draining" : ""));
    return true;
  };
  const auto each_of = [&](auto&& read) {
    std::uint32_t count = 0;
    if (!in.array(count)) return false;
    while (count-- > 0) {
      if (!read()) return false;
    }
    return true;
  };
  REQUIRE(wire::read_entries(in, [&](std::string_view key) {
    if (key == "revision") return take(out.revision);
    if (key == "broker") {
      return wire::read_entries(in, [&](std::string_view inner) { return inner == "instance" ? take(out.broker) : in.skip(); });
    }
    if (key != "services") return in.skip();
    return each_of([&] {
      return wire::read_entries(in, [&](std::string_view inner) {
        if (inner == "service") return take(service);
        if (inner == "version") return take(version);
        return inner == "instances" ? each_of(instance) : in.skip();
      });
    });
  }));
  CHECK(in.at_end());
  return out;
}

std::string watch(std::string_view known, std::uint64_t wait_ms) {
  std::string payload;
  wire::writer out{payload};
  out.map(2);
  out.string("known");
  out.string(known);
  out.string("wait_ms");
  out.unsigned_integer(wait_ms);
  return payload;
}

}  // namespace

TEST_CASE("broker: HELLO is answered by what a peer needs to know of the broker", "[broker]") {
  broker_fixture net{{.instance = "b1",
                      .version = "1.2.3",
                      .events_in = "tcp://*:5556",
                      .events_out = "tcp://*:5557",
                      .pulse = 700ms,
                      .missed_pulses_max = 4}};
  net.hello("client", 3, 8);
  const auto told = read_welcome(net.reply_to("client", 3).payload);
  CHECK(told.numbers == std::map<std::string, std::uint64_t>{{"protocol", 1},
                                                             {"pulse_ms", 700},
                                                             {"idle_pulse_ms", 600'000},
                                                             {"missed_pulses_max", 4},
                                                             {"bundle", wire::bundle_frames_max},
                                                             {"attachments", wire::attachments_max},
                                                             {"message_bytes_max", wire::message_bytes_max},
                                                             {"seats", 0}});
  CHECK(told.texts == std::map<std::string, std::string>{{"broker", "b1"},
                                                         {"version", "1.2.3"},
                                                         {"events_in", "tcp://*:5556"},
                                                         {"events_out", "tcp://*:5557"}});
  CHECK_FALSE(told.durable);
}

TEST_CASE("broker: JOIN is welcomed like HELLO, with the seats it has got", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a").and_also("b").and_also("c"), 4);
  CHECK(read_welcome(net.reply_to("worker", 4).payload).numbers["seats"] == 3);
  net.hello("worker", 5, 1);
  CHECK(read_welcome(net.reply_to("worker", 5).payload).numbers["seats"] == 3);
}

TEST_CASE("broker: HELLO with nil, with unknown keys, or with a bundle that is no number means one frame in a message", "[broker]") {
  broker_fixture net;
  const auto about = GENERATE(values({""s, "\x80"s, "\x81\xa3new\x90"s, "\x81\xa6" "bundle\xa1" "9"s, "\x81\x05\xc0"s}));
  std::string bytes;
  wire::append_hello(bytes, 1, about);
  wire::append_call(bytes, 2, "waggle.ping", "\x01", 1000, {});
  net.send("client", bytes);
  CHECK(net.status_of("client", 1) == status::ok);
  CHECK(net.status_of("client", 2) == status::ok);
  CHECK(net.messages_to("client") == 2);
}

TEST_CASE("broker: a bundle has as many frames as the peer takes and no more", "[broker]") {
  broker_fixture net;
  const auto takes = GENERATE(values<std::uint32_t>({0, 1, 3, 100}));
  net.hello("client", 1, takes);
  std::string bytes;
  for (std::uint64_t id = 2; id <= 8; ++id) wire::append_call(bytes, id, "waggle.ping", "\x01", 1000, {});
  net.send("client", bytes);
  CHECK(net.replies_to("client") == 8);
  CHECK(net.messages_to("client") == 1 + (takes <= 1 ? 7 : takes == 3 ? 3 : 1));
}

TEST_CASE("broker: a bundle is closed once it has grown large, whatever number of frames the peer takes", "[broker]") {
  broker_fixture net;
  net.hello("client", 1, 4096);
  std::string bytes;
  const std::string payload(30'000, 'x');
  for (std::uint64_t id = 2; id <= 10; ++id) wire::append_call(bytes, id, "waggle.ping", payload, 1000, {});
  net.send("client", bytes);
  CHECK(net.replies_to("client") == 10);
  CHECK(net.messages_to("client") == 1 + 3);  // each is closed by the frame that takes it past 64 KiB
}

TEST_CASE("broker: what several messages set off for one peer travels in one bundle", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a").slots(100).bundle(100));
  net.hold();
  for (std::uint64_t id = 1; id <= 5; ++id) net.call("one", id, "a", 1s);
  for (std::uint64_t id = 1; id <= 5; ++id) net.call("two", id, "a", 1s);
  net.release();
  CHECK(net.calls_at("worker") == 10);
  CHECK(net.messages_to("worker") == 2);  // the welcome, and all the calls
}

TEST_CASE("broker: the largest payload goes through to a peer that takes many frames and to one that takes one", "[broker]") {
  broker_fixture net;
  const auto takes = GENERATE(values<std::uint32_t>({1, 4096}));
  net.join("worker", serves("a").slots(3).bundle(takes));
  const std::string payload(wire::payload_bytes_max, 'x');
  net.hold();
  for (std::uint64_t id = 1; id <= 3; ++id) net.call("client", id, "a", 1s, payload);
  net.release();
  REQUIRE(net.calls_at("worker") == 3);
  for (const auto& each : net.inbox("worker", frame_type::call)) CHECK(each.payload == payload);
}

TEST_CASE("broker: garbage is told where it breaks and costs the peer its seat, its leases and its calls", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.join("other", serves("b"));
  net.call("client", 1, "a", 1min);
  net.call("worker", 5, "b", 1min);
  net.send("worker", "\x92\x02\x07\xc1");
  const auto why = net.error_of("worker", 0);
  CHECK(why.code == status::invalid_argument);
  CHECK(why.message.find("byte 3") != std::string::npos);
  CHECK(net.is_forgotten("worker"));
  CHECK(net.error_of("client", 1).code == status::unavailable);
  CHECK(net.error_of("client", 1).may_have_run);
  CHECK(net.cancels_at("other") == net.leases_at("other"));
  CHECK(net.core().counts().broken_bundles == 1);
  CHECK(net.core().worker_count() == 1);

  net.join("worker", serves("a"), 9);  // and it may come back
  net.call("client", 2, "a", 1min);
  net.answer("worker");
  net.answer("worker");
  CHECK(net.status_of("client", 2) == status::ok);
}

TEST_CASE("broker: a message of several ZeroMQ frames is refused like garbage", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("a"));
  net.call("client", 1, "a", 1min);
  net.send_parts("worker");
  net.send_parts("stranger");
  CHECK(net.error_of("worker", 0).code == status::invalid_argument);
  CHECK(net.error_of("stranger", 0).code == status::invalid_argument);
  CHECK(net.is_forgotten("worker"));
  CHECK(net.is_forgotten("stranger"));
  CHECK(net.status_of("client", 1) == status::unavailable);
  CHECK(net.core().counts().broken_bundles == 2);
}

TEST_CASE("broker: frames before the place where a bundle breaks count, those behind it do not", "[broker]") {
  broker_fixture net;
  std::string bytes;
  wire::append_call(bytes, 1, "waggle.ping", {}, 1000, {});
  bytes += "\xc0";
  wire::append_call(bytes, 2, "waggle.ping", {}, 1000, {});
  net.send("client", bytes);
  CHECK(net.replies_to("client", 1) == 1);
  CHECK(net.replies_to("client", 0) == 1);
  CHECK(net.replies_to("client", 2) == 0);
}

TEST_CASE("broker: a bundle that is cut anywhere but between frames is refused whole from the cut on", "[broker]") {
  std::string bytes;
  std::vector<std::size_t> ends{0};
  const auto ended = [&] { ends.push_back(bytes.size()); };
  wire::append_hello(bytes, 1, "\x81\xa6" "bundle\x04"), ended();
  wire::append_join(bytes, 2, serves("a").slots(9).bundle(4).bytes()), ended();
  wire::append_call(bytes, 3, "a", "\xa2hi", 1000, "\x81\xa3key\xa1k"), ended();
  wire::append_cancel(bytes, 3), ended();
  wire::append_part(bytes, 4, "\x01"), ended();
  wire::append_reply(bytes, 5, status::ok, "\x01", {}), ended();
  wire::append_emit(bytes, 6, "t", "\x01", {}), ended();
  wire::append_pulse(bytes), ended();
  wire::append_leave(bytes, 7), ended();
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    INFO("cut after " << cut << " bytes");
    broker_fixture net;
    net.hello("peer", 100, 100);
    net.send("peer", std::string_view{bytes}.substr(0, cut));
    const bool clean = std::find(ends.begin(), ends.end(), cut) != ends.end();
    CHECK(net.core().counts().broken_bundles == (clean ? 0 : 1));
    CHECK(net.replies_to("peer", 0) == (clean ? 0 : 1));
    CHECK(net.is_forgotten("peer") == !clean);
    CHECK(net.core().peer_count() == (clean ? 1 : 0));
    if (!clean) CHECK(net.core().open_calls() == 0);
  }
}

TEST_CASE("broker: frames of a newer protocol are stepped over, and so are fields behind those we know", "[broker]") {
  broker_fixture net;
  std::string bytes{"\x93\x0b\x01\xa3new"};             // type 11
  bytes += "\x92\xcd\x03\xe8\x80";                      // type 1000
  bytes += "\x98\x01\x05\xabwaggle.ping\xc4\x01\x2a\x64\xc0\xc0\x92\x01\x02";  // a CALL with one field more
  net.send("client", bytes);
  CHECK(net.core().counts().unknown_frames == 2);
  CHECK(net.reply_to("client", 5).payload == "\x2a");
}

TEST_CASE("broker: a peer that is dropped and heard again before the outbox is done is not forgotten behind its back", "[broker]") {
  broker_fixture net;
  net.hold();
  net.send("worker", "\xc1");
  net.join("worker", serves("a"));
  net.release();
  CHECK_FALSE(net.is_forgotten("worker"));
  net.call("client", 1, "a", 1s);
  CHECK(net.calls_at("worker") == 1);
}

TEST_CASE("broker: EVENT is not for peers to send on this socket", "[broker]") {
  broker_fixture net;
  std::string bytes;
  wire::append_event(bytes, 0, "t", {}, {});
  net.send("client", bytes);
  CHECK(net.error_of("client", 0).code == status::failed_precondition);
  CHECK(net.core().counts().misplaced_frames == 1);
  CHECK(net.events().empty());
}

TEST_CASE("broker: EMIT becomes an EVENT to everybody, with a receipt for whoever asks for one", "[broker]") {
  broker_fixture net;
  net.emit("client", 0, "order.placed", "\x01");
  CHECK(net.inbox("client").empty());
  net.emit("client", 9, "order.paid", "\x02");
  CHECK(net.reply_to("client", 9).payload == "\x81\xa7" "durable\xc2");
  REQUIRE(net.events().size() == 2);
  CHECK(net.events()[0].first == "order.placed");
  CHECK(net.events()[0].second.name == "order.placed");
  CHECK(net.events()[0].second.payload == "\x01");
  CHECK(net.events()[0].second.id == 0);
  CHECK(net.events()[1].first == "order.paid");
  CHECK(net.core().counts().events == 2);
}

TEST_CASE("broker: topics and commands that begin with \"waggle.\" are the broker's own", "[broker]") {
  broker_fixture net;
  net.emit("client", 1, "waggle.alarm");
  CHECK(net.error_of("client", 1).code == status::permission_denied);
  net.emit("client", 0, "waggle.alarm");
  CHECK(net.replies_to("client") == 1);
  std::string event;
  wire::append_event(event, 0, "waggle.alarm", {}, {});
  net.publish("waggle.alarm", event);
  CHECK(net.events().empty());
  CHECK(net.core().counts().broken_events == 1);
  net.call("client", 2, "waggle.no_such", 1s);
  CHECK(net.status_of("client", 2) == status::unimplemented);
}

TEST_CASE("broker: a published event is passed on byte for byte", "[broker]") {
  broker_fixture net;
  std::string event;
  wire::append_event(event, 0, "order.placed", "\x01", "\x81\xa1k\xa1v");
  net.publish("order.placed", event);
  REQUIRE(net.events().size() == 1);
  CHECK(net.events()[0].first == "order.placed");
  CHECK(net.events()[0].second.payload == "\x01");
  CHECK(net.events()[0].second.headers == "\x81\xa1k\xa1v");
}

TEST_CASE("broker: what is published and is not one event under its own topic is dropped and counted", "[broker]") {
  broker_fixture net;
  std::string event, numbered, emit, two;
  wire::append_event(event, 0, "t", "\x01", {});
  wire::append_event(numbered, 7, "t", "\x01", {});
  wire::append_emit(emit, 0, "t", "\x01", {});
  two = event + event;
  std::uint64_t dropped = 0;
  const auto drops = [&](std::string_view topic, std::string_view bytes) {
    net.publish(topic, bytes);
    CHECK(net.core().counts().broken_events == ++dropped);
  };
  for (std::size_t cut = 0; cut < event.size(); ++cut) drops("t", std::string_view{event}.substr(0, cut));
  drops("u", event);
  drops("", event);
  drops("t", numbered);
  drops("t", emit);
  drops("t", two);
  drops("t", event + "\xc1");
  CHECK(net.events().empty());
  CHECK(net.core().peer_count() == 0);
}

TEST_CASE("broker: who subscribes to its own topic below waggle.hello. hears one event there, others hear nothing", "[broker]") {
  broker_fixture net;
  net.subscribe("order.");
  net.subscribe("");
  net.subscribe("waggle.");
  net.subscribe("waggle.hello. with a space");
  net.subscribe("waggle.hello." + std::string(wire::name_bytes_max, 'x'));
  CHECK(net.events().empty());
  net.subscribe("waggle.hello.4711");
  REQUIRE(net.events().size() == 1);
  CHECK(net.events()[0].first == "waggle.hello.4711");
  CHECK(net.events()[0].second.name == "waggle.hello.4711");
  CHECK(net.events()[0].second.payload.empty());
}

TEST_CASE("broker: waggle.ping answers with what it got", "[broker]") {
  broker_fixture net;
  net.call("client", 1, "waggle.ping", 1s, "\x93\x01\x02\x03");
  CHECK(net.reply_to("client", 1).payload == "\x93\x01\x02\x03");
  net.call("client", 2, "waggle.ping", 0ms);
  CHECK(net.status_of("client", 2) == status::deadline_exceeded);
}

TEST_CASE("broker: waggle.services lists every service with its instances as they are", "[broker]") {
  broker_fixture net{{.instance = "b1"}};
  net.call("client", 1, "waggle.services", 1s, {});
  CHECK(read_network(net.reply_to("client", 1)).instances.empty());
  net.join("w1", serves("shop.buy").slots(2).instance("left"));
  net.join("w2", serves("shop.buy").slots(3).instance("right"));
  net.join("w3", serves("shop.buy").version("2").instance("new"));
  net.join("w4", serves("auth.check"));
  net.call("client", 2, "shop.buy", 1s);
  net.leave("w2", 8);
  net.call("client", 3, "waggle.services", 1s, {});
  const auto listed = read_network(net.reply_to("client", 3));
  CHECK(listed.broker == "b1");
  CHECK(listed.instances == std::vector<std::string>{"auth 1.0.0 auth-1 0/1", "shop 1.0.0 left 0/2",
                                                     "shop 1.0.0 right 1/3 draining", "shop 2 new 0/1"});
}

TEST_CASE("broker: a watcher is told of a change once it has settled, and ten changes are one", "[broker]") {
  broker_fixture net{{.settle = 20ms}};
  net.join("w0", serves("a"));
  net.call("watcher", 1, "waggle.services", 1min, {});
  const auto known = read_network(net.reply_to("watcher", 1)).revision;
  net.advance(50ms);
  net.call("watcher", 2, "waggle.services", 1min, watch(known, 30'000));
  net.advance(5s);
  CHECK(net.replies_to("watcher", 2) == 0);
  for (int i = 1; i <= 10; ++i) net.join("w" + std::to_string(i), serves("a"));
  net.advance(19ms);
  CHECK(net.replies_to("watcher", 2) == 0);
  net.advance(1ms);
  const auto listed = read_network(net.reply_to("watcher", 2));
  CHECK(listed.instances.size() == 11);
  CHECK(listed.revision != known);
}

TEST_CASE("broker: a watcher that knows another revision is answered at once", "[broker]") {
  broker_fixture net;
  net.call("watcher", 1, "waggle.services", 1min, watch("of an earlier run", 30'000));
  CHECK(net.status_of("watcher", 1) == status::ok);
}

TEST_CASE("broker: a watcher is answered after wait_ms, or when its budget is over, though nothing has changed", "[broker]") {
  broker_fixture net;
  net.call("watcher", 1, "waggle.services", 1min, {});
  const auto known = read_network(net.reply_to("watcher", 1)).revision;
  net.call("watcher", 2, "waggle.services", 1min, watch(known, 500));
  net.call("watcher", 3, "waggle.services", 700ms, watch(known, ~std::uint64_t{0}));
  net.advance(499ms);
  CHECK(net.replies_to("watcher") == 1);
  net.advance(1ms);
  CHECK(read_network(net.reply_to("watcher", 2)).revision == known);
  net.advance(200ms);
  CHECK(read_network(net.reply_to("watcher", 3)).revision == known);
  CHECK(net.core().open_calls() == 0);
}

TEST_CASE("broker: a change that a watcher knows already does not wake it", "[broker]") {
  broker_fixture net{{.settle = 20ms}};
  net.join("worker", serves("a"));
  net.call("watcher", 1, "waggle.services", 1min, {});
  const auto known = read_network(net.reply_to("watcher", 1)).revision;
  net.call("watcher", 2, "waggle.services", 1min, watch(known, 30'000));
  net.advance(1s);
  CHECK(net.replies_to("watcher", 2) == 0);
}

TEST_CASE("broker: a watcher may cancel, and one that has gone is forgotten", "[broker]") {
  broker_fixture net;
  net.call("watcher", 1, "waggle.services", 1min, {});
  const auto known = read_network(net.reply_to("watcher", 1)).revision;
  net.call("watcher", 2, "waggle.services", 1min, watch(known, 30'000));
  net.cancel("watcher", 2);
  CHECK(net.error_of("watcher", 2).code == status::cancelled);
  CHECK_FALSE(net.error_of("watcher", 2).may_have_run);
  net.call("watcher", 3, "waggle.services", 1min, watch(known, 30'000));
  net.unreachable("watcher");
  CHECK(net.core().open_calls() == 0);
  net.join("worker", serves("a"));
  net.advance(1s);
  CHECK(net.replies_to("watcher", 3) == 0);
}

TEST_CASE("broker: at most watchers_max callers wait for changes", "[broker]") {
  broker_fixture net{{.watchers_max = 1}};
  net.call("watcher", 1, "waggle.services", 1min, {});
  const auto known = read_network(net.reply_to("watcher", 1)).revision;
  net.call("watcher", 2, "waggle.services", 1min, watch(known, 30'000));
  net.call("watcher", 3, "waggle.services", 1min, watch(known, 30'000));
  CHECK(net.error_of("watcher", 3).code == status::resource_exhausted);
  net.call("watcher", 4, "waggle.services", 1min, watch(known, 0));
  CHECK(net.status_of("watcher", 4) == status::ok);
}

TEST_CASE("broker: waggle.services that is asked in a payload that is no msgpack is INVALID_ARGUMENT", "[broker]") {
  broker_fixture net;
  const auto payload = GENERATE(values({"\x82\xa5known"s, "\x81\xa5known\xc1"s, "\xc1"s}));
  net.call("client", 1, "waggle.services", 1s, payload);
  const bool map = payload[0] != '\xc1';
  CHECK(net.reply_to("client", 1).code == (map ? status::invalid_argument : status::ok));
}
