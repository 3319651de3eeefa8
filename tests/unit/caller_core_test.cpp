#include <waggle/detail/caller_core.hpp>

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace waggle;
using namespace std::chrono_literals;
using core = detail::caller_core<std::string>;

/// A caller core with a clock to turn, whose broker is the test.
struct caller_fixture {
  detail::time_point now{std::chrono::hours{1}};
  core under_test{now, {.name = "test", .broker = "tcp://broker", .calls_max = 3}};
  std::map<std::string, std::string> results;
  std::map<std::string, error> errors;
  std::vector<std::string> parts;
  int complaints = 0;

  void on_part(std::string&, std::string_view payload) { parts.emplace_back(payload); }
  void on_result(std::string tag, std::string_view payload, std::string_view) { results[tag] = payload; }
  void on_error(std::string tag, error why) { errors[tag] = std::move(why); }
  void on_complaint(const error&) { ++complaints; }

  std::uint64_t call(std::string tag, std::chrono::milliseconds budget) {
    return under_test.call(now, tag, "a.b", "\x01", budget, {});
  }
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
  void hears(const wire::message_view& bundle) { under_test.receive(now, bundle, *this); }
  void welcomed(const std::string& broker = "b1", std::uint64_t attachments = 0) {
    std::string about, bundle;
    wire::writer writer{about};
    writer.map(4);
    writer.string("attachments");
    writer.unsigned_integer(attachments);
    writer.string("broker");
    writer.string(broker);
    writer.string("pulse_ms");
    writer.unsigned_integer(100);
    writer.string("missed_pulses_max");
    writer.unsigned_integer(3);
    wire::append_reply(bundle, 1, status::ok, about, {});
    hears(bundle);
  }
  void replied(std::uint64_t id, const std::string& payload = "\x02") {
    std::string bundle;
    wire::append_reply(bundle, id, status::ok, payload, {});
    hears(bundle);
  }
  std::deque<wire::message> sent;
};

}  // namespace

TEST_CASE("caller: nothing but HELLO leaves before the broker has answered, and then what waited does", "[caller]") {
  caller_fixture net;
  const auto id = net.call("one", 1s);
  auto frames = net.sends();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].type == wire::frame_type::hello);
  CHECK(net.sends().empty());

  net.advance(200ms);
  net.welcomed();
  frames = net.sends();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].type == wire::frame_type::call);
  CHECK(frames[0].id == id);
  CHECK(frames[0].budget_ms == 800);
  net.replied(id);
  CHECK(net.results.at("one") == "\x02");
}

TEST_CASE("caller: a call that ends before it was sent has not run; one that was sent may have", "[caller]") {
  caller_fixture net;
  net.call("early", 100ms);
  net.advance(100ms);
  CHECK(net.errors.at("early").code == status::unavailable);
  CHECK_FALSE(net.errors.at("early").may_have_run);

  net.sends();
  net.welcomed();
  net.call("sent", 100ms);
  const auto frames = net.sends();
  REQUIRE(frames.size() == 1);
  net.advance(100ms);
  CHECK(net.errors.count("sent") == 0);  // the broker's own verdict may be on its way
  net.advance(100ms);
  CHECK(net.errors.at("sent").code == status::deadline_exceeded);
  CHECK(net.errors.at("sent").may_have_run);
  bool cancelled = false;
  for (const auto& each : net.sends()) cancelled = cancelled || each.type == wire::frame_type::cancel;
  CHECK(cancelled);
}

TEST_CASE("caller: a reply that comes late, twice or for nobody ends nothing", "[caller]") {
  caller_fixture net;
  net.sends();
  net.welcomed();
  const auto first = net.call("first", 1s);
  net.sends();
  net.replied(first, "\x01");
  net.replied(first, "\x02");
  net.replied(12345, "\x03");
  const auto second = net.call("second", 1s);
  net.sends();
  CHECK(second != first);  // the place is the same, the id is not
  net.replied(first, "\x04");
  CHECK(net.results.at("first") == "\x01");
  CHECK(net.results.count("second") == 0);
  CHECK(net.under_test.open_calls() == 1);
}

