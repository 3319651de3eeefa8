// The streams of events of one reactor thread: over real sockets, with a test in the place of broker and clients.
#include <map>
#include <set>

#include <waggle/wire/json.hpp>

#include "gateway/event_hub.hpp"
#include "network_fixture.hpp"

namespace {

using namespace waggle;
using namespace waggle::test;
using namespace waggle::gateway;

/// What a client has got.
struct client_side {
  front::response answer;
  std::string text;
  bool begun = false, finished = false, aborted = false;
};

/// A broker's events and log, and the clients.
struct hub_fixture final : front::responder {
  explicit hub_fixture(std::string endpoint = "inproc://events") { bind(std::move(endpoint)); }

  void bind(std::string endpoint) {
    events = std::make_unique<net::event_sink>(sockets);
    at = events->bind(endpoint);
  }
  event_hub::options options() {
    event_hub::options out;
    out.sockets = &sockets;
    out.open = open;
    out.open_within = 10s;
    out.call = [this](front::instant, std::uint64_t stream, const detail::subscription_core::request& what) {
      if (!reachable) return false;
      asked.emplace_back(stream, what);
      return true;
    };
    out.note = [this](std::string line) { notes.push_back(std::move(line)); };
    return out;
  }

  void respond(front::exchange_id to, front::response answer) override {
    auto& of = clients[static_cast<std::uint64_t>(to)];
    of.answer = std::move(answer);
    of.finished = true;
  }
  void begin(front::exchange_id to, front::response head) override {
    auto& of = clients[static_cast<std::uint64_t>(to)];
    of.answer = std::move(head);
    of.begun = true;
  }
  bool append(front::exchange_id to, std::string_view bytes) override {
    auto& of = clients[static_cast<std::uint64_t>(to)];
    if (gone.contains(static_cast<std::uint64_t>(to))) return false;
    of.text += bytes;
    if (!reads) waiting += bytes.size();
    return true;
  }
  void finish(front::exchange_id to) override { clients[static_cast<std::uint64_t>(to)].finished = true; }
  void abort(front::exchange_id to) override { clients[static_cast<std::uint64_t>(to)].aborted = true; }
  [[nodiscard]] std::size_t backlog(front::exchange_id) const override { return waiting; }

  std::uint64_t get(std::string_view query, std::string_view method = "GET") {
    const auto id = ++last;
    hub.open(front::clock::now(), front::exchange_id{id}, {method, "/events", query, {}, {}}, let_out);
    return id;
  }
  /// What a reactor thread and a broker would do.
  void turn() {
    hub.pump(front::clock::now());
    while (const auto prefix = events->next_subscription()) {
      ++subscriptions[std::string{*prefix}];
      if (answers_greetings && prefix->starts_with("waggle.hello.")) send(std::string{*prefix}, 0, {});
    }
    for (const auto& [stream, what] : std::exchange(asked, {})) {
      const auto payload = wire::json_to_msgpack(what.command == "waggle.streams" ? streams : R"({"stream":"events","events":[],"next":8,"head":7,"first":1})").value();
      hub.answered(front::clock::now(), stream, what.id, result<std::string_view>{std::string_view{payload}});
    }
  }
  bool until(const std::function<bool()>& holds) {
    return eventually([&] { return turn(), holds(); });
  }
  void send(const std::string& topic, std::uint64_t sequence, std::string_view json, const std::vector<std::uint64_t>& after = {}) {
    std::string about;
    if (sequence != 0) {
      wire::writer to{about};
      to.map(after.empty() ? 1 : 2);
      to.string("stream");
      to.string("events");
      if (!after.empty()) {
        to.string("after");
        to.array(after.size());
        for (const auto each : after) to.unsigned_integer(each);
      }
    }
    std::string frame;
    wire::append_event(frame, sequence, topic, json.empty() ? std::string{} : wire::json_to_msgpack(json).value(), {}, about);
    events->send(topic, frame);
  }

  net::context sockets;
  std::string at;
  std::unique_ptr<net::event_sink> events;
  std::map<std::uint64_t, client_side> clients;
  std::set<std::uint64_t> gone;
  std::map<std::string, int> subscriptions;
  std::vector<std::pair<std::uint64_t, detail::subscription_core::request>> asked;
  std::vector<std::string> notes;
  std::string streams = R"({"durable":true,"streams":[{"stream":"events","first":1,"head":7}]})";
  bool reachable = true, reads = true, answers_greetings = true;
  std::size_t waiting = 0;
  std::uint64_t last = 0;
  events_config let_out{.topics = {"*"}, .streams_max = 3, .access = {}};
  std::shared_ptr<event_stream_count> open = std::make_shared<event_stream_count>(0);
  event_hub hub{options(), *this};
};

std::string header_of(const front::response& of, std::string_view name) {
  for (const auto& each : of.headers) {
    if (each.first == name) return std::string{each.second};
  }
  return "none";
}

}  // namespace

