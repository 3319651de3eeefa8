#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/ecdsa.h>

#include <waggle/detail/text.hpp>
#include <waggle/wire/json.hpp>

#include "gateway/routes/bearer_token.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using waggle::gateway::token_verifier;
using waggle::gateway::tokens_config;

namespace {

const std::string secret = "0123456789abcdef0123456789abcdef";
const std::chrono::sys_seconds now{1'800'000'000s};

std::string base64url(std::string_view bytes) {
  auto out = waggle::detail::base64_encode(bytes);
  std::replace(out.begin(), out.end(), '+', '-');
  std::replace(out.begin(), out.end(), '/', '_');
  while (out.ends_with('=')) out.pop_back();
  return out;
}

std::string hmac(std::string_view key, std::string_view text) {
  unsigned char mac[32];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &size);
  return {reinterpret_cast<const char*>(mac), size};
}

std::string hs256(std::string_view header, std::string_view claims, std::string_view key = secret) {
  const auto text = base64url(header) + '.' + base64url(claims);
  return text + '.' + base64url(hmac(key, text));
}

constexpr std::string_view good_header = R"({"alg":"HS256","typ":"JWT"})";
constexpr std::string_view good_claims = R"({"exp":1800000100,"sub":"ada"})";

std::string verdict(const std::string& token, tokens_config with = {"HS256", secret, "", ""}) {
  const auto verifier = token_verifier::make(with);
  REQUIRE(verifier);
  const auto claims = verifier->verify(token, now);
  return claims ? waggle::wire::msgpack_to_json(*claims) : claims.error();
}

std::string with_claims(std::string_view claims, tokens_config with = {"HS256", secret, "", ""}) {
  return verdict(hs256(good_header, claims), with);
}

/// A key pair, and what signs with it as JWS does.
struct pair {
  EVP_PKEY* key;
  explicit pair(EVP_PKEY* made) : key{made} {}
  pair(const pair&) = delete;
  pair& operator=(const pair&) = delete;
  ~pair() { EVP_PKEY_free(key); }

  std::string pem() const {
    BIO* out = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(out, key);
    char* data = nullptr;
    const auto size = BIO_get_mem_data(out, &data);
    std::string text{data, static_cast<std::size_t>(size)};
    BIO_free(out);
    return text;
  }

  std::string sign(std::string_view header, bool es256) const {
    const auto text = base64url(header) + '.' + base64url(good_claims);
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    std::string der(1024, '\0');
    std::size_t size = der.size();
    EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, key);
    EVP_DigestSign(context, reinterpret_cast<unsigned char*>(der.data()), &size, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    EVP_MD_CTX_free(context);
    der.resize(size);
    if (!es256) return text + '.' + base64url(der);
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    ECDSA_SIG* both = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size));
    std::string raw(64, '\0');
    BN_bn2binpad(ECDSA_SIG_get0_r(both), reinterpret_cast<unsigned char*>(raw.data()), 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(both), reinterpret_cast<unsigned char*>(raw.data()) + 32, 32);
    ECDSA_SIG_free(both);
    return text + '.' + base64url(raw);
  }
};

}  // namespace

TEST_CASE("token: the claims of a good one are given", "[token]") {
  CHECK(verdict(hs256(good_header, good_claims)) == R"({"exp":1800000100,"sub":"ada"})");
  const pair rsa{EVP_RSA_gen(2048)}, ec{EVP_EC_gen("P-256")};
  CHECK(verdict(rsa.sign(R"({"alg":"RS256"})", false), {"RS256", rsa.pem(), "", ""}) == good_claims);
  CHECK(verdict(ec.sign(R"({"alg":"ES256"})", true), {"ES256", ec.pem(), "", ""}) == good_claims);
  const pair other{EVP_EC_gen("P-256")};
  CHECK(verdict(other.sign(R"({"alg":"ES256"})", true), {"ES256", ec.pem(), "", ""}) == "the token's signature is not good");
  CHECK(verdict(ec.sign(R"({"alg":"ES256"})", false), {"ES256", ec.pem(), "", ""}) == "the token's signature is not good");
}

TEST_CASE("token: no algorithm but the configured one is taken", "[token]") {
  const std::string other = "the token's algorithm is not the one that is taken";
  for (const char* each : {R"({"alg":"none"})", R"({"alg":"None"})", R"({"alg":"HS512"})", R"({"alg":"hs256"})", R"({"typ":"JWT"})"})
    CHECK(verdict(hs256(each, good_claims)) == other);
  CHECK(verdict(base64url(R"({"alg":"none"})") + '.' + base64url(good_claims) + '.') == other);
  const pair rsa{EVP_RSA_gen(2048)};
  // The public key as the secret.
  CHECK(verdict(hs256(good_header, good_claims, rsa.pem()), {"RS256", rsa.pem(), "", ""}) == other);
  CHECK(verdict(hs256(R"({"alg":"RS256"})", good_claims, rsa.pem()), {"RS256", rsa.pem(), "", ""}) == "the token's signature is not good");
}

