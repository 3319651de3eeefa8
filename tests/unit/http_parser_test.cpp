#include "gateway/front/http_parser.hpp"
#include "gateway/front/http_syntax.hpp"

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http_table.hpp"
#include "support/catch.hpp"

using waggle::front::http_parser;
using waggle::front::limits;
using namespace http_table;

namespace {

/// What a parser makes of the bytes so far, as `sample::verdict` has it.
struct reader {
  explicit reader(const limits& bounds) : parser(bounds) {}

  void feed(std::string_view bytes) {
    parser.feed(bytes);
    for (;;) {
      const auto verdict = parser.next();
      if (verdict == http_parser::verdict::need_more) return;
      if (verdict == http_parser::verdict::error) {
        if (!std::exchange(failed, true)) add(std::to_string(parser.error().status));
        return;
      }
      const auto& in = parser.current();
      add(in.method);
      add(in.path);
      if (!in.query.empty()) seen.append("?").append(in.query);
      if (!in.body.empty()) seen.append("{").append(in.body).append("}");
    }
  }

  [[nodiscard]] std::string verdict() const {
    if (!failed && parser.where() != http_parser::stage::idle) return seen.empty() ? "..." : seen + " ...";
    return seen;
  }

  void add(std::string_view word) {
    if (!seen.empty()) seen += ' ';
    seen += word;
  }

  http_parser parser;
  std::string seen;
  bool failed = false;
};

std::string verdict_on(const limits& bounds, std::string_view bytes) {
  reader in(bounds);
  in.feed(bytes);
  return in.verdict();
}

bool ends_in_error(std::string_view verdict) {
  const std::string_view last = verdict.substr(verdict.rfind(' ') + 1);
  return last.size() == 3 && (last[0] == '4' || last[0] == '5');
}

}  // namespace

TEST_CASE("http: the table has several hundred requests, each of them once", "[http]") {
  std::set<std::string> about, bytes;
  for (const sample& one : all()) {
    INFO(one.about);
    CHECK(about.insert(one.about).second);
    CHECK(bytes.insert(one.bytes).second);
  }
  CHECK(about.size() >= 420);
}

TEST_CASE("http: each odd or hostile request gets the verdict in the table", "[http]") {
  const limits bounds = small_limits();
  for (const sample& one : all()) {
    INFO(one.about);
    CHECK(verdict_on(bounds, one.bytes) == one.verdict);
  }
}

TEST_CASE("http: the verdict does not depend on how the bytes were split", "[http]") {
  const limits bounds = small_limits();
  for (const sample& one : all()) {
    INFO(one.about);
    reader by_bytes(bounds);
    for (const char c : one.bytes) by_bytes.feed({&c, 1});
    CHECK(by_bytes.verdict() == one.verdict);
    for (std::size_t at = 0; at <= one.bytes.size(); ++at) {
      reader split(bounds);
      split.feed(std::string_view(one.bytes).substr(0, at));
      split.feed(std::string_view(one.bytes).substr(at));
      if (split.verdict() == one.verdict) continue;
      FAIL_CHECK("split at " << at << ": " << split.verdict());
    }
  }
}

TEST_CASE("http: nothing behind a framing error is read as a request", "[http]") {
  const limits bounds = small_limits();
  for (const sample& one : all()) {
    if (!ends_in_error(one.verdict)) continue;
    INFO(one.about);
    CHECK(verdict_on(bounds, one.bytes + smuggled) == one.verdict);
    reader later(bounds);
    later.feed(one.bytes);
    later.feed(smuggled);
    later.feed("\r\n\r\n" + smuggled);
    CHECK(later.verdict() == one.verdict);
  }
}

TEST_CASE("http: damaged requests get one verdict however they are split", "[http]") {
  const limits bounds = small_limits();
  const samples table = all();
  const std::string odd = std::string("\r\n \t:;,+-0159afxAF/*?#") + nul + "\x7f\xff";
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const auto below = [&](std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
  };
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = table[below(table.size())].bytes + table[below(table.size())].bytes;
    for (std::size_t i = 0; i <= below(4) && !bytes.empty(); ++i) {
      const std::size_t at = below(bytes.size());
      switch (below(3)) {
        case 0:
          bytes.erase(at, 1 + below(3));
          break;
        case 1:
          bytes.insert(at, 1, odd[below(odd.size())]);
          break;
        default:
          bytes[at] = odd[below(odd.size())];
          break;
      }
    }
    const std::string whole = verdict_on(bounds, bytes);
    reader split(bounds);
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t size = 1 + below(1 + below(60));
      split.feed(std::string_view(bytes).substr(at, size));
      at += size;
    }
    if (split.verdict() != whole) FAIL_CHECK(whole << " became " << split.verdict() << " of " << bytes);
    if (ends_in_error(whole) && verdict_on(bounds, bytes + smuggled) != whole) FAIL_CHECK("read on after: " << bytes);
  }
}