TEST_CASE("caller: a broker that falls silent loses what was sent, keeps what was not, and is sought anew", "[caller]") {
  caller_fixture net;
  net.sends();
  net.welcomed();
  net.call("sent", 1h);
  net.sends();
  net.advance(100ms);
  REQUIRE(net.sends().size() == 1);  // HELLO again, since calls are open
  net.advance(300ms);
  CHECK(net.errors.at("sent").code == status::unavailable);
  CHECK(net.errors.at("sent").may_have_run);
  CHECK(net.under_test.wants_connection());
  CHECK_FALSE(net.under_test.wants_connection());
  CHECK_FALSE(net.under_test.ready());

  net.call("waits", 1h);
  net.sends();
  net.welcomed("b2");
  const auto frames = net.sends();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].type == wire::frame_type::call);
}

TEST_CASE("caller: while nothing can be sent it waits for the clock, and counts the broker as silent all the same", "[caller]") {
  caller_fixture nobody;  // its HELLO is stuck
  nobody.sends();
  for (int i = 0; i < 50; ++i) {
    nobody.advance(100ms);
    REQUIRE(nobody.under_test.next_deadline() > nobody.now);
  }

  caller_fixture net;
  net.sends();
  net.welcomed();
  net.call("sent", 1h);
  net.sends();  // the last that the owner gets rid of
  for (int i = 0; i < 4; ++i) {
    REQUIRE(net.errors.empty());
    net.advance(100ms);
    if (net.errors.empty()) REQUIRE(net.under_test.next_deadline() > net.now);
  }
  CHECK(net.errors.at("sent").code == status::unavailable);
  CHECK(net.under_test.wants_connection());
}

TEST_CASE("caller: after standing still itself it waits one pulse more before it takes the broker for silent", "[caller]") {
  caller_fixture net;
  net.sends();
  net.welcomed();
  const auto id = net.call("sent", 1h);
  net.sends();
  net.advance(100ms);
  net.sends();  // HELLO, whose answer comes while this process is stopped
  net.advance(10s);
  CHECK(net.errors.empty());
  net.welcomed();
  net.replied(id);
  CHECK(net.results.count("sent") == 1);

  net.call("other", 1h);
  net.sends();
  net.advance(100ms);
  net.sends();
  net.advance(10s);
  net.advance(100ms);
  CHECK(net.errors.at("other").code == status::unavailable);
}

TEST_CASE("caller: calls that come and end without a broker leave nothing behind", "[caller]") {
  caller_fixture net;
  net.call("long", 24h);  // stands before all others
  for (int i = 0; i < 1000; ++i) {
    net.call("short", 1ms);
    net.advance(1ms);
  }
  CHECK(net.under_test.open_calls() == 1);
  CHECK(net.under_test.waiting_ids() < 100);
}

TEST_CASE("caller: another broker at the same endpoint is noticed, and calls of the old one end", "[caller]") {
  caller_fixture net;
  net.sends();
  net.welcomed("b1");
  net.call("old", 1h);
  net.sends();
  net.advance(100ms);
  net.sends();
  net.welcomed("b2");
  CHECK(net.errors.at("old").code == status::unavailable);
  CHECK(net.errors.at("old").may_have_run);
  CHECK(net.under_test.ready());
}

TEST_CASE("caller: at its limit of open calls it refuses the next and leaves the tag alone", "[caller]") {
  caller_fixture net;
  for (const char* each : {"a", "b", "c"}) CHECK(net.call(each, 1s) != 0);
  std::string tag = "d";
  CHECK(net.under_test.call(net.now, tag, "a.b", {}, 1s, {}) == 0);
  CHECK(tag == "d");
}

TEST_CASE("caller: parts reach the open call until its reply", "[caller]") {
  caller_fixture net;
  net.sends();
  net.welcomed();
  const auto id = net.call("stream", 1s);
  net.sends();
  std::string bundle;
  wire::append_part(bundle, id, "\x01");
  wire::append_part(bundle, id, "\x02");
  wire::append_reply(bundle, id, status::ok, "\x03", {});
  wire::append_part(bundle, id, "\x04");
  net.hears(bundle);
  CHECK(net.parts == std::vector<std::string>{"\x01", "\x02"});
  CHECK(net.results.at("stream") == "\x03");
}

