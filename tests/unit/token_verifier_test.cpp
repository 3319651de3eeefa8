// What tokens are believed, and each of the ways in which one may lie (RFC 7515, RFC 7519, RFC 8725).
#include <string>
#include <string_view>

#include "support/catch.hpp"
#include "support/token_fixture.hpp"

using namespace std::chrono_literals;
using namespace waggle::gateway;
using namespace waggle::gateway::test;

namespace {

constexpr std::string_view good_header = R"({"alg":"HS256","typ":"JWT"})";
constexpr std::string_view good_claims = R"({"exp":1800000100,"sub":"ada"})";
const std::string bad_signature = "the token's signature is not good", bad_algorithm = "the token's algorithm is not one that is taken";

token_verifier of_secret(std::string issuer = {}, std::string audience = {}) {
  return taking(set_of(verification_key::from_secret(secret).value()), std::move(issuer), std::move(audience));
}
std::string with_claims(std::string_view claims) { return verdict(of_secret(), hs256(good_header, claims)); }
std::string with_header(std::string_view header) { return verdict(of_secret(), hs256(header, good_claims)); }

}  // namespace

TEST_CASE("token: a good one of each algorithm is taken, from a PEM and from a key set", "[token]") {
  const auto rsa = key_pair::rsa(), ec = key_pair::ec(), ed = key_pair::ed25519(), other = key_pair::ec();
  CHECK(verdict(of_secret(), hs256(good_header, good_claims)) == good_claims);
  const auto rs = taking(set_of(verification_key::from_pem(jws_algorithm::rs256, rsa.pem()).value()));
  const auto es = taking(set_of(verification_key::from_pem(jws_algorithm::es256, ec.pem()).value()));
  const auto eddsa = taking(set_of(verification_key::from_pem(jws_algorithm::eddsa, ed.pem()).value()));
  const auto all = taking(set_of(R"({"keys":[{)" + rsa.jwk() + "},{" + ec.jwk() + "},{" + ed.jwk() + R"(},{"kty":"oct","k":")" + base64url(secret) + R"("}]})"));
  for (const auto& [by, key, alg] : {std::tuple{&rs, &rsa, "RS256"}, {&es, &ec, "ES256"}, {&eddsa, &ed, "EdDSA"}, {&eddsa, &ed, "Ed25519"}}) {
    CAPTURE(alg);
    const auto token = key->sign(R"({"alg":")" + std::string{alg} + R"("})", good_claims);
    CHECK(verdict(*by, token) == good_claims);
    CHECK(verdict(all, token) == good_claims);
    auto changed = token;
    changed[token.rfind('.') + 10] = changed[token.rfind('.') + 10] == 'A' ? 'B' : 'A';
    CHECK(verdict(all, changed) == bad_signature);
  }
  CHECK(verdict(all, hs256(good_header, good_claims)) == good_claims);
  CHECK(verdict(es, other.sign(R"({"alg":"ES256"})", good_claims)) == bad_signature);
  CHECK(verdict(taking(set_of(verification_key::from_pem(jws_algorithm::eddsa, key_pair::ed25519().pem()).value())), ed.sign(R"({"alg":"EdDSA"})", good_claims)) == bad_signature);
}