TEST_CASE("http: a chunk split between CR and LF is read once", "[http]") {
  const limits bounds = small_limits();
  reader in(bounds);
  in.feed(chunked("3\r\nabc\r"));
  CHECK(in.verdict() == "...");
  in.feed("\n0\r\n\r\n");
  CHECK(in.verdict() == "POST /{abc}");
}

TEST_CASE("http: the default limits are those of the documentation", "[http]") {
  const limits bounds;
  const auto path = [](std::size_t size) { return line("GET /" + times(size - 1, "a") + " HTTP/1.1"); };
  CHECK(verdict_on(bounds, path(8 * 1024)).size() == 4 + 8 * 1024);
  CHECK(verdict_on(bounds, path(8 * 1024 + 1)) == "414");
  const auto head = [](std::size_t size) {
    const std::string rest = get("X: \r\n");
    return get("X: " + times(size - rest.size(), "b") + "\r\n");
  };
  CHECK(verdict_on(bounds, head(16 * 1024)) == "GET /");
  CHECK(verdict_on(bounds, head(16 * 1024 + 1)) == "431");
  CHECK(verdict_on(bounds, get(times(99, "A: b\r\n"))) == "GET /");
  CHECK(verdict_on(bounds, get(times(100, "A: b\r\n"))) == "431");
  CHECK(verdict_on(bounds, post("Content-Length: 1048576\r\n", "")) == "...");
  CHECK(verdict_on(bounds, post("Content-Length: 1048577\r\n", "")) == "413");
}

TEST_CASE("http: the host of an absolute target is the one that is seen", "[http]") {
  const limits bounds;
  http_parser parser(bounds);
  parser.feed("GET http://inner.example/a HTTP/1.1\r\nX: y\r\nHost: outer.example\r\n\r\n");
  REQUIRE(parser.next() == http_parser::verdict::request);
  CHECK(parser.current().find("HOST") == "inner.example");
  CHECK(parser.current().find("x") == "y");
  CHECK_FALSE(parser.current().find("y"));
}

TEST_CASE("http: a body in chunks of one byte arrives whole", "[http]") {
  const limits bounds;
  reader in(bounds);
  in.feed(post("Transfer-Encoding: chunked\r\n", ""));
  std::string sent;
  for (int i = 0; i < 100'000; ++i) {
    const char c = static_cast<char>('a' + i % 26);
    sent += c;
    in.feed(std::string("1\r\n") + c + "\r\n");
  }
  in.feed("0\r\n\r\n");
  CHECK((in.verdict() == "POST /{" + sent + "}"));
}

TEST_CASE("http: thousands of pipelined requests are cut apart whatever the size of the reads", "[http]") {
  const limits bounds;
  const std::string all = times(3'000, get() + post("Content-Length: 5\r\n", "hello"));
  const std::string expected = times(2'999, "GET / POST /{hello} ") + "GET / POST /{hello}";
  for (const std::size_t read_size : {1UL, 7UL, 1'000UL, 65'536UL}) {
    reader in(bounds);
    for (std::size_t at = 0; at < all.size(); at += read_size) in.feed(std::string_view(all).substr(at, read_size));
    CHECK((in.verdict() == expected));
  }
}

TEST_CASE("http: what may stand in a field value or in a request line does not depend on where in it a byte stands", "[http]") {
  namespace syntax = waggle::front::syntax;
  const auto is_visible = [](std::string_view text) { return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; }); };
  for (unsigned c = 0; c < 256; ++c) {
    const std::string_view around{" ~a\t\x80\xffzz Az09!"};  // all of which may, at the edges of the classes
    REQUIRE(syntax::all(around, syntax::value_char));
    for (std::size_t size = 0; size <= around.size(); ++size) {
      for (std::size_t at = 0; at <= size; ++at) {
        std::string text{around.substr(0, size)};
        text.insert(at, 1, static_cast<char>(c));
        REQUIRE(syntax::is_field_value(text) == syntax::all(text, syntax::value_char));
        std::string line(size, '~');
        line.insert(at, 1, static_cast<char>(c));
        REQUIRE(syntax::is_visible(line) == is_visible(line));
      }
    }
  }
  std::mt19937_64 random{1};
  for (int round = 0; round < 20'000; ++round) {
    std::string text(random() % 40, '\0');
    for (auto& each : text) each = static_cast<char>(random() % 8 == 0 ? random() : 0x20 + random() % 0x5f);
    REQUIRE(syntax::is_field_value(text) == syntax::all(text, syntax::value_char));
    REQUIRE(syntax::is_visible(text) == is_visible(text));
  }
}
