#include "gateway/routes/config.hpp"

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <map>
#include <set>
#include <sstream>
#include <utility>

#include <yaml-cpp/yaml.h>

#include <waggle/detail/duration.hpp>
#include <waggle/wire/utf8.hpp>

#include "gateway/front/http_syntax.hpp"
#include "gateway/routes/yaml_value.hpp"

namespace waggle::gateway {
namespace {

using part = field_source::part;

std::string in_quotes(std::string_view text) { return '"' + std::string{text} + '"'; }

/// Reads files one after the other into one configuration and goes on after each fault.
class config_reader {
 public:
  void read(const config_file& file) {
    name_ = file.name;
    if (file.text.size() > config_bytes_max) return wrong(1, "the file is larger than 4 MiB; split it");
    try {
      const auto documents = YAML::LoadAll(file.text);
      if (documents.size() > 1) return wrong(1, "the file holds several YAML documents; write one, without ---");
      if (documents.empty() || documents[0].IsNull())
        return wrong(1, "the file says nothing; write a list of routes under routes:");
      read_document(documents[0]);
    } catch (const YAML::Exception& fault) {
      wrong(fault.mark.is_null() ? 1 : fault.mark.line + 1,
            "this is not YAML (" + fault.msg + "); look for quotes, colons and the depth of lines");
    }
  }

  tl::expected<config, std::vector<std::string>> take() {
    if (errors_.empty()) return std::move(out_);
    return tl::unexpected{std::move(errors_)};
  }

  void wrong(int line, const std::string& message) {
    errors_.push_back(name_ + ':' + std::to_string(line) + ": " + message);
  }

 private:
  void wrong(const YAML::Node& at, const std::string& message) { wrong(at.Mark().line + 1, message); }

  struct entry {
    YAML::Node value;
    int line;
  };

  /// Where a value stands; an empty one, which the parser places at whatever comes next, stands with its key.
  static int line_of(const YAML::Node& key, const YAML::Node& value) {
    return (value.IsNull() ? key : value).Mark().line + 1;
  }

  /// The entries of a map by key; those that are none of `known` are told of.
  std::map<std::string, entry> entries(const YAML::Node& node, const std::string& what,
                                       std::initializer_list<std::string_view> known) {
    std::map<std::string, entry> out;
    std::string listed;
    for (const auto each : known)
      listed += (listed.empty() ? "" : each == *(known.end() - 1) ? " and " : ", ") + std::string{each};
    for (const auto& pair : node) {
      const YAML::Node &name = pair.first, &value = pair.second;
      const std::string key = name.IsScalar() ? name.Scalar() : "";
      if (std::find(known.begin(), known.end(), key) == known.end()) {
        wrong(name, "the key " + in_quotes(key) + " is not known; " + what + " has " + listed);
      } else if (!out.emplace(key, entry{value, line_of(name, value)}).second) {
        wrong(name, "the key " + in_quotes(key) + " stands here twice; remove one");
      }
    }
    return out;
  }

  void read_document(const YAML::Node& document) {
    if (!document.IsMap()) return wrong(document, "the file is no map; write a list of routes under routes:");
    const auto known = entries(document, "a file", {"routes"});
    const auto routes = known.find("routes");
    if (routes == known.end()) return wrong(document, "the file has no routes; write a list of them under routes:");
    if (!routes->second.value.IsSequence())
      return wrong(routes->second.line, "routes is no list; write each route after a dash, as in - route: GET /hello");
    for (const auto& each : routes->second.value) {
      if (out_.routes.size() == config_routes_max)
        return wrong(each, "there are more than 16384 routes; write parameters, as in {id}");
      read_route(each);
    }
  }

