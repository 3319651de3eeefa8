// Bundles that are read ahead come out as they are, whatever is in them and whatever the broker knows of it.
#include <random>
#include <string>

#include <waggle/wire/frames.hpp>
#include <waggle/wire/manifest.hpp>

#include "broker/core/look_ahead.hpp"
#include "support/catch.hpp"

namespace {

using namespace waggle;
using namespace waggle::broker;
using namespace std::chrono_literals;

std::string command(std::uint64_t which) { return "a.command.with.a.name.of.some.length." + std::to_string(which); }

/// A directory of three commands with a worker each.
void fill(directory& into) {
  for (std::uint64_t i = 0; i < 3; ++i) {
    manifest said{"service-" + std::to_string(i), "1", "", i == 0 ? 1u : 100u, 1, {}};
    said.commands.emplace_back().name = command(i);
    REQUIRE(into.join(instant{} + 1s, peer_id(static_cast<std::uint32_t>(i)), said, none));
  }
}

/// Frames of all sorts: calls of commands that exist and that do not, replies to leases that exist and that do not.
std::string bundle_of(std::mt19937_64& random, std::size_t frames) {
  std::string out;
  for (std::size_t i = 0; i < frames; ++i) {
    const auto number = random();
    switch (number % 5) {
      case 0: wire::append_pulse(out, 0); break;
      case 1: wire::append_reply(out, number, status::ok, "\x01", {}); break;
      case 2: wire::append_reply(out, (std::uint64_t{1} << 24) | (number % 4), status::ok, "\x01", {}); break;
      case 3: wire::append_call(out, number, command(number % 7), "\x01", 1000, {}); break;
      default: wire::append_cancel(out, number); break;
    }
  }
  return out;
}

}  // namespace

TEST_CASE("broker: frames that are read ahead come one after the other as they are in their bundle, to its end or to what is no frame", "[broker]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random{seed};
  directory commands{100, 0ms, 0ms, 10};
  fill(commands);
  call_table calls;
  for (std::uint64_t id = 1; id <= 3; ++id) calls[calls.open(peer_id{9}, id)].command = static_cast<std::uint32_t>(id - 1);
  look_ahead ahead{commands, calls, GENERATE(std::size_t{0}, std::size_t{2}, std::size_t{1000})};
  for (int i = 0; i < 300; ++i) {
    auto bundle = bundle_of(random, random() % 40);
    if (i % 2 == 1) bundle.resize(bundle.size() - std::min<std::size_t>(bundle.size(), random() % 8));
    if (i % 5 == 4) bundle.insert(bundle.size() / 2, "\xc1");
    wire::bundle_reader plain{bundle};
    ahead.begin(bundle);
    wire::frame expected;
    wire::frame* in = nullptr;
    for (;;) {
      const auto what = plain.next(expected);
      REQUIRE(ahead.next(in) == what);
      if (what == wire::decoded::end) break;
      if (what == wire::decoded::broken) {
        CHECK(ahead.offset() == plain.offset());
        CHECK(std::string{ahead.why()} == plain.why());
        break;
      }
      if (what == wire::decoded::unknown) continue;
      CHECK(in->type == expected.type);
      CHECK(in->id == expected.id);
      CHECK(in->name == expected.name);
      CHECK(in->payload == expected.payload);
    }
  }
}
