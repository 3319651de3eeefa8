#include <waggle/detail/subscription_core.hpp>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace waggle;
using namespace std::chrono_literals;
using std::chrono::milliseconds;
using detail::subscription_core;
using detail::subscription_start;
using kind = subscription_start::kind;

/// One stream of the log, as simple as can be.
struct slow_stream {
  struct entry {
    std::string topic;
    std::string payload;
    bool damaged = false;
  };
  std::uint64_t first = 1;
  std::vector<entry> all;  ///< trimmed ones too: sequence 1 is the first of them
  [[nodiscard]] std::uint64_t head() const { return all.size(); }
};

bool matches_any(const std::vector<std::string>& prefixes, std::string_view topic) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const auto& each) { return topic.starts_with(each); });
}

/// A broker with a log in memory and a wire to one subscriber, which the test may cut or clog.
struct slow_broker {
  std::map<std::string, slow_stream> streams;
  std::map<std::string, std::vector<std::string>> topics;  ///< of a stream, what its topics begin with
  std::vector<std::string> known_prefixes;                 ///< that it keeps chains for
  std::deque<std::pair<std::string, std::string>> wire;    ///< topic and frame
  bool durable = true;
  std::uint64_t limit_max = 1000;
  int reads = 0;

  std::string frame(const std::string& stream, std::uint64_t sequence) const {
    const auto& in = streams.at(stream);
    const auto& each = in.all[sequence - 1];
    std::string about, out;
    wire::writer to{about};
    to.map(3);
    to.string("stream");
    to.string(stream);
    to.string("time");
    to.integer(static_cast<std::int64_t>(1000 * sequence));
    to.string("after");
    std::vector<std::uint64_t> after;
    for (const auto& prefix : known_prefixes) {
      if (!each.topic.starts_with(prefix)) continue;
      std::uint64_t last = sequence - 1;
      while (last > 0 && !in.all[last - 1].topic.starts_with(prefix)) --last;
      after.push_back(prefix.size());
      after.push_back(last);
    }
    to.array(after.size());
    for (const auto number : after) to.unsigned_integer(number);
    wire::append_event(out, sequence, each.topic, each.payload, {}, about);
    return out;
  }
  std::uint64_t keep(const std::string& stream, const std::string& topic) {
    auto& in = streams[stream];
    in.all.push_back({topic, stream + "#" + std::to_string(in.head() + 1)});
    return in.head();
  }
  void emit(const std::string& stream, const std::string& topic) {
    const auto sequence = keep(stream, topic);
    wire.emplace_back(topic, frame(stream, sequence));
  }
  void announce_heads() {
    for (const auto& [name, each] : streams) {
      std::string about, out;
      wire::writer to{about};
      to.map(1);
      to.string("stream");
      to.string(name);
      wire::append_event(out, each.head(), "waggle.head." + name, {}, {}, about);
      wire.emplace_back("waggle.head." + name, out);
    }
  }