  void read_route(const YAML::Node& node) {
    if (!node.IsMap()) return wrong(node, "a route is a map; write - route: GET /hello and below it call: hello.say");
    const auto errors_before = errors_.size();
    auto known = entries(node, "a route", {"route", "call", "budget", "summary", "fields"});
    const auto text = [&](const char* key, const char* example) -> const std::string* {
      const auto at = known.find(key);
      if (at == known.end()) return nullptr;
      if (at->second.value.IsScalar() && !at->second.value.Scalar().empty()) return &at->second.value.Scalar();
      wrong(at->second.line, std::string{key} + " is no text; write one, as in " + key + ": " + example);
      return nullptr;
    };
    const auto* route = text("route", "GET /things/{id}");
    const auto* call = text("call", "hello.say");
    const auto* budget = text("budget", "2s");
    const auto* summary = text("summary", "Greets somebody.");
    if (!known.contains("route"))
      wrong(node, "the route has no method and path; write them, as in route: GET /things/{id}");
    if (!known.contains("call")) wrong(node, "the route calls nothing; write a command's name, as in call: hello.say");

    route_config out;
    bool path_known = false;
    if (route != nullptr) {
      if (auto pattern = parse_route(*route)) {
        out.method = std::move(pattern->method);
        out.path = std::move(pattern->path);
        path_known = true;
        check_place(known.at("route").line, out);
      } else {
        wrong(known.at("route").line, pattern.error());
      }
    }
    if (call != nullptr) {
      out.command = *call;
      if (!wire::is_name(*call))
        wrong(known.at("call").line, in_quotes(*call) + " is no name of a command; write 1 to 128 bytes without spaces");
    }
    if (budget != nullptr) {
      out.budget = waggle::detail::parse_duration(*budget);
      if (!out.budget || *out.budget == std::chrono::milliseconds{0})
        wrong(known.at("budget").line, in_quotes(*budget) + " is no budget; write 250ms, 2s, 5m or 1h, up to a day");
    }
    if (summary != nullptr) {
      out.summary = *summary;
      if (!wire::is_utf8(*summary)) wrong(known.at("summary").line, "the summary is not UTF-8; write it anew");
    }
    if (const auto fields = known.find("fields"); fields != known.end()) read_fields(fields->second, out, path_known);
    if (errors_.size() == errors_before) out_.routes.push_back(std::move(out));
  }

  void check_place(int line, const route_config& route) {
    if (is_reserved(route.path)) {
      return wrong(line, "the gateway itself answers " + route.path.text() + "; write another path");
    }
    const auto here = name_ + ':' + std::to_string(line);
    const auto [other, first] = places_.try_emplace(route.method + ' ' + route.path.shape(), here);
    if (!first)
      wrong(line, route.method + ' ' + route.path.text() + " takes the same requests as the route at " + other->second +
                      "; remove one");
  }

  void read_fields(const entry& fields, route_config& out, bool path_known) {
    const YAML::Node& node = fields.value;
    if (node.IsScalar() && node.Scalar() == "body") {
      check_body(node, out, path_known);
      out.fields = route_config::whole_body{};
      return;
    }
    if (!node.IsMap())
      return wrong(fields.line,
                   "fields is no map; write a source for each field, as in name: query.name, or fields: body");
    std::vector<field_binding> bindings;
    std::set<std::string> seen;
    for (const auto& pair : node) {
      const YAML::Node &name = pair.first, &value = pair.second;
      const std::string field = name.IsScalar() ? name.Scalar() : "";
      if (field.empty() || field.find('.') != std::string::npos || !wire::is_utf8(field)) {
        wrong(name, in_quotes(field) + " is no name of a field; write one without dots");
      } else if (!seen.insert(field).second) {
        wrong(name, "the field " + in_quotes(field) + " stands here twice; remove one");
      } else if (bindings.size() == route_fields_max) {
        return wrong(name, "there are more than 256 fields; write fields: body");
      } else if (auto binding = read_field({value, line_of(name, value)}, out, path_known)) {
        binding->field = field;
        bindings.push_back(std::move(*binding));
      }
    }
    out.fields = std::move(bindings);
  }

  std::optional<field_binding> read_field(const entry& written, const route_config& route, bool path_known) {
    const YAML::Node& node = written.value;
    field_binding out;
    if (node.IsScalar()) {
      auto source = read_source(node, route, path_known);
      if (!source) return std::nullopt;
      out.source = std::move(*source);
      return out;
    }
    if (!node.IsMap()) {
      wrong(written.line,
            "a field has no source; write one, as in query.name, {from: query.name, default: x} or {value: x}");
      return std::nullopt;
    }
    const auto known = entries(node, "a field", {"from", "default", "value"});
    const auto from = known.find("from"), otherwise = known.find("default"), value = known.find("value");
    if ((from == known.end()) == (value == known.end()) || (value != known.end() && otherwise != known.end())) {
      wrong(node,
            "a field is either taken or given; write {from: query.name}, {from: query.name, default: x} or {value: x}");
      return std::nullopt;
    }
    if (from != known.end()) {
      if (!from->second.value.IsScalar()) {
        wrong(from->second.line, "from is no text; write a source, as in from: query.name");
        return std::nullopt;
      }
      auto source = read_source(from->second.value, route, path_known);
      if (!source) return std::nullopt;
      out.source = std::move(*source);
      if (otherwise == known.end()) return out;
      if (out.source.from == part::path) {
        wrong(otherwise->second.line, "a path parameter is always there; leave default away");
        return std::nullopt;
      }
    }
    auto bytes = msgpack_of((value != known.end() ? value : otherwise)->second.value);
    if (!bytes) {
      wrong(bytes.error().line, bytes.error().message);
      return std::nullopt;
    }
    out.otherwise = std::move(*bytes);
    return out;
  }

