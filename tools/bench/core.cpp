// What the broker's core costs by itself, without sockets: nanoseconds for one call and its reply (two frames in, two frames out), and
// bytes for a call that is open.
#include <fmt/core.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include <waggle/wire/frames.hpp>
#include <waggle/wire/headers.hpp>
#include <waggle/wire/manifest.hpp>

#include "broker/core/broker_core.hpp"

namespace {

using namespace waggle;
using broker::peer_id;
using steady = std::chrono::steady_clock;

struct scenario {
  std::size_t commands;
  std::size_t callers;
  std::size_t workers;
  std::size_t bundle;     ///< frames in each message
  std::size_t keys = 0;   ///< that calls have, at random; 0: none
  bool random = true;     ///< which command is called next; otherwise one after the other
};

const std::string payload(64, 'x');

/// A core whose workers share the commands out among them.
class network {
 public:
  explicit network(const scenario& of, std::uint32_t slots = wire::slots_max) : of_{of}, core{settings_for(of)} {
    std::string bundle;
    for (std::size_t w = 0; w < of.workers; ++w) {
      manifest joins{"bench-" + std::to_string(w % of.commands), "1", "", slots, wire::bundle_frames_max, {}};
      for (std::size_t c = w % of.commands; c < of.commands; c += of.workers) {
        joins.commands.push_back({name(c), "", retry_class::once, false, {}, "", ""});
      }
      std::string bytes;
      wire::append_manifest(bytes, joins);
      bundle.clear();
      wire::append_join(bundle, 1, bytes);
      core.receive(now, peer_id(w), bundle, out);
      out.clear();
    }
    std::string about;
    wire::writer writer{about};
    writer.map(1);
    writer.string("bundle");
    writer.unsigned_integer(wire::bundle_frames_max);
    for (std::size_t each = 0; each < of.callers; ++each) {
      bundle.clear();
      wire::append_hello(bundle, 1, about);
      core.receive(now, caller(each), bundle, out);
      out.clear();
    }
  }

  static std::string name(std::size_t command) { return "bench.command." + std::to_string(command); }
  [[nodiscard]] peer_id caller(std::size_t which) const { return peer_id(of_.workers + which % of_.callers); }

  steady::time_point now{std::chrono::hours{1}};
  scenario of_;
  broker::broker_core core;
  broker::outbox out;

