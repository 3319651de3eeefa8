// Many peers do random things to the broker core, valid and not, while slow and obvious books of what each is owed are kept.
#include "support/broker_fixture.hpp"

#include <array>
#include <cstdlib>
#include <map>
#include <random>
#include <set>

using namespace std::literals;
using namespace waggle;
using namespace waggle::broker;
using waggle::wire::frame_type;

namespace {

constexpr std::uint32_t peers = 24;
constexpr std::uint32_t first_worker = 12;  // those before it only call; workers call too
const std::string commands[] = {"a", "b", "c", "d", "e"};

struct own_call {
  std::string command;
  std::size_t bytes = 0;
  bool waits = true;  ///< in a queue, as far as anybody can tell
};

/// What one peer knows of itself. Its calls have odd ids and everything else that is answered has even ones, all used once.
struct peer_book {
  std::uint64_t next_id = 1;
  std::map<std::uint64_t, own_call> open;
  std::set<std::uint64_t> asked;  ///< HELLO, JOIN, LEAVE, EMIT without their answer
  std::uint32_t bundle = 1;
  std::string revision;           ///< of the network, as last told

  bool seated = false;
  std::set<std::string> serves;
  std::uint32_t slots = 0;
  std::size_t in_hand_max = 0;           ///< `slots`, or what was in hand when they became fewer
  std::map<std::uint64_t, bool> leases;  ///< in hand, and whether the broker has cancelled them
  std::uint64_t leave = 0;               ///< the LEAVE that waits for its answer
  std::uint64_t join = 0;                ///< likewise, and what it asked for:
  std::set<std::string> join_serves;
  std::uint32_t join_slots = 0;

  std::uint64_t ask() { return *asked.insert(2 * next_id++).first; }
};

/// Plays all peers of one broker and its shell.
class random_network {
 public:
  explicit random_network(std::uint64_t seed) : random_{seed} {}