TEST_CASE("caller: a call given up before it was sent ends at once, a sent one when the broker says so", "[caller]") {
  caller_fixture net;
  const auto early = net.call("early", 1s);
  net.under_test.cancel(early, net);
  CHECK(net.errors.at("early").code == status::cancelled);
  CHECK_FALSE(net.errors.at("early").may_have_run);
  net.sends();
  net.welcomed();
  const auto sent = net.call("sent", 1s);
  net.sends();
  net.under_test.cancel(sent, net);
  CHECK(net.errors.count("sent") == 0);
  const auto frames = net.sends();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].type == wire::frame_type::cancel);
  CHECK(frames[0].id == sent);
}

TEST_CASE("caller: closing ends every call, and says which may have run", "[caller]") {
  caller_fixture net;
  net.sends();
  net.welcomed();
  net.call("sent", 1s);
  net.sends();
  net.call("unsent", 1s);
  net.under_test.close_all(net);
  CHECK(net.errors.at("sent").may_have_run);
  CHECK_FALSE(net.errors.at("unsent").may_have_run);
  CHECK(net.under_test.open_calls() == 0);
}

TEST_CASE("caller: any bytes from the broker are survived", "[caller]") {
  caller_fixture net;
  net.sends();
  net.welcomed();
  const auto id = net.call("one", 1s);
  net.sends();
  std::string good;
  wire::append_reply(good, id, status::ok, "\x02", {});
  for (std::size_t cut = 0; cut < good.size(); ++cut) net.hears(good.substr(0, cut));
  net.hears("\xc1");
  CHECK(net.results.empty());
  net.hears(good);
  CHECK(net.results.count("one") == 1);
}

TEST_CASE("caller: an idempotent call is sent again when the broker has restarted, in the old order and before newer calls", "[caller]") {
  caller_fixture net;
  net.sends();
  net.welcomed("b1");
  const auto again = [&](std::string tag) {
    return net.under_test.call(net.now, tag, "a.b", "\x01", 1s, {}, {.idempotent = true});
  };
  const auto first = again("first");
  const auto second = again("second");
  const auto once = net.call("once", 1s);
  CHECK(net.sends().size() == 3);
  net.advance(100ms);
  net.welcomed("b2");
  CHECK(net.errors.at("once").code == status::unavailable);
  CHECK(net.errors.at("once").may_have_run);
  CHECK(net.errors.size() == 1);
  CHECK(once != 0);
  net.call("new", 1s);
  const auto frames = net.sends();
  REQUIRE(frames.size() == 3);
  CHECK(frames[0].id == first);
  CHECK(frames[0].payload == "\x01");
  CHECK(frames[0].budget_ms == 900);
  CHECK(frames[1].id == second);
  net.replied(first);
  net.replied(second);
  CHECK(net.results.size() == 2);
}

TEST_CASE("caller: an idempotent call whose broker does not come back ends within its budget, and may have run", "[caller]") {
  caller_fixture net;
  net.sends();
  net.welcomed();
  std::string tag = "one";
  net.under_test.call(net.now, tag, "a.b", "\x01", 1s, {}, {.idempotent = true});
  net.sends();
  for (int i = 0; i < 10; ++i) net.advance(100ms);
  CHECK(net.errors.at("one").code == status::unavailable);
  CHECK(net.errors.at("one").may_have_run);
}

TEST_CASE("caller: a call that has had a part is not begun again", "[caller]") {
  caller_fixture net;
  net.sends();
  net.welcomed("b1");
  std::string tag = "one";
  const auto id = net.under_test.call(net.now, tag, "a.b", "\x01", 1s, {}, {.idempotent = true});
  net.sends();
  std::string part;
  wire::append_part(part, id, "\x05");
  net.hears(part);
  net.welcomed("b2");
  CHECK(net.errors.at("one").code == status::unavailable);
}

