#include "gateway/routes/openapi.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/front/http_syntax.hpp"
#include "gateway/routes/openapi_access.hpp"
#include "gateway/routes/openapi_answers.hpp"
#include "gateway/routes/openapi_inputs.hpp"
#include "gateway/routes/schema_components.hpp"

namespace waggle::gateway {
namespace {

constexpr std::string_view built_in_tag = "waggle";
/// A first line that is longer is no summary.
constexpr std::size_t summary_bytes_max = 120;

/// "GET /things/{id}" as get_things_id: letters, digits and _ only, since programs are made of it.
std::string name_of(const route& from) {
  std::string out;
  for (const char c : front::syntax::lower(from.what.method) + from.what.path.text()) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
    if (plain) {
      out += c == '-' ? '_' : c;
    } else if (!out.empty() && out.back() != '_') {
      out += '_';
    }
  }
  while (out.ends_with('_')) out.pop_back();
  return out;
}

/// The service of the command, or the first word of what is called.
std::string tag_of(const route& from) {
  if (const auto* command = from.command()) return command->service;
  const auto aims = from.aims();
  return aims.substr(0, aims.find_first_of(".,"));
}

void add_paragraph(std::string& to, std::string_view text) {
  if (text.empty()) return;
  if (!to.empty()) to += "\n\n";
  to += text;
}

/// An object's members in their order. A member that is looked for is looked for from the first, so large objects are built at their ends.
void append(json_value& object, const std::string& name, json_value value) {
  object.get_ref<json_value::object_t&>().emplace_back(name, std::move(value));
}

using component_name = std::pair<std::string, std::string>;  // kind and name

/// The components that references within a value lead to.
void find_references(const json_value& in, std::vector<component_name>& out) {
  constexpr std::string_view at = "#/components/";
  if (in.is_object()) {
    if (const auto reference = in.find("$ref"); reference != in.end() && reference->is_string()) {
      std::string_view text = reference->get_ref<const std::string&>();
      if (text.starts_with(at)) {
        text.remove_prefix(at.size());
        const auto kind = text.substr(0, text.find('/'));
        text.remove_prefix(std::min(kind.size() + 1, text.size()));
        out.emplace_back(kind, text.substr(0, text.find('/')));
      }
    }
  }
  if (!in.is_structured()) return;
  for (const auto& each : in) find_references(each, out);
}

class document {
 public:
  document(const route_table& table, const openapi_options& with) : with_{with} {
    out_ = {{"openapi", "3.1.0"},
            {"info", {{"title", with.title}, {"version", with.version}}},
            // Where this document is: it may be behind a prefix.
            {"servers", {{{"url", "."}}}},
            {"paths", json_value::object()}};
    auto components = json_value::object();
    add_answer_components(components, schemas_);
    add_paths(table);
    add_built_in_paths();
    for (const auto& each : tags_) out_["tags"].push_back({{"name", each}});
    components["parameters"] = parameters();
    out_["components"] = used(components);
    if (auto schemes = security_schemes(with); !schemes.empty()) out_["components"]["securitySchemes"] = std::move(schemes);
  }

  [[nodiscard]] std::string text() const { return out_.dump(-1, ' ', false, json_value::error_handler_t::replace); }

 private:
  void add_paths(const route_table& table) {
    // Paths that differ in their parameters' names only are one path here: the first route's names stand for all.
    std::map<std::string, std::vector<const route*>> paths;
    for (const auto& each : table.routes()) paths[each.what.path.shape()].push_back(&each);
    name_operations(table);
    for (const auto& [shape, routes] : paths) {
      shapes_.insert(shape);
      const auto& first = routes.front()->what.path;
      json_value item = json_value::object();
      for (const auto* each : routes) {
        const auto method = front::syntax::lower(each->what.method);
        if (!item.contains(method)) item[method] = operation(shown_of(routes, each->what.method), first.parameters());
      }
      append(out_["paths"], first.text(), std::move(item));
    }
  }

  /// A command's first route in its manifest is named like the command, any other by its method and path.
  void name_operations(const route_table& table) {
    for (const auto& each : table.routes()) {
      if (!each.configured) names_.try_emplace(each.aims(), &each);
    }
    for (const auto& [command, of] : names_) taken_.insert(command);
  }

