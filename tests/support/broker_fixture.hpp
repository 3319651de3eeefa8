#pragma once

#include "support/catch.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <waggle/wire/error.hpp>
#include <waggle/wire/frames.hpp>
#include <waggle/wire/headers.hpp>
#include <waggle/wire/json.hpp>
#include <waggle/wire/manifest.hpp>

#include "broker/core/broker_core.hpp"
#include "broker/events/memory_log.hpp"

namespace waggle::broker {

using namespace std::chrono_literals;

/// One frame as a peer got it; owns what `wire::frame` only shows.
struct received {
  wire::frame_type type{};
  std::uint64_t id = 0;
  std::string name;
  std::string payload;
  std::string headers;
  std::uint64_t budget_ms = 0;
  std::uint64_t parts = 0;
  status code{};
  std::uint64_t seats = 0;
  std::size_t message = 0;  ///< which message it came in, of all that this peer got
  std::string about{};      ///< of an event
  const char* attached = nullptr;  ///< where the payload lies, if it came as an attachment
};

[[nodiscard]] inline nlohmann::json json_of(std::string_view msgpack) {
  return msgpack.empty() ? nlohmann::json() : nlohmann::json::parse(wire::msgpack_to_json(std::string{msgpack}));
}

/// A manifest, written as a sentence: `serves("a").and_also("b").slots(3)`.
class serves {
 public:
  explicit serves(std::string command) {
    manifest_.service = command.substr(0, command.find('.'));
    manifest_.version = "1.0.0";
    and_also(std::move(command));
  }
  /// No commands yet, for a service that only handles events.
  [[nodiscard]] static serves service(std::string name) {
    serves out;
    out.manifest_.service = std::move(name);
    return out;
  }
  serves& handles(std::string pattern, std::string group = {}) {
    auto& made = manifest_.events.emplace_back();
    made.topic = std::move(pattern);
    made.group = std::move(group);
    return *this;
  }
  serves& budget(milliseconds of) { return manifest_.events.back().budget_ms = static_cast<std::uint64_t>(of.count()), *this; }
  serves& attempts(std::uint32_t count) { return manifest_.events.back().attempts = count, *this; }
  serves& and_also(std::string command) {
    manifest_.commands.emplace_back().name = std::move(command);
    return *this;
  }
  serves& attachments(std::uint32_t count) { return manifest_.attachments = count, *this; }
  serves& slots(std::uint32_t count) { return manifest_.slots = count, *this; }
  serves& quick_slots(std::uint32_t count) { return manifest_.quick_slots = count, *this; }
  /// The command, or the event, that was named last.
  serves& quick() {
    (manifest_.events.empty() ? manifest_.commands.back().quick : manifest_.events.back().quick) = true;
    return *this;
  }
  serves& bundle(std::uint32_t frames) { return manifest_.bundle = frames, *this; }
  serves& version(std::string value) { return manifest_.version = std::move(value), *this; }
  serves& instance(std::string value) { return manifest_.instance = std::move(value), *this; }
  serves& safe() { return manifest_.commands.back().retry = retry_class::safe, *this; }
  serves& group(std::string name) { return manifest_.commands.back().group = std::move(name), *this; }
  serves& needs_key() { return manifest_.commands.back().needs_key = true, *this; }
  serves& credit() { return manifest_.credit = true, *this; }
  serves& idles() { return manifest_.idles = true, *this; }
  serves& idempotent() { return manifest_.commands.back().retry = retry_class::idempotent, *this; }

  [[nodiscard]] std::string bytes() const {
    std::string out;
    wire::append_manifest(out, manifest_);
    return out;
  }

 private:
  serves() { manifest_.version = "1.0.0"; }

