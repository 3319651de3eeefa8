#include <random>
#include <string>
#include <string_view>

#include "support/catch.hpp"
#include "tools/waggle/frame_text.hpp"
#include "tools/waggle/hex.hpp"

using namespace std::string_literals;
using namespace std::string_view_literals;
using namespace waggle::cli;

namespace {

/// A frame in JSON, as the bytes it is sent as.
std::string sent(std::string_view json) {
  const auto out = frame_from_json(json);
  REQUIRE(out);
  return to_hex(*out);
}

}  // namespace

TEST_CASE("cli: hex is read with whatever stands between pairs, and nothing else", "[cli]") {
  CHECK(from_hex("00ff7F") == "\x00\xff\x7f"s);
  CHECK(from_hex(" 00 ff\n7f\t") == "\x00\xff\x7f"s);
  CHECK(from_hex("00:ff:7f") == "\x00\xff\x7f"s);
  CHECK(from_hex("") == "");
  for (const auto text : {"0"sv, "0 0"sv, "0x00"sv, "0g"sv, "00,ff"sv, "00 f"sv}) {
    INFO(text);
    CHECK(from_hex(text) == std::nullopt);
  }
}

TEST_CASE("cli: hex is written in pairs, and in lines where asked for", "[cli]") {
  CHECK(to_hex("") == "");
  CHECK(to_hex("\x00\xab\x0f"sv) == "00 ab 0f");
  CHECK(to_hex("\x01\x02\x03"sv, 2, 3) == "   01 02\n   03");
  CHECK(from_hex(to_hex("\x01\x02\x03"sv, 2, 3)) == "\x01\x02\x03");
}

TEST_CASE("cli: the payload of a JSON frame is packed into a bin, and nothing else is", "[cli]") {
  CHECK(sent(R"([1,7,"hello.say",{"name":"Ada"},1000,null])") ==
        "96 01 07 a9 68 65 6c 6c 6f 2e 73 61 79 c4 0a 81 a4 6e 61 6d 65 a3 41 64 61 cd 03 e8 c0");
  CHECK(sent(R"([1,7,"a",null,1000,{"key":"k"}])") == "96 01 07 a1 61 c0 cd 03 e8 81 a3 6b 65 79 a1 6b");
  CHECK(sent(R"([3,7,"text"])") == "93 03 07 c4 05 a4 74 65 78 74");
  CHECK(sent(R"([4,7,0,[1],null])") == "95 04 07 00 c4 02 91 01 c0");
  CHECK(sent(R"([7,1,{"service":"s"}])") == "93 07 01 81 a7 73 65 72 76 69 63 65 a1 73");
  CHECK(sent(R"([9])") == "91 09");
}

TEST_CASE("cli: a frame's type may be written as its name", "[cli]") {
  CHECK(sent(R"(["CALL",7,"a",1,1000,null])") == sent(R"([1,7,"a",1,1000,null])"));
  CHECK(sent(R"(["PULSE"])") == "91 09");
  CHECK(sent(R"(["CREDIT",7,16])") == "93 0a 07 10");
  CHECK(sent(R"(["HELLO",1,null])") == "93 00 01 c0");
}

TEST_CASE("cli: what is no frame is sent as it stands", "[cli]") {
  CHECK(sent(R"({"a":1})") == "81 a1 61 01");
  CHECK(sent(R"([10,7,"a",1])") == "94 0a 07 a1 61 01");
  CHECK(sent(R"(["call",7])") == "92 a4 63 61 6c 6c 07");
  CHECK(sent("[]") == "90");
  CHECK(sent("5") == "05");
  CHECK(sent("[1]") == "91 01");
  CHECK_FALSE(frame_from_json("[1,"));
}