  result<std::string> answer(const subscription_core::request& asked) {
    std::string stream;
    std::vector<std::string> prefixes;
    std::optional<std::uint64_t> from, last, age_ms;
    std::uint64_t limit = 100;
    wire::reader in{asked.payload};
    wire::read_entries(in, [&](std::string_view key) {
      std::string_view text;
      std::uint32_t count = 0;
      std::uint64_t number = 0;
      if (key == "stream") return in.string(text) && (stream = text, true);
      if (key == "prefixes") {
        in.array(count);
        for (std::uint32_t i = 0; i < count; ++i) in.string(text), prefixes.emplace_back(text);
        return in.ok();
      }
      if (!in.unsigned_integer(number)) return false;
      (key == "from" ? from : key == "last" ? last : age_ms) = key == "limit" ? std::nullopt : std::optional{number};
      if (key == "limit") limit = number;
      return true;
    });
    std::string out;
    wire::writer to{out};
    if (asked.command == "waggle.streams") {
      std::vector<std::string> listed;
      for (const auto& [name, each] : streams) {
        const auto of = topics.find(name);
        const bool may_hold = of == topics.end() || std::any_of(of->second.begin(), of->second.end(), [&](const auto& mine) {
          return std::any_of(prefixes.begin(), prefixes.end(), [&](const auto& theirs) { return mine.starts_with(theirs) || theirs.starts_with(mine); });
        });
        if (may_hold) listed.push_back(name);
      }
      to.map(2);
      to.string("durable");
      to.boolean(durable);
      to.string("streams");
      to.array(listed.size());
      for (const auto& name : listed) {
        to.map(3);
        to.string("stream");
        to.string(name);
        to.string("first");
        to.unsigned_integer(streams[name].first);
        to.string("head");
        to.unsigned_integer(streams[name].head());
      }
      return out;
    }
    ++reads;
    const auto found = streams.find(stream);
    if (found == streams.end()) return failure(status::not_found, "no such stream");
    const auto& of = found->second;
    const auto is_there = [&](std::uint64_t sequence) {
      return sequence >= of.first && !of.all[sequence - 1].damaged && matches_any(prefixes, of.all[sequence - 1].topic);
    };
    if (from && *from > of.head() + 1) return failure(status::out_of_range, "the stream ends before");
    if (from && *from > 0 && *from < of.first) return failure(status::out_of_range, "not kept any more");
    auto next = std::max(from.value_or(of.first), of.first);
    if (last) {
      next = of.head() + 1;
      for (std::uint64_t left = *last, at = of.head(); left > 0 && at >= of.first; --at) {
        if (is_there(at)) --left, next = at;
      }
    }
    if (age_ms) next = std::max(of.first, *age_ms >= of.head() ? 1 : of.head() + 1 - *age_ms);  // one event in each millisecond
    std::vector<std::uint64_t> events, damaged;
    for (; next <= of.head() && events.size() < std::min(limit, limit_max); ++next) {
      if (is_there(next)) events.push_back(next);
      if (of.all[next - 1].damaged) damaged.push_back(next);
    }
    to.map(5);
    to.string("next");
    to.unsigned_integer(next);
    to.string("head");
    to.unsigned_integer(of.head());
    to.string("first");
    to.unsigned_integer(of.first);
    to.string("damaged");
    to.array(damaged.size());
    for (const auto each : damaged) to.unsigned_integer(each);
    to.string("events");
    to.array(events.size());
    for (const auto each : events) {
      to.array(6);
      to.unsigned_integer(each);
      to.string(of.all[each - 1].topic);
      to.binary(of.all[each - 1].payload);
      to.nil();
      to.integer(static_cast<std::int64_t>(1000 * each));
      to.nil();
    }
    return out;
  }
};

/// A subscriber whose broker is the above.
struct subscriber_fixture {
  struct got_event {
    std::string stream;
    std::uint64_t sequence = 0;
    std::string topic;
  };
  struct loss {
    std::string stream;
    std::uint64_t from = 0, to = 0;
    friend bool operator==(const loss&, const loss&) = default;
  };
  detail::time_point now{std::chrono::hours{1}};
  slow_broker& broker;
  subscription_core under_test;
  std::vector<got_event> events;
  std::vector<loss> losses;
  std::vector<error> errors;
  std::optional<subscription_core::request> open;

  subscriber_fixture(slow_broker& from, subscription_core::options with) : broker{from}, under_test{std::move(with)} {}

  void on_event(const detail::subscribed_event& in) {
    events.push_back({std::string{in.stream}, in.sequence, std::string{in.topic}});
    if (in.sequence == 0) return;
    CHECK(in.payload == std::string{in.stream} + "#" + std::to_string(in.sequence));
    CHECK(in.time_ms == static_cast<std::int64_t>(1000 * in.sequence));
  }
  void on_error(const error& why) { errors.push_back(why); }
  void on_lost(std::string_view stream, std::uint64_t from, std::uint64_t to) { losses.push_back({std::string{stream}, from, to}); }

