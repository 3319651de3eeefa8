#include "gateway/routes/source.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <waggle/wire/utf8.hpp>

#include "gateway/front/http_syntax.hpp"

namespace waggle::gateway {
namespace {

using part = source::part;
using failed = tl::unexpected<std::string>;

constexpr std::array<std::pair<std::string_view, part>, 9> parts{{{"path", part::path},
                                                                   {"query", part::query},
                                                                   {"header", part::header},
                                                                   {"cookie", part::cookie},
                                                                   {"body", part::body},
                                                                   {"claim", part::claim},
                                                                   {"env", part::env},
                                                                   {"step", part::step},
                                                                   {"error", part::error}}};

bool is_variable_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

std::string quoted(std::string_view text) { return '"' + std::string{text} + '"'; }

}  // namespace

std::string source::written() const {
  const auto known = std::find_if(parts.begin(), parts.end(), [&](const auto& each) { return each.second == from; });
  std::string out{known->first};
  if (from != part::body) out += '.' + name;
  for (const auto& each : steps) out += '.' + each;
  return out;
}

tl::expected<source, std::string> parse_source(std::string_view text) {
  if (!wire::is_utf8(text)) return failed{"the source is not UTF-8; write it anew"};
  const auto dot = std::min(text.find('.'), text.size());
  const auto head = text.substr(0, dot);
  auto rest = text.substr(std::min(dot + 1, text.size()));
  const auto known = std::find_if(parts.begin(), parts.end(), [&](const auto& each) { return each.first == head; });
  if (known == parts.end() || (rest.empty() && text != "body" && (head != "body" || dot == text.size()))) {
    return failed{quoted(text) +
                  " is no source; write path.NAME, query.NAME, header.NAME, cookie.NAME, body, body.NAME, claim.NAME, "
                  "env.NAME, step.NAME or error.NAME, or {value: ...} for a constant"};
  }
  source out;
  out.from = known->second;
  switch (out.from) {
    case part::path:
    case part::query: out.name = rest; return out;
    case part::header:
    case part::cookie:
      if (!front::syntax::is_token(rest)) {
        return failed{quoted(rest) + " is no name of a " + std::string{head} + "; write letters, digits and -"};
      }
      out.name = rest;
      return out;
    case part::env:
      if (!is_variable_name(rest)) {
        return failed{quoted(rest) + " is no name of a variable; write letters, digits and _, no digit first"};
      }
      out.name = rest;
      return out;
    case part::body:
    case part::claim:
    case part::step:
    case part::error: break;
  }
  if (text == "body") return out;
  for (bool more = true; more;) {
    const auto end = std::min(rest.find('.'), rest.size());
    if (end == 0) return failed{quoted(text) + " has an empty step; write one dot between two names"};
    out.steps.emplace_back(rest.substr(0, end));
    more = end != rest.size();
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (out.from != part::body) {
    out.name = std::move(out.steps.front());
    out.steps.erase(out.steps.begin());
  }
  return out;
}

}  // namespace waggle::gateway
