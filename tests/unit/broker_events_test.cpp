// Events in the broker core: receipts for emitters, and deliveries to members of groups, which go through slots like calls.
#include "support/broker_fixture.hpp"

using namespace std::literals;
using namespace waggle;
using namespace waggle::broker;
using nlohmann::json;
using waggle::wire::frame_type;

namespace {

event_settings on_disk() {
  event_settings out;
  out.durable = true;
  return out;
}

settings quick() { return {.pulse = 1s, .missed_pulses_max = 3}; }

/// The n-th event that this member was given, as it was told about it.
json about(broker_fixture& net, const std::string& member, std::size_t n = 0) {
  const auto all = net.events_at(member);
  REQUIRE(all.size() > n);
  return json_of(all[n].about);
}

void acknowledge(broker_fixture& net, const std::string& member, std::size_t n = 0) {
  const auto all = net.events_at(member);
  REQUIRE(all.size() > n);
  net.reply(member, all[n].id, status::ok, {});
}

json only_group(broker_fixture& net, std::uint64_t id) {
  const auto all = net.ask("operator", id, "waggle.groups").at("groups");
  REQUIRE(all.size() == 1);
  return all[0];
}

}  // namespace

TEST_CASE("broker: an event is acknowledged and broadcast once it is in the log, not before", "[broker][events]") {
  broker_fixture net{quick(), on_disk()};
  net.stop_log();
  net.emit("client", 7, "order.placed", "\x01");
  CHECK(net.replies_to("client") == 0);
  CHECK(net.events().empty());
  net.start_log();
  CHECK(json_of(net.reply_to("client", 7).payload) == json{{"durable", true}, {"stream", "events"}, {"sequence", 1}});
  REQUIRE(net.events().size() == 1);
  CHECK(net.events()[0].second.id == 1);
  CHECK(json_of(net.events()[0].second.about).at("stream") == "events");
  CHECK(net.core().open_calls() == 0);
}

TEST_CASE("broker: an event without an id and a published one are kept without a word", "[broker][events]") {
  broker_fixture net{quick(), on_disk()};
  net.emit("client", 0, "order.placed", "\x01");
  std::string event;
  wire::append_event(event, 0, "order.paid", "\x02", {});
  net.publish("order.paid", event);
  CHECK(net.replies_to("client") == 0);
  const auto kept = net.ask("client", 1, "waggle.events", {{"stream", "events"}, {"from", 1}});
  REQUIRE(kept.at("events").size() == 2);
  CHECK(kept["events"][1][1] == "order.paid");
}

TEST_CASE("broker: subscribers get as it came what is sound, of an ephemeral topic and without more, and nothing else", "[broker][events]") {
  auto with = on_disk();
  with.topics.ephemeral = {"hint.*"};
  broker_fixture net{quick(), with};
  const auto frame = [](std::string_view topic, std::uint64_t id = 0, std::string_view about = {}) {
    std::string out;
    wire::append_event(out, id, topic, "\x01", {}, about);
    return out;
  };
  CHECK(net.core().passes_on("hint.seen", frame("hint.seen")));
  CHECK(net.core().counts().events == 1);
  CHECK(net.core().event_counts().ephemeral == 1);
  CHECK_FALSE(net.core().passes_on("order.placed", frame("order.placed")));
  CHECK_FALSE(net.core().passes_on("waggle.head.events", frame("waggle.head.events")));
  CHECK_FALSE(net.core().passes_on("hint.*", frame("hint.*")));
  CHECK_FALSE(net.core().passes_on("hint.seen", frame("hint.other")));
  CHECK_FALSE(net.core().passes_on("hint.seen", frame("hint.seen", 7)));
  CHECK_FALSE(net.core().passes_on("hint.seen", frame("hint.seen", 0, "\x81\xa6stream\xa6" "events")));
  CHECK_FALSE(net.core().passes_on("hint.seen", frame("hint.seen") + frame("hint.seen")));
  CHECK_FALSE(net.core().passes_on("hint.seen", "\x93"));
  CHECK(net.core().counts().events == 1);
}

