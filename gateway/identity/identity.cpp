#include "gateway/identity/identity.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <waggle/wire/json.hpp>
#include <waggle/wire/reader.hpp>

namespace waggle::gateway {
namespace {

/// The value under a path of keys, as msgpack.
std::optional<std::string_view> find(std::string_view map, std::span<const std::string> path) {
  std::optional<std::string_view> out;
  wire::reader in{map};
  if (path.empty()) return map;
  if (in.peek() != wire::kind::map) return out;
  const bool whole = wire::read_entries(in, [&](std::string_view key) {
    std::string_view value;
    if (!in.raw(value)) return false;
    if (key == path.front()) out = value;
    return true;
  });
  return whole && out ? find(*out, path.subspan(1)) : std::nullopt;
}

void add_words(std::string_view text, std::vector<std::string>& out) {
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    if (end != 0) out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::vector<std::string> scopes_in(std::string_view value) {
  std::vector<std::string> out;
  std::string_view text;
  std::uint32_t count = 0;
  wire::reader in{value};
  if (in.peek() == wire::kind::string) {
    if (in.string(text)) add_words(text, out);
  } else if (in.peek() == wire::kind::array && in.array(count)) {
    for (; count > 0; --count) {
      if (in.peek() != wire::kind::string) {
        if (!in.skip()) break;
      } else if (in.string(text)) {
        out.emplace_back(text);
      }
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace

bool identity::has_scope(std::string_view scope) const { return std::binary_search(scopes.begin(), scopes.end(), scope); }

bool is_scope(std::string_view text) {
  return !text.empty() && text.size() <= 128 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\'; });
}

tl::expected<identity_ptr, std::string> make_identity(std::string claims, std::span<const std::string> scopes_claim, std::string key_id) {
  auto out = std::make_shared<identity>();
  out->claims_json = wire::msgpack_to_json(claims);
  if (out->claims_json.size() > claims_bytes_max) return tl::unexpected{std::string{"its claims are larger than 6 KiB, which cannot go along with calls"}};
  const std::string sub[] = {"sub"}, scope[] = {"scope"}, scp[] = {"scp"};
  std::string_view text;
  if (const auto value = find(claims, sub)) {
    wire::reader in{*value};
    if (in.string(text)) out->subject = text;
  }
  auto listed = scopes_claim.empty() ? find(claims, scope) : find(claims, scopes_claim);
  if (!listed && scopes_claim.empty()) listed = find(claims, scp);
  if (listed) out->scopes = scopes_in(*listed);
  out->claims = std::move(claims);
  out->key_id = std::move(key_id);
  return out;
}

}  // namespace waggle::gateway