TEST_CASE("cli: a message is shown frame by frame, with the payloads' values", "[cli]") {
  const auto message = *from_hex("95 04 07 00 c4 02 91 01 c0 91 09 93 03 07 c4 01 c1 93 0b 01 02 c0 c1 00");
  const auto frames = show_frames(message);
  REQUIRE(frames.size() == 6);
  CHECK(frames[0].label == "REPLY 7 OK");
  CHECK(frames[0].json == "[4,7,0,[1],null]");
  CHECK(frames[0].is_reply);
  CHECK(to_hex(frames[0].bytes) == "95 04 07 00 c4 02 91 01 c0");
  CHECK(frames[1].label == "PULSE");
  CHECK(frames[2].label == "PART 7");
  CHECK(frames[2].json == R"([3,7,"wQ=="])");  // a payload that is no msgpack value stays a binary
  CHECK_FALSE(frames[2].is_reply);
  CHECK(frames[3].label.empty());
  CHECK(frames[3].problem == "a frame of a type that this version does not know");
  CHECK(frames[4].problem == "expected an array");
  CHECK(frames[4].json == "null");
  CHECK(frames[5].problem == "0xc1 begins no value (at byte 22)");
  CHECK(frames[5].json.empty());
  CHECK(to_hex(frames[5].bytes) == "c1 00");
}

TEST_CASE("cli: a JSON frame is shown as it was written", "[cli]") {
  for (const auto json : {R"([1,7,"hello.say",{"name":"Ada"},1000,null])"sv, R"([4,7,14,{"code":"X"},{"a":"b"}])"sv,
                          R"([5,0,"topic",[1,2.5],null])"sv, R"([6,3,"topic","text",null,{}])"sv}) {
    const auto bytes = frame_from_json(json);
    REQUIRE(bytes);
    const auto frames = show_frames(*bytes);
    REQUIRE(frames.size() == 1);
    CHECK(frames[0].json == json);
  }
}

TEST_CASE("cli: an event is shown with its origin, and a delivery with its group and attempt", "[cli]") {
  const auto label = [](std::string_view json) {
    const auto bytes = frame_from_json(json);
    REQUIRE(bytes);
    const auto frames = show_frames(*bytes);
    REQUIRE(frames.size() == 1);
    CHECK(frames[0].json == json);
    return frames[0].label;
  };
  CHECK(label(R"([6,0,"order.placed",42,null])") == "EVENT 0");
  CHECK(label(R"([6,1042,"order.placed",42,null,{"stream":"events","time":1764000000000,"after":[6,1040]}])") == "EVENT 1042 of events");
  CHECK(label(R"([6,16777216,"order.placed",{"a":1},{"key":"k"},{"group":"shop","stream":"events","sequence":1042,"attempt":2,"attempts_max":8}])") ==
        "EVENT 16777216 of events 1042 to shop, attempt 2 of 8");
  CHECK(label(R"([6,7,"a",null,null,{"stream":7,"sequence":"x","attempt":null}])") == "EVENT 7");
}

TEST_CASE("cli: as many replies are waited for as frames ask for", "[cli]") {
  const auto wanted = [](std::string_view json) { return replies_wanted(*frame_from_json(json)); };
  CHECK(wanted(R"([1,7,"a",null,1000,null])") == 1);
  CHECK(wanted(R"([0,1,null])") == 1);
  CHECK(wanted(R"([5,1,"a",null,null])") == 1);
  CHECK(wanted(R"([5,0,"a",null,null])") == 0);
  CHECK(wanted(R"([2,7])") == 0);
  CHECK(wanted(R"([9])") == 0);
  CHECK(wanted(R"({"a":1})") == 0);
  CHECK(replies_wanted(*frame_from_json("[0,1,null]") + *frame_from_json("[9]") + *frame_from_json("[8,2]")) == 2);
}

TEST_CASE("cli: any bytes are shown", "[cli]") {
  const auto seed = 5u;
  INFO("seed " << seed);
  std::mt19937 random{seed};
  for (int round = 0; round < 5000; ++round) {
    std::string bytes(random() % 40, '\0');
    for (auto& byte : bytes) byte = static_cast<char>(random());
    if (round % 2 == 0) bytes = "\x96" + bytes;
    std::size_t shown = 0;
    for (const auto& each : show_frames(bytes)) shown += each.bytes.size();
    REQUIRE(shown == bytes.size());
    (void)replies_wanted(bytes);
  }
}