TEST_CASE("broker: an event that does not get into the log in time is answered once, and may be kept all the same", "[broker][events]") {
  broker_fixture net{quick(), on_disk()};
  net.stop_log();
  net.emit("client", 7, "order.placed");
  net.advance(29s);
  CHECK(net.replies_to("client", 7) == 0);
  net.advance(2s);
  CHECK(net.error_of("client", 7).code == status::deadline_exceeded);
  CHECK(net.error_of("client", 7).may_have_run);
  net.start_log();
  CHECK(net.replies_to("client", 7) == 1);
  CHECK(net.events().size() == 1);
}

TEST_CASE("broker: an emitter may give up, or go away, while its event is on its way to the log", "[broker][events]") {
  broker_fixture net{quick(), on_disk()};
  net.stop_log();
  net.emit("one", 7, "a");
  net.emit("two", 7, "b");
  net.cancel("one", 7);
  CHECK(net.error_of("one", 7).code == status::cancelled);
  CHECK(net.error_of("one", 7).may_have_run);
  net.unreachable("two");
  CHECK(net.core().open_calls() == 0);
  net.emit("one", 7, "c");  // the id is free again, and what is answered to it is the new event's
  net.start_log();
  CHECK(net.replies_to("two") == 0);
  REQUIRE(net.replies_to("one", 7) == 2);
  CHECK(json_of(net.inbox("one").back().payload).at("sequence") == 3);
}

TEST_CASE("broker: ids of open calls and open events exclude each other", "[broker][events]") {
  broker_fixture net{quick(), on_disk()};
  net.join("worker", serves("a").slots(1));
  net.stop_log();
  net.call("client", 1, "a", 60s);
  net.emit("client", 1, "x");
  net.emit("client", 2, "x");
  net.call("client", 2, "a", 60s);
  CHECK(net.replies_to("client", 0) == 2);
  CHECK(net.core().counts().misplaced_frames == 2);
  net.start_log();
  CHECK(net.status_of("client", 2) == status::ok);
  net.answer("worker");
  CHECK(net.status_of("client", 1) == status::ok);
}

TEST_CASE("broker: a receipt that needs no log is given before the next frame of the bundle is read", "[broker][events]") {
  broker_fixture net;
  std::string bytes;
  wire::append_emit(bytes, 5, "x", {}, {});
  wire::append_emit(bytes, 5, "x", {}, {});
  net.send("client", bytes + "\xc1");
  CHECK(net.replies_to("client", 5) == 2);
  CHECK(net.events().size() == 2);
  CHECK(net.core().counts().misplaced_frames == 0);
}

TEST_CASE("broker: events that wait for the log count among the open calls of their emitter", "[broker][events]") {
  auto limited = quick();
  limited.caller_calls_max = 2;
  broker_fixture net{limited, on_disk()};
  net.stop_log();
  for (std::uint64_t id = 1; id <= 3; ++id) net.emit("client", id, "x");
  CHECK(net.error_of("client", 3).code == status::resource_exhausted);
  net.emit("other", 1, "x");
  CHECK(net.replies_to("other") == 0);
  net.start_log();
  CHECK(net.status_of("client", 1) == status::ok);
  CHECK(net.status_of("other", 1) == status::ok);
}

TEST_CASE("broker: what the log refuses is refused to the emitter, and nobody hears of it", "[broker][events]") {
  broker_fixture net{quick(), on_disk()};
  net.join("member", serves::service("mail").handles("order.*"));
  net.fail_log(error{status::resource_exhausted, "the disk is full", false});
  net.emit("client", 1, "order.placed");
  CHECK(net.error_of("client", 1).message == "the disk is full");
  CHECK(net.events().empty());
  CHECK(net.events_at("member").empty());
  net.fail_log({});
  net.emit("client", 2, "order.placed");
  CHECK(net.status_of("client", 2) == status::ok);
  CHECK(net.events_at("member").size() == 1);
}

