// Majordomo 0.1 and 0.2 (ZeroMQ RFC 7, 18 and 8) at the broker: the adapter and the real core, in virtual time.
#include "support/broker_fixture.hpp"

#include <nlohmann/json.hpp>
#include <set>

#include "broker/majordomo/adapter.hpp"

using namespace std::literals;
using namespace waggle;
using namespace waggle::broker;
using majordomo::owned_frames;

namespace {

const auto ready = "\x01"s, request = "\x02"s, partial = "\x03"s, final_02 = "\x04"s, heartbeat_02 = "\x05"s, disconnect_02 = "\x06"s;
const auto reply_01 = "\x03"s, heartbeat_01 = "\x04"s, disconnect_01 = "\x05"s;

/// Adapter and core as the shell puts them together. Peers are numbers; what they get lies in their inboxes, of WGL peers as one
/// frame.
struct mixed_network {
  explicit mixed_network(const majordomo::settings& from = {}) : adapter{from, 1000ms} {}

  void send(std::uint32_t peer, const owned_frames& message) {
    const majordomo::frames views{message.begin(), message.end()};
    if (views.size() == 1 && !adapter.has(peer_id{peer})) {
      core.receive(now, peer_id{peer}, views[0], out);
    } else {
      adapter.receive(now, peer_id{peer}, views, core, out);
    }
    perform();
  }
  void advance(milliseconds by) {
    for (const auto until = now + by; now < until; now += 100ms) {
      adapter.tick(now, core, out);
      core.tick(now, out);
      perform();
    }
  }
  void perform() {
    for (const auto& each : adapter.take_replies()) inbox[static_cast<std::uint32_t>(each.to)].push_back(each.message);
    std::vector<std::pair<peer_id, std::string>> answers;
    for (std::size_t i = 0; i < out.messages(); ++i) {
      const auto& [to, bytes] = out.message_at(i);
      if (!adapter.has(to)) {
        inbox[static_cast<std::uint32_t>(to)].push_back({bytes});
        continue;
      }
      auto [message, answer] = adapter.translate(to, bytes);
      CHECK(adapter.translate(to, bytes).message == message);  // a full pipe makes the shell try again
      adapter.sent(to, bytes);
      if (!answer.empty()) answers.emplace_back(to, answer);
      if (!message.empty()) inbox[static_cast<std::uint32_t>(to)].push_back(message);
    }
    for (const auto each : out.forgotten()) adapter.forget(each);
    out.clear();
    for (const auto& [from, bundle] : answers) core.receive(now, from, bundle, out);
    if (!answers.empty()) perform();
  }
  std::vector<owned_frames> take(std::uint32_t peer) { return std::exchange(inbox[peer], {}); }
  owned_frames take_one(std::uint32_t peer) {
    auto all = take(peer);
    std::erase_if(all, [](const auto& each) { return each.back() == heartbeat_02 && each.size() == 2; });
    REQUIRE(all.size() == 1);
    return all[0];
  }

  broker_core core{{}};
  outbox out;
  majordomo::adapter adapter;
  instant now = instant{} + std::chrono::hours{1};
  std::map<std::uint32_t, std::vector<owned_frames>> inbox;
};

}  // namespace

TEST_CASE("majordomo: a 0.2 client and a 0.2 worker exchange frames as they are", "[majordomo]") {
  mixed_network net;
  net.send(1, {"MDPW02", ready, "echo"});
  net.send(2, {"MDPC02", "\x01", "echo", "one", "", "\xff\x00three"s});
  const auto asked = net.take_one(1);
  REQUIRE(asked.size() == 7);
  CHECK(owned_frames{asked.begin(), asked.begin() + 2} == owned_frames{"MDPW02", request});
  CHECK(asked[3].empty());
  CHECK(owned_frames{asked.begin() + 4, asked.end()} == owned_frames{"one", "", "\xff\x00three"s});
  net.send(1, {"MDPW02", partial, asked[2], "", "a", "b"});
  net.send(1, {"MDPW02", final_02, asked[2], "", "c"});
  CHECK(net.take(2) == std::vector<owned_frames>{{"MDPC02", "\x02", "echo", "a", "b"}, {"MDPC02", "\x03", "echo", "c"}});
  CHECK(net.core.open_calls() == 0);
}

TEST_CASE("majordomo: a 0.1 client and a 0.1 worker exchange frames as they are", "[majordomo]") {
  mixed_network net;
  net.send(1, {"", "MDPW01", ready, "echo"});
  net.send(2, {"", "MDPC01", "echo", "hello", "world"});
  const auto asked = net.take_one(1);
  REQUIRE(asked.size() == 7);
  CHECK(owned_frames{asked.begin(), asked.begin() + 3} == owned_frames{"", "MDPW01", request});
  CHECK(owned_frames{asked.begin() + 4, asked.end()} == owned_frames{"", "hello", "world"});
  net.send(1, {"", "MDPW01", reply_01, asked[3], "", "done"});
  CHECK(net.take_one(2) == owned_frames{"", "MDPC01", "echo", "done"});
}

