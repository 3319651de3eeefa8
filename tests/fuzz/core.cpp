// The broker core fed by several peers in virtual time. The input is a script, of one letter and a few digits for each operation, so
// that it can be read and written by hand (any other bytes mean something, too); books are kept of what each peer is owed.
//
//   J peer service version slots retry   JOIN                C peer command budget size key credit   CALL
//   H peer bundle                        HELLO               X peer nth                       CANCEL of an open call
//   R peer nth how                       REPLY to a lease    Q peer nth                       PART of a lease
//   O peer which about                   one of the broker's own commands                     A peer nth parts   CREDIT
//   L peer  P peer  E peer topic         LEAVE, PULSE, EMIT  B peer length bytes              any bytes as a bundle
//   M peer                               several parts       U peer unsent                    its connection is lost
//   K peer                               it reads no more    W time  S time  T                time passes, or the broker stands still; tick
//   [ ]  one outbox for what is between  ( )  one bundle of what is between (for each peer)
//   V topic length bytes                 PUB/SUB             N topic                          a subscription
//
// The first digit chooses the settings.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <waggle/wire/error.hpp>
#include <waggle/wire/frames.hpp>
#include <waggle/wire/headers.hpp>
#include <waggle/wire/manifest.hpp>

#include "broker/core/broker_core.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/fuzz/script.hpp"

using namespace std::chrono_literals;
using namespace waggle;
using namespace waggle::broker;
using waggle::fuzz::require;
using waggle::fuzz::script;
using waggle::wire::frame_type;

namespace {

constexpr std::uint32_t peers = 8;
constexpr std::size_t operations_max = 200;

settings settings_for(std::uint32_t which) {
  settings out;
  out.remember = 10s;
  if (which & 1) {
    out.peers_max = 6;
    out.commands_max = 4;
    out.calls_max = 24;
    out.caller_calls_max = 8;
    out.caller_kept_bytes_max = 12u << 10;
    out.held_pools_max = 1;
    out.queue_calls_max = 4;
    out.queue_bytes_max = 8u << 10;
    out.kept_bytes_max = 16u << 10;
    out.watchers_max = 1;
  }
  if (which & 2) out.hold = out.remember = 0ms;
  if (which & 4) out.grace = 4s;
  return out;
}

/// A call of the script, known again at the worker by its payload.
struct own_call {
  std::string_view group;               ///< of its command; empty if that is not always the same
  std::string_view key;
  std::uint64_t read = 0;               ///< when the broker has read it, by count; 0: not yet
  bool is_void = false;                 ///< its caller is gone or reads no more
  std::uint64_t lease = 0;              ///< the last
  std::uint32_t handed = 0;             ///< to how many workers
  bool by_once = false;                 ///< to one of them that says that it must not run again
  std::uint64_t ended = 0;              ///< the round in which its caller got the reply
  bool lied = false;                    ///< a worker has said of it what it wanted
};

/// One that is owed a reply.
struct request {
  std::size_t replies = 0;              ///< how many may come: ids may be used twice in raw bytes
  bool is_call = false;
  bool is_built_in = false;
  std::uint64_t parts = 0;              ///< PARTs that may come
  bool must = false;                    ///< it has to come by then
  instant deadline{};
  std::string payload;
  std::map<std::string, retry_class, std::less<>> serves;  ///< a JOIN's, from when it is answered
};

struct peer_book {
  bool known = false;
  bool is_going = false;                ///< it is forgotten at the end of this round
  bool murky = false;                   ///< it was forgotten and came back within one outbox: what it gets may be of its life before
  bool clogged = false;
  std::vector<wire::message> unread;     ///< what it was sent since
  std::uint32_t bundle = 1;
  std::uint32_t attachments = 0;
  std::map<std::uint64_t, request> asked;
  std::set<std::uint64_t> given;        ///< leases, ever
  std::vector<std::uint64_t> at_hand;   ///< leases, in the order in which they came
  std::uint32_t slots = 0;              ///< the most it has ever said; 0: has never joined
  std::uint32_t quick_slots = 0;        ///< likewise; another JOIN changes neither while its calls are at hand
  std::map<std::string, retry_class, std::less<>> serves;
};

class world {
 public:
  explicit world(settings from) : settings_{from}, core_{std::move(from)} {}

