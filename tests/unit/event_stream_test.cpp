// Events as Server-Sent Events, driven without a broker.
#include "gateway/events/event_stream.hpp"
#include "support/catch.hpp"
#include "support/routes_fixture.hpp"

using namespace std::literals;
using namespace waggle;
using namespace waggle::gateway;
using waggle::gateway::test::json;
using waggle::gateway::test::sent;
using start_kind = waggle::detail::subscription_start::kind;

namespace {

events_config letting_out(std::vector<std::string> topics) {
  events_config out;
  out.topics = std::move(topics);
  return out;
}

std::variant<event_request, front::response> read(std::string target, std::vector<std::pair<std::string, std::string>> headers = {},
                                                  events_config with = letting_out({"*"}), std::string method = "GET") {
  return read_event_request(sent{std::move(method), std::move(target), "", std::move(headers)}.request(), with);
}
event_request accepted(std::string target, std::vector<std::pair<std::string, std::string>> headers = {}, events_config with = letting_out({"*"})) {
  return std::get<event_request>(read(std::move(target), std::move(headers), std::move(with)));
}
int refused(std::string target, std::vector<std::pair<std::string, std::string>> headers = {}, events_config with = letting_out({"*"})) {
  const auto out = read(std::move(target), std::move(headers), std::move(with));
  const auto* answer = std::get_if<front::response>(&out);
  return answer == nullptr ? 200 : answer->status;
}

using texts = std::vector<std::string>;

/// One stream of a client and, in the place of network and broker, a test.
struct watched {
  explicit watched(event_request what = accepted("/events"), event_stream::options with = {}) : stream{now, filled(std::move(with), std::move(what))} {
    stream.subscribed();
  }
  static event_stream::options filled(event_stream::options with, event_request what) {
    with.what = std::move(what);
    return with;
  }

  /// The next thing that the broker is asked: its command, or nothing.
  std::string asked(std::size_t backlog = 0) {
    const auto next = stream.next_request(now, backlog);
    if (!next) return "";
    id = next->id;
    question = wire::msgpack_to_json(next->payload);
    return next->command;
  }
  void answer(const std::string& payload) { stream.answered(now, id, result<std::string_view>{std::string_view{payload}}); }
  void refuse(error why) { stream.answered(now, id, result<std::string_view>{tl::unexpected{std::move(why)}}); }
  void streams(const std::string& list) { answer(wire::json_to_msgpack(R"({"durable":true,"streams":)" + list + "}").value()); }
  /// Events of `waggle.events`: sequence and payload as JSON, all of one topic.
  void events(const std::vector<std::pair<std::uint64_t, std::string>>& all, std::uint64_t next, std::uint64_t head, const std::string& topic = "order.placed") {
    std::string out;
    wire::writer to{out};
    to.map(5);
    to.string("stream");
    to.string("events");
    to.string("events");
    to.array(all.size());
    for (const auto& [sequence, payload] : all) {
      to.array(6);
      to.unsigned_integer(sequence);
      to.string(topic);
      to.binary(wire::json_to_msgpack(payload).value());
      to.nil();
      to.unsigned_integer(1);
      to.nil();
    }
    to.string("next");
    to.unsigned_integer(next);
    to.string("head");
    to.unsigned_integer(head);
    to.string("first");
    to.unsigned_integer(1);
    answer(out);
  }
  void live(std::uint64_t sequence, std::string topic, std::string_view payload, std::string_view stream_name = "events") {
    std::string about;
    wire::writer to{about};
    if (sequence != 0) {
      to.map(1);
      to.string("stream");
      to.string(stream_name);
    }
    std::string bundle;
    wire::append_event(bundle, sequence, topic, payload, {}, about);
    wire::bundle_reader frames{bundle};
    wire::frame in;
    REQUIRE(frames.next(in) == wire::decoded::frame);
    stream.receive(now, in);
  }
  void live_json(std::uint64_t sequence, std::string topic, std::string_view payload) {
    live(sequence, std::move(topic), wire::json_to_msgpack(payload).value());
  }
  /// What the client gets.
  std::string got() {
    std::string out{stream.text()};
    stream.took(out.size());
    return out;
  }
  /// From now on: the stream is open.
  void begin(std::uint64_t head = 7) {
    REQUIRE(asked() == "waggle.streams");
    streams(R"([{"stream":"events","first":1,"head":)" + std::to_string(head) + "}]");
    REQUIRE(stream.now() == event_stream::phase::open);
  }

