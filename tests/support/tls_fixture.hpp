#pragma once

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/front/tls_context.hpp"

/// Authorities and certificates made for one run, and what a client of TLS is made of.
namespace tls_fixture {

template <auto Free>
struct freed_by {
  template <typename Thing>
  void operator()(Thing* what) const {
    Free(what);
  }
};
using key_ptr = std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>>;
using x509_ptr = std::unique_ptr<X509, freed_by<X509_free>>;
using ssl_ptr = std::unique_ptr<SSL, freed_by<SSL_free>>;
using ssl_ctx_ptr = std::unique_ptr<SSL_CTX, freed_by<SSL_CTX_free>>;
using bio_ptr = std::unique_ptr<BIO, freed_by<BIO_free>>;

inline void need(bool done) {
  if (!done) throw std::runtime_error("OpenSSL does not do it");
}

inline std::string taken(const bio_ptr& from) {
  char* text = nullptr;
  const long size = BIO_get_mem_data(from.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

/// A certificate that an authority has signed, or itself, and its key.
struct identity {
  key_ptr key{EVP_EC_gen("P-256")};
  x509_ptr certificate{X509_new()};

  [[nodiscard]] std::string certificate_pem() const {
    const bio_ptr out{BIO_new(BIO_s_mem())};
    need(PEM_write_bio_X509(out.get(), certificate.get()) == 1);
    return taken(out);
  }
  [[nodiscard]] std::string key_pem(const char* passphrase = nullptr) const {
    const bio_ptr out{BIO_new(BIO_s_mem())};
    need(PEM_write_bio_PrivateKey(out.get(), key.get(), passphrase == nullptr ? nullptr : EVP_aes_128_cbc(), nullptr, 0, nullptr,
                                  const_cast<char*>(passphrase)) == 1);
    return taken(out);
  }
  [[nodiscard]] waggle::front::tls_identity pem() const { return {certificate_pem(), key_pem()}; }
};

/// `names` as OpenSSL's configuration has them: "DNS:shop.example,URI:urn:x". Valid from yesterday until `days` from now.
inline identity issue(const identity* by, const std::string& common_name, const std::string& names, int days = 2) {
  static int serial = 1;
  identity out;
  X509* const of = out.certificate.get();
  need(X509_set_version(of, X509_VERSION_3) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(of), ++serial) == 1);
  X509_gmtime_adj(X509_getm_notBefore(of), -60L * 60 * 24);
  X509_gmtime_adj(X509_getm_notAfter(of), 60L * 60 * 24 * days);
  X509_NAME* const subject = X509_get_subject_name(of);
  const auto add = [&](const char* key, const std::string& text) {
    need(X509_NAME_add_entry_by_txt(subject, key, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()), -1, 0) == 1);
  };
  add("O", "Waggle tests");
  add("CN", common_name);
  X509* const signer = by == nullptr ? of : by->certificate.get();
  need(X509_set_issuer_name(of, X509_get_subject_name(signer)) == 1 && X509_set_pubkey(of, out.key.get()) == 1);
  const auto extend = [&](int kind, const std::string& text) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, signer, of, nullptr, nullptr, 0);
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, text.c_str());
    need(extension != nullptr && X509_add_ext(of, extension, -1) == 1);
    X509_EXTENSION_free(extension);
  };
  if (by == nullptr) extend(NID_basic_constraints, "critical,CA:TRUE");
  if (!names.empty()) extend(NID_subject_alt_name, names);
  need(X509_sign(of, (by == nullptr ? out.key : by->key).get(), EVP_sha256()) > 0);
  return out;
}

inline const identity& authority() {
  static const identity made = issue(nullptr, "tests", "");
  return made;
}
/// Of localhost.
inline const identity& server() {
  static const identity made = issue(&authority(), "localhost", "DNS:localhost,DNS:*.shop.example");
  return made;
}

inline waggle::front::tls_settings settings() {
  waggle::front::tls_settings out;
  out.identities = {server().pem()};
  return out;
}
inline std::shared_ptr<const waggle::front::tls_context> context(const waggle::front::tls_settings& from = settings()) {
  auto made = waggle::front::tls_context::make(from);
  if (!made) throw std::runtime_error(made.error().what);
  return *made;
}

struct client_wish {
  const identity* as = nullptr;
  int min_version = TLS1_2_VERSION, max_version = TLS1_3_VERSION;
  const char* host = "localhost";
  std::string_view protocols{};  // as on the wire: each behind its length
  const char* ciphers_12 = nullptr;
  const identity* trusts = &authority();
};

inline ssl_ctx_ptr client_context(const client_wish& how = {}) {
  ssl_ctx_ptr out{SSL_CTX_new(TLS_client_method())};
  SSL_CTX_set_security_level(out.get(), 0);
  need(SSL_CTX_set_min_proto_version(out.get(), how.min_version) == 1 && SSL_CTX_set_max_proto_version(out.get(), how.max_version) == 1);
  if (how.ciphers_12 != nullptr) need(SSL_CTX_set_cipher_list(out.get(), how.ciphers_12) == 1);
  if (how.trusts != nullptr) {
    need(X509_STORE_add_cert(SSL_CTX_get_cert_store(out.get()), how.trusts->certificate.get()) == 1);
    SSL_CTX_set_verify(out.get(), SSL_VERIFY_PEER, nullptr);
  }
  if (how.as != nullptr) {
    need(SSL_CTX_use_certificate(out.get(), how.as->certificate.get()) == 1 && SSL_CTX_use_PrivateKey(out.get(), how.as->key.get()) == 1);
  }
  if (!how.protocols.empty()) {
    need(SSL_CTX_set_alpn_protos(out.get(), reinterpret_cast<const unsigned char*>(how.protocols.data()), static_cast<unsigned>(how.protocols.size())) == 0);
  }
  return out;
}

/// The client's end; still to be given a wire.
inline ssl_ptr client_session(SSL_CTX* from, const client_wish& how = {}) {
  ssl_ptr out{SSL_new(from)};
  SSL_set_connect_state(out.get());
  // What the macro SSL_set_tlsext_host_name does, without its cast.
  if (how.host != nullptr) need(SSL_ctrl(out.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(how.host)) == 1);
  return out;
}

}  // namespace tls_fixture
