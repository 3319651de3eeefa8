#include <waggle/detail/worker_core.hpp>

#include <optional>
#include <deque>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace waggle;
using namespace std::chrono_literals;

/// A worker core with a clock to turn, whose broker is the test.
struct worker_fixture {
  detail::time_point now{std::chrono::hours{1}};
  detail::worker_core under_test{now, {.manifest = "\x80", .broker = "tcp://broker", .jitter_seed = 7, .unsent_bytes_max = 1000, .receipts_max = 5}};
  std::vector<detail::lease> calls;
  std::vector<detail::lease> cancels;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> credits;
  int asked_to_leave = 0;
  int joined = 0, lost = 0, left = 0, complaints = 0;
  std::optional<error> refused;
  std::deque<wire::message> sent;
  bool durable = false;
  std::uint64_t attachments = 0;  ///< that the broker takes

  void on_joined(const detail::welcome&) { ++joined; }
  void on_call(const detail::lease& lease, const wire::frame&) { calls.push_back(lease); }
  void on_cancel(const detail::lease& lease) { cancels.push_back(lease); }
  void on_credit(const detail::lease& lease, std::uint64_t parts) { credits.emplace_back(lease.id, parts); }
  void on_asked_to_leave() { ++asked_to_leave; }
  void on_lost(const std::string&) { ++lost; }
  void on_refused(error why) { refused = std::move(why); }
  void on_left() { ++left; }
  void on_complaint(const error&) { ++complaints; }

  void advance(std::chrono::milliseconds by) {
    now += by;
    under_test.tick(now, *this);
  }
  /// The frames that it wants sent now. Views point into `sent`.
  std::vector<wire::frame> sends() {
    sent.clear();
    std::vector<wire::frame> out;
    for (wire::message next; under_test.take_message(now, next); next = {}) sent.push_back(std::move(next));
    for (const auto& each : sent) {
      wire::bundle_reader frames{each};
      wire::frame in;
      while (frames.next(in) == wire::decoded::frame) out.push_back(in);
    }
    return out;
  }
  int sends_of(wire::frame_type type) {
    int out = 0;
    for (const auto& each : sends()) out += each.type == type ? 1 : 0;
    return out;
  }
  void hears(const std::string& bundle) { under_test.receive(now, bundle, *this); }
  void answers(std::uint64_t id, status code) {
    std::string about, bundle;
    if (code == status::ok) {
      wire::writer writer{about};
      writer.map(4);
      writer.string("attachments");
      writer.unsigned_integer(attachments);
      writer.string("durable");
      writer.boolean(durable);
      writer.string("pulse_ms");
      writer.unsigned_integer(100);
      writer.string("missed_pulses_max");
      writer.unsigned_integer(3);
    } else {
      wire::append_error(about, {code, "no"});
    }
    wire::append_reply(bundle, id, code, about, {});
    hears(bundle);
  }
  void receipt(std::uint64_t id, status code = status::ok) {
    std::string about, bundle;
    code == status::ok ? wire::writer{about}.map(0) : wire::append_error(about, {code, "so it is"});
    wire::append_reply(bundle, id, code, about, {});
    hears(bundle);
  }
  void join() {
    while (sends_of(wire::frame_type::join) == 0) advance(10ms);
    answers(1, status::ok);
  }
  void called(std::uint64_t lease) {
    std::string bundle;
    wire::append_call(bundle, lease, "a.b", "\x01", 1000, {});
    hears(bundle);
  }
  void pulse(std::uint64_t seats) {
    std::string bundle;
    wire::append_pulse(bundle, seats);
    hears(bundle);
  }
};

}  // namespace

TEST_CASE("worker: joins once, pulses at the broker's rate, and answers what it is given", "[worker]") {
  worker_fixture net;
  CHECK(net.sends_of(wire::frame_type::join) == 1);
  CHECK(net.sends().empty());
  net.answers(1, status::ok);
  CHECK(net.joined == 1);
  for (int i = 0; i < 5; ++i) {
    net.advance(99ms);
    CHECK(net.sends().empty());
    net.advance(1ms);
    CHECK(net.sends_of(wire::frame_type::pulse) == 1);
    net.pulse(1);
  }
  net.called(77);
  REQUIRE(net.calls.size() == 1);
  net.under_test.reply(net.calls[0], status::ok, "\x02");
  const auto frames = net.sends();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].type == wire::frame_type::reply);
  CHECK(frames[0].id == 77);
}

