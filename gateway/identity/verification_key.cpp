#include "gateway/identity/verification_key.hpp"

#include <array>
#include <utility>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include "gateway/identity/openssl.hpp"

namespace waggle::gateway {
namespace {

using openssl::owned;

constexpr std::array<std::string_view, 4> names{"HS256", "RS256", "ES256", "EdDSA"};
constexpr std::size_t coordinate_bytes = 32;  // of P-256 and Ed25519; an ES256 signature is two: r, then s
constexpr std::size_t exponent_bytes_max = 8;

tl::unexpected<std::string> refused(const char* why) { return tl::unexpected{std::string{why}}; }

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

bool is_p256(const EVP_PKEY* key) {
  std::array<char, 64> group{};
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
         EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group.data(), group.size(), nullptr) == 1 &&
         std::string_view{group.data()} == "prime256v1";
}

openssl::key read_public_key(const std::string& pem) {
  const owned<BIO, BIO_free> from{BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
  // Without a callback, OpenSSL asks the terminal for the password of a file that says it has one.
  const auto no_password = [](char*, int, int, void*) { return -1; };
  openssl::key out{from ? PEM_read_bio_PUBKEY(from.get(), nullptr, no_password, nullptr) : nullptr};
  ERR_clear_error();
  return out;
}

openssl::key public_key_of(const char* type, OSSL_PARAM_BLD* parts) {
  const owned<OSSL_PARAM, OSSL_PARAM_free> params{OSSL_PARAM_BLD_to_param(parts)};
  const owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context{EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr)};
  EVP_PKEY* out = nullptr;
  if (params && context && EVP_PKEY_fromdata_init(context.get()) == 1) EVP_PKEY_fromdata(context.get(), &out, EVP_PKEY_PUBLIC_KEY, params.get());
  ERR_clear_error();
  return openssl::key{out};
}

/// Whether it can be a key at all: a point that is on the curve.
bool is_sound(EVP_PKEY* key) {
  const owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context{EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr)};
  const bool sound = context && EVP_PKEY_public_check(context.get()) == 1;
  ERR_clear_error();
  return sound;
}

/// What is wrong with a public key for an algorithm; null if nothing is.
const char* wrong_with(jws_algorithm algorithm, EVP_PKEY* key) {
  const int type = EVP_PKEY_get_base_id(key);
  switch (algorithm) {
    case jws_algorithm::es256:
      return is_p256(key) ? nullptr : "the key of ES256 is not on the curve P-256; give one that is, or another algorithm";
    case jws_algorithm::eddsa:
      return type == EVP_PKEY_ED25519 ? nullptr : "the key of EdDSA is none of Ed25519; give one, or another algorithm";
    case jws_algorithm::rs256:
      if (type != EVP_PKEY_RSA) return "the key of RS256 is not an RSA key; give one, or another algorithm";
      if (EVP_PKEY_get_bits(key) < rsa_bits_min) return "the key of RS256 is shorter than 2048 bits; give a longer one";
      if (EVP_PKEY_get_bits(key) > rsa_bits_max) return "the key of RS256 is longer than 8192 bits; give a shorter one";
      return nullptr;
    case jws_algorithm::hs256: break;
  }
  return "the key of HS256 is a public one; give a secret, or another algorithm";
}

/// What a JWS signature of ES256 is to OpenSSL.
std::optional<std::string> der_of(std::string_view signature) {
  if (signature.size() != 2 * coordinate_bytes) return std::nullopt;
  const owned<ECDSA_SIG, ECDSA_SIG_free> both{ECDSA_SIG_new()};
  BIGNUM* const r = BN_bin2bn(bytes_of(signature), coordinate_bytes, nullptr);
  BIGNUM* const s = BN_bin2bn(bytes_of(signature) + coordinate_bytes, coordinate_bytes, nullptr);
  if (!both || r == nullptr || s == nullptr || ECDSA_SIG_set0(both.get(), r, s) != 1) {
    BN_free(r);
    BN_free(s);
    return std::nullopt;
  }
  std::array<unsigned char, 80> der;  // two integers of at most 33 bytes, with their heads
  unsigned char* at = der.data();
  const int size = i2d_ECDSA_SIG(both.get(), &at);
  if (size <= 0) return std::nullopt;
  return std::string{reinterpret_cast<const char*>(der.data()), static_cast<std::size_t>(size)};
}

/// `digest`: null for Ed25519, which hashes by itself.
bool is_signed(EVP_PKEY* key, const EVP_MD* digest, std::string_view text, std::string_view signature) {
  const owned<EVP_MD_CTX, EVP_MD_CTX_free> context{EVP_MD_CTX_new()};
  const bool good = context && EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key) == 1 &&
                    EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(text), text.size()) == 1;
  ERR_clear_error();
  return good;
}

bool is_mac(std::string_view secret, std::string_view text, std::string_view mac) {
  std::array<unsigned char, 32> own{};
  unsigned size = own.size();
  if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), bytes_of(text), text.size(), own.data(), &size) == nullptr) return false;
  return mac.size() == size && CRYPTO_memcmp(own.data(), mac.data(), size) == 0;
}

}  // namespace

struct verification_key::material {
  std::string secret;
  openssl::key asymmetric;