TEST_CASE("token: a key is used with its own algorithm, whatever a token says", "[token]") {
  for (const char* each : {R"({"alg":"none"})", R"({"alg":"None"})", R"({"alg":"HS512"})", R"({"alg":"hs256"})", R"({"typ":"JWT"})", R"({"alg":"PS256"})"}) CHECK(with_header(each) == bad_algorithm);
  CHECK(verdict(of_secret(), base64url(R"({"alg":"none"})") + '.' + base64url(good_claims) + '.') == bad_algorithm);
  const auto rsa = key_pair::rsa(), ec = key_pair::ec(), ed = key_pair::ed25519();
  const auto jwks = R"({"keys":[{)" + rsa.jwk() + R"(,"kid":"r"},{)" + ec.jwk() + R"(,"kid":"e"},{)" + ed.jwk() + R"(,"kid":"d"}]})";
  const auto all = taking(set_of(jwks));
  // The public key as the secret: as PEM, and as the numbers of the JWK.
  for (const auto& each : {rsa.pem(), ec.pem(), ed.pem(), rsa.jwk()}) {
    CHECK(verdict(all, hs256(good_header, good_claims, each)) == bad_algorithm);
    CHECK(verdict(all, hs256(R"({"alg":"HS256","kid":"r"})", good_claims, each)) == bad_algorithm);
    CHECK(verdict(all, hs256(R"({"alg":"RS256","kid":"r"})", good_claims, each)) == bad_signature);
  }
  // One key's signature under another's name.
  for (const char* kid : {"r", "e", "d"}) {
    for (const char* alg : {"RS256", "ES256", "EdDSA"}) {
      const auto header = R"({"alg":")" + std::string{alg} + R"(","kid":")" + kid + R"("})";
      for (const auto& [own, key] : {std::tuple{"RS256r", &rsa}, {"ES256e", &ec}, {"EdDSAd", &ed}}) {
        CAPTURE(header, own);
        CHECK((verdict(all, key->sign(header, good_claims)) == good_claims) == (std::string{alg} + kid == own));
      }
    }
  }
  // A signature of ES256 as OpenSSL writes it is none of JWS.
  const auto text = base64url(R"({"alg":"ES256"})") + '.' + base64url(good_claims);
  CHECK(verdict(all, text + '.' + base64url(std::string(64, '\0'))) == bad_signature);
  CHECK(verdict(all, text + '.' + base64url(std::string(70, '\1'))) == bad_signature);
  CHECK(verdict(all, text + '.') == bad_signature);
}

