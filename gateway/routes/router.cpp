#include "gateway/routes/router.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include <waggle/wire/json.hpp>
#include <waggle/wire/reader.hpp>

#include "gateway/front/http_syntax.hpp"
#include "gateway/routes/openapi.hpp"
#include "gateway/routes/operations.hpp"
#include "gateway/routes/preferences.hpp"
#include "gateway/routes/problems.hpp"
#include "gateway/routes/reply.hpp"
#include "gateway/routes/route_table.hpp"

namespace waggle::gateway {
namespace {

constexpr reply_format parts_on_request[] = {reply_format::json, reply_format::vnd_msgpack, reply_format::msgpack,
                                             reply_format::sse, reply_format::ndjson};
constexpr reply_format parts_as_sse[] = {reply_format::sse, reply_format::ndjson, reply_format::json,
                                         reply_format::vnd_msgpack, reply_format::msgpack};
constexpr reply_format parts_as_ndjson[] = {reply_format::ndjson, reply_format::sse, reply_format::json,
                                            reply_format::vnd_msgpack, reply_format::msgpack};

std::span<const reply_format> offered_by(const route& of) {
  const auto* command = of.command();
  if (!of.simple || of.what.later || of.what.stream == stream_mode::whole || of.what.idempotency != key_use::none) return whole_formats;
  if (of.what.stream == stream_mode::sse) return parts_as_sse;
  if (of.what.stream == stream_mode::ndjson) return parts_as_ndjson;
  if (command != nullptr && command->streams) return parts_on_request;
  return whole_formats;
}

front::response allowing(front::response out, std::string methods) {
  out.headers.emplace_back("Allow", std::move(methods));
  return out;
}

/// The answer where all routes of a path want something else of the request. Where a token could say it, that is what is asked for.
front::response unmet_conditions(const std::vector<const source*>& of, bool has_claims) {
  std::string listed;
  for (const auto* each : of) listed += (listed.empty() ? "" : ", ") + each->written();
  const bool only_claims = std::all_of(of.begin(), of.end(), [](const auto* each) { return each->from == source::part::claim; });
  if (!only_claims) return refusal(404, "the routes of this path want something else of " + listed);
  if (has_claims) return refusal(403, "the token's " + listed + " is not what this takes");
  auto out = refusal(401, "this wants a token that says " + listed + ", in Authorization: Bearer");
  out.headers.emplace_back("WWW-Authenticate", bearer_challenge());
  return out;
}

/// What chance decides, in the order in which it is asked; equal seeds decide equally.
class dice {
 public:
  explicit dice(std::uint64_t seed) : state_{seed} {}
  std::uint64_t roll() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return state_ >> 16;
  }