  manifest manifest_;
};

/// A broker core in virtual time with peers that have names. What the core sends is decoded at once and lies in each peer's
/// inbox. It does with the outbox what a shell does, numbers of forgotten peers are used again at once, and after every step
/// what must always hold is checked: everything sent is well-formed, no bundle is larger than its peer takes, and nobody who is
/// forgotten is written to.
///
/// `advance` ticks the core whenever it wants the clock; workers that have joined pulse meanwhile unless they are `silence`d.
class broker_fixture {
 public:
  explicit broker_fixture(settings from = {}) : settings_{from}, core_{std::move(from)} {}
  /// With a log in memory behind it. What the core wants of it is done at once, unless it is stopped.
  broker_fixture(settings from, event_settings for_events)
      : settings_{from},
        core_{std::move(from), std::move(for_events)},
        log_{std::make_unique<memory_log>(log_sources{[this] { return wall_ms(); }, [this] { return ++random_; }})} {
    const auto there = log_->open();
    REQUIRE(there);
    core_.open_log(now_, *there, out_);
    deliver();
  }
  broker_fixture(const broker_fixture&) = delete;
  broker_fixture& operator=(const broker_fixture&) = delete;

  broker_core& core() { return core_; }
  [[nodiscard]] instant now() const { return now_; }
  [[nodiscard]] const std::vector<std::pair<std::string, received>>& events() const { return events_; }
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }

  // What peers send. Each is a bundle of one frame.
  void send(const std::string& peer, const wire::message_view& message) {
    core_.receive(now_, number_of(peer), message, out_);
    if (!holding_) deliver();
  }
  void send_parts(const std::string& peer) {
    core_.receive_garbage(now_, number_of(peer), "garbage", out_);
    deliver();
  }
  void hello(const std::string& peer, std::uint64_t id, std::uint32_t bundle, std::uint32_t attachments = 0) {
    std::string about, bytes;
    wire::writer writer{about};
    writer.map(2);
    writer.string("attachments");
    writer.unsigned_integer(attachments);
    writer.string("bundle");
    writer.unsigned_integer(bundle);
    bundle_of_[peer] = std::clamp<std::uint32_t>(bundle, 1, wire::bundle_frames_max);
    wire::append_hello(bytes, id, about);
    send(peer, bytes);
  }
  void join(const std::string& peer, const serves& what, std::uint64_t id = 1) {
    const auto manifest = wire::read_manifest(what.bytes());
    if (manifest) bundle_of_[peer] = std::max(bundle_of_[peer], manifest->bundle);
    std::string bytes;
    wire::append_join(bytes, id, what.bytes());
    send(peer, bytes);
    pulsing_.insert(peer);
  }
  void call(const std::string& peer, std::uint64_t id, std::string_view command, milliseconds budget,
            std::string_view payload = "\x01", std::string_view headers = {}) {
    std::string bytes;
    wire::append_call(bytes, id, command, payload, static_cast<std::uint64_t>(budget.count()), headers);
    send(peer, bytes);
  }
  void keyed(const std::string& peer, std::uint64_t id, std::string_view command, std::string_view key, milliseconds budget = 60s) {
    call(peer, id, command, budget, "\x01", wire::headers_to_msgpack({{"key", std::string{key}}}));
  }
  /// A call that takes `parts` PARTs before more credit comes.
  void streamed(const std::string& peer, std::uint64_t id, std::string_view command, std::uint64_t parts, milliseconds budget = 60s) {
    std::string bytes;
    wire::append_call(bytes, id, command, "\x01", static_cast<std::uint64_t>(budget.count()), {}, parts);
    send(peer, bytes);
  }
  void credit(const std::string& peer, std::uint64_t id, std::uint64_t parts) {
    std::string bytes;
    wire::append_credit(bytes, id, parts);
    send(peer, bytes);
  }
  void cancel(const std::string& peer, std::uint64_t id) {
    std::string bytes;
    wire::append_cancel(bytes, id);
    send(peer, bytes);
  }
  void part(const std::string& peer, std::uint64_t lease, std::string_view payload = "\x02") {
    std::string bytes;
    wire::append_part(bytes, lease, payload);
    send(peer, bytes);
  }
  void reply(const std::string& peer, std::uint64_t lease, status code = status::ok, std::string_view payload = "\x03",
             std::string_view headers = {}) {
    std::string bytes;
    wire::append_reply(bytes, lease, code, payload, headers);
    send(peer, bytes);
  }
  /// The worker answers the calls it has got so far and not yet answered here, oldest first, at most `count` of them.
  void answer(const std::string& peer, std::size_t count = ~std::size_t{0}) {
    const auto leases = leases_at(peer);
    for (auto& done = answered_[peer]; done < leases.size() && count > 0; --count) reply(peer, leases[done++]);
  }
  void emit(const std::string& peer, std::uint64_t id, std::string_view topic, std::string_view payload = "\x04",
            const header_map& headers = {}) {
    std::string bytes;
    wire::append_emit(bytes, id, topic, payload, headers.empty() ? std::string{} : wire::headers_to_msgpack(headers));
    send(peer, bytes);
  }
  /// A durable command.
  void later(const std::string& peer, std::uint64_t id, std::string_view command, header_map headers = {}, std::string_view budget = "5000") {
    headers["later"] = budget;
    call(peer, id, command, 60s, "\x01", wire::headers_to_msgpack(headers));
  }
  /// Asks the broker itself, and returns what it said.
  nlohmann::json ask(const std::string& peer, std::uint64_t id, std::string_view command, const nlohmann::json& what = nullptr) {
    const auto payload = wire::json_to_msgpack(what.dump());
    REQUIRE(payload);
    call(peer, id, command, 60s, *payload);
    return json_of(reply_to(peer, id).payload);
  }
  void publish(std::string_view topic, std::string_view event, const identity* from = nullptr) {
    core_.receive_event(now_, topic, event, out_, from);
    deliver();
  }
  /// Who the peer is, as the shell says it of a peer with a key.
  void identify(const std::string& peer, role may, const std::string& events_out = {}) {
    core_.identify(now_, number_of(peer), std::make_shared<const identity>(identity{peer, std::make_shared<const role>(std::move(may)), events_out}), out_);
    deliver();
  }
  void expel(const std::string& peer) {
    silence(peer);
    core_.expel(now_, number_of(peer), out_);
    deliver();
  }
  void subscribe(std::string_view prefix) {
    core_.subscribed(now_, prefix, out_);
    deliver();
  }
  void leave(const std::string& peer, std::uint64_t id = 2) {
    std::string bytes;
    wire::append_leave(bytes, id);
    send(peer, bytes);
  }
  void pulse(const std::string& peer) {
    std::string bytes;
    wire::append_pulse(bytes);
    send(peer, bytes);
  }

