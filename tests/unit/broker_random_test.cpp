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
const std::string unknown = "unknown";

constexpr std::uint32_t attempts_max = 3;

struct own_call {
  std::string command;
  std::size_t bytes = 0;
  bool waits = true;            ///< in a queue, as far as anybody can tell
  std::uint32_t attempts = 0;   ///< workers it was handed to
  bool repeatable = false;      ///< as the worker which has it said
  bool parted = false;
  /// Its worker is lost or has rejected it, in this very step: it goes back to its queue, it may, or it must not.
  enum { stays, must_return, may_return, must_end } fate = stays;

  [[nodiscard]] bool kept() const { return !waits && repeatable && !parted && attempts < attempts_max; }
};

struct own_lease {
  bool cancelled = false;    ///< by the broker
  bool unsent = false;       ///< it is stuck in the shell
  std::uint32_t caller = peers;
  std::uint64_t id = 0;
};

/// What a run is like.
struct climate {
  milliseconds hold;
  std::size_t kept_bytes_max;
  std::size_t held_pools_max;
};

/// What one peer knows of itself. Its calls have odd ids and everything else that is answered has even ones, all used once.
struct peer_book {
  std::uint64_t next_id = 1;
  std::map<std::uint64_t, own_call> open;
  std::set<std::uint64_t> asked;  ///< HELLO, JOIN, LEAVE, EMIT without their answer
  std::uint32_t bundle = 1;
  std::string revision;           ///< of the network, as last told

  bool seated = false;
  std::map<std::string, retry_class> serves;
  std::uint32_t slots = 0;
  std::size_t in_hand_max = 0;           ///< `slots`, or what was in hand when they became fewer
  std::map<std::uint64_t, own_lease> leases;  ///< in hand
  bool clogged = false;                  ///< nothing reaches it any more, and it does nothing
  std::vector<std::string> unsent;       ///< what should have
  std::uint64_t leave = 0;               ///< the LEAVE that waits for its answer
  std::uint64_t join = 0;                ///< likewise, and what it asked for:
  std::map<std::string, retry_class> join_serves;
  std::uint32_t join_slots = 0;

  std::uint64_t ask() { return *asked.insert(2 * next_id++).first; }
};

/// Plays all peers of one broker and its shell.
class random_network {
 public:
  random_network(std::uint64_t seed, const climate& in) : climate_{in}, random_{seed}, core_{settings_for(in)} {}

