#pragma once

#include <memory>
#include <string>
#include <vector>

#include "support/log_fixture.hpp"

/// What any backend of `event_log` must do. A backend's test makes one of these that knows how to open it, and calls each claim in a
/// section of its own.
namespace waggle::broker::test {

class event_log_suite {
 public:
  virtual ~event_log_suite() = default;
  log_fixture_sources sources;

  /// An empty log.
  virtual event_log& log() = 0;
  /// What the log holds when it is opened by another process.
  virtual log_contents reopen() = 0;

  void events_are_numbered_from_one_in_each_stream() {
    CHECK(write_one(log(), event("a")).sequence == 1);
    CHECK(write_one(log(), event("b")).sequence == 2);
    CHECK(write_one(log(), write::append{"other", "a", "", "", "", 0}).sequence == 1);
    const auto out = look(log(), read::events{"events", 1, {}, 10});
    REQUIRE(out.events.size() == 2);
    CHECK(out.events[0] == stored_event{1, sources.now_ms, "a", "p", "h", ""});
    CHECK(out.next == 3);
  }

  void time_does_not_run_backwards_in_a_stream() {
    const auto start = sources.now_ms;
    write_one(log(), event("a"));
    sources.now_ms -= 5000;
    CHECK(write_one(log(), event("a")).time_ms == start);
    reopen();
    CHECK(write_one(log(), event("a")).time_ms == start);
    CHECK(write_one(log(), write::append{"other", "a", "", "", "", 0}).time_ms == start - 5000);
  }