  front::instant now{1h};
  std::uint64_t id = 0;
  std::string question;
  event_stream stream;
};

}  // namespace

TEST_CASE("event positions: they come back as they went, whatever streams are called", "[events]") {
  for (const event_positions& each : {event_positions{{"events", 120}, {"orders", 7}}, {{"a,b:c%", 1}, {"gr\xc3\xbc\xc3\x9f", 0}}, {{"x", UINT64_MAX}}}) {
    CHECK(read_positions(positions_text(each)) == each);
  }
  CHECK(positions_text({{"orders", 7}, {"events", 120}}) == "events:120,orders:7");
  CHECK(positions_text({{"a,b c", 1}}) == "a%2Cb%20c:1");
}

TEST_CASE("event positions: what is none is not taken for some", "[events]") {
  for (const auto* each : {"", ":", "events", "events:", ":7", "events:x", "events:-1", "events:1,", ",events:1", "events:1,events:2", "events:1:2",
                           "a%2:1", "a%zz:1", "a%20b:1", "events:99999999999999999999", "%ff:1", "events: 1"}) {
    CAPTURE(each);
    CHECK_FALSE(read_positions(each));
  }
  std::string many;
  for (int i = 0; i < 65; ++i) many += (i == 0 ? "s" : ",s") + std::to_string(i) + ":1";
  CHECK_FALSE(read_positions(many));
  CHECK(read_positions(many.substr(0, many.rfind(','))));
}

TEST_CASE("event request: topics are what events begin with, and without any it is all that is let out", "[events]") {
  CHECK(accepted("/events").prefixes == texts{""});
  CHECK(accepted("/events?topic=order.&topic=user").prefixes == texts{"order.", "user"});
  CHECK(accepted("/events?topic=order.&topic=order.placed&other=1").prefixes == texts{"order."});
  CHECK(accepted("/events", {}, letting_out({"order.*", "user.made"})).prefixes == texts{"order.", "user.made"});
  for (const auto* each : {"topic=order.*", "topic=a+b", "topic=waggle.head.", "topic=%ff", "topic=%zz"}) {
    CAPTURE(each);
    CHECK(refused("/events?"s + each) == 400);
  }
  std::string many = "/events?";
  for (int i = 0; i < 33; ++i) many += "topic=a" + std::to_string(i) + "&";
  CHECK(refused(many) == 400);
}

TEST_CASE("event request: only what is let out is asked for, and what is not at all is 403", "[events]") {
  const auto with = letting_out({"order.*", "user.made"});
  CHECK(accepted("/events?topic=o", {}, with).prefixes == texts{"order."});
  CHECK(accepted("/events?topic=order.placed", {}, with).prefixes == texts{"order.placed"});
  CHECK(accepted("/events?topic=user", {}, with).prefixes == texts{"user.made"});
  CHECK(refused("/events?topic=user.gone", {}, with) == 403);
  CHECK(refused("/events?topic=user.made.up", {}, with) == 403);
  CHECK(refused("/events?topic=order.&topic=secret", {}, with) == 403);
}

