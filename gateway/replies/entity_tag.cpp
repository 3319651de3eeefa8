#include "gateway/replies/entity_tag.hpp"

#include <array>
#include <span>

#include <waggle/detail/hex.hpp>

#include "gateway/front/http_syntax.hpp"
#include "gateway/replies/digest.hpp"

namespace waggle::gateway {
namespace {

std::string_view opaque_of(std::string_view tag) { return tag.starts_with("W/") ? tag.substr(2) : tag; }

}  // namespace

front::short_text<made_tag_bytes> entity_tag_of(std::string_view body) {
  const auto of = sha256(body);
  std::array<char, made_tag_bytes> out;
  out.front() = out.back() = '"';
  waggle::detail::write_hex(out.data() + 1, std::span{of}.first<(made_tag_bytes - 2) / 2>());
  return std::string_view{out.data(), out.size()};
}

std::string compressed_tag(std::string_view tag) {
  std::string out{tag};
  if (!tag.starts_with("W/") && tag.size() >= 2 && tag.back() == '"') out.insert(out.size() - 1, "-gzip");
  return out;
}

bool names_tag(std::string_view if_none_match, std::string_view tag) {
  if (front::syntax::trim(if_none_match) == "*") return true;
  const auto wanted = opaque_of(tag);
  // A tag may hold commas and backslashes, which escape nothing there: it ends at its second quote.
  for (auto left = if_none_match; !left.empty();) {
    left = front::syntax::trim(left);
    if (left.starts_with(',')) {
      left.remove_prefix(1);
      continue;
    }
    if (left.starts_with("W/")) left.remove_prefix(2);
    const auto end = left.starts_with('"') ? left.find('"', 1) : left.npos;
    if (end == left.npos) return false;
    if (left.substr(0, end + 1) == wanted) return true;
    left.remove_prefix(end + 1);
  }
  return false;
}

}  // namespace waggle::gateway
