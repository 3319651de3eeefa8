// The thread that stores of replies are used on: what several want is written at once, and what fails is tried again.
#include <poll.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "gateway/replies/memory_reply_store.hpp"
#include "gateway/replies/reply_keeper.hpp"
#include "support/catch.hpp"

using namespace waggle;
using namespace waggle::gateway;
using namespace std::chrono_literals;
using state = reserved::state;

namespace {

/// A store that fails, or makes wait, when it is told to.
class moody_store final : public reply_store {
 public:
  struct mood {
    std::mutex mutex;
    std::condition_variable changed;
    bool fails = false, waits = false, is_waiting = false;
    std::vector<std::size_t> batches;

    template <class Function>
    void change(Function&& function) {
      const std::lock_guard lock{mutex};
      function();
      changed.notify_all();
    }
  };
  explicit moody_store(std::shared_ptr<mood> of) : mood_{std::move(of)} {}
  [[nodiscard]] bool durable() const override { return false; }
  result<std::vector<reserved>> commit(std::span<const store_entry> batch) override {
    std::unique_lock lock{mood_->mutex};
    mood_->batches.push_back(batch.size());
    if (mood_->waits) {
      mood_->is_waiting = true;
      mood_->changed.notify_all();
      mood_->changed.wait(lock, [&] { return !mood_->waits; });
    }
    if (mood_->fails) return failure(status::resource_exhausted, "the disk is full; make room there");
    return inner_.commit(batch);
  }
  result<std::size_t> expire(std::int64_t now_ms, std::size_t rows_max) override { return inner_.expire(now_ms, rows_max); }

 private:
  std::shared_ptr<mood> mood_;
  memory_reply_store inner_;
};

struct keeper_fixture {
  std::shared_ptr<moody_store::mood> mood = std::make_shared<moody_store::mood>();
  std::mutex mutex;
  std::vector<std::string> notes;
  reply_keeper keeper{std::make_unique<moody_store>(mood),
                      [this](std::string_view line) {
                        const std::lock_guard lock{mutex};
                        notes.emplace_back(line);
                      },
                      {.waiting_max = 100, .retry = 10ms}};
  std::unique_ptr<reply_keeper::seat> seat = keeper.join();

  static store_entry reserve(std::string_view key) {
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    return store::reserve{digest_of(key), digest_of("r"), now, now + 3'600'000, false};
  }
  static store_entry settle(std::string_view key) { return store::settle{digest_of(key), {200, "", "done", {}}, 1LL << 50}; }

  std::vector<reply_keeper::outcome> wait_for(reply_keeper::seat& at, std::size_t count) {
    std::vector<reply_keeper::outcome> out;
    while (out.size() < count) {
      pollfd told{at.descriptor(), POLLIN, 0};
      REQUIRE(::poll(&told, 1, 10'000) == 1);
      at.take(out);
    }
    return out;
  }
  std::string ask(std::string_view key) {
    REQUIRE(seat->put(99, reserve(key)));
    auto got = std::move(wait_for(*seat, 1).front());
    return got.what ? std::to_string(static_cast<int>(got.what->is)) + got.what->answer.body : got.what.error().message;
  }
};

std::string shown(state is, std::string body = {}) { return std::to_string(static_cast<int>(is)) + body; }

}  // namespace

TEST_CASE("reply keeper: each seat gets its own outcomes, in order, and what comes meanwhile is written at once", "[replies]") {
  keeper_fixture test;
  const auto other = test.keeper.join();
  test.mood->waits = true;
  REQUIRE(test.seat->put(1, test.reserve("a")));
  {
    std::unique_lock lock{test.mood->mutex};
    REQUIRE(test.mood->changed.wait_for(lock, 10s, [&] { return test.mood->is_waiting; }));
  }
  for (std::uint64_t i = 2; i <= 10; ++i) REQUIRE(test.seat->put(i, test.reserve("a" + std::to_string(i))));
  REQUIRE(other->put(7, test.reserve("a")));
  test.mood->change([&] { test.mood->waits = false; });
  const auto mine = test.wait_for(*test.seat, 10);
  for (std::size_t i = 0; i < mine.size(); ++i) {
    CHECK(mine[i].ticket == i + 1);
    CHECK(mine[i].what->is == state::fresh);
  }
  const auto his = test.wait_for(*other, 1);
  CHECK(his[0].ticket == 7);
  CHECK(his[0].what->is == state::running);
  CHECK(test.mood->batches == std::vector<std::size_t>{1, 10});
}

TEST_CASE("reply keeper: while the disk takes nothing new keys are refused, and what ends one is kept until it does", "[replies]") {
  keeper_fixture test;
  CHECK(test.ask("a") == shown(state::fresh));
  test.mood->change([&] { test.mood->fails = true; });
  REQUIRE(test.seat->put(2, test.settle("a")));
  const auto settled = test.wait_for(*test.seat, 1);
  REQUIRE_FALSE(settled[0].what);
  CHECK(test.ask("b") == "the disk is full; make room there");
  test.mood->change([&] { test.mood->fails = false; });
  std::string got;
  const auto give_up = std::chrono::steady_clock::now() + 10s;
  while ((got = test.ask("a")) != shown(state::finished, "done") && std::chrono::steady_clock::now() < give_up) CHECK(got == shown(state::running));
  CHECK(got == shown(state::finished, "done"));
  CHECK(test.ask("b") == shown(state::fresh));
  const std::lock_guard lock{test.mutex};
  CHECK(test.notes == std::vector<std::string>{
                          "replies cannot be kept: the disk is full; make room there; what is under way is tried again, new keys are refused",
                          "replies can be kept again"});
}

TEST_CASE("reply keeper: when too much waits new keys are refused at once, and what ends one is not", "[replies]") {
  keeper_fixture test;
  test.mood->waits = true;
  REQUIRE(test.seat->put(0, test.reserve("first")));
  {
    std::unique_lock lock{test.mood->mutex};
    REQUIRE(test.mood->changed.wait_for(lock, 10s, [&] { return test.mood->is_waiting; }));
  }
  for (int i = 0; i < 100; ++i) REQUIRE(test.seat->put(0, test.reserve(std::to_string(i))));
  CHECK_FALSE(test.seat->put(0, test.reserve("more")));
  CHECK(test.seat->put(5, test.settle("first")));
  test.mood->change([&] { test.mood->waits = false; });
  CHECK(test.wait_for(*test.seat, 1)[0].ticket == 5);
  CHECK(test.ask("first") == shown(state::finished, "done"));
}
