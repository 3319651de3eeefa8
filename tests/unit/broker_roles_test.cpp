// What the core refuses to peers whose keys have roles.
#include <algorithm>

#include "support/broker_fixture.hpp"

using namespace waggle;
using namespace waggle::broker;
using namespace std::literals;

namespace {

event_settings kept() {
  event_settings out;
  out.topics = {{{"events", {"*"}}}, {}};
  out.durable = true;
  return out;
}

role shop() { return {"shop", {"order.*"}, {"stock.*", "payment.take"}, {"order.*"}, {"payment.*", "order.placed"}, {}, false}; }
role operations() { return {"operator", {}, {"*", "waggle.*"}, {"*"}, {"*"}, {}, false}; }

std::string with(const std::string& name, const std::string& value = "{}") { return wire::headers_to_msgpack({{name, value}}); }

/// The refusal of `id`, which is counted.
std::string denial_of(broker_fixture& net, const std::string& peer, std::uint64_t id) {
  const auto why = net.error_of(peer, id);
  CHECK(why.code == status::permission_denied);
  CHECK_FALSE(why.may_have_run);
  return why.message;
}

}  // namespace

TEST_CASE("roles: a pattern of all names does not reach the broker's own", "[roles]") {
  CHECK(role::allows({"*"}, "order.place"));
  CHECK_FALSE(role::allows({"*", "w*", "waggle*"}, "waggle.drain"));
  CHECK(role::allows({"waggle.*"}, "waggle.drain"));
  CHECK(role::allows({"waggle.drain"}, "waggle.drain"));
  CHECK_FALSE(role::allows({"waggle.drain"}, "waggle.pause"));
  CHECK_FALSE(role::allows({}, "order.place"));
}

TEST_CASE("roles: what a role does not let a peer call is refused and reaches no worker, also later", "[roles]") {
  broker_fixture net{{}, kept()};
  net.join("w", serves("stock.count").and_also("account.close"));
  net.identify("s", shop());
  net.call("s", 1, "stock.count", 5s);
  CHECK(net.calls_at("w") == 1);
  net.call("s", 2, "account.close", 5s);
  CHECK(denial_of(net, "s", 2) == "the role \"shop\" may not call \"account.close\"; the broker's --peers file says what it may");
  net.later("s", 3, "account.close");
  CHECK(denial_of(net, "s", 3).find("account.close") != std::string::npos);
  net.call("s", 4, "never.served", 5s);
  CHECK(denial_of(net, "s", 4).find("never.served") != std::string::npos);
  CHECK(net.calls_at("w") == 1);
  CHECK(net.core().counts().denied == 3);
}

TEST_CASE("roles: everybody may find its way; who operates the broker has to be allowed to", "[roles]") {
  broker_fixture net{{}, kept()};
  net.identify("s", shop());
  net.identify("o", operations());
  std::uint64_t id = 0;
  for (const char* each : {"waggle.ping", "waggle.services", "waggle.streams", "waggle.outcome"}) {
    net.call("s", ++id, each, 5s, {});
    CHECK(net.status_of("s", id) != status::permission_denied);
  }
  for (const char* each : {"waggle.workers", "waggle.queues", "waggle.calls", "waggle.stats", "waggle.drain", "waggle.pause", "waggle.resume", "waggle.groups",
                           "waggle.forget_group", "waggle.dead", "waggle.dead_letter", "waggle.retry_dead", "waggle.drop_dead", "waggle.new"}) {
    net.call("s", ++id, each, 5s, {});
    CHECK(denial_of(net, "s", id).find(each) != std::string::npos);
    net.call("o", id, each, 5s, {});
    CHECK(net.status_of("o", id) != status::permission_denied);
  }
}

TEST_CASE("roles: a worker that says one thing too much has no seat at all", "[roles]") {
  broker_fixture net{{}, kept()};
  net.identify("w", shop());
  net.join("w", serves("order.place").and_also("payment.take"));
  CHECK(denial_of(net, "w", 1).find("serve \"payment.take\"") != std::string::npos);
  net.join("w", serves("order.place").handles("payment.*").handles("*"), 2);
  CHECK(denial_of(net, "w", 2).find("handle events of \"*\" for the group \"order\"") != std::string::npos);
  net.join("w", serves("order.place").handles("order.*"), 3);  // it may see order.placed only
  CHECK(denial_of(net, "w", 3).find("\"order.*\"") != std::string::npos);
  CHECK(net.core().worker_count() == 0);
  CHECK(net.ask("c", 1, "waggle.groups")["total"] == 0);
  net.join("w", serves("order.place").handles("payment.*").handles("order.placed"), 4);
  CHECK(net.status_of("w", 4) == status::ok);
  // One that has a seat keeps it when it asks for more.
  net.join("w", serves("order.place").and_also("payment.take"), 5);
  CHECK(net.status_of("w", 5) == status::permission_denied);
  CHECK(net.core().worker_count() == 1);
}