TEST_CASE("event hub: clients get what they ask for, over one socket, and nobody's events come when nobody is there", "[gateway][events]") {
  hub_fixture net;
  net.hub.connect(net.at, "b1");
  CHECK(net.hub.descriptor() == -1);
  const auto orders = net.get("topic=order."), users = net.get("topic=user."), both = net.get("topic=order.&topic=user.");
  REQUIRE(net.until([&] { return net.clients[orders].begun && net.clients[users].begun && net.clients[both].begun; }));
  CHECK(header_of(net.clients[orders].answer, "Cache-Control") == "no-store");
  CHECK(net.clients[orders].answer.content_type == "text/event-stream");
  CHECK(net.subscriptions.at("order.") == 1);
  net.send("order.placed", 8, "1", {6, 7});
  net.send("user.made", 9, "2", {5, 7});
  net.send("other", 10, "3");
  CHECK(net.until([&] { return net.clients[both].text.find("event: user.made\ndata: 2\n\n") != std::string::npos; }));
  CHECK(net.clients[users].text == net.clients[users].text.substr(0, net.clients[users].text.find("id: events:7")) +
                                       "id: events:7\n\nid: events:9\nevent: user.made\ndata: 2\n\n");
  CHECK(net.until([&] { return net.clients[orders].text.find("event: order.placed\ndata: 1\n\n") != std::string::npos; }));
  CHECK(net.clients[orders].text.find("user") == std::string::npos);
  CHECK(net.clients[both].text.find("other") == std::string::npos);
  for (const auto each : {orders, users, both}) CHECK(net.hub.on_abandoned(front::exchange_id{each}));
  CHECK_FALSE(net.hub.on_abandoned(front::exchange_id{orders}));
  CHECK(*net.open == 0);
  net.send("order.placed", 11, "4");
  net.send("waggle.head.events", 11, "");
  // Once the first of a new one's has come, the others have had their time.
  const auto again = net.get("topic=user.");
  CHECK(net.until([&] { return net.clients[again].begun; }));
  CHECK(net.subscriptions.at("order.") == 1);
}

TEST_CASE("event hub: past the limit of streams a client is told to come back, and a place that is free is taken again", "[gateway][events]") {
  hub_fixture net;
  net.hub.connect(net.at, "b1");
  for (int i = 0; i < 3; ++i) net.get("");
  const auto refused = net.get("");
  CHECK(net.clients[refused].answer.status == 503);
  CHECK(header_of(net.clients[refused].answer, "Retry-After") == "5");
  CHECK(net.hub.on_abandoned(front::exchange_id{1}));
  const auto taken = net.get("");
  CHECK(net.until([&] { return net.clients[taken].begun; }));
  CHECK(*net.open == 3);
}

TEST_CASE("event hub: a request that cannot be takes no place", "[gateway][events]") {
  hub_fixture net;
  CHECK(net.clients[net.get("last=x")].answer.status == 400);
  CHECK(net.clients[net.get("", "POST")].answer.status == 405);
  CHECK(*net.open == 0);
  CHECK(net.hub.size() == 0);
}

TEST_CASE("event hub: a beginning that is not kept any more is 410, HEAD is over with its headers", "[gateway][events]") {
  hub_fixture net;
  net.hub.connect(net.at, "b1");
  net.streams = R"({"durable":true,"streams":[{"stream":"events","first":90,"head":100}]})";
  const auto old = net.get("last_event_id=events:5");
  CHECK(net.until([&] { return net.clients[old].finished; }));
  CHECK(net.clients[old].answer.status == 410);
  CHECK(net.clients[old].answer.content_type == "application/problem+json");
  CHECK_FALSE(net.clients[old].begun);
  const auto head = net.get("", "HEAD");
  CHECK(net.until([&] { return net.clients[head].begun; }));
  CHECK(net.hub.size() == 0);
  CHECK(net.clients[head].text.empty());
}

