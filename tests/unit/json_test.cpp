#include "support/catch.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include <waggle/wire/json.hpp>

using namespace std::literals;
using nlohmann::json;
using waggle::wire::json_to_msgpack;
using waggle::wire::msgpack_to_json;
using waggle::wire::try_msgpack_to_json;

namespace {

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

std::string why_not(std::string_view text) {
  const auto done = json_to_msgpack(text);
  if (done) return "accepted";
  CHECK(done.error().code == waggle::status::invalid_argument);
  return done.error().message;
}

std::string json_string(std::string_view text) {
  std::string out;
  waggle::wire::append_json_string(out, text);
  return out;
}

/// A document with everything JSON has, drawn from the seed.
json random_document(std::mt19937_64& random, int depth) {
  static const std::string_view pieces[] = {"a", "\"", "\\", "\n", "\x01", "\x7f", "é", "€", "𝄞", " ", "/", "0"};
  const auto text = [&] {
    std::string out;
    for (auto left = random() % 40; left > 0; --left) out += pieces[random() % std::size(pieces)];
    return out;
  };
  switch (random() % (depth > 0 ? 9 : 7)) {
    case 0: return nullptr;
    case 1: return random() % 2 == 0;
    case 2: return random() >> (random() % 64);
    case 3: return -static_cast<std::int64_t>(random() >> (1 + random() % 63)) - 1;
    case 4: {
      double number = 0;
      do {
        const auto bits = random();
        std::memcpy(&number, &bits, sizeof number);
      } while (!std::isfinite(number));
      return number;
    }
    case 5: return static_cast<double>(random() % 1000) / 8;
    case 6: return text();
    case 7: {
      json out = json::array();
      for (auto left = random() % 40; left > 0; --left) out.push_back(random_document(random, depth - 1));
      return out;
    }
    default: {
      json out = json::object();
      for (auto left = random() % 40; left > 0; --left) out[text()] = random_document(random, depth - 1);
      return out;
    }
  }
}

}  // namespace

