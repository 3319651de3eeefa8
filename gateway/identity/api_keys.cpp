#include "gateway/identity/api_keys.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>
#include <utility>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <waggle/detail/hex.hpp>
#include <waggle/detail/text.hpp>
#include <waggle/wire/json.hpp>
#include <waggle/wire/reader.hpp>
#include <waggle/wire/utf8.hpp>
#include <waggle/wire/writer.hpp>

#include "gateway/identity/openssl.hpp"

namespace waggle::gateway {
namespace {

/// RFC 4648, section 6, in lower case: nothing that looks like another, and one word for a double click.
constexpr std::string_view alphabet = "abcdefghijklmnopqrstuvwxyz234567";

bool is_word(std::string_view text, std::size_t size) {
  return text.size() == size && text.find_first_not_of(alphabet) == std::string_view::npos;
}

bool read_hex(std::string_view text, digest& out) {
  if (text.size() != 2 * out.size()) return false;
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<unsigned char>(high << 4 | low);
  }
  return true;
}

bool is_plain(std::string_view text) {
  return wire::is_utf8(text) && std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

/// The claims of who has this key: its own, and what is configured besides.
std::string claims_of(const api_key& key) {
  std::string out;
  std::uint32_t more = 0;
  wire::reader in{key.claims};
  if (!key.claims.empty()) in.map(more);
  std::string scope;
  for (const auto& each : key.scopes) scope += (scope.empty() ? "" : " ") + each;
  wire::writer to{out};
  to.map(3 + more);
  to.string("sub");
  to.string(std::string{api_key_subject} + key.id);
  to.string("name");
  to.string(key.name);
  to.string("scope");
  to.string(scope);
  to.raw(key.claims.empty() ? std::string_view{} : std::string_view{key.claims}.substr(in.offset()));
  return out;
}

/// Takes one line's members; what is wrong with them, or nothing.
class key_reader {
 public:
  std::string read(std::string_view line, api_key& out) {
    const auto msgpack = wire::json_to_msgpack(line);
    if (!msgpack) return "this is not JSON: " + msgpack.error().message + "; have `waggle keys` write it";
    wire::reader in{*msgpack};
    if (in.peek() != wire::kind::map) return "this is no object; have `waggle keys` write it";
    wire::read_entries(in, [&](std::string_view name) { return member(in, name, out); });
    if (why_.empty() && !has_hash_) why_ = "it has no hash; have `waggle keys` write it";
    if (why_.empty() && out.id.empty()) why_ = "it has no id; have `waggle keys` write it";
    if (why_.empty() && out.name.empty()) why_ = "it has no name; write whose key it is";
    if (why_.empty() && !make_identity(claims_of(out))) why_ = "its claims are larger than 6 KiB; write less";
    return why_;
  }

 private:
  bool wrong(std::string why) {
    why_ = std::move(why);
    return false;
  }

  bool member(wire::reader& in, std::string_view name, api_key& out) {
    if (name == "scopes") return scopes(in, out);
    if (name == "claims") return claims(in, out);
    std::string_view text;
    if (in.peek() != wire::kind::string) return wrong(std::string{name.substr(0, 64)} + " is no text; have `waggle keys` write it");
    if (!in.string(text)) return wrong("this cannot be read");
    if (name == "id") {
      out.id = text;
      return is_word(text, api_key_id_bytes) || wrong("the id is not 8 letters of a to z and 2 to 7; have `waggle keys` write it");
    }
    if (name == "name") {
      out.name = text;
      return (!text.empty() && text.size() <= api_key_name_bytes_max && is_plain(text)) || wrong("the name is not 1 to 128 bytes of text; write whose key it is");
    }
    if (name == "hash") return (has_hash_ = read_hex(text, out.hash)) || wrong("the hash is not 64 hexadecimal digits; have `waggle keys` write it");
    std::optional<std::chrono::sys_seconds> instant;
    if (const auto at = waggle::detail::parse_rfc3339(text)) instant = std::chrono::sys_seconds{std::chrono::seconds{at->first}};
    if (name == "created" && instant) return out.created = *instant, true;
    if (name == "expires" && instant) return out.expires = instant, true;
    if (name == "revoked" && instant) return out.revoked = instant, true;
    if (name == "created" || name == "expires" || name == "revoked") return wrong(std::string{name} + " is no time; write one, as in 2026-01-31T12:00:00Z");
    return wrong("the key \"" + std::string{name.substr(0, 64)} + "\" is not known; a line has id, name, hash, scopes, created, expires, revoked and claims");
  }

  bool scopes(wire::reader& in, api_key& out) {
    std::uint32_t count = 0;
    const auto no_list = [&] { return wrong("scopes is no list of up to 64 scopes; write one, as in [\"orders:read\"]"); };
    if (in.peek() != wire::kind::array || !in.array(count) || count > api_key_scopes_max) return no_list();
    for (; count > 0; --count) {
      std::string_view text;
      if (in.peek() != wire::kind::string || !in.string(text) || !is_scope(text)) return no_list();
      out.scopes.emplace_back(text);
    }
    return true;
  }

  bool claims(wire::reader& in, api_key& out) {
    std::string_view all;
    if (in.peek() != wire::kind::map || !in.raw(all)) return wrong("claims is no object; write one, as in {\"tenant\":\"acme\"}");
    out.claims = all;
    wire::reader inside{all};
    std::string_view value;
    return wire::read_entries(inside, [&](std::string_view name) {
      if (name == "sub" || name == "name" || name == "scope") return wrong("the claim " + std::string{name} + " is the key's own; write another name");
      return inside.raw(value);
    });
  }

  std::string why_;
  bool has_hash_ = false;
};

}  // namespace

digest sha256(std::string_view bytes) {
  // With EVP_Digest libcrypto looks for the algorithm and makes a context each time, which takes longer than to digest an answer of some lines.
  static const openssl::owned<EVP_MD, EVP_MD_free> algorithm{EVP_MD_fetch(nullptr, "SHA256", nullptr)};
  thread_local const openssl::owned<EVP_MD_CTX, EVP_MD_CTX_free> work{EVP_MD_CTX_new()};
  digest out{};
  if (!work || EVP_DigestInit_ex2(work.get(), algorithm.get(), nullptr) != 1 || EVP_DigestUpdate(work.get(), bytes.data(), bytes.size()) != 1 ||
      EVP_DigestFinal_ex(work.get(), out.data(), nullptr) != 1) {
    throw std::runtime_error{"libcrypto has no SHA-256"};
  }
  return out;
}

tl::expected<std::vector<api_key>, std::vector<std::string>> read_api_keys(std::string_view text) {
  std::vector<api_key> out;
  std::vector<std::string> wrong;
  std::set<std::string, std::less<>> ids;
  if (text.size() > api_keys_bytes_max) return tl::unexpected{std::vector<std::string>{"1: the file is larger than 32 MiB; remove keys that are revoked"}};
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    api_key key;
    auto why = key_reader{}.read(line, key);
    if (why.empty() && out.size() >= api_keys_max) why = "there are more than 65536 keys; remove some that are revoked";
    if (why.empty() && !ids.insert(key.id).second) why = "the id \"" + key.id + "\" stands here twice; remove one";
    if (why.empty()) {
      out.push_back(std::move(key));
    } else {
      wrong.push_back(std::to_string(number) + ": " + why);
      if (wrong.size() == 64 || out.size() >= api_keys_max) break;
    }
  }
  if (!wrong.empty()) return tl::unexpected{std::move(wrong)};
  return out;
}

