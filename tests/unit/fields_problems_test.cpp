#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <waggle/fields.hpp>

#include "support/payloads.hpp"

using namespace std::string_literals;
using namespace std::string_view_literals;
using namespace examples;
using std::chrono::system_clock;
using waggle::read_payload;

TEST_CASE("fields: each problem stands at its path", "[fields]") {
  CHECK(json_problems<shop::order>(R"({
    "customer": {"name": 5, "addresses": [{"street": "a", "zip": 1}, [], {"street": null, "zip": -1}], "age": "old"},
    "prices": {"EUR": "cheap", "US $": true}, "paint": "pink"})") ==
        "customer.name: expected a string, got an integer\n"
        "customer.addresses[1]: expected an object, got an array\n"
        "customer.addresses[2].street: expected a string, got null\n"
        "customer.addresses[2].zip: expected 0 to 65535, got -1\n"
        "customer.age: expected an integer, got a string\n"
        "prices.EUR: expected a number, got a string\n"
        "prices[\"US $\"]: expected a number, got a boolean\n"
        "paint: expected one of \"red\", \"green\", \"blue\", got \"pink\"");
}

TEST_CASE("fields: an error's message tells the first problem and counts the others", "[fields]") {
  const auto one = read_payload<shop::address>(packed(R"({"zip": 1})"));
  REQUIRE_FALSE(one);
  CHECK(one.error().message == "the payload is refused: street: is missing");
  const auto more = read_payload<shop::address>(packed("{}"));
  REQUIRE_FALSE(more);
  CHECK(more.error().message == "the payload is refused: street: is missing, and 1 more");
  const auto whole = read_payload<shop::address>(packed("[]"));
  REQUIRE_FALSE(whole);
  CHECK(whole.error().message == "the payload is refused: expected an object, got an array");
}

TEST_CASE("fields: a missing field is a problem at its own path", "[fields]") {
  CHECK(json_problems<shop::order>(R"({"customer": {"addresses": [{}]}, "paint": "red"})") ==
        "customer.addresses[0].street: is missing\n"
        "customer.addresses[0].zip: is missing\n"
        "customer.name: is missing\n"
        "prices: is missing");
}

TEST_CASE("fields: a key that comes twice is a problem", "[fields]") {
  CHECK(problems<shop::address>("\x83\xa3zip\x01\xa6street\xa0\xa3zip\x02"sv) == "zip: is there more than once");
  CHECK(problems<std::map<std::string, int>>("\x82\xa1"
                                             "a\x01\xa1"
                                             "a\x02"sv) == "a: is there more than once");
  CHECK(problems<std::unordered_map<std::string, int>>("\x82\xa1"
                                                       "a\x01\xa1"
                                                       "a\xc0"sv) == "a: is there more than once");
}

TEST_CASE("fields: what was wanted and what came is said for every kind", "[fields]") {
  CHECK(json_problems<bool>("1") == ": expected a boolean, got an integer");
  CHECK(json_problems<int>("\"1\"") == ": expected an integer, got a string");
  CHECK(json_problems<double>("{}") == ": expected a number, got an object");
  CHECK(json_problems<std::string>("-1") == ": expected a string, got an integer");
  CHECK(json_problems<std::string>("1.5") == ": expected a string, got a number");
  CHECK(problems<std::string>("\xc4\x00"sv) == ": expected a string, got a binary");
  CHECK(problems<std::string>("\xd4\x05\x00"sv) == ": expected a string, got an extension");
  CHECK(json_problems<std::vector<int>>("{}") == ": expected an array, got an object");
  CHECK(json_problems<std::map<std::string, int>>("[]") == ": expected an object, got an array");
  CHECK(json_problems<shop::colour>("0") == ": expected a string, got an integer");
  CHECK(json_problems<shop::catalogue::kind>("\"big\"") == ": expected \"small\", got \"big\"");
  CHECK(json_problems<waggle::binary>("0") == ": expected a binary, or a string in base64, got an integer");
  CHECK(json_problems<system_clock::time_point>("0") == ": expected a date-time, got an integer");
  CHECK(problems<std::map<std::string, int>>("\x82\x01\x01\xa1"
                                             "a\xc0"sv) ==
        ": expected a string as key, got an integer\na: expected an integer, got null");
}

