// What becomes of an answer on its way out: entity tags, 304, Cache-Control, gzip, Vary.
#include <zlib.h>

#include <string>
#include <vector>

#include "gateway/replies/codings.hpp"
#include "gateway/replies/entity_tag.hpp"
#include "gateway/replies/finish.hpp"
#include "gateway/replies/gzip.hpp"
#include "gateway/replies/idempotency.hpp"
#include "support/catch.hpp"

#include <waggle/wire/json.hpp>

using namespace waggle;
using namespace waggle::gateway;

namespace {

std::string codings(std::string_view accept_encoding) {
  const auto out = accepted_codings_of({{"Accept-Encoding", accept_encoding}});
  return std::string{out.gzip ? "gzip" : ""} + (out.identity ? "+identity" : "");
}

std::string unpacked(const std::string& bytes) {
  z_stream state{};
  REQUIRE(::inflateInit2(&state, 15 + 16) == Z_OK);
  std::string out(4 << 20, '\0');
  state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  state.avail_in = static_cast<uInt>(bytes.size());
  state.next_out = reinterpret_cast<Bytef*>(out.data());
  state.avail_out = static_cast<uInt>(out.size());
  CHECK(::inflate(&state, Z_FINISH) == Z_STREAM_END);
  out.resize(state.total_out);
  ::inflateEnd(&state);
  return out;
}

std::string header(const front::response& of, std::string_view name) {
  return std::string{of.headers.find(name).value_or("none")};
}

front::response answer_of(std::string body, front::header_list headers = {}, int status = 200) {
  headers.emplace_back("Vary", "Accept");
  return {status, "application/json", std::move(body), std::move(headers)};
}

front::response finished(front::response answer, std::vector<front::header> headers = {}, const reply_terms& terms = {}, std::string_view method = "GET") {
  static gzip with;
  finish_reply(answer, reply_wishes_of({method, "/x", {}, {}, std::move(headers), false, nullptr}), terms, with);
  return answer;
}

const std::string large = [] {
  std::string out = "[";
  for (int i = 0; i < 400; ++i) out += "{\"id\":" + std::to_string(i) + ",\"name\":\"somebody\"},";
  return out + "0]";
}();

}  // namespace

TEST_CASE("replies: Accept-Encoding is read as RFC 9110 section 12.5.3 has it", "[replies]") {
  CHECK(accepted_codings_of({}).gzip == false);
  CHECK(accepted_codings_of({}).identity == true);
  CHECK(codings("") == "+identity");
  CHECK(codings("gzip") == "gzip+identity");
  CHECK(codings("GZIP") == "gzip+identity");
  CHECK(codings("x-gzip") == "gzip+identity");
  CHECK(codings("br, deflate") == "+identity");
  CHECK(codings("gzip;q=0") == "+identity");
  CHECK(codings("gzip;q=0.0, *") == "+identity");
  CHECK(codings("gzip;q=0.001") == "gzip+identity");
  CHECK(codings("gzip ; q=0.5, identity;q=0.5") == "gzip+identity");
  CHECK(codings("gzip;q=0.4, identity;q=0.5") == "+identity");
  CHECK(codings("identity") == "+identity");
  CHECK(codings("*") == "gzip+identity");
  CHECK(codings("*;q=0") == "");
  CHECK(codings("gzip, *;q=0") == "gzip");
  CHECK(codings("gzip, identity;q=0") == "gzip");
  CHECK(codings("identity;q=0") == "");
  CHECK(codings("identity, *;q=0") == "+identity");
  CHECK(codings("gzip;q=2") == "+identity");      // no weight: the element says nothing
  CHECK(codings("gzip;q=1.0000") == "+identity");
  CHECK(codings("gzip;q=") == "+identity");
  CHECK(codings(",,gzip,,") == "gzip+identity");
  CHECK(accepted_codings_of({{"accept-encoding", "br"}, {"Accept-Encoding", "gzip"}}).gzip);
}

TEST_CASE("replies: If-None-Match is a list of tags or a star, and compares weakly", "[replies]") {
  CHECK(names_tag("\"a\"", "\"a\""));
  CHECK(names_tag("W/\"a\"", "\"a\""));
  CHECK(names_tag("\"a\"", "W/\"a\""));
  CHECK(names_tag("\"b\", W/\"a\" ,\"c\"", "\"a\""));
  CHECK(names_tag(" * ", "\"a\""));
  CHECK(names_tag("\"x,y\", \"a\"", "\"a\""));
  CHECK(names_tag("\"x\\\", \"a\"", "\"a\""));  // a backslash is a character of a tag
  CHECK_FALSE(names_tag("\"x, \"a\"", "\"a\""));
  CHECK_FALSE(names_tag("\"b\"", "\"a\""));
  CHECK_FALSE(names_tag("a", "\"a\""));
  CHECK_FALSE(names_tag("\"a", "\"a\""));
  CHECK_FALSE(names_tag("w/\"a\"", "\"a\""));
  CHECK_FALSE(names_tag("", "\"a\""));
  CHECK_FALSE(names_tag("\"b\", *", "\"a\""));
}

