#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>

#include <waggle/detail/text.hpp>

#include "support/catch.hpp"

using namespace std::string_view_literals;
using waggle::detail::base64_decode;
using waggle::detail::base64_encode;
using waggle::detail::parse_rfc3339;
using waggle::detail::rfc3339;

TEST_CASE("text: base64 is as in the examples of RFC 4648", "[text]") {
  const std::pair<std::string_view, std::string_view> examples[] = {{"", ""},
                                                                    {"f", "Zg=="},
                                                                    {"fo", "Zm8="},
                                                                    {"foo", "Zm9v"},
                                                                    {"foob", "Zm9vYg=="},
                                                                    {"fooba", "Zm9vYmE="},
                                                                    {"foobar", "Zm9vYmFy"},
                                                                    {"\xff\xfe\xfb"sv, "//77"}};
  for (const auto& [bytes, text] : examples) {
    CHECK(base64_encode(bytes) == text);
    CHECK(base64_decode(text) == bytes);
  }
}

TEST_CASE("text: base64 of any bytes comes back, and no other text stands for them", "[text]") {
  std::mt19937 random{7};
  for (int round = 0; round < 500; ++round) {
    std::string bytes(random() % 60, '\0');
    for (auto& byte : bytes) byte = static_cast<char>(random());
    auto text = base64_encode(bytes);
    REQUIRE(base64_decode(text) == bytes);
    if (text.empty()) continue;
    text[random() % text.size()] = static_cast<char>(random());
    const auto other = base64_decode(text);
    if (other) REQUIRE(base64_encode(*other) == text);
  }
}

TEST_CASE("text: base64 with missing padding, line breaks, another alphabet or stray bits is refused", "[text]") {
  for (const auto text : {"Zg"sv, "Zg="sv, "Zm9"sv, "Z==="sv, "===="sv, "Zg==Zg=="sv, "Zm9v\n"sv, "Zm\n9"sv, "-_-_"sv,
                          "Zh=="sv, "Zm9="sv, "Z=g="sv, "Zm9v===="sv, "Zm9\0"sv, "="sv}) {
    INFO(text);
    CHECK(base64_decode(text) == std::nullopt);
  }
}

TEST_CASE("text: instants are written in UTC with no more of a fraction than they have", "[text]") {
  CHECK(rfc3339(0, 0) == "1970-01-01T00:00:00Z");
  CHECK(rfc3339(1'000'000'000, 0) == "2001-09-09T01:46:40Z");
  CHECK(rfc3339(1'709'208'000, 500'000'000) == "2024-02-29T12:00:00.5Z");
  CHECK(rfc3339(-1, 999'999'999) == "1969-12-31T23:59:59.999999999Z");
  CHECK(rfc3339(0, 1) == "1970-01-01T00:00:00.000000001Z");
  CHECK(rfc3339(-62'167'219'200, 0) == "0000-01-01T00:00:00Z");
  CHECK(rfc3339(253'402'300'799, 0) == "9999-12-31T23:59:59Z");
}

TEST_CASE("text: instants outside the years 0000 to 9999 have no text", "[text]") {
  CHECK(rfc3339(-62'167'219'201, 0).empty());
  CHECK(rfc3339(253'402'300'800, 0).empty());
  CHECK(rfc3339(INT64_MAX, 0).empty());
  CHECK(rfc3339(INT64_MIN, 0).empty());
  CHECK(rfc3339(0, 1'000'000'000).empty());
  CHECK(parse_rfc3339("0000-01-01T00:00:00+00:01") == std::nullopt);
  CHECK(parse_rfc3339("9999-12-31T23:59:59-00:01") == std::nullopt);
  CHECK(parse_rfc3339("9999-12-31T23:59:60Z") == std::nullopt);
}

TEST_CASE("text: date-times with offsets, fractions and leap seconds are understood", "[text]") {
  const auto at = [](std::int64_t seconds, std::uint32_t nanoseconds) { return std::pair{seconds, nanoseconds}; };
  CHECK(parse_rfc3339("1970-01-01T00:00:00Z") == at(0, 0));
  CHECK(parse_rfc3339("1970-01-01t00:00:00z") == at(0, 0));
  CHECK(parse_rfc3339("1985-04-12T23:20:50.52Z") == at(482'196'050, 520'000'000));
  CHECK(parse_rfc3339("1996-12-19T16:39:57-08:00") == at(851'042'397, 0));
  CHECK(parse_rfc3339("1937-01-01T12:00:27.87+00:20") == at(-1'041'337'173, 870'000'000));
  CHECK(parse_rfc3339("1990-12-31T23:59:60Z") == at(662'688'000, 0));
  CHECK(parse_rfc3339("1990-12-31T15:59:60-08:00") == at(662'688'000, 0));
  CHECK(parse_rfc3339("1969-12-31T23:59:59.999999999999Z") == at(-1, 999'999'999));
  CHECK(parse_rfc3339("2024-02-29T00:00:00-00:00") == at(1'709'164'800, 0));
}

TEST_CASE("text: what is not quite an RFC 3339 date-time is refused", "[text]") {
  for (const auto text : {""sv,
                          "2024-01-01"sv,
                          "2024-01-01T00:00:00"sv,
                          "2024-01-01 00:00:00Z"sv,
                          "2024-1-01T00:00:00Z"sv,
                          "2024-01-01T00:00Z"sv,
                          "2023-02-29T00:00:00Z"sv,
                          "2024-13-01T00:00:00Z"sv,
                          "2024-00-01T00:00:00Z"sv,
                          "2024-01-00T00:00:00Z"sv,
                          "2024-01-01T24:00:00Z"sv,
                          "2024-01-01T00:60:00Z"sv,
                          "2024-01-01T00:00:61Z"sv,
                          "2024-01-01T00:00:00.Z"sv,
                          "2024-01-01T00:00:00,5Z"sv,
                          "2024-01-01T00:00:00+0100"sv,
                          "2024-01-01T00:00:00+24:00"sv,
                          "2024-01-01T00:00:00+00:60"sv,
                          "2024-01-01T00:00:00Z "sv,
                          " 2024-01-01T00:00:00Z"sv,
                          "2024-01-01T00:00:00ZZ"sv,
                          "+2024-01-01T00:00:00Z"sv,
                          "2024-01-15T12:59:60Z"sv,
                          "2024-01-15T23:59:60Z"sv,
                          "2024-01-01T00:00:00\xc2\xb1"
                          "01:00"sv}) {
    INFO(text);
    CHECK(parse_rfc3339(text) == std::nullopt);
  }
}

TEST_CASE("text: every instant that has a text is parsed from it", "[text]") {
  std::mt19937_64 random{11};
  std::uniform_int_distribution<std::int64_t> seconds{-62'167'219'200, 253'402'300'799};
  for (int round = 0; round < 2000; ++round) {
    const auto at = std::pair{seconds(random), static_cast<std::uint32_t>(random() % 1'000'000'000)};
    INFO(at.first << " " << at.second);
    REQUIRE(parse_rfc3339(rfc3339(at.first, at.second)) == at);
  }
}
