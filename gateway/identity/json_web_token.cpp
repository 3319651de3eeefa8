#include "gateway/identity/json_web_token.hpp"

#include <utility>

#include <waggle/wire/json.hpp>
#include <waggle/wire/reader.hpp>

#include "gateway/front/http_syntax.hpp"
#include "gateway/identity/base64url.hpp"
#include "gateway/identity/key_set.hpp"

namespace waggle::gateway {
namespace {

using front::syntax::equal_without_case;

/// RFC 7515, section 4.1.9: a media type, "application/" may be left away. RFC 8725, section 3.11: a token made for something else is none.
bool is_token_type(std::string_view text) {
  constexpr std::string_view prefix = "application/";
  if (text.size() > prefix.size() && equal_without_case(text.substr(0, prefix.size()), prefix)) text.remove_prefix(prefix.size());
  return equal_without_case(text, "JWT") || equal_without_case(text, "at+jwt");
}

/// Null if a token with this header may be looked at further.
const char* read_header(std::string_view msgpack, json_web_token& out) {
  bool has_algorithm = false;
  const char* why = nullptr;
  wire::reader in{msgpack};
  const bool whole = wire::read_entries(in, [&](std::string_view key) {
    std::string_view text;
    if (key == "crit") why = "the token needs an extension that is not known";
    if (key == "b64" || key == "zip" || key == "enc") why = "the token is in a form that is not taken";
    if (key != "alg" && key != "typ" && key != "kid" && key != "cty") return in.skip();
    if (in.peek() != wire::kind::string || !in.string(text)) return false;
    if (key == "kid") {
      if (text.size() > kid_bytes_max) return false;
      out.kid = std::string{text};
    } else if (key == "alg") {
      const auto algorithm = jws_algorithm_of(text);
      has_algorithm = algorithm.has_value();
      if (algorithm) out.algorithm = *algorithm;
    } else if (key == "typ" ? !is_token_type(text) : equal_without_case(text, "JWT")) {
      why = key == "typ" ? "the token is of another type" : "the token is in a form that is not taken";
    }
    return true;
  });
  if (!whole) return "the token's header is malformed";
  if (!has_algorithm) return "the token's algorithm is not one that is taken";
  return why;
}

}  // namespace

tl::expected<json_web_token, const char*> take_apart(std::string_view token) {
  const auto refused = [](const char* why) { return tl::unexpected<const char*>{why}; };
  if (token.size() > token_bytes_max) return refused("the token is larger than 8 KiB");
  const auto first = token.find('.'), last = token.rfind('.');
  if (first == std::string_view::npos || first == last || token.find('.', first + 1) != last)
    return refused("the token is not three parts with dots between them");
  const auto header_json = base64url_decode(token.substr(0, first));
  auto claims = base64url_decode(token.substr(first + 1, last - first - 1));
  auto signature = base64url_decode(token.substr(last + 1));
  if (!header_json || !claims || !signature) return refused("the token is not base64url");
  const auto header = wire::json_to_msgpack(*header_json);
  if (!header) return refused("the token's header is malformed");
  json_web_token out;
  if (const char* why = read_header(*header, out)) return refused(why);
  out.text = token.substr(0, last);
  out.signature = std::move(*signature);
  out.claims = std::move(*claims);
  return out;
}

}  // namespace waggle::gateway