 private:
  std::uint64_t state_;
};

front::response no_content(std::string methods) {
  return allowing({.status = 204, .content_type = {}, .body = {}, .headers = {}}, std::move(methods));
}

error misfit(std::vector<problem> wrong, const std::string& aim) {
  error out{status::invalid_argument, "the request cannot be turned into what " + aim + " takes"};
  out.problems = std::move(wrong);
  return out;
}

/// What Waggle-Key says; left out if it is no text that a header of a call may hold.
std::optional<std::string> key_of(const request_reader& in) {
  for (const auto& [name, value] : in.headers()) {
    if (front::syntax::equal_without_case(name, "waggle-key") && wire::is_utf8(value)) return std::string{value};
  }
  return std::nullopt;
}

/// A call with a longer one would be refused, or even be no frame, for which the gateway would lose its seat at the broker and every
/// call that it has open.
bool too_long(const std::optional<std::string>& key) { return key && key->size() > wire::key_bytes_max; }
front::response refusal_of_long_key() { return problem_of({status::invalid_argument, "a key has at most 512 bytes"}); }

/// Of the header `event_id` (broker/PROTOCOL.md).
constexpr std::size_t event_id_bytes_max = 128;

front::response unknown_version(const step_plan& step) {
  std::string known;
  for (const auto& [text, command] : std::get<target_config::versions>(step.what.call->is).is) {
    known += (known.empty() ? "" : ", ") + text;
  }
  return problem_of({status::invalid_argument, step.by->from().written() + " is none of the versions there are: " + known});
}

std::string written(const value_config& value) {
  if (const auto* taken = std::get_if<value_config::taken>(&value.is)) {
    auto text = taken->from.written();
    if (taken->otherwise) text += ", otherwise " + wire::msgpack_to_json(*taken->otherwise);
    return text;
  }
  if (const auto* constant = std::get_if<value_config::constant>(&value.is)) return "the value " + wire::msgpack_to_json(constant->msgpack);
  if (const auto* program = std::get_if<value_config::program>(&value.is)) return "jq at " + program->at.shown();
  if (const auto* list = std::get_if<value_config::list>(&value.is)) {
    std::string out = "[";
    for (const auto& each : list->items) out += (out.size() > 1 ? ", " : "") + written(each);
    return out + ']';
  }
  std::string out = "{";
  for (const auto& [key, each] : std::get<value_config::object>(value.is).entries) {
    out += (out.size() > 1 ? ", " : "") + key + ": " + written(each);
  }
  return out + '}';
}

front::response refusal_of(const value_failure& why, const route& of, const request_context& with) {
  if (with.note != nullptr) *with.note = of.text + ": " + why.reason;
  return problem_of(why.shown);
}

/// Where the payload's fields come from, one by one.
std::vector<std::pair<std::string, std::string>> fields_of(const payload_config& payload, const route& of) {
  std::vector<std::pair<std::string, std::string>> out;
  if (const auto* value = std::get_if<value_config>(&payload)) {
    if (const auto* object = std::get_if<value_config::object>(&value->is)) {
      for (const auto& [key, each] : object->entries) out.emplace_back(key, written(each));
    } else {
      out.emplace_back("", written(*value));
    }
    return out;
  }
  for (const auto& name : of.what.path.parameters()) out.emplace_back(name, "path." + name);
  out.emplace_back("", of.what.method == "GET" || of.what.method == "DELETE" ? "the query parameters" : "the body's entries");
  return out;
}

}  // namespace

std::string planned_call::request_text() const {
  std::string out{static_cast<char>(reply)};
  for (const std::string_view text : {std::string_view{command}, key ? std::string_view{*key} : std::string_view{}}) {
    const auto size = text.size();
    out.append(reinterpret_cast<const char*>(&size), sizeof size).append(text);
  }
  out += key ? '1' : '0';
  return out += payload;
}

router::router(config routes, router_options options) : config_{std::move(routes)}, options_{std::move(options)} {
  update(network_view{});
}
router::router(router&&) noexcept = default;
router& router::operator=(router&&) noexcept = default;
router::~router() = default;

std::vector<std::string> router::update(const network_view& network) {
  std::vector<std::string> warnings;
  table_ = std::make_shared<const route_table>(config_, network, warnings);
  network_ = network;
  openapi_.clear();
  return warnings;
}

std::vector<std::string> router::update(config routes) {
  std::vector<std::string> warnings;
  table_ = std::make_shared<const route_table>(routes, network_, warnings);  // if this throws, all is as it was
  config_ = std::move(routes);
  openapi_.clear();
  return warnings;
}

std::variant<router::taken_route, front::response> router::take(const front::request& in, const decoded_path& path,
                                                                 std::string_view claims) const {
  if (in.method == "OPTIONS" && in.path == "*") return no_content(table_->methods());
  if (path.why() != nullptr) return refusal(400, std::string{"the path cannot be read: "} + path.why());
  auto [route, allow, unmet] = table_->find(in, path, claims);
  if (route == nullptr) {
    if (allow.empty()) return refusal(404, "no route takes this path");
    if (in.method == "OPTIONS") return no_content(std::move(allow));
    if (!unmet.empty()) return unmet_conditions(unmet, !claims.empty());
    return allowing(refusal(405, "no route of this path takes this method"), std::move(allow));
  }
  const auto offered = offered_by(*route);
  const auto reply = negotiate(in.headers, offered);
  if (reply) return taken_route{table_, route, *reply};
  std::string types;
  for (const auto each : offered) types += (types.empty() ? "" : each == offered.back() ? " or " : ", ") + std::string{media_type(each)};
  auto out = refusal(406, "an answer is " + types + "; Accept rules out all of them");
  out.headers.emplace_back("Vary", route->vary);
  return out;
}

planned_request router::plan(const front::request& in, const request_context& with) const {
  const decoded_path path{in.path};
  auto taken = take(in, path, with.claims);
  if (auto* refused = std::get_if<front::response>(&taken)) return std::move(*refused);
  return plan(std::get<taken_route>(taken), in, path, with);
}

