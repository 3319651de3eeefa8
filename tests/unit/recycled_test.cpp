#include "gateway/recycled.hpp"

#include <memory>
#include <set>
#include <string>

#include "support/catch.hpp"

using namespace waggle::gateway;

TEST_CASE("recycled: an entry of a table is new, whoever had its memory before, and lets go of what it had at once", "[gateway]") {
  recycled_table<std::shared_ptr<std::string>> table;
  const auto held = std::make_shared<std::string>("first");
  table[7] = held;
  CHECK(held.use_count() == 2);
  table.erase(7);
  CHECK(held.use_count() == 1);
  CHECK(table.size() == 0);
  CHECK(table.find(7) == table.end());
  CHECK(table[8] == nullptr);
  REQUIRE(table.find(8) != table.end());
  CHECK(table.find(7) == table.end());
  table.erase(9);  // which there is not
  CHECK(table.size() == 1);
}

TEST_CASE("recycled: a number that a table has already leads to its entry, with memory to spare or without", "[gateway]") {
  recycled_table<std::string> table;
  table[1] = "one";
  CHECK(table[1] == "one");
  table[2] = "two";
  table.erase(2);
  CHECK(table[1] == "one");
  CHECK(table[3].empty());
  CHECK(table[1] == "one");
  CHECK(table.size() == 2);
}

TEST_CASE("recycled: a table keeps all entries, however many, and those that stay do not move", "[gateway]") {
  recycled_table<std::uint64_t> table;
  constexpr std::uint64_t count = 3 * recycled_max;
  for (std::uint64_t i = 0; i < count; ++i) table[i] = i;
  const auto* const kept = &table[1];
  for (std::uint64_t i = 0; i < count; i += 2) table.erase(i);
  for (std::uint64_t i = 0; i < count; i += 2) table[count + i] = count + i;
  CHECK(table.size() == count);
  CHECK(kept == &table[1]);
  for (std::uint64_t i = 1; i < count; i += 2) REQUIRE(table[i] == i);
  for (std::uint64_t i = 0; i < count; i += 2) REQUIRE(table[count + i] == count + i);
}

TEST_CASE("recycled: an object is made where one before it has been, and is destroyed with its last owner", "[gateway]") {
  struct guest {
    explicit guest(int& of) : count{of} { ++count; }
    ~guest() { --count; }
    int& count;
  };
  int alive = 0;
  recycled_memory memory;
  const auto make = [&] { return std::allocate_shared<guest>(recycling<guest>{memory}, alive); };
  const void* first = nullptr;
  {
    const auto one = make();
    first = one.get();
    CHECK(alive == 1);
  }
  CHECK(alive == 0);
  const auto again = make(), other = make();
  CHECK(again.get() == first);
  CHECK(other.get() != first);
  std::set<std::shared_ptr<guest>> crowd;
  for (std::size_t i = 0; i < 2 * recycled_max; ++i) crowd.insert(make());
  CHECK(crowd.size() == 2 * recycled_max);
  crowd.clear();
  CHECK(alive == 2);
}
