// What the broker's core costs by itself: nanoseconds for one call and its reply (two frames in, two frames out), without sockets.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <waggle/wire/frames.hpp>
#include <waggle/wire/manifest.hpp>

#include "broker/core/broker_core.hpp"

namespace {

using namespace waggle;
using steady = std::chrono::steady_clock;

struct scenario {
  std::size_t commands;
  std::size_t callers;
  std::size_t workers;
  std::size_t bundle;  ///< frames in each message
};

/// Workers share the commands out among them; each takes calls and answers them at once. Calls in flight: one bundle.
double nanoseconds_per_call(const scenario& of, std::size_t calls) {
  using broker::peer_id;
  broker::settings settings;
  settings.instance = "bench";
  settings.peers_max = of.callers + of.workers + 1;
  settings.commands_max = of.commands + 1;
  broker::broker_core core{settings};
  broker::outbox out;
  const auto now = steady::time_point{std::chrono::hours{1}};

  std::string bundle;
  for (std::size_t w = 0; w < of.workers; ++w) {
    manifest joins{"bench-" + std::to_string(w % of.commands), "1", "", wire::slots_max, wire::bundle_frames_max, {}};
    for (std::size_t c = w % of.commands; c < of.commands; c += of.workers) {
      joins.commands.push_back({"bench.command." + std::to_string(c), "", retry_class::once, false, {}, "", ""});
    }
    std::string bytes;
    wire::append_manifest(bytes, joins);
    bundle.clear();
    wire::append_join(bundle, 1, bytes);
    core.receive(now, peer_id(w), bundle, out);
    out.clear();
  }
  for (std::size_t caller = 0; caller < of.callers; ++caller) {
    bundle.clear();
    std::string about;
    wire::writer writer{about};
    writer.map(1);
    writer.string("bundle");
    writer.unsigned_integer(wire::bundle_frames_max);
    wire::append_hello(bundle, 1, about);
    core.receive(now, peer_id(of.workers + caller), bundle, out);
    out.clear();
  }

  // Calls are encoded beforehand; replies are made as a worker would, outside the clock that counts.
  const std::string payload(64, 'x');
  std::vector<std::string> bundles;
  std::uint64_t random = 88172645463325252u;
  const auto rounds = std::max<std::size_t>(calls / of.bundle, 1);
  std::uint64_t id = 2;
  for (std::size_t r = 0; r < std::min<std::size_t>(rounds, 2000); ++r) {
    auto& made = bundles.emplace_back();
    for (std::size_t i = 0; i < of.bundle; ++i) {
      random ^= random << 13, random ^= random >> 7, random ^= random << 17;
      wire::append_call(made, ++id, "bench.command." + std::to_string(random % of.commands), payload, 10'000, {});
    }
  }
  steady::duration counted{};
  std::size_t answered = 0;
  std::vector<std::string> replies(of.workers);
  for (std::size_t r = 0; r < rounds; ++r) {
    const auto caller = peer_id(of.workers + r % of.callers);
    const auto begin = steady::now();
    core.receive(now, caller, bundles[r % bundles.size()], out);
    counted += steady::now() - begin;
    for (std::size_t m = 0; m < out.messages(); ++m) {
      const auto& message = out.message_at(m);
      wire::bundle_reader frames{message.bytes};
      wire::frame in;
      while (frames.next(in) == wire::decoded::frame) {
        wire::append_reply(replies[static_cast<std::size_t>(message.to)], in.id, status::ok, in.payload, {});
      }
    }
    out.clear();
    for (std::size_t w = 0; w < of.workers; ++w) {
      if (replies[w].empty()) continue;
      const auto again = steady::now();
      core.receive(now, peer_id(w), replies[w], out);
      counted += steady::now() - again;
      replies[w].clear();
    }
    for (std::size_t m = 0; m < out.messages(); ++m) {
      wire::bundle_reader frames{out.message_at(m).bytes};
      wire::frame in;
      while (frames.next(in) == wire::decoded::frame) ++answered;
    }
    out.clear();
  }
  if (answered != rounds * of.bundle || core.open_calls() != 0) {
    fmt::print(stderr, "{} of {} calls were answered: the figure would be wrong\n", answered, rounds * of.bundle);
    std::exit(1);
  }
  return std::chrono::duration<double, std::nano>(counted).count() / static_cast<double>(answered);
}

}  // namespace

int main() {
  fmt::print("{:>9} {:>9} {:>9} {:>7} {:>9}\n", "commands", "callers", "workers", "bundle", "ns/call");
  const scenario all[] = {{1, 1, 1, 100},      {1, 1, 1, 1},          {100, 1, 1, 100},    {10'000, 1, 10, 100}, {1, 100, 1, 100},
                          {1, 10'000, 1, 100}, {1, 1, 100, 100},      {1, 1, 10'000, 100}, {10'000, 10'000, 1000, 100}};
  for (const auto& each : all) {
    std::vector<double> rounds;
    for (int i = 0; i < 5; ++i) rounds.push_back(nanoseconds_per_call(each, 300'000));
    std::sort(rounds.begin(), rounds.end());
    fmt::print("{:>9} {:>9} {:>9} {:>7} {:>9.0f}\n", each.commands, each.callers, each.workers, each.bundle, rounds[2]);
  }
}
