// From a request to what it stands for: who answers it, whether it may, and what it calls.
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include <waggle/detail/hex.hpp>
#include <waggle/wire/json.hpp>
#include <waggle/wire/json_string.hpp>

#include "gateway/application.hpp"
#include "gateway/docs/docs_page.hpp"
#include "gateway/front/http_syntax.hpp"
#include "gateway/https_redirect.hpp"
#include "gateway/routes/body.hpp"
#include "gateway/routes/operations.hpp"
#include "gateway/routes/problems.hpp"
#include "gateway/routes/reply.hpp"
#include "gateway/routes/value.hpp"

namespace waggle::gateway {
namespace {

/// W3C Trace Context, version 00: 00-<32 hex>-<16 hex>-<2 hex>, lower case, ids not all zero.
bool is_traceparent(std::string_view text) {
  if (text.size() != trace_bytes || !text.starts_with("00-") || text[35] != '-' || text[52] != '-') return false;
  const auto hex = [](std::string_view part) {
    return std::all_of(part.begin(), part.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  };
  const auto trace = text.substr(3, 32), parent = text.substr(36, 16);
  return hex(trace) && hex(parent) && hex(text.substr(53)) && trace.find_first_not_of('0') != trace.npos &&
         parent.find_first_not_of('0') != parent.npos;
}

/// What others may have made up: short, and nothing that a log or a header trips over.
bool is_request_id(std::string_view text) {
  return !text.empty() && text.size() <= request_id_bytes_max && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view{"-._~:/+="}.find(c) != std::string_view::npos;
  });
}

/// For what /metrics asks of the broker: less than whoever scrapes waits.
constexpr std::chrono::milliseconds metrics_budget{1'000};

}  // namespace

void application::on_request(front::instant now, front::exchange_id id, const front::request& in) {
  auto& seen = desk_.open(now, id, in, request_id_of(in));
  try {
    take(now, seen, in);
  } catch (...) {
    desk_.abandoned(now, id);  // the front answers
    throw;
  }
}

/// The stages of a request. Each may answer it; what is left is begun.
void application::take(front::instant now, exchange& seen, const front::request& in) {
  seen.terms.compress = compress_;
  if (traffic_->cors) {
    traffic_->cors->add_headers(in, seen.headers);
    if (cors_policy::is_preflight(in)) return desk_.respond(seen.id, preflight(in));
  }
  if (auto elsewhere = redirects_ ? to_https(in, options_.https_port) : std::nullopt) return desk_.respond(seen.id, std::move(*elsewhere));
  const auto client = traffic_->tells_clients_apart || authenticator_.knows_any() ? client_of(in) : ip_address{};
  if (!traffic_->proxies.networks.empty()) seen.client = client.text();
  if (own_answer(now, seen, in, client)) return;
  rate_subject who{client, {}, {}, {}};
  rate_report rates;
  if (!within_rates(now, seen, traffic_->first_rates, who, rates)) return;

  auto to = std::allocate_shared<open_request>(recycling<open_request>{memory_});
  to->exchange = seen.id;
  to->head = in.method == "HEAD";
  to->request_id = seen.request_id;
  if (auto refused = identify(now, seen, in, client)) return answer(*to, std::move(*refused));
  to->who = seen.who;
  const auto claims = to->who ? std::string_view{to->who->claims} : std::string_view{};
  if (to->who) who.key = to->who->key_id;
  who.claim = [claims](const std::vector<std::string>& steps) -> std::optional<std::string> {
    const auto value = claims.empty() ? std::nullopt : find_in(claims, steps);
    return value ? plain_text(*value) : std::nullopt;
  };
  if (serves_events(in, claims)) {
    who.route = "GET /events";
    if (auto refused = refuse_access(let_out_->access.value_or(access_.routes), seen)) return answer(*to, std::move(*refused));
    if (within_rates(now, seen, traffic_->usual.rates, who, rates)) begin_events(now, seen.id, in);
    return;
  }

  const decoded_path path{in.path};
  router::taken_route by;
  const bool asks_outcome = in.path.starts_with(operations_path) && !router_.has_own_route(in, claims);
  if (asks_outcome) {
    who.route = "GET /operations/{id}";
    if (auto refused = refuse_access(access_.operations, seen)) return answer(*to, std::move(*refused));
    if (!within_rates(now, seen, traffic_->usual.rates, who, rates)) return;
  } else {
    auto taken = router_.take(in, path, claims);
    if (auto* refused = std::get_if<front::response>(&taken)) return answer(*to, std::move(*refused));
    by = std::move(std::get<router::taken_route>(taken));
    set_terms(seen, *by.of);
    who.route = seen.route = by.of->text;
    if (auto refused = refuse_access(by.of->access, seen)) {
      add_route_headers(*by.of, *refused);
      return answer(*to, std::move(*refused));
    }
    const auto& bounds = traffic_->of(*by.of);
    if (!within_rates(now, seen, bounds.rates, who, rates, by.of) || !within_concurrency(seen, *to, *by.of)) return;
    note_deprecated(*by.of, in, claims);
  }
  std::string noted;
  auto planned = asks_outcome ? plan_outcome(in, options_.routing.budget) : router_.plan(by, in, path, {claims, random_(), &noted});
  if (!noted.empty()) note(noted);
  if (auto* refused = std::get_if<front::response>(&planned)) return answer(*to, std::move(*refused));
  to->trace = trace_of(in);
  seen.trace = to->trace;
  if (auto* call = std::get_if<planned_call>(&planned)) {
    to->call = std::move(*call);
  } else {
    to->run = std::make_unique<plan_run>(std::get<plan_run>(std::move(planned)));
  }
  unanswered_[static_cast<std::uint64_t>(seen.id)] = to;
  if (by.of != nullptr && by.of->what.idempotency != key_use::none && take_keyed(now, to, by, in)) return;
  if (by.of != nullptr && by.of->cached && take_kept(now, to, by, in, path, claims)) return;
  begin(now, to);
}

void application::note_deprecated(const route& of, const front::request& in, std::string_view claims) {
  if (!of.what.deprecated || !options_.deprecated) return;
  auto caller = caller_of(in, claims);
  const bool first = options_.deprecated->note(of.text, caller);
  if (options_.metrics) options_.metrics->deprecated(of.text, caller);
  if (first) note(of.text + " is deprecated, and " + caller + " calls it");
}

/// Whose request it is. Where there is no connection, and where it has no address, it is nobody's, who is one client like others.
ip_address application::client_of(const front::request& in) const {
  const auto peer = in.from != nullptr ? parse_ip_address(in.from->address) : std::nullopt;
  return peer ? client_address(*peer, traffic_->proxies, in.headers) : ip_address{};
}

/// The answer to a browser that asks what a page of another origin may do.
front::response application::preflight(const front::request& in) const {
  std::string methods;
  front::request asked = in;
  asked.method = *in.find("access-control-request-method");
  const auto& own = reserved_paths;
  if (std::find(std::begin(own), std::end(own), in.path) != std::end(own) || serves_events(asked, {}) ||
      (in.path.starts_with(operations_path) && !router_.has_own_route(asked, {}))) {
    methods = "GET, HEAD, OPTIONS";
  } else {
    const auto taken = router_.take(in, decoded_path{in.path}, {});
    if (const auto* plain = std::get_if<front::response>(&taken)) {
      for (const auto& [name, value] : plain->headers) {
        if (name == "Allow") methods = value;
      }
    }
  }
  return traffic_->cors->preflight(in, methods);
}

/// Counts the request. False: it was one too many, and is answered.
bool application::within_rates(front::instant now, exchange& seen, std::span<const rate_rule> rules, const rate_subject& of, rate_report& report,
                               const route* taken) {
  if (rules.empty()) return true;
  for (const auto name : {"RateLimit-Policy", "RateLimit"}) seen.headers.erase(name);
  const auto refused = count_request(now, rules, of, report);
  seen.headers.emplace_back("RateLimit-Policy", report.policies());
  seen.headers.emplace_back("RateLimit", report.remaining());
  if (!refused) return true;
  std::string members;
  for (const auto& each : refused->violated) {
    members += members.empty() ? ",\"violated-policies\":[" : ",";
    wire::append_json_string(members, each);
  }
  auto answer = problem_of({status::resource_exhausted, fmt::format("more requests have come than {} allows", fmt::join(refused->violated, ", ")), false,
                            std::chrono::ceil<std::chrono::milliseconds>(refused->retry_after)},
                           members + ']');
  if (taken != nullptr) add_route_headers(*taken, answer);
  desk_.respond(seen.id, std::move(answer));
  return false;
}

/// Takes one of the route's places. False: there is none, and the request is answered. It is not this client that asks too much, so it is 503 and not 429.
bool application::within_concurrency(exchange& seen, open_request& to, const route& taken) {
  const auto& bounds = traffic_->of(taken);
  if (!bounds.under_way) return true;
  to.permit = concurrency_permit::take(bounds.under_way, bounds.concurrency);
  if (to.permit) return true;
  auto answer = problem_of({status::resource_exhausted, fmt::format("as many requests of {} are under way as may be ({})", taken.text, bounds.concurrency), false,
                            retry_time}, {}, 503);
  add_route_headers(taken, answer);
  desk_.respond(seen.id, std::move(answer));
  return false;
}

/// Whether a request is for the events that are let out. False: a route answers its path, or nothing does.
bool application::serves_events(const front::request& in, std::string_view claims) const {
  return in.path == events_path && let_out_ && !router_.has_own_route(in, claims);
}

/// Events as Server-Sent Events.
void application::begin_events(front::instant now, front::exchange_id id, const front::request& in) {
  if (budget_now(now, options_.routing.budget)) return events_.open(now, id, in, *let_out_);
  desk_.respond(id, problem_of(away()));
}

/// Answers of the gateway itself, for GET and HEAD. False: the path is not its own.
bool application::own_answer(front::instant now, exchange& seen, const front::request& in, const ip_address& client) {
  const bool is_page = options_.docs && in.path.starts_with(docs_path) && !router_.has_own_route(in, {});
  const bool documents = is_page || in.path == "/openapi.json";
  const auto* const rule = documents ? &access_.documents : in.path == "/metrics" && options_.metrics ? &access_.metrics : nullptr;
  if (rule != nullptr && rule->is != access_rule::who::anyone && in.method != "OPTIONS") {
    auto refused = identify(now, seen, in, client);
    if (!refused) refused = refuse_access(*rule, seen);
    if (refused) return desk_.respond(seen.id, std::move(*refused)), true;
  }
  if (is_page) {
    auto page = docs_page{}.answer(in);
    if (page) desk_.respond(seen.id, std::move(*page));
    return page.has_value();
  }
  front::response out;
  const bool shown = in.method == "GET" || in.method == "HEAD";
  if (in.path == "/metrics" && options_.metrics) {
    if (shown) return show_metrics(now, seen, in), true;
  } else if (in.path == "/livez") {
    out = {200, "application/json", R"({"status":"alive"})", {}};
  } else if (in.path == "/readyz") {
    out = readiness();
  } else if (in.path == "/openapi.json") {
    out = {200, "application/json", router_.openapi(), {}};
  } else {
    return false;
  }
  if (shown) {
    if (in.path != "/openapi.json") out.headers.emplace_back("Cache-Control", "no-store");
  } else {
    out = in.method == "OPTIONS" ? front::response{204, {}, {}, {}} : refusal(405, "this path takes GET and HEAD");
    out.headers.emplace_back("Allow", "GET, HEAD, OPTIONS");
  }
  desk_.respond(seen.id, std::move(out));
  return true;
}

/// The broker is asked for its queues; without an answer in time the rest is shown.
void application::show_metrics(front::instant now, exchange& seen, const front::request& in) {
  auto to = std::allocate_shared<open_request>(recycling<open_request>{memory_});
  to->exchange = seen.id;
  to->head = in.method == "HEAD";
  to->request_id = seen.request_id;
  to->trace = seen.trace = trace_of(in);
  to->wants_metrics = true;
  to->call.command = "waggle.queues";
  to->call.payload = "\x80";
  to->call.budget = metrics_budget;
  to->call.idempotent = true;
  unanswered_[static_cast<std::uint64_t>(seen.id)] = to;
  begin(now, to);
}

front::response application::metrics_answer(std::string_view queues) const {
  const auto commands = traffic_->commands ? traffic_->commands->states(front::clock::now()) : std::vector<command_guards::seen>{};
  options_.metrics->set(metrics::quantity::connections, desk_.connections());
  if (options_.access_log) options_.metrics->set(metrics::quantity::log_lines_dropped, options_.access_log->dropped());
  return {200, "text/plain; version=0.0.4", options_.metrics->text(queues, commands), {{"Cache-Control", "no-store"}}};
}

/// Ready: connected to a broker, and the routes are those of its network. Commands of routes that nobody serves are named, and are no reason to
/// send requests for the others elsewhere.
front::response application::readiness() const {
  if (draining_) return {503, "application/json", R"({"status":"draining"})", {}};
  if (!core_.ready() || revision_.empty()) {
    return {503, "application/json", R"({"status":"unready","missing":["broker"]})", {}};
  }
  std::string unserved;
  for (const auto& each : router_.table().unserved()) {
    unserved += unserved.empty() ? "" : ",";
    wire::append_json_string(unserved, each);
  }
  return {200, "application/json", R"({"status":"ready")" + (unserved.empty() ? "" : R"(,"unserved":[)" + unserved + ']') + '}', {}};
}

/// The request's trace goes on; a request without one begins one.
trace_text application::trace_of(const front::request& in) {
  const auto sent = in.find("traceparent");
  if (sent && is_traceparent(*sent)) return *sent;
  trace_text out{"00-"};
  detail::append_hex(out, random_());
  detail::append_hex(out, random_() | 1);
  out.append("-");
  detail::append_hex(out, random_() | 1);
  return out.append("-01");
}

request_id_text application::request_id_of(const front::request& in) {
  const auto sent = in.find("x-request-id");
  if (sent && is_request_id(*sent)) return *sent;
  request_id_text out;
  detail::append_hex(out, random_());
  detail::append_hex(out, random_());
  return out;
}

}  // namespace waggle::gateway
