// Who makes a request, and whether what it asks for is for him.
#include <chrono>
#include <utility>

#include "gateway/application.hpp"
#include "gateway/routes/problems.hpp"

namespace waggle::gateway {
namespace {

/// Credentials that are not good, as an answer; RFC 6750, section 3.
front::response unaccepted(const refused_credentials& why) {
  auto out = refusal(why.status, why.why);
  out.headers.emplace_back("WWW-Authenticate", bearer_challenge(why.error, why.error.empty() ? std::string_view{} : why.why));
  return out;
}

}  // namespace

/// Notes who makes the request, or gives the answer to one that lies about it. No credentials are no lie: what is not for anyone says so.
///
/// An address that lies too often is told to wait. What is known to be good is taken from there all the same (others may share the address), and costs next to
/// nothing; a token that has not been seen is not looked at until then.
std::optional<front::response> application::identify(front::instant now, exchange& seen, const front::request& in, const ip_address& client) {
  if (!authenticator_.knows_any()) return std::nullopt;
  const auto shown = authenticator_.find(in);
  if (const auto* wrong = std::get_if<refused_credentials>(&shown)) return unaccepted(*wrong);
  const auto* credentials = std::get_if<authenticator::credentials>(&shown);
  if (credentials == nullptr) return std::nullopt;
  auto& failures = options_.traffic->failed_credentials();
  const auto room = failures.peek(now, client.subscriber());
  auto verdict = authenticator_.verify(*credentials, std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()), room.allowed);
  if (auto* who = std::get_if<identity_ptr>(&verdict)) {
    seen.who = std::move(*who);
    seen.subject = seen.who->subject;
    return std::nullopt;
  }
  if (!room.allowed) {
    return problem_of({status::resource_exhausted, "too many credentials that are not good have come from this address", false,
                       std::chrono::ceil<std::chrono::milliseconds>(room.more_in)});
  }
  failures.take(now, client.subscriber());
  return unaccepted(std::get<refused_credentials>(verdict));
}

/// The answer to who is not let in, if he is not.
std::optional<front::response> application::refuse_access(const access_rule& to, const exchange& seen) const {
  switch (gateway::admit(to, seen.who.get())) {
    case admission::admitted: return std::nullopt;
    case admission::unknown: {
      auto out = refusal(401, "this is not for anyone: send " + authenticator_.wanted());
      out.headers.emplace_back("WWW-Authenticate", bearer_challenge({}, {}, to.scope()));
      return out;
    }
    case admission::lacking: break;
  }
  auto out = refusal(403, "this takes the scopes " + to.scope() + ", of which one is lacking");
  if (to.scopes.size() == 1) out = refusal(403, "this takes the scope " + to.scope() + ", which is lacking");
  out.headers.emplace_back("WWW-Authenticate", bearer_challenge("insufficient_scope", {}, to.scope()));
  return out;
}

}  // namespace waggle::gateway
