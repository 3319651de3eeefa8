#pragma once

#include "support/catch.hpp"

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <waggle/wire/frames.hpp>
#include <waggle/wire/headers.hpp>
#include <waggle/wire/json.hpp>

#include "broker/events/event_core.hpp"
#include "broker/events/memory_log.hpp"

namespace waggle::broker {

using namespace std::chrono_literals;
using nlohmann::json;

/// What a worker says of one pattern of topics, written as a sentence: `handles("order.*").attempts(3)`.
class handles {
 public:
  explicit handles(std::string pattern) { manifest_.topic = std::move(pattern); }
  handles& group(std::string name) { return manifest_.group = std::move(name), *this; }
  handles& from_beginning() { return manifest_.from_beginning = true, *this; }
  handles& attempts(std::uint32_t count) { return manifest_.attempts = count, *this; }
  handles& budget(milliseconds of) { return manifest_.budget_ms = static_cast<std::uint64_t>(of.count()), *this; }
  operator event_manifest() const { return manifest_; }  // NOLINT: it is one

 private:
  event_manifest manifest_;
};

/// An event core in virtual time over a log in memory, with workers that are only numbers of slots. What the core wants of the log is
/// done at once unless the log is `stopped`; what it wants of workers lies in `deliveries` until the test answers.
class event_fixture : private event_members {
 public:
  struct delivery {
    std::uint64_t ticket = 0;
    std::string command;
    std::string topic;
    std::string payload;
    header_map headers;
    json about;
    milliseconds budget{};

    [[nodiscard]] std::uint64_t sequence() const { return about.at("sequence"); }
    [[nodiscard]] std::uint64_t attempt() const { return about.at("attempt"); }
  };
  struct answer {
    status code{};
    json payload;
  };
  struct broadcast {
    std::string topic;
    std::uint64_t sequence = 0;
    json about;
  };

  static event_settings durable() {
    event_settings out;
    out.durable = true;
    return out;
  }

  explicit event_fixture(event_settings from = durable())
      : settings_{std::move(from)},
        log_{std::make_unique<memory_log>([this] { return wall_ms(); }, [this] { return ++random_; })} {
    start();
  }

  /// The broker dies, what it had not given to the log is lost, and it starts again.
  void crash() {
    waiting_writes_.clear();
    waiting_reads_.clear();
    deliveries.clear();
    workers_.clear();
    start();
  }

  void join(std::string_view service, const std::vector<event_manifest>& what, std::uint32_t slots = 1) {
    REQUIRE(core_->may_join(what, service));
    for (const auto& each : what) workers_[event_command(each.group.empty() ? service : std::string_view{each.group}, each.topic)] += slots;
    core_->joined(now, what, service);
    core_->members_changed(now);
    settle();
  }
  void leave(std::string_view service, const std::vector<event_manifest>& what) {
    for (const auto& each : what) workers_.erase(event_command(each.group.empty() ? service : std::string_view{each.group}, each.topic));
    core_->members_changed(now);
    settle();
  }
  void serve(const std::string& command, bool repeatable = false, std::uint32_t slots = 1) {
    workers_[command] = slots;
    if (repeatable) repeatable_.push_back(command);
    core_->members_changed(now);
    settle();
  }

  std::uint64_t emit(std::string_view topic, const header_map& headers = {}, std::string_view payload = "\x01") {
    core_->emit(now, ++lease_, topic, payload, wire::headers_to_msgpack(headers));
    settle();
    return lease_;
  }
  std::uint64_t later(std::string_view command, const header_map& headers = {}, std::string_view payload = "\x01") {
    core_->later(now, ++lease_, command, payload, wire::headers_to_msgpack(headers), 5s);
    settle();
    return lease_;
  }
  std::uint64_t ask(std::string_view command, const json& what = nullptr, milliseconds budget = 10s) {
    const auto payload = wire::json_to_msgpack(what.dump());
    REQUIRE(payload);
    CHECK(core_->ask(now, ++lease_, command, *payload, budget));
    settle();
    return lease_;
  }
  /// The answer to what this lease names, which has come.
  answer told(std::uint64_t lease) {
    const auto found = answers_.find(lease);
    if (found == answers_.end()) FAIL("no answer for lease " << lease);
    return found->second;
  }
  [[nodiscard]] bool is_told(std::uint64_t lease) const { return answers_.contains(lease); }
  answer told_of(std::string_view command, const json& what = nullptr) { return told(ask(command, what)); }