  void hear(const std::pair<std::string, std::string>& what) { under_test.receive(now, what.first, what.second, *this); }
  void hear_all() {
    for (; !broker.wire.empty(); broker.wire.pop_front()) hear(broker.wire.front());
  }
  bool ask() {
    if (!open) open = under_test.next_request(now);
    return open.has_value();
  }
  void get(const result<std::string>& payload) {
    const auto id = std::exchange(open, std::nullopt)->id;
    if (payload) {
      under_test.answered(now, id, std::string_view{*payload}, *this);
    } else {
      under_test.answered(now, id, tl::unexpected{payload.error()}, *this);
    }
  }
  void answer_all() {
    while (ask()) get(broker.answer(*open));
  }
  void settle() {
    hear_all();
    answer_all();
  }
  [[nodiscard]] std::vector<std::uint64_t> sequences(const std::string& stream) const {
    std::vector<std::uint64_t> out;
    for (const auto& each : events) {
      if (each.stream == stream) out.push_back(each.sequence);
    }
    return out;
  }
};

using sequences = std::vector<std::uint64_t>;

subscription_core::options wants(std::vector<std::string> prefixes, subscription_start start = {}) {
  subscription_core::options out;
  out.prefixes = std::move(prefixes);
  out.start = std::move(start);
  return out;
}
subscription_start start_at(kind from, std::uint64_t number = 0) {
  subscription_start out;
  out.from = from;
  out.number = number;
  return out;
}

}  // namespace

TEST_CASE("subscription: from now on it gives out live events without reading, and nothing from before", "[subscription]") {
  slow_broker broker;
  broker.known_prefixes = {"order."};
  broker.keep("events", "order.old");
  subscriber_fixture net{broker, wants({"order."})};
  CHECK_FALSE(net.under_test.begun());
  net.answer_all();
  CHECK(net.under_test.begun());
  broker.emit("events", "order.placed");
  broker.emit("events", "other.thing");
  broker.emit("events", "order.paid");
  net.settle();
  CHECK(net.sequences("events") == sequences{2, 4});
  CHECK(broker.reads == 0);
  CHECK(net.under_test.positions() == std::map<std::string, std::uint64_t>{{"events", 4}});
}

TEST_CASE("subscription: an event that was lost is read from the log before the next one is given out", "[subscription]") {
  slow_broker broker;
  broker.known_prefixes = {"order."};
  broker.keep("events", "order.old");
  subscriber_fixture net{broker, wants({"order."})};
  net.answer_all();
  broker.emit("events", "order.a");
  net.settle();
  broker.emit("events", "order.b");
  broker.wire.clear();
  broker.emit("events", "order.c");
  broker.emit("events", "order.d");
  net.hear_all();
  CHECK(net.sequences("events") == sequences{2});
  net.answer_all();
  CHECK(net.sequences("events") == sequences{2, 3, 4, 5});
  CHECK(broker.reads == 1);
}

TEST_CASE("subscription: that the last event was lost is noticed by the stream's head", "[subscription]") {
  slow_broker broker;
  broker.known_prefixes = {""};
  broker.keep("events", "a");
  subscriber_fixture net{broker, wants({""})};
  net.answer_all();
  broker.emit("events", "b");
  broker.wire.clear();
  broker.announce_heads();
  net.settle();
  CHECK(net.sequences("events") == sequences{2});
}

TEST_CASE("subscription: what is emitted between the subscription and the answer about streams comes, too", "[subscription]") {
  slow_broker broker;
  broker.keep("events", "a");
  subscriber_fixture net{broker, wants({""})};
  REQUIRE(net.ask());
  const auto answer = broker.answer(*net.open);
  broker.emit("events", "b");
  net.hear_all();
  net.get(answer);
  net.settle();
  CHECK(net.sequences("events") == sequences{2});
}

TEST_CASE("subscription: begins with a sequence, the last N, an age, or behind known positions", "[subscription]") {
  slow_broker broker;
  for (int i = 0; i < 10; ++i) broker.keep("events", i % 2 == 0 ? "even" : "odd");
  const auto given = [&](const subscription_start& start) {
    subscriber_fixture net{broker, wants({"odd"}, start)};
    net.settle();
    CHECK(net.under_test.begun());
    return net.sequences("events");
  };
  CHECK(given(start_at(kind::sequence, 5)) == sequences{6, 8, 10});
  CHECK(given(start_at(kind::sequence, 0)) == sequences{2, 4, 6, 8, 10});
  CHECK(given(start_at(kind::sequence, 11)).empty());
  CHECK(given(start_at(kind::last, 2)) == sequences{8, 10});
  CHECK(given(start_at(kind::last, 0)).empty());
  subscription_start age{kind::age};
  age.age_ms = 4;
  CHECK(given(age) == sequences{8, 10});
  subscription_start behind{kind::positions};
  behind.positions["events"] = 8;
  CHECK(given(behind) == sequences{10});
  behind.positions.clear();  // a stream that has come since
  CHECK(given(behind) == sequences{2, 4, 6, 8, 10});
}

