// Breakers, retry budgets and places: what is done while a service is in trouble.
#include "gateway/traffic/command_guards.hpp"
#include "gateway/traffic/concurrency.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using namespace waggle;
using namespace waggle::gateway;
using front::instant;
using state = circuit_breaker::state;

namespace {

const instant start{1'000'000s};
constexpr breaker_terms terms{.failures_percent = 50, .of = 4, .within = 10s, .open = 5s};

void end(circuit_breaker& of, instant now, call_verdict how) {
  const auto ticket = of.admit(now);
  REQUIRE(ticket != 0);
  of.record(now, ticket, how);
}

circuit_breaker opened(instant now) {
  circuit_breaker out{terms};
  for (int i = 0; i < 4; ++i) end(out, now, call_verdict::failed);
  return out;
}

}  // namespace

TEST_CASE("breaker: it opens when its share of enough calls has failed, and not before", "[traffic]") {
  circuit_breaker of{terms};
  for (const auto how : {call_verdict::failed, call_verdict::failed, call_verdict::succeeded}) end(of, start, how);
  CHECK(of.at(start) == state::closed);  // two of three, but three are too few
  end(of, start, call_verdict::succeeded);
  CHECK(of.at(start) == state::closed);  // an answer that is good opens nothing
  end(of, start, call_verdict::neither);
  end(of, start, call_verdict::failed);
  CHECK(of.at(start) == state::open);
  CHECK(of.admit(start) == 0);
  CHECK(of.retry_after(start + 1s) == 4s);
}

TEST_CASE("breaker: what is older than its window is forgotten", "[traffic]") {
  circuit_breaker of{terms};
  for (int i = 0; i < 3; ++i) end(of, start, call_verdict::failed);
  end(of, start + 11s, call_verdict::failed);
  CHECK(of.at(start + 11s) == state::closed);
  CHECK(!of.idle(start + 20s));
  CHECK(of.idle(start + 22s));
}

TEST_CASE("breaker: after its time a few calls try, and all of them have to succeed", "[traffic]") {
  auto of = opened(start);
  CHECK(of.admit(start + 4999ms) == 0);
  CHECK(of.at(start + 5s) == state::half_open);
  std::vector<circuit_breaker::ticket> probes;
  for (unsigned i = 0; i < breaker_probes; ++i) probes.push_back(of.admit(start + 5s));
  CHECK(of.admit(start + 5s) == 0);
  for (const auto each : probes) {
    REQUIRE(each != 0);
    CHECK(of.at(start + 6s) == state::half_open);
    of.record(start + 6s, each, call_verdict::succeeded);
  }
  CHECK(of.at(start + 6s) == state::closed);
  for (int i = 0; i < 3; ++i) end(of, start + 6s, call_verdict::failed);
  CHECK(of.at(start + 6s) == state::closed);  // it begins anew
}

TEST_CASE("breaker: one try that fails opens it again, and one that says nothing is tried again", "[traffic]") {
  auto of = opened(start);
  const auto first = of.admit(start + 5s), second = of.admit(start + 5s), third = of.admit(start + 5s);
  of.record(start + 5s, first, call_verdict::neither);
  const auto instead = of.admit(start + 5s);
  CHECK(instead != 0);
  of.record(start + 5s, second, call_verdict::succeeded);
  of.record(start + 6s, third, call_verdict::failed);
  CHECK(of.at(start + 6s) == state::open);
  CHECK(of.retry_after(start + 6s) == 5s);
  of.record(start + 6s, instead, call_verdict::succeeded);
  CHECK(of.at(start + 6s) == state::open);
}

TEST_CASE("breaker: a call that began before it opened does not decide whether it closes", "[traffic]") {
  circuit_breaker of{terms};
  const auto slow = of.admit(start);
  for (int i = 0; i < 4; ++i) end(of, start, call_verdict::failed);
  REQUIRE(of.admit(start + 5s) != 0);
  of.record(start + 5s, slow, call_verdict::failed);
  CHECK(of.at(start + 5s) == state::half_open);
}

TEST_CASE("breaker: whatever happens, while it is half open no more calls than its probes are under way", "[traffic]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random{seed};
  circuit_breaker of{terms};
  std::vector<circuit_breaker::ticket> under_way, probes;
  auto now = start;
  int rests = 0, recoveries = 0;
  for (int i = 0; i < 100'000; ++i) {
    now += std::chrono::milliseconds{random() % 300};
    const auto before = of.at(now);
    if (random() % 2 == 0) {
      const auto ticket = of.admit(now);
      if (before == state::closed) REQUIRE(ticket != 0);
      if (before == state::open) REQUIRE(ticket == 0);
      if (ticket == 0) continue;
      if (before == state::half_open && (probes.empty() || probes.back() != ticket)) probes.clear();
      (before == state::half_open ? probes : under_way).push_back(ticket);
      REQUIRE(probes.size() <= breaker_probes);
      continue;
    }
    auto& from = random() % 2 == 0 ? probes : under_way;
    if (from.empty()) continue;
    std::swap(from[random() % from.size()], from.back());
    of.record(now, from.back(), static_cast<call_verdict>(random() % 3));
    from.pop_back();
    if (of.at(now) != before) ++(of.at(now) == state::open ? rests : recoveries);
  }
  CHECK(rests > 100);
  CHECK(recoveries > 10);
}