  void step() {
    now_ += std::chrono::microseconds{below(20) == 0 ? below(1'500'000) : below(20'000)};
    const auto peer = static_cast<std::uint32_t>(below(peers));
    switch (below(40)) {
      case 0: return below(3) == 0 ? garbage(peer) : tick();
      case 1: return below(3) == 0 ? lose(peer) : tick();
      case 2: return leave(peer);
      case 3:
      case 4: return join(first_worker + static_cast<std::uint32_t>(below(peers - first_worker)));
      case 5: return hello(peer);
      case 6:
      case 7: return cancel(peer);
      case 8:
      case 9: return stray(peer);
      case 10: return watch(peer);
      case 11:
      case 12:
      case 13: return everybody_pulses();
      case 14:
      case 15:
      case 16: return tick();
      case 17:
      case 18: return part(peer);
      default: return peer < first_worker || below(8) == 0 ? call(peer) : answer(peer);
    }
  }

  /// All workers answer and all budgets pass: nothing may be left.
  void finish() {
    for (int i = 0; i < 100; ++i) {
      now_ += 100ms;
      everybody_pulses();
      tick();
      for (std::uint32_t peer = 0; peer < peers; ++peer) {
        while (!books_[peer].leases.empty()) answer(peer);
      }
    }
    for (const auto& each : books_) expect(each.open.empty(), "a call was never answered");
    expect(core_.open_calls() == 0, "calls are open that nobody waits for");
    expect(core_.kept_bytes() == 0, "bytes are counted that are in no queue");
  }

  [[nodiscard]] const std::string& wrong() const { return wrong_; }
  [[nodiscard]] const counters& counts() const { return core_.counts(); }
  [[nodiscard]] std::uint64_t replies(status code) const { return replies_[static_cast<std::size_t>(code)]; }

 private:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

  void expect(bool holds, const char* otherwise) {
    if (!holds && wrong_.empty()) wrong_ = otherwise;
  }

  template <class Append>
  void send(std::uint32_t peer, Append&& append) {
    std::string bytes;
    append(bytes);
    receive(peer, bytes);
    deliver();
  }
  void receive(std::uint32_t peer, std::string_view bytes) {
    known_[peer] = true;
    core_.receive(now_, peer_id{peer}, bytes, out_);
  }

  void call(std::uint32_t peer) {
    auto& book = books_[peer];
    std::string bytes;
    for (auto left = 1 + below(4); left > 0; --left) {
      const auto id = 2 * book.next_id++ + 1;
      const auto command = below(30) == 0 ? "unknown"s : commands[below(std::size(commands))];
      const auto payload = std::to_string(peer) + " " + std::to_string(id) + " " + std::string(below(300), 'x');
      wire::append_call(bytes, id, command, payload, below(10) == 0 ? 0 : below(3000), {});
      book.open[id] = {command, payload.size()};
    }
    send(peer, [&](std::string& to) { to = bytes; });
  }

  void watch(std::uint32_t peer) {
    auto& book = books_[peer];
    std::string payload;
    wire::writer out{payload};
    out.map(2);
    out.string("wait_ms");
    out.unsigned_integer(below(2000));
    out.string("known");
    out.string(book.revision);
    const auto id = 2 * book.next_id++ + 1;
    book.open[id] = {"waggle.services", 0, false};
    send(peer, [&](std::string& to) { wire::append_call(to, id, "waggle.services", payload, below(3000), {}); });
  }

  void answer(std::uint32_t peer) {
    auto& book = books_[peer];
    if (book.leases.empty()) return;
    const auto lease = std::next(book.leases.begin(), static_cast<std::ptrdiff_t>(below(book.leases.size())));
    const auto id = lease->first;
    book.leases.erase(lease);
    book.in_hand_max = std::max<std::size_t>(book.slots, std::min(book.in_hand_max, book.leases.size()));
    send(peer, [&](std::string& to) {
      wire::append_reply(to, id, below(5) == 0 ? status::internal : status::ok, std::string(below(40), 'y'), {});
      if (below(20) == 0) wire::append_reply(to, id, status::ok, {}, {});  // doubled
    });
  }

  void part(std::uint32_t peer) {
    if (books_[peer].leases.empty()) return;
    const auto id = books_[peer].leases.begin()->first;
    send(peer, [&](std::string& to) { wire::append_part(to, id, "\x01"); });
  }

  void cancel(std::uint32_t peer) {
    const auto& open = books_[peer].open;
    const auto id = open.empty() || below(5) == 0 ? below(100) : open.rbegin()->first;
    send(peer, [&](std::string& to) { wire::append_cancel(to, id); });
  }

  void join(std::uint32_t peer) {
    auto& book = books_[peer];
    book.join = book.ask();
    book.join_slots = static_cast<std::uint32_t>(1 + below(4));
    book.join_serves = {commands[below(std::size(commands))]};
    serves what{*book.join_serves.begin()};
    for (auto more = below(3); more > 0; --more) {
      const auto& command = commands[below(std::size(commands))];
      book.join_serves.insert(command);
      what.and_also(command);
    }
    what.slots(book.join_slots).version(std::to_string(below(2))).bundle(static_cast<std::uint32_t>(1 + below(5)));
    book.bundle = 5;
    send(peer, [&](std::string& to) { wire::append_join(to, book.join, what.bytes()); });
  }

  void leave(std::uint32_t peer) {
    auto& book = books_[peer];
    const auto id = book.ask();
    if (book.seated && book.leave == 0) book.leave = id;
    send(peer, [&](std::string& to) { wire::append_leave(to, id); });
  }

  void hello(std::uint32_t peer) {
    books_[peer].bundle = 5;
    const auto takes = static_cast<char>(1 + below(5));
    const auto id = books_[peer].ask();
    send(peer, [&](std::string& to) { wire::append_hello(to, id, "\x81\xa6" "bundle" + std::string(1, takes)); });
  }

  /// A well-formed frame with a number that means nothing, or means something to somebody else.
  void stray(std::uint32_t peer) {
    const auto& other = books_[below(peers)];
    const auto id = !other.leases.empty() && below(2) == 0 ? other.leases.begin()->first : (below(1000) << 24) | below(50);
    if (books_[peer].leases.contains(id)) return;
    const auto receipt = below(2) == 0 ? 0 : books_[peer].ask();
    send(peer, [&](std::string& to) {
      if (receipt != 0) return wire::append_emit(to, receipt, "topic", {}, {});
      switch (below(5)) {
        case 0: return wire::append_reply(to, id, status::ok, {}, {});
        case 1: return wire::append_part(to, id, {});
        case 2: return wire::append_emit(to, 0, "topic", {}, {});
        case 3: return wire::append_event(to, id, "topic", {}, {});
        default: return wire::append_call(to, 0, "a", {}, 100, {});
      }
    });
  }

  /// What mangled bytes turn into is anybody's guess, so to keep the books right the peer goes in the same round, whatever it was.
  void garbage(std::uint32_t peer) {
    std::string bytes;
    wire::append_call(bytes, 1, "a", "payload", 1000, {});
    for (auto left = 1 + below(3); left > 0; --left) bytes[below(bytes.size())] = static_cast<char>(below(256));
    bytes.resize(1 + below(bytes.size()));
    receive(peer, bytes);
    if (below(2) == 0) receive(peer, "\x91\x09");
    core_.unreachable(now_, peer_id{peer}, {}, out_);
    deliver(peer);
    expect(!known_[peer], "a peer that is unreachable is not forgotten");
  }

  void lose(std::uint32_t peer) {
    core_.unreachable(now_, peer_id{peer}, {}, out_);
    deliver();
    expect(!known_[peer], "a peer that is unreachable is not forgotten");
  }

  void everybody_pulses() {
    for (std::uint32_t peer = 0; peer < peers; ++peer) {
      if (below(10) != 0) send(peer, [](std::string& to) { wire::append_pulse(to); });
    }
  }

  void tick() {
    core_.tick(now_, out_);
    deliver();
    expect(core_.next_deadline() > now_, "after a tick the core still wants the clock at once");
  }

  /// Frames to `ignored` are not looked at.
  void deliver(std::uint32_t ignored = peers) {
    for (std::size_t i = 0; i < out_.messages(); ++i) {
      const auto to = static_cast<std::uint32_t>(out_.message_at(i).to);
      expect(known_[to], "a message to a peer that is forgotten");
      if (to == ignored) continue;
      wire::bundle_reader frames{out_.message_at(i).bytes};
      wire::frame in;
      std::uint32_t count = 0;
      for (auto read = frames.next(in); read != wire::decoded::end; read = frames.next(in), ++count) {
        if (read != wire::decoded::frame) return expect(false, "the broker sent what is not a frame");
        take(books_[to], in);
      }
      expect(count > 0 && count <= books_[to].bundle, "a bundle is larger than its peer takes");
    }
    for (const auto each : out_.forgotten()) {
      const auto peer = static_cast<std::uint32_t>(each);
      expect(known_[peer], "a peer is forgotten twice");
      known_[peer] = false;
      const auto next_id = books_[peer].next_id;
      books_[peer] = peer_book{};
      books_[peer].next_id = next_id;
    }
    out_.clear();
    check();
  }

  void take(peer_book& book, const wire::frame& in) {
    switch (in.type) {
      case frame_type::call: return take_call(book, in);
      case frame_type::cancel: {
        const auto lease = book.leases.find(in.id);
        expect(lease != book.leases.end() && !lease->second, "a CANCEL of what is not in hand, or a second one");
        if (lease != book.leases.end()) lease->second = true;
        return;
      }
      case frame_type::reply: return take_reply(book, in);
      case frame_type::part: return expect(book.open.contains(in.id), "a PART of a call that has ended");
      case frame_type::pulse: return expect(in.seats == (book.leave != 0 || !book.seated ? 0 : book.serves.size()), "wrong seats");
      default: return expect(false, "a frame that no broker sends");
    }
  }

  void take_call(peer_book& book, const wire::frame& in) {
    expect(book.seated && book.leave == 0, "a CALL to a peer that does not serve, or that drains");
    expect(book.serves.contains(std::string{in.name}), "a CALL of a command that the worker does not serve");
    expect(book.leases.emplace(in.id, false).second, "a lease was given twice");
    expect(book.leases.size() <= book.in_hand_max, "a worker has more calls than slots");
    char* end = nullptr;
    const std::string text{in.payload};
    const auto caller = std::strtoull(text.c_str(), &end, 10);
    if (end == text.c_str() || caller >= peers) return;  // what `garbage` has made
    const auto call = books_[caller].open.find(std::strtoull(end, nullptr, 10));
    if (call == books_[caller].open.end()) return expect(false, "a CALL that has ended for its caller");
    expect(call->second.waits, "a call was handed out twice");
    expect(call->second.command == in.name && call->second.bytes == in.payload.size(), "a CALL of another command or payload");
    call->second.waits = false;
  }

  void take_reply(peer_book& book, const wire::frame& in) {
    if (in.id == 0) return;
    if (in.id % 2 == 0) {
      expect(book.asked.erase(in.id) == 1, "a second answer to HELLO, JOIN, LEAVE or EMIT");
      if (in.id == book.leave) {
        book.leave = 0;
        if (in.status == status::ok) book.seated = false;
        expect(in.status != status::ok || book.leases.empty(), "a worker may leave though it has calls in hand");
      } else if (in.id == book.join && in.status == status::ok) {
        book.seated = true;
        book.serves = book.join_serves;
        book.slots = book.join_slots;
        book.in_hand_max = std::max<std::size_t>(book.slots, book.leases.size());
      }
      return;
    }
    ++replies_[static_cast<std::size_t>(in.status)];
    const auto call = book.open.find(in.id);
    if (call == book.open.end()) return expect(false, "a second reply to a call");
    if (in.status == status::ok && call->second.command == "waggle.services") {
      wire::reader listed{in.payload};
      std::uint32_t entries = 0;
      std::string_view text;
      expect(listed.map(entries) && listed.string(text) && listed.string(text), "waggle.services does not begin with its revision");
      book.revision = text;
    }
    if (in.status == status::deadline_exceeded || in.status == status::cancelled || in.status == status::unavailable) {
      const auto why = wire::read_error(in.status, in.payload);
      const bool ran = !call->second.waits && call->second.command != "waggle.services";
      expect(why.may_have_run == ran, "a reply is wrong about whether the call may have run");
    }
    book.open.erase(call);
  }

  void check() {
    std::size_t cancelled = 0, open = 0, waiting_bytes = 0;
    std::set<std::string> waiting;
    for (const auto& each : books_) {
      open += each.open.size();
      for (const auto& lease : each.leases) cancelled += lease.second ? 1 : 0;
      for (const auto& [id, call] : each.open) {
        if (!call.waits) continue;
        waiting_bytes += call.bytes;
        waiting.insert(call.command);
      }
    }
    expect(core_.open_calls() == open + cancelled, "open calls are not those that wait for a reply and those only held");
    expect(core_.kept_bytes() == waiting_bytes, "the bytes counted are not those that wait");
    for (const auto& each : books_) {
      if (!each.seated || each.leave != 0 || each.leases.size() >= each.slots) continue;
      for (const auto& command : each.serves) expect(!waiting.contains(command), "a call waits though a slot is free for it");
    }
    for (const auto& command : waiting) {
      expect(std::any_of(books_.begin(), books_.end(),
                         [&](const auto& each) { return each.seated && each.leave == 0 && each.serves.contains(command); }),
             "a call waits for a command that nobody serves");
    }
  }

  std::mt19937_64 random_;
  broker_core core_{[] {
    settings from;
    from.pulse = 500ms;
    from.idle_max = 5s;
    from.hold = 0ms;
    from.caller_calls_max = 12;
    from.calls_max = 80;
    from.queue_calls_max = 8;
    from.queue_bytes_max = 1200;
    from.kept_bytes_max = 3000;
    from.commands_max = 4;
    from.peers_max = 20;
    from.watchers_max = 3;
    return from;
  }()};
  outbox out_;
  instant now_ = instant{} + 1h;
  std::array<peer_book, peers> books_;
  std::array<bool, peers> known_{};
  std::array<std::uint64_t, status_last + 1> replies_{};
  std::string wrong_;
};

}  // namespace

TEST_CASE("broker: whatever peers do, every call is answered once, slots hold, nothing waits in vain and nothing is left", "[broker]") {
  // More of them: WAGGLE_TEST_STEPS=1000000 WAGGLE_TEST_SEED=1 waggle_unit_tests "[broker]"
  const auto* const steps = std::getenv("WAGGLE_TEST_STEPS");
  const auto* const first = std::getenv("WAGGLE_TEST_SEED");
  const std::uint64_t steps_max = steps ? std::strtoull(steps, nullptr, 10) : 20'000;
  const std::uint64_t seed = first ? std::strtoull(first, nullptr, 10) : std::random_device{}();
  random_network net{seed};
  std::uint64_t step = 0;
  while (step < steps_max && net.wrong().empty()) {
    net.step();
    ++step;
  }
  if (net.wrong().empty()) net.finish();
  INFO("seed " << seed << ", step " << step);
  CHECK(net.wrong() == "");
  if (!net.wrong().empty() || steps_max < 20'000) return;
  // A test that never gets where it hurts proves nothing.
  for (const auto code : {status::ok, status::cancelled, status::deadline_exceeded, status::resource_exhausted,
                          status::unimplemented, status::internal, status::unavailable}) {
    CAPTURE(name(code));
    CHECK(net.replies(code) > 20);
  }
  CHECK(net.counts().dead_workers > 20);
  CHECK(net.counts().broken_bundles > 20);
  CHECK(net.counts().unasked_replies > 20);
}