TEST_CASE("subscription: what it should begin with and is not kept any more is an error, and so is a sequence of nobody knows which stream",
          "[subscription]") {
  slow_broker broker;
  for (int i = 0; i < 10; ++i) broker.keep("events", "a");
  broker.streams["events"].first = 5;
  const auto code = [&](subscription_core::options with) {
    subscriber_fixture net{broker, std::move(with)};
    net.settle();
    CHECK(net.under_test.ended());
    CHECK(net.events.empty());
    return net.errors.empty() ? status::ok : net.errors.at(0).code;
  };
  subscription_start behind{kind::positions};
  behind.positions["events"] = 3;
  CHECK(code(wants({""}, behind)) == status::out_of_range);
  behind.positions["events"] = 11;
  CHECK(code(wants({""}, behind)) == status::out_of_range);
  CHECK(code(wants({""}, start_at(kind::sequence, 4))) == status::out_of_range);
  auto other = wants({""});
  other.stream = "audit";
  CHECK(code(other) == status::not_found);
  broker.keep("audit", "b");
  CHECK(code(wants({""}, start_at(kind::sequence, 1))) == status::invalid_argument);
}

TEST_CASE("subscription: events that are damaged, or trimmed before they were read, are told as lost, and the others go on", "[subscription]") {
  slow_broker broker;
  broker.known_prefixes = {"a"};
  broker.keep("events", "a");
  subscriber_fixture net{broker, wants({"a"})};
  net.answer_all();
  for (int i = 0; i < 9; ++i) broker.emit("events", "a");
  broker.wire.clear();
  broker.streams["events"].first = 4;
  broker.streams["events"].all[5].damaged = true;
  broker.announce_heads();
  net.settle();
  CHECK(net.errors.empty());
  CHECK(net.sequences("events") == sequences{4, 5, 7, 8, 9, 10});
  CHECK(net.losses == std::vector<subscriber_fixture::loss>{{"events", 2, 3}, {"events", 6, 6}});
}

TEST_CASE("subscription: ephemeral events go straight through, topics of others and of the broker do not", "[subscription]") {
  slow_broker broker;
  subscriber_fixture net{broker, wants({"a", "b"})};
  net.answer_all();
  std::string frame;
  for (const std::string topic : {"a.x", "c", "waggle.hello.1", "b"}) {
    frame.clear();
    wire::append_event(frame, 0, topic, "\x01", {});
    net.hear({topic, frame});
  }
  REQUIRE(net.events.size() == 2);
  CHECK(net.events[0].topic == "a.x");
  CHECK(net.events[1].topic == "b");
  net.hear({"a", "garbage"});
  net.hear({"a", frame});  // another topic than the frame's
  CHECK(net.events.size() == 2);
}

TEST_CASE("subscription: a broker that knows of no streams gives live events to whoever begins now, and an error to others", "[subscription]") {
  slow_broker broker;
  subscriber_fixture now{broker, wants({""})};
  REQUIRE(now.ask());
  now.get(failure(status::unimplemented, "no such command"));
  CHECK(now.under_test.begun());
  CHECK(now.errors.empty());
  subscriber_fixture last{broker, wants({""}, start_at(kind::last, 5))};
  REQUIRE(last.ask());
  last.get(failure(status::unimplemented, "no such command"));
  CHECK(last.under_test.ended());
}

