#include "gateway/routes/openapi_inputs.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include <waggle/wire/json.hpp>

#include "gateway/front/http_syntax.hpp"

namespace waggle::gateway {
namespace {

using part = source::part;

json_value text_schema() { return {{"type", "string"}}; }

json_value schema_of(text_type type) {
  switch (type) {
    case text_type::integer: return {{"type", "integer"}};
    case text_type::number: return {{"type", "number"}};
    case text_type::boolean: return {{"type", "boolean"}};
    case text_type::list: return {{"type", "array"}, {"items", text_schema()}};
    case text_type::automatic:
    case text_type::string: break;
  }
  return text_schema();
}

json_value one_of(const std::vector<std::string>& texts) {
  auto out = text_schema();
  if (!texts.empty()) out["enum"] = texts;
  return out;
}

/// Headers that OpenAPI says in other ways; as parameters they would mean nothing.
bool is_said_otherwise(const std::string& header) {
  constexpr std::array<std::string_view, 3> known = {"Accept", "Content-Type", "Authorization"};
  return std::any_of(known.begin(), known.end(), [&](auto each) { return front::syntax::equal_without_case(each, header); });
}

bool same_name(const std::string& in, const std::string& a, const std::string& b) {
  return in == "header" ? front::syntax::equal_without_case(a, b) : a == b;
}

/// JSON where the schema has a place for it.
json_value with_default(json_value schema, const std::string& msgpack) {
  auto value = json_value::parse(wire::msgpack_to_json(msgpack), nullptr, false);
  if (schema.is_object() && !value.is_discarded()) schema["default"] = std::move(value);
  return schema;
}

bool has(const std::vector<std::string>& names, const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); }

}  // namespace

json_value request_of(const target_plan& target, schema_components& schemas) {
  if (!target.info) return json_value::object();
  return schemas.of_command(target.info->service, target.command, "request", target.info->request);
}

json_value request_of(const step_plan& step, schema_components& schemas) {
  return step.targets.empty() ? json_value::object() : request_of(step.targets.front(), schemas);
}

openapi_inputs::openapi_inputs(const route& of, schema_components& schemas) : schemas_{schemas}, path_{of.what.path.parameters()}, reads_body_{of.what.method != "GET" && of.plan->needs().body} {
  for (const auto& step : of.plan->steps()) {
    const auto request = request_of(step, schemas);
    if (const auto* value = std::get_if<value_config>(&step.what.payload)) {
      const auto& known = schemas.followed(request);
      const bool needs_any = known.is_object() && known.contains("required") && !known["required"].empty();
      // What an optional step lacks is missed only when its turn has come, unless its payload is made at once.
      const bool missed = step.what.needed == step_config::need::required || (!step.targets.empty() && step.targets.front().payload.at_once());
      add_value(*value, &request, missed && (needs_any || std::holds_alternative<value_config::object>(value->is)));
    } else {
      add_usual(request, of);
    }
    if (step.undo) {
      const auto undone = request_of(step.undo->target, schemas);
      add_value(step.what.undo->payload, &undone, false);
      if (step.undo->key) add_source(step.undo->key->from(), text_schema(), false);
    }
    add_step(step);
  }
  if (of.what.reply) add_value(*of.what.reply, nullptr, false);
  for (const auto& [name, text] : of.what.headers) {
    for (const auto& piece : text.pieces) {
      if (const auto* from = std::get_if<source>(&piece)) add_source(*from, text_schema(), false);
    }
  }
  for (const auto& each : of.what.when) add_source(each.of, one_of(each.is), true);
}

void openapi_inputs::also(const std::vector<condition>& conditions) {
  for (const auto& each : conditions) add_source(each.of, text_schema(), false);
}

/// What decides besides the payload.
void openapi_inputs::add_step(const step_plan& step) {
  if (step.key) {
    add_source(step.key->from(), text_schema(), !step.targets.empty() && step.targets.front().info && step.targets.front().info->needs_key);
  } else if (std::any_of(step.targets.begin(), step.targets.end(), [](const auto& each) { return each.info && each.info->needs_key; })) {
    add_other("header", "Waggle-Key", text_schema(), true);
  }
  if (!step.by) return;
  const auto* versions = std::get_if<target_config::versions>(&step.what.call->is);
  if (versions == nullptr) return add_source(step.by->from(), text_schema(), false);
  std::vector<std::string> texts;
  for (const auto& [text, command] : versions->is) texts.push_back(text);
  auto schema = one_of(versions->otherwise ? std::vector<std::string>{} : texts);
  if (versions->otherwise) schema["examples"] = texts;
  add_source(step.by->from(), std::move(schema), !versions->otherwise);
}

/// As gateway/README.md says it of "Fields".
void openapi_inputs::add_usual(const json_value& request, const route& of) {
  for (const auto& each : path_) {
    const auto* known = schemas_.entry(request, each);
    add_source({part::path, each, {}, {}}, known != nullptr ? *known : text_schema(), true);
  }
  if (of.what.method == "GET" || of.what.method == "DELETE") return add_query(request, path_);
  if (!whole_body_.is_null()) return;
  const auto& known = schemas_.followed(request);
  whole_body_ = request;
  const bool shares = std::any_of(path_.begin(), path_.end(), [&](const auto& each) { return schemas_.entry(request, each) != nullptr; });
  std::size_t left = 0;
  if (known.is_object() && known.contains("required")) {
    for (const auto& each : known["required"]) left += has(path_, each.get_ref<const std::string&>()) ? 0 : 1;
  }
  body_needed_ = body_needed_ || left != 0;
  if (!shares) return;
  auto rest = known;
  for (const char* const gone : {"title", "$defs", "definitions", "required"}) rest.erase(gone);  // references lead to the component's
  for (const auto& each : path_) rest["properties"].erase(each);
  for (const auto& each : known.value("required", json_value::array())) {
    if (!has(path_, each.get_ref<const std::string&>())) rest["required"].push_back(each);
  }
  whole_body_ = std::move(rest);
}