TEST_CASE("worker: a broker that has forgotten it is joined again, and leases of the old seat are void", "[worker]") {
  worker_fixture net;
  net.join();
  net.called(5);
  const auto old = net.calls.at(0);
  net.pulse(0);
  CHECK(net.lost == 1);
  CHECK_FALSE(net.under_test.wants_connection());
  net.join();
  CHECK(net.joined == 2);
  net.called(5);  // the same number, another call
  net.under_test.reply(old, status::ok, "\x01");
  CHECK(net.sends_of(wire::frame_type::reply) == 0);
  net.under_test.reply(net.calls.at(1), status::ok, "\x02");
  CHECK(net.sends_of(wire::frame_type::reply) == 1);
}

TEST_CASE("worker: a broker that falls silent is sought on another connection", "[worker]") {
  worker_fixture net;
  net.join();
  net.called(5);
  net.advance(299ms);
  CHECK(net.lost == 0);
  net.advance(1ms);
  CHECK(net.lost == 1);
  CHECK(net.under_test.wants_connection());
  CHECK(net.under_test.at_hand() == 0);
  net.join();
  CHECK(net.joined == 2);
}

TEST_CASE("worker: while nothing can be sent it waits for the clock, joined or not", "[worker]") {
  worker_fixture nobody;  // its JOIN is stuck
  nobody.sends();
  for (int i = 0; i < 100; ++i) {
    nobody.advance(100ms);
    REQUIRE(nobody.under_test.next_deadline() > nobody.now);
  }
  CHECK(nobody.sends_of(wire::frame_type::join) == 1);  // however many connections were given up meanwhile

  worker_fixture net;
  net.join();
  for (int i = 0; i < 100; ++i) {
    net.advance(10ms);
    REQUIRE(net.under_test.next_deadline() > net.now);
  }
  CHECK(net.lost == 1);
}

TEST_CASE("worker: after standing still itself it waits one pulse more before it takes the broker for silent", "[worker]") {
  worker_fixture net;
  net.join();
  net.called(5);
  net.advance(10s);
  CHECK(net.lost == 0);
  net.pulse(1);  // lay unread
  net.under_test.reply(net.calls.at(0), status::ok, "\x01");
  CHECK(net.sends_of(wire::frame_type::reply) == 1);
  net.advance(10s);
  net.advance(100ms);
  CHECK(net.lost == 1);
}

TEST_CASE("worker: a manifest that is refused is the end; a broker that is full is asked again", "[worker]") {
  worker_fixture refused;
  refused.sends();
  refused.answers(1, status::invalid_argument);
  REQUIRE(refused.refused.has_value());
  CHECK(refused.under_test.left());

  worker_fixture full;
  full.sends();
  full.answers(1, status::resource_exhausted);
  CHECK_FALSE(full.refused.has_value());
  CHECK(full.complaints == 1);
  full.advance(900ms);
  CHECK(full.sends_of(wire::frame_type::join) == 0);
  full.advance(400ms);
  CHECK(full.sends_of(wire::frame_type::join) == 1);
}

TEST_CASE("worker: leaves when the broker says that nothing is at hand, and answers what is until then", "[worker]") {
  worker_fixture net;
  net.join();
  net.called(5);
  net.under_test.leave(net.now, net);
  CHECK(net.sends_of(wire::frame_type::leave) == 1);
  net.advance(100ms);
  net.pulse(0);  // it drains: no seats, but no reason to join again
  CHECK(net.lost == 0);
  net.under_test.reply(net.calls.at(0), status::ok, "\x01");
  CHECK(net.sends_of(wire::frame_type::reply) == 1);
  CHECK(net.left == 0);
  net.answers(2, status::ok);
  CHECK(net.left == 1);
  CHECK(net.under_test.next_deadline() == detail::time_point::max());
}

TEST_CASE("worker: a LEAVE that nobody answers does not keep an idle worker", "[worker]") {
  worker_fixture net;
  net.join();
  net.under_test.leave(net.now, net);
  net.advance(250ms);
  net.pulse(0);
  net.advance(249ms);
  CHECK(net.left == 0);
  net.advance(1ms);
  CHECK(net.left == 1);

  worker_fixture never_joined;
  never_joined.under_test.leave(never_joined.now, never_joined);
  CHECK(never_joined.left == 1);
}

TEST_CASE("worker: has no room for parts once its limit of unsent bytes is reached, and again when they have left", "[worker]") {
  worker_fixture net;
  net.join();
  net.called(5);
  CHECK(net.under_test.has_room());
  net.under_test.part(net.calls.at(0), std::string(1000, 'x'));
  CHECK_FALSE(net.under_test.has_room());
  CHECK(net.sends_of(wire::frame_type::part) == 1);
  CHECK(net.under_test.has_room());
}

