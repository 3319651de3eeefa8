#include "gateway/routes/openapi.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "gateway/front/http_syntax.hpp"

namespace waggle::gateway {
namespace {

using part = source::part;

/// References within a schema are to its own root, which in the document is the component.
void rebase(json_value& schema, const std::string& component) {
  if (schema.is_array()) {
    for (auto& each : schema) rebase(each, component);
  }
  if (!schema.is_object()) return;
  for (auto& [key, value] : schema.items()) {
    if (key == "$ref" && value.is_string()) {
      auto& text = value.get_ref<std::string&>();
      if (text == "#" || text.starts_with("#/")) text = component + text.substr(1);
    } else if (key == "properties" || key == "patternProperties" || key == "$defs" || key == "dependentSchemas") {
      if (!value.is_object()) continue;
      for (auto& [name, each] : value.items()) rebase(each, component);  // names, not keywords
    } else if (key != "enum" && key != "const" && key != "default" && key != "examples") {
      rebase(value, component);
    }
  }
}

class document {
 public:
  document(const route_table& table, std::string_view title, std::string_view version) {
    out_ = {{"openapi", "3.1.0"}, {"info", {{"title", title}, {"version", version}}}, {"paths", json_value::object()}};
    std::map<std::string, std::vector<const route*>> paths;
    for (const auto& each : table.routes()) {
      paths[each.what.path.shape()].push_back(&each);
      operations_.emplace(&each, unique(operation_names_, name_of(each)));
    }
    for (auto& [shape, routes] : paths) {
      // An operation is a method of a path: of routes that differ in their conditions the last, without any, is shown.
      std::stable_sort(routes.begin(), routes.end(), [](const auto* a, const auto* b) { return a->what.when.size() > b->what.when.size(); });
      // Paths that differ in their parameters' names only are one path here: the first route's names stand for all.
      const auto names = routes.front()->what.path.parameters();
      json_value& item = out_["paths"][routes.front()->what.path.text()];
      for (const auto* each : routes) {
        std::string method = each->what.method;
        std::transform(method.begin(), method.end(), method.begin(), front::syntax::lower);
        item[method] = operation(*each, names);
      }
    }
    schemas_["Problem"] = problem_schema();
    out_["components"] = {
        {"schemas", std::move(schemas_)},
        {"responses",
         {{"Problem",
           {{"description", "What went wrong, as RFC 9457 has it."},
            {"content", {{"application/problem+json", {{"schema", {{"$ref", "#/components/schemas/Problem"}}}}}}}}}}}};
  }

  [[nodiscard]] std::string text() const { return out_.dump(); }

 private:
  static json_value problem_schema() {
    return json_value::parse(R"({
      "type": "object",
      "required": ["type", "title", "status", "detail"],
      "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "The status of the call, as gRPC names it."},
        "may_have_run": {"type": "boolean", "description": "Whether the command may have begun to run. False is a promise."},
        "errors": {
          "type": "array",
          "items": {
            "type": "object",
            "required": ["path", "message"],
            "properties": {"path": {"type": "string"}, "message": {"type": "string"}}
          }
        }
      }
    })");
  }

  static std::string unique(std::set<std::string>& taken, const std::string& wanted) {
    std::string out = wanted;
    for (int i = 2; !taken.insert(out).second; ++i) out = wanted + '_' + std::to_string(i);
    return out;
  }

  /// What the route is called: by its command, or by its method and path where it is more than one.
  static std::string name_of(const route& from) {
    return from.what.composed ? from.what.method + from.what.path.text() : from.aims().substr(0, from.aims().find(','));
  }

  /// Where a command's schema is in the document; empty if it is not known.
  std::string component(const std::string& command, const char* which, const json_value& schema) {
    if (!schema.is_object()) return {};
    auto [at, added] = components_.try_emplace({command, which});
    if (added) {
      std::string wanted = command + '.' + which;
      for (char& c : wanted) {
        const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
                           c == '_' || c == '-';
        if (!plain) c = '_';
      }
      const auto name = unique(component_names_, wanted);
      at->second = "#/components/schemas/" + name;
      json_value copy = schema;
      copy.erase("$schema");
      copy.erase("$id");
      rebase(copy, at->second);
      schemas_[name] = std::move(copy);
    }
    return at->second;
  }

  static json_value reference(const std::string& component) {
    return component.empty() ? json_value::object() : json_value{{"$ref", component}};
  }

  /// Both forms of one value.
  static json_value content(const json_value& schema) {
    return {{"application/json", {{"schema", schema}}}, {"application/vnd.msgpack", {{"schema", schema}}}};
  }