planned_request router::plan(const taken_route& by, const front::request& in, const decoded_path& path, const request_context& with) const {
  const route& of = *by.of;
  request_reader reader{in, path, with.claims, of.plan->needs()};
  if (of.simple) reader.body_is_used_once();
  const auto planned = [&]() -> planned_request {
    if (reader.refused()) return *reader.refused();
    if (!in.body.empty() && !of.plan->needs().body) return refusal(400, "this route takes no body");
    return of.simple ? plan_call(by, reader, with) : plan_steps(by, reader, with);
  };
  auto out = planned();
  if (auto* refused = std::get_if<front::response>(&out)) add_route_headers(of, *refused);
  return out;
}

planned_request router::plan_call(const taken_route& by, request_reader& in, const request_context& with) const {
  const route& of = *by.of;
  const auto& step = of.plan->steps().front();
  const auto chosen = route_plan::choose(step, in, dice{with.dice}.roll());
  if (!chosen) return unknown_version(step);
  const auto& target = step.targets[*chosen];
  std::vector<problem> wrong;
  auto payload = target.payload.make(in, wrong);
  if (!payload) return refusal_of(payload.error(), of, with);
  if (!wrong.empty()) return problem_of(misfit(std::move(wrong), target.command));
  planned_call out;
  out.command = target.command;
  out.payload = std::move(*payload);
  out.budget = of.what.budget.value_or(options_.budget);
  if (step.what.budget) out.budget = std::min(out.budget, *step.what.budget);
  out.reply = by.reply;
  out.streams = target.info && target.info->streams;
  out.idempotent = target.info && target.info->retry != retry_class::once;
  out.key = step.key ? step.key->text(in) : key_of(in);
  if (too_long(out.key)) return refusal_of_long_key();
  out.table = by.table;
  out.of = &of;
  // Parts are not kept: where a command sends some, the preference is one that cannot be met. Nor is it where the gateway knows what has been
  // done under a key, and the broker does not.
  out.preferred = !out.streams && !is_stream(out.reply) && of.what.idempotency == key_use::none && preferences_of(in.headers()).respond_async;
  if (!of.what.later && !out.preferred) return out;
  auto idempotency_key = idempotency_key_of(in.headers());
  if (!idempotency_key) return problem_of({status::invalid_argument, std::move(idempotency_key.error())});
  out.what_for = planned_call::purpose::receipt;
  out.run_budget = std::exchange(out.budget, options_.budget);
  out.idempotency_key = std::move(*idempotency_key);
  out.idempotent = out.idempotency_key.has_value();  // the receipt, that is: the broker knows it again
  return out;
}

planned_request router::plan_steps(const taken_route& by, request_reader& in, const request_context& with) const {
  const route& of = *by.of;
  const auto& plan = *of.plan;
  plan_run::beginning out;
  out.table = by.table;
  out.of = &of;
  out.reply = by.reply;
  out.budget = of.what.budget.value_or(options_.budget);
  out.key = key_of(in);
  if (too_long(out.key)) return refusal_of_long_key();
  if (!of.what.composed && !plan.steps().front().what.call) {
    auto event_id = idempotency_key_of(in.headers(), event_id_bytes_max);
    if (!event_id) return problem_of({status::invalid_argument, std::move(event_id.error())});
    out.event_id = std::move(*event_id);
  }
  std::vector<problem> wrong;
  dice chance{with.dice};
  for (const auto& step : plan.steps()) {
    auto& made = out.steps.emplace_back();
    const auto before = wrong.size();
    const auto chosen = route_plan::choose(step, in, chance.roll());
    if (!chosen) return unknown_version(step);
    made.target = *chosen;
    const auto& payload = step.what.call ? step.targets[*chosen].payload : *step.event;
    if (payload.at_once()) {
      auto bytes = payload.make(in, wrong);
      if (!bytes) return refusal_of(bytes.error(), of, with);
      made.payload = std::move(*bytes);
    } else {
      payload.take(in, made.taken, wrong);
    }
    if (step.key) made.key = step.key->text(in);
    if (step.undo) {
      step.undo->target.payload.take(in, made.undo_taken, wrong);
      if (step.undo->key) made.undo_key = step.undo->key->text(in);
    }
    if (too_long(made.key) || too_long(made.undo_key)) return refusal_of_long_key();
    if (of.what.composed || step.then) {
      for (auto i = before; i < wrong.size(); ++i) wrong[i].message = "step " + step.what.name + ": " + wrong[i].message;
    }
  }
  if (plan.reply()) plan.reply()->take(in, out.reply_taken, wrong);
  for (const auto& [name, text] : plan.headers()) text.take(in, out.header_taken.emplace_back(), wrong);
  if (!wrong.empty()) return problem_of(misfit(std::move(wrong), of.what.composed ? of.text : of.aims()));
  if (plan.mirror() && chance.roll() % 100 < plan.mirror()->weight) out.mirror_payload = out.steps.front().payload;
  return plan_run{std::move(out)};
}

