#include <algorithm>

#include <waggle/wire/limits.hpp>
#include <waggle/wire/utf8.hpp>

#include "gateway/front/http_syntax.hpp"
#include "gateway/routes/config_keys.hpp"
#include "gateway/routes/config_reader.hpp"
#include "gateway/routes/jq_program.hpp"
#include "gateway/routes/jq_references.hpp"
#include "gateway/routes/yaml_value.hpp"

namespace waggle::gateway {
namespace {

using part = source::part;

constexpr const char* no_source =
    "a field has no source; write one, as in query.name, {from: query.name, default: x} or {value: x}";
constexpr const char* several_sources =
    "a field is either taken or given; write {from: query.name}, {from: query.name, default: x} or {value: x}, or one of "
    "{object: {...}}, {list: [...]} and {jq: ...}";

}  // namespace

std::optional<std::string> config_reader::constant(const entry& at) {
  auto bytes = msgpack_of(at.value);
  if (bytes) return std::move(*bytes);
  wrong(at.value.IsNull() ? at.line : bytes.error().line, bytes.error().message);
  return std::nullopt;
}

payload_config config_reader::read_payload(const entry_map& in, user by) {
  const auto at = in.find("fields");
  if (at == in.end()) return usual_payload{};
  route_.fields = 0;
  auto out = read_whole(at->second, by, "fields", "name: query.name, or fields: body");
  if (!out) return usual_payload{};
  return std::move(*out);
}

/// What a payload or a reply is as a whole: a source, a map of fields, or a jq program.
std::optional<value_config> config_reader::read_whole(const entry& at, user by, const char* key, const char* example) {
  route_.fields = 0;
  const YAML::Node& node = at.value;
  if (node.IsScalar()) {
    const auto& text = node.Scalar();
    const auto dot = text.find('.');
    if (dot == std::string::npos && text != "body") {
      wrong(at.line, std::string{key} + " is no map; write a source for each field, as in " + example);
      return std::nullopt;
    }
    auto from = read_source(text, at.line, by);
    if (!from) return std::nullopt;
    return value_config{value_config::taken{std::move(*from), text_type::automatic, {}}};
  }
  if (!node.IsMap()) {
    wrong(at.line, std::string{key} + " is no map; write a source for each field, as in " + example);
    return std::nullopt;
  }
  if (node.size() == 1) {
    const auto only = *node.begin();
    if (only.first.IsScalar() && only.first.Scalar() == "jq" && only.second.IsScalar() && !parse_source(only.second.Scalar()))
      return read_program(only.second.Scalar(), only.second.Mark().line + 1, by);
  }
  return read_object(node, by, 0);
}

std::optional<value_config> config_reader::read_object(const YAML::Node& node, user by, unsigned depth) {
  value_config::object out;
  std::set<std::string> seen;
  const auto before = errors_.size();
  for (const auto& pair : node) {
    const YAML::Node &name = pair.first, &value = pair.second;
    const std::string field = name.IsScalar() ? name.Scalar() : "";
    if (field.empty() || field.find('.') != std::string::npos || !wire::is_utf8(field)) {
      wrong(name, in_quotes(field) + " is no name of a field; write one without dots");
    } else if (!seen.insert(field).second) {
      wrong(name, "the field " + in_quotes(field) + " stands here twice; remove one");
    } else {
      const auto key_line = name.Mark().line + 1;
      auto made = read_value({value, value.IsNull() ? key_line : value.Mark().line + 1, key_line}, by, depth + 1);
      if (route_.fields > route_fields_max) return std::nullopt;
      if (made) out.entries.push_back({field, std::move(*made)});
    }
  }
  if (errors_.size() > before) return std::nullopt;
  return value_config{std::move(out)};
}

std::optional<value_config> config_reader::read_value(const entry& at, user by, unsigned depth) {
  const YAML::Node& node = at.value;
  if (++route_.fields > route_fields_max) {
    if (route_.fields == route_fields_max + 1) wrong(at.key_line, "there are more than 256 fields; write fields: body");
    return std::nullopt;
  }
  if (depth > wire::depth_max) {
    wrong(at.line, "the fields are nested too deep; write flatter ones");
    return std::nullopt;
  }
  if (node.IsScalar()) {
    auto from = read_source(node.Scalar(), at.line, by);
    if (!from) return std::nullopt;
    return value_config{value_config::taken{std::move(*from), text_type::automatic, {}}};
  }
  if (!node.IsMap()) {
    wrong(at.line, no_source);
    return std::nullopt;
  }
  const auto known = entries(node, "a field", keys::value);
  const auto has = [&](std::string_view key) { return known.find(key) != known.end(); };
  const auto kinds = std::count_if(keys::value.begin(), keys::value.end(),
                                   [&](std::string_view key) { return key != "default" && key != "type" && has(key); });
  if (kinds != 1 || (!has("from") && (has("default") || has("type")))) {
    wrong(node, several_sources);
    return std::nullopt;
  }
  if (has("from")) return read_taken(known, by);
  if (has("value")) {
    auto bytes = constant(known.at("value"));
    if (!bytes) return std::nullopt;
    return value_config{value_config::constant{std::move(*bytes)}};
  }
  if (has("object")) {
    const auto& object = known.at("object");
    if (object.value.IsMap()) return read_object(object.value, by, depth);
    wrong(object.line, "object is no map; write a source for each field, as in object: {name: query.name}");
    return std::nullopt;
  }
  if (has("jq")) {
    const auto* program = text(known, "jq", ".body | {name}");
    if (program == nullptr) return std::nullopt;
    return read_program(*program, known.at("jq").line, by);
  }
  const auto& list = known.at("list");
  if (!list.value.IsSequence()) {
    wrong(list.line, "list is no list; write sources, as in list: [query.first, query.second]");
    return std::nullopt;
  }
  value_config::list out;
  const auto before = errors_.size();
  for (const auto& each : list.value) {
    const auto line = each.IsNull() ? list.line : each.Mark().line + 1;
    auto made = read_value({each, line, line}, by, depth + 1);
    if (route_.fields > route_fields_max) return std::nullopt;
    if (made) out.items.push_back(std::move(*made));
  }
  if (errors_.size() > before) return std::nullopt;
  return value_config{std::move(out)};
}

/// {from: SOURCE, default: JSON, type: TYPE}
std::optional<value_config> config_reader::read_taken(const entry_map& known, user by) {
  const auto& at = known.at("from");
  if (!at.value.IsScalar()) {
    wrong(at.line, "from is no text; write a source, as in from: query.name");
    return std::nullopt;
  }
  const auto otherwise = known.find("default"), type = known.find("type");
  auto from = read_source(at.value.Scalar(), at.line, by, otherwise != known.end());
  if (!from) return std::nullopt;
  value_config::taken out{std::move(*from), text_type::automatic, {}};
  if (type != known.end()) {
    const std::string said = type->second.value.IsScalar() ? type->second.value.Scalar() : "";
    const auto which = std::find(keys::types.begin(), keys::types.end(), said);
    if (which == keys::types.end()) {
      wrong(type->second.line, in_quotes(said) + " is no type; write " + listed(keys::types, " or "));
      return std::nullopt;
    }
    if (!out.from.is_text()) {
      wrong(type->second.key_line, out.from.written() + " has its type already; leave type away");
      return std::nullopt;
    }
    constexpr text_type types[] = {text_type::string, text_type::integer, text_type::number, text_type::boolean, text_type::list};
    out.type = types[which - keys::types.begin()];
  }
  if (otherwise == known.end()) return value_config{std::move(out)};
  if (out.from.from == part::path) {
    wrong(otherwise->second.line, "a path parameter is always there; leave default away");
    return std::nullopt;
  }
  out.otherwise = constant(otherwise->second);
  if (!out.otherwise) return std::nullopt;
  // The environment does not change while the gateway runs.
  if (out.from.from == part::env && !environment_(out.from.name)) return value_config{value_config::constant{std::move(*out.otherwise)}};
  return value_config{std::move(out)};
}

value_config config_reader::read_program(const std::string& jq, int line, user by) {
  if (jq.size() > jq_bytes_max) wrong(line, "the jq program is larger than 16 KiB; write a smaller one, or a command");
  if (!wire::is_utf8(jq) || jq.find('\0') != std::string::npos) wrong(line, "the jq program is not UTF-8; write it anew");
  if (auto compiled = jq_program::compile(jq); !compiled) wrong(line, "jq does not take this program: " + compiled.error());
  for (const auto& [of, name, alone] : jq_references(jq)) {
    const bool known = std::find(route_.names.begin(), route_.names.end(), name) != route_.names.end() ||
                       std::find(route_.then_names.begin(), route_.then_names.end(), name) != route_.then_names.end();
    // `.body.step.x` speaks of a step only if there is one of that name.
    if (!known && !alone) continue;
    source to;
    to.from = of;
    to.name = std::string{name};
    route_.references.push_back({std::move(to), by, line, true});
  }
  return {value_config::program{jq, {name_, line}}};
}

std::optional<source> config_reader::read_source(const entry_map& in, std::string_view key, user by) {
  const auto* written = text(in, key, "header.X-User");
  if (written == nullptr) return std::nullopt;
  return read_source(*written, in.find(key)->second.line, by);
}

std::optional<source> config_reader::read_source(std::string_view text, int line, user by, bool has_default) {
  auto out = parse_source(text);
  if (!out) {
    wrong(line, out.error());
    return std::nullopt;
  }
  const auto& route = route_.out;
  switch (out->from) {
    case part::path: {
      const auto parameters = route.path.parameters();
      if (!route_.path_known || std::find(parameters.begin(), parameters.end(), out->name) != parameters.end()) break;
      std::string all;
      for (const auto& each : parameters) all += (all.empty() ? "" : ", ") + ("path." + each);
      wrong(line, route.method + ' ' + route.path.text() + " has no parameter " + in_quotes(out->name) + "; " +
                      (all.empty() ? "put {" + out->name + "} into the path, or write query." + out->name : "write " + all));
      return std::nullopt;
    }
    case part::body:
      if (!route_.path_known || route.method != "GET") break;
      wrong(line, "a GET has no body; write query.NAME, or another method");
      return std::nullopt;
    case part::env: {
      auto value = environment_(out->name);
      if (value && !wire::is_utf8(*value)) {
        wrong(line, "the variable " + out->name + " is not UTF-8; set it anew");
        return std::nullopt;
      }
      if (value) {
        out->text = std::move(*value);
      } else if (!has_default) {
        wrong(line, "the variable " + out->name + " is not set; set it, or write {from: env." + out->name + ", default: x}");
        return std::nullopt;
      }
      break;
    }
    case part::claim: claims_.emplace_back(name_ + ':' + std::to_string(line), out->written()); break;
    case part::step:
    case part::error:
      if (by.is == user::kind::request) {
        wrong(line, out->written() + " is not known yet here; write what comes with the request, as header.NAME or query.NAME");
        return std::nullopt;
      }
      route_.references.push_back({*out, by, line, false});
      break;
    case part::query:
    case part::header:
    case part::cookie: break;
  }
  return std::move(*out);
}

std::optional<text_template> config_reader::read_template(const std::string& text, int line, user by) {
  text_template out;
  std::string plain;
  const auto keep_plain = [&] {
    if (!plain.empty()) out.pieces.emplace_back(std::exchange(plain, {}));
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '}') {
      wrong(line, in_quotes(text) + " has a } without its {; write sources in braces, as in {path.id}");
      return std::nullopt;
    }
    if (text[i] != '{') {
      plain += text[i];
      continue;
    }
    const auto end = text.find_first_of("{}", i + 1);
    if (end == std::string::npos || text[end] == '{') {
      wrong(line, in_quotes(text) + " has a { without its }; write sources in braces, as in {path.id}");
      return std::nullopt;
    }
    keep_plain();
    auto from = read_source(std::string_view{text}.substr(i + 1, end - i - 1), line, by);
    if (!from) return std::nullopt;
    out.pieces.emplace_back(std::move(*from));
    i = end;
  }
  keep_plain();
  if (!front::syntax::is_field_value(text) || front::syntax::trim(text).size() != text.size()) {
    wrong(line, "the header's text has characters that a header cannot have, or spaces around it; write it in one line");
    return std::nullopt;
  }
  if (out.pieces.size() > route_fields_max) {
    wrong(line, "the header has more than 256 pieces; write fewer");
    return std::nullopt;
  }
  return out;
}

}  // namespace waggle::gateway
