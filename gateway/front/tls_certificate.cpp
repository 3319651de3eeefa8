#include "gateway/front/tls_certificate.hpp"

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <array>
#include <memory>
#include <span>

#include <waggle/detail/hex.hpp>

#include "gateway/front/http_syntax.hpp"

namespace waggle::front {
namespace {

/// Empty for a text with a NUL byte, which some readers would take for its end: "bank.example\0.evil.example".
std::string text_of(const ASN1_STRING* from) {
  const std::string out{reinterpret_cast<const char*>(ASN1_STRING_get0_data(from)), static_cast<std::size_t>(ASN1_STRING_length(from))};
  return out.find('\0') == out.npos ? out : std::string{};
}

template <typename Function>
void for_each_name(const X509* of, Function&& call) {
  auto* const names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(of, NID_subject_alt_name, nullptr, nullptr));
  if (names == nullptr) return;
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> owner{names, &GENERAL_NAMES_free};
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    int kind = 0;
    const auto* const value = static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &kind));
    if (kind != GEN_DNS && kind != GEN_URI && kind != GEN_EMAIL) continue;
    if (auto text = text_of(value); !text.empty()) call(kind, std::move(text));
  }
}

}  // namespace

std::string subject_of(const X509* of) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> out{BIO_new(BIO_s_mem()), &BIO_free};
  if (!out || X509_NAME_print_ex(out.get(), X509_get_subject_name(of), 0, XN_FLAG_RFC2253) < 0) return {};
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

std::vector<std::string> host_names_of(const X509* of) {
  std::vector<std::string> out;
  for_each_name(of, [&](int kind, std::string text) {
    if (kind == GEN_DNS) out.push_back(syntax::lower(std::move(text)));
  });
  if (!out.empty()) return out;
  const X509_NAME* const subject = X509_get_subject_name(of);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return out;
  if (auto text = text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))); !text.empty()) out.push_back(syntax::lower(std::move(text)));
  return out;
}

client_certificate describe_client(const X509* of) {
  client_certificate out;
  out.subject = subject_of(of);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (X509_digest(of, EVP_sha256(), digest.data(), &size) == 1) out.fingerprint = waggle::detail::hex_of(std::span{digest}.first(size));
  for_each_name(of, [&](int kind, std::string text) {
    (kind == GEN_DNS ? out.dns_names : kind == GEN_URI ? out.uris : out.emails).push_back(std::move(text));
  });
  return out;
}

}  // namespace waggle::front
