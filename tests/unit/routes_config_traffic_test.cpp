// The same of rates, proxies, CORS, breakers and retries.
#include "support/config_fixture.hpp"

using namespace std::literals;
using namespace waggle::gateway;
using namespace waggle::gateway::test;

namespace {

config taken(std::string text) {
  const config_file file{"r.yaml", std::move(text)};
  return parse_config({&file, 1}, environment).value();
}

}  // namespace

TEST_CASE("config: a rate says how many, in how long and of whom", "[routes]") {
  check({
      {"rates: {limit: 100, per: 1m, by: address}\n", "accepted"},
      {"rates:\n  - {limit: 1, per: 1s, by: [address, route], burst: 100}\n  - {limit: 2, per: 24h, by: key, name: daily}\n", "accepted"},
      {"rates:\n  - {}\n",
       "r.yaml:2: the rate has no limit; write it, as in {limit: 100, per: 1m, by: address}\n"
       "r.yaml:2: the rate has no per; write it, as in {limit: 100, per: 1m, by: address}\n"
       "r.yaml:2: the rate has no by; write it, as in {limit: 100, per: 1m, by: address}"},
      {"rates: 5\n", "r.yaml:1: rates is no list of rates; write one, as in rates: [{limit: 100, per: 1m, by: address}]"},
      {"rates: [5]\n", "r.yaml:1: a rate is no map; write {limit: 100, per: 1m, by: address}"},
      {"rates: {limit: 0, per: 1m, by: address}\n", "r.yaml:1: limit is no number from 1 to 1000000; write one of those"},
      {"rates: {limit: 1, per: 500ms, by: address}\n", "r.yaml:1: \"500ms\" is no time for per; write one from 1s to 24h, as in 1m"},
      {"rates: {limit: 1, per: 1500ms, by: address}\n", "r.yaml:1: per is no whole number of seconds, as clients are told; write one, as in 10s"},
      {"rates: {limit: 5, per: 1m, by: address, burst: 501}\n", "r.yaml:1: burst is no number from 1 to 500; write one of those"},
      {"rates: {limit: 5, per: 1m, by: adress}\n",
       "r.yaml:1: \"adress\" is nothing that requests are counted by; write address, key, route, claim.NAME, or a list of these"},
      {"rates: {limit: 5, per: 1m, by: []}\n",
       "r.yaml:1: \"\" is nothing that requests are counted by; write address, key, route, claim.NAME, or a list of these"},
      {"rates: {limit: 5, per: 1m, by: [route, route]}\n", "r.yaml:1: \"route\" stands here twice; remove one"},
      {"rates: {limit: 5, per: 1m, by: claim.sub}\n",
       "r.yaml:1: claim.sub is of a token, and nothing says whose tokens count; write tokens: {algorithm: HS256, key: env.WAGGLE_JWT_KEY}"},
      {"rates: {limit: 5, per: 1m, by: route, limits: 3}\n", "r.yaml:1: the key \"limits\" is not known; did you mean \"limit\"?"},
      {"rates: {limit: 5, per: 1m, by: route, name: 'a\"b'}\n",
       "r.yaml:1: the name is not for a header; write up to 64 visible ASCII characters without quotes and \\"},
      {"rates:\n  - {limit: 1, per: 1m, by: address}\n  - {limit: 2, per: 1m, by: address}\n",
       "r.yaml:3: the rate \"address-1m\" stands here twice; remove one, or give it a name"},
      {"rates: [" + repeated("{limit: 1, per: 1m, by: route},", 9) + "]\n", "r.yaml:1: there are more than 8 rates; write fewer"},
      {"rates: {limit: 1, per: 1m, by: route}\nroutes: []\nrates: []\n", "r.yaml:3: the key \"rates\" stands here twice; remove one"},
      {get + "    rate: {limit: 1, per: 1s, by: route}\n    concurrency: 50\n", "accepted"},
      {get + "    concurrency: 0\n", "r.yaml:4: concurrency is no number from 1 to 1000000; write one of those"},
      {get + "    rate: often\n", "r.yaml:4: rate is no list of rates; write one, as in rate: [{limit: 100, per: 1m, by: address}]"},
  });
}