TEST_CASE("majordomo: clients and workers of both versions find each other; parts come before the reply of a 0.1 client", "[majordomo]") {
  mixed_network net;
  net.send(1, {"MDPW02", ready, "new"});
  net.send(2, {"", "MDPW01", ready, "old"});
  net.send(3, {"", "MDPC01", "new", "x"});
  auto asked = net.take_one(1);
  net.send(1, {"MDPW02", partial, asked[2], "", "a"});
  net.send(1, {"MDPW02", final_02, asked[2], "", "b"});
  CHECK(net.take_one(3) == owned_frames{"", "MDPC01", "new", "a", "b"});
  net.send(4, {"MDPC02", "\x01", "old", "x"});
  asked = net.take_one(2);
  net.send(2, {"", "MDPW01", reply_01, asked[3], "", "y"});
  CHECK(net.take_one(4) == owned_frames{"MDPC02", "\x03", "old", "y"});
}

TEST_CASE("majordomo: a Majordomo client calls a waggle worker, which gets binaries", "[majordomo]") {
  mixed_network net;
  std::string join;
  wire::append_join(join, 1, serves("echo").bytes());
  net.send(1, {join});
  net.take(1);
  net.send(2, {"MDPC02", "\x01", "echo", "hi"});
  wire::frame in;
  const auto got = net.take_one(1);
  REQUIRE(wire::bundle_reader{got[0]}.next(in) == wire::decoded::frame);
  CHECK(in.payload == "\xc4\x02hi");
  CHECK(in.budget_ms == 60'000);
  std::string reply;
  wire::append_reply(reply, in.id, status::ok, "\x92\xa1x\xc4\x01y", {});
  net.send(1, {reply});
  CHECK(net.take_one(2) == owned_frames{"MDPC02", "\x03", "echo", "x", "y"});
  net.send(2, {"MDPC02", "\x01", "echo", "a", "b"});
  const auto again = net.take_one(1);
  REQUIRE(wire::bundle_reader{again[0]}.next(in) == wire::decoded::frame);
  CHECK(in.payload == "\x92\xc4\x01" "a\xc4\x01" "b");
  reply.clear();
  wire::append_reply(reply, in.id, status::ok, "\x81\xa1k\x01", {});  // no string: handed over as msgpack
  net.send(1, {reply});
  CHECK(net.take_one(2) == owned_frames{"MDPC02", "\x03", "echo", "\x81\xa1k\x01"});
}

TEST_CASE("majordomo: a waggle caller reaches a Majordomo worker with strings and binaries, and is told so otherwise", "[majordomo]") {
  mixed_network net;
  net.send(1, {"MDPW02", ready, "echo"});
  const auto call = [&](std::uint64_t id, std::string_view payload) {
    std::string bundle;
    wire::append_call(bundle, id, "echo", payload, 1000, {});
    net.send(2, {bundle});
  };
  call(1, "\xa2hi");
  const auto asked = net.take_one(1);
  CHECK(owned_frames{asked.begin() + 3, asked.end()} == owned_frames{"", "hi"});
  net.send(1, {"MDPW02", final_02, asked[2], "", "yes"});
  wire::frame in;
  const auto got = net.take_one(2);
  REQUIRE(wire::bundle_reader{got[0]}.next(in) == wire::decoded::frame);
  CHECK(in.id == 1);
  CHECK(in.payload == "\xc4\x03yes");
  call(2, "\x81\xa1k\x01");
  const auto refused = net.take_one(2);
  REQUIRE(wire::bundle_reader{refused[0]}.next(in) == wire::decoded::frame);
  CHECK(in.status == status::invalid_argument);
  CHECK(net.take(1).empty());
  call(3, {});  // and the slot is free again
  CHECK(net.take_one(1).back().empty());
}

TEST_CASE("majordomo: mmi.service says who serves a command, other mmi services are not implemented", "[majordomo]") {
  mixed_network net;
  net.send(1, {"MDPW02", ready, "echo"});
  net.send(2, {"MDPC02", "\x01", "mmi.service", "echo"});
  CHECK(net.take_one(2) == owned_frames{"MDPC02", "\x03", "mmi.service", "200"});
  net.send(3, {"", "MDPC01", "mmi.service", "nobody"});
  CHECK(net.take_one(3) == owned_frames{"", "MDPC01", "mmi.service", "404"});
  net.send(3, {"", "MDPC01", "mmi.broker"});
  CHECK(net.take_one(3) == owned_frames{"", "MDPC01", "mmi.broker", "501"});
}

TEST_CASE("majordomo: a worker hears heartbeats, and lives on its own slower ones; without any it is dead", "[majordomo]") {
  mixed_network net;
  net.send(1, {"MDPW02", ready, "echo"});
  for (int i = 0; i < 8; ++i) {
    net.advance(2500ms);
    net.send(1, {"MDPW02", heartbeat_02});
  }
  const auto heard = net.take(1);
  CHECK(std::count(heard.begin(), heard.end(), owned_frames{"MDPW02", heartbeat_02}) >= 18);
  CHECK(net.core.serves("echo"));
  net.advance(14s);
  CHECK_FALSE(net.core.serves("echo"));
  net.send(1, {"MDPW02", heartbeat_02});  // thawed, it learns that it is to begin anew
  CHECK(net.take(1).back() == owned_frames{"MDPW02", disconnect_02});
  net.send(1, {"MDPW02", ready, "echo"});
  CHECK(net.core.serves("echo"));
}

TEST_CASE("majordomo: a worker that disconnects loses its request, and the client hears nothing", "[majordomo]") {
  mixed_network net;
  net.send(1, {"", "MDPW01", ready, "echo"});
  net.send(2, {"", "MDPC01", "echo", "x"});
  net.take(1);
  net.send(1, {"", "MDPW01", disconnect_01});
  CHECK(net.take(2).empty());
  CHECK(net.core.open_calls() == 0);
  CHECK(net.adapter.counts().unanswered == 1);
  net.send(1, {"", "MDPW01", ready, "echo"});
  net.send(2, {"", "MDPC01", "echo", "again"});
  CHECK(net.take(1).back().back() == "again");
}

TEST_CASE("majordomo: what is valid but unexpected, or no command at all, disconnects a worker", "[majordomo]") {
  for (const auto& wrong : std::vector<owned_frames>{{"MDPW02", ready, "echo"}, {"MDPW02", request, "x"}, {"MDPW02", "\x07"}, {"MDPW02", ""},
                                                     {"MDPW02", "\x01\x01", "echo"}, {"MDPW02", final_02}, {"MDPW02", final_02, "who", "", "x"},
                                                     {"MDPW02", final_02, "12345678", "y", "x"}, {"", "MDPW01", heartbeat_01}, {"x"}, {}}) {
    mixed_network net;
    net.send(1, {"MDPW02", ready, "echo"});
    net.take(1);
    net.send(1, wrong);
    CHECK(net.take(1) == std::vector<owned_frames>{{"MDPW02", disconnect_02}});
    CHECK_FALSE(net.core.serves("echo"));
    CHECK(net.adapter.counts().refused == 1);
  }
  mixed_network net;
  for (const char* name : {"", "mmi.mine", "waggle.mine", "two words"}) {
    net.send(1, {"MDPW02", ready, name});
    CHECK(net.take_one(1) == owned_frames{"MDPW02", disconnect_02});
  }
  net.send(2, {"", "MDPW01", heartbeat_01});
  CHECK(net.take_one(2) == owned_frames{"", "MDPW01", disconnect_01});
}

TEST_CASE("majordomo: a reply under another worker's lease reaches nobody", "[majordomo]") {
  mixed_network net;
  net.send(1, {"MDPW02", ready, "echo"});
  net.send(2, {"MDPW02", ready, "other"});
  net.send(3, {"MDPC02", "\x01", "echo", "x"});
  const auto asked = net.take_one(1);
  net.send(2, {"MDPW02", final_02, asked[2], "", "stolen"});
  CHECK(net.take(3).empty());
  net.send(1, {"MDPW02", final_02, asked[2], "", "right"});
  CHECK(net.take_one(3).back() == "right");
}

TEST_CASE("majordomo: a client has at most requests_max open, and a request ends when its budget has passed", "[majordomo]") {
  mixed_network net{{.budget = 1s, .requests_max = 2}};
  net.send(1, {"MDPW02", ready, "echo"});
  for (int i = 0; i < 3; ++i) net.send(2, {"MDPC02", "\x01", "echo", std::to_string(i)});
  CHECK(net.core.open_calls() == 2);
  net.advance(1100ms);
  CHECK(net.core.open_calls() == 1);  // the worker still has the first
  CHECK(net.take(2).empty());
  net.send(2, {"MDPC02", "\x01", "echo", "more"});
  CHECK(net.core.open_calls() == 2);
}

TEST_CASE("majordomo: a waggle peer that turns to Majordomo is taken for garbage", "[majordomo]") {
  mixed_network net;
  std::string join;
  wire::append_join(join, 1, serves("echo").bytes());
  net.send(1, {join});
  net.send(1, {"MDPW02", ready, "other"});
  CHECK_FALSE(net.core.serves("echo"));
  CHECK_FALSE(net.core.serves("other"));
  CHECK(net.core.counts().broken_bundles == 1);
}

TEST_CASE("majordomo: bundles are never taken for it, and it needs its frames", "[majordomo]") {
  using majordomo::adapter;
  CHECK(adapter::recognises({"MDPC02", "\x01"}));
  CHECK(adapter::recognises({"", "MDPW01"}));
  CHECK_FALSE(adapter::recognises({"MDPC02"}));
  CHECK_FALSE(adapter::recognises({"MDPC01", "x"}));
  CHECK_FALSE(adapter::recognises({"", "MDPC02"}));
  CHECK_FALSE(adapter::recognises({"\x91\x09", "x"}));
  CHECK_FALSE(adapter::recognises({}));
}
