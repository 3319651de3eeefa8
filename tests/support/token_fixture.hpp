#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include <waggle/detail/text.hpp>
#include <waggle/wire/json.hpp>

#include "gateway/identity/openssl.hpp"
#include "gateway/identity/token_verifier.hpp"

/// What issuers of tokens do.
namespace waggle::gateway::test {

using openssl::owned;

inline const std::string secret = "0123456789abcdef0123456789abcdef";

inline std::string base64url(std::string_view bytes) {
  auto out = waggle::detail::base64_encode(bytes);
  std::replace(out.begin(), out.end(), '+', '-');
  std::replace(out.begin(), out.end(), '/', '_');
  while (out.ends_with('=')) out.pop_back();
  return out;
}

inline std::string hmac(std::string_view key, std::string_view text) {
  unsigned char mac[32];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &size);
  return {reinterpret_cast<const char*>(mac), size};
}

inline std::string hs256(std::string_view header, std::string_view claims, std::string_view key = secret) {
  const auto text = base64url(header) + '.' + base64url(claims);
  return text + '.' + base64url(hmac(key, text));
}

/// A key pair, and what signs with it as JWS does.
class key_pair {
 public:
  explicit key_pair(EVP_PKEY* made) : key_{made} {}
  static key_pair rsa(unsigned bits = 2048) { return key_pair{EVP_RSA_gen(bits)}; }
  static key_pair ec(const char* curve = "P-256") { return key_pair{EVP_EC_gen(curve)}; }
  static key_pair ed25519() { return key_pair{EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")}; }

  [[nodiscard]] std::string pem() const { return text_of([&](BIO* out) { PEM_write_bio_PUBKEY(out, key_.get()); }); }
  [[nodiscard]] std::string private_pem() const {
    return text_of([&](BIO* out) { PEM_write_bio_PrivateKey(out, key_.get(), nullptr, nullptr, 0, nullptr, nullptr); });
  }

  /// A token; `header` is to name the algorithm of the key.
  [[nodiscard]] std::string sign(std::string_view header, std::string_view claims) const {
    const auto text = base64url(header) + '.' + base64url(claims);
    return text + '.' + base64url(signature(text));
  }
  [[nodiscard]] std::string signature(const std::string& text) const {
    const owned<EVP_MD_CTX, EVP_MD_CTX_free> context{EVP_MD_CTX_new()};
    const bool hashes_itself = EVP_PKEY_get_base_id(key_.get()) == EVP_PKEY_ED25519;
    std::string out(1024, '\0');
    std::size_t size = out.size();
    EVP_DigestSignInit(context.get(), nullptr, hashes_itself ? nullptr : EVP_sha256(), nullptr, key_.get());
    EVP_DigestSign(context.get(), bytes(out), &size, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    out.resize(size);
    return EVP_PKEY_get_base_id(key_.get()) == EVP_PKEY_EC ? raw(out) : out;
  }

  /// The public key as a JWK without braces, so that members can be added.
  [[nodiscard]] std::string jwk() const {
    switch (EVP_PKEY_get_base_id(key_.get())) {
      case EVP_PKEY_RSA: return R"("kty":"RSA","n":")" + number(OSSL_PKEY_PARAM_RSA_N, 0) + R"(","e":")" + number(OSSL_PKEY_PARAM_RSA_E, 0) + '"';
      case EVP_PKEY_EC:
        return R"("kty":"EC","crv":"P-256","x":")" + number(OSSL_PKEY_PARAM_EC_PUB_X, 32) + R"(","y":")" + number(OSSL_PKEY_PARAM_EC_PUB_Y, 32) + '"';
      default: break;
    }
    std::string x(32, '\0');
    std::size_t size = x.size();
    EVP_PKEY_get_raw_public_key(key_.get(), bytes(x), &size);
    return R"("kty":"OKP","crv":"Ed25519","x":")" + base64url(x) + '"';
  }

 private:
  static unsigned char* bytes(std::string& of) { return reinterpret_cast<unsigned char*>(of.data()); }
  template <class Write>
  static std::string text_of(Write&& write) {
    const owned<BIO, BIO_free> out{BIO_new(BIO_s_mem())};
    write(out.get());
    char* data = nullptr;
    const auto size = BIO_get_mem_data(out.get(), &data);
    return {data, static_cast<std::size_t>(size)};
  }
  static std::string raw(const std::string& der) {
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    const owned<ECDSA_SIG, ECDSA_SIG_free> both{d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()))};
    std::string out(64, '\0');
    BN_bn2binpad(ECDSA_SIG_get0_r(both.get()), bytes(out), 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(both.get()), bytes(out) + 32, 32);
    return out;
  }
  [[nodiscard]] std::string number(const char* name, int width) const {
    BIGNUM* made = nullptr;
    EVP_PKEY_get_bn_param(key_.get(), name, &made);
    const owned<BIGNUM, BN_free> number{made};
    std::string out(static_cast<std::size_t>(width == 0 ? BN_num_bytes(made) : width), '\0');
    BN_bn2binpad(made, bytes(out), static_cast<int>(out.size()));
    return base64url(out);
  }

  openssl::key key_;
};

inline std::shared_ptr<const key_set> set_of(std::vector<std::pair<std::string, verification_key>> keys) {
  auto out = std::make_shared<key_set>();
  for (auto& [kid, key] : keys) out->keys.push_back({kid, std::move(key)});
  return out;
}
inline std::shared_ptr<const key_set> set_of(verification_key key) { return set_of({{std::string{}, std::move(key)}}); }
inline std::shared_ptr<const key_set> set_of(std::string_view jwks) { return std::make_shared<const key_set>(read_key_set(jwks).value()); }

inline constexpr std::chrono::sys_seconds now{std::chrono::seconds{1'800'000'000}};

/// The claims, or why there are none.
inline std::string verdict(const token_verifier& by, const std::string& token, std::chrono::sys_seconds at = now) {
  const auto out = by.verify(token, at);
  return out ? waggle::wire::msgpack_to_json(out->claims) : out.error();
}
inline token_verifier taking(std::shared_ptr<const key_set> keys, std::string issuer = {}, std::string audience = {}) {
  token_issuer only;
  only.keys = std::move(keys);
  only.issuer = std::move(issuer);
  only.audience = std::move(audience);
  return token_verifier{{std::move(only)}};
}

}  // namespace waggle::gateway::test
