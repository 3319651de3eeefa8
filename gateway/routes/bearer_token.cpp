#include "gateway/routes/bearer_token.hpp"

#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include <waggle/detail/text.hpp>
#include <waggle/wire/json.hpp>
#include <waggle/wire/reader.hpp>

#include "gateway/front/http_syntax.hpp"

namespace waggle::gateway {
namespace {

template <auto Free>
struct freed {
  template <class Type>
  void operator()(Type* at) const {
    Free(at);
  }
};
using public_key = std::unique_ptr<EVP_PKEY, freed<EVP_PKEY_free>>;

constexpr std::size_t secret_bytes_min = 32;
constexpr int rsa_bits_min = 2048;
constexpr std::size_t half_bytes = 32;  // of an ES256 signature: r, then s

bool is_es256(const EVP_PKEY* key) {
  std::array<char, 64> group{};
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
         EVP_PKEY_get_utf8_string_param(key, "group", group.data(), group.size(), nullptr) == 1 &&
         std::string_view{group.data()} == "prime256v1";
}

public_key read_public_key(const std::string& pem) {
  const std::unique_ptr<BIO, freed<BIO_free>> from{BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
  // Without a callback, OpenSSL asks the terminal for the password of a file that says it has one.
  const auto no_password = [](char*, int, int, void*) { return -1; };
  public_key out{from ? PEM_read_bio_PUBKEY(from.get(), nullptr, no_password, nullptr) : nullptr};
  ERR_clear_error();
  return out;
}

/// RFC 7515, section 2: the URL's alphabet, no padding; and one text only for equal bytes.
std::optional<std::string> base64url_decode(std::string_view text) {
  std::string standard{text};
  for (char& c : standard) {
    if (c == '+' || c == '/' || c == '=') return std::nullopt;
    if (c == '-') c = '+';
    if (c == '_') c = '/';
  }
  standard.append((4 - standard.size() % 4) % 4, '=');
  return waggle::detail::base64_decode(standard);
}

/// What a JWS signature of ES256 is to OpenSSL.
std::optional<std::string> der_of(std::string_view signature) {
  if (signature.size() != 2 * half_bytes) return std::nullopt;
  const auto* bytes = reinterpret_cast<const unsigned char*>(signature.data());
  const std::unique_ptr<ECDSA_SIG, freed<ECDSA_SIG_free>> both{ECDSA_SIG_new()};
  BIGNUM* const r = BN_bin2bn(bytes, half_bytes, nullptr);
  BIGNUM* const s = BN_bin2bn(bytes + half_bytes, half_bytes, nullptr);
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

bool is_signed(EVP_PKEY* key, std::string_view text, std::string_view signature) {
  const std::unique_ptr<EVP_MD_CTX, freed<EVP_MD_CTX_free>> context{EVP_MD_CTX_new()};
  const bool good =
      context && EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key) == 1 &&
      EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                       reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1;
  ERR_clear_error();
  return good;
}

tl::unexpected<std::string> refused(const char* why) { return tl::unexpected{std::string{why}}; }

/// The header: null if a token with it may be looked at further. `kid`, `jwk`, `jku`, `x5u` and `x5c` would choose a key, which
/// is the configuration's to choose; they are not looked at.
const char* wrong_with_header(std::string_view header, std::string_view algorithm) {
  bool same = false;
  const char* why = nullptr;
  wire::reader in{header};
  const bool whole = wire::read_entries(in, [&](std::string_view key) {
    std::string_view text;
    if (key == "crit") why = "the token needs an extension that is not known";
    if (key == "b64" || key == "zip" || key == "enc") why = "the token is in a form that is not taken";
    if (key != "alg" && key != "typ") return in.skip();
    if (in.peek() != wire::kind::string) return false;
    if (!in.string(text)) return false;
    if (key == "alg") {
      same = text == algorithm;
    } else {
      if (text.size() > 12 && front::syntax::equal_without_case(text.substr(0, 12), "application/")) text.remove_prefix(12);
      if (!front::syntax::equal_without_case(text, "JWT") && !front::syntax::equal_without_case(text, "at+jwt")) {
        why = "the token is of another type";  // RFC 8725, section 3.11
      }
    }
    return true;
  });
  if (!whole) return "the token's header is malformed";
  if (!same) return "the token's algorithm is not the one that is taken";
  return why;
}

/// RFC 7519, section 2: seconds since 1970, perhaps with a fraction.
bool read_date(wire::reader& in, std::optional<double>& out) {
  double seconds = 0;
  std::int64_t whole = 0;
  if (in.peek() == wire::kind::floating) {
    if (!in.floating(seconds)) return false;
  } else if (in.integer(whole)) {
    seconds = static_cast<double>(whole);
  } else {
    return false;
  }
  out = seconds;
  return true;
}

bool names_audience(wire::reader& in, std::string_view wanted, bool& found) {
  std::string_view text;
  if (in.peek() == wire::kind::string) {
    if (!in.string(text)) return false;
    found = text == wanted;
    return true;
  }
  std::uint32_t count = 0;
  if (!in.array(count)) return false;
  while (count-- > 0) {
    if (!in.string(text)) return false;
    found = found || text == wanted;
  }
  return true;
}

}  // namespace

struct token_verifier::key {
  std::string algorithm;
  std::string secret;
  public_key asymmetric;