TEST_CASE("event request: it begins where the client was, else where it says, else now", "[events]") {
  CHECK(accepted("/events").start.from == start_kind::now);
  CHECK(accepted("/events?since=10m").start.age_ms == 600'000);
  CHECK(accepted("/events?last=20").start.number == 20);
  const auto from = accepted("/events?from=5&stream=orders");
  CHECK(from.start.from == start_kind::sequence);
  CHECK(from.start.number == 5);
  CHECK(from.stream == "orders");
  const auto back = accepted("/events?last=20&last_event_id=events:1", {{"Last-Event-ID", "events:120,orders:7"}});
  CHECK(back.start.from == start_kind::positions);
  CHECK(back.start.positions == event_positions{{"events", 120}, {"orders", 7}});
  CHECK(accepted("/events?last_event_id=events:1", {{"Last-Event-ID", ""}}).start.positions == event_positions{{"events", 1}});
  for (const auto* each : {"since=10", "last=-1", "last=1001", "from=x", "since=1m&last=2", "last=1&last=2", "stream=", "last_event_id=x"}) {
    CAPTURE(each);
    CHECK(refused("/events?"s + each) == 400);
  }
  CHECK(refused("/events", {{"Last-Event-ID", "120"}}) == 400);
}

TEST_CASE("event request: it takes GET and HEAD, and a client that takes its type", "[events]") {
  CHECK(refused("/events", {{"Accept", "application/json"}}) == 406);
  CHECK(refused("/events", {{"Accept", "text/event-stream;q=0, */*"}}) == 406);
  CHECK(refused("/events", {{"Accept", "text/*"}}) == 200);
  CHECK(std::holds_alternative<event_request>(read("/events", {}, letting_out({"*"}), "HEAD")));
  CHECK(std::get<front::response>(read("/events", {}, letting_out({"*"}), "POST")).status == 405);
  CHECK(std::get<front::response>(read("/events", {}, letting_out({"*"}), "OPTIONS")).status == 204);
}

TEST_CASE("event stream: it begins with when to come back and where it is, then come the events", "[events]") {
  watched net;
  net.begin(7);
  CHECK(net.got() == "retry: 2000\nid: events:7\n\n");
  net.live_json(8, "order.placed", R"({"n":1})");
  CHECK(net.got() == "id: events:8\nevent: order.placed\ndata: {\"n\":1}\n\n");
  net.live(9, "order.paid", "");
  CHECK(net.got() == "id: events:9\nevent: order.paid\ndata: null\n\n");
}

TEST_CASE("event stream: nothing is asked before the subscription is in force", "[events]") {
  event_stream::options with;
  with.what = accepted("/events");
  event_stream stream{front::instant{1h}, std::move(with)};
  CHECK_FALSE(stream.next_request(front::instant{1h}, 0));
  stream.subscribed();
  CHECK(stream.next_request(front::instant{1h}, 0));
}

TEST_CASE("event stream: a client that comes back gets what it missed before anything else, once", "[events]") {
  watched net{accepted("/events", {{"Last-Event-ID", "events:5"}})};
  REQUIRE(net.asked() == "waggle.streams");
  net.streams(R"([{"stream":"events","first":1,"head":7}])");
  CHECK(net.stream.now() == event_stream::phase::opening);
  CHECK(net.asked() == "waggle.events");
  net.live_json(8, "order.placed", "8");
  net.events({{6, "6"}, {7, "7"}}, 8, 7);
  CHECK(net.got() == "retry: 2000\n\nid: events:6\nevent: order.placed\ndata: 6\n\nid: events:7\nevent: order.placed\ndata: 7\n\n"
                     "id: events:8\nevent: order.placed\ndata: 8\n\n");
  net.live_json(8, "order.placed", "8");
  CHECK(net.got().empty());
}

TEST_CASE("event stream: a gap is read from the log before it goes on", "[events]") {
  watched net;
  net.begin(7);
  net.got();
  net.live_json(10, "order.placed", "10");
  CHECK(net.got().empty());
  REQUIRE(net.asked() == "waggle.events");
  net.events({{8, "8"}, {9, "9"}, {10, "10"}}, 11, 10);
  const auto got = net.got();
  CHECK(got.find("data: 8\n") < got.find("data: 9\n"));
  CHECK(got.find("data: 9\n") < got.find("data: 10\n"));
}

TEST_CASE("event stream: a beginning that is not kept any more is refused before the stream begins", "[events]") {
  watched listed{accepted("/events", {{"Last-Event-ID", "events:5"}})};
  REQUIRE(listed.asked() == "waggle.streams");
  listed.streams(R"([{"stream":"events","first":90,"head":100}])");
  REQUIRE(listed.stream.refused());
  CHECK(listed.stream.refused()->code == status::out_of_range);
  // It goes just between the two questions.
  watched late{accepted("/events", {{"Last-Event-ID", "events:5"}})};
  REQUIRE(late.asked() == "waggle.streams");
  late.streams(R"([{"stream":"events","first":1,"head":100}])");
  REQUIRE(late.asked() == "waggle.events");
  late.refuse({status::out_of_range, "gone"});
  REQUIRE(late.stream.refused());
  CHECK(late.stream.refused()->code == status::out_of_range);
  CHECK(late.got().empty());
}

TEST_CASE("event stream: no event of one stream goes out while another's beginning may still be gone", "[events]") {
  watched net{accepted("/events", {{"Last-Event-ID", "events:5,orders:5"}})};
  REQUIRE(net.asked() == "waggle.streams");
  net.streams(R"([{"stream":"events","first":1,"head":6},{"stream":"orders","first":1,"head":6}])");
  REQUIRE(net.asked() == "waggle.events");
  net.events({{6, "6"}}, 7, 6);
  CHECK(net.stream.now() == event_stream::phase::opening);
  REQUIRE(net.asked() == "waggle.events");
  net.refuse({status::out_of_range, "gone"});
  CHECK(net.stream.refused());
}

TEST_CASE("event stream: a broker that says nothing of its streams in time is an answer, too", "[events]") {
  watched net;
  net.now += 9s;
  net.stream.tick(net.now);
  CHECK_FALSE(net.stream.refused());
  CHECK(net.stream.next_deadline() <= net.now + 1s);
  net.now += 1s;
  net.stream.tick(net.now);
  REQUIRE(net.stream.refused());
  CHECK(net.stream.refused()->code == status::unavailable);
}

TEST_CASE("event stream: only what is let out goes out, though the network sends more", "[events]") {
  watched net{accepted("/events", {}, letting_out({"order.placed"}))};
  net.begin(7);
  net.got();
  net.live_json(8, "order.placed.twice", "8");
  CHECK(net.got().empty());
  net.live_json(9, "order.placed", "9");
  CHECK(net.got() == "id: events:9\nevent: order.placed\ndata: 9\n\n");
}

TEST_CASE("event stream: an ephemeral event has no id, and comes only once the stream has begun", "[events]") {
  watched net;
  net.live_json(0, "page.seen", "0");
  net.begin(7);
  CHECK(net.got() == "retry: 2000\nid: events:7\n\n");
  net.live_json(0, "page.seen", "1");
  CHECK(net.got() == "event: page.seen\ndata: 1\n\n");
}

TEST_CASE("event stream: a quiet one says that it is there, and how far it is", "[events]") {
  watched net{accepted("/events?topic=order.")};
  net.begin(7);
  net.got();
  net.now += 14s;
  net.stream.tick(net.now);
  CHECK(net.got().empty());
  CHECK(net.stream.next_deadline() == net.now + 1s);
  net.now += 1s;
  net.stream.tick(net.now);
  CHECK(net.got() == ": keep-alive\n\n");
  net.now += 14s;
  net.live_json(8, "order.placed", "8");
  net.got();
  net.now += 14s;
  net.stream.tick(net.now);
  CHECK(net.got().empty());
}

TEST_CASE("event stream: what cannot be read any more is told, and the stream goes on", "[events]") {
  watched net;
  net.begin(7);
  net.got();
  net.live_json(12, "order.placed", "12");
  REQUIRE(net.asked() == "waggle.events");
  net.refuse({status::out_of_range, "trimmed"});
  net.now += 10s;
  REQUIRE(net.asked() == "waggle.events");
  std::string answer;
  net.events({{12, "12"}}, 13, 12);
  net.live_json(13, "order.placed", "13");
  CHECK(net.got().find("data: 13\n") != std::string::npos);
}

TEST_CASE("event stream: a payload that is no JSON is a comment that moves on", "[events]") {
  watched net;
  net.begin(7);
  net.got();
  net.live(8, "order.placed", "\xc1");
  CHECK(net.got() == "id: events:8\n: an event of the topic order.placed is no value that can be passed on\n\n");
}

TEST_CASE("event stream: what breaks it after its beginning is its last event", "[events]") {
  watched net;
  net.begin(7);
  net.got();
  net.live_json(12, "order.placed", "12");
  REQUIRE(net.asked() == "waggle.events");
  net.refuse({status::permission_denied, "no \"more\""});
  CHECK(net.stream.now() == event_stream::phase::ended);
  const auto got = net.got();
  REQUIRE(got.starts_with("event: waggle.error\ndata: "));
  CHECK(json::parse(got.substr(got.find("data: ") + 6)).at("status") == 403);
  net.live_json(13, "order.placed", "13");
  CHECK(net.got().empty());
}

TEST_CASE("event stream: the log is not read on for a client that has not taken what there is", "[events]") {
  watched net{accepted("/events", {{"Last-Event-ID", "events:0"}})};
  REQUIRE(net.asked() == "waggle.streams");
  net.streams(R"([{"stream":"events","first":1,"head":1000}])");
  REQUIRE(net.asked() == "waggle.events");
  net.events({{1, '"' + std::string(event_read_ahead_bytes, 'x') + '"'}}, 2, 1000);
  CHECK(net.asked() == "");
  CHECK(net.stream.next_deadline() > net.now);
  const auto taken = net.got();
  CHECK(net.asked(taken.size()) == "");
  CHECK(net.asked(event_read_ahead_bytes) == "waggle.events");
}

TEST_CASE("event stream: a client that lets too much of what happens wait is too slow; one that gets a lot from the log is not", "[events]") {
  watched net;
  net.begin(0);
  net.got();
  const auto large = '"' + std::string(100'000, 'x') + '"';
  std::uint64_t sequence = 0;
  while (!net.stream.too_slow(0)) {
    REQUIRE(net.stream.text().size() <= event_backlog_bytes_max);
    net.live_json(++sequence, "order.placed", large);
  }
  CHECK(sequence == 11);
  CHECK(net.stream.text().size() < event_backlog_bytes_max + 200'000);

  watched back{accepted("/events", {{"Last-Event-ID", "events:0"}})};
  REQUIRE(back.asked() == "waggle.streams");
  back.streams(R"([{"stream":"events","first":1,"head":30}])");
  REQUIRE(back.asked() == "waggle.events");
  std::vector<std::pair<std::uint64_t, std::string>> all;
  for (std::uint64_t i = 1; i <= 30; ++i) all.emplace_back(i, large);
  back.events(all, 31, 30);
  CHECK_FALSE(back.stream.too_slow(0));
  back.live_json(31, "order.placed", large);
  CHECK_FALSE(back.stream.too_slow(0));
  back.got();
  CHECK_FALSE(back.stream.too_slow(1000));
  CHECK(back.stream.too_slow(event_backlog_bytes_max + 1));
}

TEST_CASE("event stream: one that is ended has nothing more to say, and one that has not begun is refused", "[events]") {
  watched net;
  net.stream.end();
  REQUIRE(net.stream.refused());
  CHECK(net.stream.refused()->code == status::unavailable);
  watched open;
  open.begin(7);
  open.got();
  open.stream.end();
  CHECK(open.stream.now() == event_stream::phase::ended);
  CHECK_FALSE(open.stream.refused());
  CHECK(open.stream.next_deadline() == front::instant::max());
}
