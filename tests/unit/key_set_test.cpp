// Keys as they are configured: a set of JWKs, a PEM, a secret.
#include <string>
#include <string_view>

#include "gateway/identity/key_set.hpp"
#include "support/catch.hpp"
#include "support/token_fixture.hpp"

using namespace waggle::gateway;
using namespace waggle::gateway::test;

namespace {

/// How many keys there are and what is left out, or what is wrong.
std::string shown(const std::string& jwks) {
  const auto out = read_key_set(jwks);
  std::string text = out ? std::to_string(out->keys.size()) : "";
  for (const auto& each : out ? out->left_out : out.error()) text += (text.empty() ? "" : "\n") + each;
  return text;
}
std::string of(const std::string& members) { return shown(R"({"keys":[{)" + members + "}]}"); }

}  // namespace

TEST_CASE("key set: keys of the four kinds are taken, with what a set may say besides", "[token]") {
  const auto rsa = key_pair::rsa(), ec = key_pair::ec(), ed = key_pair::ed25519();
  const auto jwks = R"({"x":1,"keys":[{)" + rsa.jwk() + R"(,"kid":"r","alg":"RS256","use":"sig","x5c":["MIIB"],"x5t":"x"},{)" + ec.jwk() + R"(,"kid":"e","key_ops":["verify"]},{)" + ed.jwk() +
                    R"(,"kid":"d","alg":"Ed25519"},{"kty":"oct","k":")" + base64url(secret) + R"(","alg":"HS256"}]})";
  const auto set = read_key_set(jwks).value();
  REQUIRE(set.keys.size() == 4);
  CHECK(set.left_out.empty());
  CHECK((set.keys[0].kid == "r" && set.keys[0].key.algorithm() == jws_algorithm::rs256));
  CHECK((set.keys[1].kid == "e" && set.keys[1].key.algorithm() == jws_algorithm::es256));
  CHECK((set.keys[2].kid == "d" && set.keys[2].key.algorithm() == jws_algorithm::eddsa));
  CHECK((set.keys[3].kid.empty() && set.keys[3].key.algorithm() == jws_algorithm::hs256));
}

TEST_CASE("key set: keys for something else are left out, and said", "[token]") {
  const auto ec = key_pair::ec();
  const auto with = [&](const std::string& other) { return shown(R"({"keys":[{)" + ec.jwk() + "},{" + other + "}]}"); };
  CHECK(with(R"("kty":"AKP","kid":"q")") == "1\nkey 2 (\"q\") is left out: no token is verified with \"AKP \"");
  CHECK(with(R"("kty":"EC","crv":"P-384","x":"AA","y":"AA")") == "1\nkey 2 is left out: no token is verified with \"EC P-384\"");
  CHECK(with(R"("kty":"OKP","crv":"X25519","x":"AA")") == "1\nkey 2 is left out: no token is verified with \"OKP X25519\"");
  CHECK(with(key_pair::rsa().jwk() + R"(,"use":"enc")") == "1\nkey 2 is left out: it is for the use \"enc\"");
  CHECK(with(key_pair::rsa().jwk() + R"(,"alg":"RSA-OAEP")") == "1\nkey 2 is left out: no token is verified with \"RSA-OAEP\"");
  CHECK(with(key_pair::rsa().jwk() + R"(,"alg":"RS512")") == "1\nkey 2 is left out: no token is verified with \"RS512\"");
  CHECK(with(ec.jwk() + R"(,"key_ops":["encrypt"])") == "1\nkey 2 is left out: its key_ops do not have verify");
  CHECK(of(R"("kty":"AKP")").starts_with("it has no key that a token could be verified with (key 1 is left out: "));
}

