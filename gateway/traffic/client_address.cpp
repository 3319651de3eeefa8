#include "gateway/traffic/client_address.hpp"

#include <algorithm>
#include <utility>

#include "gateway/front/http_syntax.hpp"

namespace waggle::gateway {
namespace {

namespace syntax = front::syntax;

bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= 5 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// "192.0.2.1", "192.0.2.1:47011", "2001:db8::1", "[2001:db8::1]" and "[2001:db8::1]:47011". RFC 7239 knows the third only in brackets, and
/// some ports only as a name; X-Forwarded-For has no grammar, and these are what is written.
std::optional<ip_address> node_address(std::string_view text) {
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == text.npos) return std::nullopt;
    const auto behind = text.substr(end + 1);
    if (!behind.empty() && (behind.front() != ':' || !is_port(behind.substr(1)))) return std::nullopt;
    const auto inside = text.substr(1, end - 1);
    return inside.find(':') == inside.npos ? std::nullopt : parse_ip_address(inside);
  }
  if (const auto colon = text.find(':'); colon != text.npos && text.find(':', colon + 1) == text.npos) {
    if (!is_port(text.substr(colon + 1))) return std::nullopt;
    text = text.substr(0, colon);
  }
  return parse_ip_address(text);
}

/// The text of a token or a quoted string; nothing if it is neither.
std::optional<std::string> unquoted(std::string_view text) {
  if (!text.starts_with('"')) return syntax::is_token(text) ? std::optional{std::string{text}} : std::nullopt;
  std::string out;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') return i + 1 == text.size() ? std::optional{out} : std::nullopt;
    if (text[i] == '\\' && ++i == text.size()) break;
    out += text[i];
  }
  return std::nullopt;
}

/// Of one forwarded-element (RFC 7239 section 4): the address under `for`.
std::optional<ip_address> forwarded_for(std::string_view element) {
  std::optional<ip_address> out;
  bool seen = false;
  while (!element.empty()) {
    const auto pair = syntax::next_part(element, ';');
    const auto equals = pair.find('=');
    if (equals == pair.npos) {
      if (!pair.empty()) return std::nullopt;
      continue;
    }
    const auto value = unquoted(pair.substr(equals + 1));
    if (!syntax::is_token(pair.substr(0, equals)) || !value) return std::nullopt;
    if (!syntax::equal_without_case(pair.substr(0, equals), "for")) continue;
    if (std::exchange(seen, true)) return std::nullopt;
    out = node_address(*value);
  }
  return out;
}

/// The elements of all headers of this name, in their order. They are cut at every comma, also at one in quotes: a quote that a client has left open would
/// otherwise swallow what the proxy writes behind it.
std::vector<std::string_view> elements_of(std::span<const front::header> headers, std::string_view name) {
  std::vector<std::string_view> out;
  for (const auto& each : headers) {
    if (!syntax::equal_without_case(each.name, name)) continue;
    for (auto left = each.value; !left.empty();) {
      const auto comma = std::min(left.find(','), left.size());
      if (const auto element = syntax::trim(left.substr(0, comma)); !element.empty()) out.push_back(element);  // RFC 9110 section 5.6.1
      left.remove_prefix(std::min(comma + 1, left.size()));
    }
  }
  return out;
}

}  // namespace

bool proxies_config::trusts(const ip_address& peer) const {
  return std::any_of(networks.begin(), networks.end(), [&](const auto& each) { return each.contains(peer); });
}

ip_address client_address(const ip_address& peer, const proxies_config& proxies, std::span<const front::header> headers) {
  if (!proxies.trusts(peer)) return peer;
  const bool standard = proxies.says == proxies_config::header::forwarded;
  const auto elements = elements_of(headers, standard ? "forwarded" : "x-forwarded-for");
  auto known = peer;
  const auto looked_at = std::min(elements.size(), forwarded_hops_max);
  for (auto each = elements.rbegin(); each != elements.rbegin() + static_cast<std::ptrdiff_t>(looked_at); ++each) {
    const auto address = standard ? forwarded_for(*each) : node_address(*each);
    if (!address) return known;
    known = *address;
    if (!proxies.trusts(known)) return known;
  }
  return known;
}

}  // namespace waggle::gateway
