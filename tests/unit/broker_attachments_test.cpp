// Payloads beside their bundle: shared on the way through the broker, never copied.
#include "support/broker_fixture.hpp"

namespace {

using namespace waggle;
using namespace waggle::broker;

const std::string large(wire::attachment_bytes_min, 'x');

/// A message of one CALL with an attached payload.
wire::message call_with(std::uint64_t id, const std::string& command, const std::string& payload = large) {
  wire::message out;
  wire::append_call(out.bundle, id, command, wire::payload_field::attached(out, wire::attachment{payload}), 10'000, {});
  return out;
}

wire::message reply_with(std::uint64_t lease, const std::string& payload = large) {
  wire::message out;
  wire::append_reply(out.bundle, lease, status::ok, wire::payload_field::attached(out, wire::attachment{payload}), {});
  return out;
}

received only_call_at(broker_fixture& net, const std::string& worker) {
  REQUIRE(net.calls_at(worker) == 1);
  return net.inbox(worker, wire::frame_type::call).front();
}

}  // namespace

TEST_CASE("broker: a large payload that came attached goes on in the same memory, there and back", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("echo.say").attachments(4));
  net.hello("caller", 1, 64, 4);
  const auto call = call_with(7, "echo.say");
  net.send("caller", call);
  CHECK(only_call_at(net, "worker").attached == call.attachments[0].bytes().data());
  const auto reply = reply_with(net.leases_at("worker").at(0));
  net.send("worker", reply);
  CHECK(net.reply_to("caller", 7).attached == reply.attachments[0].bytes().data());
  CHECK(net.core().counts().attachments == 2);
}

TEST_CASE("broker: who takes no attachments gets the payload inside its frame", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("echo.say"));
  net.send("caller", call_with(7, "echo.say"));
  CHECK(only_call_at(net, "worker").attached == nullptr);
  CHECK(only_call_at(net, "worker").payload == large);
  net.send("worker", reply_with(net.leases_at("worker").at(0)));
  CHECK(net.reply_to("caller", 7).attached == nullptr);
  CHECK(net.reply_to("caller", 7).payload == large);
}

TEST_CASE("broker: a small payload goes on inside its frame, however it came", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("echo.say").attachments(4));
  net.send("caller", call_with(7, "echo.say", "small"));
  CHECK(only_call_at(net, "worker").attached == nullptr);
  CHECK(only_call_at(net, "worker").payload == "small");
}

TEST_CASE("broker: a peer gets as many attachments in a message as it takes", "[broker]") {
  settings with;
  with.attachment_bytes_min = 10;
  broker_fixture net{with};
  net.join("worker", serves("echo.say").slots(3).bundle(8).attachments(2));
  wire::message calls;
  const std::string payload(10, 'p');
  for (std::uint64_t id = 1; id <= 3; ++id) {
    wire::append_call(calls.bundle, id, "echo.say", wire::payload_field::attached(calls, wire::attachment{payload}), 10'000, {});
  }
  net.send("caller", calls);
  const auto got = net.inbox("worker", wire::frame_type::call);
  REQUIRE(got.size() == 3);
  CHECK(got[0].attached != nullptr);
  CHECK(got[1].attached != nullptr);
  CHECK(got[2].attached == nullptr);
  CHECK(got[2].payload == payload);
  CHECK(got[0].message == got[2].message);
}

TEST_CASE("broker: a call that waits keeps its attachment, and so does one that may be repeated", "[broker]") {
  broker_fixture net;
  net.join("first", serves("echo.say").safe().attachments(4));
  net.send("caller", call_with(1, "echo.say", std::string(100'000, 'a')));
  const auto call = call_with(2, "echo.say");
  net.send("caller", call);  // no slot is free
  CHECK(net.core().kept_bytes() == 100'000 + large.size());
  net.send("first", reply_with(net.leases_at("first").at(0)));
  REQUIRE(net.calls_at("first") == 2);
  CHECK(net.inbox("first", wire::frame_type::call)[1].attached == call.attachments[0].bytes().data());
  net.join("second", serves("echo.say").safe().attachments(4));
  net.unreachable("first");
  CHECK(only_call_at(net, "second").attached == call.attachments[0].bytes().data());
  net.send("second", reply_with(net.leases_at("second").at(0)));
  CHECK(net.status_of("caller", 2) == status::ok);
  CHECK(net.core().kept_bytes() == 0);
}

TEST_CASE("broker: an attached call that has not left for its worker goes to another", "[broker]") {
  broker_fixture net;
  net.join("first", serves("echo.say").attachments(4));
  net.clog("first");
  const auto call = call_with(1, "echo.say");
  net.send("caller", call);
  net.join("second", serves("echo.say").attachments(4));
  net.unreachable_clogged("first");
  CHECK(only_call_at(net, "second").attached == call.attachments[0].bytes().data());
}

TEST_CASE("broker: an attachment lives no longer than what needs it", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("echo.say").attachments(4));
  const auto owner = std::make_shared<const std::string>(large);
  {
    wire::message call;
    wire::append_call(call.bundle, 1, "echo.say", wire::payload_field::attached(call, wire::attachment{owner, *owner}), 10'000, {});
    net.send("caller", call);
    wire::message second;
    wire::append_call(second.bundle, 2, "echo.say", wire::payload_field::attached(second, wire::attachment{owner, *owner}), 10'000, {});
    net.send("caller", second);  // waits
  }
  CHECK(owner.use_count() == 2);
  net.send("worker", reply_with(net.leases_at("worker").at(0)));
  CHECK(owner.use_count() == 1);
}

TEST_CASE("broker: parts and events that came attached arrive", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("echo.say").attachments(4));
  net.hello("caller", 1, 64, 4);
  net.send("caller", call_with(7, "echo.say"));
  wire::message part;
  wire::append_part(part.bundle, net.leases_at("worker").at(0), wire::payload_field::attached(part, wire::attachment{large}));
  net.send("worker", part);
  const auto parts = net.inbox("caller", wire::frame_type::part);
  REQUIRE(parts.size() == 1);
  CHECK(parts[0].attached == part.attachments[0].bytes().data());
  wire::message emit;
  wire::append_emit(emit.bundle, 0, "order.placed", wire::payload_field::attached(emit, wire::attachment{large}), {});
  net.send("caller", emit);
  REQUIRE(net.events().size() == 1);
  CHECK(net.events()[0].second.payload == large);
}

TEST_CASE("broker: a frame that speaks of an attachment which is not there costs the seat", "[broker]") {
  broker_fixture net;
  net.join("worker", serves("echo.say").attachments(4));
  net.send("worker", reply_with(16).bundle);
  CHECK(net.core().worker_count() == 0);
  CHECK(net.error_of("worker", 0).message.find("the payload is an attachment that the message does not have, or that an earlier frame has had") != std::string::npos);
}

TEST_CASE("broker: an attachment makes one answer, however many frames speak of it", "[broker]") {
  broker_fixture net;
  wire::message pings;
  const auto field = wire::payload_field::attached(pings, wire::attachment{large});
  for (std::uint64_t id = 1; id <= 100; ++id) wire::append_call(pings.bundle, id, "waggle.ping", field, 10'000, {});
  net.send("caller", pings);
  CHECK(net.replies_to("caller", 1) == 1);
  CHECK(net.replies_to("caller") == 2);  // and what was wrong
  CHECK(net.error_of("caller", 0).code == status::invalid_argument);
}
