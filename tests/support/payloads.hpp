#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <msgpack.hpp>

#include <waggle/fields.hpp>
#include <waggle/wire/json.hpp>

#include "support/catch.hpp"

/// Structs of all kinds, and how the tests of WAGGLE_FIELDS look at them.
namespace shop {

enum class colour { red, green, blue = 7 };
WAGGLE_ENUM(colour, red, green, blue)

struct address {
  std::string street;
  std::uint16_t zip = 0;
  bool operator==(const address&) const = default;
};
WAGGLE_FIELDS(address, street, zip)

namespace people::vip {
struct customer {
  std::string name;
  std::vector<address> addresses;
  std::optional<std::int32_t> age;
  bool operator==(const customer&) const = default;
};
WAGGLE_FIELDS(customer, name, addresses, age)
}  // namespace people::vip

struct order {
  people::vip::customer customer;
  std::map<std::string, double> prices;
  colour paint = colour::red;
  bool operator==(const order&) const = default;
};
WAGGLE_FIELDS(order, customer, prices, paint)

class catalogue {
 public:
  enum class kind { small };
  struct entry {
    int id = 0;
  };
};
WAGGLE_ENUM(catalogue::kind, small)
WAGGLE_FIELDS(catalogue::entry, id)

}  // namespace shop

namespace examples {

struct everything {
  bool yes = false;
  std::int8_t i8 = 0;
  std::uint8_t u8 = 0;
  std::int16_t i16 = 0;
  std::uint16_t u16 = 0;
  std::int32_t i32 = 0;
  std::uint32_t u32 = 0;
  std::int64_t i64 = 0;
  std::uint64_t u64 = 0;
  float f = 0;
  double d = 0;
  std::string text;
  shop::colour paint = shop::colour::red;
  waggle::binary bytes;
  waggle::value anything;
  waggle::nothing none;
  std::chrono::system_clock::time_point at;
  std::vector<int> numbers;
  std::vector<bool> flags;
  std::array<int, 2> pair{};
  std::map<std::string, std::vector<std::string>> lists;
  std::unordered_map<std::string, int> counts;
  std::optional<std::string> nick;
  std::optional<shop::address> home;
  std::vector<std::optional<int>> holes;
  bool operator==(const everything&) const = default;
};
WAGGLE_FIELDS(everything, yes, i8, u8, i16, u16, i32, u32, i64, u64, f, d, text, paint, bytes, anything, none, at,
              numbers, flags, pair, lists, counts, nick, home, holes)

struct node {
  std::string name;
  std::vector<node> children;
  bool operator==(const node&) const = default;
};
WAGGLE_FIELDS(node, name, children)

struct left;
struct right {
  std::map<std::string, left> lefts;
};
struct left {
  std::vector<right> rights;
};
WAGGLE_FIELDS(right, lefts)
WAGGLE_FIELDS(left, rights)

struct fieldless {};
WAGGLE_FIELDS(fieldless)

struct filter {
  std::optional<int> first;
  std::optional<std::string> after;
};
WAGGLE_FIELDS(filter, first, after)

struct wide {
  int f1 = 1, f2 = 2, f3 = 3, f4 = 4, f5 = 5, f6 = 6, f7 = 7, f8 = 8, f9 = 9, f10 = 10, f11 = 11, f12 = 12, f13 = 13;
  int f14 = 14, f15 = 15, f16 = 16, f17 = 17, f18 = 18, f19 = 19, f20 = 20, f21 = 21, f22 = 22, f23 = 23, f24 = 24;
  int f25 = 25, f26 = 26, f27 = 27, f28 = 28, f29 = 29, f30 = 30, f31 = 31, f32 = 32, f33 = 33, f34 = 34, f35 = 35;
  int f36 = 36, f37 = 37, f38 = 38, f39 = 39, f40 = 40, f41 = 41, f42 = 42, f43 = 43, f44 = 44, f45 = 45, f46 = 46;
  int f47 = 47, f48 = 48, f49 = 49, f50 = 50, f51 = 51, f52 = 52, f53 = 53, f54 = 54, f55 = 55, f56 = 56, f57 = 57;
  int f58 = 58, f59 = 59, f60 = 60, f61 = 61, f62 = 62, f63 = 63, f64 = 64;
};
WAGGLE_FIELDS(wide, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22,
              f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37, f38, f39, f40, f41, f42, f43,
              f44, f45, f46, f47, f48, f49, f50, f51, f52, f53, f54, f55, f56, f57, f58, f59, f60, f61, f62, f63, f64)

struct without_fields {
  int x = 0;
};
struct without_default {
  explicit without_default(int) {}
  int x = 0;
};
WAGGLE_FIELDS(without_default, x)

template <class Type>
std::string encoded(const Type& from) {
  std::string out;
  waggle::append_payload(out, from);
  return out;
}

/// A payload as its author would write it.
inline std::string packed(std::string_view json) {
  const auto out = waggle::wire::json_to_msgpack(json);
  REQUIRE(out);
  return *out;
}

template <class Type>
std::string schema() {
  return waggle::wire::msgpack_to_json(waggle::schema_of<Type>());
}

/// What is wrong with a payload, one problem in a line.
template <class Type>
std::string problems(std::string_view bytes) {
  const auto read = waggle::read_payload<Type>(bytes);
  if (read) return "nothing";
  REQUIRE(read.error().code == waggle::status::invalid_argument);
  REQUIRE_FALSE(read.error().may_have_run);
  std::string out;
  for (const auto& each : read.error().problems) out += (out.empty() ? "" : "\n") + each.path + ": " + each.message;
  return out;
}

template <class Type>
std::string json_problems(std::string_view json) {
  return problems<Type>(packed(json));
}

/// What msgpack-cxx, as an independent reader, makes of the bytes.
template <class Type>
std::string seen_by_msgpack(const Type& from) {
  const auto bytes = encoded(from);
  std::size_t offset = 0;
  const auto handle = msgpack::unpack(bytes.data(), bytes.size(), offset);
  REQUIRE(offset == bytes.size());
  std::ostringstream out;
  out << handle.get();
  return out.str();
}

inline everything full() {
  everything out;
  out.yes = true;
  out.i8 = -128;
  out.u8 = 255;
  out.i16 = -32768;
  out.u16 = 65535;
  out.i32 = std::numeric_limits<std::int32_t>::min();
  out.u32 = std::numeric_limits<std::uint32_t>::max();
  out.i64 = std::numeric_limits<std::int64_t>::min();
  out.u64 = std::numeric_limits<std::uint64_t>::max();
  out.f = 0.5f;
  out.d = 0.1;
  out.text = "Ada \xc3\xa9";
  out.paint = shop::colour::blue;
  out.bytes = waggle::binary{std::string{"\x00\xff", 2}};
  out.anything = waggle::value{packed(R"([1, {"a": null}])")};
  out.at = std::chrono::system_clock::time_point{std::chrono::nanoseconds{1'700'000'000'123'456'789}};
  out.numbers = {1, -2, 300};
  out.flags = {true, false, true};
  out.pair = {3, 4};
  out.lists = {{"a", {"x", "y"}}, {"", {}}};
  out.counts = {{"one", 1}};
  out.nick = "A";
  out.home = shop::address{"Main", 8000};
  out.holes = {1, std::nullopt, 3};
  return out;
}

}  // namespace examples