bool router::has_own_route(const front::request& in, std::string_view claims) const {
  const decoded_path path{in.path};
  if (path.why() != nullptr || path.size() == 0) return false;
  const auto found = table_->find(in, path, claims);
  if (found.taken != nullptr) {
    const auto& first = found.taken->what.path.segments.front();
    return !first.parameter && first.text == path[0];
  }
  return !found.unmet.empty();
}

front::response router::answer(const planned_call& call, const result<std::string_view>& payload) {
  if (call.what_for == planned_call::purpose::receipt) return receipt_answer(call, payload);
  if (call.what_for == planned_call::purpose::outcome) return outcome_answer(call, payload);
  // A worker that says nothing says nil.
  const std::string_view value = payload && !payload->empty() ? *payload : std::string_view{"\xc0"};
  // Where nothing has been streamed an error has the form of every other.
  auto out = payload ? reply_of(value, is_stream(call.reply) ? reply_format::json : call.reply, call.command)
                     : problem_of(payload.error());
  if (call.of != nullptr) {
    add_route_headers(*call.of, out);
  } else {
    out.headers.emplace_back("Vary", "Accept");
  }
  return out;
}

explanation router::explain(const front::request& in, const request_context& with) const {
  explanation out;
  const decoded_path path{in.path};
  auto planned = plan(in, with);
  if (auto* refused = std::get_if<front::response>(&planned)) out.refused = std::move(*refused);
  if (path.why() != nullptr) return out;
  const auto [found, allow, unmet] = table_->find(in, path, with.claims);
  if (found == nullptr) return out;
  const route& of = *found;
  out.route = of.text;
  out.from = of.configured ? of.what.at.shown() : of.command() != nullptr ? "service " + of.command()->service : "a service";
  out.budget = of.what.budget.value_or(options_.budget);
  out.access = of.access;
  request_reader reader{in, path, with.claims, of.plan->needs()};
  dice chance{with.dice};
  for (const auto& step : of.plan->steps()) {
    auto& shown = out.steps.emplace_back();
    shown.name = step.what.name;
    shown.then = step.then;
    shown.need = step.what.needed == step_config::need::required   ? "required"
                 : step.what.needed == step_config::need::optional ? "optional"
                                                                   : "fallback";
    shown.budget = step.what.budget.value_or(step.then ? std::chrono::milliseconds{0} : out.budget);
    shown.fields = fields_of(step.what.payload, of);
    for (const auto other : step.waits_for) shown.after.push_back(of.plan->steps()[other].what.name);
    if (step.undo) shown.undo = step.undo->target.command;
    const auto chosen = route_plan::choose(step, reader, chance.roll());
    if (step.what.call && !chosen) continue;
    const auto* target = step.what.call ? &step.targets[*chosen] : nullptr;
    shown.aim = target != nullptr ? target->command : step.what.emit;
    shown.served = target == nullptr || target->info != nullptr || target->command.starts_with("waggle.");
    const auto& payload = target != nullptr ? target->payload : *step.event;
    if (reader.refused() || !payload.at_once()) continue;
    std::vector<problem> wrong;
    const auto bytes = payload.make(reader, wrong);
    if (bytes && wrong.empty()) shown.payload = wire::msgpack_to_json(*bytes);
  }
  return out;
}

const std::string& router::openapi() const {
  if (openapi_.empty()) {
    openapi_ = openapi_document(*table_, {options_.title, options_.version, config_.identity.tokens != nullptr,
                                            config_.identity.api_keys ? config_.identity.api_keys->header : std::string{}, options_.events || config_.events.has_value()});
  }
  return openapi_;
}

}  // namespace waggle::gateway