TEST_CASE("guards: nobody being there or being too slow is a failure; a handler's own error is not, nor a client that left", "[traffic]") {
  for (const auto& each : status_table) {
    CAPTURE(each.name);
    const bool failed = each.code == status::unavailable || each.code == status::deadline_exceeded;
    CHECK(verdict_of(each.code) == (failed ? call_verdict::failed : each.code == status::cancelled ? call_verdict::neither : call_verdict::succeeded));
  }
}

TEST_CASE("guards: each command has its own breaker, and there are not more than may be", "[traffic]") {
  command_guards all{terms, std::nullopt};
  for (int i = 0; i < 4; ++i) {
    const auto let = all.admit(start, "a.b");
    REQUIRE(!let.open);
    all.record(start, "a.b", let.ticket, call_verdict::failed);
  }
  CHECK(all.admit(start, "a.b").open);
  CHECK(all.admit(start, "a.b").retry_after == 5s);
  CHECK(!all.admit(start, "a.c").open);
  const auto seen = all.states(start);
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].command == "a.b");
  CHECK(seen[0].state == state::open);
  CHECK(seen[0].refused == 2);
  CHECK(seen[1].state == state::closed);
  for (std::size_t i = 0; i < 3 * guarded_commands_max; ++i) {
    const auto name = "x." + std::to_string(i);
    all.record(start, name, all.admit(start, name).ticket, call_verdict::succeeded);
  }
  CHECK(all.states(start).size() <= guarded_commands_max);
  CHECK(all.admit(start, "a.b").open);
  // Once they are idle others take their places.
  for (std::size_t i = 0; i < 100; ++i) (void)all.admit(start + 1min, "y." + std::to_string(i));
  const auto later = all.states(start + 1min);
  CHECK(std::any_of(later.begin(), later.end(), [](const auto& each) { return each.command.starts_with("y."); }));
}

TEST_CASE("retries: there are as many as the calls have paid for, and one a second", "[traffic]") {
  retry_budget of{start};
  const retry_terms ten_percent{.attempts = 2, .budget_percent = 10};
  for (std::uint64_t i = 0; i < retry_budget::saved_max; ++i) CHECK(of.take(start));
  CHECK(!of.take(start));
  for (int i = 0; i < 9; ++i) of.pay_in(ten_percent);
  CHECK(!of.take(start));
  of.pay_in(ten_percent);
  CHECK(of.take(start));
  CHECK(!of.take(start + 999ms));
  CHECK(of.take(start + 1s));
  CHECK(!of.take(start + 1s));
  for (int i = 0; i < 10'000; ++i) of.pay_in(ten_percent);
  std::uint64_t saved = 0;
  while (of.take(start + 1h)) ++saved;
  CHECK(saved == retry_budget::saved_max);
}

TEST_CASE("retries: none while the breaker is not closed, and none where nobody wants them", "[traffic]") {
  command_guards both{terms, retry_terms{}};
  CHECK(both.take_retry(start, "a.b"));
  for (int i = 0; i < 4; ++i) both.record(start, "a.b", both.admit(start, "a.b").ticket, call_verdict::failed);
  CHECK(!both.take_retry(start, "a.b"));
  CHECK(!both.take_retry(start + 5s, "a.b"));  // half open
  CHECK(both.states(start).at(0).retried == 1);
  command_guards without{terms, std::nullopt};
  CHECK(!without.take_retry(start, "a.b"));
}

TEST_CASE("concurrency: there are never more permits than places, and each comes back once", "[traffic]") {
  const auto count = std::make_shared<concurrency_count>(0);
  auto first = concurrency_permit::take(count, 2);
  auto second = concurrency_permit::take(count, 2);
  CHECK((first && second));
  CHECK(!concurrency_permit::take(count, 2));
  first = concurrency_permit{std::move(second)};
  CHECK(*count == 1);
  CHECK(concurrency_permit::take(count, 2));
  CHECK(*count == 1);
  std::atomic<std::uint64_t> most{0};
  std::vector<std::thread> all;
  for (int i = 0; i < 4; ++i) {
    all.emplace_back([&] {
      for (int k = 0; k < 20'000; ++k) {
        if (const auto permit = concurrency_permit::take(count, 3)) most = std::max<std::uint64_t>(most, *count);
      }
    });
  }
  for (auto& each : all) each.join();
  CHECK(most <= 3);
  CHECK(*count == 1);
}