  std::string operation_id(const route& of) {
    if (const auto own = names_.find(of.aims()); own != names_.end() && own->second == &of) return own->first;
    const auto wanted = name_of(of);
    auto out = wanted;
    for (int i = 2; !taken_.insert(out).second; ++i) out = wanted + '_' + std::to_string(i);
    return out;
  }

  /// An operation is a method of a path. Of routes that differ in their conditions it is the one with the fewest, and the others are mentioned.
  static std::vector<const route*> shown_of(const std::vector<const route*>& routes, const std::string& method) {
    std::vector<const route*> out;
    for (const auto* each : routes) {
      if (each->what.method == method) out.push_back(each);
    }
    std::stable_sort(out.begin(), out.end(), [](const auto* a, const auto* b) { return a->what.when.size() < b->what.when.size(); });
    return out;
  }

  json_value operation(const std::vector<const route*>& routes, const std::vector<std::string>& path_names) {
    const auto& from = *routes.front();
    openapi_inputs in{from, schemas_};
    std::string variants;
    for (std::size_t i = 1; i < routes.size(); ++i) {
      in.also(routes[i]->what.when);
      for (const auto& each : routes[i]->what.when) {
        const auto text = '`' + each.of.written() + '`';
        if (variants.find(text) == variants.npos) variants += (variants.empty() ? "" : ", ") + text;
      }
    }
    const auto tag = tag_of(from);
    json_value out = json_value::object();
    if (!tag.empty()) {
      tags_.insert(tag);
      out["tags"] = {tag};
    }
    describe(from, variants, out);
    out["operationId"] = operation_id(from);
    if (from.what.deprecated) out["deprecated"] = true;
    if (!from.what.link.empty()) out["externalDocs"] = {{"url", from.what.link}};
    auto parameters = in.parameters(path_names);
    const bool event = !from.what.composed && from.plan->steps().front().targets.empty();
    const bool asks_for_later = may_run_later(from) && !from.what.later;
    if (asks_for_later) parameters.push_back(component_reference("parameters", "Prefer"));
    if (from.what.idempotency != key_use::none) {
      auto key = idempotency_key("The same key again gets the first answer again; with another request it is 422, and while the first is answered 409.");
      key["required"] = from.what.idempotency == key_use::required;
      parameters.push_back(std::move(key));
    } else if (event || may_run_later(from)) {
      parameters.push_back(component_reference("parameters", "Idempotency-Key"));
    }
    runs_later_ = runs_later_ || may_run_later(from);
    if (!parameters.empty()) out["parameters"] = std::move(parameters);
    if (const auto body = in.body(); !body.is_null()) {
      out["requestBody"] = {{"required", body["required"]}, {"content", openapi_content(body["schema"])}};
    }
    out["responses"] = openapi_answers(from, in.uses_claims(), schemas_);
    if (auto security = security_of(from, with_); !security.is_null()) out["security"] = std::move(security);
    return out;
  }

  static void describe(const route& from, const std::string& variants, json_value& out) {
    const auto* command = from.command();
    std::string_view doc = command != nullptr ? command->doc : std::string_view{};
    auto summary = from.what.summary;
    if (summary.empty()) {
      const auto line = doc.substr(0, doc.find('\n'));
      if (line.size() <= summary_bytes_max) {
        summary = line;
        doc.remove_prefix(std::min(doc.size(), line.size() + 1));
      }
    }
    std::string description;
    add_paragraph(description, doc);
    if (from.simple && command != nullptr && command->streams) {
      add_paragraph(description, "The answer holds what the command sent before its reply, in order, and the reply.");
    }
    if (!variants.empty()) add_paragraph(description, "Another route may take the request, depending on " + variants + '.');
    if (!summary.empty()) out["summary"] = summary;
    if (!description.empty()) out["description"] = description;
  }

