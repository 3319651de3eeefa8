// Brokers and workers that come, go, freeze and come back.
#include <unistd.h>

#include <atomic>
#include <filesystem>

#include "network_fixture.hpp"

namespace {

using namespace waggle;
using namespace waggle::test;

service_options at(const std::string& broker, net::context& sockets) {
  service_options out;
  out.broker = broker;
  out.threads = 2;
  out.sockets = &sockets;
  return out;
}

}  // namespace

TEST_CASE("network: after a restart of the broker, workers join again and callers go on", "[network]") {
  const socket_folder folder;
  net::context sockets;
  service twice{"twice", "1"};
  twice.on("twice.of", [](int in) { return 2 * in; });
  auto broker = std::make_unique<running_broker>(sockets, folder.endpoints(), 50ms, "first");
  client net{{broker->commands(), "test", 1000, &sockets}};
  running_service serving{twice, at(broker->commands(), sockets)};
  REQUIRE(net.call<int>("twice.of", 2, 5s).value() == 4);

  broker.reset();
  broker = std::make_unique<running_broker>(sockets, folder.endpoints(), 50ms, "second");
  CHECK(eventually([&] {
    const auto got = net.call<int>("twice.of", 3, 200ms);
    return got && *got == 6;
  }));
  CHECK(serving.joined == 2);
}

TEST_CASE("client: calls under way when the broker goes end as unavailable, and may have run", "[client]") {
  const socket_folder folder;
  net::context sockets;
  std::atomic<bool> begun{false}, release{false};
  service slow{"slow", "1"};
  slow.on("slow.wait", [&] {
    begun = true;
    eventually([&] { return release.load(); }, 20s);
  });
  auto broker = std::make_unique<running_broker>(sockets, folder.endpoints(), 50ms);
  client net{{broker->commands(), "test", 1000, &sockets}};
  running_service serving{slow, at(broker->commands(), sockets)};
  auto answer = net.call_async<nothing>("slow.wait", nothing{}, 60s);
  REQUIRE(eventually([&] { return begun.load(); }));
  broker.reset();
  const auto got = answer.get();
  CHECK(got.error().code == status::unavailable);
  CHECK(got.error().may_have_run);
  release = true;
}

TEST_CASE("broker: a worker that stops reading and speaking is let go after the missed pulses", "[network]") {
  net::context sockets;
  running_broker broker{sockets, {"tcp://127.0.0.1:*", "tcp://127.0.0.1:*", "tcp://127.0.0.1:*"}, 30ms};
  // A worker written from the protocol alone: it joins, takes a call and says nothing more.
  net::dealer mute{sockets, net::dealer::greeting::none};
  mute.connect(broker.commands());
  std::string manifest, bundle;
  wire::append_manifest(manifest, {"mute", "1", "", 1, 1, {{"mute.call", "", retry_class::once, false, {}, "", ""}}});
  wire::append_join(bundle, 1, manifest);
  REQUIRE(eventually([&] { return mute.send(bundle) == net::sent::yes; }));
  REQUIRE(eventually([&] { return mute.receive().has_value(); }));
  client net{{broker.commands(), "test", 1000, &sockets}};
  const auto got = net.call<nothing>("mute.call", nothing{}, 60s);
  CHECK(got.error().code == status::unavailable);
  CHECK(got.error().may_have_run);
  CHECK(net.call<nothing>("mute.call", nothing{}, 5s).error().code == status::unavailable);
}