TEST_CASE("event hub: a client that lets too much wait is cut off, and the log says so", "[gateway][events]") {
  hub_fixture net;
  net.hub.connect(net.at, "b1");
  const auto slow = net.get("");
  REQUIRE(net.until([&] { return net.clients[slow].begun; }));
  net.reads = false;
  const auto large = '"' + std::string(50'000, 'x') + '"';
  for (std::uint64_t i = 8; !net.clients[slow].aborted; ++i) {
    REQUIRE(i < 100);
    net.send("order.placed", i, large);
    net.turn();
  }
  CHECK(net.waiting < 3 * event_read_ahead_bytes);  // the rest waited here
  CHECK(net.notes.size() == 1);
  CHECK(*net.open == 0);
}

TEST_CASE("event hub: what waited goes on when there is room", "[gateway][events]") {
  hub_fixture net;
  net.hub.connect(net.at, "b1");
  const auto one = net.get("");
  REQUIRE(net.until([&] { return net.clients[one].begun; }));
  net.reads = false;
  const auto large = '"' + std::string(50'000, 'x') + '"';
  for (std::uint64_t i = 8; i < 14; ++i) net.send("order.placed", i, large);
  net.send("order.placed", 14, "\"last\"");
  REQUIRE(net.until([&] { return net.waiting > event_read_ahead_bytes; }));
  CHECK(net.clients[one].text.find("last") == std::string::npos);
  CHECK(net.until([&] {
    net.waiting = 0;
    net.hub.on_room(front::exchange_id{one});
    return net.clients[one].text.find("\"last\"") != std::string::npos;
  }));
}

TEST_CASE("event hub: a client that has gone without a word is forgotten", "[gateway][events]") {
  hub_fixture net;
  net.hub.connect(net.at, "b1");
  const auto one = net.get("");
  REQUIRE(net.until([&] { return net.clients[one].begun; }));
  net.gone.insert(one);
  net.send("order.placed", 8, "1");
  CHECK(net.until([&] { return net.hub.size() == 0; }));
  CHECK(*net.open == 0);
}

TEST_CASE("event hub: when the broker comes back elsewhere, streams that are open go on", "[gateway][events]") {
  hub_fixture net;
  net.hub.connect(net.at, "b1");
  const auto one = net.get("topic=order.");
  REQUIRE(net.until([&] { return net.clients[one].begun; }));
  net.bind("inproc://other");
  net.hub.connect(net.at, "b2");
  REQUIRE(net.until([&] { return net.subscriptions["order."] == 2; }));
  net.send("order.placed", 8, "1");
  CHECK(net.until([&] { return net.clients[one].text.find("data: 1\n") != std::string::npos; }));
}

TEST_CASE("event hub: a stream that is asked for before there is a broker begins when there is one", "[gateway][events]") {
  hub_fixture net;
  const auto one = net.get("");
  net.turn();
  CHECK(net.hub.descriptor() == -1);
  net.hub.connect(net.at, "b1");
  CHECK(net.until([&] { return net.clients[one].begun; }));
}

TEST_CASE("event hub: while the broker cannot be asked a stream waits, and asks again", "[gateway][events]") {
  hub_fixture net;
  net.hub.connect(net.at, "b1");
  net.reachable = false;
  const auto one = net.get("");
  REQUIRE(net.until([&] { return net.subscriptions.size() >= 3; }));
  for (int i = 0; i < 20; ++i) net.turn();
  CHECK_FALSE(net.clients[one].begun);
  CHECK(net.hub.next_deadline() < front::instant::max());
  net.reachable = true;
  CHECK(net.until([&] { return net.clients[one].begun; }));
}

TEST_CASE("event hub: a greeting that is lost is said again", "[gateway][events]") {
  hub_fixture net;
  net.hub.connect(net.at, "b1");
  net.answers_greetings = false;
  const auto one = net.get("");
  REQUIRE(net.until([&] { return net.subscriptions.size() == 3; }));
  net.answers_greetings = true;
  CHECK(net.until([&] { return net.clients[one].begun; }));
  CHECK(net.subscriptions.size() >= 4);
}

TEST_CASE("event hub: when the gateway goes down streams end in peace, and nobody gets another", "[gateway][events]") {
  hub_fixture net;
  net.hub.connect(net.at, "b1");
  const auto open = net.get("");
  REQUIRE(net.until([&] { return net.clients[open].begun; }));
  const auto opening = net.get("");
  net.hub.end_all(true);
  net.turn();
  CHECK(net.clients[open].finished);
  CHECK_FALSE(net.clients[open].aborted);
  CHECK(net.clients[opening].answer.status == 503);
  const auto late = net.get("");
  CHECK(net.clients[late].answer.status == 503);
  CHECK(header_of(net.clients[late].answer, "Retry-After") != "none");
  CHECK(net.hub.size() == 0);
  CHECK(*net.open == 0);
}