TEST_CASE("caller: credit is sent for calls that are under way, and goes along with those that are not", "[caller]") {
  caller_fixture net;
  std::string tag = "one";
  const auto id = net.under_test.call(net.now, tag, "a.b", "\x01", 1s, {}, {.parts = 2});
  net.under_test.give_credit(id, 3);
  net.sends();
  net.welcomed();
  auto frames = net.sends();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].parts == 5);
  net.under_test.give_credit(id, 4);
  net.under_test.give_credit(id + 1, 4);
  frames = net.sends();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].type == wire::frame_type::credit);
  CHECK(frames[0].parts == 4);
}

TEST_CASE("caller: what a new broker refuses as never run may have run at the old one", "[caller]") {
  caller_fixture net;
  net.sends();
  net.welcomed("b1");
  std::string tag = "one";
  const auto id = net.under_test.call(net.now, tag, "a.b", "\x01", 1s, {}, {.idempotent = true});
  net.sends();
  net.welcomed("b2");
  REQUIRE(net.sends().size() == 1);
  std::string why, bundle;
  wire::append_error(why, {status::resource_exhausted, "the queue is full", false});
  wire::append_reply(bundle, id, status::resource_exhausted, why, {});
  net.hears(bundle);
  CHECK(net.errors.at("one").code == status::resource_exhausted);
  CHECK(net.errors.at("one").may_have_run);
}

TEST_CASE("caller: a call that was given up is not sent again when the broker is lost, though it may run twice", "[caller]") {
  caller_fixture net;
  net.sends();
  net.welcomed();
  std::string tag = "given up", other = "wanted";
  const auto id = net.under_test.call(net.now, tag, "a.b", "\x01", 1h, {}, {.idempotent = true});
  net.under_test.call(net.now, other, "a.b", "\x01", 1h, {}, {.idempotent = true});
  net.sends();
  net.under_test.cancel(id, net);
  net.welcomed("b2");
  CHECK(net.errors.at("given up").code == status::cancelled);
  CHECK(net.errors.at("given up").may_have_run);
  int calls = 0;
  for (const auto& each : net.sends()) calls += each.type == wire::frame_type::call ? 1 : 0;
  CHECK(calls == 1);
}

TEST_CASE("caller: a large payload is attached, the caller's own bytes, to a broker that takes attachments", "[caller]") {
  caller_fixture net;
  std::string tag = "large", payload(wire::attachment_bytes_min, 'x');
  const auto* const bytes = payload.data();
  net.under_test.call(net.now, tag, "a.b", std::move(payload), 10s, {});
  net.sends();
  net.welcomed("b1", 2);
  auto frames = net.sends();
  REQUIRE(frames.size() == 1);
  REQUIRE(frames[0].attached != nullptr);
  CHECK(frames[0].payload.data() == bytes);
  CHECK(net.sent[0].bundle.size() < 100);
  net.replied(frames[0].id);
  CHECK(net.results.count("large") == 1);
}

TEST_CASE("caller: a large payload is part of its frame for a broker that takes none, and so is a small one for any", "[caller]") {
  caller_fixture net;
  net.sends();
  net.welcomed("b1");
  std::string tag = "large";
  net.under_test.call(net.now, tag, "a.b", std::string(wire::attachment_bytes_min, 'x'), 10s, {});
  auto frames = net.sends();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].attached == nullptr);
  CHECK(frames[0].payload.size() == wire::attachment_bytes_min);
  net.welcomed("b2", 64);
  tag = "small";
  net.under_test.call(net.now, tag, "a.b", std::string(wire::attachment_bytes_min - 1, 'x'), 10s, {});
  frames = net.sends();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].attached == nullptr);
}

