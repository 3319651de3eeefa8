#include "gateway/front/header_list.hpp"

#include <string>
#include <utility>
#include <vector>

#include "gateway/front/answer.hpp"
#include "support/catch.hpp"

using namespace waggle::front;

namespace {

using fields = std::vector<std::pair<std::string, std::string>>;

fields all_of(const header_list& list) { return {list.begin(), list.end()}; }

std::string head_of(const header_list& list) {
  std::string out;
  append_head(out, "now", {.status = 204, .content_type = {}, .body = {}, .headers = list}, {});
  return out;
}

}  // namespace

TEST_CASE("header list: fields keep their order and their bytes, and are found without regard to case", "[http]") {
  header_list list{{"Vary", "Accept"}, {"ETag", "\"1\""}};
  list.emplace_back("x", "");
  list.emplace_back("vary", std::string("\xff\0", 2));
  CHECK(all_of(list) == fields{{"Vary", "Accept"}, {"ETag", "\"1\""}, {"x", ""}, {"vary", std::string("\xff\0", 2)}});
  CHECK(list.size() == 4);
  CHECK(list.find("VARY") == "Accept");
  CHECK(list.find("X") == "");
  CHECK(list.find("var") == std::nullopt);
  CHECK(header_list{}.find("") == std::nullopt);
  CHECK(header_list{}.empty());
  CHECK(all_of({}).empty());
  const std::string large(100'000, 'v');
  list.emplace_back("large", large);
  CHECK(list.find("large") == large);
  CHECK(list.find("vary") == "Accept");
}

TEST_CASE("header list: what is set replaces the first of its name, shorter or longer, and what is erased is gone wherever it stands", "[http]") {
  header_list list{{"a", "1"}, {"B", "2"}, {"c", "3"}, {"b", "4"}};
  list.set("b", "longer than before");
  CHECK(all_of(list) == fields{{"a", "1"}, {"B", "longer than before"}, {"c", "3"}, {"b", "4"}});
  list.set("B", "");
  list.set("d", "5");
  CHECK(all_of(list) == fields{{"a", "1"}, {"B", ""}, {"c", "3"}, {"b", "4"}, {"d", "5"}});
  list.erase("b");
  list.erase("not there");
  CHECK(all_of(list) == fields{{"a", "1"}, {"c", "3"}, {"d", "5"}});
  list.append(header_list{{"a", "6"}});
  list.append({});
  CHECK(all_of(list) == fields{{"a", "1"}, {"c", "3"}, {"d", "5"}, {"a", "6"}});
  list.erase("d");
  list.erase("a");
  CHECK(all_of(list) == fields{{"c", "3"}});
  list.clear();
  CHECK(list.empty());
}

TEST_CASE("header list: what looks like another field within a value, or within a name, is none", "[http]") {
  const std::string forged = "1\r\nSet-Cookie: forged";
  for (const header_list& list : {header_list{{"a", forged}}, header_list{{"a: " + forged, "2"}}}) {
    CHECK(list.size() == 1);
    CHECK(list.find("set-cookie") == std::nullopt);
    CHECK_FALSE(is_sendable({.status = 200, .content_type = {}, .body = {}, .headers = list}));
  }
}

TEST_CASE("header list: the front writes each field on a line of its own, but for those that are its own", "[http]") {
  CHECK(head_of({{"Vary", "Accept"}, {"content-length", "7"}, {"ETag", "\"1\""}, {"Date", "then"}}) ==
        "HTTP/1.1 204 No Content\r\nDate: now\r\nVary: Accept\r\nETag: \"1\"\r\n\r\n");
}