  ~key() { OPENSSL_cleanse(secret.data(), secret.size()); }

  bool verifies(std::string_view text, std::string_view signature) const {
    if (!asymmetric) {
      std::array<unsigned char, 32> mac{};
      unsigned size = mac.size();
      if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
               reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac.data(), &size) == nullptr)
        return false;
      return signature.size() == size && CRYPTO_memcmp(mac.data(), signature.data(), size) == 0;
    }
    if (algorithm == "RS256") return is_signed(asymmetric.get(), text, signature);
    const auto der = der_of(signature);
    return der && is_signed(asymmetric.get(), text, *der);
  }
};

token_verifier::token_verifier(std::shared_ptr<const key> of, std::string issuer, std::string audience)
    : key_{std::move(of)}, issuer_{std::move(issuer)}, audience_{std::move(audience)} {}

tl::expected<token_verifier, std::string> token_verifier::make(const tokens_config& from) {
  auto made = std::make_shared<key>();
  made->algorithm = from.algorithm;
  if (from.algorithm == "HS256") {
    // RFC 8725, section 2.1: whoever takes a public key for a secret lets everybody sign.
    if (from.key.find("-----BEGIN") != std::string::npos)
      return refused("the key of HS256 is a PEM; give a secret, or the algorithm RS256 or ES256");
    if (from.key.size() < secret_bytes_min) return refused("the key of HS256 is shorter than 32 bytes; give a longer one");
    if (from.key.size() > 4096) return refused("the key of HS256 is longer than 4096 bytes; give a shorter one");
    made->secret = from.key;
  } else if (from.algorithm == "RS256" || from.algorithm == "ES256") {
    if (from.key.size() > 64u << 10) return refused("the key is longer than 64 KiB; give one public key in PEM");
    made->asymmetric = read_public_key(from.key);
    if (!made->asymmetric) return refused("the key is no public key in PEM; give what begins with -----BEGIN PUBLIC KEY-----");
    if (from.algorithm == "ES256" && !is_es256(made->asymmetric.get()))
      return refused("the key of ES256 is not on the curve P-256; give one that is, or the algorithm RS256");
    if (from.algorithm == "RS256" && EVP_PKEY_get_base_id(made->asymmetric.get()) != EVP_PKEY_RSA)
      return refused("the key of RS256 is not an RSA key; give one, or the algorithm ES256");
    if (from.algorithm == "RS256" && EVP_PKEY_get_bits(made->asymmetric.get()) < rsa_bits_min)
      return refused("the key of RS256 is shorter than 2048 bits; give a longer one");
  } else {
    return refused("the algorithm is none of HS256, RS256 and ES256");
  }
  return token_verifier{std::move(made), from.issuer, from.audience};
}

tl::expected<std::string, std::string> token_verifier::verify(std::string_view token, std::chrono::sys_seconds now) const {
  if (token.size() > token_bytes_max) return refused("the token is larger than 8 KiB");
  const auto first = token.find('.'), last = token.rfind('.');
  if (first == std::string_view::npos || first == last || token.find('.', first + 1) != last)
    return refused("the token is not three parts with dots between them");
  const auto header_json = base64url_decode(token.substr(0, first));
  const auto claims_json = base64url_decode(token.substr(first + 1, last - first - 1));
  const auto signature = base64url_decode(token.substr(last + 1));
  if (!header_json || !claims_json || !signature) return refused("the token is not base64url");
  const auto header = wire::json_to_msgpack(*header_json);
  if (!header) return refused("the token's header is malformed");
  if (const char* why = wrong_with_header(*header, key_->algorithm)) return refused(why);
  if (!key_->verifies(token.substr(0, last), *signature)) return refused("the token's signature is not good");

  auto claims = wire::json_to_msgpack(*claims_json);
  if (!claims) return refused("the token's claims are malformed");
  std::optional<double> expires, begins;
  bool from_issuer = issuer_.empty(), for_audience = audience_.empty();
  wire::reader in{*claims};
  const bool whole = wire::read_entries(in, [&](std::string_view name) {
    std::string_view text;
    if (name == "exp") return read_date(in, expires);
    if (name == "nbf") return read_date(in, begins);
    if (name == "aud" && !audience_.empty()) return names_audience(in, audience_, for_audience);
    if (name != "iss" || issuer_.empty()) return in.skip();
    if (!in.string(text)) return false;
    from_issuer = text == issuer_;
    return true;
  });
  if (!whole) return refused("the token's claims are malformed");
  const auto seconds = static_cast<double>(now.time_since_epoch().count());
  const auto leeway = static_cast<double>(token_leeway.count());
  if (!expires) return refused("the token does not say when it expires");
  if (seconds >= *expires + leeway) return refused("the token has expired");
  if (begins && seconds < *begins - leeway) return refused("the token is not valid yet");
  if (!from_issuer) return refused("the token is from another issuer");
  if (!for_audience) return refused("the token is for another audience");
  return std::move(*claims);
}

}  // namespace waggle::gateway