  void an_event_that_comes_again_in_time_is_the_same() {
    const auto first = write_one(log(), event("a", "p", "id"));
    CHECK_FALSE(first.repeated);
    sources.now_ms += 599'999;
    reopen();
    const auto again = write_one(log(), event("a", "other", "id"));
    CHECK(again.repeated);
    CHECK(again.sequence == 1);
    CHECK(again.time_ms == first.time_ms);
    CHECK_FALSE(write_one(log(), write::append{"other", "a", "p", "h", "id", 600'000}).repeated);
    sources.now_ms += 1;
    const auto later = write_one(log(), event("a", "p", "id"));
    CHECK_FALSE(later.repeated);
    CHECK(later.sequence == 2);
    CHECK(write_one(log(), event("a", "p", "id")).sequence == 2);
  }

  void the_same_event_twice_in_a_batch_is_one() {
    const auto out = log().commit({event("a", "p", "id"), event("a", "p", "id"), event("b")});
    REQUIRE(out.has_value());
    CHECK((*out)[1].repeated);
    CHECK((*out)[1].sequence == 1);
    CHECK((*out)[2].sequence == 2);
  }

  void payloads_of_any_bytes_and_size_come_back() {
    std::string large(4u << 20, '\0');
    for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 131 >> 3);
    write_one(log(), event("a", large, std::string{"i\0d", 3}));
    write_one(log(), event("b", ""));
    reopen();
    const auto out = look(log(), read::events{"events", 0, {}, 10, 64u << 20});
    REQUIRE(out.events.size() == 2);
    CHECK(out.events[0].payload == large);
    CHECK(out.events[0].event_id == std::string{"i\0d", 3});
    CHECK(out.events[1].payload.empty());
  }

  void reads_keep_to_their_limits() {
    for (int i = 0; i < 5; ++i) write_one(log(), event(i % 2 == 0 ? "order.a" : "user.b", std::string(100, 'x')));
    auto out = look(log(), read::events{"events", 2, {}, 2});
    CHECK(sequences(out) == std::vector<std::uint64_t>{2, 3});
    CHECK(out.next == 4);
    out = look(log(), read::events{"events", 1, {"order."}, 10});
    CHECK(sequences(out) == std::vector<std::uint64_t>{1, 3, 5});
    CHECK(out.next == 6);
    out = look(log(), read::events{"events", 1, {"order.", "user.b"}, 10, 250});
    CHECK(sequences(out) == std::vector<std::uint64_t>{1, 2});
    CHECK(out.next == 3);
    out = look(log(), read::events{"events", 3, {}, 10, 1});
    CHECK(sequences(out) == std::vector<std::uint64_t>{3});
    CHECK(out.next == 4);
    out = look(log(), read::events{"events", 1, {"none"}, 10, 1u << 20, 3});
    CHECK(out.events.empty());
    CHECK(out.next == 4);
    CHECK(look(log(), read::events{"events", 6, {}, 10}).next == 6);
    CHECK(look(log(), read::events{"nowhere", 1, {}, 10}).next == 1);
  }

  void places_are_found_by_age_and_by_number() {
    for (int i = 0; i < 10; ++i) {
      write_one(log(), event(i % 2 == 0 ? "order.a" : "user.b"));
      sources.now_ms += 1000;
    }
    const auto place = [&](std::vector<std::string> prefixes, std::int64_t age_max_ms, std::uint64_t last) {
      return look(log(), read::place{"events", std::move(prefixes), age_max_ms, last}).next;
    };
    CHECK(place({}, 3000, 0) == 8);
    CHECK(place({}, 3001, 0) == 8);
    CHECK(place({}, 2999, 0) == 9);
    CHECK(place({}, 0, 0) == 11);
    CHECK(place({}, 1'000'000, 0) == 1);
    CHECK(place({}, -1, 3) == 8);
    CHECK(place({}, -1, 0) == 11);
    CHECK(place({"order."}, -1, 2) == 7);
    CHECK(place({"order."}, -1, 100) == 1);
    CHECK(look(log(), read::place{"nowhere", {}, -1, 3}).next == 1);
    write_one(log(), write::trim{"events", 0, 0, 4, 100});
    CHECK(place({}, 1'000'000, 0) == 5);
    CHECK(place({}, -1, 100) == 5);
    CHECK(place({"order."}, -1, 100) == 5);
  }

  void the_oldest_events_are_forgotten_by_age_and_size() {
    for (int i = 0; i < 6; ++i) {
      write_one(log(), event("a", "12345678"));  // 10 bytes each
      sources.now_ms += 1000;
    }
    auto out = write_one(log(), write::trim{"events", 5500, 1000, 100, 100});
    CHECK(out.count == 1);
    CHECK(out.first == 2);
    CHECK(out.bytes == 50);
    out = write_one(log(), write::trim{"events", 1'000'000, 35, 100, 100});
    CHECK(out.count == 2);
    CHECK(out.first == 4);
    out = write_one(log(), write::trim{"events", 0, 0, 4, 100});
    CHECK(out.first == 5);
    CHECK(look(log(), read::events{"events", 1, {}, 10}).events.size() == 2);
    out = write_one(log(), write::trim{"events", 0, 0, 100, 1});
    CHECK(out.count == 1);
    out = write_one(log(), write::trim{"events", 0, 0, 100, 1});
    CHECK(out.first == 7);
    CHECK(out.bytes == 0);
    const auto contents = reopen();
    REQUIRE(contents.streams.size() == 1);
    CHECK(contents.streams[0].head == 6);
    CHECK(contents.streams[0].first == 7);
    CHECK(write_one(log(), event("a")).sequence == 7);
    CHECK(write_one(log(), write::trim{"nowhere", 0, 0, 100, 1}).first == 1);
  }

  void what_groups_have_done_comes_back() {
    write_one(log(), event("a"));
    REQUIRE(log().commit({write::group{"g", "about"}, write::progress{"g", "events", 3, 9}, write::mark{"g", "events", 5, 2, true, false, 500, "why"},
                          write::mark{"g", "events", 7, 1, false, true, 0, ""}, write::mark{"g", "events", 5, 1, false, false, 0, "stale"},
                          write::mark{"g", "events", 2, 1, false, true, 0, "settled long ago"}, write::progress{"h", "events", 0, 0}}));
    sources.now_ms += 200;
    auto contents = reopen();
    REQUIRE(contents.groups.size() == 1);
    CHECK(contents.groups[0].about == "about");
    REQUIRE(contents.cursors.size() == 2);
    CHECK(contents.cursors[0].settled == 3);
    CHECK(contents.cursors[0].reserved == 9);
    REQUIRE(contents.marks.size() == 2);
    CHECK(contents.marks[0].sequence == 5);
    CHECK(contents.marks[0].attempts == 2);
    CHECK(contents.marks[0].begun);
    CHECK_FALSE(contents.marks[0].settled);
    CHECK(contents.marks[0].retry_in_ms == 300);
    CHECK(contents.marks[0].why == "why");
    CHECK(contents.marks[1].settled);
    CHECK(contents.streams[0].oldest_age_ms == 200);
    write_one(log(), write::progress{"g", "events", 5, 9});
    CHECK(reopen().marks.size() == 1);
    CHECK(write_one(log(), write::forget_group{"g"}).count == 1);
    CHECK(write_one(log(), write::forget_group{"g"}).count == 0);
    contents = reopen();
    CHECK(contents.groups.empty());
    CHECK(contents.cursors.size() == 1);
    CHECK(contents.marks.empty());
  }

  void dead_letters_keep_a_copy() {
    write_one(log(), event("order.a", "payload", "id"));
    const auto id = write_one(log(), write::bury{"g", "events", 1, 8, "why"}).id;
    const auto missing = write_one(log(), write::bury{"g", "events", 77, 1, "gone"}).id;
    const auto other = write_one(log(), write::bury{"h", "events", 1, 3, "why"}).id;
    CHECK(id < missing);
    CHECK(missing < other);
    const auto time = sources.now_ms;
    sources.now_ms += 50;
    CHECK(write_one(log(), write::bury{"g", "events", 1, 9, "again"}).id == id);
    write_one(log(), write::trim{"events", 0, 0, 10, 10});
    const auto contents = reopen();
    REQUIRE(contents.dead.size() == 2);
    CHECK(contents.dead[0].count == 2);
    REQUIRE(contents.marks.size() == 3);
    CHECK(contents.marks[0].settled);
    CHECK(contents.marks[0].attempts == 9);

    auto out = look(log(), read::dead_letters{"g", 0, 10, true});
    CHECK(out.total == 2);
    REQUIRE(out.dead.size() == 2);
    CHECK(out.dead[0].event == stored_event{1, time, "order.a", "payload", "h", "id"});
    CHECK(out.dead[0].attempts == 9);
    CHECK(out.dead[0].why == "again");
    CHECK(out.dead[0].dead_ms == time);
    CHECK(out.dead[0].bytes == 8);
    CHECK(out.dead[1].event == stored_event{77, 0, "", "", "", ""});
    out = look(log(), read::dead_letters{"", 0, 2, false});
    CHECK(out.total == 3);
    REQUIRE(out.dead.size() == 2);
    CHECK(out.dead[0].event.payload.empty());
    CHECK(out.dead[0].event.topic == "order.a");
    CHECK(out.dead[0].bytes == 8);
    CHECK(look(log(), read::dead_letters{"", missing, 10, true, 1}).dead.size() == 1);
    CHECK(look(log(), read::dead_letters{"", other, 10, true, 1}).dead.size() == 1);

    CHECK(write_one(log(), write::drop_dead{other}).count == 1);
    CHECK(write_one(log(), write::drop_dead{other}).count == 0);
    reopen();
    CHECK(write_one(log(), write::bury{"h", "events", 78, 3, "why"}).id > other);
    write_one(log(), write::forget_group{"g"});
    CHECK(look(log(), read::dead_letters{"g", 0, 10}).total == 0);
    CHECK(look(log(), read::dead_letters{"", 0, 10}).total == 1);
  }

  void durable_commands_are_operations() {
    const write::accept asked{"later", "mail.send", "payload", "h", "key"};
    const auto first = write_one(log(), asked);
    CHECK(first.operation.size() == 32);
    CHECK(first.sequence == 1);
    CHECK(look(log(), read::events{"later", 1, {}, 1}).events.at(0).event_id == first.operation);
    reopen();
    const auto again = write_one(log(), asked);
    CHECK(again.repeated);
    CHECK_FALSE(again.conflict);
    CHECK_FALSE(again.ended);
    CHECK(again.operation == first.operation);
    auto other = asked;
    other.payload = "another";
    CHECK(write_one(log(), other).conflict);
    other = asked;
    other.command = "mail.drop";
    const auto second = write_one(log(), other);
    CHECK_FALSE(second.repeated);
    CHECK(second.operation != first.operation);
    other = asked;
    other.idempotency_key.clear();
    CHECK_FALSE(write_one(log(), other).repeated);

    auto known = look(log(), read::operation{first.operation}).operation;
    REQUIRE(known.has_value());
    CHECK(known->command == "mail.send");
    CHECK(known->accepted_ms == sources.now_ms);
    CHECK_FALSE(known->ended_ms.has_value());
    sources.now_ms += 10;
    write_one(log(), write::finish{first.operation, status::not_found, "nobody", 1000});
    write_one(log(), write::finish{first.operation, status::ok, "after all", 1000});
    write_one(log(), write::finish{first.operation, status::internal, "too late", 9000});
    write_one(log(), write::finish{"unknown", status::ok, "", 0});
    reopen();
    known = look(log(), read::operation{first.operation}).operation;
    REQUIRE(known.has_value());
    CHECK(known->ended_ms == sources.now_ms);
    CHECK(known->code == status::ok);
    CHECK(known->payload == "after all");
    CHECK(write_one(log(), asked).ended);
    CHECK_FALSE(look(log(), read::operation{"unknown"}).operation.has_value());

    sources.now_ms += 999;
    CHECK(write_one(log(), write::expire_operations{10}).count == 0);
    sources.now_ms += 1;
    CHECK(write_one(log(), write::expire_operations{0}).count == 0);
    CHECK(write_one(log(), write::expire_operations{10}).count == 1);
    CHECK_FALSE(look(log(), read::operation{first.operation}).operation.has_value());
    CHECK_FALSE(write_one(log(), asked).repeated);
  }
};

/// All claims, each with a log of its own.
#define WAGGLE_EVENT_LOG_SUITE(backend, suite, tag)                                                                       \
  TEST_CASE(backend ": events are numbered from one in each stream", tag) { suite{}.events_are_numbered_from_one_in_each_stream(); } \
  TEST_CASE(backend ": time does not run backwards in a stream", tag) { suite{}.time_does_not_run_backwards_in_a_stream(); }         \
  TEST_CASE(backend ": an event that comes again in time is the same", tag) { suite{}.an_event_that_comes_again_in_time_is_the_same(); } \
  TEST_CASE(backend ": the same event twice in a batch is one", tag) { suite{}.the_same_event_twice_in_a_batch_is_one(); }           \
  TEST_CASE(backend ": payloads of any bytes and size come back", tag) { suite{}.payloads_of_any_bytes_and_size_come_back(); }       \
  TEST_CASE(backend ": reads keep to their limits", tag) { suite{}.reads_keep_to_their_limits(); }                                   \
  TEST_CASE(backend ": places are found by age and by number", tag) { suite{}.places_are_found_by_age_and_by_number(); }             \
  TEST_CASE(backend ": the oldest events are forgotten by age and size", tag) { suite{}.the_oldest_events_are_forgotten_by_age_and_size(); } \
  TEST_CASE(backend ": what groups have done comes back", tag) { suite{}.what_groups_have_done_comes_back(); }                       \
  TEST_CASE(backend ": dead letters keep a copy", tag) { suite{}.dead_letters_keep_a_copy(); }                                       \
  TEST_CASE(backend ": durable commands are operations", tag) { suite{}.durable_commands_are_operations(); }

}  // namespace waggle::broker::test