TEST_CASE("worker: workers that lose their broker together do not all join again at the same moment", "[worker]") {
  std::vector<detail::time_point> joins;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    worker_fixture net;
    net.under_test = detail::worker_core{net.now, {.manifest = "\x80", .broker = "b", .jitter_seed = seed * 7919}};
    net.join();
    net.pulse(0);
    while (net.sends_of(wire::frame_type::join) == 0) net.advance(1ms);
    joins.push_back(net.now);
  }
  std::sort(joins.begin(), joins.end());
  CHECK(joins.back() - joins.front() > 50ms);
}

TEST_CASE("worker: any bytes from the broker are survived", "[worker]") {
  worker_fixture net;
  net.join();
  std::string good;
  wire::append_call(good, 9, "a.b", "\x01", 1000, {});
  for (std::size_t cut = 0; cut < good.size(); ++cut) net.hears(good.substr(0, cut));
  CHECK(net.calls.empty());
  net.hears(good);
  CHECK(net.calls.size() == 1);
}

TEST_CASE("worker: credit and the wish that it leaves are passed on", "[worker]") {
  worker_fixture net;
  net.sends();
  net.answers(1, status::ok);
  std::string bundle;
  wire::append_call(bundle, 9, "a", "\x01", 1000, {}, 2);
  wire::append_credit(bundle, 9, 5);
  wire::append_leave(bundle, 0);
  net.hears(bundle);
  CHECK(net.calls.size() == 1);
  CHECK(net.credits == std::vector<std::pair<std::uint64_t, std::uint64_t>>{{9, 5}});
  CHECK(net.asked_to_leave == 1);
  CHECK(net.under_test.joined());
}

TEST_CASE("worker: an event for its group is a lease like a call's", "[worker]") {
  worker_fixture net;
  net.join();
  std::string bundle;
  wire::append_event(bundle, 9, "order.placed", "\x01", {}, "\x80");
  net.hears(bundle);
  REQUIRE(net.calls.size() == 1);
  CHECK(net.under_test.at_hand() == 1);
  net.under_test.reply(net.calls[0], status::ok, "\xc0");
  CHECK(net.sends_of(wire::frame_type::reply) == 1);
  CHECK(net.under_test.at_hand() == 0);
}

TEST_CASE("worker: where the broker keeps nothing, a handler's events leave without receipts, before its reply", "[worker]") {
  worker_fixture net;
  net.join();
  net.called(5);
  net.under_test.succeed(net.calls.at(0), "\x02", {{"a", "\x01", ""}, {"b", "\x01", ""}}, net.now + 1s);
  const auto frames = net.sends();
  REQUIRE(frames.size() == 3);
  CHECK(frames[0].type == wire::frame_type::emit);
  CHECK(frames[0].id == 0);
  CHECK(frames[1].name == "b");
  CHECK(frames[2].type == wire::frame_type::reply);
}

TEST_CASE("worker: a success is told when the handler's events are kept, all of them, and not before", "[worker]") {
  worker_fixture net;
  net.durable = true;
  net.join();
  net.called(5);
  net.called(6);
  net.under_test.succeed(net.calls.at(0), "\x02", {{"a", "\x01", ""}, {"b", "\x01", ""}}, net.now + 1s);
  net.under_test.succeed(net.calls.at(1), "\x03", {}, net.now + 1s);  // none: at once
  auto frames = net.sends();
  REQUIRE(frames.size() == 3);
  const auto first = frames[0].id, second = frames[1].id;
  CHECK(first != 0);
  CHECK(frames[2].id == 6);
  net.receipt(second);
  CHECK(net.sends_of(wire::frame_type::reply) == 0);
  CHECK(net.under_test.at_hand() == 1);
  net.receipt(second);  // once more
  CHECK(net.sends_of(wire::frame_type::reply) == 0);
  net.receipt(first);
  frames = net.sends();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].id == 5);
  CHECK(frames[0].status == status::ok);
  CHECK(frames[0].payload == "\x02");
  CHECK(net.under_test.at_hand() == 0);
}