void openapi_inputs::add_query(const json_value& request, const std::vector<std::string>& in_path) {
  const auto& known = schemas_.followed(request);
  if (!known.is_object() || !known.contains("properties")) return;
  for (const auto& [name, schema] : known["properties"].items()) {
    const auto& is = schemas_.followed(schema);
    const bool object = is.is_object() && is.contains("type") && is["type"] == "object";  // no text becomes one
    if (!object && !has(in_path, name)) add_other("query", name, schema, schemas_.needs(request, name));
  }
}

/// `schema`: of the value that is made; null if nothing is known of it.
void openapi_inputs::add_value(const value_config& value, const json_value* schema, bool needed) {
  if (const auto* taken = std::get_if<value_config::taken>(&value.is)) {
    const bool known = schema != nullptr && !(schema->is_object() && schema->empty());
    auto is = known ? *schema : taken->from.is_text() ? schema_of(taken->type) : json_value::object();
    if (taken->otherwise) is = with_default(std::move(is), *taken->otherwise);
    add_source(taken->from, std::move(is), needed && !taken->otherwise);
  } else if (const auto* object = std::get_if<value_config::object>(&value.is)) {
    for (const auto& [key, each] : object->entries) {
      const auto* entry = schema != nullptr ? schemas_.entry(*schema, key) : nullptr;
      add_value(each, entry, needed && schema != nullptr && schemas_.needs(*schema, key));
    }
  } else if (const auto* list = std::get_if<value_config::list>(&value.is)) {
    const auto* of = schema != nullptr ? &schemas_.followed(*schema) : nullptr;
    const auto* items = of != nullptr && of->is_object() && of->contains("items") ? &of->at("items") : nullptr;
    for (const auto& each : list->items) add_value(each, items, false);
  }
}

void openapi_inputs::add_source(const source& from, json_value schema, bool needed) {
  switch (from.from) {
    case part::path: {
      const auto [at, added] = in_path_.try_emplace(from.name, schema);
      if (!added && at->second == text_schema()) at->second = std::move(schema);
      break;
    }
    case part::query: add_other("query", from.name, std::move(schema), needed); break;
    case part::header:
      if (!is_said_otherwise(from.name)) add_other("header", from.name, std::move(schema), needed);
      break;
    case part::cookie: add_other("cookie", from.name, std::move(schema), needed); break;
    case part::body: add_body(from, std::move(schema), needed); break;
    case part::claim: uses_claims_ = true; break;
    case part::env:
    case part::step:
    case part::error: break;
  }
}

/// Where one is used twice the first that says a type is shown.
void openapi_inputs::add_other(const char* in, const std::string& name, json_value schema, bool needed) {
  for (auto& each : others_) {
    if (each["in"] != in || !same_name(in, each["name"].get_ref<const std::string&>(), name)) continue;
    if (each["schema"] == text_schema()) each["schema"] = std::move(schema);
    if (needed) each["required"] = true;
    return;
  }
  json_value out = {{"name", name}, {"in", in}};
  if (needed) out["required"] = true;
  out["schema"] = std::move(schema);
  others_.push_back(std::move(out));
}

void openapi_inputs::add_body(const source& from, json_value schema, bool needed) {
  body_needed_ = body_needed_ || needed;
  auto* at = &body_;
  for (const auto& step : from.steps) {
    at = &at->entries[step];
    at->needed = at->needed || needed;
  }
  const bool says_nothing = !at->schema || (at->schema->is_object() && at->schema->empty());
  if (says_nothing) at->schema = std::move(schema);
}

json_value openapi_inputs::body_node::shown() const {
  const bool says_nothing = !schema || (schema->is_object() && schema->empty());
  if (entries.empty() || !says_nothing) return schema.value_or(json_value::object());
  json_value out = {{"type", "object"}};
  for (const auto& [name, entry] : entries) {
    if (entry.needed) out["required"].push_back(name);
  }
  for (const auto& [name, entry] : entries) out["properties"][name] = entry.shown();
  return out;
}

json_value openapi_inputs::parameters(const std::vector<std::string>& path_names) const {
  json_value out = json_value::array();
  for (std::size_t i = 0; i < path_.size(); ++i) {
    const auto known = in_path_.find(path_[i]);
    out.push_back({{"name", path_names[i]}, {"in", "path"}, {"required", true}, {"schema", known == in_path_.end() ? text_schema() : known->second}});
  }
  for (const auto& each : others_) out.push_back(each);
  return out;
}

json_value openapi_inputs::body() const {
  if (body_.schema || !body_.entries.empty()) return {{"required", body_needed_}, {"schema", body_.shown()}};
  if (!whole_body_.is_null()) return {{"required", body_needed_}, {"schema", whole_body_}};
  return reads_body_ ? json_value{{"required", false}, {"schema", json_value::object()}} : json_value{};
}

}  // namespace waggle::gateway
