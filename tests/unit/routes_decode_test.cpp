#include "gateway/routes/decode.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"

using waggle::gateway::decoded_path;
using waggle::gateway::decoded_query;

namespace {

std::string shown(const decoded_query& query) {
  std::string out;
  for (const auto& [name, value] : query.parameters()) out += std::string{name} + '=' + std::string{value} + ' ';
  return out;
}

}  // namespace

TEST_CASE("decode: a query's parameters are by name, those of one name in the order in which they came, however many there are", "[routes]") {
  CHECK(shown(decoded_query{""}).empty());
  CHECK(shown(decoded_query{"b=1"}) == "b=1 ");
  CHECK(shown(decoded_query{"b=2&a=1&b=1&&a"}) == "a=1 a= b=2 b=1 ");
  CHECK(shown(decoded_query{"d=1&c=1&b=1&a=1"}) == "a=1 b=1 c=1 d=1 ");
  CHECK(shown(decoded_query{"e=1&d=1&c=1&b=1&a=1"}) == "a=1 b=1 c=1 d=1 e=1 ");
  CHECK(shown(decoded_query{"b=3&a=3&b=2&a=2&b=1&a=1"}) == "a=3 a=2 a=1 b=3 b=2 b=1 ");
  std::vector<std::string_view> found;
  decoded_query{"x=1&y=2&x=3&z=4&x=5&w=6"}.find("x", found);
  CHECK(found == std::vector<std::string_view>{"1", "3", "5"});
}

TEST_CASE("decode: a query has at most 256 parameters", "[routes]") {
  std::string text = "a";
  for (int i = 1; i < 256; ++i) text += "&a";
  CHECK(decoded_query{text}.why() == nullptr);
  CHECK(decoded_query{text}.parameters().size() == 256);
  CHECK(decoded_query{text + "&a"}.why() != nullptr);
}

TEST_CASE("decode: text that has nothing to decode is checked as that which has", "[routes]") {
  for (const std::string& bad : {std::string(1, '\0'), std::string{"a\0b", 3}, std::string{"\xff"}, std::string{"a\xc3"}, std::string{"%00"}, std::string{"%ff"}}) {
    CAPTURE(bad);
    CHECK(decoded_query{"x=" + bad}.why() != nullptr);
    CHECK(decoded_path{"/" + bad}.why() != nullptr);
  }
  CHECK(shown(decoded_query{"x=\xc3\xa4+%C3%A4"}) == "x=\xc3\xa4 \xc3\xa4 ");
  CHECK(decoded_path{"/a+b"}[0] == "a+b");
}