  void step() {
    pass(std::chrono::microseconds{below(20) == 0 ? below(1'500'000) : below(20'000)});
    const auto peer = static_cast<std::uint32_t>(below(peers));
    if (books_[peer].clogged) return below(2) == 0 ? lose(peer) : tick();
    switch (below(40)) {
      case 0: return below(3) == 0 ? garbage(peer) : tick();
      case 1: {
        const auto how = below(3);
        return how == 0 ? lose(peer) : how == 1 ? clog(peer) : tick();
      }
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
    for (auto& each : books_) {  // what was stuck arrives after all
      each.clogged = false;
      each.unsent.clear();
      for (auto& lease : each.leases) lease.second.unsent = false;
    }
    for (int i = 0; i < 100; ++i) {
      pass(100ms);
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
  [[nodiscard]] std::uint64_t again() const { return again_; }
  [[nodiscard]] std::uint64_t taken_back() const { return taken_back_; }
  [[nodiscard]] std::uint64_t replies(status code) const { return replies_[static_cast<std::size_t>(code)]; }

 private:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

  void pass(std::chrono::microseconds time) {
    now_ += time;
    for (const auto& each : books_) {
      if (!each.seated || each.leave != 0) continue;
      for (const auto& command : each.serves) last_served_[command.first] = now_;
    }
  }

  /// A worker serves the command or did less than `hold` ago. When false, the broker may not have looked at its clock yet.
  [[nodiscard]] bool awaited(const std::string& command) const {
    const auto served = last_served_.find(command);
    return served != last_served_.end() && now_ < served->second + climate_.hold;
  }
  [[nodiscard]] bool roomy() const { return climate_.kept_bytes_max > 100'000 && climate_.held_pools_max > 100; }

  own_call* call_of(const own_lease& lease) {
    if (lease.cancelled || lease.caller == peers) return nullptr;
    const auto found = books_[lease.caller].open.find(lease.id);
    return found == books_[lease.caller].open.end() ? nullptr : &found->second;
  }

  /// This worker has the call no longer, and has not answered it.
  void return_call(const own_lease& lease) {
    auto* const call = call_of(lease);
    if (call == nullptr) return;
    if (!lease.unsent && !call->kept()) {
      call->fate = own_call::must_end;
    } else {
      call->fate = awaited(call->command) && roomy() ? own_call::must_return : own_call::may_return;
    }
    returning_.emplace_back(lease.caller, lease.id);
    if (!lease.unsent) return;
    --call->attempts;
    ++taken_back_;
  }

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
      const auto& command = below(30) == 0 ? unknown : commands[below(std::size(commands))];
      const auto payload = "call " + std::to_string(peer) + " " + std::to_string(id) + " " + std::string(below(300), 'x');
      wire::append_call(bytes, id, command, payload, below(10) == 0 ? 0 : below(3000), {});
      book.open[id].command = command;
      book.open[id].bytes = payload.size();
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
    book.open[id].command = "waggle.services";
    book.open[id].waits = false;
    send(peer, [&](std::string& to) { wire::append_call(to, id, "waggle.services", payload, below(3000), {}); });
  }

  void answer(std::uint32_t peer) {
    auto& book = books_[peer];
    if (book.leases.empty()) return;
    const auto lease = std::next(book.leases.begin(), static_cast<std::ptrdiff_t>(below(book.leases.size())));
    const auto id = lease->first;
    const auto answered = lease->second;
    book.leases.erase(lease);
    const auto code = std::array{status::ok, status::ok, status::ok, status::internal, status::unavailable}[below(5)];
    if (code == status::unavailable) {
      return_call(answered);
      // What may not be repeated is not lost: the rejection is its answer.
      if (auto* const call = call_of(answered); call != nullptr && call->fate == own_call::must_end) call->fate = own_call::may_return;
    }
    book.in_hand_max = std::max<std::size_t>(book.slots, std::min(book.in_hand_max, book.leases.size()));
    send(peer, [&](std::string& to) {
      wire::append_reply(to, id, code, std::string(below(40), 'y'), {});
      if (below(20) == 0) wire::append_reply(to, id, status::ok, {}, {});  // doubled
    });
  }

  void part(std::uint32_t peer) {
    if (books_[peer].leases.empty()) return;
    const auto id = books_[peer].leases.begin()->first;
    if (auto* const call = call_of(books_[peer].leases.begin()->second)) call->parted = true;
    send(peer, [&](std::string& to) { wire::append_part(to, id, "\x01"); });
  }

  void cancel(std::uint32_t peer) {
    const auto& open = books_[peer].open;
    const auto id = open.empty() || below(5) == 0 ? below(100) : open.rbegin()->first;
    send(peer, [&](std::string& to) { wire::append_cancel(to, id); });
  }

  void join(std::uint32_t peer) {
    auto& book = books_[peer];
    if (book.clogged) return;
    book.join = book.ask();
    book.join_slots = static_cast<std::uint32_t>(1 + below(4));
    book.join_serves.clear();
    const auto add = [&](const std::string& command, auto&& to) {  // the same command may come twice, of one class
      const auto retry = book.join_serves.emplace(command, static_cast<retry_class>(below(3))).first->second;
      serves& last = to(command);
      if (retry == retry_class::safe) last.safe();
      if (retry == retry_class::idempotent) last.idempotent();
    };
    const auto& first = commands[below(std::size(commands))];
    serves what{first};
    add(first, [&](const auto&) -> serves& { return what; });
    for (auto more = below(3); more > 0; --more) {
      add(commands[below(std::size(commands))], [&](const auto& command) -> serves& { return what.and_also(command); });
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

  /// What it still says is read, and gets it the next call, which does not reach it.
  void clog(std::uint32_t peer) {
    if (!known_[peer]) return;
    books_[peer].clogged = true;
    answer(peer);
  }

  void lose(std::uint32_t peer) {
    const auto unsent = std::exchange(books_[peer].unsent, {});
    taking_back_ = peer;
    core_.unreachable(now_, peer_id{peer}, {unsent.begin(), unsent.end()}, out_);
    deliver();
    expect(!known_[peer], "a peer that is unreachable is not forgotten");
  }

  void everybody_pulses() {
    for (std::uint32_t peer = 0; peer < peers; ++peer) {
      if (below(10) != 0 && !books_[peer].clogged) send(peer, [](std::string& to) { wire::append_pulse(to); });
    }
  }

  void tick() {
    core_.tick(now_, out_);
    deliver();
    expect(core_.next_deadline() > now_, "after a tick the core still wants the clock at once");
  }

  /// Frames to `ignored` are not looked at.
  void deliver(std::uint32_t ignored = peers) {
    for (const auto each : out_.forgotten()) {
      const auto peer = static_cast<std::uint32_t>(each);
      for (auto lease : books_[peer].leases) {
        lease.second.unsent = lease.second.unsent && peer == taking_back_;
        return_call(lease.second);
      }
    }
    taking_back_ = peers;
    for (std::size_t i = 0; i < out_.messages(); ++i) {
      const auto to = static_cast<std::uint32_t>(out_.message_at(i).to);
      expect(known_[to], "a message to a peer that is forgotten");
      if (to == ignored) continue;
      wire::bundle_reader frames{out_.message_at(i).bundle};
      wire::frame in;
      std::uint32_t count = 0;
      for (auto read = frames.next(in); read != wire::decoded::end; read = frames.next(in), ++count) {
        if (read != wire::decoded::frame) return expect(false, "the broker sent what is not a frame");
        take(to, in);
      }
      expect(count > 0 && count <= books_[to].bundle, "a bundle is larger than its peer takes");
      if (books_[to].clogged) books_[to].unsent.push_back(out_.message_at(i).bundle);
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
    for (const auto& [caller, id] : std::exchange(returning_, {})) {
      const auto call = books_[caller].open.find(id);
      if (call == books_[caller].open.end() || call->second.fate == own_call::stays) continue;
      expect(call->second.fate != own_call::must_end, "a call that may not be repeated goes on without its worker");
      call->second.waits = true;
      call->second.fate = own_call::stays;
    }
    check();
  }

  void take(std::uint32_t to, const wire::frame& in) {
    auto& book = books_[to];
    switch (in.type) {
      case frame_type::call: return take_call(book, in);
      case frame_type::cancel: {
        const auto lease = book.leases.find(in.id);
        expect(lease != book.leases.end() && !lease->second.cancelled, "a CANCEL of what is not in hand, or a second one");
        if (lease != book.leases.end()) lease->second.cancelled = true;
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
    const auto [lease, fresh] = book.leases.emplace(in.id, own_lease{});
    expect(fresh, "a lease was given twice");
    lease->second.unsent = book.clogged;
    expect(book.leases.size() <= book.in_hand_max, "a worker has more calls than slots");
    char* end = nullptr;
    const std::string text{in.payload};
    if (!text.starts_with("call ")) return;  // what `garbage` has made
    const auto caller = std::strtoull(text.c_str() + 5, &end, 10);
    const auto call = books_[caller].open.find(std::strtoull(end, nullptr, 10));
    if (call == books_[caller].open.end()) return expect(false, "a CALL that has ended for its caller");
    lease->second.caller = static_cast<std::uint32_t>(caller);
    lease->second.id = call->first;
    auto& leased = call->second;
    expect(leased.waits || leased.fate == own_call::must_return || leased.fate == own_call::may_return, "a call was handed out twice");
    expect(leased.command == in.name && leased.bytes == in.payload.size(), "a CALL of another command or payload");
    expect(leased.attempts < attempts_max, "a call was handed out too often");
    expect(!leased.parted, "a call of which a PART was passed on begins again");
    if (leased.attempts > 0) ++again_;
    leased.waits = false;
    leased.fate = own_call::stays;
    ++leased.attempts;
    leased.repeatable = book.serves[std::string{in.name}] != retry_class::once;
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
      expect(why.may_have_run == (call->second.attempts > 0), "a reply is wrong about whether the call may have run");
      if (in.status == status::unavailable) {
        expect(call->second.fate != own_call::must_return, "a call fails that might have been run by another worker");
        expect(!call->second.waits || !awaited(call->second.command) || !roomy(), "a call fails whose command is held");
      }
    }
    book.open.erase(call);
  }

  void check() {
    std::size_t cancelled = 0, open = 0, waiting_bytes = 0, kept_bytes = 0;
    std::set<std::string> waiting;
    for (const auto& each : books_) {
      open += each.open.size();
      for (const auto& lease : each.leases) cancelled += lease.second.cancelled ? 1 : 0;
      for (const auto& [id, call] : each.open) {
        if (call.kept()) kept_bytes += call.bytes;
        if (!call.waits) continue;
        waiting_bytes += call.bytes;
        waiting.insert(call.command);
      }
    }
    expect(core_.open_calls() == open + cancelled, "open calls are not those that wait for a reply and those only held");
    const bool all_kept = core_.kept_bytes() == waiting_bytes + kept_bytes;
    const bool some_kept = core_.kept_bytes() >= waiting_bytes && core_.kept_bytes() <= waiting_bytes + kept_bytes;
    expect(roomy() ? all_kept : some_kept, "the bytes counted are not those that wait or may be sent again");
    for (const auto& each : books_) {
      if (!each.seated || each.leave != 0 || each.leases.size() >= each.slots) continue;
      for (const auto& command : each.serves) expect(!waiting.contains(command.first), "a call waits though a slot is free for it");
    }
    for (const auto& command : waiting) {
      if (now_ < last_served_[command] + climate_.hold || core_.next_deadline() <= now_) continue;
      expect(std::any_of(books_.begin(), books_.end(),
                         [&](const auto& each) { return each.seated && each.leave == 0 && each.serves.contains(command); }),
             "a call waits for a command that nobody serves");
    }
  }

  static settings settings_for(const climate& in) {
    settings from;
    from.pulse = 500ms;
    from.idle_max = 5s;
    from.hold = in.hold;
    from.held_pools_max = in.held_pools_max;
    from.attempts_max = attempts_max;
    from.caller_calls_max = 12;
    from.calls_max = 80;
    from.queue_calls_max = 8;
    from.queue_bytes_max = 1200;
    from.kept_bytes_max = in.kept_bytes_max;
    from.commands_max = 4;
    from.peers_max = 20;
    from.watchers_max = 3;
    return from;
  }

  climate climate_;
  std::mt19937_64 random_;
  broker_core core_;
  std::map<std::string, instant> last_served_;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> returning_;  ///< calls whose fate is decided in this step
  std::uint32_t taking_back_ = peers;
  std::uint64_t again_ = 0;
  std::uint64_t taken_back_ = 0;
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
  const std::uint64_t steps_max = steps ? std::strtoull(steps, nullptr, 10) : 40'000;
  const std::uint64_t seed = first ? std::strtoull(first, nullptr, 10) : std::random_device{}();
  const auto in = GENERATE(climate{0ms, 1'000'000, 1000}, climate{700ms, 1'000'000, 1000}, climate{3s, 1'000'000, 1000},
                           climate{700ms, 3000, 2});
  random_network net{seed, in};
  std::uint64_t step = 0;
  while (step < steps_max && net.wrong().empty()) {
    net.step();
    ++step;
  }
  if (net.wrong().empty()) net.finish();
  INFO("seed " << seed << ", step " << step << ", hold " << in.hold.count() << " ms, kept_bytes_max " << in.kept_bytes_max);
  CHECK(net.wrong() == "");
  if (!net.wrong().empty() || steps_max < 40'000) return;
  // A test that never gets where it hurts proves nothing.
  for (const auto code : {status::ok, status::cancelled, status::deadline_exceeded, status::resource_exhausted,
                          status::unimplemented, status::internal, status::unavailable}) {
    CAPTURE(name(code));
    CHECK(net.replies(code) > 20);
  }
  CHECK(net.counts().dead_workers > 20);
  CHECK(net.counts().broken_bundles > 20);
  CHECK(net.counts().unasked_replies > 20);
  CHECK(net.counts().retries > 20);
  CHECK(net.again() > 20);
  CHECK(net.taken_back() > 0);
}
