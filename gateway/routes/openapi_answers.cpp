#include "gateway/routes/openapi_answers.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <variant>

#include <waggle/wire/json.hpp>

#include "gateway/routes/openapi_access.hpp"

namespace waggle::gateway {
namespace {

using part = source::part;

json_value any() { return json_value::object(); }

/// What is one of several, each said once.
json_value any_of(const std::vector<json_value>& schemas) {
  json_value distinct = json_value::array();
  for (const auto& each : schemas) {
    if (each.is_object() && each.empty()) return any();
    if (std::find(distinct.begin(), distinct.end(), each) == distinct.end()) distinct.push_back(each);
  }
  if (distinct.empty()) return any();
  return distinct.size() == 1 ? distinct[0] : json_value{{"anyOf", std::move(distinct)}};
}

json_value reply_of_command(const target_plan& target, schema_components& schemas) {
  return target.info ? schemas.of_command(target.info->service, target.command, "reply", target.info->reply) : any();
}

/// What a step gives: the reply of whichever command it calls, the receipt of its event, or its fallback.
json_value reply_of_step(const step_plan& step, schema_components& schemas) {
  if (step.targets.empty()) return component_reference("schemas", "Receipt");
  std::vector<json_value> out;
  for (const auto& each : step.targets) out.push_back(reply_of_command(each, schemas));
  if (step.what.needed == step_config::need::fallback) {
    auto value = json_value::parse(wire::msgpack_to_json(step.what.fallback), nullptr, false);
    out.push_back(value.is_discarded() ? any() : json_value{{"const", std::move(value)}});
  }
  return any_of(out);
}

struct known_value {
  json_value schema;
  bool there;  ///< never absent
};

known_value value_of(const value_config& value, const route& of, schema_components& schemas);

known_value value_of(const value_config::taken& taken, const route& of, schema_components& schemas) {
  known_value out{any(), taken.otherwise.has_value()};
  if (taken.from.from == part::path) out.there = true;
  if (taken.from.is_text() && (taken.type == text_type::automatic || taken.type == text_type::string)) out.schema = {{"type", "string"}};
  if (taken.from.from != part::step) return out;
  const auto& steps = of.plan->steps();
  const auto step = std::find_if(steps.begin(), steps.end(), [&](const auto& each) { return each.what.name == taken.from.name; });
  if (step == steps.end()) return out;
  out.schema = reply_of_step(*step, schemas);
  bool there = step->what.needed != step_config::need::optional;
  for (const auto& name : taken.from.steps) {
    const auto* entry = schemas.entry(out.schema, name);
    there = there && schemas.needs(out.schema, name);
    out.schema = entry != nullptr ? json_value(*entry) : any();
  }
  out.there = out.there || there;
  if (taken.otherwise) out.schema = any();  // which may be something else
  return out;
}

known_value value_of(const value_config& value, const route& of, schema_components& schemas) {
  if (const auto* taken = std::get_if<value_config::taken>(&value.is)) return value_of(*taken, of, schemas);
  if (const auto* constant = std::get_if<value_config::constant>(&value.is)) {
    auto json = json_value::parse(wire::msgpack_to_json(constant->msgpack), nullptr, false);
    return {json.is_discarded() ? any() : json_value{{"const", std::move(json)}}, true};
  }
  if (const auto* object = std::get_if<value_config::object>(&value.is)) {
    json_value properties = json_value::object(), required = json_value::array();
    for (const auto& [key, each] : object->entries) {
      auto [schema, there] = value_of(each, of, schemas);
      properties[key] = std::move(schema);
      if (there) required.push_back(key);
    }
    json_value out = {{"type", "object"}, {"properties", std::move(properties)}};
    if (!required.empty()) out["required"] = std::move(required);
    return {std::move(out), true};
  }
  if (const auto* list = std::get_if<value_config::list>(&value.is)) {
    std::vector<json_value> items;
    for (const auto& each : list->items) items.push_back(value_of(each, of, schemas).schema);
    return {{{"type", "array"}, {"items", any_of(items)}}, true};
  }
  return {any(), false};  // a program's
}

bool streams(const route& of) {
  const auto* command = of.command();
  return of.simple && !of.what.later && command != nullptr && command->streams;
}

/// What `Accept` may ask for (gateway/routes/router.cpp: offered_by).
bool offers_streams(const route& of) {
  const bool wants = of.what.stream == stream_mode::sse || of.what.stream == stream_mode::ndjson;
  return of.simple && !of.what.later && of.what.stream != stream_mode::whole && (wants || streams(of));
}

json_value header(std::string_view description, json_value schema = {{"type", "string"}}) {
  return {{"description", description}, {"schema", std::move(schema)}};
}

/// Those that every answer has.
json_value headers_of(const route& of) {
  json_value out = {{"X-Request-Id", component_reference("headers", "X-Request-Id")}};
  if (of.what.deprecated) out["Deprecation"] = component_reference("headers", "Deprecation");
  if (of.what.sunset) out["Sunset"] = component_reference("headers", "Sunset");
  if (of.what.deprecated && !of.what.link.empty()) out["Link"] = header("Leads to what explains the deprecation.");
  return out;
}

unsigned status_of(const route& of) {
  const bool receipt = !of.what.composed && !of.what.steps.front().emit.empty();
  return of.what.status.value_or(receipt ? 202 : 200);
}

json_value answer(std::string_view description, json_value headers, const json_value& content, unsigned status) {
  json_value out = {{"description", description}, {"headers", std::move(headers)}};
  if (status != 204 && status != 205) out["content"] = content;
  return out;
}

json_value whole_reply(const route& of, schema_components& schemas) {
  auto headers = headers_of(of);
  for (const auto& [name, text] : of.what.headers) headers[name] = {{"schema", {{"type", "string"}}}};
  auto reply = of.what.reply ? value_of(*of.what.reply, of, schemas).schema : reply_of_step(of.plan->steps().front(), schemas);
  if (streams(of)) {
    reply = {{"type", "object"}, {"required", {"parts", "reply"}}, {"properties", {{"parts", {{"type", "array"}}}, {"reply", std::move(reply)}}}};
  }
  auto content = openapi_content(reply);
  if (offers_streams(of)) {
    for (const char* const type : {"text/event-stream", "application/x-ndjson"}) content[type] = {{"schema", {{"type", "string"}}}};
  }
  const auto status = status_of(of);
  if (of.what.incomplete == status) headers["Waggle-Incomplete"] = component_reference("headers", "Waggle-Incomplete");
  return answer(status == 202 ? "Accepted." : "The reply.", std::move(headers), content, status);
}

}  // namespace

json_value openapi_content(const json_value& schema) {
  return {{"application/json", {{"schema", schema}}}, {"application/vnd.msgpack", {{"schema", schema}}}};
}

bool may_run_later(const route& of) {
  if (of.what.later) return true;
  // One whose answers are kept runs at once, whatever a client prefers.
  return of.what.idempotency == key_use::none && of.simple && of.what.method != "GET" && !offers_streams(of);
}

json_value openapi_answers(const route& of, bool uses_claims, schema_components& schemas) {
  json_value out = json_value::object();
  if (!of.what.later) {
    auto reply = whole_reply(of, schemas);
    if (of.what.incomplete && *of.what.incomplete != status_of(of)) {
      auto without = reply;
      without["description"] = "The reply, without what Waggle-Incomplete names.";
      without["headers"]["Waggle-Incomplete"] = component_reference("headers", "Waggle-Incomplete");
      out[std::to_string(*of.what.incomplete)] = std::move(without);
    }
    out[std::to_string(status_of(of))] = std::move(reply);
  }
  if (may_run_later(of)) out["202"] = component_reference("responses", "Kept");
  if (of.what.idempotency != key_use::none) {
    for (const char* const status : {"409", "422"}) out[status] = component_reference("responses", "Problem");
  }
  add_refusals(of, uses_claims, out);
  out["default"] = component_reference("responses", "Problem");
  return out;
}

void add_answer_components(json_value& components, schema_components& schemas) {
  schemas.add("Problem", json_value::parse(R"({
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
      "type": {"type": "string"},
      "title": {"type": "string"},
      "status": {"type": "integer"},
      "detail": {"type": "string"},
      "code": {"type": "string", "description": "The status of the call, as gRPC names it."},
      "may_have_run": {"type": "boolean", "description": "Whether the command may have begun to run. False is a promise: the request may be sent again."},
      "errors": {
        "type": "array",
        "description": "What is wrong with the payload.",
        "items": {
          "type": "object",
          "required": ["path", "message"],
          "properties": {"path": {"type": "string"}, "message": {"type": "string"}}
        }
      },
      "step": {"type": "string", "description": "Which step of several has failed."},
      "undone": {"type": "array", "items": {"type": "string"}},
      "not_undone": {"type": "array", "items": {"type": "string"}}
    }
  })"));
  schemas.add("Receipt", json_value::parse(R"({
    "type": "object",
    "description": "Of an event.",
    "required": ["durable"],
    "properties": {
      "durable": {"type": "boolean", "description": "It is on disk; otherwise it is only broadcast."},
      "stream": {"type": "string"},
      "sequence": {"type": "integer", "minimum": 0},
      "repeated": {"type": "boolean", "description": "The same Idempotency-Key came before: this is that event's receipt."}
    }
  })"));
  schemas.add("Operation", json_value::parse(R"({
    "type": "object",
    "description": "A command that is run later.",
    "required": ["operation", "state"],
    "properties": {
      "operation": {"type": "string"},
      "command": {"type": "string"},
      "state": {"type": "string", "examples": ["waiting", "running", "retrying", "succeeded", "failed"]},
      "accepted_ms": {"type": "integer"},
      "next_attempt_ms": {"type": "integer"},
      "ended_ms": {"type": "integer"},
      "status": {"type": "string"},
      "result": {},
      "error": {"$ref": "#/components/schemas/Problem"}
    }
  })"));
  components["headers"] = {
      {"X-Request-Id", header("The request's own, or one that was made for it.")},
      {"Deprecation", header("Since when, as RFC 9745 has it.")},
      {"Sunset", header("Until when, as RFC 8594 has it.")},
      {"Retry-After", header("In how many seconds trying again makes sense.", {{"type", "integer"}, {"minimum", 0}})},
      {"Waggle-Incomplete", header("What is missing, or was replaced, as in \"a, b\".")},
  };
  components["responses"] = {
      {"Problem",
       {{"description", "What went wrong, as RFC 9457 has it."},
        {"headers", {{"X-Request-Id", component_reference("headers", "X-Request-Id")}, {"Retry-After", component_reference("headers", "Retry-After")}}},
        {"content", {{"application/problem+json", {{"schema", component_reference("schemas", "Problem")}}}}}}},
      {"Kept",
       {{"description", "Kept, and run later: Location is where the outcome will be."},
        {"headers",
         {{"X-Request-Id", component_reference("headers", "X-Request-Id")},
          {"Location", header("/operations/ID", {{"type", "string"}, {"format", "uri-reference"}})},
          {"Preference-Applied", header("respond-async, if the client has asked for it.")}}},
        {"content", openapi_content(component_reference("schemas", "Operation"))}}},
  };
}

}  // namespace waggle::gateway