  json_value operation(const route& from, const std::vector<std::string>& path_names) {
    static const json_value unknown;
    const auto* command = from.command();
    json_value out = json_value::object();
    if (command != nullptr) out["tags"] = {command->service};
    if (!from.what.summary.empty()) out["summary"] = from.what.summary;
    std::string description = command != nullptr ? command->doc : "";
    const bool streams = from.simple() && command != nullptr && command->streams;
    if (streams) {
      description += description.empty() ? "" : "\n\n";
      description += "The answer holds what the command sent before its reply, in order, and the reply.";
    }
    if (!description.empty()) out["description"] = description;
    if (from.what.deprecated) out["deprecated"] = true;
    out["operationId"] = operations_.at(&from);

    const auto parameters = from.what.path.parameters();
    inputs in;
    for (const auto& step : from.plan->steps()) {
      const auto* target = step.targets.empty() ? nullptr : &step.targets.front();
      const json_value& request = target != nullptr && target->info ? target->info->request : unknown;
      in.of(request, target != nullptr ? component(target->command, "request", request) : std::string{});
      if (const auto* value = std::get_if<value_config>(&step.what.payload)) {
        in.add(*value, {}, true);
      } else {
        in.add_usual(from.what.method == "GET" || from.what.method == "DELETE", parameters);
      }
    }
    in.of(unknown, {});
    if (from.what.reply) in.add(*from.what.reply, {}, true);
    for (const auto& each : from.what.when) in.add_source(each.of, {{"type", "string"}}, !each.is.empty());
    if (in.body_fields.schema || !in.body_fields.entries.empty()) in.body = in.body_fields.shown();
    json_value listed = json_value::array();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const auto known = in.path.find(parameters[i]);
      listed.push_back({{"name", path_names[i]},
                        {"in", "path"},
                        {"required", true},
                        {"schema", known == in.path.end() ? json_value{{"type", "string"}} : known->second}});
    }
    for (auto& each : in.others) listed.push_back(std::move(each));
    if (!listed.empty()) out["parameters"] = std::move(listed);
    if (!in.body.is_null()) out["requestBody"] = {{"required", in.body_required}, {"content", content(in.body)}};