std::string written(const api_key& key) {
  std::string out = "{\"id\":";
  const auto member = [&](std::string_view name, std::string_view text) {
    out.append(",\"").append(name).append("\":");
    wire::append_json_string(out, text);
  };
  const auto instant = [&](std::string_view name, std::chrono::sys_seconds at) {
    member(name, waggle::detail::rfc3339(at.time_since_epoch().count(), 0));
  };
  wire::append_json_string(out, key.id);
  member("name", key.name);
  member("hash", waggle::detail::hex_of(key.hash));
  out += ",\"scopes\":[";
  for (std::size_t i = 0; i < key.scopes.size(); ++i) {
    if (i != 0) out += ',';
    wire::append_json_string(out, key.scopes[i]);
  }
  out += ']';
  instant("created", key.created);
  if (key.expires) instant("expires", *key.expires);
  if (key.revoked) instant("revoked", *key.revoked);
  if (!key.claims.empty()) out += ",\"claims\":" + wire::msgpack_to_json(key.claims);
  return out + '}';
}

api_key_texts make_api_key(const std::array<unsigned char, 30>& random) {
  std::string letters;
  std::uint32_t bits = 0;
  int held = 0;
  for (const auto byte : random) {
    bits = bits << 8 | byte;
    for (held += 8; held >= 5; held -= 5) letters += alphabet[bits >> (held - 5) & 31];
  }
  return {letters.substr(0, api_key_id_bytes), letters.substr(api_key_id_bytes)};
}

api_key_set::api_key_set(std::vector<api_key> keys) {
  for (auto& each : keys) {
    auto who = make_identity(claims_of(each), {}, each.id);
    if (who) keys_.emplace(each.id, entry{each.hash, each.expires, each.revoked.has_value(), std::move(*who)});
  }
}

tl::expected<identity_ptr, const char*> api_key_set::find(std::string_view key, std::chrono::sys_seconds now) const {
  const auto refused = [](const char* why) { return tl::unexpected<const char*>{why}; };
  constexpr auto id_at = api_key_prefix.size(), secret_at = id_at + api_key_id_bytes + 1;
  const bool formed = key.size() == api_key_bytes && key.starts_with(api_key_prefix) && is_word(key.substr(id_at, api_key_id_bytes), api_key_id_bytes) &&
                      key[secret_at - 1] == '_' && is_word(key.substr(secret_at), api_key_secret_bytes);
  if (!formed) return refused("the API key is malformed");
  static const entry nobody;
  const auto found = keys_.find(std::string{key.substr(id_at, api_key_id_bytes)});
  const auto& of = found == keys_.end() ? nobody : found->second;
  const auto given = sha256(key.substr(secret_at));
  if (CRYPTO_memcmp(given.data(), of.hash.data(), given.size()) != 0 || of.who == nullptr) return refused("the API key is not known");
  if (of.revoked) return refused("the API key is revoked");
  if (of.expires && now >= *of.expires) return refused("the API key has expired");
  return of.who;
}

}  // namespace waggle::gateway