TEST_CASE("config: settings of one gateway stand in one file", "[routes]") {
  const config_file both[] = {{"a.yaml", "proxies: [::1]\n"}, {"b.yaml", "routes: []\nproxies: [::1]\n"}};
  CHECK(parse_config(both, environment).error() == std::vector<std::string>{"b.yaml:2: the key \"proxies\" stands at a.yaml:1 already; write it in one place"});
}

TEST_CASE("config: what a rate is called, and which route has it", "[routes]") {
  const auto all = taken(
      "tokens: {algorithm: HS256, key: env.SECRET}\nrates: [{limit: 3, per: 1m, by: [claim.a.b, route]}]\nroutes:\n  - {route: GET /a, call: a.b}\n"
      "  - {route: GET /b, call: a.b, rate: {limit: 7, per: 10s, by: address, burst: 9}, concurrency: 4}\n");
  REQUIRE(all.rates.size() == 1);
  CHECK(all.rates[0].name == "claim.a.b+route-1m");
  CHECK(all.rates[0].terms == rate_terms{3, 60s, 3});
  CHECK(all.rates[0].by == std::vector<rate_by>{{rate_by::kind::claim, {"a", "b"}}, {rate_by::kind::route, {}}});
  CHECK(all.routes[0].rates.empty());
  REQUIRE(all.routes[1].rates.size() == 1);
  CHECK(all.routes[1].rates[0].name == "route-address-10s");
  CHECK(all.routes[1].rates[0].terms == rate_terms{7, 10s, 9});
  CHECK(all.routes[1].concurrency == 4u);
  CHECK(all.routes[1].number == 1u);
}

TEST_CASE("config: proxies are addresses and networks", "[routes]") {
  check({
      {"proxies: [127.0.0.1, 10.0.0.0/8, \"2001:db8::/32\", \"::1\"]\n", "accepted"},
      {"proxies: {addresses: [10.0.0.0/8], header: forwarded}\n", "accepted"},
      {"proxies: {addresses: [10.0.0.0/8], header: X-Real-IP}\n",
       "r.yaml:1: \"X-Real-IP\" is no header that says whom a proxy asks for; write X-Forwarded-For or Forwarded"},
      {"proxies: {header: Forwarded}\n", "r.yaml:1: proxies name no addresses; write proxies: [127.0.0.1, 10.0.0.0/8]"},
      {"proxies: []\n", "r.yaml:1: proxies name no addresses; write proxies: [127.0.0.1, 10.0.0.0/8]"},
      {"proxies: all\n", "r.yaml:1: proxies is no list of addresses; write proxies: [127.0.0.1, 10.0.0.0/8]"},
      {"proxies: [10.1.0.0/8]\n",
       "r.yaml:1: \"10.1.0.0/8\" has bits behind its prefix; write the network's first address, or the address without a prefix"},
      {"proxies: [lb.example]\n",
       "r.yaml:1: \"lb.example\" is neither an address nor a network; write one, as in 10.0.0.0/8 or 2001:db8::/32"},
  });
}

