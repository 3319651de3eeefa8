#include "gateway/docs/docs_page.hpp"

#include <zlib.h>

#include <algorithm>
#include <string>

#include "gateway/front/problem.hpp"
#include "gateway/replies/entity_tag.hpp"
#include "gateway/replies/finish.hpp"

namespace waggle::gateway {
namespace {

/// Scripts, styles and requests are the page's own. The viewer's pictures are within its styles.
constexpr const char* content_security_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

constexpr const char* how_to_get_it =
    "this gateway was built without the page: have npm at hand, and build again with cmake -DWAGGLE_DOCS=ON; /openapi.json is what the page would show";

std::string unpacked(const docs_asset& from) {
  std::string out(from.bytes, '\0');
  z_stream stream{};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(from.gzip.data()));  // zlib's word for const
  stream.avail_in = static_cast<uInt>(from.gzip.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  constexpr int gzip_format = 16;
  if (inflateInit2(&stream, MAX_WBITS + gzip_format) != Z_OK) return {};
  const bool whole = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_out == 0;
  inflateEnd(&stream);
  return whole ? out : std::string{};
}

front::response file(const docs_asset& asset, const front::request& in) {
  front::response out;
  const auto wishes = reply_wishes_of(in);
  const bool packed = wishes.codings.gzip;
  // Two representations, of which each has its own tag.
  const auto tag = '"' + std::string{asset.sum} + (packed ? ".gz\"" : "\"");
  out.headers = {{"ETag", tag}, {"Cache-Control", "no-cache"}, {"Vary", "Accept-Encoding"}};
  if (names_tag(wishes.if_none_match, tag)) {
    out.status = 304;
    return out;
  }
  out.content_type = asset.media_type;
  out.body = packed ? std::string{asset.gzip} : unpacked(asset);
  if (packed) out.headers.emplace_back("Content-Encoding", "gzip");
  out.headers.emplace_back("Content-Security-Policy", content_security_policy);
  out.headers.emplace_back("X-Content-Type-Options", "nosniff");
  out.headers.emplace_back("Referrer-Policy", "no-referrer");
  return out;
}

}  // namespace

std::optional<front::response> docs_page::answer(const front::request& in) const {
  if (!in.path.starts_with(docs_path)) return std::nullopt;
  const auto rest = in.path.substr(docs_path.size());
  const bool itself = rest.empty() || rest == "/";
  const auto asset = std::find_if(assets_.begin(), assets_.end(), [&](const auto& each) { return rest.starts_with('/') && rest.substr(1) == each.name; });
  if (!itself && asset == assets_.end()) return std::nullopt;
  if (in.method != "GET" && in.method != "HEAD") {
    auto out = in.method == "OPTIONS" ? front::response{204, {}, {}, {}} : front::problem(405, "this path takes GET and HEAD");
    out.headers.emplace_back("Allow", "GET, HEAD, OPTIONS");
    return out;
  }
  if (assets_.empty()) {
    auto out = front::problem(501, how_to_get_it);
    out.headers.emplace_back("Cache-Control", "no-store");
    return out;
  }
  if (asset != assets_.end()) return file(*asset, in);
  // Relative, as are all of the page's links: it may be behind a prefix.
  return front::response{302, {}, {}, {{"Location", "docs/"}, {"Cache-Control", "no-cache"}}};
}

}  // namespace waggle::gateway