TEST_CASE("worker: a success whose event cannot be kept, or of which nobody says so in time, is an error that may have run", "[worker]") {
  worker_fixture net;
  net.durable = true;
  net.join();
  net.called(5);
  net.called(6);
  net.under_test.succeed(net.calls.at(0), "\x02", {{"a", "\x01", ""}, {"b", "\x01", ""}}, net.now + 1s);
  net.under_test.succeed(net.calls.at(1), "\x02", {{"c", "\x01", ""}}, net.now + 50ms);
  auto frames = net.sends();
  net.receipt(frames.at(1).id, status::resource_exhausted);
  net.receipt(frames.at(0).id);
  frames = net.sends();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].id == 5);
  CHECK(frames[0].status == status::resource_exhausted);
  const auto why = wire::read_error(frames[0].status, frames[0].payload);
  CHECK(why.message == "the event b could not be kept: so it is");
  CHECK(why.may_have_run);
  CHECK(net.under_test.next_deadline() == net.now + 50ms);
  net.advance(50ms);
  frames = net.sends();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].id == 6);
  CHECK(frames[0].status == status::deadline_exceeded);
  CHECK(wire::read_error(frames[0].status, frames[0].payload).message.find("event c") != std::string::npos);
  CHECK(net.under_test.at_hand() == 0);
}

TEST_CASE("worker: receipts that are awaited are bounded, and gone with the broker", "[worker]") {
  worker_fixture net;
  net.durable = true;
  net.join();
  net.called(5);
  net.called(6);
  net.called(7);
  const std::vector<detail::emitted> three{{"a", "\x01", ""}, {"b", "\x01", ""}, {"c", "\x01", ""}};
  net.under_test.succeed(net.calls.at(0), "\x02", three, net.now + 1s);
  net.under_test.succeed(net.calls.at(1), "\x02", three, net.now + 1s);
  auto frames = net.sends();
  REQUIRE(frames.size() == 4);
  CHECK(frames[3].status == status::resource_exhausted);
  const auto stale = frames[0].id;
  net.pulse(0);
  net.join();
  net.receipt(stale);
  net.advance(2s);
  CHECK(net.sends_of(wire::frame_type::reply) == 0);
}

TEST_CASE("worker: leaves only when the events of its handlers are kept", "[worker]") {
  worker_fixture net;
  net.durable = true;
  net.join();
  net.called(5);
  net.under_test.leave(net.now, net);
  net.under_test.succeed(net.calls.at(0), "\x02", {{"a", "\x01", ""}}, net.now + 10s);
  const auto frames = net.sends();
  for (int i = 0; i < 8; ++i) {
    net.advance(100ms);
    net.pulse(1);
  }
  CHECK(net.left == 0);
  net.receipt(frames.at(1).id);
  CHECK(net.sends_of(wire::frame_type::reply) == 1);
  net.answers(2, status::ok);
  CHECK(net.left == 1);
}

TEST_CASE("worker: a lease that comes twice does no harm to the receipts of the first", "[worker]") {
  worker_fixture net;
  net.durable = true;
  net.join();
  net.called(5);
  net.called(5);
  net.under_test.succeed(net.calls.at(0), "\x02", {{"a", "\x01", ""}}, net.now + 50ms);
  net.under_test.succeed(net.calls.at(1), "\x02", {{"a", "\x01", ""}, {"b", "\x01", ""}}, net.now + 60ms);
  net.receipt(net.sends().at(1).id);
  net.advance(100ms);
  CHECK(net.sends_of(wire::frame_type::reply) == 2);
  CHECK(net.under_test.at_hand() == 0);
}

TEST_CASE("worker: large answers and parts are attached, the handler's own bytes, as many in a message as the broker takes", "[worker]") {
  worker_fixture net;
  net.attachments = 2;
  net.under_test = detail::worker_core{net.now, {.manifest = "\x80", .broker = "b", .attachment_bytes_min = 5}};
  net.join();
  net.called(16);
  net.called(17);
  std::string large = "large enough to be no short string", answer = large;
  const auto* const bytes = answer.data();
  net.under_test.part(net.calls.at(0), "part 1");
  net.under_test.reply(net.calls.at(0), status::ok, std::move(answer));
  net.under_test.part(net.calls.at(1), "part 2");
  net.under_test.reply(net.calls.at(1), status::ok, "tiny");
  const auto frames = net.sends();
  REQUIRE(frames.size() == 4);
  CHECK(frames[0].attached != nullptr);
  CHECK(frames[0].payload == "part 1");
  CHECK(frames[1].payload == large);
  CHECK(frames[1].payload.data() == bytes);
  CHECK(frames[2].attached == nullptr);
  CHECK(frames[2].payload == "part 2");
  CHECK(frames[3].attached == nullptr);
  CHECK(net.sent.at(0).attachments.size() == 2);
}

TEST_CASE("worker: a message that has become large by its attachments is closed", "[worker]") {
  worker_fixture net;
  net.attachments = 64;
  net.under_test = detail::worker_core{net.now, {.manifest = "\x80", .broker = "b"}};
  net.join();
  net.called(16);
  net.called(17);
  for (const auto& each : net.calls) net.under_test.reply(each, status::ok, std::string(wire::attachment_bytes_min, 'x'));
  CHECK(net.sends().size() == 2);
  CHECK(net.sent.size() == 2);
}

