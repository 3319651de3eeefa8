#include "gateway/replies/finish.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "gateway/front/answer.hpp"
#include "gateway/front/http_syntax.hpp"
#include "gateway/replies/entity_tag.hpp"

namespace waggle::gateway {
namespace {

using front::syntax::equal_without_case;

/// What is text in the end. Everything that goes out here is, unless a route serves something else one day.
bool is_compressible(std::string_view content_type) {
  const auto type = front::syntax::trim(content_type.substr(0, content_type.find(';')));
  constexpr std::array<std::string_view, 6> known{"application/json",        "application/problem+json", "application/vnd.msgpack",
                                                  "application/msgpack",     "application/javascript",   "image/svg+xml"};
  return type.starts_with("text/") || type.ends_with("+json") || type.ends_with("+xml") || std::find(known.begin(), known.end(), type) != known.end();
}

void add_vary(front::response& to, std::string_view name) {
  if (name.empty()) return;
  const auto listed = to.headers.find("vary");
  if (!listed) return to.headers.emplace_back("Vary", name);
  if (*listed != "*" && !front::syntax::lists(*listed, name)) to.headers.set("vary", std::string{*listed}.append(", ").append(name));
}

std::string cache_control_of(const front::response& answer, const reply_wishes& wishes, const reply_terms& terms) {
  if (answer.status != 200 || !wishes.is_get) return "no-store";
  if (!terms.cache_control.empty()) return terms.cache_control;
  return terms.is_private ? "private, no-cache" : "no-cache";
}

}  // namespace

reply_wishes reply_wishes_of(const front::request& in) {
  reply_wishes out;
  out.is_get = in.method == "GET" || in.method == "HEAD";
  out.codings = accepted_codings_of(in.headers);
  if (!out.is_get) return out;
  for (const auto& each : in.headers) {
    if (!equal_without_case(each.name, "if-none-match")) continue;
    if (!out.if_none_match.empty()) out.if_none_match += ',';
    out.if_none_match += each.value;
  }
  return out;
}

void finish_reply(front::response& answer, const reply_wishes& wishes, const reply_terms& terms, gzip& with) {
  const auto said = answer.headers.find("cache-control");
  if (!said) answer.headers.emplace_back("Cache-Control", cache_control_of(answer, wishes, terms));
  const bool is_stored = wishes.is_get && answer.status == 200 && (!said || !front::syntax::lists(*said, "no-store"));
  for (std::string_view left = is_stored ? std::string_view{terms.vary} : std::string_view{}; !left.empty();) add_vary(answer, front::syntax::next_part(left, ','));

  const bool may_compress = terms.compress && front::may_have_body(answer.status) && !answer.body.empty() && answer.body.size() <= compress_bytes_max &&
                            (answer.body.size() >= compress_bytes_min || !wishes.codings.identity) && is_compressible(answer.content_type) &&
                            !answer.headers.find("content-encoding");
  if (may_compress) add_vary(answer, "Accept-Encoding");
  const bool compresses = may_compress && wishes.codings.gzip;

  if (is_stored) {
    if (!answer.headers.find("etag")) answer.headers.emplace_back("ETag", entity_tag_of(answer.body));
    if (!wishes.if_none_match.empty()) {
      // The client has one of the two representations; it keeps the one it has, if it takes that one today.
      const auto tag = *answer.headers.find("etag");
      const auto other = compressed_tag(tag);
      const bool is_same = names_tag(wishes.if_none_match, tag), is_same_compressed = compresses && names_tag(wishes.if_none_match, other);
      if (is_same || is_same_compressed) {
        if (!is_same) answer.headers.set("etag", other);
        answer.status = 304;
        answer.content_type.clear();
        answer.body.clear();
        return;
      }
    }
  }
  if (!compresses) return;
  auto smaller = with.compress(answer.body);
  if (!smaller) return;
  answer.body = std::move(*smaller);
  answer.headers.emplace_back("Content-Encoding", "gzip");
  if (is_stored) answer.headers.set("etag", compressed_tag(*answer.headers.find("etag")));
}

}  // namespace waggle::gateway