 private:
  static broker::settings settings_for(const scenario& of) {
    broker::settings out;
    out.instance = "bench";
    out.peers_max = of.callers + of.workers + 1;
    out.commands_max = of.commands + 1;
    out.queue_calls_max = 10'000'000;
    out.caller_calls_max = 10'000'000;
    return out;
  }
};

/// Workers take calls and answer them at once. Calls in flight: one bundle.
double nanoseconds_per_call(const scenario& of, std::size_t calls) {
  network net{of};
  // Calls are encoded beforehand; replies are made as a worker would, outside the clock that counts.
  std::vector<std::string> bundles;
  std::uint64_t random = 88172645463325252u;
  const auto next = [&](std::size_t below) {
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    return random % below;
  };
  const auto rounds = std::max<std::size_t>(calls / of.bundle, 1);
  std::uint64_t id = 2;
  for (std::size_t r = 0; r < std::min<std::size_t>(rounds, 2000); ++r) {
    auto& made = bundles.emplace_back();
    for (std::size_t i = 0; i < of.bundle; ++i) {
      const auto command = of.random ? next(of.commands) : id % of.commands;
      const auto headers = of.keys == 0 ? std::string{} : wire::headers_to_msgpack({{"key", std::to_string(next(of.keys))}});
      wire::append_call(made, ++id, network::name(command), payload, 10'000, headers);
    }
  }
  steady::duration counted{};
  std::size_t answered = 0;
  std::vector<std::string> replies(of.workers);
  const auto count_answers = [&] {
    for (std::size_t m = 0; m < net.out.messages(); ++m) {
      wire::bundle_reader frames{net.out.message_at(m).bytes};
      wire::frame in;
      while (frames.next(in) == wire::decoded::frame) {
        if (in.type == wire::frame_type::call) {
          wire::append_reply(replies[static_cast<std::size_t>(net.out.message_at(m).to)], in.id, status::ok, in.payload, {});
        } else {
          ++answered;
        }
      }
    }
    net.out.clear();
  };
  for (std::size_t r = 0; r < rounds; ++r) {
    const auto begin = steady::now();
    net.core.receive(net.now, net.caller(r), bundles[r % bundles.size()], net.out);
    counted += steady::now() - begin;
    count_answers();
    for (bool more = true; more;) {  // a key's next call comes when its last is answered
      more = false;
      for (std::size_t w = 0; w < of.workers; ++w) {
        if (replies[w].empty()) continue;
        const auto bundle = std::exchange(replies[w], {});
        const auto again = steady::now();
        net.core.receive(net.now, peer_id(w), bundle, net.out);
        counted += steady::now() - again;
        count_answers();
        more = true;
      }
    }
  }
  if (answered != rounds * of.bundle || net.core.open_calls() != 0) {
    fmt::print(stderr, "{} of {} calls were answered: the figure would be wrong\n", answered, rounds * of.bundle);
    std::exit(1);
  }
  return std::chrono::duration<double, std::nano>(counted).count() / static_cast<double>(answered);
}

/// Heap that each of many open calls takes: of one caller, one command, 64-byte payloads.
double bytes_per_call(bool queued, std::size_t keys) {
  constexpr std::size_t calls = 200'000, at_once = 1000;
  network net{{1, 1, queued ? 1 : calls / wire::slots_max + 1, at_once}};  // in flight: all calls find a slot
  const auto heap = [] { return ::mallinfo2().uordblks + ::mallinfo2().hblkhd; };
  const auto before = heap();
  std::string bundle;
  for (std::size_t id = 1; id <= calls; ++id) {
    const auto headers = keys == 0 ? std::string{} : wire::headers_to_msgpack({{"key", std::to_string(id % keys)}});
    wire::append_call(bundle, id, network::name(0), payload, 60'000, headers);
    if (id % at_once == 0) {
      net.core.receive(net.now, net.caller(0), bundle, net.out);
      net.out.clear();
      bundle.clear();
    }
  }
  return static_cast<double>(heap() - before) / static_cast<double>(net.core.open_calls());
}

}  // namespace

int main() {
  fmt::print("{:>9} {:>9} {:>9} {:>9} {:>7} {:>9}\n", "commands", "callers", "workers", "keys", "bundle", "ns/call");
  const scenario all[] = {
      {1, 1, 1, 100},           {1, 1, 1, 1},           {100, 1, 1, 100},           {10'000, 1, 10, 100, 0, false},
      {10'000, 1, 10, 100},     {1, 100, 1, 100},       {1, 10'000, 1, 100},        {1, 1, 100, 100},
      {1, 1, 10'000, 100},      {100, 100, 100, 100},   {10'000, 100, 100, 100},    {10'000, 10'000, 1000, 100},
      {1, 1, 1, 100, 1'000'000}, {1, 1, 100, 100, 1'000'000}, {1, 1, 1, 100, 10},
  };
  for (const auto& each : all) {
    std::vector<double> rounds;
    for (int i = 0; i < 5; ++i) rounds.push_back(nanoseconds_per_call(each, 300'000));
    std::sort(rounds.begin(), rounds.end());
    fmt::print("{:>9} {:>9} {:>9} {:>9} {:>7} {:>9.0f}{}\n", each.commands, each.callers, each.workers, each.keys, each.bundle, rounds[2],
               each.random ? "" : "   one command after the other");
  }
  fmt::print("\nbytes for an open call: {:.0f} in flight, {:.0f} queued with its 64 bytes, {:.0f} with one of 1000 keys\n",
             bytes_per_call(false, 0), bytes_per_call(true, 0), bytes_per_call(true, 1000));
}