TEST_CASE("broker: bytes that are no frames are answered with what is wrong, and others are not disturbed", "[network]") {
  net::context sockets;
  running_broker broker{sockets};
  net::dealer rude{sockets, net::dealer::greeting::none};
  rude.connect(broker.commands());
  client net{{broker.commands(), "test", 1000, &sockets}};
  const std::string texts[] = {"", "\xc1", "GET / HTTP/1.1\r\n\r\n", std::string("\xdd\xff\xff\xff\xff", 5), std::string(100'000, '\x91')};
  for (const auto& text : texts) {
    REQUIRE(eventually([&] { return rude.send(text) == net::sent::yes; }));
    CHECK(net.call<nothing>("waggle.ping", nothing{}, 5s).has_value());
  }
  int complaints = 0;
  CHECK(eventually([&] {
    while (const auto got = rude.receive()) {
      wire::bundle_reader frames{*got};
      wire::frame in;
      if (frames.next(in) == wire::decoded::frame && in.id == 0 && in.status == status::invalid_argument) ++complaints;
    }
    return complaints == 4;  // an empty message is an empty bundle
  }));
}

TEST_CASE("broker: a message with more attachments than anybody may send costs the seat", "[network]") {
  net::context sockets;
  running_broker broker{sockets};
  net::dealer rude{sockets, net::dealer::greeting::none};
  rude.connect(broker.commands());
  REQUIRE(eventually([&] {
    zmq::message_t first{std::string_view{"\x91\x09"}};
    return rude.native().send(first, zmq::send_flags::sndmore | zmq::send_flags::dontwait).has_value();
  }));
  for (std::uint32_t i = 0; i < wire::attachments_max; ++i) rude.native().send(zmq::str_buffer("more"), zmq::send_flags::sndmore);
  rude.native().send(zmq::str_buffer("one too many"), zmq::send_flags::none);
  std::optional<wire::message_view> got;
  REQUIRE(eventually([&] { return (got = rude.receive()).has_value(); }));
  wire::bundle_reader frames{*got};
  wire::frame in;
  REQUIRE(frames.next(in) == wire::decoded::frame);
  CHECK(in.status == status::invalid_argument);
}

TEST_CASE("broker: a burst of single frames that is larger than a pipe reaches a peer that reads it", "[network]") {
  net::context sockets;
  running_broker broker{sockets};
  // A caller that takes one frame in each message, and reads only when it has sent everything.
  net::dealer simple{sockets, net::dealer::greeting::none};
  simple.connect(broker.commands());
  std::string calls;
  constexpr std::uint64_t count = 4000;
  for (std::uint64_t id = 1; id <= count; ++id) wire::append_call(calls, id, "waggle.ping", "\x01", 60'000, {});
  REQUIRE(eventually([&] { return simple.send(calls) == net::sent::yes; }));
  std::uint64_t replies = 0, bytes_wrong = 0;
  CHECK(eventually([&] {
    while (const auto got = simple.receive()) {
      wire::bundle_reader frames{*got};
      wire::frame in;
      while (frames.next(in) == wire::decoded::frame) bytes_wrong += in.id == ++replies && in.status == status::ok ? 0 : 1;
    }
    return replies == count;
  }));
  CHECK(bytes_wrong == 0);
}

TEST_CASE("network: a safe call whose worker dies is answered by another, and one that may not run twice is not", "[network]") {
  net::context sockets;
  running_broker broker{sockets, {"tcp://127.0.0.1:*", "tcp://127.0.0.1:*", "tcp://127.0.0.1:*"}, 30ms};
  const auto join_mute = [&](net::dealer& mute) {
    mute.connect(broker.commands());
    std::string manifest, bundle;
    wire::append_manifest(manifest, {"pair", "1", "", 1, 1, {{"pair.safe", "", retry_class::safe, false, {}, "", ""},
                                                             {"pair.once", "", retry_class::once, false, {}, "", ""}}});
    wire::append_join(bundle, 1, manifest);
    REQUIRE(eventually([&] { return mute.send(bundle) == net::sent::yes; }));
    REQUIRE(eventually([&] { return mute.receive().has_value(); }));
  };
  client net{{broker.commands(), "test", 1000, &sockets}};
  for (const bool safe : {true, false}) {
    net::dealer mute{sockets, net::dealer::greeting::none};  // takes the call and says nothing more
    join_mute(mute);
    auto answer = net.call_async<int>(safe ? "pair.safe" : "pair.once", nothing{}, 30s);
    REQUIRE(eventually([&] {
      const auto got = mute.receive();
      return got && static_cast<unsigned char>(got->bundle[1]) == 1;  // CALL
    }));
    service pair{"pair", "1"};
    pair.on("pair.safe", [] { return 7; }).safe();
    pair.on("pair.once", [] { return 7; });
    service_options with;
    with.broker = broker.commands();
    with.sockets = &sockets;
    running_service serving{pair, with};
    const auto got = answer.get();
    if (safe) {
      CHECK(got == 7);
    } else {
      REQUIRE_FALSE(got.has_value());
      CHECK(got.error().code == status::unavailable);
      CHECK(got.error().may_have_run);
    }
  }
}
