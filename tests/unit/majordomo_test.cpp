// Majordomo peers at the broker's port: the adapter with a real core, in virtual time. Frames are spelt as in RFCs 7, 8 and 18.
#include "support/majordomo_fixture.hpp"

#include <algorithm>
#include <random>

using namespace std::literals;
using namespace waggle;
using namespace waggle::broker;

namespace {

using inbox = std::vector<message>;

// 0.2
message ready(const std::string& service) { return {"MDPW02", "\x01", service}; }
message partial(const std::string& address, const message& body) {
  message out{"MDPW02", "\x03", address, ""};
  out.insert(out.end(), body.begin(), body.end());
  return out;
}
message final(const std::string& address, const message& body) {
  auto out = partial(address, body);
  return out[1] = "\x04", out;
}
message request(const std::string& service, const message& body) {
  message out{"MDPC02", "\x01", service};
  out.insert(out.end(), body.begin(), body.end());
  return out;
}
const message heartbeat{"MDPW02", "\x05"};
const message disconnect{"MDPW02", "\x06"};

// 0.1
message old_ready(const std::string& service) { return {"", "MDPW01", "\x01", service}; }
message old_reply(const std::string& address, const message& body) {
  message out{"", "MDPW01", "\x03", address, ""};
  out.insert(out.end(), body.begin(), body.end());
  return out;
}
message old_request(const std::string& service, const message& body) {
  message out{"", "MDPC01", service};
  out.insert(out.end(), body.begin(), body.end());
  return out;
}
const message old_disconnect{"", "MDPW01", "\x05"};

/// The address in the one REQUEST that the worker has got lately, whose body must be this.
std::string address_of(majordomo_fixture& net, const std::string& worker, const message& body) {
  const auto got = net.take(worker);
  REQUIRE(got.size() == 1);
  const auto& first = got[0];
  const std::size_t at = first[0].empty() ? 1 : 0;
  REQUIRE(first.size() >= at + 4);
  CHECK(first[at] == (at == 1 ? "MDPW01" : "MDPW02"));
  CHECK(first[at + 1] == "\x02");
  CHECK_FALSE(first[at + 2].empty());
  CHECK(first[at + 3].empty());
  CHECK(message(first.begin() + static_cast<std::ptrdiff_t>(at) + 4, first.end()) == body);
  return first[at + 2];
}

std::string packed(const message& body) {
  const std::vector<std::string_view> views{body.begin(), body.end()};
  std::string out;
  majordomo::append_payload(views, out);
  return out;
}

}  // namespace

TEST_CASE("majordomo: the frames of RFC 18, byte for byte", "[majordomo]") {
  majordomo_fixture net;
  net.send("worker", {"MDPW02", "\x01", "echo"});
  CHECK(net.inbox("worker").empty());  // there is no response to a READY
  net.send("client", {"MDPC02", "\x01", "echo", "Hello"});
  const auto address = net.inbox("worker").at(0).at(2);
  CHECK(net.take("worker") == inbox{{"MDPW02", "\x02", address, "", "Hello"}});
  net.send("worker", {"MDPW02", "\x03", address, "", "one"});
  CHECK(net.take("client") == inbox{{"MDPC02", "\x02", "echo", "one"}});
  net.send("worker", {"MDPW02", "\x04", address, "", "last"});
  CHECK(net.take("client") == inbox{{"MDPC02", "\x03", "echo", "last"}});
  net.advance(1s);
  CHECK(net.take("worker") == inbox{{"MDPW02", "\x05"}});
  net.send("stranger", {"MDPW02", "\x05"});
  CHECK(net.take("stranger") == inbox{{"MDPW02", "\x06"}});
}

