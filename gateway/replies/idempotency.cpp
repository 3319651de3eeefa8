#include "gateway/replies/idempotency.hpp"

#include <initializer_list>

#include "gateway/routes/body.hpp"
#include "gateway/routes/problems.hpp"

namespace waggle::gateway {
namespace {

/// With their sizes, so that no byte can move from one to the next.
digest digest_of_all(std::initializer_list<std::string_view> texts) {
  std::string all;
  for (const auto each : texts) all.append(std::to_string(each.size())).append(":").append(each);
  return digest_of(all);
}

front::response conflict(status code, const std::string& why, std::optional<std::chrono::milliseconds> retry_after = {}) {
  return problem_of({code, why, true, retry_after}, {}, 409);
}

}  // namespace

digest key_digest(std::string_view who, std::string_view route, std::string_view key) { return digest_of_all({who, route, key}); }

digest request_digest(const front::request& in) {
  return digest_of_all({in.method, in.path, in.query, in.find("content-type").value_or(""), in.body});
}

std::string whose_claims(std::string_view claims) {
  if (claims.empty()) return {};
  const auto subject = find_in(claims, {"sub"});
  if (!subject) return std::string{claims};
  const auto issuer = find_in(claims, {"iss"});
  return std::string{issuer.value_or("\xc0")}.append(*subject);
}

front::response answer_to_repeated(reserved found) {
  switch (found.is) {
    case reserved::state::fresh:
    case reserved::state::finished: break;
    case reserved::state::running:
      return conflict(status::aborted, "a request with this Idempotency-Key is under way; ask again for its answer", std::chrono::milliseconds{1000});
    case reserved::state::different:
      return refusal(422, "this Idempotency-Key was used for another request; send this one with a new key");
    case reserved::state::too_large:
      return conflict(status::already_exists, "the request with this Idempotency-Key has been answered, and the answer was too large to be kept");
    case reserved::state::unknown:
      return conflict(status::unknown, "the gateway stopped while the request with this Idempotency-Key was under way, and what it does may not be done twice: "
                                       "find out whether it has been done, and if not, send it with a new key");
    case reserved::state::full:
      return problem_of({status::unavailable, "the gateway keeps as many answers as it may; nothing has been done", false, std::chrono::milliseconds{60'000}});
  }
  auto out = std::move(found.answer);
  out.headers.emplace_back("Idempotent-Replayed", "true");
  return out;
}

}  // namespace waggle::gateway
