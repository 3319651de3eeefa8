// What the broker's core costs by itself, without sockets: nanoseconds and allocations for one call and its reply (two frames in, two frames
// out), and bytes for a call that is open and for a peer. With `--allocations` it is a test: it fails if a call in a steady state allocates. A scenario's number and a count of calls as arguments run that one alone, once,
// as under `valgrind --tool=callgrind --toggle-collect='waggle::broker::broker_core::receive(*'`, which counts the core's instructions.
#include <fmt/core.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <waggle/wire/frames.hpp>
#include <waggle/wire/headers.hpp>
#include <waggle/wire/manifest.hpp>

#include "broker/core/broker_core.hpp"

namespace {
std::uint64_t allocations = 0;
}

void* operator new(std::size_t size) {
  ++allocations;
  if (void* const made = std::malloc(size)) return made;
  throw std::bad_alloc{};
}
void operator delete(void* given) noexcept { std::free(given); }
void operator delete(void* given, std::size_t) noexcept { std::free(given); }

namespace {

using namespace waggle;
using broker::peer_id;
using steady = std::chrono::steady_clock;

struct scenario {
  std::size_t commands = 1;
  std::size_t callers = 1;
  std::size_t workers = 1;
  std::size_t bundle = 100;       ///< frames in each message
  std::size_t open = 100;         ///< calls that are open at a time: a multiple of `bundle`
  std::size_t payload_bytes = 64;
  std::size_t keys = 0;           ///< that calls have, at random; 0: none
  bool random = true;             ///< which command is called next; otherwise one after the other
  bool safe = false;              ///< calls may be repeated, so that the broker keeps their payloads
};

/// A core whose workers share the commands out among them.
class network {
 public:
  explicit network(const scenario& of, std::uint32_t slots = wire::slots_max) : of_{of}, core{settings_for(of)} {
    std::string bundle;
    for (std::size_t w = 0; w < of.workers; ++w) {
      manifest joins{"bench-" + std::to_string(w % of.commands), "1", "", slots, wire::bundle_frames_max, {}};
      for (std::size_t c = w % of.commands; c < of.commands; c += of.workers) {
        joins.commands.push_back({name(c), "", of.safe ? retry_class::safe : retry_class::once, false, {}, "", ""});
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

struct cost {
  double nanoseconds = 0;
  double allocations = 0;
};

/// Workers take the calls that are open and answer them at once. Time is that of the middle round, as somebody else may have the
/// processor for a while; allocations are those of the second half, when everything has its size.
cost cost_per_call(const scenario& of, std::size_t calls) {
  network net{of};
  // Calls are encoded beforehand; replies are made as a worker would, outside the clock that counts.
  std::vector<std::string> bundles;
  std::uint64_t random = 88172645463325252u;
  const auto next = [&](std::size_t below) {
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    return random % below;
  };
  const std::string payload(of.payload_bytes, 'x');
  const auto bundles_open = of.open / of.bundle;
  const auto rounds = std::max<std::size_t>(calls / of.open, 2);
  std::uint64_t id = 2;
  for (std::size_t r = 0; r < std::min<std::size_t>(rounds * bundles_open, 2000); ++r) {
    auto& made = bundles.emplace_back();
    for (std::size_t i = 0; i < of.bundle; ++i) {
      const auto command = of.random ? next(of.commands) : id % of.commands;
      const auto headers = of.keys == 0 ? std::string{} : wire::headers_to_msgpack({{"key", std::to_string(next(of.keys))}});
      wire::append_call(made, ++id, network::name(command), payload, 10'000, headers);
    }
  }
  steady::duration counted{};
  std::vector<steady::duration> taken;
  std::uint64_t allocated = 0;
  std::size_t answered = 0, sent = 0;
  std::vector<std::string> replies(of.workers);
  std::vector<std::size_t> replying;
  const auto receive = [&](peer_id from, std::string_view bundle) {
    const auto allocations_before = allocations;
    const auto begin = steady::now();
    net.core.receive(net.now, from, bundle, net.out);
    counted += steady::now() - begin;
    allocated += allocations - allocations_before;
    for (std::size_t m = 0; m < net.out.messages(); ++m) {
      wire::bundle_reader frames{net.out.message_at(m).bundle};
      wire::frame in;
      while (frames.next(in) == wire::decoded::frame) {
        if (in.type == wire::frame_type::call) {
          const auto worker = static_cast<std::size_t>(net.out.message_at(m).to);
          if (replies[worker].empty()) replying.push_back(worker);
          wire::append_reply(replies[worker], in.id, status::ok, in.payload, {});
        } else {
          ++answered;
        }
      }
    }
    net.out.clear();
  };
  for (std::size_t r = 0; r < rounds; ++r) {
    if (r == rounds / 2) allocated = 0;
    counted = {};
    net.now += std::chrono::microseconds{50};
    for (std::size_t b = 0; b < bundles_open; ++b, ++sent) receive(net.caller(sent), bundles[sent % bundles.size()]);
    while (!replying.empty()) {  // again: a key's next call comes when its last is answered
      for (const auto worker : std::exchange(replying, {})) receive(peer_id(worker), std::exchange(replies[worker], {}));
    }
    taken.push_back(counted);
  }
  if (answered != rounds * of.open || net.core.open_calls() != 0) {
    fmt::print(stderr, "{} of {} calls were answered: the figure would be wrong\n", answered, rounds * of.open);
    std::exit(1);
  }
  std::nth_element(taken.begin(), taken.begin() + taken.size() / 2, taken.end());
  return {std::chrono::duration<double, std::nano>(taken[taken.size() / 2]).count() / static_cast<double>(of.open),
          static_cast<double>(allocated) / static_cast<double>((rounds - rounds / 2) * of.open)};
}

std::size_t heap() { return ::mallinfo2().uordblks + ::mallinfo2().hblkhd; }

/// Heap that each of many open calls takes: of one caller, one command, 64-byte payloads.
double bytes_per_call(bool queued, std::size_t keys) {
  constexpr std::size_t calls = 200'000, at_once = 1000;
  network net{{.workers = queued ? 1 : calls / wire::slots_max + 1}};  // in flight: all calls find a slot
  const std::string payload(64, 'x');
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

/// Heap that each of 10,000 peers takes: workers of one service or each of another, or callers.
double bytes_per_peer(const scenario& of) {
  const auto before = heap();
  network net{of};
  return static_cast<double>(heap() - before) / static_cast<double>(net.core.peer_count());
}

}  // namespace

int main(int argc, char** argv) {
  const scenario all[] = {
      {},
      {.bundle = 1, .open = 1},
      {.bundle = 10, .open = 10},
      {.open = 1000},
      {.workers = 3, .open = 10'000},
      {.commands = 100},
      {.commands = 10'000, .workers = 10, .random = false},
      {.commands = 10'000, .workers = 10},
      {.commands = 10'000, .workers = 1000},
      {.commands = 10'000, .workers = 1000, .open = 1000},
      {.callers = 100},
      {.callers = 10'000},
      {.workers = 100},
      {.workers = 10'000},
      {.commands = 100, .callers = 100, .workers = 100},
      {.commands = 10'000, .callers = 10'000, .workers = 1000},
      {.safe = true},
      {.open = 1000, .payload_bytes = 4096, .safe = true},
      {.payload_bytes = 4096},
      {.keys = 1'000'000},
      {.workers = 100, .keys = 1'000'000},
  };
  if (argc > 1 && argv[1] == std::string_view{"--allocations"}) {  // a test: a call in a steady state allocates nothing
    int passed = 0, failed = 0;
    for (const scenario& each : {scenario{}, scenario{.bundle = 1, .open = 1}, scenario{.workers = 3, .open = 10'000},
                                 scenario{.commands = 100, .callers = 100, .workers = 100}, scenario{.open = 1000, .payload_bytes = 4096, .safe = true},
                                 scenario{.keys = 1000}}) {
      const auto measured = cost_per_call(each, 400'000).allocations;
      ++(measured == 0 ? passed : failed);
      if (measured == 0) continue;
      fmt::print("{} allocations a call, of {} open with {} bytes\n", measured, each.open, each.payload_bytes);
    }
    fmt::print("{} passed, {} failed\n", passed, failed);
    return failed;
  }
  if (argc > 1) {
    const auto which = std::strtoul(argv[1], nullptr, 10);
    if (which >= std::size(all)) return 2;
    const auto measured = cost_per_call(all[which], argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 300'000);
    fmt::print("{:.0f} ns, {:.4f} allocations\n", measured.nanoseconds, measured.allocations);
    return 0;
  }
  fmt::print("{:>2} {:>9} {:>9} {:>9} {:>9} {:>7} {:>7} {:>7} {:>9} {:>9}\n", "", "commands", "callers", "workers", "keys", "bundle", "open",
             "payload", "ns/call", "new/call");
  for (const auto& each : all) {
    std::vector<double> rounds;
    cost measured;
    for (int i = 0; i < 5; ++i) rounds.push_back((measured = cost_per_call(each, 300'000)).nanoseconds);
    std::sort(rounds.begin(), rounds.end());
    fmt::print("{:>2} {:>9} {:>9} {:>9} {:>9} {:>7} {:>7} {:>7} {:>9.0f} {:>9.4f}{}\n", &each - all, each.commands, each.callers, each.workers,
               each.keys, each.bundle, each.open, each.payload_bytes, rounds[2], measured.allocations,
               each.safe ? "   safe" : each.random ? "" : "   one command after the other");
  }
  fmt::print("\nbytes for an open call: {:.0f} in flight, {:.0f} queued with its 64 bytes, {:.0f} with one of 1000 keys\n",
             bytes_per_call(false, 0), bytes_per_call(true, 0), bytes_per_call(true, 1000));
  fmt::print("bytes for a peer: {:.0f} a worker of one service, {:.0f} a worker of its own service, {:.0f} a caller\n",
             bytes_per_peer({.workers = 10'000}), bytes_per_peer({.commands = 10'000, .workers = 10'000}),
             bytes_per_peer({.callers = 10'000}));
}