TEST_CASE("roles: who may see events is not thereby a member of another's group", "[roles]") {
  broker_fixture net{{}, kept()};
  auto may = shop();
  may.groups = {"shop", "shop-*"};
  net.identify("w", may);
  net.join("w", serves::service("shop").handles("payment.*", "ledger"));
  CHECK(denial_of(net, "w", 1).find("for the group \"ledger\"") != std::string::npos);
  net.join("w", serves::service("mailer").handles("payment.*"), 2);
  CHECK(net.status_of("w", 2) == status::permission_denied);
  net.join("w", serves::service("shop").handles("payment.*").handles("payment.*", "shop-2"), 3);
  CHECK(net.status_of("w", 3) == status::ok);
}

TEST_CASE("roles: only who may speak for others sends claims, and the header `operation` is nobody's", "[roles]") {
  broker_fixture net{{}, kept()};
  net.join("w", serves("stock.count"));
  net.identify("s", shop());
  auto trusted = operations();
  trusted.claims = true;
  net.identify("g", trusted);
  net.call("s", 1, "stock.count", 5s, "\x01", with("claims"));
  CHECK(denial_of(net, "s", 1).find("claims") != std::string::npos);
  net.call("s", 2, "stock.count", 5s, "\x01", "\x81\xa6" "claims\x07"sv);  // whatever its value
  CHECK(net.status_of("s", 2) == status::permission_denied);
  net.emit("s", 3, "order.placed", "\x04", {{"claims", "{}"}});
  CHECK(denial_of(net, "s", 3).find("claims") != std::string::npos);
  CHECK(net.calls_at("w") == 0);
  net.call("g", 1, "stock.count", 5s, "\x01", with("claims"));
  CHECK(net.calls_at("w") == 1);
  net.answer("w");
  net.call("g", 2, "stock.count", 5s, "\x01", with("operation"));
  CHECK(denial_of(net, "g", 2).find("operation") != std::string::npos);
  net.call("nobody", 1, "stock.count", 5s, "\x01", with("claims"));  // a network without keys
  CHECK(net.calls_at("w") == 2);
}

TEST_CASE("roles: an event that a role may not publish is dropped, by EMIT and by PUB", "[roles]") {
  broker_fixture net{{}, kept()};
  net.identify("s", shop());
  net.emit("s", 1, "stock.changed");
  CHECK(denial_of(net, "s", 1) == "the role \"shop\" may not publish \"stock.changed\"; the broker's --peers file says what it may");
  net.emit("s", 0, "stock.changed");
  net.emit("s", 2, "order.placed");
  CHECK(net.status_of("s", 2) == status::ok);
  const identity who{"s", std::make_shared<const role>(shop())};
  const auto event_of = [](std::string_view topic, std::string_view headers = {}) {
    std::string out;
    wire::append_event(out, 0, topic, "\x04", headers);
    return out;
  };
  net.publish("stock.changed", event_of("stock.changed"), &who);
  net.publish("order.placed", event_of("order.placed", with("claims")), &who);
  net.publish("order.placed", event_of("order.placed"), &who);
  CHECK(net.events().size() == 2);
  CHECK(net.core().counts().denied == 4);
  CHECK_FALSE(net.core().passes_on("stock.changed", event_of("stock.changed"), &who));
}