  void play(script in) {
    for (std::size_t i = 0; i < operations_max && !in.done(); ++i) one(in);
    end();
  }

 private:
  // Operations

  void one(script& in) {
    constexpr milliseconds spans[] = {1ms, 20ms, 100ms, 500ms, 1s, 1999ms, 2s, 3s, 5s, 10s};
    constexpr milliseconds pauses[] = {1ms, 20ms, 1s, 2s, 3s, 5s, 10s, 59s, 120s, 601s};
    const char what = in.operation("JHCXRQLPEBMUKWST[]()VNOA");
    switch (what) {
      case 'W': return advance(in.one_of(spans));
      case 'S': now_ += in.one_of(pauses); return;
      case 'T': return tick();
      case '[': holding_ = is_batch_ = true; return;
      case ']': return release();
      case '(': gathering_ = true; return;
      case ')': return send_gathered();
      case 'V': {
        const auto topic = topic_from(in);
        core_.receive_event(now_, topic, in.bytes(), out_);
        return after();
      }
      case 'N': core_.subscribed(now_, topic_from(in), out_); return after();
      default: break;
    }
    const auto peer = in.below(peers);
    std::string bytes;
    switch (what) {
      case 'J': wire::append_join(bytes, ++last_id_, manifest_from(in, peer)); break;
      case 'H': wire::append_hello(bytes, ++last_id_, about_from(in)); break;
      case 'C': append_call_from(in, peer, bytes); break;
      case 'X': wire::append_cancel(bytes, id_from(in, peer)); break;
      case 'R': append_reply_from(in, peer, bytes); break;
      case 'O': append_operation_from(in, bytes); break;
      case 'A': {
        const auto id = id_from(in, peer);
        wire::append_credit(bytes, id, in.below(10));
        break;
      }
      case 'Q': wire::append_part(bytes, lease_from(in, peer), "\x02"); break;
      case 'L': wire::append_leave(bytes, ++last_id_); break;
      case 'P': wire::append_pulse(bytes); break;
      case 'E': wire::append_emit(bytes, in.below(2) * ++last_id_, topic_from(in), "\x04", {}); break;
      case 'B': bytes = in.bytes(); break;
      case 'M': return send_parts(peer);
      case 'U': return lose(peer, in.below(4));
      case 'K':
        books_[peer].clogged = books_[peer].known;
        if (books_[peer].clogged) give_up_calls(books_[peer]);
        return;
      default: return;
    }
    if (gathering_) {
      gathered_[peer] += bytes;
    } else {
      send(peer, bytes);
    }
  }

  static std::string_view topic_from(script& in) {
    constexpr std::string_view topics[] = {"order.placed", "waggle.hello.x", "waggle.other", "no topic"};
    return in.one_of(topics);
  }

  static std::string manifest_from(script& in, std::uint32_t peer) {
    constexpr std::string_view services[] = {"a", "ab", "bc", "cde", "e", "waggle.x"};
    constexpr std::uint32_t slots[] = {1, 2, 3, 70, 5000};
    manifest out;
    const auto commands = in.one_of(services);
    out.service = "s" + std::string{commands};
    out.version = std::to_string(in.below(3));
    out.instance = "w" + std::to_string(peer % 5);
    out.slots = in.one_of(slots);
    const auto retry = in.below(6);
    out.credit = retry < 3;
    out.bundle = out.slots;
    out.attachments = out.slots % 3;
    if (retry % 2 == 1) out.quick_slots = in.one_of(slots);
    if (commands.size() > 4) {
      out.commands.emplace_back().name = commands;
    } else {
      for (const char each : commands) {
        auto& made = out.commands.emplace_back();
        made.name = each;
        made.retry = static_cast<retry_class>(retry % 3);
        made.needs_key = each == 'e';
        made.quick = each == 'b' || each == 'd';
        if (commands == "cde" || commands == "e") made.group = "g";
      }
    }
    std::string bytes;
    wire::append_manifest(bytes, out);
    return bytes;
  }

