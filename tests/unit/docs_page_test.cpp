#include "support/catch.hpp"
#include "support/routes_fixture.hpp"

#include <array>
#include <string>

#include "gateway/docs/docs_page.hpp"

using namespace waggle::gateway;
using namespace waggle::gateway::test;
using waggle::front::response;

namespace {

/// "hello page", packed.
constexpr char packed[] =
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\x57\x28\x48\x4c\x4f\x05\x00\xcb\x80\x31\xf1\x0a\x00\x00\x00";
constexpr std::string_view gzip{packed, sizeof packed - 1};
const std::array<docs_asset, 2> assets{docs_asset{"", "text/html", "0a", gzip, 10}, docs_asset{"page.js", "text/javascript", "0b", gzip, 10}};

std::optional<response> answer(const sent& in) { return docs_page{assets}.answer(in.request()); }

std::string header(const response& of, std::string_view name) {
  for (const auto& [each, value] : of.headers) {
    if (each == name) return std::string{value};
  }
  return "none";
}

}  // namespace

TEST_CASE("docs: the page and its files are sent packed to who takes that, and unpacked to others", "[docs]") {
  const auto plain = answer({"GET", "/docs/", {}, {}}).value();
  CHECK(plain.body == "hello page");
  CHECK(plain.content_type == "text/html");
  CHECK(header(plain, "Content-Encoding") == "none");
  CHECK(header(plain, "Vary") == "Accept-Encoding");
  CHECK(header(plain, "X-Content-Type-Options") == "nosniff");
  CHECK(header(plain, "Content-Security-Policy").starts_with("default-src 'none'; script-src 'self';"));
  for (const char* const accepted : {"gzip", "br, gzip;q=0.5", "*", "GZIP", "br;q=1, *;q=0.1"}) {
    CAPTURE(accepted);
    const auto small = answer({"GET", "/docs/page.js", {}, {{"accept-encoding", accepted}}}).value();
    CHECK(small.body == gzip);
    CHECK(header(small, "Content-Encoding") == "gzip");
  }
  for (const char* const refused : {"", "br", "gzip;q=0", "gzip;q=0.000, *", "*;q=0"}) {
    CAPTURE(refused);
    CHECK(answer({"GET", "/docs/page.js", {}, {{"Accept-Encoding", refused}}})->body == "hello page");
  }
}

TEST_CASE("docs: who has a file already is told so, packed and unpacked apart", "[docs]") {
  const auto status = [](const char* tag, const char* accepted) {
    return answer({"GET", "/docs/page.js", {}, {{"if-none-match", tag}, {"accept-encoding", accepted}}})->status;
  };
  CHECK(header(*answer({"GET", "/docs/page.js", {}, {}}), "ETag") == "\"0b\"");
  CHECK(status("\"0b\"", "") == 304);
  CHECK(status("\"0b.gz\"", "gzip") == 304);
  CHECK(status("\"x\", W/\"0b\"", "") == 304);
  CHECK(status("*", "gzip") == 304);
  CHECK(status("\"0b\"", "gzip") == 200);
  CHECK(status("\"0a\"", "") == 200);
  CHECK(answer({"GET", "/docs/page.js", {}, {{"If-None-Match", "*"}}})->body.empty());
}

TEST_CASE("docs: /docs leads to the page from wherever it is, other paths are not the page's, and other methods are refused", "[docs]") {
  const auto moved = answer({"GET", "/docs", {}, {}}).value();
  CHECK(moved.status == 302);
  CHECK(header(moved, "Location") == "docs/");
  for (const char* const path : {"/doc", "/docsx", "/docs/nothing", "/docs/page.js/", "/docs//", "/docspage.js", "/"}) {
    CAPTURE(path);
    CHECK_FALSE(answer({"GET", path, {}, {}}));
  }
  CHECK(answer({"HEAD", "/docs/", {}, {}})->status == 200);
  CHECK(answer({"OPTIONS", "/docs/", {}, {}})->status == 204);
  const auto refused = answer({"POST", "/docs/page.js", {}, {}}).value();
  CHECK(refused.status == 405);
  CHECK(header(refused, "Allow") == "GET, HEAD, OPTIONS");
}

TEST_CASE("docs: a gateway that was built without the page says how to get it", "[docs]") {
  const docs_page without{{}};
  const sent in{"GET", "/docs", {}, {}};
  const auto got = without.answer(in.request()).value();
  CHECK(got.status == 501);
  CHECK(got.body.find("WAGGLE_DOCS") != std::string::npos);
  const sent other{"GET", "/docs/page.js", {}, {}};
  CHECK_FALSE(without.answer(other.request()));
}