TEST_CASE("roles: of a stream a role reads what it may subscribe to, and is told when that is nothing", "[roles]") {
  broker_fixture net{{}, kept()};
  std::uint64_t emitted = 0;
  for (const char* each : {"order.placed", "order.packed", "payment.taken", "stock.changed"}) net.emit("e", ++emitted, each);
  net.identify("s", shop());
  net.identify("n", {"none", {}, {"*"}, {}, {}, {}, false});
  const auto topics = [&](std::uint64_t id, const nlohmann::json& question) {
    std::vector<std::string> out;
    const auto answer = net.ask("s", id, "waggle.events", question);
    for (const auto& each : answer["events"]) out.push_back(each[1]);
    return out;
  };
  CHECK(topics(1, {{"stream", "events"}, {"from", 1}}) == std::vector<std::string>{"order.placed", "payment.taken"});
  CHECK(topics(2, {{"stream", "events"}, {"from", 1}, {"prefixes", {"order."}}}) == std::vector<std::string>{"order.placed"});
  net.ask("s", 3, "waggle.events", {{"stream", "events"}, {"from", 1}, {"prefixes", {"order.", "stock."}}});
  CHECK(denial_of(net, "s", 3).find("\"stock.\"") != std::string::npos);
  net.ask("s", 4, "waggle.streams", {{"prefixes", {"stock."}}});
  CHECK(net.status_of("s", 4) == status::permission_denied);
  net.ask("n", 1, "waggle.events", {{"stream", "events"}, {"from", 1}});
  CHECK(net.status_of("n", 1) == status::permission_denied);
  net.ask("n", 2, "waggle.streams", {{"prefixes", {""}}});
  CHECK(net.status_of("n", 2) == status::permission_denied);
  CHECK(net.ask("n", 3, "waggle.streams")["streams"].size() == 1);
}

TEST_CASE("roles: a worker whose role has changed keeps its seat as long as it does nothing else", "[roles]") {
  broker_fixture net{{}, kept()};
  net.identify("w", shop());
  net.join("w", serves("order.place").handles("payment.*"));
  net.call("c", 1, "order.place", 60s);
  REQUIRE(net.calls_at("w") == 1);
  auto less = shop();
  less.call.clear();
  net.identify("w", less);
  CHECK(net.core().worker_count() == 1);
  less.subscribe = {"payment.taken"};
  net.identify("w", less);
  CHECK(net.core().worker_count() == 0);
  CHECK(net.error_of("w", 0).message.find("handle events of \"payment.*\" for the group \"order\" any more") != std::string::npos);
  CHECK(net.is_forgotten("w"));
}

TEST_CASE("roles: a peer whose key has gone loses its seat and its calls, and hears why", "[roles]") {
  broker_fixture net;
  net.identify("w", shop());
  net.join("w", serves("order.place"));
  net.identify("c", operations());
  net.call("c", 1, "order.place", 60s);
  net.expel("c");
  CHECK(net.error_of("c", 0).message == "its key is not one of the network any more");
  CHECK(net.cancels_at("w") == net.leases_at("w"));
  net.call("d", 1, "order.place", 60s);
  net.expel("w");
  CHECK(net.core().worker_count() == 0);
  REQUIRE(net.inbox("w", wire::frame_type::pulse).size() == 1);  // it may rest, and is not heard any more
  CHECK(net.inbox("w", wire::frame_type::pulse).front().seats == 0);
  CHECK(net.inbox("c", wire::frame_type::pulse).empty());
  net.advance(3s);
  CHECK(net.error_of("d", 1).code == status::unavailable);
}

TEST_CASE("roles: a peer that is forgotten and met again before the shell knows is still who it was", "[roles]") {
  broker_fixture net;
  net.join("w", serves("account.close"));
  net.identify("s", shop());
  net.hold();
  net.send("s", "garbage");
  net.call("s", 1, "account.close", 5s);
  net.release();
  CHECK(net.calls_at("w") == 0);
  CHECK(net.status_of("s", 1) == status::permission_denied);
}

TEST_CASE("roles: the welcome tells where those of the role subscribe", "[roles]") {
  broker_fixture net{{.events_out = "tcp://127.0.0.1:5557"}};
  net.identify("s", shop(), "tcp://127.0.0.1:5558");
  net.hello("s", 1, 1);
  net.hello("c", 1, 1);
  CHECK(json_of(net.reply_to("s", 1).payload)["events_out"] == "tcp://127.0.0.1:5558");
  CHECK(json_of(net.reply_to("c", 1).payload)["events_out"] == "tcp://127.0.0.1:5557");
}

TEST_CASE("roles: a peer that is refused again and again is one line of the log in a while", "[roles]") {
  broker_fixture net;
  net.identify("s", shop());
  const auto lines = [&] {
    return std::count(net.notes().begin(), net.notes().end(), "s: the role \"shop\" may not call \"account.close\"");
  };
  for (std::uint64_t id = 1; id <= 100; ++id) net.call("s", id, "account.close", 5s);
  CHECK(lines() == 1);
  CHECK(net.core().counts().denied == 100);
  net.advance(11s);
  net.call("s", 101, "account.close", 5s);
  CHECK(lines() == 2);
}