TEST_CASE("majordomo: the frames of RFC 7, byte for byte", "[majordomo]") {
  majordomo_fixture net;
  net.send("worker", {"", "MDPW01", "\x01", "echo"});
  CHECK(net.inbox("worker").empty());
  net.send("client", {"", "MDPC01", "echo", "Hello"});
  const auto address = net.inbox("worker").at(0).at(3);
  CHECK(net.take("worker") == inbox{{"", "MDPW01", "\x02", address, "", "Hello"}});
  net.send("worker", {"", "MDPW01", "\x03", address, "", "World"});
  CHECK(net.take("client") == inbox{{"", "MDPC01", "echo", "World"}});
  net.advance(1s);
  CHECK(net.take("worker") == inbox{{"", "MDPW01", "\x04"}});
  net.send("stranger", {"", "MDPW01", "\x04"});
  CHECK(net.take("stranger") == inbox{{"", "MDPW01", "\x05"}});
}

TEST_CASE("majordomo: bodies pass between clients and workers of either version as they are", "[majordomo]") {
  const auto body = GENERATE(message{"x"}, message{""}, message{"", ""}, message{"a", "", "\x00\xff\xc0"s}, message(1024, "z"),
                             message{std::string(300'000, 'q'), "end"});
  const bool old_client = GENERATE(false, true), old_worker = GENERATE(false, true);
  majordomo_fixture net;
  net.send("worker", old_worker ? old_ready("s") : ready("s"));
  net.send("client", old_client ? old_request("s", body) : request("s", body));
  const auto address = address_of(net, "worker", body);
  net.send("worker", old_worker ? old_reply(address, body) : final(address, body));
  message wanted = old_client ? message{"", "MDPC01", "s"} : message{"MDPC02", "\x03", "s"};
  wanted.insert(wanted.end(), body.begin(), body.end());
  CHECK(net.take("client") == inbox{wanted});
  CHECK(net.core().open_calls() == 0);
}

TEST_CASE("majordomo: a body of no frames, which the RFCs do not have, becomes one empty frame", "[majordomo]") {
  majordomo_fixture net;
  net.send("worker", ready("s"));
  net.send("client", request("s", {}));
  net.send("worker", final(address_of(net, "worker", {""}), {}));
  CHECK(net.take("client") == inbox{{"MDPC02", "\x03", "s", ""}});
}

TEST_CASE("majordomo: a worker has one request at a time, the next follows its reply", "[majordomo]") {
  majordomo_fixture net;
  net.send("worker", ready("s"));
  net.send("one", request("s", {"1"}));
  net.send("two", old_request("s", {"2"}));
  net.send("worker", final(address_of(net, "worker", {"1"}), {"to one"}));
  net.send("worker", final(address_of(net, "worker", {"2"}), {"to two"}));
  CHECK(net.take("one") == inbox{{"MDPC02", "\x03", "s", "to one"}});
  CHECK(net.take("two") == inbox{{"", "MDPC01", "s", "to two"}});
}

TEST_CASE("majordomo: parts reach a 0.1 client in front of the final body, in one reply", "[majordomo]") {
  majordomo_fixture net;
  net.send("worker", ready("s"));
  net.send("client", old_request("s", {"go"}));
  const auto address = address_of(net, "worker", {"go"});
  net.send("worker", partial(address, {"a", "b"}));
  net.send("worker", partial(address, {""}));
  CHECK(net.inbox("client").empty());
  net.send("worker", final(address, {"c"}));
  CHECK(net.take("client") == inbox{{"", "MDPC01", "s", "a", "b", "", "c"}});
  CHECK(net.adapter().collected_bytes() == 0);
}

TEST_CASE("majordomo: parts that are too many to keep for a 0.1 client cost it the request, not the broker its memory", "[majordomo]") {
  majordomo_fixture net{{.collected_bytes_max = 200}};
  net.send("worker", ready("s"));
  net.send("client", old_request("s", {"go"}));
  const auto address = address_of(net, "worker", {"go"});
  net.send("worker", partial(address, {std::string(100, 'x')}));
  CHECK(net.adapter().collected_bytes() >= 100);
  net.send("worker", partial(address, {std::string(100, 'x')}));
  CHECK(net.adapter().collected_bytes() == 0);
  CHECK(net.has_note("given up"));
  net.send("worker", partial(address, {"late"}));
  net.send("worker", final(address, {"late"}));
  CHECK(net.inbox("client").empty());
  CHECK(net.inbox("worker").empty());  // it keeps its seat
  CHECK(net.core().open_calls() == 0);
  net.send("client", old_request("s", {"again"}));
  net.send("worker", final(address_of(net, "worker", {"again"}), {"ok"}));
  CHECK(net.take("client") == inbox{{"", "MDPC01", "s", "ok"}});
}

TEST_CASE("majordomo: a client calls a command of a WGL worker, with the budget of the settings", "[majordomo]") {
  majordomo_fixture net{{.budget = 7s}};
  net.join("worker", "hello.say");
  net.send("client", request("hello.say", {"Ada"}));
  auto calls = net.calls_at("worker");
  REQUIRE(calls.size() == 1);
  CHECK(calls[0].name == "hello.say");
  CHECK(calls[0].payload == "\xc4\x03"
                            "Ada");
  CHECK(calls[0].budget_ms == 7000);
  net.part("worker", calls[0].id, "\xa1p");
  CHECK(net.take("client") == inbox{{"MDPC02", "\x02", "hello.say", "p"}});

  const auto [payload, body] = GENERATE(table<std::string, message>({
      {"", {""}},
      {"\xc0", {""}},
      {"\xa2hi", {"hi"}},
      {"\xc4\x02hi", {"hi"}},
      {"\x92\xa1"
       "a\xc4\x01"
       "b",
       {"a", "b"}},
      {"\x90", {""}},
      {"\x81\xa1k\x07", {"\x81\xa1k\x07"}},      // a map: as msgpack
      {"\x92\xa1"
       "a\x07",
       {"\x92\xa1"
        "a\x07"}},                                // not all of the array are frames
      {"\xa5no", {"\xa5no"}},                     // no msgpack value at all
      {"\xdd\xff\xff\xff\xff", {"\xdd\xff\xff\xff\xff"}},
  }));
  net.reply("worker", calls[0].id, payload);
  message wanted{"MDPC02", "\x03", "hello.say"};
  wanted.insert(wanted.end(), body.begin(), body.end());
  CHECK(net.take("client") == inbox{wanted});
}

TEST_CASE("majordomo: a WGL caller calls a Majordomo worker with a string, binary, an array of these, or nothing", "[majordomo]") {
  const auto [payload, body] = GENERATE(table<std::string, message>({
      {"", {""}},
      {"\xc0", {""}},
      {"\xa2hi", {"hi"}},
      {"\xc4\x02hi", {"hi"}},
      {"\x92\xa1"
       "a\xc4\x00"s,
       {"a", ""}},
  }));
  majordomo_fixture net;
  net.send("worker", ready("s"));
  net.call("caller", 9, "s", payload);
  const auto address = address_of(net, "worker", body);
  net.send("worker", partial(address, {"p"}));
  const auto parts = net.got("caller", wire::frame_type::part);
  REQUIRE(parts.size() == 1);
  CHECK(parts[0].payload == "\xc4\x01p");
  net.send("worker", final(address, {"x", "y"}));
  const auto reply = net.reply_to("caller", 9);
  CHECK(reply.code == status::ok);
  CHECK(reply.payload == packed({"x", "y"}));
}

TEST_CASE("majordomo: a payload that is no body is refused for the worker, which goes on to serve", "[majordomo]") {
  const auto payload = GENERATE("\x07"s, "\x81\xa1k\x07"s, "\x91\x07"s, "\xa5no"s, "\xc1"s, "\xa1" "ab"s,
                                "\xdc\x04\x01" + std::string(1025, '\xa0'));  // one of 4 MiB would be four million frames
  majordomo_fixture net;
  net.send("worker", ready("s"));
  net.call("caller", 1, "s", payload);
  const auto reply = net.reply_to("caller", 1);
  CHECK(reply.code == status::invalid_argument);
  const auto why = wire::read_error(reply.code, reply.payload);
  CHECK(why.message.find("it takes a string, binary, or an array of these") != std::string::npos);
  CHECK_FALSE(why.may_have_run);
  CHECK(net.inbox("worker").empty());
  net.call("caller", 2, "s", "\xa1x");
  net.send("worker", final(address_of(net, "worker", {"x"}), {"y"}));
  CHECK(net.reply_to("caller", 2).code == status::ok);
}

TEST_CASE("majordomo: mmi.service finds commands of all kinds, and other mmi services are 501", "[majordomo]") {
  majordomo_fixture net;
  const auto answer = [&](const std::string& service, const message& body) {
    net.send("client", request(service, body));
    const auto got = net.take("client");
    REQUIRE(got.size() == 1);
    REQUIRE(got[0].size() == 4);
    CHECK(message(got[0].begin(), got[0].begin() + 3) == message{"MDPC02", "\x03", service});
    return got[0][3];
  };
  CHECK(answer("mmi.service", {"s"}) == "404");
  net.send("worker", ready("s"));
  net.join("wgl", "hello.say");
  CHECK(answer("mmi.service", {"s"}) == "200");
  CHECK(answer("mmi.service", {"hello.say"}) == "200");
  CHECK(answer("mmi.service", {"mmi.service"}) == "404");
  CHECK(answer("mmi.service", {}) == "404");
  CHECK(answer("mmi.nothing", {"s"}) == "501");
  net.send("worker", disconnect);
  CHECK(answer("mmi.service", {"s"}) == "404");  // though its calls wait for another one
  net.send("old", old_request("mmi.service", {"hello.say"}));
  CHECK(net.take("old") == inbox{{"", "MDPC01", "mmi.service", "200"}});
}

TEST_CASE("majordomo: an error is not told to a client, but counted and noted, and it may try again", "[majordomo]") {
  majordomo_fixture net;
  for (int i = 0; i < 5; ++i) net.send("client", request("nobody", {"x"}));
  CHECK(net.inbox("client").empty());
  CHECK(net.adapter().counts().failed_requests == 5);
  CHECK(net.notes().size() == 1);
  CHECK(net.has_note("nobody"));
  net.send("worker", ready("nobody"));
  net.send("client", request("nobody", {"x"}));
  net.send("worker", final(address_of(net, "worker", {"x"}), {"y"}));
  CHECK(net.take("client") == inbox{{"MDPC02", "\x03", "nobody", "y"}});
}

TEST_CASE("majordomo: what a worker may not send ends in DISCONNECT, and its request as by death", "[majordomo]") {
  majordomo_fixture net;
  net.send("worker", ready("s"));
  net.call("caller", 1, "s", "\xa1x");
  const auto address = address_of(net, "worker", {"x"});
  const auto bad = GENERATE_COPY(values<message>({
      ready("s"),                                        // a second READY
      {"MDPW02", "\x02", address, "", "x"},              // REQUEST is the broker's
      final("other", {"y"}),                             // another address
      {"MDPW02", "\x04", address, "not empty", "y"},     // no delimiter
      {"MDPW02", "\x04", address},
      {"MDPW02", "\x04"},
      {"MDPW02", "\x07"},
      {"MDPW02", "\x00"s},
      {"MDPW02", ""},
      {"MDPW02", "\x05\x05"},
      {"MDPW02", "\x05", "more"},
      {"MDPW02"},
      {"MDPC02", "\x01", "s", "x"},                      // a client now
      {"", "MDPW01", "\x04"},                            // another version
      {"\x91\x09"},                                      // WGL/1
      {"MDPW03", "\x05"},
      {""},
      {"", ""},
      {},
  }));
  net.send("worker", bad);
  CHECK(net.take("worker") == inbox{disconnect});
  const auto reply = net.reply_to("caller", 1);
  CHECK(reply.code == status::unavailable);
  CHECK(wire::read_error(reply.code, reply.payload).may_have_run);
  CHECK(net.core().worker_count() == 0);
  CHECK(net.is_forgotten("worker"));
  // The worker comes again, on a new socket.
  net.send("worker", ready("s"));
  net.call("caller", 2, "s", "\xa1x");
  net.send("worker", final(address_of(net, "worker", {"x"}), {"y"}));
  CHECK(net.reply_to("caller", 2).code == status::ok);
}

TEST_CASE("majordomo: a late or doubled reply is unexpected and ends in DISCONNECT", "[majordomo]") {
  majordomo_fixture net;
  net.send("worker", old_ready("s"));
  net.send("client", request("s", {"x"}));
  const auto address = address_of(net, "worker", {"x"});
  net.send("worker", old_reply(address, {"y"}));
  net.send("worker", old_reply(address, {"z"}));
  CHECK(net.take("worker") == inbox{old_disconnect});
  CHECK(net.take("client") == inbox{{"MDPC02", "\x03", "s", "y"}});
}

TEST_CASE("majordomo: a reply under the address of another worker's request reaches nobody", "[majordomo]") {
  majordomo_fixture net;
  net.send("right", ready("s"));
  net.send("wrong", ready("other"));
  net.send("one", request("s", {"x"}));
  net.send("two", request("other", {"x"}));
  const auto address = address_of(net, "right", {"x"});
  net.send("wrong", final(address, {"stolen"}));
  CHECK(net.inbox("one").empty());
  net.send("right", final(address, {"y"}));
  CHECK(net.take("one") == inbox{{"MDPC02", "\x03", "s", "y"}});
}

TEST_CASE("majordomo: services that are no names or the broker's own are not let in", "[majordomo]") {
  majordomo_fixture net;
  const auto service = GENERATE(""s, "two words"s, "mmi.service"s, "mmi.x"s, "waggle.ping"s, "\xff"s, std::string(129, 'x'));
  net.send("worker", ready(service));
  CHECK(net.take("worker") == inbox{disconnect});
  CHECK(net.core().worker_count() == 0);
  CHECK(net.has_note("a Majordomo worker is refused"));
}

TEST_CASE("majordomo: a READY that the core refuses ends in DISCONNECT and a note that says why", "[majordomo]") {
  majordomo_fixture net{{}, {.commands_max = 1}};
  net.send("one", ready("a"));
  net.send("two", ready("b"));
  CHECK(net.inbox("one").empty());
  CHECK(net.take("two") == inbox{disconnect});
  CHECK(net.has_note("commands"));
  CHECK(net.core().worker_count() == 1);
}

TEST_CASE("majordomo: garbage from a client ends its requests without a word", "[majordomo]") {
  majordomo_fixture net;
  net.join("worker", "a");
  net.send("client", request("a", {"x"}));
  const auto bad = GENERATE(values<message>({{"MDPC02", "\x02", "a", "x"}, {"MDPC02", "\x09"}, {"MDPC02"}, {"MDPC02", "\x01"}, {"", "MDPC01", "a", "x"}, {"\x90"}, {}}));
  net.send("client", bad);
  CHECK(net.inbox("client").empty());
  CHECK(net.is_forgotten("client"));
  REQUIRE(net.got("worker", wire::frame_type::cancel).size() == 1);
  net.reply("worker", net.calls_at("worker")[0].id, "\xa1r");
  net.send("client", request("a", {"again"}));
  net.reply("worker", net.calls_at("worker")[1].id, "\xa1r");
  CHECK(net.take("client") == inbox{{"MDPC02", "\x03", "a", "r"}});
}

TEST_CASE("majordomo: requests past a limit are dropped and counted, and others are not touched", "[majordomo]") {
  majordomo_fixture net{{.requests_max = 2}};
  net.join("worker", "a");
  net.send("client", request("a", message(1025, "x")));
  net.send("client", request("a", {std::string(wire::payload_bytes_max, 'x')}));
  net.send("client", request("a", {"x"}), false);
  net.send("client", request("two words", {"x"}));
  CHECK(net.adapter().counts().dropped_requests == 4);
  CHECK(net.calls_at("worker").empty());
  for (int i = 0; i < 3; ++i) net.send("client", request("a", {"x"}));
  CHECK(net.adapter().counts().dropped_requests == 5);
  CHECK(net.calls_at("worker").size() == 2);
  for (const auto& each : net.calls_at("worker")) net.reply("worker", each.id, "\xa1r");
  CHECK(net.take("client").size() == 2);
  net.send("client", request("a", {"x"}));
  CHECK(net.calls_at("worker").size() == 3);
}

TEST_CASE("majordomo: a reply that is too large is an error of the worker; a partial one costs it the seat as well", "[majordomo]") {
  const bool part = GENERATE(false, true);
  majordomo_fixture net;
  net.send("worker", ready("s"));
  net.call("caller", 1, "s", "\xa1x");
  const auto address = address_of(net, "worker", {"x"});
  const message body{std::string(wire::payload_bytes_max, 'x')};
  net.send("worker", part ? partial(address, body) : final(address, body));
  const auto reply = net.reply_to("caller", 1);
  CHECK(reply.code == status::internal);
  CHECK(net.take("worker") == (part ? inbox{disconnect} : inbox{}));
  CHECK(net.core().worker_count() == (part ? 0 : 1));
}

TEST_CASE("majordomo: a worker may be silent for silence_max, and is then dead", "[majordomo]") {
  majordomo_fixture net;
  net.send("worker", ready("s"));
  net.call("caller", 1, "s", "\xa1x", 10min);
  net.advance(8900ms);
  CHECK(net.core().worker_count() == 1);
  net.send("worker", heartbeat);
  net.advance(8900ms);
  CHECK(net.core().worker_count() == 1);
  net.advance(1200ms);
  CHECK(net.core().worker_count() == 0);
  CHECK(net.reply_to("caller", 1).code == status::unavailable);
  net.take("worker");
  net.send("worker", heartbeat);  // it had only been slow: it is to come again
  CHECK(net.take("worker") == inbox{disconnect});
}

TEST_CASE("majordomo: a worker that disconnects is gone at once; a request that it has ends, one on the way to it goes to another", "[majordomo]") {
  majordomo_fixture net;
  net.send("worker", ready("s"));
  net.call("caller", 1, "s", "\xa1x");
  address_of(net, "worker", {"x"});
  net.send("worker", disconnect);
  CHECK(net.reply_to("caller", 1).code == status::unavailable);
  CHECK(net.core().worker_count() == 0);
  CHECK(net.inbox("worker").empty());

  net.send("worker", ready("s"));
  net.hold();
  net.call("caller", 2, "s", "\xa1x");
  net.send("worker", disconnect);
  net.release();
  CHECK(net.inbox("worker").empty());
  CHECK(net.got("caller", wire::frame_type::reply).size() == 1);
  net.send("another", old_ready("s"));
  net.send("another", old_reply(address_of(net, "another", {"x"}), {"y"}));
  CHECK(net.reply_to("caller", 2).code == status::ok);

  net.send("idle", disconnect);  // before any READY
  CHECK(net.inbox("idle").empty());
}

TEST_CASE("majordomo: a worker whose caller gave up is given nothing more until it has replied", "[majordomo]") {
  majordomo_fixture net;
  net.send("worker", ready("s"));
  net.call("caller", 1, "s", "\xa1x", 100ms);
  const auto address = address_of(net, "worker", {"x"});
  net.advance(100ms);
  CHECK(net.reply_to("caller", 1).code == status::deadline_exceeded);
  CHECK(net.inbox("worker").empty());
  net.call("caller", 2, "s", "\xa1y");
  CHECK(net.inbox("worker").empty());
  net.send("worker", final(address, {"late"}));
  address_of(net, "worker", {"y"});
}

TEST_CASE("majordomo: peers that fall idle are forgotten, those that only asked mmi or left included", "[majordomo]") {
  majordomo_fixture net;
  net.send("asked", request("mmi.service", {"x"}));
  net.send("dropped", request("two words", {"x"}));
  net.send("left", disconnect);
  net.send("refused", heartbeat);
  CHECK(net.adapter().peer_count() == 4);
  net.advance(3min);
  CHECK(net.adapter().peer_count() == 0);
  CHECK(net.core().peer_count() == 0);
}

TEST_CASE("majordomo: a newcomer past peers_max is disconnected, and nothing of it is kept", "[majordomo]") {
  majordomo_fixture net{{}, {.peers_max = 1}};
  net.send("one", ready("s"));
  net.send("two", ready("s"));
  CHECK(net.take("two") == inbox{disconnect});
  net.send("client", request("s", {"x"}));
  net.send("client", request("mmi.service", {"s"}));
  CHECK(net.adapter().peer_count() == 1);
  CHECK(net.core().peer_count() == 1);
}

TEST_CASE("majordomo: any frames from anybody leave the broker standing and its books in order", "[majordomo]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random{seed};
  const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>{0, n - 1}(random); };
  majordomo_fixture net{{.requests_max = 4, .collected_bytes_max = 300}};
  const std::vector<std::string> pieces{"", "MDPC01", "MDPC02", "MDPW01", "MDPW02", "\x01", "\x02", "\x03", "\x04", "\x05", "\x06",
                                        "a", "b", "mmi.service", "16777216", "body"};
  const std::vector<std::string> peers{"p1", "p2", "p3", "p4", "p5", "p6"};
  for (int step = 0; step < 20'000; ++step) {
    const auto& who = peers[below(peers.size())];
    message parts;
    switch (below(6)) {
      case 0: parts = ready(below(2) == 0 ? "a" : "b"); break;
      case 1: parts = old_ready("a"); break;
      case 2: parts = request(below(2) == 0 ? "a" : "b", {"x"}); break;
      case 3: parts = old_request("a", {"x", "y"}); break;
      case 4: {  // what a worker answers to the last that it has got
        const auto& got = net.inbox(who);
        if (got.empty() || got.back().size() < 5) continue;
        const bool old = got.back()[0].empty();
        const auto& address = got.back()[old ? 3 : 2];
        parts = old ? old_reply(address, {"r"}) : below(3) == 0 ? partial(address, {"p", "q"}) : final(address, {"r"});
        break;
      }
      default:
        for (auto n = below(7); n > 0; --n) parts.push_back(pieces[below(pieces.size())]);
        if (!majordomo::dialect_of(std::vector<std::string_view>{parts.begin(), parts.end()}) && net.is_forgotten(who)) continue;
    }
    if (below(50) == 0) net.hold();
    net.send(who, parts, below(20) != 0);
    if (below(10) == 0) net.release();
    if (below(20) == 0) net.advance(milliseconds{below(3000)});
  }
  net.release();
  net.advance(10min);
  CHECK(net.core().open_calls() == 0);
  CHECK(net.core().worker_count() == 0);
  CHECK(net.adapter().collected_bytes() == 0);
  CHECK(net.adapter().peer_count() == 0);
}

TEST_CASE("majordomo: peers with keys have roles like all others", "[majordomo][roles]") {
  majordomo_fixture net;
  net.identify("w", {.name = "shop", .serve = {"echo"}});
  net.identify("c", {.name = "clerk", .call = {"echo"}});
  net.send("w", ready("ledger"));
  CHECK(net.take("w") == inbox{disconnect});
  CHECK(net.core().worker_count() == 0);
  net.send("w", ready("echo"));
  CHECK(net.core().worker_count() == 1);
  net.join("x", "ledger");
  net.send("c", request("ledger", {"a"}));
  CHECK(net.calls_at("x").empty());
  CHECK(net.core().counts().denied == 2);
  net.send("c", request("echo", {"b"}));
  net.send("w", final(address_of(net, "w", {"b"}), {"r"}));
  CHECK(net.take("c") == inbox{{"MDPC02", "\x03", "echo", "r"}});
  net.identify("w", {.name = "shop"});
  CHECK(net.take("w") == inbox{disconnect});
  CHECK(net.core().worker_count() == 1);  // the other
}