TEMPLATE_TEST_CASE("fields: an integer outside its type's range is refused, its ends are not", "[fields]", std::int8_t,
                   std::uint8_t, std::int16_t, std::uint16_t, std::int32_t, std::uint32_t, std::int64_t,
                   std::uint64_t) {
  using limits = std::numeric_limits<TestType>;
  const auto range = "expected " + std::to_string(limits::min()) + " to " + std::to_string(limits::max()) + ", got ";
  CHECK(read_payload<TestType>(encoded(limits::min())) == limits::min());
  CHECK(read_payload<TestType>(encoded(limits::max())) == limits::max());
  if constexpr (sizeof(TestType) < 8) {
    const auto below = std::int64_t{limits::min()} - 1, above = std::int64_t{limits::max()} + 1;
    CHECK(problems<TestType>(encoded(below)) == ": " + range + std::to_string(below));
    CHECK(problems<TestType>(encoded(above)) == ": " + range + std::to_string(above));
  } else if constexpr (limits::is_signed) {
    CHECK(problems<TestType>(encoded(std::uint64_t{1} << 63)) == ": " + range + "9223372036854775808");
  } else {
    CHECK(problems<TestType>(encoded(-1)) == ": " + range + "-1");
  }
}

TEST_CASE("fields: strings and keys that are not UTF-8 are refused", "[fields]") {
  CHECK(problems<std::string>("\xa1\xff"sv) == ": the string is not UTF-8");
  CHECK(problems<shop::colour>("\xa1\xff"sv) == ": the string is not UTF-8");
  CHECK(problems<std::map<std::string, int>>("\x81\xa1\xff\x01"sv) == ": the string is not UTF-8");
}

