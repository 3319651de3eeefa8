// The reader against msgpack-cxx as an independent reference, and against bytes that are nothing.
#include "support/catch.hpp"

#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <msgpack.hpp>

#include <waggle/wire/reader.hpp>
#include <waggle/wire/writer.hpp>

using namespace std::literals;
using waggle::wire::kind;
using waggle::wire::reader;
using waggle::wire::writer;

namespace {

std::string big_endian(std::uint64_t value, int width) {
  std::string out;
  for (int i = width - 1; i >= 0; --i) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}

/// A value in any of msgpack's formats, shortest or not.
void append_random(std::string& out, std::mt19937_64& random, int depth) {
  const auto byte = [&](unsigned value) { out.push_back(static_cast<char>(value)); };
  const auto bytes = [&](std::size_t count) {
    while (count-- > 0) byte(static_cast<unsigned>(random() % 256));
  };
  const auto sized = [&](unsigned first, int widths, std::size_t count) {
    const auto exponent = static_cast<int>(random() % static_cast<unsigned>(widths)) + (widths == 2 ? 1 : 0);
    byte(first + static_cast<unsigned>(exponent) - (widths == 2 ? 1 : 0));
    out += big_endian(count, 1 << exponent);
  };
  const auto elements = [&](std::size_t count) {
    while (count-- > 0) append_random(out, random, depth - 1);
  };
  const std::size_t few = random() % 4;
  switch (random() % (depth > 0 ? 17 : 13)) {
    case 0: return byte(0xc0);
    case 1: return byte(0xc2 + static_cast<unsigned>(random() % 2));
    case 2: return byte(static_cast<unsigned>(random() % 0x80));
    case 3: return byte(0xe0 + static_cast<unsigned>(random() % 0x20));
    case 4:
    case 5: {
      const auto format = static_cast<unsigned>(random() % 8);  // uint 8 to 64, int 8 to 64
      byte(0xcc + format);
      return bytes(std::size_t{1} << (format % 4));
    }
    case 6: return byte(0xca), bytes(4);
    case 7: return byte(0xcb), bytes(8);
    case 8: return byte(0xa0 + static_cast<unsigned>(few)), bytes(few);
    case 9: return sized(0xd9, 3, few), bytes(few);
    case 10: return sized(0xc4, 3, few), bytes(few);
    case 11: {
      const auto exponent = random() % 5;
      return byte(0xd4 + static_cast<unsigned>(exponent)), bytes(1 + (std::size_t{1} << exponent));
    }
    case 12: return sized(0xc7, 3, few), bytes(1 + few);
    case 13: return byte(0x90 + static_cast<unsigned>(few)), elements(few);
    case 14: return byte(0x80 + static_cast<unsigned>(few)), elements(2 * few);
    case 15: return sized(0xdc, 2, few), elements(few);
    default: return sized(0xde, 2, few), elements(2 * few);
  }
}

/// Whether the next value is what msgpack-cxx found there. Leaves the reader behind it.
bool agrees(reader& in, const msgpack::object& reference) {
  using namespace msgpack::type;
  bool truth = false;
  std::uint64_t natural = 0;
  std::int64_t integer = 0;
  double number = 0;
  std::string_view text;
  std::int8_t type = 0;
  std::uint32_t count = 0;
  const auto is = [](std::string_view ours, const char* theirs, std::uint32_t size) {
    return ours == std::string_view{theirs, size};
  };
  switch (reference.type) {
    case NIL: return in.peek() == kind::nil && in.nil();
    case BOOLEAN: return in.peek() == kind::boolean && in.boolean(truth) && truth == reference.via.boolean;
    case POSITIVE_INTEGER: {
      const auto again = in;
      if (!in.unsigned_integer(natural) || natural != reference.via.u64) return false;
      auto as_signed = again;
      const bool fits = natural <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
      return as_signed.integer(integer) == fits && (!fits || static_cast<std::uint64_t>(integer) == natural);
    }
    case NEGATIVE_INTEGER: {
      auto as_unsigned = in;
      return !as_unsigned.unsigned_integer(natural) && in.integer(integer) && integer == reference.via.i64;
    }
    case FLOAT32:
    case FLOAT64:
      return in.peek() == kind::floating && in.floating(number) &&
             std::memcmp(&number, &reference.via.f64, sizeof number) == 0;
    case STR: return in.peek() == kind::string && in.string(text) && is(text, reference.via.str.ptr, reference.via.str.size);
    case BIN: return in.peek() == kind::binary && in.binary(text) && is(text, reference.via.bin.ptr, reference.via.bin.size);
    case EXT:
      return in.peek() == kind::extension && in.extension(type, text) && type == reference.via.ext.type() &&
             is(text, reference.via.ext.data(), reference.via.ext.size);
    case ARRAY:
      if (in.peek() != kind::array || !in.array(count) || count != reference.via.array.size) return false;
      for (std::uint32_t i = 0; i < count; ++i) {
        if (!agrees(in, reference.via.array.ptr[i])) return false;
      }
      return true;
    case MAP:
      if (in.peek() != kind::map || !in.map(count) || count != reference.via.map.size) return false;
      for (std::uint32_t i = 0; i < count; ++i) {
        if (!agrees(in, reference.via.map.ptr[i].key) || !agrees(in, reference.via.map.ptr[i].val)) return false;
      }
      return true;
  }
  return false;
}

/// What msgpack-cxx makes of the first value: its size, or 0 if it is none; and whether the reader says the same.
bool reads_alike(std::string_view bytes) {
  std::size_t size = 0;
  msgpack::object_handle reference;
  bool is_value = true;
  try {
    const msgpack::unpack_limit limits{1000, 1000, 1000, 1000, 1000, 1000};
    reference = msgpack::unpack(bytes.data(), bytes.size(), size, nullptr, nullptr, limits);
  } catch (const msgpack::unpack_error&) {
    is_value = false;
  }
  reader skipping{bytes}, reading{bytes};
  std::string_view raw;
  auto rawing = skipping;
  if (skipping.skip() != is_value || rawing.raw(raw) != is_value) return false;
  if (!is_value) return skipping.why() != nullptr && skipping.offset() <= bytes.size();
  return skipping.offset() == size && raw == bytes.substr(0, size) && agrees(reading, reference.get()) &&
         reading.offset() == size;
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const auto each : bytes) {
    for (const auto digit : {static_cast<unsigned char>(each) >> 4, each & 0x0f}) out.push_back("0123456789abcdef"[digit]);
    out.push_back(' ');
  }
  return out;
}