TEST_CASE("replies: an answer 200 to GET has a tag made of its bytes, and 304 goes to who has it", "[replies]") {
  const auto first = finished(answer_of("{}"));
  CHECK(header(first, "ETag") == "\"44136fa355b3678a1146ad16f7e8649e\"");  // of SHA-256
  CHECK(header(finished(answer_of("{}")), "ETag") == header(first, "ETag"));
  CHECK(header(finished(answer_of("[]")), "ETag") != header(first, "ETag"));
  CHECK(finished(answer_of("{}"), {}, {}, "HEAD").body == "{}");  // which the front leaves away
  CHECK(header(finished(answer_of("{}"), {}, {}, "HEAD"), "ETag") == header(first, "ETag"));

  const auto unchanged = finished(answer_of("{}"), {{"If-None-Match", "\"x\""}, {"if-none-match", header(first, "ETag")}});
  CHECK(unchanged.status == 304);
  CHECK(unchanged.body.empty());
  CHECK(unchanged.content_type.empty());
  CHECK(header(unchanged, "ETag") == header(first, "ETag"));
  CHECK(header(unchanged, "Cache-Control") == "no-cache");
  CHECK(header(unchanged, "Vary") == "Accept");
  CHECK(finished(answer_of("{}"), {{"If-None-Match", "*"}}).status == 304);
  CHECK(finished(answer_of("[]"), {{"If-None-Match", header(first, "ETag")}}).status == 200);
  CHECK(finished(answer_of("{}"), {{"If-None-Match", header(first, "ETag")}}, {}, "POST").status == 200);
  CHECK(finished(answer_of("{}", {}, 404), {{"If-None-Match", "*"}}).status == 404);
  CHECK(header(finished(answer_of("{}", {}, 404)), "ETag") == "none");
  CHECK(header(finished(answer_of("{}", {}, 201), {}, {}, "POST"), "ETag") == "none");
  CHECK(header(finished(answer_of("{}", {{"Cache-Control", "no-store"}})), "ETag") == "none");
}

TEST_CASE("replies: a route's own tag wins", "[replies]") {
  CHECK(header(finished(answer_of("{}", {{"etag", "\"v7\""}})), "ETag") == "\"v7\"");
  CHECK(finished(answer_of("{}", {{"etag", "\"v7\""}}), {{"If-None-Match", "\"v7\""}}).status == 304);
  CHECK(finished(answer_of("{}", {{"etag", "W/\"v7\""}}), {{"If-None-Match", "\"v7\""}}).status == 304);
}

TEST_CASE("replies: Cache-Control is the answer's own, the route's, or the one that is never wrong", "[replies]") {
  CHECK(header(finished(answer_of("{}")), "Cache-Control") == "no-cache");
  CHECK(header(finished(answer_of("{}"), {}, {.is_private = true}), "Cache-Control") == "private, no-cache");
  const reply_terms said{.cache_control = "public, max-age=60"};
  CHECK(header(finished(answer_of("{}"), {}, said), "Cache-Control") == "public, max-age=60");
  CHECK(header(finished(answer_of("{}", {}, 404), {}, said), "Cache-Control") == "no-store");
  CHECK(header(finished(answer_of("{}", {}, 203), {}, said), "Cache-Control") == "no-store");
  CHECK(header(finished(answer_of("{}"), {}, {}, "POST"), "Cache-Control") == "no-store");
  CHECK(header(finished(answer_of("{}", {{"cache-control", "max-age=5"}}), {}, said), "Cache-Control") == "max-age=5");
  CHECK(header(finished(answer_of("{}"), {}, {.vary = "Authorization"}), "Vary") == "Accept, Authorization");
  CHECK(header(finished(answer_of("{}", {}, 404), {}, {.vary = "Authorization"}), "Vary") == "Accept");
}

TEST_CASE("replies: what is large enough is compressed for who takes it, and is another representation", "[replies]") {
  const auto plain = finished(answer_of(large));
  CHECK(plain.body == large);
  CHECK(header(plain, "Content-Encoding") == "none");
  CHECK(header(plain, "Vary") == "Accept, Accept-Encoding");
  const auto packed = finished(answer_of(large), {{"Accept-Encoding", "gzip"}});
  CHECK(header(packed, "Content-Encoding") == "gzip");
  CHECK(header(packed, "Vary") == "Accept, Accept-Encoding");
  CHECK(packed.body.size() < large.size() / 4);
  CHECK(unpacked(packed.body) == large);
  CHECK(header(packed, "ETag") == compressed_tag(header(plain, "ETag")));
  CHECK(header(packed, "ETag") != header(plain, "ETag"));

  // Whoever has one of the two keeps it, as long as it takes that one.
  const auto asked = [&](const std::string& tag, std::string_view codings) {
    const auto got = finished(answer_of(large), {{"Accept-Encoding", codings}, {"If-None-Match", tag}});
    return std::to_string(got.status) + ' ' + (got.status == 304 ? header(got, "ETag") == tag ? "same tag" : "another tag" : header(got, "Content-Encoding"));
  };
  CHECK(asked(header(packed, "ETag"), "gzip") == "304 same tag");
  CHECK(asked(header(plain, "ETag"), "gzip") == "304 same tag");
  CHECK(asked(header(plain, "ETag"), "br") == "304 same tag");
  CHECK(asked(header(packed, "ETag"), "br") == "200 none");
  CHECK(header(finished(answer_of(large), {{"If-None-Match", header(plain, "ETag")}}), "Vary") == "Accept, Accept-Encoding");
}

