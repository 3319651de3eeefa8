#pragma once

#include <algorithm>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace waggle::gateway::test {

/// What is wrong with an OpenAPI document, by those of its rules that no schema says. A slow and obvious second opinion; the end-to-end tests ask
/// validators that others have written.
class openapi_faults {
 public:
  explicit openapi_faults(const nlohmann::json& document) : document_{document} {
    std::set<std::string> ids, shapes;
    for (const auto& [path, item] : document.at("paths").items()) {
      require(path.starts_with('/'), path + " does not begin with a slash");
      require(shapes.insert(std::regex_replace(path, std::regex{R"(\{[^/]*\})"}, "{}")).second, path + " stands there twice");
      for (const auto& [method, operation] : item.items()) {
        const auto where = method + ' ' + path;
        require(std::set<std::string>{"get", "put", "post", "delete", "patch"}.contains(method), where + " is no method");
        require(ids.insert(operation.at("operationId")).second, where + " has another one's operationId");
        check_parameters(where, path, operation.value("parameters", nlohmann::json::array()));
        if (operation.contains("requestBody")) check_content(where, operation.at("requestBody").at("content"));
        require(!operation.at("responses").empty(), where + " has no responses");
        for (const auto& [status, response] : operation.at("responses").items()) {
          require(status == "default" || std::regex_match(status, std::regex{"[1-5][0-9][0-9]"}), where + ": " + status + " is no status");
          const auto& known = followed(where, response);
          require(known.contains("description"), where + ": a response without a description");
          const auto headers = known.value("headers", nlohmann::json::object());
          for (const auto& [name, header] : headers.items()) check_schema(where, followed(where, header).at("schema"));
          check_content(where, known.value("content", nlohmann::json::object()));
        }
      }
    }
    const auto components = document.at("components");
    for (const auto& [kind, all] : components.items()) {
      for (const auto& [name, each] : all.items()) {
        require(std::regex_match(name, std::regex{"[a-zA-Z0-9._-]+"}), name + " is no component's name");
        if (kind == "schemas") check_schema("schema " + name, each);
      }
    }
  }

  [[nodiscard]] const std::vector<std::string>& all() const { return faults_; }

 private:
  void require(bool holds, const std::string& otherwise) {
    if (!holds) faults_.push_back(otherwise);
  }

  const nlohmann::json& followed(const std::string& where, const nlohmann::json& of) {
    if (!of.contains("$ref")) return of;
    const nlohmann::json::json_pointer at{of.at("$ref").get<std::string>().substr(1)};
    require(document_.contains(at), where + ": " + at.to_string() + " leads nowhere");
    return document_.contains(at) ? document_.at(at) : of;
  }

  void check_parameters(const std::string& where, const std::string& path, const nlohmann::json& parameters) {
    std::set<std::pair<std::string, std::string>> seen;
    std::set<std::string> in_path;
    for (const auto& listed : parameters) {
      const auto& each = followed(where, listed);
      const std::string in = each.at("in"), name = each.at("name");
      require(seen.emplace(in, name).second, where + ": " + in + " parameter " + name + " stands there twice");
      require(std::set<std::string>{"path", "query", "header", "cookie"}.contains(in), where + ": a parameter in " + in);
      if (in == "path") {
        require(each.value("required", false), where + ": " + name + " is not required");
        require(path.find('{' + name + '}') != path.npos, where + ": " + name + " is not in the path");
        in_path.insert(name);
      }
      check_schema(where, each.at("schema"));
    }
    const std::regex parameter{R"(\{([^/]*)\})"};
    for (std::sregex_iterator i{path.begin(), path.end(), parameter}, end; i != end; ++i) {
      require(in_path.contains((*i)[1]), where + ": " + (*i)[1].str() + " is not declared");
    }
  }

  void check_content(const std::string& where, const nlohmann::json& content) {
    for (const auto& [type, each] : content.items()) {
      require(type.find('/') != type.npos, where + ": " + type + " is no media type");
      check_schema(where, each.at("schema"));
    }
  }

  void check_schema(const std::string& where, const nlohmann::json& schema) {
    if (schema.is_boolean()) return;
    require(schema.is_object(), where + ": a schema that is none: " + schema.dump());
    if (!schema.is_object()) return;
    for (const auto& [key, value] : schema.items()) {
      if (key == "$ref") {
        require(value.is_string() && value.get<std::string>().starts_with("#/components/"), where + ": a reference that is none: " + value.dump());
        if (value.is_string()) followed_schema(where, value);
      } else if (key == "properties" || key == "patternProperties" || key == "$defs" || key == "definitions" || key == "dependentSchemas") {
        require(value.is_object(), where + ": " + key + " is no object");
        for (const auto& each : value) check_schema(where, each);
      } else if (key == "allOf" || key == "anyOf" || key == "oneOf" || key == "prefixItems") {
        require(value.is_array() && !value.empty(), where + ": " + key + " is no list");
        for (const auto& each : value) check_schema(where, each);
      } else if (key == "items" || key == "additionalProperties" || key == "not" || key == "if" || key == "then" || key == "else" || key == "contains" ||
                 key == "propertyNames" || key == "unevaluatedItems" || key == "unevaluatedProperties" || key == "contentSchema") {
        check_schema(where, value);
      } else if (key == "required") {
        require(value.is_array() && std::all_of(value.begin(), value.end(), [](const auto& each) { return each.is_string(); }),
                where + ": required is " + value.dump());
      } else if (key == "type") {
        require(value.is_string() || (value.is_array() && !value.empty()), where + ": type is " + value.dump());
      } else if (key == "title" || key == "description" || key == "format" || key == "pattern") {
        require(value.is_string(), where + ": " + key + " is " + value.dump());
      }
    }
  }

  /// Percent-encoding is undone, as whoever follows a reference does.
  void followed_schema(const std::string& where, const std::string& reference) {
    std::string text;
    for (std::size_t i = 1; i < reference.size(); ++i) {
      if (reference[i] == '%') {
        text += static_cast<char>(std::stoi(reference.substr(i + 1, 2), nullptr, 16));
        i += 2;
      } else {
        text += reference[i];
      }
    }
    const nlohmann::json::json_pointer at{text};
    require(document_.contains(at), where + ": " + reference + " leads nowhere");
    if (document_.contains(at)) require(document_.at(at).is_object() || document_.at(at).is_boolean(), where + ": " + reference + " is no schema");
  }

  const nlohmann::json& document_;
  std::vector<std::string> faults_;
};

inline std::vector<std::string> faults_of(const nlohmann::json& document) { return openapi_faults{document}.all(); }

}  // namespace waggle::gateway::test
