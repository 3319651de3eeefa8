// Answers that are kept, in virtual time, and against a slow and obvious cache.
#include <map>
#include <random>
#include <string>
#include <vector>

#include "gateway/replies/finish.hpp"
#include "gateway/replies/reply_cache.hpp"
#include "support/catch.hpp"

using namespace waggle;
using namespace waggle::gateway;
using namespace std::chrono_literals;
using kind = reply_cache::verdict::kind;

namespace {

struct cache_fixture {
  front::instant now{1h};
  reply_cache cache{1 << 20, 7};

  reply_cache::verdict ask(std::string_view text, std::uint64_t who = 1, cache_wishes wishes = {}, cache_times times = {10s, 5s}) {
    return cache.ask(now, {text, who, times, 4s, wishes});
  }
  std::vector<std::uint64_t> land(std::uint64_t flight, std::string body = "{}", int status = 200) {
    front::response answer{status, "application/json", std::move(body), {}};
    std::vector<std::uint64_t> out;
    for (const auto& each : cache.landed(now, flight, answer)) out.push_back(each.who);
    return out;
  }
  void put(std::string_view text, std::string body = "{}") { land(ask(text).flight, std::move(body)); }
};

using ids = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("cache: an answer is kept as long as it is fresh, says how old it is, and then is made anew", "[replies]") {
  cache_fixture test;
  const auto first = test.ask("a");
  CHECK(first.is == kind::leads);
  CHECK(test.land(first.flight, "one") == ids{1});
  test.now += 9500ms;
  const auto kept = test.ask("a");
  REQUIRE(kept.is == kind::kept);
  CHECK(kept.answer->body == "one");
  CHECK(kept.age == 9s);
  CHECK(kept.said == "waggle; hit; ttl=0");
  CHECK(kept.answer->headers.find("etag"));
  CHECK(test.ask("b").is == kind::leads);
  test.now += 6s;  // past fresh and stale
  CHECK(test.ask("a").is == kind::leads);
}

TEST_CASE("cache: a stale answer is given while one call makes a new one", "[replies]") {
  cache_fixture test;
  test.put("a", "old");
  test.now += 11s;
  const auto first = test.ask("a");
  CHECK(first.is == kind::renewed);
  CHECK(first.answer->body == "old");
  CHECK(first.said == "waggle; hit; ttl=-1");
  CHECK(test.ask("a").is == kind::kept);  // and no second call
  CHECK(test.land(first.flight, "new").empty());
  CHECK(test.ask("a").answer->body == "new");
  // A new one that fails leaves the old one.
  test.now += 11s;
  test.land(test.ask("a").flight, "broken", 503);
  CHECK(test.ask("a").answer->body == "new");
}

TEST_CASE("cache: who asks the same waits for one call, gets its answer, whatever it is, and may go", "[replies]") {
  cache_fixture test;
  const auto flight = test.ask("a", 1).flight;
  CHECK(test.ask("a", 2).is == kind::waits);
  CHECK(test.ask("a", 3).is == kind::waits);
  CHECK(test.ask("b", 4).is == kind::leads);
  CHECK_FALSE(test.cache.left(flight, 1));  // who made the call; it goes on for the others
  CHECK(test.land(flight, "no", 503) == ids{2, 3});
  const auto next = test.ask("a", 5);
  CHECK(next.is == kind::leads);  // a failure is not kept
  CHECK(test.ask("a", 6).is == kind::waits);
  CHECK_FALSE(test.cache.left(next.flight, 5));
  CHECK(test.cache.left(next.flight, 6));  // nobody is left
  CHECK(test.ask("a", 7).is == kind::leads);
}

TEST_CASE("cache: a call that is nearly over answers nobody who has just come", "[replies]") {
  cache_fixture test;
  const auto flight = test.ask("a", 1).flight;  // until 4 s
  test.now += 2s;
  CHECK(test.ask("a", 2).is == kind::waits);
  test.now += 1s;
  const auto own = test.ask("a", 3);
  CHECK(own.is == kind::leads);
  CHECK(test.ask("a", 4).flight == own.flight);
  CHECK(test.land(own.flight, "new") == ids{3, 4});
  CHECK(test.land(flight, "old") == ids{1, 2});
  CHECK(test.ask("a").answer->body == "new");  // what was asked for later stays
}

TEST_CASE("cache: a client that wants it new gets it new, and one that wants it not kept has it not kept", "[replies]") {
  cache_fixture test;
  test.put("a", "old");
  CHECK(test.ask("a", 1, {.age_max = 5s}).is == kind::kept);
  test.now += 5s;
  CHECK(test.ask("a", 1, {.age_max = 5s}).is == kind::leads);
  const auto flight = test.ask("a", 2, {.no_cache = true});
  CHECK(flight.is == kind::leads);  // and does not wait for what was asked before
  test.land(flight.flight, "new");
  CHECK(test.ask("a").answer->body == "new");
  test.land(test.ask("b", 1, {.no_store = true}).flight);
  CHECK(test.ask("b").is == kind::leads);
}

TEST_CASE("cache: what a request says of kept answers is read as RFC 9111 has it", "[replies]") {
  const auto said = [](std::string_view text) {
    const auto out = cache_wishes_of({{"cache-control", text}});
    return std::string{out.no_cache ? "no-cache " : ""} + (out.no_store ? "no-store " : "") + (out.age_max ? std::to_string(out.age_max->count()) : "");
  };
  CHECK(said("No-Cache, no-store,max-age=7") == "no-cache no-store 7");
  CHECK(said("max-age=0") == "0");
  CHECK(said("max-age=, max-age=x, max-age=-1, foo=\"no-cache\"").empty());
}

TEST_CASE("cache: only whole answers that are good for all are kept, and none that takes more than its share", "[replies]") {
  cache_fixture test;
  const auto is_kept = [&](front::response answer) {
    static int number = 0;
    const auto text = std::to_string(++number);
    const auto flight = test.ask(text).flight;
    std::ignore = test.cache.landed(test.now, flight, answer);
    return test.ask(text).is == kind::kept;
  };
  CHECK(is_kept({200, "", "x", {}}));
  CHECK_FALSE(is_kept({201, "", "x", {}}));
  CHECK_FALSE(is_kept({404, "", "x", {}}));
  CHECK_FALSE(is_kept({200, "", "x", {{"Set-Cookie", "a=b"}}}));
  CHECK_FALSE(is_kept({200, "", "x", {{"Waggle-Incomplete", "reviews"}}}));
  CHECK(is_kept({200, "", std::string(100'000, 'x'), {}}));
  CHECK_FALSE(is_kept({200, "", std::string(140'000, 'x'), {}}));
}

TEST_CASE("cache: when it is emptied, calls that are under way answer who waits and nobody else", "[replies]") {
  cache_fixture test;
  test.put("a");
  const auto flight = test.ask("b", 1).flight;
  test.cache.clear();
  CHECK(test.cache.bytes() == 0);
  CHECK(test.ask("a").is == kind::leads);
  CHECK(test.ask("b", 2).is == kind::leads);
  CHECK(test.land(flight, "old") == ids{1});
  CHECK(test.ask("b", 3).is == kind::waits);
}

TEST_CASE("cache: too many who wait for one call are told so", "[replies]") {
  cache_fixture test;
  const auto flight = test.ask("a", 0).flight;
  for (std::uint64_t i = 1; i < reply_cache::waiters_max; ++i) REQUIRE(test.ask("a", i).is == kind::waits);
  CHECK(test.ask("a", 1 << 20).is == kind::full);
  CHECK(test.land(flight).size() == reply_cache::waiters_max);
}

TEST_CASE("cache: at random it does what a slow and obvious one does", "[replies]") {
  // The model: all that was ever put in, newest use last; what does not fit any more is the least recently used.
  struct entry {
    std::string text, body;
    front::instant at;
  };
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 chance{seed};
  cache_fixture test;
  test.cache.set_bytes_max(50'000);
  std::size_t entry_bytes = 0;
  std::vector<entry> model;
  int hits = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto text = std::to_string(chance() % 60);
    if (chance() % 10 == 0) test.now += std::chrono::milliseconds{chance() % 3000};
    if (chance() % 500 == 0) {
      test.cache.clear();
      model.clear();
    }
    auto known = std::find_if(model.begin(), model.end(), [&](const auto& each) { return each.text == text; });
    if (known != model.end() && test.now >= known->at + 15s) known = (model.erase(known), model.end());
    const auto got = test.ask(text);
    if (known == model.end()) {
      REQUIRE(got.is == kind::leads);
    } else {
      ++hits;
      REQUIRE(got.answer);
      REQUIRE(got.answer->body == known->body);
      REQUIRE((got.is == kind::renewed) == (test.now >= known->at + 10s));
      std::rotate(known, known + 1, model.end());
    }
    if (got.flight == 0) continue;
    std::string body(chance() % 2000, static_cast<char>('a' + chance() % 26));
    front::response answer{200, "application/json", body, {}};
    std::ignore = test.cache.landed(test.now, got.flight, answer);
    std::erase_if(model, [&](const auto& each) { return each.text == text; });
    model.push_back({text, body, test.now});
    // How much an entry takes besides its body is the cache's affair.
    if (entry_bytes == 0) entry_bytes = test.cache.bytes() - body.size();
    while (test.cache.entries() < model.size()) model.erase(model.begin());
    REQUIRE(test.cache.bytes() <= 50'000);
    std::size_t bytes = 0;
    for (const auto& each : model) bytes += each.body.size() + entry_bytes;
    REQUIRE(bytes == test.cache.bytes());
  }
  CHECK(hits > 1000);
}
