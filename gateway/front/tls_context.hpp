#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

struct ssl_ctx_st;  // of OpenSSL, whose headers nobody else has to see
struct ssl_st;

namespace waggle::front {

/// What a server shows: its certificate, behind it those that lead to the authority, and the key of the first. All in PEM.
struct tls_identity {
  std::string chain;
  std::string key;

  friend bool operator==(const tls_identity&, const tls_identity&) = default;
};

enum class client_certificates : std::uint8_t {
  off,       // not asked for
  optional,  // asked for; one that cannot be verified ends the handshake
  required,
};

struct tls_settings {
  // At least one. A client that names a host gets the first one whose names fit, exactly or by a wildcard; else the first of all.
  std::vector<tls_identity> identities{};
  client_certificates clients = client_certificates::off;
  std::string client_ca{};       // who signs clients' certificates, in PEM; not looked at where they are off
  bool only_version_13 = false;  // else TLS 1.2, too

  friend bool operator==(const tls_settings&, const tls_settings&) = default;
};

/// Why settings cannot be used, with what to do about it.
struct tls_fault {
  enum class part : std::uint8_t { certificate, key, client_ca };
  part of = part::certificate;
  std::size_t identity = 0;  // of `tls_settings::identities`
  std::string what;          // "the key is not that of the certificate; write …"
};

/// For people who look whether the right certificate is served.
struct served_certificate {
  std::string subject;             // as RFC 2253 writes it
  std::vector<std::string> names;  // of hosts, in lower case; "*.example.com" stands for one label more
  std::chrono::sys_seconds not_before, not_after;
};

/// Certificates and rules of TLS, as OpenSSL wants them: TLS 1.2 with ECDHE and AEAD only, and TLS 1.3; ALPN is http/1.1. It does not change,
/// and all threads use it at the same time; sessions keep it alive. Tickets to resume a session are of one context only, so that a new one
/// verifies everybody anew.
class tls_context {
 public:
  [[nodiscard]] static tl::expected<std::shared_ptr<const tls_context>, tls_fault> make(const tls_settings& from);
  ~tls_context();
  tls_context(const tls_context&) = delete;
  tls_context& operator=(const tls_context&) = delete;

  /// One for each identity.
  [[nodiscard]] const std::vector<served_certificate>& certificates() const { return served_; }
  /// What a connection begins with, before it has named a host.
  [[nodiscard]] ssl_ctx_st* first() const { return contexts_.front().get(); }

 private:
  struct free_context {
    void operator()(ssl_ctx_st* what) const;
  };
  using context_ptr = std::unique_ptr<ssl_ctx_st, free_context>;

  tls_context() = default;
  /// The context of a host that a client names; null if no certificate is for it.
  [[nodiscard]] ssl_ctx_st* find(std::string_view host) const;
  static int choose(ssl_st* session, int* alert, void* self);

  std::vector<context_ptr> contexts_;  // one for each identity
  std::vector<served_certificate> served_;
  std::map<std::string, ssl_ctx_st*, std::less<>> by_name_;
};

}  // namespace waggle::front