TEST_CASE("replies: what is small, large, of another kind or compressed already leaves as it is", "[replies]") {
  const std::vector<front::header> takes{{"Accept-Encoding", "gzip"}};
  CHECK(header(finished(answer_of("{}"), takes), "Content-Encoding") == "none");
  CHECK(header(finished(answer_of("{}"), takes), "Vary") == "Accept");
  CHECK(header(finished(answer_of(std::string(compress_bytes_max, 'x')), takes), "Content-Encoding") == "gzip");
  CHECK(header(finished(answer_of(std::string(compress_bytes_max + 1, 'x')), takes), "Content-Encoding") == "none");
  auto image = answer_of(large);
  image.content_type = "image/png";
  CHECK(header(finished(image, takes), "Content-Encoding") == "none");
  CHECK(header(finished(answer_of(large, {{"Content-Encoding", "br"}}), takes), "Content-Encoding") == "br");
  CHECK(header(finished(answer_of(large), takes, {.compress = false}), "Content-Encoding") == "none");
  CHECK(header(finished(answer_of(large), takes, {.compress = false}), "Vary") == "Accept");
  CHECK(header(finished(answer_of(large, {}, 404), takes), "Content-Encoding") == "gzip");
  // Where there is no other way, the small ones are compressed, too, if that makes them smaller.
  CHECK(header(finished(answer_of(std::string(500, 'x')), {{"Accept-Encoding", "gzip, identity;q=0"}}), "Content-Encoding") == "gzip");
}

TEST_CASE("replies: what compression would not make smaller stays as it is, and the next one is not hurt", "[replies]") {
  gzip with;
  std::string noise;
  std::uint32_t state = 1;
  for (int i = 0; i < 5000; ++i) noise += static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  CHECK_FALSE(with.compress(noise));
  for (int i = 0; i < 3; ++i) {
    const auto out = with.compress(large);
    REQUIRE(out);
    CHECK(unpacked(*out) == large);
  }
}

TEST_CASE("replies: an Idempotency-Key is its owner's, its route's, and one request's", "[replies]") {
  const auto of = [](std::string_view claims, std::string key_id = {}) { return owner_of(make_identity(wire::json_to_msgpack(claims).value(), {}, std::move(key_id)).value().get()); };
  CHECK(owner_of(nullptr).empty());
  CHECK(of(R"({"iss":"a","sub":"ada","exp":1})") == of(R"({"exp":2,"sub":"ada","iss":"a"})"));
  CHECK(of(R"({"iss":"a","sub":"ada"})") != of(R"({"iss":"b","sub":"ada"})"));
  CHECK(of(R"({"iss":"a","sub":"ada"})") != of(R"({"iss":"a","sub":"bob"})"));
  CHECK(of(R"({"sub":"ada"})") != of(R"({"sub":"ada"})", "k1"));
  CHECK(of(R"({"sub":"ada"})", "k1") != of(R"({"sub":"ada"})", "k2"));
  CHECK(of(R"({"role":"x"})") != of(R"({"role":"y"})"));
  CHECK(!of(R"({"role":"x"})").empty());

  CHECK(key_digest("a", "b", "c") == key_digest("a", "b", "c"));
  CHECK(key_digest("a", "b", "c") != key_digest("ab", "", "c"));
  CHECK(key_digest("a", "bc", "") != key_digest("a", "b", "c"));

  const auto request = [](std::string_view method, std::string_view path, std::string_view query, std::string_view body, std::string_view type) {
    return request_digest({method, path, query, body, {{"Content-Type", type}}, false, nullptr});
  };
  const auto usual = request("POST", "/a", "b=1", "{}", "application/json");
  CHECK(request("POST", "/a", "b=1", "{}", "application/json") == usual);
  CHECK(request("PUT", "/a", "b=1", "{}", "application/json") != usual);
  CHECK(request("POST", "/b", "b=1", "{}", "application/json") != usual);
  CHECK(request("POST", "/a", "b=2", "{}", "application/json") != usual);
  CHECK(request("POST", "/a", "b=1", "[]", "application/json") != usual);
  CHECK(request("POST", "/a", "b=1", "{}", "application/msgpack") != usual);
}

TEST_CASE("replies: what somebody is known by is in Vary, each header once", "[replies]") {
  CHECK(header(finished(answer_of("{}"), {}, {.vary = "Authorization, X-Api-Key"}), "Vary") == "Accept, Authorization, X-Api-Key");
  CHECK(header(finished(answer_of("{}", {{"vary", "authorization"}}), {}, {.vary = "Authorization, X-Api-Key"}), "vary") == "authorization, X-Api-Key");
}