TEST_CASE("token: a key that a token brings is not used", "[token]") {
  const auto mine = key_pair::rsa(), theirs = key_pair::ec();
  const auto by = taking(set_of(R"({"keys":[{)" + theirs.jwk() + R"(,"kid":"k"}]})"));
  const auto own = key_pair::ec();
  CHECK(verdict(by, own.sign(R"({"alg":"ES256","jwk":{)" + own.jwk() + "}}", good_claims)) == bad_signature);
  CHECK(verdict(by, own.sign(R"({"alg":"ES256","kid":"k","jwk":{)" + own.jwk() + "}}", good_claims)) == bad_signature);
  for (const char* each : {R"("jku":"http://127.0.0.1/keys")", R"("x5u":"file:///etc/passwd")", R"("x5c":["MIIB"])", R"("x5t":"AA")"}) {
    CHECK(verdict(by, own.sign(R"({"alg":"ES256",)" + std::string{each} + "}", good_claims)) == bad_signature);
    CHECK(verdict(by, theirs.sign(R"({"alg":"ES256",)" + std::string{each} + "}", good_claims)) == good_claims);
  }
  for (const char* kid : {"../../../dev/null", "' or 1=1 --", "k ", "K", "", "\\u0000", "k\\u0000"}) {
    CAPTURE(kid);
    CHECK(verdict(by, theirs.sign(R"({"alg":"ES256","kid":")" + std::string{kid} + R"("})", good_claims)) == "the token's key is not known");
  }
  CHECK(verdict(by, theirs.sign(R"({"alg":"ES256","kid":7})", good_claims)) == "the token's header is malformed");
  CHECK(verdict(by, theirs.sign(R"({"alg":"ES256","kid":")" + std::string(257, 'k') + R"("})", good_claims)) == "the token's header is malformed");
}

TEST_CASE("token: without a kid keys of its algorithm are tried, eight of them", "[token]") {
  std::vector<std::pair<std::string, verification_key>> keys;
  for (int i = 0; i < 9; ++i) keys.emplace_back("k" + std::to_string(i), verification_key::from_secret(std::string(32, static_cast<char>('a' + i))).value());
  const auto by = taking(set_of(std::move(keys)));
  CHECK(verdict(by, hs256(good_header, good_claims, std::string(32, 'h'))) == good_claims);
  CHECK(verdict(by, hs256(good_header, good_claims, std::string(32, 'i'))) == bad_signature);
  CHECK(verdict(by, hs256(R"({"alg":"HS256","kid":"k8"})", good_claims, std::string(32, 'i'))) == good_claims);
  CHECK(verdict(by, hs256(R"({"alg":"HS256","kid":"k7"})", good_claims, std::string(32, 'i'))) == bad_signature);
}

TEST_CASE("token: of several issuers a key speaks for its own only", "[token]") {
  const auto a = key_pair::ec(), b = key_pair::ec();
  const auto issuer = [](const key_pair& key, std::string kid, std::string name, std::string audience = {}) {
    token_issuer out;
    out.keys = set_of({{std::move(kid), verification_key::from_pem(jws_algorithm::es256, key.pem()).value()}});
    out.issuer = std::move(name);
    out.audience = std::move(audience);
    return out;
  };
  const auto claims = [](const char* iss, const char* aud = "x") { return R"({"aud":")" + std::string{aud} + R"(","exp":1800000100,"iss":")" + iss + R"("})"; };
  const auto header = [](const char* kid) { return R"({"alg":"ES256","kid":")" + std::string{kid} + R"("})"; };
  const token_verifier by{{issuer(a, "a", "https://a"), issuer(b, "b", "https://b")}};
  CHECK(verdict(by, a.sign(header("a"), claims("https://a"))) == claims("https://a"));
  CHECK(verdict(by, b.sign(header("b"), claims("https://b"))) == claims("https://b"));
  CHECK(verdict(by, b.sign(header("b"), claims("https://a"))) == "the token is from another issuer");
  CHECK(verdict(by, b.sign(header("a"), claims("https://a"))) == bad_signature);
  CHECK(verdict(by, b.sign(R"({"alg":"ES256"})", claims("https://a"))) == "the token is from another issuer");
  // Two issuers with one kid: each is tried.
  const token_verifier same{{issuer(a, "k", "https://a"), issuer(b, "k", "https://b")}};
  CHECK(verdict(same, b.sign(header("k"), claims("https://b"))) == claims("https://b"));
  CHECK(verdict(same, b.sign(header("k"), claims("https://a"))) == "the token is from another issuer");
  // One that names no issuer takes no other's name.
  const token_verifier open{{issuer(a, "a", "https://a"), issuer(b, "b", "")}};
  CHECK(verdict(open, b.sign(header("b"), claims("https://c"))) == claims("https://c"));
  CHECK(verdict(open, b.sign(header("b"), claims("https://a"))) == "the token is from another issuer");
  // One key for two audiences.
  const token_verifier both{{issuer(a, "a", "https://a", "x"), issuer(a, "a", "https://a", "y")}};
  CHECK(verdict(both, a.sign(header("a"), claims("https://a", "y"))) == claims("https://a", "y"));
  CHECK(verdict(both, a.sign(header("a"), claims("https://a", "z"))) == "the token is for another audience");
}

TEST_CASE("token: what is malformed is refused", "[token]") {
  const auto by = of_secret();
  const auto good = hs256(good_header, good_claims);
  const auto say = [&](const std::string& token) { return verdict(by, token); };
  for (const auto& each : {std::string{}, std::string{"."}, std::string{"a.b"}, good + ".x", good + ".", "." + good, good + "=", good + "\n", " " + good, good + " "})
    CHECK(say(each).starts_with("the token is not"));
  CHECK(say(std::string(8193, 'a')) == "the token is larger than 8 KiB");
  // Padding, the other alphabet, and bits that stand for nothing: one text for equal bytes.
  CHECK(say(good.substr(0, good.find('.')) + "=" + good.substr(good.find('.'))) == "the token is not base64url");
  auto bits = good;
  bits.back() = static_cast<char>(bits.back() + 1);
  CHECK(say(bits) == "the token is not base64url");
  for (const char* each : {R"({"alg":"HS256","alg":"HS256"})", R"({"alg":"none","alg":"HS256"})", R"({"alg":"HS256","kid":"a","kid":"b"})", R"(["HS256"])", R"("HS256")", "{", "",
                           R"({"alg":"HS256"}x)", R"({"alg":256})", R"({"alg":["HS256"]})", R"({"alg":"HS256","typ":1})", "{\"alg\":\"HS256\",\"x\":\"\xff\"}"})
    CHECK(with_header(each) == "the token's header is malformed");
  for (const char* each : {R"({"alg":"HS256","crit":["x"],"x":1})", R"({"alg":"HS256","crit":["exp"],"exp":1})", R"({"alg":"HS256","crit":[]})"})
    CHECK(with_header(each) == "the token needs an extension that is not known");
  for (const char* each : {R"({"alg":"HS256","zip":"DEF"})", R"({"alg":"HS256","enc":"A256GCM"})", R"({"alg":"HS256","b64":false})", R"({"alg":"HS256","cty":"JWT"})", R"({"alg":"HS256","cty":"jwt"})"})
    CHECK(with_header(each) == "the token is in a form that is not taken");
  for (const char* each : {"secevent+jwt", "dpop+jwt", "logout+jwt", "application/at+jwt2", ""})
    CHECK(with_header(R"({"alg":"HS256","typ":")" + std::string{each} + R"("})") == "the token is of another type");
  for (const char* each : {"JWT", "jwt", "at+jwt", "application/at+JWT"}) CHECK(with_header(R"({"alg":"HS256","typ":")" + std::string{each} + R"("})") == good_claims);
  for (const char* each : {"[]", "1", "", "{", R"({"exp":"1800000100"})", R"({"exp":null})", R"({"exp":1800000100,"exp":1800000200})", R"({"exp":1800000100,"sub":7})",
                           R"({"exp":1800000100,"iss":["x"]})", R"({"exp":1800000100,"aud":7})", R"({"exp":1800000100,"aud":["a",7]})", R"({"exp":1800000100,"nbf":"1"})",
                           R"({"exp":1800000100,"iat":{}})", R"({"exp":1e400})", R"({"exp":18446744073709551615})"})
    CHECK(with_claims(each) == "the token's claims are malformed");
  CHECK(say(good.substr(0, good.rfind('.') + 1)) == bad_signature);
  auto changed = good;
  changed[good.find('.') + 3] ^= 1;
  CHECK_FALSE(say(changed).starts_with("{"));
  // A token inside a token.
  CHECK(verdict(by, hs256(good_header, good)) == "the token's claims are malformed");
}

TEST_CASE("token: its times are kept, to the second of the leeway's end", "[token]") {
  CHECK(with_claims(R"({"exp":1799999941})").starts_with("{"));
  CHECK(with_claims(R"({"exp":1799999940})") == "the token has expired");
  CHECK(with_claims(R"({"exp":1799999940.5})").starts_with("{"));
  CHECK(with_claims(R"({"exp":-1})") == "the token has expired");
  CHECK(with_claims(R"({"sub":"x"})") == "the token does not say when it expires");
  CHECK(with_claims(R"({"exp":1800000100,"nbf":1800000060})").starts_with("{"));
  CHECK(with_claims(R"({"exp":1800000100,"nbf":1800000061})") == "the token is not valid yet");
  CHECK(with_claims(R"({"exp":1800000100,"iat":1800000060})").starts_with("{"));
  CHECK(with_claims(R"({"exp":1800000100,"iat":1800000061})") == "the token is from the future; is its issuer's clock right?");
  token_issuer strict;
  strict.keys = set_of(verification_key::from_secret(secret).value());
  strict.leeway = 0s;
  const token_verifier by{{strict}};
  CHECK(verdict(by, hs256(good_header, R"({"exp":1800000001})")).starts_with("{"));
  CHECK(verdict(by, hs256(good_header, R"({"exp":1800000000})")) == "the token has expired");
  CHECK(by.verify(hs256(good_header, R"({"exp":1800000001})"), now)->ends == now + 1s);
  CHECK(of_secret().verify(hs256(good_header, R"({"exp":1800000001})"), now)->ends == now + 61s);
  CHECK(by.verify(hs256(good_header, R"({"exp":1e300})"), now)->ends.time_since_epoch() == 253'402'300'799s);
}

TEST_CASE("token: issuer and audience are those that are configured", "[token]") {
  const auto by = of_secret("https://x", "shop");
  const auto say = [&](std::string_view claims) { return verdict(by, hs256(good_header, claims)); };
  CHECK(say(R"({"exp":1800000100,"iss":"https://x","aud":["a","shop"]})").starts_with("{"));
  CHECK(say(R"({"exp":1800000100,"iss":"https://x","aud":"shop"})").starts_with("{"));
  CHECK(say(R"({"exp":1800000100,"aud":"shop"})") == "the token is from another issuer");
  CHECK(say(R"({"exp":1800000100,"iss":"https://x/","aud":"shop"})") == "the token is from another issuer");
  CHECK(say(R"({"exp":1800000100,"iss":"https://x","aud":["a"]})") == "the token is for another audience");
  CHECK(say(R"({"exp":1800000100,"iss":"https://x","aud":[]})") == "the token is for another audience");
  CHECK(say(R"({"exp":1800000100,"iss":"https://x"})") == "the token is for another audience");
  CHECK(say(R"({"exp":1800000100,"iss":"https://x","aud":"shopping"})") == "the token is for another audience");
}