  // What happens to peers.
  void silence(const std::string& peer) { pulsing_.erase(peer); }
  void unreachable(const std::string& peer, const std::vector<wire::message_view>& unsent = {}) {
    silence(peer);
    core_.unreachable(now_, number_of(peer), unsent, out_);
    deliver();
  }
  /// The shell has heard that the peer's connection has ended; it need not be true.
  void connection_ended(const std::string& peer) {
    core_.connection_ended(now_, number_of(peer), out_);
    deliver();
  }
  /// What is sent to the peer from now on stays with the shell, which at last finds that nothing leaves any more.
  void clog(const std::string& peer) { clogged_[peer]; }
  void unreachable_clogged(const std::string& peer) {
    const auto unsent = std::exchange(clogged_[peer], {});
    clogged_.erase(peer);
    unreachable(peer, {unsent.begin(), unsent.end()});
  }
  /// What is sent until `release` is gathered in one outbox, as by a shell that has several messages to read.
  void hold() { holding_ = true; }
  void release() {
    holding_ = false;
    deliver();
  }

  void advance(instant::duration by) {
    const auto until = now_ + by;
    for (;;) {
      const auto next = std::min(core_.next_deadline(), next_pulse_);
      if (next > until) break;
      now_ = std::max(now_, next);
      if (next_pulse_ <= now_) {
        next_pulse_ = now_ + settings_.pulse;
        for (const auto& each : std::set<std::string>{pulsing_}) pulse(each);
      }
      if (core_.next_deadline() <= now_) tick();
    }
    now_ = until;
  }
  /// The process that runs the broker stands still.
  void stall(instant::duration by) { now_ += by; }
  void tick() {
    core_.tick(now_, out_);
    deliver();
    if (core_.next_deadline() <= now_) FAIL("after a tick the core still wants the clock at once");
  }