TEST_CASE("subscription: a broker that cannot answer is asked again after longer and longer pauses", "[subscription]") {
  slow_broker broker;
  broker.keep("events", "a");
  subscriber_fixture net{broker, wants({""}, start_at(kind::sequence))};
  auto longest = 0ms;
  for (int i = 0; i < 12; ++i) {
    REQUIRE(net.ask());
    net.get(failure(status::unavailable, "no broker"));
    CHECK_FALSE(net.ask());
    const auto pause = std::chrono::ceil<milliseconds>(net.under_test.next_deadline() - net.now);
    CHECK(pause >= longest);
    longest = pause;
    net.now += pause;
  }
  CHECK(longest == 5s);
  net.settle();
  CHECK(net.sequences("events") == sequences{1});
  CHECK(net.under_test.next_deadline() == detail::time_point::max());
}

TEST_CASE("subscription: a stream that comes into being later is followed from its first event", "[subscription]") {
  slow_broker broker;
  broker.topics["audit"] = {"audit."};
  broker.keep("events", "a");
  broker.keep("audit", "audit.x");
  subscriber_fixture net{broker, wants({"a."})};
  net.answer_all();
  broker.emit("late", "a.b");
  broker.wire.clear();
  broker.emit("late", "a.c");
  broker.announce_heads();
  net.settle();
  CHECK(net.sequences("late") == sequences{1, 2});
  broker.keep("later", "a.d");
  broker.announce_heads();
  net.settle();
  CHECK(net.sequences("later") == sequences{1});
  CHECK(net.sequences("audit").empty());
  const auto reads = broker.reads;
  for (int i = 0; i < 10; ++i) {
    broker.announce_heads();
    net.hear_all();
    CHECK_FALSE(net.ask());  // what is no stream of ours is asked about once
  }
  CHECK(broker.reads == reads);
}

TEST_CASE("subscription: events that wait for a read are bounded, and what is dropped is read", "[subscription]") {
  slow_broker broker;
  broker.known_prefixes = {""};
  broker.keep("events", "a");
  auto with = wants({""});
  with.held_bytes_max = 2000;
  subscriber_fixture net{broker, with};
  net.answer_all();
  broker.emit("events", "lost");
  broker.wire.clear();
  for (int i = 0; i < 100; ++i) broker.emit("events", "a");
  net.settle();
  sequences all;
  for (std::uint64_t i = 2; i <= 102; ++i) all.push_back(i);
  CHECK(net.sequences("events") == all);
}

TEST_CASE("subscription: a log in memory that has begun again is followed from its beginning, and said to have lost events", "[subscription]") {
  slow_broker broker;
  broker.durable = false;
  for (int i = 0; i < 10; ++i) broker.keep("events", "a");
  subscriber_fixture net{broker, wants({""})};
  net.answer_all();
  broker.emit("events", "b");
  net.settle();
  broker.streams["events"] = {};
  broker.emit("events", "c");
  broker.emit("events", "d");
  broker.announce_heads();
  net.settle();
  CHECK(net.sequences("events") == sequences{11, 1, 2});
  REQUIRE(net.losses.size() == 1);
  CHECK(net.losses[0] == subscriber_fixture::loss{"events", 12, 0});
}

TEST_CASE("subscription: a log on disk that is older than what is known goes on from its head, and said to have lost events", "[subscription]") {
  slow_broker broker;
  for (int i = 0; i < 10; ++i) broker.keep("events", "a");
  subscriber_fixture net{broker, wants({""})};
  net.answer_all();
  broker.emit("events", "b");
  net.settle();
  broker.streams["events"].all.resize(5);
  broker.announce_heads();
  net.settle();
  broker.emit("events", "c");
  net.settle();
  CHECK(net.sequences("events") == sequences{11, 6});
  CHECK(net.losses.size() == 1);
}

TEST_CASE("subscription: a head that lay in the socket for long is no log that has begun again", "[subscription]") {
  slow_broker broker;
  broker.keep("events", "a");
  subscriber_fixture net{broker, wants({""})};
  net.answer_all();
  broker.announce_heads();
  const auto old = broker.wire.front();
  broker.wire.clear();
  broker.emit("events", "b");
  net.settle();
  net.hear(old);
  net.settle();
  CHECK(net.losses.empty());
  CHECK(net.sequences("events") == sequences{2});
  CHECK_FALSE(net.ask());
}