  /// The group that a command is always in, if there is one. What waits in the grace of a broker for a command that is not known yet
  /// waits in a group of its own, and stays there when a worker comes that names another: so far nothing is promised of that.
  std::string_view group_of(std::string_view command) const {
    if (command == "a" || command == "b") return command;
    return (command == "d" || command == "e") && settings_.grace == 0ms ? "g" : "";
  }

  static std::string about_from(script& in) {
    std::string bytes;
    wire::writer out{bytes};
    const auto bundle = std::uint64_t{in.below(10)} * in.below(10);
    out.map(2);
    out.string("bundle");
    out.unsigned_integer(bundle);
    out.string("attachments");
    out.unsigned_integer(bundle % 3);
    return bytes;
  }

  void append_call_from(script& in, std::uint32_t peer, std::string& bytes) {
    constexpr std::string_view commands[] = {"a", "b", "c", "d", "e", "none"};
    constexpr milliseconds budgets[] = {1ms, 50ms, 1s, 5s, 60s, 600s, 0ms};
    constexpr std::size_t sizes[] = {0, 100, 3000, 9000, 70'000};
    constexpr std::string_view keys[] = {"", "k", "l"};
    const auto command = in.one_of(commands);
    const auto budget = in.one_of(budgets);
    const auto size = in.one_of(sizes);
    const auto key = in.one_of(keys);
    const auto credit = in.below(4);
    std::string payload = "#" + std::to_string(++last_call_);
    payload.resize(std::max(payload.size(), size), '.');
    auto& made = calls_[payload];
    made.group = group_of(command);
    made.key = key;
    made.is_void = books_[peer].clogged;
    header_map headers;
    if (!key.empty()) headers.emplace("key", key);
    wire::append_call(bytes, ++last_id_, command, payload, static_cast<std::uint64_t>(budget.count()),
                      wire::headers_to_msgpack(headers), credit == 0 ? wire::no_credit_limit : credit - 1);
  }

  void append_operation_from(script& in, std::string& bytes) {
    constexpr std::string_view commands[] = {"workers", "queues", "calls", "stats", "drain", "pause", "resume", "services", "ping", "none"};
    const auto command = "waggle." + std::string{in.one_of(commands)};
    const auto about = in.below(10);
    std::string payload;
    wire::writer out{payload};
    const auto entry = [&](std::string_view key, std::string_view text) {
      out.string(key);
      out.string(text);
    };
    switch (about) {
      case 0: break;
      case 6:
        out.map(1);
        out.string("limit");
        out.unsigned_integer(2);
        break;
      case 7:
        out.map(2);
        entry("prefix", "w");
        entry("limit", "no number");
        break;
      case 8:  // waits for a change of what is known
        out.map(2);
        entry("known", revision_);
        out.string("wait_ms");
        out.unsigned_integer(5000);
        break;
      case 9: payload = in.bytes(); break;
      default:
        out.map(3);
        entry("command", std::string{"abcde"[about - 1]});
        entry("worker", "w" + std::to_string(about - 1));
        entry("prefix", std::string{"abcde"[about - 1]});
    }
    wire::append_call(bytes, ++last_id_, command, payload, 10'000, {});
  }

  std::uint64_t id_from(script& in, std::uint32_t peer) {
    const auto& open = books_[peer].asked;
    const auto nth = in.below(10);
    if (nth == 9 || open.empty()) return nth;
    return std::next(open.begin(), nth % open.size())->first;
  }

  /// One at hand; for 8 one that it has had, and for 9 anybody's.
  std::uint64_t lease_from(script& in, std::uint32_t peer) {
    const auto& book = books_[peer];
    const auto nth = in.below(10);
    if (nth == 9 && !holders_.empty()) return std::prev(holders_.end())->first;
    if (nth == 8 && !book.given.empty()) return *book.given.begin();
    return book.at_hand.empty() ? nth : book.at_hand[nth % book.at_hand.size()];
  }

  void append_reply_from(script& in, std::uint32_t peer, std::string& bytes) {
    constexpr status codes[] = {status::ok, status::unavailable, status::internal, status{99}, status::ok};
    const auto lease = lease_from(in, peer);
    const auto how = in.below(5);
    if (how == 4) return wire::append_reply(bytes, lease, codes[how], large_payload(in), {});
    wire::append_reply(bytes, lease, codes[how], "\x03", {});
  }

  /// Every message has the same two attachments, which its frames may speak of.
  static const std::vector<wire::attachment>& beside() {
    static const std::vector<wire::attachment> all{wire::attachment{"small"}, wire::attachment{std::string(70'000, '.')}};
    return all;
  }
  static wire::payload_field large_payload(script& in) {
    if (in.below(2) == 0) return beside()[1].bytes();
    static wire::message scratch;
    scratch.clear();
    for (const auto& each : beside()) static_cast<void>(wire::payload_field::attached(scratch, each));
    scratch.attachments.resize(in.below(2));
    return wire::payload_field::attached(scratch, {});  // only its number is written
  }

  // What peers do

  void send(std::uint32_t peer, std::string_view bytes) {
    note_sent(peer, bytes);
    core_.receive(now_, peer_id{peer}, {bytes, beside()}, out_);
    after();
  }

  void send_gathered() {
    gathering_ = false;
    for (auto& [peer, bytes] : std::exchange(gathered_, {})) send(peer, bytes);
  }

  void send_parts(std::uint32_t peer) {
    books_[peer].known = true;
    breaks(peer);
    core_.receive_garbage(now_, peer_id{peer}, "garbage", out_);
    after();
  }

  void lose(std::uint32_t peer, std::uint32_t unsent_max) {
    auto& book = books_[peer];
    if (holding_) breaks(peer);
    book.clogged = false;
    const auto unread = std::exchange(book.unread, {});
    const std::vector<wire::message> last{unread.end() - static_cast<std::ptrdiff_t>(std::min<std::size_t>(unread.size(), 3 * unsent_max)),
                                         unread.end()};
    for (const auto& each : last) taken_back_ += each.bytes();
    core_.unreachable(now_, peer_id{peer}, {last.begin(), last.end()}, out_);
    after();
  }

  /// It ends the peer's life; within one outbox it may begin another before the books know.
  void breaks(std::uint32_t peer) {
    books_[peer].murky = true;
    for (auto& [id, each] : books_[peer].asked) each.must = false;
    give_up_calls(books_[peer]);
  }

  /// Its calls end without a reply that is seen here.
  void give_up_calls(const peer_book& book) {
    for (const auto& [id, each] : book.asked) {
      if (const auto call = calls_.find(each.payload); call != calls_.end()) call->second.is_void = true;
    }
  }

  /// What the core is going to see in these bytes.
  void note_sent(std::uint32_t peer, std::string_view bytes) {
    auto& book = books_[peer];
    book.known = true;
    wire::bundle_reader frames{{bytes, beside()}};
    wire::frame in;
    for (;;) {
      const auto read = frames.next(in);
      if (read == wire::decoded::end) return;
      if (read == wire::decoded::broken) return breaks(peer);
      if (read == wire::decoded::frame) note_sent(peer, book, in);
    }
  }

  void note_sent(std::uint32_t peer, peer_book& book, const wire::frame& in) {
    switch (in.type) {
      case frame_type::call: {
        auto& asked = ask(book, in.id);
        const bool is_new = asked.replies == 1;
        asked.is_call = true;
        asked.is_built_in = in.name.starts_with("waggle.") && is_new;
        asked.parts = is_new ? in.parts : wire::no_credit_limit;
        asked.must = is_new && !holding_ && !book.murky;
        asked.deadline = now_ + milliseconds{in.budget_ms};
        asked.payload = is_new ? in.payload : "";
        if (const auto call = calls_.find(in.payload); call != calls_.end()) {
          call->second.is_void = call->second.is_void || call->second.read != 0 || !asked.must;
          call->second.read = ++reads_;
        }
        return;
      }
      case frame_type::join: {
        auto& asked = ask(book, in.id);
        if (const auto read = wire::read_manifest(in.manifest)) {
          book.slots = std::max(book.slots, read->slots);
          book.quick_slots = std::max(book.quick_slots, read->quick_slots);
          book.bundle = std::max(book.bundle, read->bundle);
          book.attachments = std::max(book.attachments, read->attachments);
          all_heed_credit_ = all_heed_credit_ && read->credit;
          if (in.id == 0 || asked.replies > 1) book.serves.clear();  // whichever of them is in force
          for (const auto& each : read->commands) asked.serves[each.name] = each.retry;
        }
        return;
      }
      case frame_type::hello: {
        std::uint64_t bundle = 1, attachments = 0;
        wire::reader about{in.manifest};
        if (!in.manifest.empty()) {
          wire::read_entries(about, [&](std::string_view key) {
            if (about.peek() != wire::kind::unsigned_integer) return about.skip();
            return key == "bundle" ? about.unsigned_integer(bundle) : key == "attachments" ? about.unsigned_integer(attachments) : about.skip();
          });
        }
        book.bundle = std::max(book.bundle, static_cast<std::uint32_t>(std::min<std::uint64_t>(bundle, wire::bundle_frames_max)));
        book.attachments = std::max(book.attachments, static_cast<std::uint32_t>(std::min<std::uint64_t>(attachments, wire::attachments_max)));
        ask(book, in.id);
        return;
      }
      case frame_type::emit:
      case frame_type::leave: ask(book, in.id); return;
      case frame_type::reply: {
        const auto held = holders_.find(in.id);
        if (held == holders_.end() || held->second.peer != peer) return;
        if (const auto call = calls_.find(held->second.payload); call != calls_.end() && in.status != status::ok) {
          call->second.lied = call->second.lied || !wire::read_error(in.status, in.payload).may_have_run;
        }
        std::erase(book.at_hand, in.id);
        holders_.erase(held);
        return;
      }
      case frame_type::credit: {
        const auto asked = book.asked.find(in.id);
        if (asked == book.asked.end()) return;
        auto& parts = asked->second.parts;
        parts = wire::no_credit_limit - parts < in.parts ? wire::no_credit_limit : parts + in.parts;
        return;
      }
      case frame_type::cancel:
      case frame_type::part:
      case frame_type::event:
      case frame_type::pulse: return;
    }
  }

  static request& ask(peer_book& book, std::uint64_t id) {
    auto& asked = book.asked[id];
    if (asked.replies++ != 0) asked.must = false;  // which of the two is answered, and how, is too much for these books
    return asked;
  }

  // Time

  void tick() {
    release();
    const bool is_due = core_.next_deadline() <= now_;
    core_.tick(now_, out_);
    require(is_due || out_.empty(), "a tick before the deadline does nothing");
    after();
    require(core_.next_deadline() > now_, "after a tick the core does not want the clock at once");
    for (const auto& book : books_) {
      for (const auto& [id, each] : book.asked) {
        require(!each.must || book.clogged || each.deadline > now_, "a call ends at the latest with its budget");
      }
    }
  }

  /// Workers pulse meanwhile.
  void advance(instant::duration by) {
    release();
    const auto until = now_ + by;
    for (auto next_pulse = now_ + settings_.pulse / 2; next_pulse <= until; next_pulse += settings_.pulse) {
      tick_until(next_pulse);
      for (std::uint32_t peer = 0; peer < peers; ++peer) {
        std::string bytes;
        wire::append_pulse(bytes);
        if (books_[peer].known && books_[peer].slots != 0 && !books_[peer].clogged) send(peer, bytes);
      }
    }
    tick_until(until);
  }

  void tick_until(instant until) {
    while (core_.next_deadline() <= until) {
      now_ = std::max(now_, core_.next_deadline());
      tick();
    }
    now_ = std::max(now_, until);
  }

  /// Everybody falls silent for longer than any budget: nothing may be left.
  void end() {
    send_gathered();
    release();
    for (std::uint32_t peer = 0; peer < peers; ++peer) {
      if (books_[peer].clogged) lose(peer, 1);
    }
    tick_until(now_ + 26h);
    require(core_.open_calls() == 0 && core_.kept_bytes() == 0, "no call is left when all budgets have passed");
    require(core_.worker_count() == 0 && core_.peer_count() == 0, "nobody is left who has been silent for long");
    require(core_.next_deadline() == instant::max(), "a broker without peers does not want the clock");
    for (const auto& book : books_) require(!book.known, "the shell is told of all who are forgotten");
  }

  // What the core sends

  void release() {
    holding_ = false;
    after();
  }

  void after() {
    require(core_.open_calls() <= settings_.calls_max, "there are no more calls than there may be");
    require(core_.kept_bytes() <= settings_.kept_bytes_max + taken_back_, "no more is kept than may be");
    require(core_.peer_count() <= settings_.peers_max, "there are no more peers than there may be");
    if (holding_) return;
    ++round_;
    for (const auto each : out_.forgotten()) {  // before those who get its calls, which may be told first
      const auto peer = static_cast<std::uint32_t>(each);
      require(peer < peers && books_[peer].known, "who is forgotten was known");
      for (const auto lease : books_[peer].at_hand) holders_.erase(lease);
      books_[peer].is_going = true;
    }
    for (std::size_t i = 0; i < out_.messages(); ++i) deliver(out_.message_at(i));
    for (const auto& each : out_.broadcasts()) {
      wire::bundle_reader frames{each.event};
      wire::frame in;
      require(frames.next(in) == wire::decoded::frame && in.type == frame_type::event && in.name == each.topic,
              "a broadcast is an EVENT of its topic");
    }
    for (const auto each : out_.forgotten()) {
      auto& book = books_[static_cast<std::uint32_t>(each)];
      for (const auto lease : book.at_hand) holders_.erase(lease);
      give_up_calls(book);
      book = {};
    }
    out_.clear();
    require_order_of_keys();
    is_batch_ = false;
  }

  void deliver(const outbox::message& message) {
    const auto peer = static_cast<std::uint32_t>(message.to);
    require(peer < peers && books_[peer].known, "nothing is sent to a peer that is forgotten");
    require(message.bytes() <= wire::message_bytes_max, "no message is too large");
    require(message.attachments.size() <= books_[peer].attachments, "a message has as many attachments as the peer takes");
    auto& book = books_[peer];
    wire::bundle_reader frames{message};
    wire::frame in;
    std::uint32_t count = 0;
    for (;; ++count) {
      require(count == 0 || frames.offset() == message.bundle.size() || frames.offset() < wire::bundle_bytes_soft_max, "a bundle is closed when it is large");
      const auto read = frames.next(in);
      if (read == wire::decoded::end) break;
      require(read == wire::decoded::frame, "everything that is sent decodes");
      if (!book.clogged) deliver(peer, book, in);
    }
    require(count >= 1 && count <= book.bundle, "a bundle has as many frames as the peer takes");
    if (book.clogged) book.unread.push_back(message);
  }

  void deliver(std::uint32_t peer, peer_book& book, const wire::frame& in) {
    switch (in.type) {
      case frame_type::call: return deliver_call(peer, book, in);
      case frame_type::reply: return deliver_reply(book, in);
      case frame_type::cancel: return require(book.murky || book.given.contains(in.id), "a CANCEL names a lease of that worker");
      case frame_type::part: {
        const auto asked = book.asked.find(in.id);
        require(asked != book.asked.end() && asked->second.is_call, "a PART belongs to an open call");
        if (asked->second.parts == wire::no_credit_limit) return;
        require(asked->second.parts > 0 || !all_heed_credit_, "no more PARTs come than the caller takes");
        if (asked->second.parts > 0) --asked->second.parts;
        return;
      }
      case frame_type::credit: return require(book.murky || book.given.contains(in.id), "CREDIT names a lease of that worker");
      case frame_type::leave: return require(in.id == 0 && book.slots != 0, "who is asked to leave has joined");
      case frame_type::pulse: return;
      case frame_type::hello:
      case frame_type::emit:
      case frame_type::event:
      case frame_type::join: return require(false, "a broker sends no HELLO, EMIT, EVENT and JOIN");
    }
  }

  void deliver_call(std::uint32_t peer, peer_book& book, const wire::frame& in) {
    require(book.slots != 0, "only who has joined gets calls");
    require(in.id >= 1 && in.id < std::uint64_t{1} << 53, "a lease is a number that doubles can hold");
    require(in.budget_ms >= 1, "who gets a call has time for it");
    if (book.murky || book.is_going) return;
    const bool is_free = !holders_.contains(in.id) || books_[holders_[in.id].peer].murky;
    require(is_free && book.given.insert(in.id).second, "no lease is given twice");
    holders_[in.id] = {peer, std::string{in.payload}};
    book.at_hand.push_back(in.id);
    require(book.at_hand.size() <= std::size_t{book.slots} + book.quick_slots, "a worker gets no more calls than it has slots");
    const auto known = calls_.find(in.payload);
    if (known == calls_.end()) return;
    auto& call = known->second;
    call.lease = in.id;
    if (!call.key.empty() && !call.group.empty()) run_now_.push_back(&call);
    require(call.ended == 0 || call.ended == round_, "a call that has ended is not run");
    require(++call.handed <= settings_.attempts_max, "a call is handed over no more often than it may be");
    require(!call.by_once, "a call is not run again when a worker that must not repeat it has had it");
    const auto retry = book.serves.find(in.name);
    call.by_once = retry != book.serves.end() && retry->second == retry_class::once && !is_batch_;
  }

  void deliver_reply(peer_book& book, const wire::frame& in) {
    if (in.status != status::ok) {
      wire::reader payload{in.payload};
      require(in.payload.empty() || payload.skip(), "an error is a value");
    }
    if (in.id == 0) return;
    const auto asked = book.asked.find(in.id);
    require(asked != book.asked.end(), "every REPLY was asked for, and comes once");
    if (const auto call = calls_.find(asked->second.payload); call != calls_.end()) {
      auto& ended = call->second;
      ended.ended = round_;
      const bool denies = in.status != status::ok && !wire::read_error(in.status, in.payload).may_have_run;
      require(!denies || ended.lied || ended.handed == 0, "who is told that it has not run can rely on it");
    }
    if (asked->second.is_built_in && in.status == status::ok && !asked->second.payload.starts_with('#')) {
      wire::reader payload{in.payload};
      const bool is_map = payload.peek() == wire::kind::map && payload.skip() && payload.at_end();
      require(is_map || in.payload == asked->second.payload, "the broker's own commands answer with one map, or with what they got");
    }
    if (in.status == status::ok && !asked->second.serves.empty()) book.serves = asked->second.serves;
    if (in.status == status::ok) note_revision(in.payload);
    if (--asked->second.replies == 0) book.asked.erase(asked);
  }

  /// Of the calls of one key one is at a worker, and it is the one that was read first.
  void require_order_of_keys() {
    for (const auto* each : std::exchange(run_now_, {})) {
      if (!holders_.contains(each->lease)) continue;
      for (const auto& [payload, other] : calls_) {
        if (&other == each || other.group != each->group || other.key != each->key) continue;
        const auto held = other.lease == 0 ? holders_.end() : holders_.find(other.lease);
        const bool runs = held != holders_.end() && !books_[held->second.peer].murky;
        require(!runs, "calls of one key run one at a time");
        require(other.ended != 0 || other.is_void || other.read == 0 || other.read > each->read, "calls of one key run in their order");
      }
    }
  }

  void note_revision(std::string_view payload) {
    wire::reader in{payload};
    if (payload.empty() || in.peek() != wire::kind::map) return;
    wire::read_entries(in, [&](std::string_view key) {
      std::string_view text;
      if (key != "revision" || in.peek() != wire::kind::string) return in.skip();
      if (!in.string(text)) return false;
      revision_ = text;
      return true;
    });
  }

  struct holder {
    std::uint32_t peer;
    std::string payload;
  };

  settings settings_;
  broker_core core_;
  outbox out_;
  instant now_ = instant{} + 1h;
  std::uint64_t round_ = 0;
  bool holding_ = false;
  bool gathering_ = false;
  bool is_batch_ = false;  ///< several inputs made what is in the outbox, so it may be older than the books
  std::map<std::uint32_t, std::string> gathered_;
  std::array<peer_book, peers> books_;
  std::map<std::string, own_call, std::less<>> calls_;  ///< by payload
  std::map<std::uint64_t, holder> holders_;             ///< who has which lease at hand
  std::uint64_t last_id_ = 0;
  std::uint64_t last_call_ = 0;
  std::uint64_t reads_ = 0;
  std::size_t taken_back_ = 0;
  bool all_heed_credit_ = true;
  std::vector<own_call*> run_now_;  ///< calls with a key that workers have got in this round
  std::string revision_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  script in{{reinterpret_cast<const char*>(data), size}};
  const auto which = in.below(8);
  world{settings_for(which)}.play(in);
  return 0;
}
