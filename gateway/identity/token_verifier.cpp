#include "gateway/identity/token_verifier.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include <waggle/wire/json.hpp>
#include <waggle/wire/reader.hpp>

#include "gateway/identity/json_web_token.hpp"

namespace waggle::gateway {
namespace {

constexpr const char* malformed = "the token's claims are malformed";

tl::unexpected<std::string> refused(const char* why) { return tl::unexpected{std::string{why}}; }

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

/// One text or several.
bool read_audience(wire::reader& in, std::vector<std::string_view>& out) {
  std::uint32_t count = 1;
  if (in.peek() != wire::kind::string && !in.array(count)) return false;
  while (count-- > 0) {
    if (!in.string(out.emplace_back())) return false;
  }
  return true;
}

}  // namespace

struct token_verifier::claims_read {
  std::optional<double> expires, begins, issued;
  std::string_view issuer;
  std::vector<std::string_view> audience;

  bool read(std::string_view msgpack) {
    wire::reader in{msgpack};
    return wire::read_entries(in, [&](std::string_view name) {
      std::string_view text;
      if (name == "exp") return read_date(in, expires);
      if (name == "nbf") return read_date(in, begins);
      if (name == "iat") return read_date(in, issued);
      if (name == "iss") return in.string(issuer);
      if (name == "aud") return read_audience(in, audience);
      return name == "sub" ? in.string(text) : in.skip();
    });
  }
};

/// Null if a token with these claims, signed with one of this issuer's keys, is good.
const char* token_verifier::wrong_with(const claims_read& of, const token_issuer& by, std::chrono::sys_seconds now) const {
  const auto seconds = static_cast<double>(now.time_since_epoch().count());
  const auto leeway = static_cast<double>(by.leeway.count());
  if (!by.issuer.empty() ? of.issuer != by.issuer
                         : std::any_of(issuers_.begin(), issuers_.end(), [&](const auto& each) { return !each.issuer.empty() && each.issuer == of.issuer; }))
    return "the token is from another issuer";
  if (!by.audience.empty() && std::find(of.audience.begin(), of.audience.end(), by.audience) == of.audience.end())
    return "the token is for another audience";
  if (!of.expires) return "the token does not say when it expires";
  if (seconds >= *of.expires + leeway) return "the token has expired";
  if (of.begins && seconds < *of.begins - leeway) return "the token is not valid yet";
  if (of.issued && seconds < *of.issued - leeway) return "the token is from the future; is its issuer's clock right?";
  return nullptr;
}

tl::expected<token_verifier::verified, std::string> token_verifier::verify(std::string_view token, std::chrono::sys_seconds now) const {
  const auto taken = take_apart(token);
  if (!taken) return refused(taken.error());
  // Keys with the token's kid, then those without one; in both cases of its algorithm.
  std::vector<std::pair<const token_issuer*, const verification_key*>> tried;
  bool has_kid = false;
  for (const bool by_kid : {true, false}) {
    for (const auto& issuer : issuers_) {
      for (const auto& [kid, key] : issuer.keys->keys) {
        const bool same = taken->kid && !kid.empty() && kid == *taken->kid;
        has_kid = has_kid || same;
        if (by_kid ? !same : same || (taken->kid && !kid.empty())) continue;
        if (key.algorithm() == taken->algorithm && tried.size() < token_keys_tried_max) tried.emplace_back(&issuer, &key);
      }
    }
  }
  if (tried.empty()) {
    const bool unknown = taken->kid && !has_kid &&
                         std::any_of(issuers_.begin(), issuers_.end(), [&](const auto& each) {
                           return std::any_of(each.keys->keys.begin(), each.keys->keys.end(), [&](const auto& one) { return one.key.algorithm() == taken->algorithm; });
                         });
    return refused(unknown ? "the token's key is not known" : "the token's algorithm is not one that is taken");
  }
  const char* why = "the token's signature is not good";
  std::optional<std::string> claims;
  claims_read read;
  for (const auto& [issuer, key] : tried) {
    if (!key->verifies(taken->text, taken->signature)) continue;
    if (!claims) {
      auto msgpack = wire::json_to_msgpack(taken->claims);
      if (!msgpack) return refused(malformed);
      claims = std::move(*msgpack);
      if (!read.read(*claims)) return refused(malformed);
    }
    why = wrong_with(read, *issuer, now);
    if (why != nullptr) continue;
    // What ends in the year 9999 or later ends then.
    const auto ends = std::clamp(std::ceil(*read.expires), 0.0, 253'402'300'799.0);
    return verified{std::move(*claims), std::chrono::sys_seconds{std::chrono::seconds{static_cast<std::int64_t>(ends)}} + issuer->leeway, issuer};
  }
  return refused(why);
}

}  // namespace waggle::gateway