TEST_CASE("token: a key that a token brings is not looked at", "[token]") {
  CHECK(verdict(hs256(R"({"alg":"HS256","kid":"../../dev/null","jku":"http://x","jwk":{"k":"eA"}})", good_claims, "eA")) ==
        "the token's signature is not good");
  CHECK(verdict(hs256(R"({"alg":"HS256","kid":"' or 1=1","x5u":"file:///"})", good_claims)) == good_claims);
}

TEST_CASE("token: what is malformed is refused", "[token]") {
  const auto good = hs256(good_header, good_claims);
  for (const auto& each : {std::string{}, std::string{"."}, std::string{"a.b"}, good + ".x", good + "=", good + "\n", " " + good})
    CHECK(verdict(each).starts_with("the token is not"));
  CHECK(verdict(std::string(8193, 'a')) == "the token is larger than 8 KiB");
  CHECK(verdict(hs256(R"({"alg":"HS256","alg":"HS256"})", good_claims)) == "the token's header is malformed");
  CHECK(verdict(hs256(R"({"alg":"HS256","crit":["x"]})", good_claims)) == "the token needs an extension that is not known");
  CHECK(verdict(hs256(R"({"alg":"HS256","typ":"secevent+jwt"})", good_claims)) == "the token is of another type");
  CHECK(with_claims("[]") == "the token's claims are malformed");
  CHECK(with_claims(R"({"exp":"1800000100"})") == "the token's claims are malformed");
  CHECK(verdict(good.substr(0, good.size() - 1)).starts_with("the token"));
  auto changed = good;
  changed[good.find('.') + 3] ^= 1;
  CHECK_FALSE(verdict(changed).starts_with("{"));
  CHECK(verdict(good.substr(0, good.rfind('.') + 1)) == "the token's signature is not good");
}

TEST_CASE("token: its times are kept, with a minute's leeway", "[token]") {
  CHECK(with_claims(R"({"exp":1799999941})").starts_with("{"));
  CHECK(with_claims(R"({"exp":1799999940})") == "the token has expired");
  CHECK(with_claims(R"({"sub":"x"})") == "the token does not say when it expires");
  CHECK(with_claims(R"({"exp":1800000100,"nbf":1800000060})").starts_with("{"));
  CHECK(with_claims(R"({"exp":1800000100,"nbf":1800000061})") == "the token is not valid yet");
}

TEST_CASE("token: issuer and audience are those that are configured", "[token]") {
  const tokens_config with{"HS256", secret, "https://x", "shop"};
  CHECK(with_claims(R"({"exp":1800000100,"iss":"https://x","aud":["a","shop"]})", with).starts_with("{"));
  CHECK(with_claims(R"({"exp":1800000100,"iss":"https://x","aud":"shop"})", with).starts_with("{"));
  CHECK(with_claims(R"({"exp":1800000100,"aud":"shop"})", with) == "the token is from another issuer");
  CHECK(with_claims(R"({"exp":1800000100,"iss":"https://x/","aud":"shop"})", with) == "the token is from another issuer");
  CHECK(with_claims(R"({"exp":1800000100,"iss":"https://x","aud":["a"]})", with) == "the token is for another audience");
  CHECK(with_claims(R"({"exp":1800000100,"iss":"https://x"})", with) == "the token is for another audience");
}

TEST_CASE("token: a weak or a wrong key is refused when it is configured", "[token]") {
  const pair small{EVP_RSA_gen(1024)}, rsa{EVP_RSA_gen(2048)}, ec{EVP_EC_gen("P-256")}, p384{EVP_EC_gen("P-384")};
  for (const auto& each : {tokens_config{"HS256", "short", "", ""}, tokens_config{"HS256", rsa.pem(), "", ""},
                           tokens_config{"none", secret, "", ""}, tokens_config{"RS256", secret, "", ""},
                           tokens_config{"RS256", small.pem(), "", ""}, tokens_config{"RS256", ec.pem(), "", ""},
                           tokens_config{"ES256", rsa.pem(), "", ""}, tokens_config{"ES256", p384.pem(), "", ""}})
    CHECK_FALSE(token_verifier::make(each));
}
