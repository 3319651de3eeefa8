#include "broker/events/log_queue.hpp"

#include <atomic>
#include <thread>

#include "broker/events/log_thread.hpp"
#include "broker/events/memory_log.hpp"
#include "support/log_fixture.hpp"

using namespace std::literals;
using namespace waggle;
using namespace waggle::broker;
using namespace waggle::broker::test;

namespace {

/// A log in memory whose batches fail as they are told to.
class frail_log final : public event_log {
 public:
  explicit frail_log(log_sources from) : log_{std::move(from), true} {}

  [[nodiscard]] bool durable() const override { return true; }
  result<log_contents> open() override { return log_.open(); }
  write_result commit(const std::vector<write_entry>& batch) override {
    batches.push_back(batch.size());
    if (fails != status::ok && (fails_with_events_only == 0 || adds_events(batch))) return failure(fails, "the disk is full; make room there");
    for (const auto& each : batch) {
      const auto* append = std::get_if<write::append>(&each);
      if (append != nullptr && append->topic == "bad") return failure(status::data_loss, "a part is damaged");
      if (const auto* mark = std::get_if<write::mark>(&each); mark != nullptr && mark->group == "bad") return failure(status::data_loss, "a part is damaged");
    }
    return log_.commit(batch);
  }
  read_result look_up(const read_entry& what) override { return log_.look_up(what); }

  status fails = status::ok;
  int fails_with_events_only = 0;
  std::vector<std::size_t> batches;

 private:
  static bool adds_events(const std::vector<write_entry>& batch) {
    return std::any_of(batch.begin(), batch.end(), [](const auto& each) { return std::holds_alternative<write::append>(each); });
  }
  memory_log log_;
};

struct queue_fixture {
  log_fixture_sources sources;
  frail_log log{sources.get()};
  log_queue queue{log, {.batch_entries_max = 4, .batch_bytes_max = 4096, .reads_max = 2, .kept_max = 6, .retry = 1000ms}};
  log_answers out;
  instant now{1h};

  void run() {
    out = {};
    queue.run(now, out);
  }
  /// What a ticket was answered with; `unknown` if it was not.
  [[nodiscard]] status answer(std::uint64_t ticket) const {
    for (const auto& each : out.writes) {
      if (each.ticket == ticket) return each.what ? status::ok : each.what.error().code;
    }
    return status::unknown;
  }
  [[nodiscard]] static write::mark mark(std::uint64_t sequence, std::string group = "g") {
    return {std::move(group), "events", sequence, 1, false, true, 0, {}};
  }
};

}  // namespace

TEST_CASE("log queue: what waits is written with one commit, up to the limits of a batch", "[log]") {
  queue_fixture at;
  CHECK(at.queue.next_run() == instant::max());
  for (std::uint64_t i = 1; i <= 5; ++i) at.queue.write(i, event("a"));
  at.queue.write(6, event("a", std::string(5000, 'x')));
  at.queue.write(7, event("a"));
  CHECK(at.queue.next_run() == instant::min());
  at.run();
  CHECK(at.out.writes.size() == 4);
  CHECK(at.out.writes[3].what->sequence == 4);
  at.run();
  CHECK(at.answer(5) == status::ok);
  CHECK(at.answer(6) == status::unknown);
  at.run();
  CHECK(at.answer(6) == status::ok);
  at.run();
  CHECK(at.log.batches == std::vector<std::size_t>{4, 1, 1, 1});
  CHECK(at.queue.next_run() == instant::max());
}

TEST_CASE("log queue: a read sees what was put in before it, and ticket 0 is not answered", "[log]") {
  queue_fixture at;
  at.queue.write(0, event("a"));
  for (std::uint64_t i = 1; i <= 3; ++i) at.queue.read(i, read::events{"events", 1, {}, 10});
  at.run();
  CHECK(at.out.writes.empty());
  REQUIRE(at.out.reads.size() == 2);
  CHECK(at.out.reads[0].what->events.size() == 1);
  CHECK(at.queue.next_run() == instant::min());
  at.run();
  CHECK(at.out.reads.size() == 1);
}

