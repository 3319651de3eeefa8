#include "gateway/routes/media.hpp"

#include <algorithm>
#include <array>

#include "gateway/front/http_syntax.hpp"

namespace waggle::gateway {
namespace {

using front::syntax::equal_without_case;
using front::syntax::next_part;

/// How closely a range names a media type: 0 not at all, 3 by its full name.
int closeness(std::string_view range, std::string_view type) {
  if (equal_without_case(range, type)) return 3;
  if (range.size() > 2 && range.ends_with("/*") && equal_without_case(range.substr(0, range.size() - 1), type.substr(0, range.size() - 1))) {
    return range.front() == '*' ? 0 : 2;
  }
  return range == "*/*" ? 1 : 0;
}

}  // namespace

std::optional<reply_format> negotiate(const std::vector<front::header>& headers, std::span<const reply_format> offered) {
  struct offer {
    reply_format format = reply_format::json;
    int closeness = 0;
    int quality = 0;
  };
  std::array<offer, 5> storage{};
  const std::span offers{storage.data(), std::min(offered.size(), storage.size())};
  for (std::size_t i = 0; i < offers.size(); ++i) offers[i].format = offered[i];
  bool asked = false;
  for (const auto& header : headers) {
    if (!equal_without_case(header.name, "accept")) continue;
    for (auto left = header.value; !left.empty();) {
      auto element = next_part(left, ',');
      const auto range = next_part(element, ';');
      const int weight = front::syntax::weight(element);
      if (range.find('/') == std::string_view::npos || weight < 0) continue;
      asked = true;
      for (auto& each : offers) {
        const int close = closeness(range, media_type(each.format));
        if (close > each.closeness || (close == each.closeness && close > 0 && weight > each.quality)) {
          each.closeness = close;
          each.quality = weight;
        }
      }
    }
  }
  if (!asked) return offered.front();
  const offer* best = &offers[0];
  for (const auto& each : offers) {
    if (each.quality > best->quality) best = &each;
  }
  if (best->quality == 0) return std::nullopt;
  return best->format;
}

body_format body_format_of(std::optional<std::string_view> content_type) {
  if (!content_type) return body_format::json;
  auto left = *content_type;
  const auto type = next_part(left, ';');
  const bool json = type.empty() || equal_without_case(type, "application/json");
  while (!left.empty()) {
    const auto parameter = next_part(left, ';');
    const auto equals = parameter.find('=');
    if (!json || equals == std::string_view::npos || !equal_without_case(parameter.substr(0, equals), "charset"))
      continue;
    auto charset = parameter.substr(equals + 1);
    if (charset.size() >= 2 && charset.front() == '"' && charset.back() == '"')
      charset = charset.substr(1, charset.size() - 2);
    if (!equal_without_case(charset, "utf-8") && !equal_without_case(charset, "us-ascii")) return body_format::other;
  }
  if (json) return body_format::json;
  const bool msgpack = equal_without_case(type, media_type(reply_format::vnd_msgpack)) ||
                       equal_without_case(type, media_type(reply_format::msgpack));
  return msgpack ? body_format::msgpack : body_format::other;
}

}  // namespace waggle::gateway