TEST_CASE("fields: a peer's text is repeated cut and without control characters", "[fields]") {
  CHECK(problems<shop::colour>(encoded("\x1b[2J\"\xc2\x9b\x7f"s)) ==
        R"(: expected one of "red", "green", "blue", got "\u001b[2J\"\u009b\u007f")");
  const auto text = std::string(63, 'x') + "\xc3\xa9\xc3\xa9";
  CHECK(problems<shop::colour>(encoded(text)) ==
        ": expected one of \"red\", \"green\", \"blue\", got \"" + std::string(63, 'x') + "...\"");
  CHECK(problems<std::map<std::string, bool>>(encoded(std::map<std::string, int>{{std::string(100'000, 'k'), 1}})) ==
        "[\"" + std::string(64, 'k') + "...\"]: expected a boolean, got an integer");
}

TEST_CASE("fields: what is not an instant is refused", "[fields]") {
  using time_point = system_clock::time_point;
  CHECK(problems<time_point>("\xd6\x05\x00\x00\x00\x01"sv) == ": the extension is not a msgpack timestamp");
  CHECK(problems<time_point>("\xd5\xff\x00\x00"sv) == ": the extension is not a msgpack timestamp");
  CHECK(problems<time_point>("\xd7\xff\xff\xff\xff\xff\xff\xff\xff\xff"sv) ==
        ": the extension is not a msgpack timestamp");
  CHECK(json_problems<time_point>(R"("yesterday")") ==
        ": the string is not a date-time of RFC 3339, such as 2026-07-14T09:30:00Z");
  CHECK(json_problems<time_point>(R"("2500-01-01T00:00:00Z")") ==
        ": the date-time is outside the range that the service can hold");
  CHECK(json_problems<time_point>(R"("1500-01-01T00:00:00Z")") ==
        ": the date-time is outside the range that the service can hold");
}

TEST_CASE("fields: malformed msgpack is one problem, at its offset", "[fields]") {
  CHECK(problems<shop::address>("\x82\xa3zip\xc0\xa6str"sv) == ": the bytes end inside a value (at byte 6)");
  CHECK(problems<shop::address>("\x81\xc1"sv) == ": the map announces more entries than there are bytes (at byte 0)");
  CHECK(problems<std::vector<int>>("\x92\xc0\xc1"sv) == ": 0xc1 begins no value (at byte 2)");
  CHECK(problems<std::vector<int>>("\xdd\xff\xff\xff\xff\x01"sv) ==
        ": the array announces more elements than there are bytes (at byte 0)");
  CHECK(problems<int>("\x01\x02"sv) == ": the value ends at byte 1, and there are more");
}

TEST_CASE("fields: no more problems are listed than an error carries", "[fields]") {
  const auto read = read_payload<std::vector<int>>(encoded(std::vector<std::string>(100'000, "x")));
  REQUIRE_FALSE(read);
  CHECK(read.error().problems.size() == waggle::wire::error_problems_max);
  CHECK(read.error().problems.back().path == "[63]");
}

TEST_CASE("fields: values are read down to the depth limit and no deeper", "[fields]") {
  const auto chain = [](std::uint32_t levels) {  // each node is a map in an array
    node root{"0", {}};
    for (std::uint32_t i = 1; i < levels; ++i) {
      node outer{std::to_string(i), {}};
      outer.children.push_back(std::move(root));
      root = std::move(outer);
    }
    return root;
  };
  constexpr auto levels = waggle::wire::depth_max / 2;
  CHECK(read_payload<node>(encoded(chain(levels))) == chain(levels));
  const auto deeper = problems<node>(encoded(chain(levels + 1)));
  CHECK(deeper.find("values are nested too deep") != std::string::npos);
  const auto nested = [](std::size_t depth) { return std::string(depth, '\x91') + '\x01'; };
  CHECK(problems<waggle::value>(nested(64)) == "nothing");
  CHECK(problems<waggle::value>(nested(65)).find("nested too deep") != std::string::npos);
  CHECK(problems<std::vector<waggle::value>>(nested(64)) == "nothing");
  CHECK(problems<std::vector<waggle::value>>(nested(65)).find("nested too deep") != std::string::npos);
  CHECK(problems<fieldless>("\x81\xa1x" + nested(63)) == "nothing");
  CHECK(problems<fieldless>("\x81\xa1x" + nested(64)).find("nested too deep") != std::string::npos);
}

TEST_CASE("fields: small bytes do not grow into more memory than a payload is given", "[fields]") {
  struct payload {
    static std::string of_empty_maps(std::uint32_t count) {
      std::string out;
      waggle::wire::writer writer{out};
      writer.array(count);
      out.append(count, '\x80');
      return out;
    }
  };
  using large = std::vector<std::optional<std::array<double, 32>>>;
  const auto nils = std::string{"\xdd\x00\x40\x00\x00", 5} + std::string(4u << 20, '\xc0');
  CHECK(problems<large>(nils).find("the payload holds more elements than there is memory for") != std::string::npos);
  CHECK(problems<std::vector<filter>>(payload::of_empty_maps(100'000)) == "nothing");
}

TEST_CASE("fields: any bytes decode or end in problems", "[fields]") {
  const auto seed = 20'260'714u;
  INFO("seed " << seed);
  std::mt19937 random{seed};
  const auto good = encoded(full());
  std::size_t accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes;
    if (round % 2 == 0) {
      bytes.resize(random() % 40);
      for (auto& byte : bytes) byte = static_cast<char>(random());
    } else {
      bytes = good;
      for (auto flips = 1 + random() % 3; flips > 0; --flips)
        bytes[random() % bytes.size()] = static_cast<char>(random());
      if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    }
    const auto read = read_payload<everything>(bytes);
    accepted += read ? 1 : 0;
    if (read) REQUIRE(read_payload<everything>(encoded(*read)).has_value());
    if (!read) {
      REQUIRE_FALSE(read.error().problems.empty());
      REQUIRE(read.error().problems.size() <= waggle::wire::error_problems_max);
      for (const auto& each : read.error().problems) {
        REQUIRE(waggle::wire::is_utf8(each.path));
        REQUIRE(waggle::wire::is_utf8(each.message));
      }
    }
    (void)read_payload<node>(bytes);
    (void)read_payload<left>(bytes);
    (void)read_payload<std::map<std::string, waggle::value>>(bytes);
  }
  CHECK(accepted > 0);
}

TEST_CASE("fields: every cut of a good payload is refused", "[fields]") {
  const auto good = encoded(full());
  for (std::size_t size = 1; size < good.size(); ++size) {
    const auto read = read_payload<everything>(std::string_view{good}.substr(0, size));
    REQUIRE_FALSE(read);
    REQUIRE(read.error().problems.size() == 1);
  }
}