TEST_CASE("key set: a key that is weak, private or no key is an error that says what to do", "[token]") {
  const auto rsa = key_pair::rsa(), ec = key_pair::ec();
  for (const char* each : {"d", "p", "q", "dp", "dq", "qi"})
    CHECK(of(ec.jwk() + ",\"" + each + R"(":"AA")") == "key 1: it holds a private key; write the public one, and make a new pair if others could read this");
  CHECK(of(rsa.jwk() + R"(,"oth":[])").find("private key") != std::string::npos);
  CHECK(of(key_pair::rsa(1024).jwk()) == "key 1: the key of RS256 is shorter than 2048 bits; give a longer one");
  CHECK(of(R"("kty":"oct","k":")" + base64url("short") + '"') == "key 1: the secret of HS256 is shorter than 32 bytes; make a longer one, as with openssl rand -hex 32");
  CHECK(of(R"("kty":"oct")") == "key 1: it has no k; write the secret, in base64url");
  CHECK(of(R"("kty":"oct","k":"a+b=")") == "key 1: its k is not base64url; write it so, without =");
  CHECK(of(R"("kty":"EC","crv":"P-256","x":")" + base64url(std::string(32, '\1')) + R"(","y":")" + base64url(std::string(32, '\1')) + '"') ==
        "key 1: its x and y are no point of the curve P-256; give the key's");
  CHECK(of(R"("kty":"EC","crv":"P-256","x":")" + base64url(std::string(31, '\1')) + R"(","y":")" + base64url(std::string(32, '\1')) + '"') ==
        "key 1: its x and y are not of 32 bytes each; give the key's, with leading zeros");
  CHECK(of(R"("kty":"OKP","crv":"Ed25519","x":"AAAA")") == "key 1: its x is not of 32 bytes; give the key's");
  CHECK(of(R"("kty":"RSA","n":"AQAB","e":"AQAB")") == "key 1: the key of RS256 is shorter than 2048 bits; give a longer one");
  for (const auto& e : {std::string{"\1"}, std::string{"\2"}, std::string{}, std::string{"\0\3", 2}, std::string(9, '\1')})
    CHECK(of(R"("kty":"RSA","n":")" + base64url(std::string(256, '\x83')) + R"(","e":")" + base64url(e) + '"') == "key 1: its e is no exponent; give the key's, as in AQAB");
  CHECK(of(ec.jwk() + R"(,"alg":"HS256")") == "key 1: its alg \"HS256\" is not one of its kty; write ES256");
  CHECK(of(rsa.jwk() + R"(,"alg":"ES256")") == "key 1: its alg \"ES256\" is not one of its kty; write RS256");
  CHECK(of(R"("kid":"x")") == "key 1 (\"x\"): it has no kty; write RSA, EC, OKP or oct");
  CHECK(of(R"("kty":1)").starts_with("key 1: a member of it that is to be a text is none"));
  CHECK(of(ec.jwk() + R"(,"kid":")" + std::string(257, 'k') + '"').ends_with("its kid is longer than 256 bytes; write a shorter one"));
  CHECK(shown(R"({"keys":[{)" + ec.jwk() + R"(,"kid":"a"},{)" + key_pair::ec().jwk() + R"(,"kid":"a"}]})") == "key 2 (\"a\"): another key has its kid; write another");
}

TEST_CASE("key set: what is no set is refused, and so is one without bounds", "[token]") {
  const std::string none = "it is no JWK Set; write one, as in {\"keys\":[{\"kty\":\"EC\",...}]}";
  for (const char* each : {"[]", "{}", R"({"keys":{}})", R"({"keys":[1]})", "7"}) CHECK(shown(each) == none);
  CHECK(shown(R"({"keys":[]})").starts_with("it has no key that a token could be verified with"));
  CHECK(shown("{").starts_with("not acceptable JSON at line 1"));
  CHECK(shown(R"({"keys":[],"keys":[]})").starts_with("not acceptable JSON at line 1"));
  std::string many = R"({"keys":[)";
  for (int i = 0; i < 65; ++i) many += (i == 0 ? "" : ",") + std::string{R"({"kty":"x"})"};
  CHECK(shown(many + "]}") == "it has more than 64 keys; leave out those that are not used any more");
  CHECK(shown(std::string(key_set_bytes_max + 1, ' ')) == "it is larger than 256 KiB; leave keys out that are not used any more");
}

TEST_CASE("key: one that is weak, private or another's is refused when it is configured", "[token]") {
  const auto rsa = key_pair::rsa(), ec = key_pair::ec(), ed = key_pair::ed25519();
  CHECK_FALSE(verification_key::from_secret("short"));
  CHECK_FALSE(verification_key::from_secret(rsa.pem()));
  CHECK_FALSE(verification_key::from_secret(std::string(4097, 'k')));
  for (const auto& [algorithm, pem] : {std::pair{jws_algorithm::rs256, secret}, {jws_algorithm::rs256, key_pair::rsa(1024).pem()}, {jws_algorithm::rs256, ec.pem()},
                                       {jws_algorithm::es256, rsa.pem()}, {jws_algorithm::es256, key_pair::ec("P-384").pem()}, {jws_algorithm::es256, ed.pem()},
                                       {jws_algorithm::eddsa, ec.pem()}, {jws_algorithm::rs256, rsa.private_pem()}, {jws_algorithm::hs256, rsa.pem()}}) {
    const auto made = verification_key::from_pem(algorithm, pem);
    CHECK_FALSE(made);
  }
}
