#include "gateway/routes/reply.hpp"

#include <ctime>
#include <string>

#include <waggle/wire/json.hpp>
#include <waggle/wire/reader.hpp>

#include "gateway/front/http_date.hpp"
#include "gateway/routes/problems.hpp"

namespace waggle::gateway {

front::response reply_of(std::string_view msgpack, reply_format as, std::string_view of) {
  const auto malformed = [&](const std::string& why) {
    return problem_of({status::internal, "the reply of " + std::string{of} + " cannot be passed on: " + why, true});
  };
  front::response out;
  if (as == reply_format::json) {
    auto text = wire::try_msgpack_to_json(msgpack);
    if (!text) return malformed(text.error().message);
    out.body = std::move(*text);
  } else {
    wire::reader in{msgpack};
    if (!in.skip() || !in.at_end()) return malformed("it is not one msgpack value");
    out.body = msgpack;
  }
  out.content_type = media_type(as);
  return out;
}

void add_route_headers(const route& of, front::response& to) {
  if (of.what.deprecated) {
    const auto at = std::chrono::sys_seconds{*of.what.deprecated}.time_since_epoch().count();
    to.headers.emplace_back("Deprecation", '@' + std::to_string(at));
  }
  if (of.what.sunset) {
    to.headers.emplace_back("Sunset", front::format_http_date(std::chrono::system_clock::to_time_t(*of.what.sunset)));
  }
  if (!of.what.link.empty() && of.what.deprecated) {
    to.headers.emplace_back("Link", '<' + of.what.link + ">; rel=\"deprecation\"");
  }
  to.headers.emplace_back("Vary", of.vary);
}

}  // namespace waggle::gateway