TEST_CASE("broker: one without a disk gives no receipts for what is to be kept, and says so in its welcome", "[broker][events]") {
  broker_fixture net{quick(), event_settings{}};
  net.emit("client", 1, "order.placed");
  CHECK(net.error_of("client", 1).code == status::failed_precondition);
  net.hello("client", 2, 1);
  CHECK(json_of(net.reply_to("client", 2).payload).at("durable") == false);
  net.emit("client", 0, "order.placed");
  CHECK(net.events().size() == 1);

  broker_fixture with{quick(), on_disk()};
  with.hello("client", 2, 1);
  CHECK(json_of(with.reply_to("client", 2).payload).at("durable") == true);
}

TEST_CASE("broker: a member of a group gets an event under a lease, and its reply settles it", "[broker][events]") {
  broker_fixture net{quick(), on_disk()};
  net.join("member", serves::service("mail").handles("order.*").budget(5s).attempts(4));
  CHECK(json_of(net.reply_to("member", 1).payload).at("seats") == 1);
  net.emit("client", 1, "order.placed", "\x2a", {{"event_id", "e-1"}, {"trace", "t"}});
  net.emit("client", 2, "stock.moved");
  REQUIRE(net.events_at("member").size() == 1);
  const auto event = net.events_at("member")[0];
  CHECK(event.name == "order.placed");
  CHECK(event.payload == "\x2a");
  CHECK(wire::headers_from_msgpack(event.headers).at("trace") == "t");
  const auto said = about(net, "member");
  CHECK(said.at("group") == "mail");
  CHECK(said.at("sequence") == 1);
  CHECK(said.at("attempt") == 1);
  CHECK(said.at("attempts_max") == 4);
  CHECK(said.at("budget_ms") == 5000);
  CHECK(said.at("event_id") == "e-1");
  CHECK(only_group(net, 3).at("in_flight") == 1);
  acknowledge(net, "member");
  CHECK(net.inbox("client", frame_type::reply).size() == 2);  // receipts; what the member said is for the group only
  net.advance(60s);
  CHECK(net.events_at("member").size() == 1);
  CHECK(only_group(net, 4).at("settled") == 2);
}

TEST_CASE("broker: an event takes one of its member's slots, beside calls", "[broker][events]") {
  broker_fixture net{quick(), on_disk()};
  net.join("worker", serves("a").handles("x").slots(1));
  net.emit("client", 0, "x");
  net.call("client", 1, "a", 60s);
  CHECK(net.events_at("worker").size() == 1);
  CHECK(net.calls_at("worker") == 0);
  acknowledge(net, "worker");
  CHECK(net.calls_at("worker") == 1);
  net.emit("client", 0, "x");
  CHECK(net.events_at("worker").size() == 1);
  net.answer("worker");
  CHECK(net.events_at("worker").size() == 2);
}

TEST_CASE("broker: neither a backlog of events nor one of calls starves the other", "[broker][events]") {
  broker_fixture net{quick(), on_disk()};
  net.join("worker", serves("a").handles("x").slots(1));
  for (int i = 0; i < 100; ++i) net.emit("client", 0, "x");
  for (std::uint64_t id = 1; id <= 100; ++id) net.call("client", id, "a", 60s);
  for (int i = 0; i < 40; ++i) {
    const auto last = net.inbox("worker").back();
    net.reply("worker", last.id, status::ok, {});
  }
  CHECK(net.calls_at("worker") >= 19);
  CHECK(net.events_at("worker").size() >= 19);
}

TEST_CASE("broker: an event whose member dies comes to another, as its next attempt", "[broker][events]") {
  broker_fixture net{quick(), on_disk()};
  net.join("one", serves::service("mail").handles("x"));
  net.emit("client", 0, "x");
  REQUIRE(net.events_at("one").size() == 1);
  net.join("two", serves::service("mail").handles("x"));
  net.silence("one");
  net.advance(2s);
  CHECK(net.events_at("two").empty());  // it may be slow only
  net.advance(6s);
  REQUIRE(net.events_at("two").size() == 1);
  CHECK(about(net, "two").at("attempt") == 2);
  acknowledge(net, "two");
  net.advance(600s);
  CHECK(net.events_at("two").size() == 1);
}

