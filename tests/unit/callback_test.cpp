#include <waggle/detail/callback.hpp>

#include <array>
#include <memory>
#include <utility>

#include "support/catch.hpp"

namespace {

using waggle::detail::callback;
using adder = callback<void(int)>;

/// Something that need not be copyable, of any size, which knows how often it was called.
template <std::size_t Bytes>
auto counts(std::shared_ptr<int> calls) {
  return [calls = std::move(calls), only = std::make_unique<int>(0), filled = std::array<char, Bytes>{}](int by) mutable {
    *only += by;
    *calls = *only + filled[0];
  };
}

}  // namespace

TEST_CASE("callback: it is called, small or large, and ends once with what it holds", "[callback]") {
  const auto calls = std::make_shared<int>(0);
  const auto check = [&](adder one) {
    CHECK(calls.use_count() == 2);
    one(1);
    adder other{std::move(one)};
    CHECK_FALSE(one);  // NOLINT(bugprone-use-after-move)
    other(2);
    CHECK(*calls == 3);
    adder third;
    CHECK_FALSE(third);
    third = std::move(other);
    third(4);
    CHECK(*calls == 7);
    CHECK(calls.use_count() == 2);
    third.reset();
    CHECK(calls.use_count() == 1);
    CHECK_FALSE(third);
  };
  check(counts<1>(calls));
  check(counts<200>(calls));
  CHECK(calls.use_count() == 1);
}

TEST_CASE("callback: what it is given in its place ends what it was", "[callback]") {
  const auto first = std::make_shared<int>(0), second = std::make_shared<int>(0);
  adder one{counts<1>(first)};
  one = adder{counts<200>(second)};
  CHECK(first.use_count() == 1);
  one(5);
  CHECK(*second == 5);
}

TEST_CASE("callback: references go through, and what is moved in is moved", "[callback]") {
  callback<void(std::unique_ptr<int>, int&)> put{[](std::unique_ptr<int> from, int& to) { to = *from; }};
  int got = 0;
  put(std::make_unique<int>(7), got);
  CHECK(got == 7);
}