TEST_CASE("log queue: when the disk is full, emitters are told and acknowledgements are kept", "[log]") {
  queue_fixture at;
  at.queue.write(9, event("a"));
  at.run();
  at.log.fails = status::resource_exhausted;
  at.queue.write(1, event("a"));
  at.queue.write(2, at.mark(1));
  at.queue.write(3, write::accept{"later", "c", "", "", ""});
  at.run();
  CHECK(at.answer(1) == status::resource_exhausted);
  CHECK(at.answer(2) == status::unknown);
  CHECK(at.answer(3) == status::resource_exhausted);
  CHECK(at.out.notes == std::vector{"events cannot be written: the disk is full; make room there"s});
  CHECK(at.queue.next_run() == at.now + 1000ms);

  SECTION("while it fails, emitters are told at once") {
    at.queue.write(4, event("a"));
    at.queue.write(5, at.mark(2));
    const auto tried = at.log.batches.size();
    at.run();
    CHECK(at.answer(4) == status::resource_exhausted);
    CHECK(at.log.batches.size() == tried);
    CHECK(at.queue.waiting() == 2);
    CHECK(at.out.notes.empty());
  }
  at.log.fails = status::ok;
  at.run();
  CHECK(at.answer(2) == status::unknown);
  at.now += 1000ms;
  at.run();
  CHECK(at.answer(2) == status::ok);
  CHECK(at.out.notes == std::vector{"events are written again"s});
  CHECK(at.queue.next_run() == instant::max());
  CHECK(at.log.open()->marks.at(0).sequence == 1);
}

TEST_CASE("log queue: acknowledgements are written at once when only the events were too much", "[log]") {
  queue_fixture at;
  at.log.fails = status::resource_exhausted;
  at.log.fails_with_events_only = 1;
  at.queue.write(1, event("a"));
  at.queue.write(2, at.mark(1));
  at.run();
  CHECK(at.answer(1) == status::resource_exhausted);
  CHECK(at.answer(2) == status::ok);
  CHECK(at.queue.waiting() == 0);
}

TEST_CASE("log queue: trims go before what is kept, but not before what still needs the events", "[log]") {
  queue_fixture at;
  for (int i = 0; i < 4; ++i) write_one(at.log, event("a"));
  write_one(at.log, write::append{"other", "a", "p", "h", "", 0});
  at.log.batches.clear();
  at.log.fails = status::unavailable;
  at.queue.write(1, at.mark(4));
  at.queue.write(2, write::trim{"other", 0, 0, 1, 10});
  at.queue.write(3, write::bury{"g", "events", 1, 8, "why"});
  at.queue.write(4, write::trim{"events", 0, 0, 4, 10});
  at.run();
  at.log.fails = status::ok;
  at.now += 1000ms;
  at.run();
  REQUIRE(at.out.writes.size() == 4);
  CHECK(at.out.writes[0].ticket == 2);
  CHECK(at.out.writes[1].ticket == 1);
  CHECK(at.out.writes[2].ticket == 3);
  CHECK(look(at.log, read::dead_letters{"g", 0, 1, true}).dead.at(0).event.payload == "p");
}

// The simulator of events, seed 1053: the broker could have crashed between the two, and the group would have been there again.
TEST_CASE("log queue: no trim goes before a group that is to be forgotten, whose events it may take", "[log]") {
  queue_fixture at;
  for (int i = 0; i < 4; ++i) write_one(at.log, event("a"));
  at.log.fails = status::unavailable;
  at.queue.write(1, write::trim{"events", 0, 0, 1, 10});
  at.queue.write(2, at.mark(2));
  at.queue.write(3, write::forget_group{"g"});
  at.queue.write(4, write::trim{"events", 0, 0, 4, 10});
  at.run();
  at.log.fails = status::ok;
  at.now += 1000ms;
  at.run();
  REQUIRE(at.out.writes.size() == 4);
  for (std::uint64_t i = 0; i < 4; ++i) CHECK(at.out.writes[i].ticket == i + 1);
}

