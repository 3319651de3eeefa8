#include "gateway/routes/router.hpp"

#include <utility>

#include <waggle/wire/json.hpp>
#include <waggle/wire/reader.hpp>

#include "gateway/routes/decode.hpp"
#include "gateway/routes/openapi.hpp"
#include "gateway/routes/problems.hpp"
#include "gateway/routes/route_table.hpp"

namespace waggle::gateway {

router::router(config routes, router_options options) : config_{std::move(routes)}, options_{std::move(options)} {
  update({});
}
router::router(router&&) noexcept = default;
router& router::operator=(router&&) noexcept = default;
router::~router() = default;

std::vector<std::string> router::update(const network_view& network) {
  std::vector<std::string> warnings;
  table_ = std::make_unique<route_table>(config_, network, warnings);
  openapi_.clear();
  return warnings;
}

std::variant<planned_call, front::response> router::plan(const front::request& in) const {
  const auto allowing = [](front::response out, std::string methods) {
    out.headers.emplace_back("Allow", std::move(methods));
    return out;
  };
  if (in.method == "OPTIONS" && in.path == "*")
    return allowing({.status = 204, .content_type = {}, .body = {}, .headers = {}}, table_->methods());
  const decoded_path path{in.path};
  if (path.why() != nullptr) return refusal(400, std::string{"the path cannot be read: "} + path.why());
  auto [route, allow] = table_->find(in.method, path);
  if (route == nullptr) {
    if (allow.empty()) return refusal(404, "no route takes this path");
    if (in.method == "OPTIONS")
      return allowing({.status = 204, .content_type = {}, .body = {}, .headers = {}}, std::move(allow));
    return allowing(refusal(405, "no route of this path takes this method"), std::move(allow));
  }
  const auto reply = negotiate(in.headers);
  if (!reply) {
    auto out = refusal(406, "an answer is application/json or application/vnd.msgpack; Accept rules out both");
    out.headers.emplace_back("Vary", "Accept");
    return out;
  }
  auto payload = route->plan.payload(in, path);
  if (!payload) return std::move(payload.error());
  return planned_call{route->what.command,
                      std::move(*payload),
                      route->what.budget.value_or(options_.budget),
                      *reply,
                      route->command && route->command->streams,
                      route->text,
                      route->command && route->command->retry != retry_class::once};
}

front::response router::answer(const planned_call& call, const result<std::string>& payload) {
  const auto malformed = [&](const std::string& why) {
    return problem_of({status::internal, "the reply of " + call.command + " cannot be passed on: " + why, true});
  };
  front::response out;
  if (!payload) {
    out = problem_of(payload.error());
  } else {
    const std::string_view value =
        payload->empty() ? std::string_view{"\xc0"} : *payload;  // a worker that says nothing says nil
    if (call.reply == reply_format::json) {
      if (auto text = wire::try_msgpack_to_json(value)) {
        out.content_type = media_type(call.reply);
        out.body = std::move(*text);
      } else {
        out = malformed(text.error().message);
      }
    } else if (wire::reader in{value}; in.skip() && in.at_end()) {
      out.content_type = media_type(call.reply);
      out.body = value;
    } else {
      out = malformed("it is not one msgpack value");
    }
  }
  out.headers.emplace_back("Vary", "Accept");
  return out;
}

const std::string& router::openapi() const {
  if (openapi_.empty()) openapi_ = openapi_document(*table_, options_.title, options_.version);
  return openapi_;
}

}  // namespace waggle::gateway