  std::optional<field_source> read_source(const YAML::Node& node, const route_config& route, bool path_known) {
    const std::string& text = node.Scalar();
    const auto dot = std::min(text.find('.'), text.size());
    const std::string head = text.substr(0, dot), name = text.substr(std::min(dot + 1, text.size()));
    field_source out;
    out.name = name;
    if (text == "body" || (head == "body" && dot != text.size())) {
      out.from = part::body;
      out.name.clear();
      if (!check_body(node, route, path_known)) return std::nullopt;
      for (auto left = std::string_view{text}.substr(dot); !left.empty();) {
        left.remove_prefix(1);
        out.steps.emplace_back(left.substr(0, left.find('.')));
        left.remove_prefix(out.steps.back().size());
        if (out.steps.back().empty()) {
          wrong(node, in_quotes(text) + " has an empty step; write one dot between two names");
          return std::nullopt;
        }
      }
      return out;
    }
    if (name.empty() || (head != "path" && head != "query" && head != "header")) {
      wrong(node, in_quotes(text) +
                      " is no source; write path.NAME, query.NAME, header.NAME, body or body.NAME, or {value: ...} for "
                      "a constant");
      return std::nullopt;
    }
    if (head == "path") {
      out.from = part::path;
      const auto parameters = route.path.parameters();
      if (!path_known || std::find(parameters.begin(), parameters.end(), name) != parameters.end()) return out;
      std::string listed;
      for (const auto& each : parameters) listed += (listed.empty() ? "" : ", ") + ("path." + each);
      const std::string instead =
          listed.empty() ? "put {" + name + "} into the path, or write query." + name : "write " + listed;
      wrong(node, route.method + ' ' + route.path.text() + " has no parameter " + in_quotes(name) + "; " + instead);
      return std::nullopt;
    }
    out.from = head == "query" ? part::query : part::header;
    if (out.from == part::header && !front::syntax::is_token(name)) {
      wrong(node, in_quotes(name) + " is no name of a header; write letters, digits and -");
      return std::nullopt;
    }
    if (!wire::is_utf8(name)) {
      wrong(node, "the source is not UTF-8; write it anew");
      return std::nullopt;
    }
    return out;
  }

  bool check_body(const YAML::Node& node, const route_config& route, bool path_known) {
    if (!path_known || route.method != "GET") return true;
    wrong(node, "a GET has no body; write query.NAME, or another method");
    return false;
  }

  std::string name_;
  config out_;
  std::vector<std::string> errors_;
  std::map<std::string, std::string> places_;  // of the routes, by method and shape
};

}  // namespace

tl::expected<config, std::vector<std::string>> parse_config(std::span<const config_file> files) {
  config_reader reader;
  for (const auto& each : files) reader.read(each);
  return reader.take();
}

tl::expected<config, std::vector<std::string>> load_config(std::span<const std::string> paths) {
  std::vector<config_file> files;
  std::vector<std::string> unreadable;
  for (const auto& path : paths) {
    std::ifstream in{path, std::ios::binary};
    std::ostringstream text;
    if (!in || !(text << in.rdbuf() || in.peek() == std::ifstream::traits_type::eof())) {
      unreadable.push_back(path + ":1: the file cannot be read; write the name of one that can");
      continue;
    }
    files.push_back({path, std::move(text).str()});
  }
  auto out = parse_config(files);
  if (unreadable.empty()) return out;
  if (!out) unreadable.insert(unreadable.end(), out.error().begin(), out.error().end());
  return tl::unexpected{std::move(unreadable)};
}

}  // namespace waggle::gateway
