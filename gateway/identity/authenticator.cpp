#include "gateway/identity/authenticator.hpp"

#include <cstring>
#include <utility>

#include "gateway/front/http_syntax.hpp"

namespace waggle::gateway {
namespace {

using front::syntax::equal_without_case;

constexpr std::string_view invalid_token = "invalid_token", invalid_request = "invalid_request";

refused_credentials refused(std::string why) { return {401, invalid_token, std::move(why)}; }

}  // namespace

std::string authenticator::wanted() const {
  const std::string bearer = "Authorization: Bearer";
  if (!from_.api_keys) return bearer + " and a token";
  return bearer + (from_.tokens ? " and a token or an API key, or " : " and an API key, or ") + from_.api_keys->header + " and an API key";
}

authenticator::found authenticator::find(const front::request& in) const {
  std::optional<std::string_view> authorization, key;
  for (const auto& [name, value] : in.headers) {
    const bool is_key = from_.api_keys && equal_without_case(name, from_.api_keys->header);
    if (!is_key && !equal_without_case(name, "authorization")) continue;
    // Whoever stands before or behind the gateway might look at the other one.
    if (authorization || key) {
      return refused_credentials{400, invalid_request, "credentials came more than once: send one Authorization" +
                                                           (from_.api_keys ? ", or one " + from_.api_keys->header : std::string{})};
    }
    (is_key ? key : authorization) = value;
  }
  if (key) return credentials{*key, true};
  if (!authorization) return std::monostate{};
  const auto space = authorization->find(' ');
  if (!equal_without_case(authorization->substr(0, space), "bearer") || space == std::string_view::npos)
    return refused_credentials{401, {}, "Authorization is to be Bearer and a token"};
  const auto text = front::syntax::trim(authorization->substr(space));
  if (text.empty()) return refused_credentials{401, invalid_token, "Authorization is to be Bearer and a token"};
  const bool is_key = from_.api_keys && (text.starts_with(api_key_prefix) || !from_.tokens);
  return credentials{text, is_key};
}

std::size_t authenticator::digest_hash::operator()(const digest& of) const {
  std::size_t out = 0;
  std::memcpy(&out, of.data(), sizeof out);
  return out;
}

const authenticator::remembered* authenticator::recall(const digest& token) const {
  for (const auto* each : {&young_, &old_}) {
    if (const auto at = each->find(token); at != each->end()) return &at->second;
  }
  return nullptr;
}

authenticator::verdict authenticator::verify(const credentials& shown, std::chrono::sys_seconds now, bool may_cost) {
  if (shown.is_api_key) {
    auto who = from_.api_keys->keys->find(shown.text, now);
    if (!who) return refused(who.error());
    return std::move(*who);
  }
  const auto token = sha256(shown.text);
  if (const auto* known = recall(token)) {
    if (now >= known->ends) return refused("the token is not accepted: the token has expired");
    return known->who;
  }
  if (!may_cost) return not_verified{};
  auto verified = from_.tokens->verify(shown.text, now);
  if (!verified) return refused("the token is not accepted: " + verified.error());
  auto who = make_identity(std::move(verified->claims), verified->by->scopes_claim);
  if (!who) return refused("the token is not accepted: " + who.error());
  if (young_.size() >= tokens_remembered_max / 2) old_ = std::exchange(young_, {});
  young_.emplace(token, remembered{*who, verified->ends});
  return std::move(*who);
}

}  // namespace waggle::gateway
