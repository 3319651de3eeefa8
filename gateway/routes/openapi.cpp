#include "gateway/routes/openapi.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "gateway/front/http_syntax.hpp"

namespace waggle::gateway {
namespace {

using part = field_source::part;

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
      operations_.emplace(&each, unique(operation_names_, each.what.command));
    }
    for (const auto& [shape, routes] : paths) {
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

  /// Where a command's schema is in the document; empty if it is not known.
  std::string component(const route& from, const char* which, const json_value& schema) {
    if (!schema.is_object()) return {};
    auto [at, added] = components_.try_emplace({from.what.command, which});
    if (added) {
      std::string wanted = from.what.command + '.' + which;
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
    const json_value& request = from.command ? from.command->request : unknown;
    const std::string request_at = component(from, "request", request);
    json_value out = json_value::object();
    if (from.command) out["tags"] = {from.command->service};
    if (!from.what.summary.empty()) out["summary"] = from.what.summary;
    std::string description = from.command ? from.command->doc : "";
    if (from.command && from.command->streams) {
      description += description.empty() ? "" : "\n\n";
      description += "The answer holds what the command sent before its reply, in order, and the reply.";
    }
    if (!description.empty()) out["description"] = description;
    out["operationId"] = operations_.at(&from);

    inputs in{request, request_at};
    const auto parameters = from.what.path.parameters();
    if (const auto* fields = std::get_if<std::vector<field_binding>>(&from.what.fields)) {
      for (const auto& each : *fields) in.add(each);
      if (in.body_fields.schema || !in.body_fields.entries.empty()) in.body = in.body_fields.shown();
    } else if (std::holds_alternative<route_config::whole_body>(from.what.fields)) {
      in.body = reference(request_at);
      in.body_required = !in.required.empty();
    } else {
      in.add_usual(from.what.method == "GET" || from.what.method == "DELETE", parameters);
    }
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

    const std::string reply_at = from.command ? component(from, "reply", from.command->reply) : std::string{};
    json_value reply = reference(reply_at);
    if (from.command && from.command->streams) {
      reply = {{"type", "object"},
               {"required", {"parts", "reply"}},
               {"properties", {{"parts", {{"type", "array"}}}, {"reply", std::move(reply)}}}};
    }
    out["responses"] = {{"200", {{"description", "The command's reply."}, {"content", content(reply)}}},
                        {"default", {{"$ref", "#/components/responses/Problem"}}}};
    return out;
  }

  /// What a request of one route carries, collected field by field.
  struct inputs {
    inputs(const json_value& schema, const std::string& component) : request{schema}, request_at{component} {
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

    void add(const field_binding& field) {
      const bool needed = !field.otherwise && required.contains(field.field);
      switch (field.source.from) {
        case part::path: path.try_emplace(field.source.name, schema_of(field.field)); break;
        case part::query: add_other("query", field.source.name, schema_of(field.field), needed); break;
        case part::header: add_other("header", field.source.name, schema_of(field.field), needed); break;
        case part::body: add_body(field, needed); break;
        case part::constant: break;
      }
    }

    void add_body(const field_binding& field, bool needed) {
      body_required = body_required || needed;
      body_node* at = &body_fields;
      for (const auto& step : field.source.steps) {
        at = &at->entries[step];
        at->needed = at->needed || needed;
      }
      if (!at->schema) at->schema = schema_of(field.field, json_value::object());
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

    const json_value& request;
    const std::string& request_at;
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
