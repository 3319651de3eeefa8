// What files say of replies, and what is wrong with that.
#include "support/config_fixture.hpp"

using namespace std::literals;
using namespace waggle::gateway;
using namespace waggle::gateway::test;

namespace {

config read(const std::string& text) {
  const config_file file{"r.yaml", text};
  return parse_config({&file, 1}, environment).value();
}

const std::string tokens = "tokens: {algorithm: HS256, key: env.SECRET}\n";

}  // namespace

TEST_CASE("config: what a route says of its replies is read", "[routes]") {
  const auto all = read(tokens + "compress: false\ncache: {bytes: 2MiB}\nidempotency: {keep: 1h, entries: 10, bytes: 1MiB}\n" + get +
                        "    cache_control: 'private, max-age=60'\n    compress: false\n    cache: {for: 30s, stale: 5s, by: [claim.sub, claim.a.b]}\n" +
                        "  - {route: POST /b, call: x.y, idempotency: required}\n  - {route: GET /c, call: x.y, cache: {for: 1h, shared: true}}\n");
  CHECK_FALSE(all.compress);
  CHECK(all.cache.bytes == 2u << 20);
  CHECK(all.idempotency == idempotency_config{1h, 10, 1u << 20});
  const auto& first = all.routes[0];
  CHECK(first.cache_control == "private, max-age=60");
  CHECK_FALSE(first.compress);
  REQUIRE(first.cache);
  CHECK(first.cache->fresh == 30s);
  CHECK(first.cache->stale == 5s);
  CHECK_FALSE(first.cache->shared);
  REQUIRE(first.cache->by.size() == 2);
  CHECK(first.cache->by[1].written() == "claim.a.b");
  CHECK(all.routes[1].idempotency == key_use::required);
  CHECK(all.routes[2].cache->shared);
  const auto plain = read(get);
  CHECK(plain.compress);
  CHECK(plain.routes[0].compress);
  CHECK_FALSE(plain.routes[0].cache);
  CHECK(plain.routes[0].idempotency == key_use::none);
  CHECK(plain.idempotency == idempotency_config{24h, 100'000, 256u << 20});
}

TEST_CASE("config: what is wrong with Cache-Control is said with what to write instead", "[routes]") {
  check({
      {get + "    cache_control: public, max-age=60, s-maxage=5, immutable, stale-if-error=1\n", "accepted"},
      {get + "    cache_control: [public]\n", "r.yaml:4: cache_control is no text; write one, as in cache_control: \"private, max-age=60\""},
      {get + "    cache_control: max-aeg=60\n", "r.yaml:4: \"max-aeg=60\" is nothing that Cache-Control says; did you mean \"max-age\"?"},
      {get + "    cache_control: max-age\n", "r.yaml:4: max-age is followed by seconds; write max-age=60"},
      {get + "    cache_control: max-age=1m\n", "r.yaml:4: max-age is followed by seconds; write max-age=60"},
      {get + "    cache_control: no-cache=60\n", "r.yaml:4: no-cache says no more than its name; write it alone"},
      {get + "    cache_control: public, Public\n", "r.yaml:4: public stands here twice; remove one"},
      {get + "    cache_control: public, private\n", "r.yaml:4: public and private exclude each other; remove one"},
      {get + "    cache_control: no-store, max-age=60\n",
       "r.yaml:4: what no-store keeps nobody from storing has no age; remove max-age, or no-store"},
      {get + "    cache_control: \"public\\nX: y\"\n",
       "r.yaml:4: \"public\nX: y\" is nothing that Cache-Control says; write public, private, no-cache, no-store, no-transform, must-revalidate, "
       "proxy-revalidate, must-understand, immutable, max-age, s-maxage, stale-while-revalidate or stale-if-error"},
      {post + "    cache_control: public\n", "r.yaml:4: cache_control is of routes for GET: what others answer is not stored; remove it"},
      {get + "    compress: maybe\n", "r.yaml:4: compress is neither true nor false; write one of them"},
  });
}

TEST_CASE("config: what is wrong with a cache is said with what to write instead", "[routes]") {
  check({
      {get + "    cache: 30s\n", "r.yaml:4: cache is no map; write cache: {for: 30s}"},
      {get + "    cache: {stale: 1s}\n", "r.yaml:4: the cache does not say how long; write cache: {for: 30s}"},
      {get + "    cache: {for: long}\n", "r.yaml:4: \"long\" is no time for for; write one from 100ms to 24h, as in 30s, 5m or 1h"},
      {get + "    cache: {for: 50ms}\n", "r.yaml:4: \"50ms\" is no time for for; write one from 100ms to 24h, as in 30s, 5m or 1h"},
      {get + "    cache: {for: 1s, share: true}\n", "r.yaml:4: the key \"share\" is not known; did you mean \"shared\"?"},
      {get + "    cache: {for: 1s, by: claim.sub}\n",
       "r.yaml:4: claim.sub is of a token, and nothing says whose tokens count; write tokens: {algorithm: HS256, key: env.WAGGLE_JWT_KEY}"},
      {tokens + get + "    cache: {for: 1s, by: claim.sub, shared: true}\n", "r.yaml:5: shared answers are the same for all; remove shared, or by"},
      {tokens + get + "    cache: {for: 1s, by: [claim.sub, claim.sub]}\n", "r.yaml:5: claim.sub stands here twice; remove one"},
      {tokens + get + "    cache: {for: 1s, by: []}\n", "r.yaml:5: by names no claim; write shared: true if answers are the same for all"},
      {tokens + get + "    cache: {for: 1s, by: {a: 1}}\n", "r.yaml:5: by is no claim; write one, or a list of them, as in by: claim.tenant"},
      {get + "    cache: {for: 1s, by: header.X-Tenant}\n",
       "r.yaml:4: what the route takes of a request, as header.X-Tenant, tells answers apart anyway; by says which claims do, as in by: claim.tenant"},
      {post + "    cache: {for: 1s}\n", "r.yaml:4: only answers to GET are kept; remove cache"},
      {get + "    cache: {for: 1s}\n    mirror: x.z\n",
       "r.yaml:4: what is answered from a cache calls nothing, so that mirror would not happen; remove it, or cache"},
      {get + "    cache: {for: 1s}\n    stream: sse\n", "r.yaml:4: streams are not kept; write stream: whole, or remove cache"},
      {"routes:\n  - route: GET /a\n    steps: {b: {emit: c}}\n    reply: step.b\n    cache: {for: 1s}\n",
       "r.yaml:5: what is answered from a cache emits nothing, as the step b does; remove it, or cache"},
      {"cache: {bytes: 1KiB}\n" + get, "r.yaml:1: \"1KiB\" is no bytes; write bytes from 1MiB to 64GiB, as in 64MiB"},
      {"cache: 1MiB\n" + get, "r.yaml:1: cache is no map; write cache: {bytes: 64MiB}"},
  });
}

TEST_CASE("config: what is wrong with idempotency is said with what to write instead", "[routes]") {
  check({
      {post + "    idempotency: accepted\n", "accepted"},
      {post + "    idempotency: true\n", "r.yaml:4: \"true\" is no idempotency; write required or accepted: whether Idempotency-Key has to come"},
      {get + "    idempotency: required\n", "r.yaml:4: GET may be repeated without a key; remove idempotency"},
      {post + "    idempotency: required\n    stream: ndjson\n",
       "r.yaml:4: streams are not kept for who asks again; write stream: whole, or remove idempotency"},
      {"idempotency: {keep: 48h}\n" + get, "r.yaml:1: \"48h\" is no time for keep; write one from 1m to 24h, as in 30s, 5m or 1h"},
      {"idempotency: {entries: 0}\n" + get, "r.yaml:1: entries is no number from 1 to 100000000; write one of those"},
      {"idempotency: {bytes: x}\n" + get, "r.yaml:1: \"x\" is no bytes; write bytes from 1MiB to 1024GiB, as in 64MiB"},
      {"idempotency: on\n" + get, "r.yaml:1: idempotency is no map; write idempotency: {keep: 24h, entries: 100000, bytes: 256MiB}"},
      {"compress: 1\n" + get, "r.yaml:1: compress is neither true nor false; write one of them"},
  });
}