  material(std::string of_secret, openssl::key of_public) : secret{std::move(of_secret)}, asymmetric{std::move(of_public)} {}
  ~material() { OPENSSL_cleanse(secret.data(), secret.size()); }
  material(const material&) = delete;
  material& operator=(const material&) = delete;
};

std::string_view name(jws_algorithm of) { return names[static_cast<std::size_t>(of)]; }

std::optional<jws_algorithm> jws_algorithm_of(std::string_view name) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return static_cast<jws_algorithm>(i);
  }
  if (name == "Ed25519") return jws_algorithm::eddsa;
  return std::nullopt;
}

verification_key::made verification_key::from_secret(std::string secret) {
  // RFC 8725, section 2.1: whoever takes a public key for a secret lets everybody sign.
  if (secret.find("-----BEGIN") != std::string::npos) return refused("the key of HS256 is a PEM; give a secret, or the algorithm of the key");
  if (secret.size() < secret_bytes_min) return refused("the secret of HS256 is shorter than 32 bytes; make a longer one, as with openssl rand -hex 32");
  if (secret.size() > secret_bytes_max) return refused("the secret of HS256 is longer than 4096 bytes; give a shorter one");
  return verification_key{jws_algorithm::hs256, std::make_shared<const material>(std::move(secret), nullptr)};
}

verification_key::made verification_key::from_pem(jws_algorithm algorithm, const std::string& pem) {
  if (pem.find("PRIVATE KEY-----") != std::string::npos)
    return refused("the key is a private one; write the public key that begins with -----BEGIN PUBLIC KEY-----");
  if (pem.find("-----BEGIN ") == std::string::npos) return refused("the key is no PEM; write the public key that begins with -----BEGIN PUBLIC KEY-----");
  auto key = read_public_key(pem);
  if (!key) return refused("the key is no public key in PEM; write the one that begins with -----BEGIN PUBLIC KEY-----");
  if (const char* why = wrong_with(algorithm, key.get())) return refused(why);
  return verification_key{algorithm, std::make_shared<const material>(std::string{}, std::move(key))};
}

verification_key::made verification_key::from_rsa(std::string_view n, std::string_view e) {
  // Leading zeros and an even or tiny exponent are no key that anybody makes.
  if (n.empty() || n.front() == '\0' || n.size() > static_cast<std::size_t>(rsa_bits_max) / 8) return refused("its n is no modulus; give one of 2048 to 8192 bits");
  if (e.empty() || e.front() == '\0' || e.size() > exponent_bytes_max || (e.back() & 1) == 0 || e == "\x01")
    return refused("its e is no exponent; give the key's, as in AQAB");
  const owned<BIGNUM, BN_free> modulus{BN_bin2bn(bytes_of(n), static_cast<int>(n.size()), nullptr)};
  const owned<BIGNUM, BN_free> exponent{BN_bin2bn(bytes_of(e), static_cast<int>(e.size()), nullptr)};
  const owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> parts{OSSL_PARAM_BLD_new()};
  if (!modulus || !exponent || !parts || OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1)
    return refused("it is no RSA key; give another");
  auto key = public_key_of("RSA", parts.get());
  if (!key) return refused("it is no RSA key; give another");
  if (const char* why = wrong_with(jws_algorithm::rs256, key.get())) return refused(why);
  return verification_key{jws_algorithm::rs256, std::make_shared<const material>(std::string{}, std::move(key))};
}

verification_key::made verification_key::from_p256(std::string_view x, std::string_view y) {
  if (x.size() != coordinate_bytes || y.size() != coordinate_bytes) return refused("its x and y are not of 32 bytes each; give the key's, with leading zeros");
  std::string point{"\x04"};  // SEC 1, section 2.3.3: both coordinates
  point.append(x).append(y);
  const owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> parts{OSSL_PARAM_BLD_new()};
  if (!parts || OSSL_PARAM_BLD_push_utf8_string(parts.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(parts.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) != 1)
    return refused("it is no EC key; give another");
  auto key = public_key_of("EC", parts.get());
  if (!key || !is_sound(key.get()) || wrong_with(jws_algorithm::es256, key.get()) != nullptr)
    return refused("its x and y are no point of the curve P-256; give the key's");
  return verification_key{jws_algorithm::es256, std::make_shared<const material>(std::string{}, std::move(key))};
}

verification_key::made verification_key::from_ed25519(std::string_view x) {
  if (x.size() != coordinate_bytes) return refused("its x is not of 32 bytes; give the key's");
  openssl::key key{EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(x), x.size())};
  ERR_clear_error();
  if (!key) return refused("it is no key of Ed25519; give another");
  return verification_key{jws_algorithm::eddsa, std::make_shared<const material>(std::string{}, std::move(key))};
}

bool verification_key::verifies(std::string_view text, std::string_view signature) const {
  switch (algorithm_) {
    case jws_algorithm::hs256: return is_mac(of_->secret, text, signature);
    case jws_algorithm::rs256: return is_signed(of_->asymmetric.get(), EVP_sha256(), text, signature);
    case jws_algorithm::eddsa: return is_signed(of_->asymmetric.get(), nullptr, text, signature);
    case jws_algorithm::es256: break;
  }
  const auto der = der_of(signature);
  return der && is_signed(of_->asymmetric.get(), EVP_sha256(), text, *der);
}

}  // namespace waggle::gateway