TEST_CASE("worker: attachments count as what waits to be sent", "[worker]") {
  worker_fixture net;
  net.attachments = 64;
  net.under_test = detail::worker_core{net.now, {.manifest = "\x80", .broker = "b", .unsent_bytes_max = 100'000}};
  net.join();
  net.called(16);
  net.under_test.part(net.calls.at(0), std::string(99'000, 'x'));
  CHECK(net.under_test.has_room());
  net.under_test.part(net.calls.at(0), std::string(99'000, 'x'));
  CHECK_FALSE(net.under_test.has_room());
  net.sends();
  CHECK(net.under_test.has_room());
}

namespace {

/// One that is quiet while it has nothing at hand, at a broker that pulses every 100 ms, or every 2 s with those that are.
struct quiet_fixture : worker_fixture {
  std::uint64_t idle_pulse_ms = 2000;
  quiet_fixture() {
    under_test = detail::worker_core{now, {.manifest = "\x80", .broker = "tcp://broker", .jitter_seed = 7, .idles = true}};
    while (sends_of(wire::frame_type::join) == 0) advance(10ms);
  }
  void welcomed() {
    std::string about, bundle;
    wire::writer writer{about};
    writer.map(idle_pulse_ms == 0 ? 2 : 3);
    writer.string("pulse_ms");
    writer.unsigned_integer(100);
    writer.string("missed_pulses_max");
    writer.unsigned_integer(3);
    if (idle_pulse_ms != 0) {
      writer.string("idle_pulse_ms");
      writer.unsigned_integer(idle_pulse_ms);
    }
    wire::append_reply(bundle, 1, status::ok, about, {});
    hears(bundle);
  }
  /// Pulses that it sends in that time, while the clock is looked at every 10 ms.
  int pulses_in(std::chrono::milliseconds time) {
    int out = 0;
    for (auto passed = 0ms; passed < time; passed += 10ms) {
      advance(10ms);
      out += sends_of(wire::frame_type::pulse);
    }
    return out;
  }
};

}  // namespace

TEST_CASE("worker: with nothing at hand it pulses seldom, and bears as long a silence of its broker", "[worker]") {
  quiet_fixture net;
  net.welcomed();
  CHECK(net.pulses_in(5s) == 3);  // the first soon, so that the broker knows that it is there
  net.pulse(1);
  CHECK(net.pulses_in(5900ms) == 3);
  CHECK(net.lost == 0);
  net.advance(100ms);
  CHECK(net.lost == 1);
}

TEST_CASE("worker: at a broker that does not know of idle pulses it pulses as others do", "[worker]") {
  quiet_fixture net;
  net.idle_pulse_ms = 0;
  net.welcomed();
  CHECK(net.pulses_in(290ms) == 2);
  CHECK(net.lost == 0);
  net.advance(10ms);
  CHECK(net.lost == 1);
}

TEST_CASE("worker: a call ends its quiet: it pulses at once as others do, until it has answered, and so must its broker", "[worker]") {
  quiet_fixture net;
  net.welcomed();
  net.pulses_in(1s);
  net.called(5);
  CHECK(net.pulses_in(100ms) == 1);
  net.pulse(1);
  CHECK(net.pulses_in(200ms) == 2);
  net.under_test.reply(net.calls.at(0), status::ok, "\x02");
  net.pulse(1);
  CHECK(net.pulses_in(2s) <= 2);
  CHECK(net.lost == 0);
  net.called(6);
  net.advance(299ms);
  CHECK(net.lost == 0);
  net.advance(1ms);
  CHECK(net.lost == 1);
}

TEST_CASE("worker: one that leaves after a long quiet does not take its broker for dead", "[worker]") {
  quiet_fixture net;
  net.welcomed();
  net.pulses_in(350ms);
  net.under_test.leave(net.now, net);
  net.advance(10ms);
  CHECK(net.lost == 0);
  CHECK(net.sends_of(wire::frame_type::leave) == 1);
  net.answers(2, status::ok);
  CHECK(net.left == 1);
}

TEST_CASE("worker: a quiet one asks at once whether a complaint has cost its seat", "[worker]") {
  quiet_fixture net;
  net.welcomed();
  net.pulses_in(1s);
  net.answers(0, status::invalid_argument);
  CHECK(net.complaints == 1);
  net.advance(0ms);
  CHECK(net.sends_of(wire::frame_type::pulse) == 1);
}