std::string nested(std::size_t depth, char open) {
  std::string out(depth, open);
  return out + '\xc0';
}

}  // namespace

TEST_CASE("reader: every value of every format is what msgpack-cxx reads, and no cut value is one", "[wire]") {
  const auto seed = std::random_device{}();
  std::mt19937_64 random{seed};
  for (int i = 0; i < 5000; ++i) {
    std::string bytes;
    append_random(bytes, random, 3);
    if (bytes.size() > 500) continue;
    INFO("seed " << seed << ", value " << hex(bytes));
    REQUIRE(reads_alike(bytes));
    REQUIRE(reads_alike(bytes + "\xc1"));
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) REQUIRE_FALSE(reader{std::string_view{bytes}.substr(0, cut)}.skip());
  }
}

TEST_CASE("reader: random bytes are a value exactly when msgpack-cxx says so", "[wire]") {
  const auto seed = std::random_device{}();
  std::mt19937_64 random{seed};
  std::size_t values = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::string bytes;
    for (auto left = random() % 40; left > 0; --left) {
      // Mostly bytes that begin something.
      bytes.push_back(static_cast<char>(random() % 3 == 0 ? random() % 256 : 0x80 + random() % 0x60));
    }
    INFO("seed " << seed << ", bytes " << hex(bytes));
    REQUIRE(reads_alike(bytes));
    values += reader{bytes}.skip() ? 1 : 0;
  }
  CHECK(values > 1000);
}