TEST_CASE("broker: an event that never left for its member is no attempt", "[broker][events]") {
  broker_fixture net{quick(), on_disk()};
  net.join("one", serves::service("mail").handles("x"));
  net.clog("one");
  net.emit("client", 0, "x");
  net.join("two", serves::service("mail").handles("x"));
  net.unreachable_clogged("one");
  net.advance(5s);
  REQUIRE(net.events_at("two").size() == 1);
  CHECK(about(net, "two").at("attempt") == 1);
}

TEST_CASE("broker: a member that leaves finishes its events, and gets no more", "[broker][events]") {
  broker_fixture net{quick(), on_disk()};
  net.join("member", serves::service("mail").handles("x").slots(2));
  net.emit("client", 0, "x");
  net.leave("member", 9);
  net.emit("client", 0, "x");
  net.advance(1s);
  CHECK(net.events_at("member").size() == 1);
  CHECK(net.replies_to("member", 9) == 0);
  acknowledge(net, "member");
  CHECK(net.status_of("member", 9) == status::ok);
  CHECK(only_group(net, 1).at("settled") == 1);
  net.advance(30s);
  net.join("next", serves::service("mail").handles("x"));
  net.advance(5s);
  REQUIRE(net.events_at("next").size() == 1);
  CHECK(about(net, "next").at("sequence") == 2);
  CHECK(about(net, "next").at("attempt") == 1);
}

TEST_CASE("broker: an acknowledgement after the budget does not count, and holds the slot until it comes", "[broker][events]") {
  broker_fixture net{quick(), on_disk()};
  net.join("member", serves::service("mail").handles("x").budget(5s).slots(1));
  net.emit("client", 0, "x");
  const auto lease = net.events_at("member").at(0).id;
  net.advance(6s);
  CHECK(net.cancels_at("member") == std::vector{lease});
  net.advance(10s);
  CHECK(net.events_at("member").size() == 1);
  acknowledge(net, "member", 0);
  CHECK(only_group(net, 1).at("settled") == 0);
  REQUIRE(net.events_at("member").size() == 2);
  CHECK(about(net, "member", 1).at("attempt") == 2);
  acknowledge(net, "member", 1);
  CHECK(only_group(net, 2).at("settled") == 1);
}

TEST_CASE("broker: the budget of an event counts from when a member has it, however long it waited for a slot", "[broker][events]") {
  broker_fixture net{quick(), on_disk()};
  net.join("worker", serves("a").handles("x").budget(5s).slots(1));
  net.call("client", 1, "a", 600s);
  net.emit("client", 0, "x");
  net.advance(60s);
  CHECK(net.events_at("worker").empty());
  net.answer("worker");
  REQUIRE(net.events_at("worker").size() == 1);
  CHECK(about(net, "worker").at("attempt") == 1);
  net.advance(4s);
  CHECK(net.cancels_at("worker").empty());
  net.advance(2s);
  CHECK(net.cancels_at("worker").size() == 1);
}

TEST_CASE("broker: an event that a member says it cannot handle comes again, and is a dead letter in the end", "[broker][events]") {
  broker_fixture net{quick(), on_disk()};
  net.join("member", serves::service("mail").handles("x").attempts(2));
  net.emit("client", 0, "x");
  std::string why;
  wire::append_error(why, {status::internal, "no such customer", true});
  net.reply("member", net.events_at("member").at(0).id, status::internal, why);
  CHECK(net.events_at("member").size() == 1);
  net.advance(5s);
  REQUIRE(net.events_at("member").size() == 2);
  net.reply("member", net.events_at("member").at(1).id, status::internal, why);
  net.advance(60s);
  CHECK(net.events_at("member").size() == 2);
  const auto dead = net.ask("operator", 1, "waggle.dead").at("dead");
  REQUIRE(dead.size() == 1);
  CHECK(dead[0].at("topic") == "x");
  CHECK(dead[0].at("attempts") == 2);
  CHECK(dead[0].at("error").at("message") == "no such customer");
}

