// What it costs to find out who makes a request: a token of each algorithm the first time and once it is known, and an API key.
#include <fmt/core.h>
#include <time.h>

#include <cstdlib>
#include <string>
#include <utility>

#include "gateway/identity/authenticator.hpp"
#include "tests/support/token_fixture.hpp"

namespace {

using namespace waggle::gateway;
using namespace waggle::gateway::test;

/// Of this thread, in microseconds: others may be at work beside it.
double processor_time() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

/// Microseconds for one call, over half a second.
template <class Work>
double microseconds(Work&& work) {
  const auto begin = processor_time();
  std::size_t count = 0;
  do {
    for (int i = 0; i < 50; ++i) work();
    count += 50;
  } while (processor_time() - begin < 500'000);
  return (processor_time() - begin) / static_cast<double>(count);
}

void fail(const char* what) {
  fmt::print(stderr, "{} is not taken\n", what);
  std::exit(1);
}

}  // namespace

int main() {
  const std::string claims =
      R"({"iss":"https://login.example.com","aud":"shop","exp":1800000600,"iat":1800000000,"sub":"5f0c2a7e-ada","scope":"orders:read orders:write","tenant":"acme"})";
  const auto rsa = key_pair::rsa(), ec = key_pair::ec(), ed = key_pair::ed25519();
  const auto keys = set_of(R"({"keys":[{)" + rsa.jwk() + "},{" + ec.jwk() + "},{" + ed.jwk() + R"(},{"kty":"oct","k":")" + base64url(secret) + R"("}]})");
  identity_config config;
  config.tokens = std::make_shared<const token_verifier>(taking(keys, "https://login.example.com", "shop"));
  const auto texts = make_api_key({});
  api_key entry;
  entry.id = texts.id;
  entry.name = "bench";
  entry.hash = sha256(texts.secret);
  config.api_keys = api_keys_config{std::make_shared<const api_key_set>(std::vector{entry}), "X-Api-Key"};
  authenticator by{config};

  fmt::print("{:<12}{:>8}{:>14}{:>14}\n", "", "bytes", "first, us", "known, us");
  for (const auto& [alg, token] : {std::pair{"HS256", hs256(R"({"alg":"HS256"})", claims)},
                                   {"RS256", rsa.sign(R"({"alg":"RS256"})", claims)},
                                   {"ES256", ec.sign(R"({"alg":"ES256"})", claims)},
                                   {"EdDSA", ed.sign(R"({"alg":"EdDSA"})", claims)}}) {
    const auto first = microseconds([&, token = token, alg = alg] {
      auto said = config.tokens->verify(token, now);
      if (!said || !make_identity(std::move(said->claims))) fail(alg);
    });
    const auto known = microseconds([&, token = token, alg = alg] {
      if (!std::holds_alternative<identity_ptr>(by.verify({token, false}, now))) fail(alg);
    });
    fmt::print("{:<12}{:>8}{:>14.1f}{:>14.1f}\n", alg, token.size(), first, known);
  }
  const auto key = texts.whole();
  fmt::print("{:<12}{:>8}{:>14.1f}\n", "API key", key.size(), microseconds([&] {
    if (!std::holds_alternative<identity_ptr>(by.verify({key, true}, now))) fail("the API key");
  }));
}