TEST_CASE("log queue: what is kept stays in order over several failures, and is bounded", "[log]") {
  queue_fixture at;
  at.log.fails = status::unavailable;
  for (std::uint64_t i = 1; i <= 9; ++i) at.queue.write(i, write::group{"g", std::to_string(i)});
  at.run();
  at.now += 1000ms;
  at.run();
  CHECK(at.queue.waiting() == 6);
  CHECK(at.answer(6) == status::unknown);
  CHECK(at.answer(7) == status::unavailable);
  at.log.fails = status::ok;
  std::vector<std::uint64_t> order;
  for (int i = 0; i < 4; ++i) {
    at.now += 1000ms;
    at.run();
    for (const auto& each : at.out.writes) order.push_back(each.ticket);
  }
  CHECK(order == std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("log queue: an entry that spoils its batch fails alone", "[log]") {
  queue_fixture at;
  at.queue.write(1, event("a"));
  at.queue.write(2, event("bad"));
  at.queue.write(3, at.mark(1, "bad"));
  at.queue.write(4, event("b"));
  at.run();
  CHECK(at.answer(1) == status::ok);
  CHECK(at.answer(2) == status::data_loss);
  CHECK(at.answer(3) == status::data_loss);
  CHECK(at.answer(4) == status::ok);
  CHECK(at.queue.waiting() == 0);
  CHECK(look(at.log, read::events{"events", 1, {}, 10}).events.size() == 2);
}

TEST_CASE("log thread: everything put in is answered, and stopping writes what is there", "[log]") {
  log_fixture_sources sources;
  log_thread thread{std::make_unique<memory_log>(sources.get())};
  log_answers out;
  const auto take_until = [&](std::size_t count) {
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (out.writes.size() + out.reads.size() < count && std::chrono::steady_clock::now() < deadline) {
      net::waiter waiter;
      waiter.read(thread.descriptor());
      waiter.wait_until(deadline);
      thread.take(out);
    }
  };
  std::vector<event_effects::log_write> writes;
  std::vector<event_effects::log_read> reads;
  for (std::uint64_t i = 1; i <= 1000; ++i) {
    writes.push_back({i, event("a")});
    if (i % 7 == 0) thread.put(writes, reads);
  }
  thread.put(writes, reads);
  CHECK(writes.empty());
  take_until(1000);
  REQUIRE(out.writes.size() == 1000);
  CHECK(out.writes[999].ticket == 1000);
  CHECK(out.writes[999].what->sequence == 1000);
  reads.push_back({1, read::events{"events", 990, {}, 100}});
  thread.put(writes, reads);
  take_until(1001);
  REQUIRE(out.reads.size() == 1);
  CHECK(out.reads[0].what->events.size() == 11);
  for (std::uint64_t i = 1001; i <= 10'000; ++i) writes.push_back({i, event("a")});
  thread.put(writes, reads);
  thread.stop();
  thread.take(out);
  CHECK(out.writes.size() == 10'000);
}

TEST_CASE("log thread: who is woken finds the answers there, each time", "[log]") {
  log_fixture_sources sources;
  log_thread thread{std::make_unique<memory_log>(sources.get())};
  std::size_t woken_for_nothing = 0;
  for (std::uint64_t i = 1; i <= 5000; ++i) {
    std::vector<event_effects::log_write> writes{{i, event("a")}};
    std::vector<event_effects::log_read> reads;
    thread.put(writes, reads);
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    for (log_answers out; out.empty();) {
      net::waiter waiter;
      waiter.read(thread.descriptor());
      waiter.wait_until(deadline);
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      thread.take(out);
      woken_for_nothing += out.empty() ? 1 : 0;
    }
  }
  CHECK(woken_for_nothing == 0);
}

TEST_CASE("log thread: stopping does not wait for a log that cannot be written", "[log]") {
  log_fixture_sources sources;
  auto log = std::make_unique<frail_log>(sources.get());
  log->fails = status::resource_exhausted;
  log_thread thread{std::move(log)};
  std::vector<event_effects::log_write> writes{{1, event("a")}, {2, queue_fixture::mark(1)}};
  std::vector<event_effects::log_read> reads;
  thread.put(writes, reads);
  thread.stop();
  log_answers out;
  thread.take(out);
  REQUIRE(out.writes.size() == 1);
  CHECK(out.writes[0].what.error().code == status::resource_exhausted);
}