  // What happens to the log.
  void stop_log() { is_log_stopped_ = true; }
  /// Does what has waited, in its order.
  void start_log() {
    is_log_stopped_ = false;
    run_log();
    deliver();
  }
  /// Nothing can be written until the error is gone.
  void fail_log(std::optional<error> why) { failing_ = std::move(why); }

  // What peers have got.
  const std::vector<received>& inbox(const std::string& peer) { return inboxes_[peer].frames; }
  [[nodiscard]] std::size_t messages_to(const std::string& peer) { return inboxes_[peer].messages; }
  std::vector<received> inbox(const std::string& peer, wire::frame_type type) {
    std::vector<received> out;
    for (const auto& each : inbox(peer)) {
      if (each.type == type) out.push_back(each);
    }
    return out;
  }
  void forget_inbox(const std::string& peer) { inboxes_[peer].frames.clear(); }
  std::size_t calls_at(const std::string& peer) { return inbox(peer, wire::frame_type::call).size(); }
  std::size_t replies_to(const std::string& peer) { return inbox(peer, wire::frame_type::reply).size(); }
  std::size_t replies_to(const std::string& peer, std::uint64_t id) {
    const auto all = inbox(peer, wire::frame_type::reply);
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const auto& each) { return each.id == id; }));
  }
  std::vector<std::uint64_t> leases_at(const std::string& peer) {
    std::vector<std::uint64_t> out;
    for (const auto& each : inbox(peer, wire::frame_type::call)) out.push_back(each.id);
    return out;
  }
  /// Events that this member of a group was given, first to last.
  std::vector<received> events_at(const std::string& peer) { return inbox(peer, wire::frame_type::event); }
  std::vector<std::uint64_t> cancels_at(const std::string& peer) {
    std::vector<std::uint64_t> out;
    for (const auto& each : inbox(peer, wire::frame_type::cancel)) out.push_back(each.id);
    return out;
  }
  /// The one reply to this id; a test fails here when there is none, or more than one.
  received reply_to(const std::string& peer, std::uint64_t id) {
    const auto all = inbox(peer, wire::frame_type::reply);
    REQUIRE(replies_to(peer, id) == 1);
    return *std::find_if(all.begin(), all.end(), [&](const auto& each) { return each.id == id; });
  }
  status status_of(const std::string& peer, std::uint64_t id) { return reply_to(peer, id).code; }
  error error_of(const std::string& peer, std::uint64_t id) {
    const auto reply = reply_to(peer, id);
    CHECK(reply.code != status::ok);
    return wire::read_error(reply.code, reply.payload);
  }
  bool is_forgotten(const std::string& peer) { return !numbers_.contains(peer); }

 private:
  struct mailbox {
    std::vector<received> frames;
    std::size_t messages = 0;
  };

  peer_id number_of(const std::string& peer) {
    if (const auto known = numbers_.find(peer); known != numbers_.end()) return known->second;
    std::uint32_t number = 0;
    while (names_.contains(peer_id{number})) ++number;
    names_[peer_id{number}] = peer;
    return numbers_[peer] = peer_id{number};
  }

  void deliver() {
    for (std::size_t i = 0; i < out_.messages(); ++i) {
      const auto& message = out_.message_at(i);
      const auto to = names_.find(message.to);
      if (to == names_.end()) {
        FAIL_CHECK("a message to a peer that is forgotten");
        continue;
      }
      if (const auto clogged = clogged_.find(to->second); clogged != clogged_.end()) {
        clogged->second.push_back(message);
        continue;
      }
      deliver(to->second, message);
    }
    for (const auto& each : out_.broadcasts()) {
      wire::bundle_reader frames{each.event};
      wire::frame in;
      const bool whole = frames.next(in) == wire::decoded::frame && in.type == wire::frame_type::event;
      if (!whole) FAIL_CHECK("a broadcast that is no EVENT");
      events_.emplace_back(each.topic, owned(in, 0));
    }
    for (const auto each : out_.forgotten()) {
      const auto known = names_.find(each);
      if (known == names_.end()) {
        FAIL_CHECK("a peer is forgotten twice");
        continue;
      }
      bundle_of_.erase(known->second);
      numbers_.erase(known->second);
      names_.erase(known);
    }
    notes_.insert(notes_.end(), out_.notes().begin(), out_.notes().end());
    for (auto& each : out_.log_writes) waiting_writes_.push_back(std::move(each));
    for (auto& each : out_.log_reads) waiting_reads_.push_back(std::move(each));
    out_.clear();
    if (is_log_stopped_ || (waiting_writes_.empty() && waiting_reads_.empty())) return;
    run_log();
    deliver();
  }

  /// One commit for all that waits, like the broker's own.
  void run_log() {
    const auto writes = std::exchange(waiting_writes_, {});
    const auto reads = std::exchange(waiting_reads_, {});
    if (!log_) {
      if (!writes.empty() || !reads.empty()) FAIL_CHECK("a broker without a log wants something of it");
      return;
    }
    std::vector<write_entry> batch;
    for (const auto& each : writes) batch.push_back(each.what);
    const auto done = failing_ ? write_result{tl::unexpected{*failing_}} : log_->commit(batch);
    for (std::size_t i = 0; i < writes.size(); ++i) {
      if (writes[i].ticket == 0) continue;
      core_.wrote(now_, writes[i].ticket, done ? result<written>{(*done)[i]} : tl::unexpected{done.error()}, out_);
    }
    for (const auto& each : reads) core_.looked_up(now_, each.ticket, log_->look_up(each.what), out_);
  }
  [[nodiscard]] std::int64_t wall_ms() const {
    return 1'700'000'000'000 + std::chrono::duration_cast<milliseconds>(now_ - instant{}).count();
  }

  void deliver(const std::string& peer, const wire::message& message) {
    auto& to = inboxes_[peer];
    wire::bundle_reader frames{message};
    wire::frame in;
    std::uint32_t count = 0;
    for (;;) {
      const auto read = frames.next(in);
      if (read == wire::decoded::end) break;
      if (read != wire::decoded::frame) {
        FAIL_CHECK("the broker sent what is not a frame");
        break;
      }
      ++count;
      to.frames.push_back(owned(in, to.messages));
    }
    ++to.messages;
    if (count == 0 || count > std::max<std::uint32_t>(1, bundle_of_[peer])) {
      FAIL_CHECK("a bundle of " << count << " frames to a peer that takes " << bundle_of_[peer]);
    }
    if (message.bytes() > wire::message_bytes_max) FAIL_CHECK("a message that is too large");
  }

  static received owned(const wire::frame& in, std::size_t message) {
    return {in.type, in.id, std::string{in.name}, std::string{in.payload}, std::string{in.headers}, in.budget_ms, in.parts,
            in.status, in.seats, message, std::string{in.about}, in.attached == nullptr ? nullptr : in.payload.data()};
  }

  settings settings_;
  broker_core core_;
  outbox out_;
  bool holding_ = false;
  instant now_ = instant{} + std::chrono::hours{1};
  std::uint64_t random_ = 0;
  std::unique_ptr<memory_log> log_;
  bool is_log_stopped_ = false;
  std::optional<error> failing_;
  std::vector<event_effects::log_write> waiting_writes_;
  std::vector<event_effects::log_read> waiting_reads_;
  instant next_pulse_ = now_ + settings_.pulse;
  std::map<std::string, peer_id> numbers_;
  std::map<peer_id, std::string> names_;
  std::map<std::string, mailbox> inboxes_;
  std::map<std::string, std::uint32_t> bundle_of_;  ///< the most this peer has said it takes
  std::map<std::string, std::size_t> answered_;
  std::set<std::string> pulsing_;
  std::map<std::string, std::vector<wire::message>> clogged_;
  std::vector<std::pair<std::string, received>> events_;
  std::vector<std::string> notes_;
};

}  // namespace waggle::broker