  /// What the gateway itself answers, unless a route does.
  void add_built_in_paths() {
    const auto add = [&](const std::string& path, const char* id, json_value parameters, json_value answer, const char* summary) {
      if (!shapes_.insert(parse_route("GET " + path)->path.shape()).second) return;
      tags_.insert(std::string{built_in_tag});
      append(out_["paths"], path,
             {{"get",
               {{"tags", {built_in_tag}},
                {"summary", summary},
                {"operationId", id},
                {"parameters", std::move(parameters)},
                {"responses", {{"200", std::move(answer)}, {"default", component_reference("responses", "Problem")}}}}}});
    };
    const json_value text = {{"type", "string"}};
    if (runs_later_) {
      json_value wait = {{"name", "Prefer"}, {"in", "header"}, {"description", "How many seconds to wait for the end."}, {"schema", text}, {"example", "wait=10"}};
      add("/operations/{id}", "waggle.operation",
          {{{"name", "id"}, {"in", "path"}, {"required", true}, {"schema", text}}, std::move(wait)},
          {{"description", "What is known of the command; Retry-After until it has ended."},
           {"headers", {{"Retry-After", component_reference("headers", "Retry-After")}}},
           {"content", openapi_content(component_reference("schemas", "Operation"))}},
          "The outcome of a command that is run later");
    }
    if (with_.events) {
      const auto query = [&](const char* name, const char* description, json_value schema) {
        return json_value{{"name", name}, {"in", "query"}, {"description", description}, {"schema", std::move(schema)}};
      };
      const json_value number = {{"type", "integer"}, {"minimum", 0}};
      add("/events", "waggle.events",
          {query("topic", "What topics begin with; without it all that is let out.", {{"type", "array"}, {"items", text}}),
           query("stream", "Of one stream only.", text),
           query("since", "Begins so long ago, as in 10m.", text),
           query("last", "Begins with so many of the last.", number),
           query("from", "Begins with a sequence.", number),
           query("last_event_id", "Goes on behind what has this id, as the header Last-Event-ID says it.", text)},
          {{"description", "Server-Sent Events, without an end."}, {"content", {{"text/event-stream", {{"schema", text}}}}}},
          "Events as they come");
    }
  }

  /// Only what is referred to, also from within other components.
  [[nodiscard]] json_value used(const json_value& components) const {
    std::map<component_name, const json_value*> found;
    std::vector<component_name> open;
    find_references(out_["paths"], open);
    while (!open.empty()) {
      const auto next = std::move(open.back());
      open.pop_back();
      const auto [at, added] = found.try_emplace(next, nullptr);
      if (!added) continue;
      if (next.first == "schemas") {
        at->second = schemas_.find(next.second);
      } else if (components.contains(next.first) && components[next.first].contains(next.second)) {  // an example may look like a reference
        at->second = &components[next.first][next.second];
      }
      if (at->second != nullptr) find_references(*at->second, open);
    }
    json_value out = json_value::object();
    for (const auto& [name, each] : found) {
      if (each == nullptr) continue;
      if (!out.contains(name.first)) out[name.first] = json_value::object();
      append(out[name.first], name.second, *each);
    }
    return out;
  }

  static json_value parameters() {
    return {{"Prefer",
             {{"name", "Prefer"},
              {"in", "header"},
              {"description", "respond-async (RFC 7240): the command is kept, then answered, then run."},
              {"schema", {{"type", "string"}}}}},
            {"Idempotency-Key", idempotency_key("The same key and payload again is the same command, or the same event, if it is kept.")}};
  }
  static json_value idempotency_key(const char* description) {
    return {{"name", "Idempotency-Key"},
            {"in", "header"},
            {"description", description},
            {"schema", {{"type", "string"}, {"minLength", 1}, {"maxLength", 255}}}};
  }

  const openapi_options& with_;
  json_value out_;
  schema_components schemas_;
  std::map<std::string, const route*> names_;  ///< of commands, by their first routes
  std::set<std::string> taken_{"waggle.operation", "waggle.events"};
  std::set<std::string> tags_;
  std::set<std::string> shapes_;  ///< of paths
  bool runs_later_ = false;
};

}  // namespace

std::string openapi_document(const route_table& table, const openapi_options& with) { return document{table, with}.text(); }

}  // namespace waggle::gateway