    json_value reply = json_value::object();
    if (command != nullptr && !from.what.reply) {
      reply = reference(component(from.plan->steps().front().targets.front().command, "reply", command->reply));
    }
    if (streams) {
      reply = {{"type", "object"},
               {"required", {"parts", "reply"}},
               {"properties", {{"parts", {{"type", "array"}}}, {"reply", std::move(reply)}}}};
    }
    if (from.what.later) {
      reply = json_value::parse(R"({"type":"object","required":["operation","state"],
        "properties":{"operation":{"type":"string"},"state":{"type":"string"}}})");
    }
    const auto status = from.what.later ? 202 : from.what.status.value_or(from.what.composed || from.what.steps.front().emit.empty() ? 200 : 202);
    json_value content_of = content(reply);
    if (streams && from.what.stream != stream_mode::whole) {
      for (const char* const type : {"text/event-stream", "application/x-ndjson"}) content_of[type] = json_value::object();
    }
    out["responses"] = {{std::to_string(status), {{"description", from.what.later ? "Kept, and run later: Location is where the outcome will be." : "The reply."},
                                                  {"content", content_of}}},
                        {"default", {{"$ref", "#/components/responses/Problem"}}}};
    if (from.what.incomplete && *from.what.incomplete != status) {
      out["responses"][std::to_string(*from.what.incomplete)] = {{"description", "The reply, without what Waggle-Incomplete names."},
                                                                  {"content", content(json_value::object())}};
    }
    return out;
  }

  /// What a request of one route carries, collected field by field.
  struct inputs {
    /// From now on fields are those of this request schema.
    void of(const json_value& schema, std::string component) {
      request = schema;
      request_at = std::move(component);
      required.clear();
      if (!request.is_object()) return;
      if (const auto at = request.find("required"); at != request.end() && at->is_array()) {
        for (const auto& each : *at) {
          if (each.is_string()) required.insert(each.get<std::string>());
        }
      }
    }

    /// Of one field of the payload; a text if it is not known.
    [[nodiscard]] json_value schema_of(const std::string& field,
                                       const json_value& otherwise = {{"type", "string"}}) const {
      if (!request.is_object()) return otherwise;
      const auto properties = request.find("properties");
      if (properties == request.end() || !properties->is_object() || !properties->contains(field)) return otherwise;
      json_value out = (*properties)[field];
      rebase(out, request_at);
      return out;
    }

    void add_other(const char* in, const std::string& name, const json_value& schema, bool needed) {
      for (auto& each : others) {
        if (each["in"] == in && each["name"] == name) return;
      }
      json_value out = {{"name", name}, {"in", in}};
      if (needed) out["required"] = true;
      out["schema"] = schema;
      others.push_back(std::move(out));
    }

    void add_usual(bool query, const std::vector<std::string>& parameters) {
      for (const auto& each : parameters) path[each] = schema_of(each);
      const auto in_path = [&](const std::string& name) {
        return std::find(parameters.begin(), parameters.end(), name) != parameters.end();
      };
      if (!query) {
        body = reference(request_at);
        if (!parameters.empty() && request.is_object()) {
          body = request;
          body.erase("$schema");
          body.erase("$id");
          body.erase("$defs");  // its references lead to the component's
          rebase(body, request_at);
          if (body.contains("properties") && body["properties"].is_object()) {
            for (const auto& each : parameters) body["properties"].erase(each);
          }
          for (const auto& each : parameters) required.erase(each);
          if (body.contains("required")) body["required"] = required;
        }
        body_required = !required.empty();
        return;
      }
      if (!request.is_object() || !request.contains("properties") || !request["properties"].is_object()) return;
      for (const auto& [name, schema] : request["properties"].items()) {
        if (in_path(name) || (schema.is_object() && schema.value("type", json_value{}) == "object")) continue;
        add_other("query", name, schema_of(name), required.contains(name));
      }
    }

    /// All that a value takes from the request. `top`: its entries are the payload's fields.
    void add(const value_config& value, const std::string& field, bool top) {
      if (const auto* taken = std::get_if<value_config::taken>(&value.is)) {
        const bool needed = !taken->otherwise && (field.empty() ? !required.empty() : required.contains(field));
        const bool whole = taken->from.from == part::body && taken->from.steps.empty() && field.empty();
        add_source(taken->from,
                   whole         ? reference(request_at)
                   : field.empty() ? json_value{{"type", "string"}}
                                   : schema_of(field, taken->from.from == part::body ? json_value::object() : json_value{{"type", "string"}}),
                   needed);
      } else if (const auto* object = std::get_if<value_config::object>(&value.is)) {
        for (const auto& [key, each] : object->entries) add(each, top ? key : field, false);
      } else if (const auto* list = std::get_if<value_config::list>(&value.is)) {
        for (const auto& each : list->items) add(each, field, false);
      }
    }

    void add_source(const source& from, const json_value& schema, bool needed) {
      switch (from.from) {
        case part::path: path.try_emplace(from.name, schema); break;
        case part::query: add_other("query", from.name, schema, needed); break;
        case part::header: add_other("header", from.name, schema, needed); break;
        case part::cookie: add_other("cookie", from.name, schema, needed); break;
        case part::body: add_body(from, schema, needed); break;
        default: break;
      }
    }

    void add_body(const source& from, const json_value& schema, bool needed) {
      body_required = body_required || needed;
      body_node* at = &body_fields;
      for (const auto& step : from.steps) {
        at = &at->entries[step];
        at->needed = at->needed || needed;
      }
      if (!at->schema) at->schema = schema;
    }

    /// The body that fields are taken from: where one field is a whole value, others may be parts of it.
    struct body_node {
      std::map<std::string, body_node> entries;
      std::optional<json_value> schema;
      bool needed = false;

      [[nodiscard]] json_value shown() const {
        if (schema) return *schema;
        json_value out = {{"type", "object"}};
        for (const auto& [name, entry] : entries) {
          if (entry.needed) out["required"].push_back(name);
        }
        for (const auto& [name, entry] : entries) out["properties"][name] = entry.shown();
        return out;
      }
    };

    json_value request;
    std::string request_at;
    std::set<std::string> required;
    std::map<std::string, json_value> path;
    std::vector<json_value> others;  // query parameters and headers
    json_value body;
    bool body_required = false;
    body_node body_fields;
  };

  json_value out_;
  json_value schemas_ = json_value::object();
  std::map<std::pair<std::string, std::string>, std::string> components_;
  std::set<std::string> component_names_{"Problem"};
  std::map<const route*, std::string> operations_;
  std::set<std::string> operation_names_;
};

}  // namespace

std::string openapi_document(const route_table& table, std::string_view title, std::string_view version) {
  return document{table, title, version}.text();
}

}  // namespace waggle::gateway
