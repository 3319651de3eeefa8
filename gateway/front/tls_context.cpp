#include "gateway/front/tls_context.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <new>
#include <optional>
#include <utility>

#include "gateway/front/tls_certificate.hpp"

namespace waggle::front {
namespace {

// Ephemeral keys and authenticated encryption only; where the processor has no AES, ChaCha20 comes first
// (SSL_OP_PRIORITIZE_CHACHA). TLS 1.3 has no other ones.
constexpr const char* ciphers_12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* groups = "X25519:P-256:P-384";
constexpr int security_level = 2;                    // 112 bits: RSA of 2048, no SHA-1
constexpr long client_chain_bytes_max = 32 * 1024;
constexpr std::chrono::seconds ticket_time{3600};    // so long a client is believed to be who it was
constexpr unsigned char protocol[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

using part = tls_fault::part;

template <auto Free>
struct freed_by {
  template <typename Thing>
  void operator()(Thing* what) const {
    Free(what);
  }
};
using bio_ptr = std::unique_ptr<BIO, freed_by<BIO_free>>;
using x509_ptr = std::unique_ptr<X509, freed_by<X509_free>>;
using key_ptr = std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>>;
using store_ptr = std::unique_ptr<X509_STORE, freed_by<X509_STORE_free>>;

bio_ptr read_from(const std::string& text) {
  bio_ptr out{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
  if (!out) throw std::bad_alloc{};
  return out;
}

/// OpenSSL's own words about what failed last.
std::string reason() {
  const char* const text = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return text == nullptr ? "no reason given" : text;
}

std::chrono::sys_seconds time_of(const ASN1_TIME* when) {
  std::tm parts{};
  ASN1_TIME_to_tm(when, &parts);
  return std::chrono::sys_seconds{std::chrono::seconds{::timegm(&parts)}};
}

/// All certificates of a text; empty if one of them cannot be read.
std::vector<x509_ptr> certificates_in(const std::string& pem) {
  const auto in = read_from(pem);
  std::vector<x509_ptr> out;
  ERR_clear_error();
  while (X509* const each = PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)) out.emplace_back(each);
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!at_end) out.clear();
  return out;
}

/// OpenSSL would ask for it at the terminal.
int refuse_passphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

/// SSL_TLSEXT_ERR_ALERT_FATAL says no_application_protocol. Who offers nothing is not asked.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* offered, unsigned int offered_size, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, size, protocol, sizeof protocol, offered, offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

void require(bool done) {
  if (!done) throw std::bad_alloc{};  // what is constant here fails for want of memory only
}

/// All but the certificate, the same for each: a session changes over to the context of the host that it names.
void set_rules(SSL_CTX* of, const tls_settings& from) {
  SSL_CTX_set_security_level(of, security_level);
  require(SSL_CTX_set_min_proto_version(of, from.only_version_13 ? TLS1_3_VERSION : TLS1_2_VERSION) == 1 &&
          SSL_CTX_set_max_proto_version(of, TLS1_3_VERSION) == 1 && SSL_CTX_set_cipher_list(of, ciphers_12) == 1 &&
          SSL_CTX_set1_groups_list(of, groups) == 1);
  SSL_CTX_set_options(of, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  // Idle connections keep no buffers. The chain is what the file says, not what can be made of the authorities of clients.
  SSL_CTX_set_mode(of, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_max_early_data(of, 0);
  SSL_CTX_set_alpn_select_cb(of, choose_protocol, nullptr);
  // Resumption is by tickets, which the client keeps and any thread can read.
  SSL_CTX_set_session_cache_mode(of, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_timeout(of, ticket_time.count());
  constexpr unsigned char name[] = "waggle";
  require(SSL_CTX_set_session_id_context(of, name, sizeof name - 1) == 1);
}

std::optional<tls_fault> set_identity(SSL_CTX* of, const tls_identity& from, std::size_t index, served_certificate& shown) {
  const auto fault = [index](part of_which, std::string what) { return tls_fault{of_which, index, std::move(what)}; };
  const auto chain = certificates_in(from.chain);
  if (chain.empty()) {
    return fault(part::certificate, "this is no certificate in PEM; write the server's own one, and behind it those that lead to the authority");
  }
  X509* const own = chain.front().get();
  shown = {subject_of(own), host_names_of(own), time_of(X509_get0_notBefore(own)), time_of(X509_get0_notAfter(own))};
  if (SSL_CTX_use_certificate(of, own) != 1) {
    return fault(part::certificate, "the certificate of " + shown.subject + " is not good enough (" + reason() + "); write one with a stronger key");
  }
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(of, chain[i].get()) == 1) continue;
    return fault(part::certificate, "the certificate of " + subject_of(chain[i].get()) + " in the chain is not good enough (" + reason() +
                                        "); write one with a stronger key");
  }

  const auto in = read_from(from.key);
  bool asked = false;
  const key_ptr key{PEM_read_bio_PrivateKey(in.get(), nullptr, refuse_passphrase, &asked)};
  ERR_clear_error();
  if (asked) {
    return fault(part::key, "the key is encrypted, and nobody is there to type its passphrase; write it without one, as with openssl pkey -in OLD -out NEW");
  }
  if (!key) return fault(part::key, "this is no private key in PEM; write the key of the certificate");
  if (X509_check_private_key(own, key.get()) != 1) {
    ERR_clear_error();
    return fault(part::key, "the key is not that of the certificate of " + shown.subject + "; write the two that belong together");
  }
  if (SSL_CTX_use_PrivateKey(of, key.get()) != 1) return fault(part::key, "the key cannot be used (" + reason() + "); write another one");
  return std::nullopt;
}

std::optional<tls_fault> set_clients(SSL_CTX* of, const tls_settings& from) {
  if (from.clients == client_certificates::off) return std::nullopt;
  const auto authorities = certificates_in(from.client_ca);
  if (authorities.empty()) {
    return tls_fault{part::client_ca, 0, "this is no certificate in PEM; write that of the authority that signs those of clients"};
  }
  store_ptr store{X509_STORE_new()};
  require(store != nullptr);
  for (const auto& each : authorities) {
    require(X509_STORE_add_cert(store.get(), each.get()) == 1 && SSL_CTX_add_client_CA(of, each.get()) == 1);
  }
  X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN);  // what is written is trusted, root or not
  SSL_CTX_set_cert_store(of, store.release());
  SSL_CTX_set_max_cert_list(of, client_chain_bytes_max);
  SSL_CTX_set_verify(of, SSL_VERIFY_PEER | (from.clients == client_certificates::required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  return std::nullopt;
}

}  // namespace

void tls_context::free_context::operator()(ssl_ctx_st* what) const { SSL_CTX_free(what); }

tls_context::~tls_context() = default;

tl::expected<std::shared_ptr<const tls_context>, tls_fault> tls_context::make(const tls_settings& from) {
  const std::shared_ptr<tls_context> out{new tls_context};
  for (std::size_t i = 0; i < from.identities.size(); ++i) {
    ERR_clear_error();
    context_ptr one{SSL_CTX_new(TLS_server_method())};
    require(one != nullptr);
    set_rules(one.get(), from);
    served_certificate shown;
    auto fault = set_identity(one.get(), from.identities[i], i, shown);
    if (!fault) fault = set_clients(one.get(), from);
    if (fault) return tl::unexpected{std::move(*fault)};
    // The macro for it has a cast of the old kind.
    SSL_CTX_callback_ctrl(one.get(), SSL_CTRL_SET_TLSEXT_SERVERNAME_CB, reinterpret_cast<void (*)()>(&tls_context::choose));
    SSL_CTX_set_tlsext_servername_arg(one.get(), out.get());
    for (const auto& name : shown.names) out->by_name_.emplace(name, one.get());
    out->served_.push_back(std::move(shown));
    out->contexts_.push_back(std::move(one));
  }
  if (out->contexts_.empty()) return tl::unexpected{tls_fault{part::certificate, 0, "there is no certificate; write one, and its key"}};
  return out;
}

ssl_ctx_st* tls_context::find(std::string_view host) const {
  std::string name{host};
  std::transform(name.begin(), name.end(), name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (const auto exact = by_name_.find(name); exact != by_name_.end()) return exact->second;
  const auto dot = name.find('.');
  if (dot == name.npos || dot == 0) return nullptr;
  const auto wildcard = by_name_.find("*" + name.substr(dot));
  return wildcard == by_name_.end() ? nullptr : wildcard->second;
}

/// A name that no certificate is for gets the first one, whose client then says what it thinks of it.
int tls_context::choose(ssl_st* session, int*, void* self) {
  try {
    const char* const host = SSL_get_servername(session, TLSEXT_NAMETYPE_host_name);
    if (host == nullptr) return SSL_TLSEXT_ERR_NOACK;
    ssl_ctx_st* const of = static_cast<const tls_context*>(self)->find(host);
    if (of == nullptr) return SSL_TLSEXT_ERR_NOACK;
    return SSL_set_SSL_CTX(session, of) == nullptr ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_OK;
  } catch (const std::exception&) {  // out of memory; OpenSSL lets no exception through
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
}

}  // namespace waggle::front
