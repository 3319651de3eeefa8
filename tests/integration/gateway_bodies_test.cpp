// How often the gateway copies what it passes on.
#include <cstdlib>
#include <new>
#include <string>

#include "gateway_fixture.hpp"

using namespace waggle;
using namespace waggle::test;

namespace {

struct letter {
  std::string text;
};
WAGGLE_FIELDS(letter, text)

/// An allocation from this size on can only be for a copy of the body.
constexpr std::size_t large_bytes = 512 * 1024;
thread_local std::size_t large_allocations = 0;

}  // namespace

// Of the whole program, whose other threads have a count of their own. GCC takes what it inlines of one of them for a mismatch with the other.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void* operator new(std::size_t size) {
  if (size >= large_bytes) ++large_allocations;
  if (void* const out = std::malloc(size > 0 ? size : 1)) return out;
  throw std::bad_alloc{};
}
void operator delete(void* at) noexcept { std::free(at); }
void operator delete(void* at, std::size_t) noexcept { std::free(at); }

TEST_CASE("gateway: a large body is copied once on its way to the call, out of the connection's bytes", "[gateway]") {
  net::context sockets;
  running_broker broker{sockets};
  service taker{"taker", "1"};
  taker.on("taker.take", [](const letter& in) { return in.text.size(); }).http("POST /take");
  running_service serving{taker, at(broker, sockets)};
  gateway_fixture net{broker, sockets};
  REQUIRE(net.ready());
  REQUIRE(eventually([&] { return net.get("/take").status == 405; }));

  std::string body("\x81\xa4text\xdb\x00\x10\x00\x00", 11);  // a text of 1 MiB
  body.append(1 << 20, 'x');
  const auto before = large_allocations;
  const auto id = net.ask("POST", "/take", body, {{"Content-Type", "application/msgpack"}});
  CHECK(large_allocations - before == 1);
  REQUIRE(eventually([&] { return net.turn(), net.answers.count(id) > 0; }));
  CHECK(net.answers[id].body == "1048576");
}