TEST_CASE("subscription: prefixes that begin alike are one", "[subscription]") {
  slow_broker broker;
  broker.known_prefixes = {"a.", "c"};
  subscriber_fixture net{broker, wants({"a.b", "a.", "c", "a.", "c.d"})};
  CHECK(net.under_test.prefixes() == std::vector<std::string>{"a.", "c"});
  broker.keep("events", "x");
  net.answer_all();
  for (const auto* topic : {"a.b", "a.c", "c", "x", "c.d"}) broker.emit("events", topic);
  net.settle();
  CHECK(net.sequences("events") == sequences{2, 3, 4, 6});
  CHECK(broker.reads == 0);
}

TEST_CASE("subscription: whatever the answers and events are, they are survived", "[subscription]") {
  slow_broker broker;
  for (int i = 0; i < 5; ++i) broker.keep("events", "a");
  std::string whole_streams, whole_events;
  {
    subscriber_fixture net{broker, wants({""}, start_at(kind::sequence))};
    net.ask();
    whole_streams = *broker.answer(*net.open);
    net.get(whole_streams);
    net.ask();
    whole_events = *broker.answer(*net.open);
  }
  for (std::size_t cut = 0; cut < whole_streams.size(); ++cut) {
    subscriber_fixture net{broker, wants({""}, start_at(kind::sequence))};
    net.ask();
    net.get(whole_streams.substr(0, cut));
    CHECK(net.under_test.ended());
  }
  for (std::size_t cut = 0; cut < whole_events.size(); ++cut) {
    subscriber_fixture net{broker, wants({""}, start_at(kind::sequence))};
    net.ask();
    net.get(whole_streams);
    net.ask();
    net.get(whole_events.substr(0, cut));
    CHECK(net.under_test.ended());
  }
}

