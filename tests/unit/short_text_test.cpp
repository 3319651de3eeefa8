#include "gateway/front/short_text.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <waggle/detail/hex.hpp>

#include "gateway/identity/api_keys.hpp"
#include "support/catch.hpp"

using namespace waggle::gateway;
using waggle::front::short_text;

TEST_CASE("short text: it holds what fits, and leaves away what is past its bound", "[gateway]") {
  short_text<5> text{"abc"};
  CHECK(text.view() == "abc");
  CHECK(text.append("def").view() == "abcde");
  CHECK(text.append("g").view() == "abcde");
  CHECK(short_text<5>{std::string(300, 'x')}.size() == 5);
  const auto copy = text;
  text = "z";
  CHECK(copy.view() == "abcde");
  CHECK(text.view() == "z");
  CHECK(short_text<255>{std::string(255, 'x')}.view() == std::string(255, 'x'));
  CHECK(short_text<1>{}.empty());
  text.clear();
  CHECK(text == "");
  CHECK(copy == "abcde");
  CHECK_FALSE(copy == "abcd");
}

TEST_CASE("hex: numbers have sixteen digits and bytes two each, the high ones first", "[gateway]") {
  std::string out = "n";
  waggle::detail::append_hex(out, 0x0123456789abcdef);
  waggle::detail::append_hex(out, 0);
  CHECK(out == "n0123456789abcdef0000000000000000");
  std::string bytes, wanted;
  for (int i = 0; i < 50; ++i) {
    bytes += static_cast<char>(i * 5);
    wanted += "0123456789abcdef"[i * 5 >> 4];
    wanted += "0123456789abcdef"[i * 5 & 15];
  }
  CHECK(waggle::detail::hex_of({reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()}) == wanted);
}

TEST_CASE("sha256: digests are those of FIPS 180-4's examples, whatever was digested before", "[gateway]") {
  const auto hex_of = [](std::string_view text) { return waggle::detail::hex_of(sha256(text)); };
  CHECK(hex_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hex_of("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hex_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(hex_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
