// Answers that are kept, and requests that wait for one call's answer.
#include <string>
#include <utility>

#include "gateway/application.hpp"
#include "gateway/front/http_syntax.hpp"
#include "gateway/routes/body.hpp"
#include "gateway/routes/problems.hpp"
#include "gateway/routes/reply.hpp"

namespace waggle::gateway {
namespace {

void append_sized(std::string& out, std::string_view text) {
  out += std::to_string(text.size());
  out += ':';
  out += text;
}

front::response with_status(front::response out, std::string said) {
  out.headers.emplace_back("Cache-Status", std::move(said));
  return out;
}

}  // namespace

/// What caches on the way to the client are told where the route says nothing.
void application::set_terms(exchange& seen, const route& of) const {
  auto& terms = seen.terms;
  terms.cache_control = of.what.cache_control;
  terms.compress = terms.compress && of.what.compress;
  terms.is_private = seen.who != nullptr || of.access.is != access_rule::who::anyone || front::syntax::lists(of.vary, "Cookie");
  // Claims go along with every call, so that any command may decide by them.
  if (!of.what.cache || !of.what.cache->shared) terms.vary = authenticator_.headers();
}

/// Answers a request from what is kept, or has it wait for who asks the same. False: its call is to be begun.
bool application::take_kept(front::instant now, const open_request_ptr& to, const router::taken_route& by, const front::request& in,
                            const decoded_path& path, std::string_view claims) {
  if (is_stream(by.reply) || to->call.what_for != planned_call::purpose::reply) return false;
  const auto& terms = *by.of->what.cache;
  std::string text = std::to_string(by.of - by.table->routes().data()) + ' ';
  if (!terms.by.empty()) {
    const request_reader reader{in, path, claims, {}};
    for (const auto& each : terms.by) append_sized(text, reader.find(each).value_or(""));
  } else if (!terms.shared) {
    append_sized(text, claims);
  }
  text += to->run ? to->run->request_text() : to->call.request_text();
  const auto budget = to->run ? to->run->budget() : to->call.budget;
  auto got = cache_.ask(now, {text, static_cast<std::uint64_t>(to->exchange), {terms.fresh, terms.stale}, budget, cache_wishes_of(in.headers)});
  using kind = reply_cache::verdict::kind;
  to->flight = got.flight;
  if (got.is == kind::waits) return true;
  if (got.is == kind::full) {
    auto refused = problem_of({status::resource_exhausted, "as many wait for this answer as may", false, retry_time});
    add_route_headers(*by.of, refused);
    deliver(*to, std::move(refused));
    return true;
  }
  if (got.answer) {
    auto kept = with_status(*got.answer, std::move(got.said));
    kept.headers.emplace_back("Age", std::to_string(got.age.count()));
    deliver(*to, std::move(kept));
  }
  if (got.is == kind::kept) return true;
  to->leads = true;
  to->answered = false;  // of a stale one: what is kept is still to have its answer
  flights_.emplace(got.flight, to);
  if (got.is == kind::leads) return false;
  begin(now, to);
  return true;
}

/// The answer for all who wait for this call.
void application::end_flight(open_request& to, front::response out) {
  const auto itself = flights_.extract(to.flight);  // keeps it until here
  for (auto& each : cache_.landed(front::clock::now(), to.flight, out)) {
    const auto found = unanswered_.find(each.who);
    if (found == unanswered_.end()) continue;
    const auto waiter = found->second;
    deliver(*waiter, with_status(out, std::move(each.said)));
  }
}

}  // namespace waggle::gateway