namespace {

/// One random life of a subscriber: events are dropped, answers fail and come late, events are damaged and trimmed.
void live_through(std::uint64_t seed) {
  INFO("seed " << seed);
  std::mt19937_64 chance{seed};
  const auto below = [&](std::uint64_t end) { return chance() % end; };
  const std::vector<std::string> topics{"a.x", "a.y", "b.x", "b", "c", "c.d.e"};
  const std::vector<std::vector<std::string>> wishes{{""}, {"a."}, {"b"}, {"a.", "c"}, {"a.x", "b", "c"}, {"a.y", "c.d"}};
  const auto prefixes = wishes[below(wishes.size())];
  slow_broker broker;
  broker.limit_max = 1 + below(10);
  for (const auto& each : prefixes) {
    if (!each.empty() && below(4) != 0) broker.known_prefixes.push_back(each);
  }
  const std::vector<std::string> streams{"one", "two", "three"};
  const auto streams_at_first = below(4);
  for (std::size_t i = 0; i < streams_at_first; ++i) broker.streams[streams[i]];
  const auto emit = [&] { broker.emit(streams[below(streams.size())], topics[below(topics.size())]); };
  for (auto left = below(40); left > 0; --left) {
    if (!broker.streams.empty()) broker.keep(std::next(broker.streams.begin(), static_cast<std::ptrdiff_t>(below(broker.streams.size())))->first, topics[below(topics.size())]);
  }
  for (auto& [name, each] : broker.streams) {
    if (below(2) == 0) each.first = 1 + below(each.head() + 1);
  }

  subscription_start start;
  start.from = std::array{kind::now, kind::last, kind::age, kind::positions}[below(4)];
  start.number = below(10);
  start.age_ms = static_cast<std::int64_t>(below(10));
  if (start.from == kind::positions) {
    for (const auto& [name, each] : broker.streams) {
      if (below(4) != 0) start.positions[name] = each.first - 1 + below(each.head() + 2 - each.first);
    }
  }
  auto with = wants(prefixes, start);
  with.held_bytes_max = 300 + below(3000);
  subscriber_fixture net{broker, with};

  // What is expected, by stream: the first sequence of all that is to come. Nothing may have happened before the broker was asked.
  std::map<std::string, std::uint64_t> begins;
  REQUIRE(net.ask());
  while (!net.under_test.begun()) {
    REQUIRE(net.ask());
    if (net.open->command == "waggle.streams") {
      for (const auto& [name, each] : broker.streams) {
        auto& begin = begins[name];
        begin = each.head() + 1;
        if (start.from == kind::positions) begin = start.positions.contains(name) ? start.positions[name] + 1 : each.first;
        if (start.from == kind::age) begin = std::max(each.first, each.head() + 1 - std::min(each.head(), static_cast<std::uint64_t>(start.age_ms)));
        auto left = start.number;
        for (auto at = each.head(); start.from == kind::last && left > 0 && at >= each.first; --at) {
          if (matches_any(prefixes, each.all[at - 1].topic)) --left, begin = at;
        }
      }
    }
    net.get(broker.answer(*net.open));
    REQUIRE(net.errors.empty());
  }
  std::map<std::string, std::set<std::uint64_t>> gone;  // damaged or trimmed before it was given out, perhaps

  bool lost_any = false;
  std::optional<result<std::string>> under_way;
  for (auto steps = 50 + below(300); steps > 0; --steps) {
    net.now += milliseconds{below(50)};
    switch (below(12)) {
      case 0:
      case 1:
      case 2:
      case 3: emit(); break;
      case 4:
      case 5:
      case 6: {
        for (auto left = below(6); left > 0 && !broker.wire.empty(); --left, broker.wire.pop_front()) net.hear(broker.wire.front());
        break;
      }
      case 7: {
        if (broker.wire.empty() || below(3) != 0) break;
        const auto at = below(broker.wire.size());
        broker.wire.erase(broker.wire.begin() + static_cast<std::ptrdiff_t>(at));
        lost_any = true;
        break;
      }
      case 8: broker.announce_heads(); break;
      case 9: {  // the question reaches the broker
        if (!under_way && net.ask()) under_way = broker.answer(*net.open);
        break;
      }
      case 10: {
        if (!under_way) break;
        const auto failed = std::array{status::unavailable, status::deadline_exceeded, status::resource_exhausted}[below(3)];
        net.get(below(5) == 0 ? result<std::string>{failure(failed, "so it is")} : *under_way);
        under_way.reset();
        break;
      }
      case 11: {
        if (below(10) != 0 || broker.streams.empty()) break;
        auto& [name, each] = *std::next(broker.streams.begin(), static_cast<std::ptrdiff_t>(below(broker.streams.size())));
        if (each.head() == 0) break;
        if (below(2) == 0) {
          const auto damaged = 1 + below(each.head());
          each.all[damaged - 1].damaged = true;
          gone[name].insert(damaged);
        } else if (each.first <= each.head()) {
          each.first += below(each.head() + 1 - each.first) + 1;
        }
        break;
      }
    }
    REQUIRE(net.errors.empty());
  }
  // Calm: nothing is lost any more.
  for (int i = 0; i < 200; ++i) {
    net.now += 1s;
    broker.announce_heads();
    net.hear_all();
    if (under_way) net.get(*std::exchange(under_way, std::nullopt));
    net.answer_all();
  }
  REQUIRE(net.errors.empty());
  CHECK_FALSE(net.ask());

  std::map<std::string, std::set<std::uint64_t>> told_lost;
  for (const auto& each : net.losses) {
    REQUIRE(each.to != 0);
    for (auto at = each.from; at <= each.to; ++at) told_lost[each.stream].insert(at);
  }
  for (const auto& [name, each] : broker.streams) {
    INFO("stream " << name);
    const auto given = net.sequences(name);
    const std::set<std::uint64_t> once(given.begin(), given.end());
    CHECK(once.size() == given.size());
    if (!lost_any || prefixes.size() == 1) CHECK(std::is_sorted(given.begin(), given.end()));
    const auto begin = begins.contains(name) ? begins[name] : 1;
    for (std::uint64_t at = 1; at <= each.head(); ++at) {
      const bool wanted = at >= begin && matches_any(prefixes, each.all[at - 1].topic);
      INFO("event " << at);
      if (once.contains(at)) {
        CHECK(wanted);
      } else if (wanted) {
        CHECK(told_lost[name].contains(at));
        CHECK((each.all[at - 1].damaged || at < each.first));
      }
    }
  }
}

}  // namespace

TEST_CASE("subscription: through losses, failures, damage and trimming every event comes once, in order, or is told as lost", "[subscription]") {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) live_through(seed);
}
