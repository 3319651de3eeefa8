// Which pages of other origins may read answers.
#include "gateway/traffic/cors.hpp"
#include "support/catch.hpp"

#include <string>

using namespace waggle;
using namespace waggle::gateway;
using namespace std::chrono_literals;

namespace {

std::string said(const front::header_list& all, std::string_view name) {
  std::string out;
  for (const auto& [key, value] : all) {
    if (key == name) out += (out.empty() ? "" : " | ") + std::string{value};
  }
  return out.empty() ? "nothing" : out;
}

front::header_list answer_headers(const cors_policy& policy, std::vector<front::header> headers, std::string_view method = "GET") {
  front::header_list out;
  policy.add_headers({method, "/a", {}, {}, std::move(headers)}, out);
  return out;
}

cors_policy policy(std::vector<std::string> origins, bool credentials = false) {
  cors_config out;
  out.origins = std::move(origins);
  out.credentials = credentials;
  return cors_policy{out};
}

}  // namespace

TEST_CASE("cors: an origin is allowed as a whole or not at all", "[traffic]") {
  const auto of = policy({"https://app.example.com", "http://localhost:3000"});
  CHECK(said(answer_headers(of, {{"Origin", "https://app.example.com"}}), "Access-Control-Allow-Origin") == "https://app.example.com");
  CHECK(said(answer_headers(of, {{"origin", "http://localhost:3000"}}), "Access-Control-Allow-Origin") == "http://localhost:3000");
  for (const auto* each : {"http://app.example.com", "https://app.example.com:8443", "https://app.example.com.evil.example", "https://evil.example?https://app.example.com",
                           "https://evilapp.example.com", "https://app.example.com/", "https://APP.example.com", "null", "", "*", "https://app.example.co"}) {
    CAPTURE(each);
    const auto got = answer_headers(of, {{"Origin", each}});
    CHECK(said(got, "Access-Control-Allow-Origin") == "nothing");
    CHECK(said(got, "Access-Control-Expose-Headers") == "nothing");
    CHECK(said(got, "Vary") == "Origin");
  }
  CHECK(said(answer_headers(of, {{"Origin", "https://app.example.com"}, {"Origin", "https://evil.example"}}), "Access-Control-Allow-Origin") == "nothing");
  CHECK(said(answer_headers(of, {}), "Vary") == "Origin");
  CHECK(said(answer_headers(of, {}), "Access-Control-Allow-Origin") == "nothing");
}

TEST_CASE("cors: null and every origin are allowed where they are written, and credentials where they are", "[traffic]") {
  CHECK(said(answer_headers(policy({"null"}), {{"Origin", "null"}}), "Access-Control-Allow-Origin") == "null");
  CHECK(said(answer_headers(policy({"*"}), {{"Origin", "https://any.example"}}), "Access-Control-Allow-Origin") == "*");
  CHECK(said(answer_headers(policy({"https://a.example"}), {{"Origin", "https://a.example"}}), "Access-Control-Allow-Credentials") == "nothing");
  CHECK(said(answer_headers(policy({"https://a.example"}, true), {{"Origin", "https://a.example"}}), "Access-Control-Allow-Credentials") == "true");
  CHECK(said(answer_headers(policy({"https://a.example"}, true), {{"Origin", "https://b.example"}}), "Access-Control-Allow-Credentials") == "nothing");
}

TEST_CASE("cors: a preflight is told what the path's routes take, and only an allowed origin is", "[traffic]") {
  cors_config config;
  config.origins = {"https://a.example"};
  config.max_age = 90s;
  config.headers = {"X-Tenant", "authorization"};
  config.expose = {"X-Total", "etag"};
  const cors_policy of{config};
  const front::request asked{"OPTIONS", "/a", {}, {}, {{"Origin", "https://a.example"}, {"Access-Control-Request-Method", "PUT"}}};
  REQUIRE(cors_policy::is_preflight(asked));
  const auto got = of.preflight(asked, "GET, HEAD, PUT, OPTIONS");
  CHECK(got.status == 204);
  CHECK(said(got.headers, "Access-Control-Allow-Methods") == "GET, HEAD, PUT, OPTIONS");
  CHECK(said(got.headers, "Access-Control-Allow-Headers") ==
        "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Prefer, traceparent, Waggle-Key, X-Api-Key, X-Request-Id, X-Tenant");
  CHECK(said(got.headers, "Access-Control-Max-Age") == "90");
  CHECK(said(got.headers, "Vary") == "Access-Control-Request-Method, Access-Control-Request-Headers");
  const auto of_get = answer_headers(of, {{"Origin", "https://a.example"}});
  CHECK(said(of_get, "Access-Control-Expose-Headers").ends_with("X-Request-Id, X-Total"));

  const front::request other{"OPTIONS", "/a", {}, {}, {{"Origin", "https://b.example"}, {"Access-Control-Request-Method", "PUT"}}};
  const auto refused = of.preflight(other, "GET, HEAD, PUT, OPTIONS");
  CHECK(refused.status == 204);
  CHECK(said(refused.headers, "Access-Control-Allow-Methods") == "nothing");
  CHECK(said(refused.headers, "Access-Control-Allow-Headers") == "nothing");
  CHECK(said(refused.headers, "Allow") == "GET, HEAD, PUT, OPTIONS");
  CHECK(said(of.preflight(asked, "").headers, "Access-Control-Allow-Methods") == "nothing");
  CHECK(!cors_policy::is_preflight({"OPTIONS", "/a", {}, {}, {{"Origin", "https://a.example"}}}));
  CHECK(!cors_policy::is_preflight({"GET", "/a", {}, {}, {{"Origin", "https://a.example"}, {"Access-Control-Request-Method", "PUT"}}}));
}
