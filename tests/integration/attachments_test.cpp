// Large payloads, from a client through a broker to a handler and back.
#include <map>
#include <numeric>

#include "network_fixture.hpp"

namespace {

using namespace waggle;
using namespace waggle::test;

binary large(std::size_t bytes = 1u << 20) {
  binary out{std::string(bytes, '\0')};
  std::iota(out.bytes.begin(), out.bytes.end(), '\0');
  return out;
}

/// As the broker counts them.
std::uint64_t attachments_seen(client& net) {
  const auto got = net.call<std::map<std::string, value>>("waggle.stats", nothing{}, 5s);
  REQUIRE(got.has_value());
  const auto counters = read_payload<std::map<std::string, std::uint64_t>>(got->at("counters").bytes);
  REQUIRE(counters.has_value());
  return counters->at("attachments");
}

}  // namespace

TEST_CASE("network: large payloads travel beside their bundles, to quick handlers and to those of the pool, and come back whole", "[network]") {
  const std::string endpoint = GENERATE("tcp://127.0.0.1:*", "inproc://commands");
  net::context sockets;
  running_broker broker{sockets, {endpoint, "tcp://127.0.0.1:*", "tcp://127.0.0.1:*"}};
  service echo{"echo", "1"};
  echo.on("echo.quick", [](binary in) { return in; }).quick();
  echo.on("echo.pool", [](binary in) { return in; });
  running_service serving{echo, at(broker, sockets)};
  REQUIRE(serving.joined_at_all);
  client net{caller(broker, sockets)};
  const auto sent = large();
  CHECK(attachments_seen(net) == 0);
  for (const char* const command : {"echo.quick", "echo.pool"}) {
    CAPTURE(command);
    for (int i = 0; i < 20; ++i) {
      const auto got = net.call<binary>(command, sent, 20s);
      REQUIRE(got.has_value());
      CHECK(got->bytes == sent.bytes);
    }
  }
  CHECK(attachments_seen(net) == 2 * 2 * 20);
}

TEST_CASE("network: small and large calls at the same time all get their own answers", "[network]") {
  net::context sockets;
  running_broker broker{sockets};
  service echo{"echo", "1"};
  echo.on("echo.say", [](binary in) { return in; }).quick();
  running_service serving{echo, at(broker, sockets)};
  REQUIRE(serving.joined_at_all);
  client net{caller(broker, sockets)};
  std::vector<std::pair<std::size_t, std::future<result<binary>>>> open;
  for (std::size_t i = 0; i < 200; ++i) {
    const auto size = i % 3 == 0 ? 60'000 + 1000 * (i % 20) : i;
    open.emplace_back(size, net.call_async<binary>("echo.say", large(size), 30s));
  }
  for (auto& [size, answer] : open) {
    const auto got = answer.get();
    REQUIRE(got.has_value());
    CHECK(got->bytes == large(size).bytes);
  }
}

TEST_CASE("network: a large call whose worker dies is whole at the next", "[network]") {
  net::context sockets;
  running_broker broker{sockets, {"tcp://127.0.0.1:*", "tcp://127.0.0.1:*", "tcp://127.0.0.1:*"}, 100ms};
  net::dealer mute{sockets, net::dealer::greeting::none};  // takes the call and says nothing more
  mute.connect(broker.commands());
  std::string bytes, join;
  manifest joins{"echo", "1", "mute", 1, 1, {}};
  joins.commands.emplace_back().name = "echo.say";
  joins.commands.back().retry = retry_class::safe;
  joins.attachments = 1;
  wire::append_manifest(bytes, joins);
  wire::append_join(join, 1, bytes);
  REQUIRE(eventually([&] { return mute.send(join) == net::sent::yes; }));
  REQUIRE(eventually([&] { return mute.receive().has_value(); }));
  client net{caller(broker, sockets)};
  auto answer = net.call_async<binary>("echo.say", large(), 30s);
  REQUIRE(eventually([&] {
    const auto got = mute.receive();
    return got && got->attachments.size() == 1 && got->attachments[0].bytes().size() > 1u << 20;
  }));
  service echo{"echo", "1"};
  echo.on("echo.say", [](binary in) { return in; }).safe();
  running_service serving{echo, at(broker, sockets)};
  const auto got = answer.get();
  REQUIRE(got.has_value());
  CHECK(got->bytes == large().bytes);
}

TEST_CASE("network: large parts arrive in their order", "[network]") {
  net::context sockets;
  running_broker broker{sockets};
  service parts{"parts", "1"};
  parts.on("parts.send", [](context& with) {
    for (std::size_t i = 0; i < 30; ++i) with.part(large(i % 2 == 0 ? 100'000 + i : i));
  }).streams();
  running_service serving{parts, at(broker, sockets)};
  REQUIRE(serving.joined_at_all);
  client net{caller(broker, sockets)};
  std::size_t seen = 0;
  const auto end = net.stream<binary, nothing>("parts.send", nothing{}, 30s, [&](const binary& got) {
    CHECK(got.bytes == large(seen % 2 == 0 ? 100'000 + seen : seen).bytes);
    ++seen;
  });
  CHECK(end.has_value());
  CHECK(seen == 30);
}
