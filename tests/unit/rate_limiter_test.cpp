// Rates: buckets, their table, and what clients are told.
#include "gateway/traffic/rate_limiter.hpp"
#include "support/catch.hpp"

#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using namespace waggle::gateway;
using waggle::front::instant;

namespace {

constexpr siphash_key secret{1, 2};
const instant start{1'000'000s};

/// The slow and obvious bucket: tokens that come one by one.
struct token_bucket {
  explicit token_bucket(const rate_terms& terms) : burst{terms.burst}, each{std::chrono::nanoseconds{terms.per} / terms.limit}, tokens{terms.burst} {}
  bool take(instant now) {
    while (tokens < burst && now - since >= each) {
      ++tokens;
      since += each;
    }
    if (tokens == burst) since = now;
    if (tokens == 0) return false;
    --tokens;
    return true;
  }
  std::uint64_t burst;
  std::chrono::nanoseconds each;
  std::uint64_t tokens;
  instant since{};
};

rate_rule rule(std::string name, const rate_terms& terms, std::vector<rate_by> by = {{}}) {
  return {std::move(name), std::move(by), std::make_shared<rate_table>(terms, secret)};
}

const ip_address ada = parse_ip_address("192.0.2.1").value();
const ip_address bob = parse_ip_address("192.0.2.2").value();

}  // namespace

TEST_CASE("siphash: it is SipHash-2-4", "[traffic]") {
  const siphash_key key{0x0706050403020100u, 0x0f0e0d0c0b0a0908u};  // of the paper's appendix A
  std::string text;
  for (char c = 0; c < 15; ++c) text += c;
  CHECK(siphash(key, text) == 0xa129ca6149be45e5u);
  CHECK(siphash(key, "") == 0x726fdb47dd0e0e31u);
  CHECK(siphash(key, text.substr(0, 8)) == 0x93f5f5799a932462u);
}

TEST_CASE("rates: a burst passes, then as many as come in", "[traffic]") {
  rate_table table{{.limit = 10, .per = 1s, .burst = 3}, secret};
  for (int i = 3; i-- > 0;) {
    const auto said = table.take(start, "a");
    CHECK(said.allowed);
    CHECK(said.remaining == static_cast<std::uint64_t>(i));
    CHECK(said.more_in == 100ms);
  }
  const auto refused = table.take(start, "a");
  CHECK(!refused.allowed);
  CHECK(refused.more_in == 100ms);
  CHECK(table.take(start, "b").allowed);
  CHECK(!table.take(start + 99ms, "a").allowed);
  CHECK(table.take(start + 100ms, "a").allowed);
  CHECK(!table.take(start + 199ms, "a").allowed);
  CHECK(table.take(start + 10s, "a").remaining == 2);  // no more than a burst is saved
}

TEST_CASE("rates: who only looks takes nothing, and what is given back can be taken again", "[traffic]") {
  rate_table table{{.limit = 1, .per = 1min, .burst = 1}, secret};
  CHECK(table.peek(start, "a").allowed);
  CHECK(table.take(start, "a").allowed);
  CHECK(!table.peek(start, "a").allowed);
  CHECK(table.peek(start, "a").more_in == 1min);
  table.refund("a");
  CHECK(table.take(start, "a").allowed);
  table.refund("nobody");
  CHECK(!table.take(start, "a").allowed);
}