TEST_CASE("caller: a large call that may run twice goes to the next broker as that one takes it", "[caller]") {
  caller_fixture net;
  net.sends();
  net.welcomed("b1", 64);
  std::string tag = "again";
  net.under_test.call(net.now, tag, "a.b", std::string(100'000, 'x'), 10s, {}, {.idempotent = true});
  auto frames = net.sends();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].attached != nullptr);
  net.welcomed("b2");
  frames = net.sends();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].attached == nullptr);
  CHECK(frames[0].payload == std::string(100'000, 'x'));
}

TEST_CASE("caller: payloads of any size are sent whole, and again to the next broker", "[caller]") {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{511}, std::size_t{512}, std::size_t{513}, std::size_t{70'000}}) {
    caller_fixture net;
    net.welcomed("b1");
    net.sends();
    const std::string payload(size, 'x');
    std::string copy = "a", given = "b";
    const auto first = net.under_test.call(net.now, copy, "a.b", std::string_view{payload}, 10s, "\x81\xa3key\xa1k", {.idempotent = true, .parts = 7});
    const auto second = net.under_test.call(net.now, given, "c.d", std::string{payload}, 10s, {}, {.idempotent = true});
    const auto check = [&] {
      const auto frames = net.sends();
      REQUIRE(frames.size() >= 2);
      const auto& one = frames[frames.size() - 2];
      const auto& two = frames.back();
      CHECK((one.id == first && one.name == "a.b" && one.payload == payload && one.key == "k" && one.parts == 7 && one.budget_ms == 10'000));
      CHECK((two.id == second && two.name == "c.d" && two.payload == payload && two.headers.empty() && two.parts == wire::no_credit_limit));
    };
    check();
    net.welcomed("b2");
    check();
    net.replied(first);
    net.replied(second);
    CHECK(net.results.size() == 2);
    net.call("after", 10s);  // in a record that was used
    const auto frames = net.sends();
    REQUIRE(!frames.empty());
    CHECK((frames.back().name == "a.b" && frames.back().payload == "\x01" && frames.back().headers.empty()));
  }
}

TEST_CASE("caller: an answer that is attached is an answer", "[caller]") {
  caller_fixture net;
  net.sends();
  net.welcomed("b1", 64);
  const auto id = net.call("one", 10s);
  net.sends();
  wire::message made;
  wire::append_reply(made.bundle, id, status::ok, wire::payload_field::attached(made, wire::attachment{"large"}), {});
  net.hears(made);
  CHECK(net.results.at("one") == "large");
}

TEST_CASE("caller: an emit that names its event is sent again to the next broker, one that does not is not", "[caller]") {
  caller_fixture net;
  std::string named = "named", plain = "plain";
  net.sends();
  net.welcomed("b1");
  net.under_test.emit(net.now, named, "order.placed", "\x01", 10s, {}, {.idempotent = true});
  net.under_test.emit(net.now, plain, "order.placed", "\x01", 10s, {});
  CHECK(net.sends().size() == 2);
  net.welcomed("b2");
  CHECK(net.errors.at("plain").code == status::unavailable);
  CHECK(net.errors.at("plain").may_have_run);
  const auto frames = net.sends();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].type == wire::frame_type::emit);
  net.replied(frames[0].id);
  CHECK(net.results.count("named") == 1);
}

TEST_CASE("caller: on a new connection, even to the same broker, what was sent is sent again or ends, and what was not waits", "[caller]") {
  caller_fixture net;
  std::string told;
  wire::append_pulse(told, 0);
  net.hears(told);  // of the first connection
  net.sends();
  net.welcomed();
  net.call("once", 10s);
  std::string tag = "safe";
  net.under_test.call(net.now, tag, "a.b", "\x01", 10s, {}, {.idempotent = true});
  CHECK(net.sends().size() == 2);
  net.call("later", 10s);
  net.hears(told);
  REQUIRE(net.errors.contains("once"));
  CHECK(net.errors["once"].code == status::unavailable);
  CHECK(net.errors["once"].may_have_run);
  const auto asks = net.sends();
  REQUIRE(asks.size() == 1);
  CHECK(asks.front().type == wire::frame_type::hello);
  net.welcomed();
  const auto again = net.sends();
  REQUIRE(again.size() == 2);
  net.replied(again[0].id);
  CHECK(net.results.contains("safe"));
  net.replied(again[1].id);
  CHECK(net.results.contains("later"));
}