  /// Answers the oldest delivery there is, or one of a given topic.
  delivery take() {
    REQUIRE_FALSE(deliveries.empty());
    auto out = deliveries.front();
    deliveries.pop_front();
    return out;
  }
  void acknowledge(const delivery& what, std::string_view payload = {}) { end(what, {status::ok, payload, true, true}); }
  void fail(const delivery& what, status code = status::internal, bool may_have_run = true) {
    std::string payload;
    wire::append_error(payload, {code, "it does not work", may_have_run});
    end(what, {code, payload, true, true});
  }
  /// Its worker died, or the budget passed.
  void lose(const delivery& what) { end(what, {status::unavailable, {}, true, false}); }
  /// It never left the broker.
  void give_back(const delivery& what) { end(what, {status::unavailable, {}, false, false}); }
  void end(const delivery& what, const delivery_outcome& how) {
    core_->delivered(now, what.ticket, how);
    settle();
  }

  void advance(milliseconds by) {
    const auto until = now + by;
    while (core_->next_deadline() <= until) {
      now = std::max(now, core_->next_deadline());
      core_->tick(now);
      settle();
    }
    now = until;
  }

  void stop_log() { stopped_ = true; }
  /// Does what has waited, in its order.
  void start_log() {
    stopped_ = false;
    run_log();
    settle();
  }
  /// What is written from now on fails, until the next `start_log`.
  void fail_log(error why) { failing_ = std::move(why); }
  void mend_log() { failing_.reset(); }

  event_core& core() { return *core_; }
  memory_log& log() { return *log_; }
  [[nodiscard]] std::int64_t wall_ms() const {
    return 1'700'000'000'000 + std::chrono::duration_cast<milliseconds>(now - instant{}).count();
  }

  instant now = instant{} + 1h;
  std::deque<delivery> deliveries;
  std::vector<broadcast> broadcasts;
  std::vector<std::string> notes;

 private:
  [[nodiscard]] std::uint32_t slots_of(std::string_view command) const override {
    const auto found = workers_.find(command);
    return found == workers_.end() ? 0 : found->second;
  }
  [[nodiscard]] bool may_repeat(std::string_view command) const override {
    return std::find(repeatable_.begin(), repeatable_.end(), command) != repeatable_.end();
  }

  void start() {
    core_ = std::make_unique<event_core>(settings_, *this);
    const auto there = log_->open();
    REQUIRE(there);
    core_->open(now, *there);
    settle();
  }

  static json parsed(std::string_view msgpack) { return msgpack.empty() ? json() : json::parse(wire::msgpack_to_json(std::string{msgpack})); }

  void settle() {
    while (!core_->effects().empty()) {
      auto effects = std::exchange(core_->effects(), {});
      for (auto& each : effects.answers) {
        CHECK_FALSE(answers_.contains(each.lease));
        answers_[each.lease] = {each.code, parsed(each.payload)};
      }
      for (auto& each : effects.deliveries) {
        deliveries.push_back({each.ticket, each.command, each.topic, each.payload, wire::headers_from_msgpack(each.headers), parsed(each.about), each.budget});
      }
      for (auto& each : effects.broadcasts) {
        wire::bundle_reader frames{each.event};
        wire::frame in;
        REQUIRE(frames.next(in) == wire::decoded::frame);
        CHECK(in.name == each.topic);
        broadcasts.push_back({each.topic, in.id, parsed(in.about)});
      }
      for (auto& each : effects.writes) waiting_writes_.push_back(std::move(each));
      for (auto& each : effects.reads) waiting_reads_.push_back(std::move(each));
      for (auto& each : effects.notes) notes.push_back(std::move(each));
      if (!stopped_) run_log();
    }
  }

  void run_log() {
    std::vector<write_entry> batch;
    auto writes = std::exchange(waiting_writes_, {});
    for (const auto& each : writes) batch.push_back(each.what);
    if (!batch.empty()) {
      const auto done = failing_ ? write_result{tl::unexpected{*failing_}} : log_->commit(batch);
      for (std::size_t i = 0; i < writes.size(); ++i) {
        if (writes[i].ticket == 0) continue;
        core_->wrote(now, writes[i].ticket, done ? result<written>{(*done)[i]} : tl::unexpected{done.error()});
      }
    }
    for (const auto& each : std::exchange(waiting_reads_, {})) core_->looked_up(now, each.ticket, log_->look_up(each.what));
  }

  event_settings settings_;
  std::uint64_t random_ = 0;
  std::unique_ptr<memory_log> log_;
  std::unique_ptr<event_core> core_;
  std::map<std::string, std::uint32_t, std::less<>> workers_;
  std::vector<std::string> repeatable_;
  std::map<std::uint64_t, answer> answers_;
  std::uint64_t lease_ = 0;
  bool stopped_ = false;
  std::optional<error> failing_;
  std::vector<event_effects::log_write> waiting_writes_;
  std::vector<event_effects::log_read> waiting_reads_;
};

}  // namespace waggle::broker