TEST_CASE("json: what RFC 8259 allows becomes the smallest msgpack", "[json]") {
  const auto bytes = [](std::string_view text) { return json_to_msgpack(text).value(); };
  CHECK(bytes("null") == "\xc0");
  CHECK(bytes(" \t\r\n true ") == "\xc3");
  CHECK(bytes("false") == "\xc2");
  CHECK(bytes("0") == "\0"s);
  CHECK(bytes("-0") == "\0"s);
  CHECK(bytes("127") == "\x7f");
  CHECK(bytes("128") == "\xcc\x80");
  CHECK(bytes("-32") == "\xe0");
  CHECK(bytes("-33") == "\xd0\xdf");
  CHECK(bytes("65536") == "\xce\0\1\0\0"s);
  CHECK(bytes("18446744073709551615") == "\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
  CHECK(bytes("-9223372036854775808") == "\xd3\x80\0\0\0\0\0\0\0"s);
  CHECK(bytes("1.0") == "\xcb\x3f\xf0\0\0\0\0\0\0"s);
  CHECK(bytes("1e2") == "\xcb\x40\x59\0\0\0\0\0\0"s);
  CHECK(bytes("-0.0") == "\xcb\x80\0\0\0\0\0\0\0"s);
  CHECK(bytes(R"("\u00e9\ud834\udd1e\/\b")") == "\xa8\xc3\xa9\xf0\x9d\x84\x9e/\b");
  CHECK(bytes(R"("\u0000")") == "\xa1\0"s);
  CHECK(bytes("[]") == "\x90");
  CHECK(bytes("{}") == "\x80");
  CHECK(bytes(R"({"a":[1,{"b":null}],"":2})") == "\x82\xa1"s + "a\x92\x01\x81\xa1" + "b\xc0\xa0\x02");
}

TEST_CASE("json: headers take their smallest form whatever the count and the nesting", "[json]") {
  for (const std::size_t count : {0u, 1u, 15u, 16u, 17u, 31u, 32u, 65535u, 65536u, 70000u}) {
    CAPTURE(count);
    json array = json::array(), object = json::object(), nested = json::array();
    for (std::size_t i = 0; i < count; ++i) {
      array.push_back(i % 7);
      object["k" + std::to_string(i)] = i;
      if (i < 8) nested.push_back({array, object, i});
    }
    for (const auto& document : {array, object, nested}) {
      const auto expected = json::to_msgpack(document);
      CHECK(json_to_msgpack(document.dump()).value() == std::string(expected.begin(), expected.end()));
    }
  }
}

TEST_CASE("json: what stands for itself in a string is told from what does not, wherever it stands", "[json]") {
  for (std::size_t size = 0; size <= 17; ++size) {
    CHECK(waggle::wire::detail::is_plain_in_json(std::string(size, '~')));
    for (std::size_t at = 0; at < size; ++at) {
      for (unsigned byte = 0; byte < 256; ++byte) {
        for (const char around : {' ', '#', '\x7f'}) {
          std::string text(size, around);
          text[at] = static_cast<char>(byte);
          if (waggle::wire::detail::is_plain_in_json(text) == waggle::wire::detail::plain_in_json[byte]) continue;
          FAIL("byte " << byte << " at " << at << " of " << size);
        }
      }
    }
  }
}

TEST_CASE("json: a refusal says what and where", "[json]") {
  CHECK(why_not("") == "not acceptable JSON at line 1, column 1: there is no text");
  CHECK(why_not("  ") == "not acceptable JSON at line 1, column 2: the text ends too early");
  CHECK(why_not("{\"a\": tru}") == "not acceptable JSON at line 1, column 10: unexpected text");
  CHECK(why_not("{\n  \"a\": 1,\n  \"b\" 2\n}") == "not acceptable JSON at line 3, column 7: unexpected text");
  CHECK(why_not("[1, 2") == "not acceptable JSON at line 1, column 5: the text ends too early");
  CHECK(why_not("\"abc") == "not acceptable JSON at line 1, column 4: the text ends too early");
  CHECK(why_not("{} x") == "not acceptable JSON at line 1, column 4: unexpected text");
  CHECK(why_not("{\"a\":1,\n\"b\":2,\"a\":3}") == "not acceptable JSON at line 2, column 9: the key comes twice: \"a\"");
  CHECK(why_not("{\"a\":1,\"\\u0061\":3}") == "not acceptable JSON at line 1, column 15: the key comes twice: \"a\"");
  CHECK(why_not("[18446744073709551616]") ==
        "not acceptable JSON at line 1, column 22: the integer does not fit 64 bits");
  CHECK(why_not("-9223372036854775809") == "not acceptable JSON at line 1, column 20: the integer does not fit 64 bits");
  CHECK(why_not("1e400") == "not acceptable JSON at line 1, column 5: the number is too large for a double");
  CHECK(why_not("\"a\xff\"") == "not acceptable JSON at line 1, column 3: the text is not UTF-8");
  CHECK(why_not("\"\xed\xa0\x80\"") == "not acceptable JSON at line 1, column 3: the text is not UTF-8");
  CHECK(why_not(R"("\ud800")") == "not acceptable JSON at line 1, column 8: half of a surrogate pair");
  CHECK(why_not(R"("\udc00")") == "not acceptable JSON at line 1, column 7: half of a surrogate pair");
  CHECK(why_not("\"a\tb\"") == "not acceptable JSON at line 1, column 3: a control character in a string needs an escape");
  CHECK(why_not("1\0002"s) == "not acceptable JSON at line 1, column 2: unexpected zero byte");
  CHECK(why_not("null\0"s) == "not acceptable JSON at line 1, column 5: unexpected zero byte");
}

TEST_CASE("json: levels are counted alike in both directions", "[json]") {
  using waggle::wire::depth_max;
  for (const std::string_view open : {"["sv, "{\"a\":"sv}) {
    const std::string_view close = open == "[" ? "]" : "}";
    const auto nested = [&](std::size_t levels) { return repeated(open, levels) + "1" + repeated(close, levels); };
    const auto bytes = json_to_msgpack(nested(depth_max));
    REQUIRE(bytes);
    waggle::wire::reader in{*bytes};
    CHECK(in.skip());
    CHECK(msgpack_to_json(*bytes) == nested(depth_max));
    CHECK(why_not(nested(depth_max + 1)).find("values are nested too deep") != std::string::npos);
    CHECK(why_not(nested(100'000)).find("values are nested too deep") != std::string::npos);
  }
  CHECK_FALSE(try_msgpack_to_json(repeated("\x91", depth_max + 1) + "\x01"));
  CHECK(try_msgpack_to_json(repeated("\x91", depth_max) + "\x01"));
}

TEST_CASE("json: texts are accepted and refused as JSONTestSuite asks", "[json]") {
  // From nst/JSONTestSuite, test_parsing: y_ accepted, n_ refused. Where the suite leaves the choice (i_), what would lose
  // something is refused.
  const std::string_view accepted[] = {
      "[[]   ]", "[\"\"]", "[]", "[\"a\"]", "[false]", "[null, 1, \"1\", {}]", "[null]", "[1\n]", " [1]", "[1,null,null,null,2]",
      "[2] ", "[123e65]", "[0e+1]", "[0e1]", "[ 4]", "[-0.000000000000000000000000000000000000000000000000000000000000000000000000000001]",
      "[20e1]", "[-0]", "[-123]", "[-1]", "[1E22]", "[1E-2]", "[1E+2]", "[123e45]", "[123.456e78]", "[1e-2]", "[1e+2]", "[123]",
      "[123.456789]", "{\"asd\":\"sdf\", \"dfg\":\"fgh\"}", "{\"asd\":\"sdf\"}", "{}", "{\"\":0}", "{\"foo\\u0000bar\": 42}",
      "{ \"min\": -1.0e+28, \"max\": 1.0e+28 }", "{\"title\":\"\\u041f\\u043e\" }", "{\n\"a\": \"b\"\n}",
      "[\"\\u0060\\u012a\\u12AB\"]", "[\"\\uD801\\udc37\"]", "[\"\\ud83d\\ude39\\ud83d\\udc8d\"]",
      "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "[\"\\\\u0000\"]", "[\"\\\"\"]", "[\"a/*b*/c/*d//e\"]", "[\"\\\\a\"]", "[\"\\\\n\"]",
      "[\"\\u0012\"]", "[\"\\uFFFF\"]", "[ \"asd\"]", "[\"\\uDBFF\\uDFFF\"]", "[\"new\\u00A0line\"]", "[\"\xf4\x8f\xbf\xbf\"]",
      "[\"\xef\xbf\xbf\"]", "[\"\\u002c\"]", "[\"\xcf\x80\"]", "\" \"", "[\"\xe2\x80\xa8\"]", "[\"\\u200B\"]", "[\"a\x7f" "a\"]",
      "false", "42", "-0.1", "null", "\"asd\"", "true", "\"\"", "[\"a\"]\n", "[true]", " [] ", "[-1e-9999]"};
  for (const auto text : accepted) {
    CAPTURE(text);
    const auto bytes = json_to_msgpack(text);
    REQUIRE(bytes);
    CHECK(json::parse(msgpack_to_json(*bytes)) == json::parse(text));
  }
  const std::string_view refused[] = {
      "[1 true]", "[a\xe5]", "[\"\": 1]", "[\"\"],", "[,1]", "[1,,2]", "[\"x\",,]", "[\"x\"]]", "[\"\",]", "[\"x\"", "[x", "[3[4]]",
      "[\xff]", "[1:2]", "[,]", "[-]", "[   , \"\"]", "[\"a\",\n4\n,1,", "[1,]", "[\"\va\"\\f]", "[*]", "[\"\"", "[1,\n1\n,1", "[{}",
      "[fals]", "[nul]", "[tru]", "[++1234]", "[+1]", "[+Inf]", "[-01]", "[-1.0.]", "[-2.]", "[-NaN]", "[.-1]", "[.2e-3]", "[0.1.2]",
      "[0.3e+]", "[0.3e]", "[0.e1]", "[0E+]", "[0E]", "[0e+]", "[0e]", "[1.0e+]", "[1.0e-]", "[1.0e]", "[1 000.0]", "[1eE2]",
      "[2.e+3]", "[2.e-3]", "[2.e3]", "[9.e+]", "[Inf]", "[NaN]", "[\xef\xbc\x91]", "[1+2]", "[0x1]", "[0x42]", "[Infinity]", "[0e+-1]",
      "[-123.123foo]", "[123\xe5]", "[1e1\xe5]", "[0\xe5]", "[-Infinity]", "[-foo]", "[- 1]", "[-012]", "[-.123]", "[-1x]", "[1ea]",
      "[1e\xe5]", "[1.]", "[.123]", "[1.2a-3]", "[1.8011670033376514H-308]", "[012]", "[\"x\", truth]", "{[: \"x\"}\n",
      "{\"x\", null}", "{\"x\"::\"b\"}", "{\xf0\x9f\x87\xa8\xf0\x9f\x87\xad}", "{\"a\":\"a\" 123}", "{key: 'value'}", "{\"\xb9\":\"0\",}",
      "{\"a\" b}", "{:\"b\"}", "{\"a\" \"b\"}", "{\"a\":", "{\"a\"", "{1:1}", "{9999E9999:1}", "{null:null,null:null}",
      "{\"id\":0,,,,,}", "{'a':0}", "{\"id\":0,}", "{\"a\":\"b\"}/**/", "{\"a\":\"b\"}/**//", "{\"a\":\"b\"}//", "{\"a\":\"b\"}/",
      "{\"a\":\"b\",,\"c\":\"d\"}", "{a: \"b\"}", "{\"a\":\"a", "{ \"foo\" : \"bar\", \"a\" }", "{\"a\":\"b\"}#", " ", "[\"\\uD800\\\"]",
      "[\"\\uD800\\u\"]", "[\"\\uD800\\u1\"]", "[\"\\uD800\\u1x\"]", "[\xc3\xa9]", "[\"\\x00\"]", "[\"\\\\\\\"]", "[\"\\\t\"]",
      "[\"\\\xf0\x9f\x8c\x80\"]", "[\"\\\"]", "[\"\\u00A\"]", "[\"\\uD834\\uDd\"]", "[\"\\uD800\\uD800\\x\"]", "[\"\\u\xe5\"]", "[\"\\a\"]",
      "[\"\\uqqqq\"]", "[\"\\\xe5\"]", "[\\u0020\"asd\"]", "[\\n]", "\"", "['single quote']", "abc", "[\"\\", "[\"new\nline\"]",
      "[\"\t\"]", "\"\\UA66D\"", "\"\"x", "<.>", "[<null>]", "[1]x", "[1]]", "[\"asd]", "aÿ", "[True]", "1]", "{\"x\": true,", "[][]",
      "]", "\xef\xbb{}", "\xe5", "[", "[\"a", "[\"a\"", "[{", "{]", "{[", "{,", "{\"a", "{'a'", "[\"\\{[\"\\{[\"\\{[\"\\{", "\xe9",
      "*", "{\"a\":\"b\"}#{}", "[\\u000A\"\"]", "[1", "[ false, nul", "[ true, fals", "[ false, tru", "{\"asd\":\"asd\"", "\xc3\xa5",
      "[\xe2\x81\xa0]", "[\f]", "\xff\xfe[\0]\0", "\x1f", "[1e9999]", "[-1e9999]", "[123123e100000]", "[-123123123123123123123123123123]",
      "[100000000000000000000]", "{\"a\":1,\"a\":1}", "[\"\\uDADA\"]", "[\"\\ud800\\n\"]", "[\"\\uDd1ea\"]", "[\"\xe0\xff\"]",
      "[\"\xc0\xaf\"]", "[\"\xfc\x83\xbf\xbf\xbf\xbf\"]", "[\"\xf4\xbf\xbf\xbf\"]", "[\"\xf0\x80\x80\x8a\"]", "[\"\x81\"]"};
  for (const auto text : refused) {
    CAPTURE(text);
    CHECK_FALSE(json_to_msgpack(text));
  }
}

TEST_CASE("json: a key that comes twice is found among many", "[json]") {
  std::string text = "{";
  for (int i = 0; i < 50'000; ++i) text += "\"k" + std::to_string(i) + "\":0,";
  CHECK(json_to_msgpack(text + "\"x\":0}"));
  CHECK(why_not(text + "\"k31415\":0}").find("the key comes twice: \"k31415\"") != std::string::npos);
  CHECK(json_to_msgpack(R"({"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]})"));
  CHECK_FALSE(json_to_msgpack(R"({"a":{"a":{"a":1}},"b":[{"a":1},{"a":2,"b":1,"a":3}]})"));
}

TEST_CASE("json: random documents come through unchanged", "[json]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  for (int round = 0; round < 300; ++round) {
    const auto document = random_document(random, 3);
    const auto expected = json::to_msgpack(document);
    const auto bytes = json_to_msgpack(document.dump(round % 3 - 1));
    REQUIRE(bytes);
    // nlohmann writes doubles that fit a float as floats; the values are compared instead.
    REQUIRE(json::from_msgpack(*bytes) == document);
    for (const int indent : {-1, 0, 3}) REQUIRE(json::parse(msgpack_to_json(*bytes, indent)) == document);
    REQUIRE(json::parse(msgpack_to_json({reinterpret_cast<const char*>(expected.data()), expected.size()})) == document);
  }
}

TEST_CASE("json: any bytes give JSON or a reason, and cut messages a reason", "[json]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(random() % 48, '\0');
    for (auto& each : bytes) each = static_cast<char>(random() % 3 == 0 ? 0x80 + random() % 0x60 : random());
    const auto text = try_msgpack_to_json(bytes);
    waggle::wire::reader in{bytes};
    if (!in.skip() || !in.at_end()) {
      REQUIRE_FALSE(text);
      REQUIRE(text.error().code == waggle::status::internal);
      REQUIRE(msgpack_to_json(bytes) == "null");
    } else if (text) {
      REQUIRE(json::accept(*text));
    } else {
      REQUIRE(text.error().message.find("is a key of a map that is a key") != std::string::npos);
    }
  }
  const auto whole = json_to_msgpack(random_document(random, 3).dump()).value();
  for (std::size_t size = 0; size < whole.size(); ++size) REQUIRE_FALSE(try_msgpack_to_json(whole.substr(0, size)));
  CHECK_FALSE(try_msgpack_to_json(whole + "\xc0"));
}

TEST_CASE("json: random text is accepted only where nlohmann accepts it", "[json]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  const std::string_view alphabet = "{}[]:,\"\\u012eE.+-adntrufls \n\xc3\xa9\x80";
  for (int round = 0; round < 50'000; ++round) {
    std::string text = round % 2 == 0 ? random_document(random, 0).dump() : "";
    for (auto edits = random() % 8; edits > 0; --edits) {
      text.insert(random() % (text.size() + 1), 1, alphabet[random() % alphabet.size()]);
    }
    CAPTURE(text);
    if (const auto bytes = json_to_msgpack(text)) REQUIRE(json::parse(text) == json::from_msgpack(*bytes));
  }
}

TEST_CASE("json: doubles are written as short as they can be, and stay numbers with a point", "[json]") {
  const auto shown = [](double number) {
    const auto bits = std::bit_cast<std::uint64_t>(number);
    std::string bytes = "\xcb";
    for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(bits >> shift & 0xff);
    return msgpack_to_json(bytes);
  };
  CHECK(shown(1) == "1.0");
  CHECK(shown(-0.0) == "-0.0");
  CHECK(shown(0.1) == "0.1");
  CHECK(shown(1e300) == "1e+300");
  CHECK(shown(123456789.0) == "123456789.0");
  CHECK(shown(5e-324) == "5e-324");
  CHECK(shown(std::numeric_limits<double>::quiet_NaN()) == "null");
  CHECK(shown(std::numeric_limits<double>::infinity()) == "null");
  CHECK(shown(-std::numeric_limits<double>::infinity()) == "null");
}

TEST_CASE("json: what JSON lacks has a stated form", "[json]") {
  CHECK(msgpack_to_json("\xc4\x03\x00\xff\x10"s) == R"("AP8Q")");
  CHECK(msgpack_to_json("\xd6\xff\0\0\0\0"s) == R"("1970-01-01T00:00:00Z")");
  CHECK(msgpack_to_json("\xc7\x0c\xff\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"s) == R"("1969-12-31T23:59:59Z")");
  CHECK(msgpack_to_json("\xd7\xff\x77\x35\x94\x00\0\0\0\1"s).find(R"("1970-01-01T00:00:01.5)") == 0);
  // No instant: a billion nanoseconds, a year past 9999, a size that is none of the three.
  CHECK(msgpack_to_json("\xc7\x0c\xff\x3b\x9a\xca\0\0\0\0\0\0\0\0\0"s).find(R"({"type":-1,"data":")") == 0);
  CHECK(msgpack_to_json("\xc7\x0c\xff\0\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"s).find(R"({"type":-1,"data":")") == 0);
  CHECK(msgpack_to_json("\xd4\xff\0"s) == R"({"type":-1,"data":"AA=="})");
  CHECK(msgpack_to_json("\xd4\x05z"s) == R"({"type":5,"data":"eg=="})");
  CHECK(msgpack_to_json("\xa3" "a\xff" "b") == "\"a\xef\xbf\xbd" "b\"");
  CHECK(msgpack_to_json("\xa3\xe2\x82" "b") == "\"\xef\xbf\xbd\xef\xbf\xbd" "b\"");
  CHECK(msgpack_to_json("\x84\x01\x02\xc0\x03\xc4\x01z\x04\xcb\x3f\xf8\0\0\0\0\0\0\x05"s) ==
        R"({"1":2,"null":3,"eg==":4,"1.5":5})");
  CHECK(msgpack_to_json("\x81\x92\x01\xa1\"\x02") == R"({"[1,\"\\\"\"]":2})");
  CHECK(msgpack_to_json("\x81\x81\x01\x02\x03", 2) == "{\n  \"{\\\"1\\\":2}\": 3\n}");
  CHECK(try_msgpack_to_json("\x81\x81\x90\x02\x03").error().message ==
        "malformed msgpack at byte 2: a map is a key of a map that is a key");
  CHECK(try_msgpack_to_json("\x92\x01").error().message ==
        "malformed msgpack at byte 0: the array announces more elements than there are bytes");
  CHECK(try_msgpack_to_json("").error().message == "malformed msgpack at byte 0: the bytes end where a value should be");
  CHECK(try_msgpack_to_json("\x01\x02").error().message == "malformed msgpack at byte 1: more bytes after the value");
}

TEST_CASE("json: an indent lays the text out as nlohmann does", "[json]") {
  const auto document = R"({"a":[1,[],{},{"b":null}],"c":{}})";
  const auto bytes = json_to_msgpack(document).value();
  CHECK(msgpack_to_json(bytes) == document);
  CHECK(msgpack_to_json(bytes, 2) == json::parse(document).dump(2));
  CHECK(msgpack_to_json(bytes, 0) == json::parse(document).dump(0));
}

TEST_CASE("json: a quoted string is what nlohmann reads back", "[json]") {
  CHECK(json_string("a\"\\\b\f\n\r\t\x01\x1f\x7f/") == "\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\x7f/\"");
  CHECK(json_string("é€𝄞") == "\"é€𝄞\"");
  CHECK(json_string("é\xc3") == "\"é\xef\xbf\xbd\"");
  CHECK(json_string("\xed\xa0\x80") == "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
  std::mt19937_64 random{1};
  for (int round = 0; round < 5'000; ++round) {
    std::string text(random() % 20, '\0');
    for (auto& each : text) each = static_cast<char>(random());
    const auto read = json::parse(json_string(text));
    if (waggle::wire::is_utf8(text)) REQUIRE(read == text);
  }
}