TEST_CASE("reader: peek names the kind for each of the 256 first bytes as msgpack-cxx does", "[wire]") {
  for (unsigned first = 0; first < 256; ++first) {
    std::string bytes(64, '\0');
    bytes[0] = static_cast<char>(first);
    CAPTURE(first);
    CHECK(reads_alike(bytes));
    if (first == 0xc1) CHECK(reader{bytes}.peek() == kind::none);
  }
}

TEST_CASE("reader: counts that announce more than there are bytes are refused before anything is believed", "[wire]") {
  const auto bytes = GENERATE(values({"\xdd\xff\xff\xff\xff\x01"s, "\xdf\xff\xff\xff\xff\x01\x02"s, "\xdc\xff\xff\x01"s,
                                      "\xde\x00\x02\x01\x02\x03"s, "\xdb\xff\xff\xff\xff" "a"s, "\xc6\xff\xff\xff\xff" "a"s,
                                      "\xc9\xff\xff\xff\xff\x01" "a"s, "\x9f\x01"s, "\x8f\x01\x02"s}));
  reader in{bytes};
  CHECK_FALSE(in.skip());
  CHECK(in.why() != nullptr);
  std::uint32_t count = 77;
  CHECK_FALSE(reader{bytes}.array(count));
  CHECK_FALSE(reader{bytes}.map(count));
  CHECK(count == 77);
}

TEST_CASE("reader: 64 containers inside each other are read, 65 are not, and a million cost nothing", "[wire]") {
  const auto open = GENERATE('\x91', '\x81');
  const auto value = [&](std::size_t depth) {
    if (open == '\x91') return nested(depth, open);
    std::string out;
    for (std::size_t i = 0; i < depth; ++i) out += "\x81\xc0";
    return out + '\xc0';
  };
  CHECK(reader{value(64)}.skip());
  CHECK_FALSE(reader{value(65)}.skip());
  const auto deep = value(1'000'000);
  reader in{deep};
  CHECK_FALSE(in.skip());
  CHECK(in.why() == "values are nested too deep"sv);
  CHECK(reader{value(3)}.skip(3));
  CHECK_FALSE(reader{value(3)}.skip(2));
}

TEST_CASE("reader: after the first failure everything fails, and the first reason stays", "[wire]") {
  reader in{"\xc0\x01"};
  std::uint64_t number = 0;
  CHECK_FALSE(in.unsigned_integer(number));
  const auto* const why = in.why();
  CHECK(why == "expected an integer"sv);
  CHECK(in.peek() == kind::none);
  CHECK_FALSE(in.nil());
  CHECK_FALSE(in.skip());
  CHECK_FALSE(in.fail("something else"));
  CHECK(in.why() == why);
  CHECK(in.offset() == 0);
}

TEST_CASE("reader: each type refuses every other", "[wire]") {
  const std::vector<std::pair<kind, std::string>> values{
      {kind::nil, "\xc0"}, {kind::boolean, "\xc3"}, {kind::unsigned_integer, "\x05"}, {kind::integer, "\xff"},
      {kind::floating, "\xca\x3f\x80\x00\x00"s}, {kind::string, "\xa1x"}, {kind::binary, "\xc4\x01x"}, {kind::array, "\x90"},
      {kind::map, "\x80"}, {kind::extension, "\xd4\x01x"}};
  for (const auto& [what, bytes] : values) {
    bool truth = false;
    std::uint64_t natural = 0;
    std::int64_t integer = 0;
    double number = 0;
    std::string_view text;
    std::int8_t type = 0;
    std::uint32_t count = 0;
    CAPTURE(hex(bytes));
    CHECK(reader{bytes}.peek() == what);
    CHECK(reader{bytes}.nil() == (what == kind::nil));
    CHECK(reader{bytes}.boolean(truth) == (what == kind::boolean));
    CHECK(reader{bytes}.unsigned_integer(natural) == (what == kind::unsigned_integer));
    CHECK(reader{bytes}.integer(integer) == (what == kind::unsigned_integer || what == kind::integer));
    CHECK(reader{bytes}.floating(number) == (what == kind::floating));
    CHECK(reader{bytes}.string(text) == (what == kind::string));
    CHECK(reader{bytes}.binary(text) == (what == kind::binary));
    CHECK(reader{bytes}.array(count) == (what == kind::array));
    CHECK(reader{bytes}.map(count) == (what == kind::map));
    CHECK(reader{bytes}.extension(type, text) == (what == kind::extension));
  }
}

