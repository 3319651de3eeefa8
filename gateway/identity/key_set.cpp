#include "gateway/identity/key_set.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include <openssl/crypto.h>

#include <waggle/wire/json.hpp>
#include <waggle/wire/reader.hpp>

#include "gateway/identity/base64url.hpp"

namespace waggle::gateway {
namespace {

constexpr std::array<std::string_view, 7> private_members{"d", "p", "q", "dp", "dq", "qi", "oth"};
constexpr std::array<std::string_view, 9> text_members{"kty", "use", "alg", "kid", "crv", "n", "e", "x", "y"};

/// A JWK's members that say something here.
struct jwk {
  std::map<std::string, std::string, std::less<>> texts;
  std::string secret;  ///< `k`, decoded
  bool has_secret = false;
  bool verifies = true;  ///< as far as `key_ops` goes
  const char* wrong = nullptr;

  ~jwk() { OPENSSL_cleanse(secret.data(), secret.size()); }
  [[nodiscard]] std::string_view text(std::string_view name) const {
    const auto found = texts.find(name);
    return found == texts.end() ? std::string_view{} : std::string_view{found->second};
  }
};

bool read_operations(wire::reader& in, jwk& out) {
  std::uint32_t count = 0;
  if (in.peek() != wire::kind::array) {
    out.wrong = "its key_ops are no list; write [\"verify\"]";
    return in.skip();
  }
  if (!in.array(count)) return false;
  out.verifies = false;
  while (count-- > 0) {
    std::string_view text;
    if (in.peek() != wire::kind::string) return in.fail("no text");
    if (!in.string(text)) return false;
    out.verifies = out.verifies || text == "verify";
  }
  return true;
}

bool read_members(wire::reader& in, jwk& out) {
  return wire::read_entries(in, [&](std::string_view name) {
    if (std::find(private_members.begin(), private_members.end(), name) != private_members.end())
      out.wrong = "it holds a private key; write the public one, and make a new pair if others could read this";
    if (name == "key_ops") return read_operations(in, out);
    const bool is_secret = name == "k";
    if (!is_secret && std::find(text_members.begin(), text_members.end(), name) == text_members.end()) return in.skip();
    std::string_view text;
    if (in.peek() != wire::kind::string) {
      if (out.wrong == nullptr) out.wrong = "a member of it that is to be a text is none; write what the issuer gave";
      return in.skip();
    }
    if (!in.string(text)) return false;
    if (is_secret) {
      auto decoded = base64url_decode(text);
      if (!decoded) out.wrong = "its k is not base64url; write it so, without =";
      if (decoded) out.secret = std::move(*decoded);
      out.has_secret = true;
    } else {
      out.texts.emplace(name, text);
    }
    return true;
  });
}

/// The decoded members, or what is wrong with the first that is not good.
std::optional<std::string> decoded(const jwk& from, std::string_view name) { return base64url_decode(from.text(name)); }

verification_key::made key_of(const jwk& from, jws_algorithm algorithm) {
  if (algorithm == jws_algorithm::hs256) return verification_key::from_secret(from.secret);
  const auto x = decoded(from, algorithm == jws_algorithm::rs256 ? "n" : "x");
  const auto y = decoded(from, algorithm == jws_algorithm::rs256 ? "e" : "y");
  if (!x || !y) return tl::unexpected{std::string{"a member of it is not base64url; write it so, without ="}};
  if (algorithm == jws_algorithm::rs256) return verification_key::from_rsa(*x, *y);
  return algorithm == jws_algorithm::es256 ? verification_key::from_p256(*x, *y) : verification_key::from_ed25519(*x);
}

/// The algorithm of a key of this type; nothing if there is none here.
std::optional<jws_algorithm> algorithm_of(const jwk& from) {
  const auto kty = from.text("kty"), curve = from.text("crv");
  if (kty == "RSA") return jws_algorithm::rs256;
  if (kty == "EC" && curve == "P-256") return jws_algorithm::es256;
  if (kty == "OKP" && curve == "Ed25519") return jws_algorithm::eddsa;
  if (kty == "oct") return jws_algorithm::hs256;
  return std::nullopt;
}

std::string shown(std::string_view text) {
  std::string out;
  waggle::wire::append_json_string(out, text.substr(0, 64));
  return out;
}

/// Adds a key to the set, or to what is left out of it. Returns what is wrong with it, or nothing.
std::string add(key_set& to, const jwk& from, const std::string& which) {
  if (from.wrong != nullptr) return which + ": " + from.wrong;
  if (from.text("kty").empty()) return which + ": it has no kty; write RSA, EC, OKP or oct";
  if (from.text("kid").size() > kid_bytes_max) return which + ": its kid is longer than 256 bytes; write a shorter one";
  const auto leave_out = [&](const std::string& why) {
    to.left_out.push_back(which + " is left out: " + why);
    return std::string{};
  };
  const auto algorithm = algorithm_of(from);
  if (!algorithm) return leave_out("no token is verified with " + shown(std::string{from.text("kty")} + ' ' + std::string{from.text("crv")}));
  if (const auto use = from.text("use"); !use.empty() && use != "sig") return leave_out("it is for the use " + shown(use));
  if (!from.verifies) return leave_out("its key_ops do not have verify");
  if (const auto alg = from.text("alg"); !alg.empty() && jws_algorithm_of(alg) != algorithm) {
    if (!jws_algorithm_of(alg)) return leave_out("no token is verified with " + shown(alg));
    return which + ": its alg " + shown(alg) + " is not one of its kty; write " + std::string{name(*algorithm)};
  }
  if (*algorithm == jws_algorithm::hs256 && !from.has_secret) return which + ": it has no k; write the secret, in base64url";
  auto made = key_of(from, *algorithm);
  if (!made) return which + ": " + made.error();
  const auto same = [&](const key_set::member& each) {
    return !each.kid.empty() && each.kid == from.text("kid") && each.key.algorithm() == *algorithm;
  };
  if (std::any_of(to.keys.begin(), to.keys.end(), same)) return which + ": another key has its kid; write another";
  to.keys.push_back({std::string{from.text("kid")}, std::move(*made)});
  return {};
}

tl::unexpected<std::vector<std::string>> refused(std::string why) { return tl::unexpected{std::vector{std::move(why)}}; }

}  // namespace

tl::expected<key_set, std::vector<std::string>> read_key_set(std::string_view json) {
  if (json.size() > key_set_bytes_max) return refused("it is larger than 256 KiB; leave keys out that are not used any more");
  auto msgpack = wire::json_to_msgpack(json);
  if (!msgpack) return refused(msgpack.error().message + "; write a JWK Set, as in {\"keys\":[{\"kty\":\"EC\",...}]}");
  key_set out;
  std::vector<std::string> wrong;
  wire::reader in{*msgpack};
  bool has_keys = false;
  std::size_t count = 0;
  const bool whole = wire::read_entries(in, [&](std::string_view name) {
    std::uint32_t left = 0;
    if (name != "keys") return in.skip();
    has_keys = in.peek() == wire::kind::array;
    if (!has_keys || !in.array(left)) return false;
    for (; left > 0; --left) {
      jwk each;
      if (++count > key_set_keys_max) return false;
      if (in.peek() != wire::kind::map || !read_members(in, each)) return has_keys = false;
      std::string which = "key " + std::to_string(count);
      if (const auto kid = each.text("kid"); !kid.empty()) which += " (" + shown(kid) + ')';
      if (auto why = add(out, each, which); !why.empty()) wrong.push_back(std::move(why));
    }
    return true;
  });
  OPENSSL_cleanse(msgpack->data(), msgpack->size());
  if (count > key_set_keys_max) return refused("it has more than 64 keys; leave out those that are not used any more");
  if (!whole || !has_keys) return refused("it is no JWK Set; write one, as in {\"keys\":[{\"kty\":\"EC\",...}]}");
  if (wrong.empty() && out.keys.empty()) {
    std::string why = "it has no key that a token could be verified with";
    for (const auto& each : out.left_out) why += " (" + each + ')';
    wrong.push_back(why + "; write one of RSA, EC P-256, OKP Ed25519 or oct");
  }
  if (!wrong.empty()) return tl::unexpected{std::move(wrong)};
  return out;
}

}  // namespace waggle::gateway