TEST_CASE("config: origins are as browsers send them", "[routes]") {
  const auto wrong = [](const std::string& origin, const std::string& why) { return row{"cors: {origins: [" + origin + "]}\n", "r.yaml:1: the origin " + why}; };
  check({
      {"cors: {origins: [\"https://app.example.com\", \"http://localhost:3000\", \"http://[::1]:8080\", \"null\"], credentials: true, max_age: 1h, headers: [X-A], expose: [X-B]}\n", "accepted"},
      {"cors: {origins: [\"*\"]}\n", "accepted"},
      {"cors: {origins: [null]}\n", "accepted"},
      {"cors: {}\n", "r.yaml:1: cors names no origins, so no page could read anything; write cors: {origins: [\"https://app.example.com\"]}"},
      {"cors: {origins: [\"*\"], credentials: true}\n",
       "r.yaml:1: with credentials every site could act as its visitors; write the origins that may, instead of \"*\""},
      {"cors: {origins: [\"*\", \"https://a.example\"]}\n", "r.yaml:1: the origin \"*\" is every origin; remove it, or the others"},
      {"cors: {origins: [\"https://a.example\", \"https://a.example\"]}\n", "r.yaml:1: the origin \"https://a.example\" stands here twice; remove one"},
      wrong("app.example.com", "\"app.example.com\" has no scheme; write it as in https://app.example.com or http://localhost:3000"),
      wrong("\"https://a.example/\"",
            "\"https://a.example/\" has more than scheme, host and port, and browsers send no more; write it as in https://app.example.com or http://localhost:3000"),
      wrong("\"https://*.example.com\"", "\"https://*.example.com\" has a *, and origins are compared as a whole; write each origin that is meant"),
      wrong("\"https://A.example\"", "\"https://A.example\" has capital letters, which browsers make small; write small ones"),
      wrong("\"https://a.example:443\"", "\"https://a.example:443\" has a port that browsers leave away; write it without"),
      wrong("\"http://a.example:80\"", "\"http://a.example:80\" has a port that browsers leave away; write it without"),
      wrong("\"https://u@a.example\"", "\"https://u@a.example\" has no host that a browser could send; write it as in https://app.example.com or http://localhost:3000"),
      {"cors: {origins: [\"https://a.example\"], max_age: 2d}\n", "r.yaml:1: \"2d\" is no time for max_age; write one from 0s to 24h, as in 10m"},
      {"cors: {origins: [\"https://a.example\"], credentials: maybe}\n", "r.yaml:1: credentials is neither true nor false; write credentials: true"},
      {"cors: {origins: [\"https://a.example\"], expose: [\"*\"]}\n", "r.yaml:1: \"*\" is no name of a header; write letters, digits and -"},
      {"cors: {origins: [\"https://a.example\"], headers: X-A}\n", "r.yaml:1: headers is no list of up to 64 headers; write one, as in headers: [X-Total]"},
      {"cors: x\n", "r.yaml:1: cors is no map; write cors: {origins: [\"https://app.example.com\"]}"},
  });
}

TEST_CASE("config: breakers and retries are there when they are written, and then as usual unless more is said", "[routes]") {
  check({
      {"breaker: {failures: 20%, of: 5, within: 1m, open: 500ms}\nretries: {attempts: 3, budget: 0%}\n", "accepted"},
      {"breaker: {failures: 50}\n", "r.yaml:1: \"50\" is no share of failures; write a share from 1% to 100%"},
      {"breaker: {failures: 0%}\n", "r.yaml:1: \"0%\" is no share of failures; write a share from 1% to 100%"},
      {"breaker: {of: 0}\n", "r.yaml:1: of is no number from 1 to 1000000; write one of those"},
      {"breaker: {within: 10ms}\n", "r.yaml:1: \"10ms\" is no time for within; write one from 1s to 1h, as in 10s"},
      {"breaker: {open: 50ms}\n", "r.yaml:1: \"50ms\" is no time for open; write one from 100ms to 1h, as in 5s"},
      {"breaker: on\n", "r.yaml:1: breaker is no map; write breaker: {failures: 50%, of: 20, within: 10s, open: 5s}, or breaker: {}"},
      {"retries: {attempts: 6}\n", "r.yaml:1: attempts is no number from 1 to 5; write one of those"},
      {"retries: {budget: 101%}\n", "r.yaml:1: \"101%\" is no budget of retries; write a share from 0% to 100%"},
      {"retries: 3\n", "r.yaml:1: retries is no map; write retries: {attempts: 2, budget: 10%}, or retries: {}"},
  });
  const auto none = taken("routes: []\n");
  CHECK((!none.breaker && !none.retries && !none.cors && none.proxies.networks.empty()));
  const auto usual = taken("breaker: {}\nretries: {}\n");
  CHECK(usual.breaker == breaker_terms{50, 20, 10s, 5s});
  CHECK(usual.retries == retry_terms{2, 10});
}