TEST_CASE("rates: as long as all keys have room, each has exactly its bucket", "[traffic]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random{seed};
  for (int round = 0; round < 20; ++round) {
    const rate_terms terms{.limit = 1 + random() % 20, .per = std::chrono::milliseconds{1000 * (1 + random() % 3)}, .burst = 1 + random() % 30};
    // So that the reference, which counts whole nanoseconds, rounds nothing.
    if ((terms.per.count() * 1'000'000) % static_cast<std::int64_t>(terms.limit) != 0) continue;
    rate_table table{terms, {random(), random()}};
    std::map<std::string, token_bucket> reference;
    auto now = start;
    for (int i = 0; i < 5'000; ++i) {
      now += std::chrono::microseconds{random() % 20'000};
      const auto key = std::to_string(random() % 40);
      auto& bucket = reference.try_emplace(key, terms).first->second;
      const auto said = table.take(now, key);
      REQUIRE(said.allowed == bucket.take(now));
      REQUIRE(said.remaining == bucket.tokens);
    }
  }
}

TEST_CASE("rates: with more keys than there is room for nobody gets more than his limit", "[traffic]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random{seed};
  const rate_terms terms{.limit = 5, .per = 10s, .burst = 5};
  rate_table table{terms, {random(), random()}, nullptr, 256};
  std::map<std::string, token_bucket> reference;
  auto now = start;
  int allowed = 0, more = 0;
  for (int i = 0; i < 50'000; ++i) {
    now += std::chrono::microseconds{random() % 5'000};
    const auto key = std::to_string(random() % 2'000);
    auto& bucket = reference.try_emplace(key, terms).first->second;
    const bool said = table.take(now, key).allowed;
    allowed += said;
    // What the table has refused the bucket keeps, so the reference may only know of more tokens, never of fewer.
    if (said && !bucket.take(now)) ++more;
  }
  CHECK(more == 0);
  CHECK(allowed > 10'000);  // 256 buckets, in 125 s: it does not refuse everybody either
  CHECK(table.places() == 256);
}

TEST_CASE("rates: many who come once neither displace who has used much nor get past the limit together", "[traffic]") {
  const rate_terms terms{.limit = 10, .per = 1h, .burst = 10};
  rate_table table{terms, secret, nullptr, 1024};
  for (int i = 0; i < 10; ++i) REQUIRE(table.take(start, "busy").allowed);
  int passed = 0;
  for (int i = 0; i < 100'000; ++i) passed += table.take(start + 1s, "visitor " + std::to_string(i)).allowed;
  CHECK(passed <= 1024 * 10);
  CHECK(!table.take(start + 2s, "busy").allowed);
}

TEST_CASE("rates: a table grows with its keys, as far as all tables together may", "[traffic]") {
  const auto in_all = std::make_shared<std::atomic<std::size_t>>(0);
  {
    rate_table table{{.limit = 1, .per = 1h, .burst = 1}, secret, in_all};
    CHECK(table.places() == 128);
    for (int i = 0; i < 20'000; ++i) REQUIRE(table.take(start, std::to_string(i)).allowed);
    for (int i = 0; i < 20'000; ++i) REQUIRE(!table.take(start, std::to_string(i)).allowed);
    CHECK(table.places() >= 20'000);
    CHECK(*in_all == table.places());
  }
  CHECK(*in_all == 0);
  *in_all = rate_keys_in_all_max;
  rate_table late{{.limit = 1, .per = 1h, .burst = 1}, secret, in_all};
  for (int i = 0; i < 20'000; ++i) (void)late.take(start, std::to_string(i));
  CHECK(late.places() == 128);
}

TEST_CASE("rates: a limit holds over all threads", "[traffic]") {
  rate_table table{{.limit = 1'000, .per = 24h, .burst = 1'000}, secret};
  std::atomic<int> passed{0};
  std::vector<std::thread> all;
  for (int i = 0; i < 4; ++i) {
    all.emplace_back([&] {
      for (int k = 0; k < 1'000; ++k) passed += table.take(start, "a").allowed;
    });
  }
  for (auto& each : all) each.join();
  CHECK(passed == 1'000);
}

TEST_CASE("rates: a request that one limit refuses counts in none", "[traffic]") {
  const std::vector<rate_rule> rules{rule("many", {.limit = 100, .per = 1min, .burst = 100}), rule("few", {.limit = 1, .per = 1min, .burst = 1}),
                                     rule("none", {.limit = 1, .per = 10min, .burst = 1})};
  const rate_subject who{ada, {}, {}, {}};
  rate_report first;
  CHECK(!count_request(start, rules, who, first));
  CHECK(first.policies() == R"("many";q=100;w=60, "few";q=1;w=60, "none";q=1;w=600)");
  CHECK(first.remaining() == R"("none";r=0;t=600)");
  for (int i = 0; i < 10; ++i) {
    rate_report report;
    const auto refused = count_request(start + 1s, rules, who, report);
    REQUIRE(refused);
    CHECK(refused->violated == std::vector<std::string>{"few", "none"});
    CHECK(refused->retry_after == 599s);
    CHECK(report.remaining() == R"("none";r=0;t=599)");
  }
  CHECK(rules[0].buckets->peek(start + 1s, rules[0].key_of(who)).remaining == 100);  // of which one has come back
}

TEST_CASE("rates: what is counted together is what has all of it in common", "[traffic]") {
  using kind = rate_by::kind;
  const auto claimed = [](const char* value) {
    return [value](const std::vector<std::string>& steps) { return steps == std::vector<std::string>{"sub"} ? std::optional<std::string>{value} : std::nullopt; };
  };
  const auto by_claim = rule("c", {1, 1s, 1}, {{kind::claim, {"sub"}}});
  CHECK(by_claim.key_of({ada, {}, {}, claimed("x")}) == by_claim.key_of({bob, {}, {}, claimed("x")}));
  CHECK(by_claim.key_of({ada, {}, {}, claimed("x")}) != by_claim.key_of({ada, {}, {}, claimed("y")}));
  // Without the claim by address, and nobody can be another's address by what he claims.
  CHECK(by_claim.key_of({ada, {}, {}, {}}) != by_claim.key_of({bob, {}, {}, {}}));
  CHECK(by_claim.key_of({ada, {}, {}, claimed("\xc0\x00\x02\x01")}) != by_claim.key_of({ada, {}, {}, {}}));
  const auto by_key = rule("k", {1, 1s, 1}, {{kind::key, {}}});
  CHECK(by_key.key_of({ada, "k1", {}, {}}) == by_key.key_of({bob, "k1", {}, {}}));
  CHECK(by_key.key_of({ada, {}, {}, {}}) != by_key.key_of({bob, {}, {}, {}}));
  const auto by_route = rule("r", {1, 1s, 1}, {{kind::route, {}}});
  CHECK(by_route.key_of({ada, {}, "GET /a", {}}) == by_route.key_of({bob, {}, "GET /a", {}}));
  CHECK(by_route.key_of({ada, {}, "GET /a", {}}) != by_route.key_of({ada, {}, "GET /b", {}}));
  const auto both = rule("b", {1, 1s, 1}, {{kind::key, {}}, {kind::route, {}}});
  CHECK(both.key_of({ada, "ab", "c", {}}) != both.key_of({ada, "a", "bc", {}}));
}

TEST_CASE("rates: a policy tells of a burst that is not the limit", "[traffic]") {
  CHECK(rule("address-1m", {.limit = 60, .per = 1min, .burst = 5}).policy == R"("address-1m";q=60;w=60;waggle-burst=5)");
  rate_report report;
  const auto full = rule("a", {1, 1s, 1});
  report.add(full, {true, 7, 0ns});
  CHECK(report.remaining() == R"("a";r=7)");
}