TEST_CASE("broker: PARTs of an event's member go nowhere, and an UNAVAILABLE is a failed attempt", "[broker][events]") {
  broker_fixture net{quick(), on_disk()};
  net.join("member", serves::service("mail").handles("x").slots(1));
  net.join("other", serves::service("mail").handles("x").slots(1));
  net.emit("client", 0, "x");
  const auto first = net.events_at("member").empty() ? "other"s : "member"s;
  const auto second = first == "other" ? "member"s : "other"s;
  const auto lease = net.events_at(first).at(0).id;
  net.part(first, lease);
  net.reply(first, lease, status::unavailable, {});
  CHECK(net.events_at(second).empty());
  net.advance(5s);
  CHECK(net.events_at(first).size() + net.events_at(second).size() == 2);
  CHECK(net.core().counts().retries == 0);
}

TEST_CASE("broker: services are listed with their events as they say them, not with commands made of them", "[broker][events]") {
  broker_fixture net{quick(), on_disk()};
  net.join("one", serves("mail.send").handles("a.*").handles("b"));
  net.join("two", serves("mail.send").handles("b").handles("a.*"));
  net.join("three", serves("mail.send").handles("b"));
  const auto services = net.ask("operator", 1, "waggle.services").at("services");
  REQUIRE(services.size() == 2);  // the order of events makes no difference
  for (const auto& each : services) {
    REQUIRE(each.at("commands").size() == 1);
    CHECK(each.at("commands")[0].at("name") == "mail.send");
    CHECK(each.at("events").size() == (each.at("instances").size() == 2 ? 2 : 1));
  }
}

TEST_CASE("broker: queues and calls show events under their group and pattern", "[broker][events]") {
  broker_fixture net{quick(), on_disk()};
  net.join("member", serves::service("mail").handles("order.*").slots(1));
  for (int i = 0; i < 2; ++i) net.emit("client", 0, "order.placed");
  const auto name = event_command("mail", "order.*");
  const auto calls = net.ask("operator", 1, "waggle.calls").at("calls");
  REQUIRE(calls.size() == 2);
  for (const auto& each : calls) {
    CHECK(each.at("command") == name);
    CHECK(each.at("caller") == "waggle");
  }
  const auto queues = net.ask("operator", 2, "waggle.queues").at("queues");
  REQUIRE(queues.size() == 1);
  CHECK(queues[0].at("command") == name);
  CHECK(net.core().kept_bytes() > 0);
  acknowledge(net, "member", 0);
  acknowledge(net, "member", 1);
  CHECK(net.core().open_calls() == 0);
  CHECK(net.core().kept_bytes() == 0);
}

TEST_CASE("broker: deliveries to a group can be paused like calls", "[broker][events]") {
  broker_fixture net{quick(), on_disk()};
  net.join("member", serves::service("mail").handles("x").slots(4));
  CHECK(net.ask("operator", 1, "waggle.pause", {{"command", event_command("mail", "x")}}).at("queued") == 0);
  net.emit("client", 0, "x");
  net.advance(60s);
  CHECK(net.events_at("member").empty());
  CHECK(net.ask("operator", 2, "waggle.resume", {{"command", event_command("mail", "x")}}).at("queued") == 1);
  REQUIRE(net.events_at("member").size() == 1);
  CHECK(about(net, "member").at("attempt") == 1);
}

TEST_CASE("broker: a worker whose groups would be too many is not seated at all", "[broker][events]") {
  auto limited = on_disk();
  limited.groups_max = 1;
  broker_fixture net{quick(), limited};
  net.join("one", serves("a").handles("x", "g"));
  net.join("two", serves("b").handles("x", "h"));
  CHECK(net.error_of("two", 1).code == status::resource_exhausted);
  CHECK(net.core().worker_count() == 1);
  CHECK_FALSE(net.core().serves("b"));
  net.join("three", serves("b").handles("y", "g"), 1);
  CHECK(net.status_of("three", 1) == status::ok);
}

TEST_CASE("broker: a member that joins again with other events gets those", "[broker][events]") {
  broker_fixture net{quick(), on_disk()};
  net.join("member", serves::service("mail").handles("x").slots(4));
  net.join("member", serves::service("mail").handles("y").slots(4), 2);
  net.emit("client", 0, "x");
  net.emit("client", 0, "y");
  REQUIRE(net.events_at("member").size() == 1);
  CHECK(net.events_at("member")[0].name == "y");
}