TEST_CASE("reader: entries whose key is no string are stepped over", "[wire]") {
  reader in{"\x83\x01\x02\xa1k\x07\xc0\x91\x05"};
  std::uint64_t value = 0;
  std::size_t entries = 0;
  CHECK(waggle::wire::read_entries(in, [&](std::string_view key) {
    ++entries;
    return key == "k" && in.unsigned_integer(value);
  }));
  CHECK(entries == 1);
  CHECK(value == 7);
  CHECK(in.at_end());
}

TEST_CASE("writer: msgpack-cxx reads back what was written", "[wire]") {
  std::string bytes;
  writer out{bytes};
  out.array(10);
  out.nil();
  out.boolean(true);
  out.unsigned_integer(~std::uint64_t{0});
  out.integer(std::numeric_limits<std::int64_t>::min());
  out.floating(0.1);
  out.floating(0.5f);
  out.string("text");
  out.binary("\x00\xff"sv);
  out.extension(-1, "1234");
  out.map(1);
  out.string("k");
  out.raw("\x93\x01\x02\x03");
  CHECK(reads_alike(bytes));
  const auto read = msgpack::unpack(bytes.data(), bytes.size());
  const auto& at = read.get().via.array.ptr;
  CHECK(at[2].as<std::uint64_t>() == ~std::uint64_t{0});
  CHECK(at[3].as<std::int64_t>() == std::numeric_limits<std::int64_t>::min());
  CHECK(at[4].as<double>() == 0.1);
  CHECK(at[6].as<std::string>() == "text");
  CHECK(at[8].via.ext.type() == -1);
}

TEST_CASE("names: 1 to 128 bytes of UTF-8 without spaces or control characters", "[wire]") {
  using waggle::wire::is_name;
  for (const auto& good : {"a"s, "order.placed"s, "größe"s, "注文"s, "🐝"s, "a/b{c}"s, std::string(128, 'x'), "\xf4\x8f\xbf\xbf"s}) {
    CAPTURE(good);
    CHECK(is_name(good));
  }
  for (const auto& bad : {""s, " "s, "a b"s, "a\tb"s, "a\n"s, "\0"s, "a\x7f"s, "a\x1b[2J"s, std::string(129, 'x'), "\x80"s, "\xc3"s,
                          "\xc0\xaf"s, "\xe0\x80\xaf"s, "\xed\xa0\x80"s, "\xf4\x90\x80\x80"s, "\xf8\x88\x80\x80\x80"s,
                          "\xc2\x85"s, "ab\xc2\x9b" "c"s, "\xff"s, "abcdefgh\xff"s, "\xe2\x82"s}) {
    CAPTURE(hex(bad));
    CHECK_FALSE(is_name(bad));
  }
}

TEST_CASE("UTF-8: every code point is accepted in its one form, surrogates and what lies beyond are not", "[wire]") {
  const auto encode = [](std::uint32_t point) {
    std::string out;
    const auto push = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (point < 0x80) return push(point), out;
    if (point < 0x800) return push(0xc0 | point >> 6), push(0x80 | (point & 0x3f)), out;
    if (point < 0x10000) return push(0xe0 | point >> 12), push(0x80 | (point >> 6 & 0x3f)), push(0x80 | (point & 0x3f)), out;
    return push(0xf0 | point >> 18), push(0x80 | (point >> 12 & 0x3f)), push(0x80 | (point >> 6 & 0x3f)),
           push(0x80 | (point & 0x3f)), out;
  };
  std::size_t wrong = 0;
  for (std::uint32_t point = 0; point <= 0x1fffff; ++point) {
    const bool is_scalar = point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
    const auto text = encode(point);
    wrong += waggle::wire::is_utf8(text) == is_scalar ? 0 : 1;
    if (text.size() > 1) wrong += waggle::wire::is_utf8(std::string_view{text}.substr(0, text.size() - 1)) ? 1 : 0;
  }
  CHECK(wrong == 0);
}
