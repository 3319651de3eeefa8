// Command frames: what is written is read, what is cut, bent or too large is refused, what is newer is stepped over.
#include "support/catch.hpp"

#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <waggle/wire/frames.hpp>
#include <waggle/wire/headers.hpp>

using namespace std::literals;
using namespace waggle;
using namespace waggle::wire;

namespace {

bool same(const frame& a, const frame& b) {
  return a.type == b.type && a.id == b.id && a.name == b.name && a.payload == b.payload && a.headers == b.headers &&
         a.manifest == b.manifest && a.budget_ms == b.budget_ms && a.parts == b.parts && a.key == b.key && a.status == b.status && a.seats == b.seats;
}

/// The frame, written again from what was read.
std::string written(const frame& from) {
  std::string out;
  switch (from.type) {
    case frame_type::hello: append_hello(out, from.id, from.manifest); break;
    case frame_type::call: append_call(out, from.id, from.name, from.payload, from.budget_ms, from.headers, from.parts); break;
    case frame_type::cancel: append_cancel(out, from.id); break;
    case frame_type::part: append_part(out, from.id, from.payload); break;
    case frame_type::reply: append_reply(out, from.id, from.status, from.payload, from.headers); break;
    case frame_type::emit: append_emit(out, from.id, from.name, from.payload, from.headers); break;
    case frame_type::event: append_event(out, from.id, from.name, from.payload, from.headers); break;
    case frame_type::join: append_join(out, from.id, from.manifest); break;
    case frame_type::leave: append_leave(out, from.id); break;
    case frame_type::pulse: append_pulse(out, from.seats); break;
    case frame_type::credit: append_credit(out, from.id, from.parts); break;
  }
  return out;
}

/// One of each type, and each with everything that can be nil as nil.
std::vector<std::string> one_of_each() {
  std::vector<std::string> out;
  const auto add = [&](auto&& append) { append(out.emplace_back()); };
  for (const auto map : {"\x81\xa3key\xa1k"sv, ""sv}) {
    for (const auto payload : {"\x93\x01\x02\x03"sv, ""sv}) {
      add([&](auto& to) { append_call(to, 7, "hello.say", payload, 1500, map); });
      add([&](auto& to) { append_call(to, 8, "hello.say", payload, 1500, map, 300); });
      add([&](auto& to) { append_reply(to, 1ull << 52, status::not_found, payload, map); });
      add([&](auto& to) { append_emit(to, 0, "order.placed", payload, map); });
      add([&](auto& to) { append_event(to, ~0ull, "order.placed", payload, map); });
      add([&](auto& to) { append_part(to, 300, payload); });
    }
    add([&](auto& to) { append_hello(to, 1, map); });
    add([&](auto& to) { append_join(to, 70'000, map); });
  }
  add([](auto& to) { append_credit(to, 7, 16); });
  add([](auto& to) { append_cancel(to, 1); });
  add([](auto& to) { append_leave(to, 2); });
  add([](auto& to) { append_pulse(to); });
  add([](auto& to) { append_pulse(to, 12); });
  return out;
}

decoded read_one(std::string_view bytes, frame& out) { return bundle_reader{bytes}.next(out); }

std::string why_not(std::string_view bytes) {
  bundle_reader in{bytes};
  frame out;
  return in.next(out) == decoded::broken ? in.why() : "it is a frame";
}

}  // namespace

TEST_CASE("frames: a payload may be one of the message's attachments, each frame says which", "[wire]") {
  message made;
  append_call(made.bundle, 1, "a.b", payload_field::attached(made, attachment{"first"}), 1000, {});
  append_part(made.bundle, 2, "inside");
  append_part(made.bundle, 2, payload_field::attached(made, attachment{"second"}));
  append_reply(made.bundle, 3, waggle::status::ok, payload_field::attached(made, attachment{"third"}), {});
  append_emit(made.bundle, 4, "topic", payload_field::attached(made, attachment{"fourth"}), {});
  CHECK(made.bytes() == made.bundle.size() + 5 + 6 + 5 + 6);
  bundle_reader in{made};
  frame out;
  const char* const payloads[] = {"first", "inside", "second", "third", "fourth"};
  for (const std::string_view each : payloads) {
    REQUIRE(in.next(out) == decoded::frame);
    CHECK(out.payload == each);
    CHECK((out.attached != nullptr) == (each != "inside"));
    if (out.attached != nullptr) CHECK(out.payload.data() == out.attached->bytes().data());
  }
  CHECK(in.next(out) == decoded::end);
}

TEST_CASE("frames: an attachment that the message does not have, that another frame has had, or that is too large, breaks it", "[wire]") {
  message made;
  append_part(made.bundle, 2, payload_field::attached(made, attachment{std::string(payload_bytes_max + 1, 'x')}));
  frame out;
  bundle_reader large{made};
  CHECK(large.next(out) == decoded::broken);
  CHECK(std::string{large.why()} == "the payload is too large");
  CHECK(why_not(made.bundle) == "the payload is an attachment that the message does not have, or that an earlier frame has had");
  message doubled;
  const auto field = payload_field::attached(doubled, attachment{"once"});
  for (int i = 0; i < 2; ++i) append_part(doubled.bundle, 2, field);
  bundle_reader twice{doubled};
  CHECK(twice.next(out) == decoded::frame);
  CHECK(twice.next(out) == decoded::broken);
  message again;
  append_part(again.bundle, 2, payload_field::attached(again, attachment{}));
  bundle_reader empty{again};
  REQUIRE(empty.next(out) == decoded::frame);
  CHECK(out.payload.empty());
}

TEST_CASE("frames: what is written is read, whole and byte for byte", "[wire]") {
  for (const auto& bytes : one_of_each()) {
    bundle_reader in{bytes};
    frame first, again;
    REQUIRE(in.next(first) == decoded::frame);
    CHECK(in.offset() == bytes.size());
    CHECK(in.next(again) == decoded::end);
    const auto rewritten = written(first);
    REQUIRE(read_one(rewritten, again) == decoded::frame);
    CHECK(same(first, again));
    if (bytes != "\x91\x09") CHECK(rewritten == bytes);
  }
}

TEST_CASE("frames: the members of a CALL are what was put in", "[wire]") {
  std::string bytes;
  append_call(bytes, 7, "hello.say", "\xa3""Ada", 1500, "\x81\xa3key\xa1k");
  frame call;
  REQUIRE(read_one(bytes, call) == decoded::frame);
  CHECK(call.type == frame_type::call);
  CHECK(call.id == 7);
  CHECK(call.name == "hello.say");
  CHECK(call.payload == "\xa3""Ada");
  CHECK(call.budget_ms == 1500);
  CHECK(call.headers == "\x81\xa3key\xa1k");
}

TEST_CASE("frames: a frame that is cut at any byte is broken", "[wire]") {
  for (const auto& bytes : one_of_each()) {
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
      frame out;
      CAPTURE(static_cast<int>(bytes[1]), cut);
      CHECK(read_one(std::string_view{bytes}.substr(0, cut), out) == decoded::broken);
    }
  }
}

TEST_CASE("frames: a bundle of many is read in order, and what is behind a break is not", "[wire]") {
  std::string bundle;
  const auto all = one_of_each();
  for (const auto& each : all) bundle += each;
  const auto broken = bundle + "\xc0" + bundle;
  bundle_reader in{broken};
  frame out;
  for (const auto& each : all) {
    REQUIRE(in.next(out) == decoded::frame);
    CHECK(static_cast<char>(out.type) == each[1]);
  }
  CHECK(in.next(out) == decoded::broken);
  CHECK(in.offset() == bundle.size());
  CHECK(in.next(out) == decoded::broken);
}

TEST_CASE("frames: fields behind those we know are stepped over, whatever they are", "[wire]") {
  for (const auto& shorter : one_of_each()) {
    frame before, after;
    REQUIRE(read_one(shorter, before) == decoded::frame);
    if (shorter == "\x91\x09" || shorter.starts_with("\x96\x01")) continue;  // its next field is known
    auto bytes = shorter;
    bytes[0] = static_cast<char>(bytes[0] + 3);
    bytes += "\x82\xa1k\x90\x01\xd4\x05x\xc4\x01z\xc0";
    bundle_reader in{bytes};
    REQUIRE(in.next(after) == decoded::frame);
    CHECK(same(before, after));
    CHECK(in.next(after) == decoded::end);
    CHECK(why_not(std::string_view{bytes}.substr(0, bytes.size() - 1)) != "it is a frame");
  }
}

TEST_CASE("frames: fewer fields than the type has are refused", "[wire]") {
  for (auto bytes : one_of_each()) {
    if (bytes[1] == '\x09' || bytes[0] == '\x97') continue;  // with a field that may be absent
    const auto fewer = static_cast<char>(bytes[0] - 1);
    bytes[0] = fewer;
    CHECK(why_not(bytes) == "the frame has too few fields");
  }
}

TEST_CASE("frames: types that this version does not know are stepped over when they are well-formed", "[wire]") {
  frame out;
  for (const auto& bytes : {"\x91\x0b"s, "\x92\x0b\xa3new"s, "\x91\xcf\xff\xff\xff\xff\xff\xff\xff\xff"s, "\x93\x7f\x81\x01\x02\xc3"s}) {
    const auto bundle = bytes + "\x91\x09";
    bundle_reader in{bundle};
    CHECK(in.next(out) == decoded::unknown);
    CHECK(in.next(out) == decoded::frame);
    CHECK(out.type == frame_type::pulse);
  }
  CHECK(read_one("\x93\x0b\x01", out) == decoded::broken);
}

TEST_CASE("frames: a call's key is found among its headers, if it is a string", "[wire]") {
  const auto with = [&](std::string_view headers) {
    std::string bytes;
    append_call(bytes, 1, "a", {}, 100, headers);
    frame read;
    REQUIRE(read_one(bytes, read) == decoded::frame);
    return std::string{read.key};
  };
  CHECK(with("").empty());
  CHECK(with("\x81\xa3key\xa1k") == "k");
  CHECK(with("\x82\xa1x\x01\xa3key\xa2k2") == "k2");
  CHECK(with("\x81\xa3key\x07").empty());
  CHECK(with("\x81\xa3key\xa0").empty());
}

TEST_CASE("frames: credit that is absent or nil is no limit", "[wire]") {
  frame out;
  REQUIRE(read_one("\x96\x01\x01\xa1\x61\xc0\x64\xc0", out) == decoded::frame);
  CHECK(out.parts == no_credit_limit);
  REQUIRE(read_one("\x97\x01\x01\xa1\x61\xc0\x64\xc0\xc0", out) == decoded::frame);
  CHECK(out.parts == no_credit_limit);
  REQUIRE(read_one("\x97\x01\x01\xa1\x61\xc0\x64\xc0\x05", out) == decoded::frame);
  CHECK(out.parts == 5);
  CHECK(read_one("\x97\x01\x01\xa1\x61\xc0\x64\xc0\xa1z", out) == decoded::broken);
}

TEST_CASE("frames: the long forms of arrays and numbers are read like the short ones", "[wire]") {
  const auto bytes = "\xdd\x00\x00\x00\x02\xd3\x00\x00\x00\x00\x00\x00\x00\x02\xcf\x00\x00\x00\x00\x00\x00\x00\x07"s;
  frame out;
  REQUIRE(read_one(bytes, out) == decoded::frame);
  CHECK(out.type == frame_type::cancel);
  CHECK(out.id == 7);
}

TEST_CASE("frames: what is no frame says why", "[wire]") {
  CHECK(why_not("\x90") == "a frame begins with its type");
  CHECK(why_not("\xc0") == "expected an array");
  CHECK(why_not("MDPC02") == "expected an array");
  CHECK(why_not("\x92\xff\x01") == "expected an integer that is not negative");
  CHECK(why_not("\x92\xa1x\x01") == "expected an integer");
  CHECK(why_not("\x92\x02\xff") == "expected an integer that is not negative");
  CHECK(why_not("\xdd\xff\xff\xff\xff\x01") == "the array announces more elements than there are bytes");
  CHECK(why_not("\x93\x03\x01\xa1x") == "expected a binary");  // a payload is bytes or nil
  CHECK(why_not("\x96\x01\x01\xa0\xc0\x05\xc0").starts_with("a name is"));
  CHECK(why_not("\x96\x01\x01\xa3" "a b\xc0\x05\xc0").starts_with("a name is"));
  CHECK(why_not("\x96\x01\x01\xa1\xff\xc0\x05\xc0").starts_with("a name is"));
  CHECK(why_not("\x96\x01\x01\xc4\x01" "a\xc0\x05\xc0") == "expected a string");
  CHECK(why_not("\x96\x01\x01\xa1" "a\xc0\xff\xc0") == "expected an integer that is not negative");
  CHECK(why_not("\x96\x01\x01\xa1" "a\xc0\x05\x90") == "expected a map");
  CHECK(why_not("\x96\x01\x01\xa1" "a\xc0\x05\x81\x01\x02") == "a header's name is a string that is a name");
  CHECK(why_not("\x96\x01\x01\xa1" "a\xc0\x05\x81\xa3" "a b\x02") == "a header's name is a string that is a name");
  CHECK(why_not("\x93\x07\x01\x90") == "expected a map");
}

TEST_CASE("frames: budgets above a day are a day, and a status that we do not know is UNKNOWN", "[wire]") {
  std::string bytes;
  append_call(bytes, 1, "a", {}, ~0ull, {});
  frame out;
  REQUIRE(read_one(bytes, out) == decoded::frame);
  CHECK(out.budget_ms == 86'400'000);
  for (const auto& code : {"\x11"s, "\xcc\xff"s, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"s}) {
    REQUIRE(read_one("\x95\x04\x01" + code + "\xc0\xc0", out) == decoded::frame);
    CHECK(out.status == status::unknown);
  }
}

TEST_CASE("frames: an empty binary is no payload", "[wire]") {
  frame out;
  REQUIRE(read_one("\x93\x03\x01\xc4\x00"s, out) == decoded::frame);
  CHECK(out.payload.empty());
}

TEST_CASE("frames: payloads, headers and manifests are taken up to their limits and not beyond", "[wire]") {
  frame out;
  const auto part = [](std::size_t size) {
    std::string bytes;
    append_part(bytes, 1, std::string(size, 'x'));
    return bytes;
  };
  CHECK(read_one(part(payload_bytes_max), out) == decoded::frame);
  CHECK(why_not(part(payload_bytes_max + 1)) == "the payload is too large");

  const auto call = [](std::size_t size, std::size_t count) {
    std::string headers;
    writer to{headers};
    to.map(count);
    for (std::size_t i = 0; i < count; ++i) {
      to.string("h" + std::to_string(i));
      to.string(i == 0 ? std::string(size, 'x') : "");
    }
    std::string bytes;
    append_call(bytes, 1, "a", {}, 1, headers);
    return std::pair{bytes, headers.size()};
  };
  const auto overhead = call(300, 1).second - 300;
  CHECK(read_one(call(headers_bytes_max - overhead, 1).first, out) == decoded::frame);
  CHECK(why_not(call(headers_bytes_max - overhead + 1, 1).first) == "the headers are too large");
  CHECK(read_one(call(1, headers_count_max).first, out) == decoded::frame);
  CHECK(why_not(call(1, headers_count_max + 1).first) == "there are too many headers");

  const auto join = [](std::size_t size) {
    std::string manifest, bytes;
    writer to{manifest};
    to.map(1);
    to.string("x");
    to.binary(std::string(size, 'x'));
    append_join(bytes, 1, manifest);
    return bytes;
  };
  CHECK(read_one(join(manifest_bytes_max - 8), out) == decoded::frame);
  CHECK(why_not(join(manifest_bytes_max - 7)) == "the manifest is too large");
}

TEST_CASE("frames: any bytes end in frames, unknown frames, the end or a reason; what is read can be written and read again", "[wire]") {
  const auto seed = std::random_device{}();
  std::mt19937_64 random{seed};
  const auto seeds = one_of_each();
  std::size_t frames = 0, broken = 0;
  for (int i = 0; i < 30'000; ++i) {
    std::string bytes;
    for (auto left = 1 + random() % 3; left > 0; --left) bytes += seeds[random() % seeds.size()];
    for (auto left = random() % 6; left > 0; --left) {
      const auto at = random() % bytes.size();
      switch (random() % 4) {
        case 0: bytes[at] = static_cast<char>(random() % 256); break;
        case 1: bytes.erase(at, 1 + random() % 3); break;
        case 2: bytes.insert(at, 1, static_cast<char>(random() % 256)); break;
        default: bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
      }
      if (bytes.empty()) bytes = "\xc1";
    }
    INFO("seed " << seed << ", round " << i);
    const std::string exact{bytes};  // so that a sanitizer sees a read past its end
    bundle_reader in{exact};
    frame out, again;
    for (auto read = in.next(out); read != decoded::end; read = in.next(out)) {
      REQUIRE(in.offset() <= exact.size());
      if (read == decoded::broken) {
        ++broken;
        REQUIRE(in.why() != nullptr);
        break;
      }
      if (read == decoded::unknown) continue;
      ++frames;
      const auto rewritten = written(out);
      REQUIRE(read_one(rewritten, again) == decoded::frame);
      REQUIRE(same(out, again));
    }
  }
  CHECK(frames > 10'000);
  CHECK(broken > 5000);
}

TEST_CASE("headers: texts are read, the rest is stepped over, and bytes that are nothing give what came before them", "[wire]") {
  const header_map some{{"key", "k"}, {"traceparent", "00-1-2-01"}};
  CHECK(headers_from_msgpack(headers_to_msgpack(some)) == some);
  CHECK(headers_to_msgpack({}).empty());
  CHECK(headers_from_msgpack({}).empty());
  CHECK(headers_from_msgpack("\x84\xa1" "a\xa1" "b\xa1n\x05\x01\x02\xa1z\xa1\xff") == header_map{{"a", "b"}});
  const auto bytes = headers_to_msgpack(some);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    for (const auto& [key, value] : headers_from_msgpack(std::string_view{bytes}.substr(0, cut))) CHECK(some.at(key) == value);
  }
}

TEST_CASE("headers: what headers_problem lets through a peer takes", "[wire]") {
  const auto takes = [](const header_map& headers) {
    std::string bytes;
    append_call(bytes, 1, "a", {}, 1, headers_to_msgpack(headers));
    frame out;
    return read_one(bytes, out) == decoded::frame;
  };
  header_map many;
  for (int i = 0; i < 64; ++i) many["h" + std::to_string(i)] = "v";
  CHECK(headers_problem(many) == nullptr);
  CHECK(takes(many));
  many["one more"] = "v";
  CHECK(headers_problem(many) != nullptr);
  many.erase("one more");
  many["one-more"] = "v";
  CHECK(headers_problem(many) != nullptr);
  CHECK_FALSE(takes(many));
  for (std::size_t size = headers_bytes_max - 30; size < headers_bytes_max + 5; ++size) {
    const header_map one{{"k", std::string(size, 'x')}};
    if (headers_problem(one) == nullptr) CHECK(takes(one));
  }
  CHECK(headers_problem({{"k", "\xff"}}) != nullptr);
}
