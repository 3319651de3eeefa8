#include "gateway/routes/schema_tidy.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/routes/percent.hpp"
#include "gateway/routes/schema_check.hpp"

namespace waggle::gateway {
namespace {

/// What a keyword holds.
enum class form : std::uint8_t {
  schema, schemas, named_schemas, reference, types, names, named_names, text, truth, number, positive, count, values, value
};

struct keyword {
  std::string_view name;
  form is;
};

constexpr std::array keywords{
    keyword{"$ref", form::reference},           keyword{"$defs", form::named_schemas},     keyword{"definitions", form::named_schemas},
    keyword{"$comment", form::text},            keyword{"title", form::text},              keyword{"description", form::text},
    keyword{"type", form::types},               keyword{"enum", form::values},             keyword{"const", form::value},
    keyword{"default", form::value},            keyword{"examples", form::values},         keyword{"deprecated", form::truth},
    keyword{"readOnly", form::truth},           keyword{"writeOnly", form::truth},         keyword{"format", form::text},
    keyword{"pattern", form::text},             keyword{"minLength", form::count},         keyword{"maxLength", form::count},
    keyword{"contentEncoding", form::text},     keyword{"contentMediaType", form::text},   keyword{"contentSchema", form::schema},
    keyword{"multipleOf", form::positive},      keyword{"minimum", form::number},          keyword{"maximum", form::number},
    keyword{"exclusiveMinimum", form::number},  keyword{"exclusiveMaximum", form::number}, keyword{"items", form::schema},
    keyword{"prefixItems", form::schemas},      keyword{"contains", form::schema},         keyword{"minContains", form::count},
    keyword{"maxContains", form::count},        keyword{"minItems", form::count},          keyword{"maxItems", form::count},
    keyword{"uniqueItems", form::truth},        keyword{"unevaluatedItems", form::schema}, keyword{"properties", form::named_schemas},
    keyword{"patternProperties", form::named_schemas},                                     keyword{"additionalProperties", form::schema},
    keyword{"propertyNames", form::schema},     keyword{"minProperties", form::count},     keyword{"maxProperties", form::count},
    keyword{"required", form::names},           keyword{"dependentRequired", form::named_names},
    keyword{"dependentSchemas", form::named_schemas},                                      keyword{"unevaluatedProperties", form::schema},
    keyword{"allOf", form::schemas},            keyword{"anyOf", form::schemas},           keyword{"oneOf", form::schemas},
    keyword{"not", form::schema},               keyword{"if", form::schema},               keyword{"then", form::schema},
    keyword{"else", form::schema},
};

const keyword* keyword_of(std::string_view name) {
  const auto* const at = std::find_if(keywords.begin(), keywords.end(), [&](const auto& each) { return each.name == name; });
  return at == keywords.end() ? nullptr : at;
}

bool is_type(const json_value& of) {
  constexpr std::array<std::string_view, 7> known = {"null", "boolean", "object", "array", "number", "string", "integer"};
  return of.is_string() && std::find(known.begin(), known.end(), of.get_ref<const std::string&>()) != known.end();
}

/// The entries of a list that are what they should be, each once.
template <class Fits>
json_value entries_of(const json_value& list, Fits fits) {
  json_value out = json_value::array();
  if (!list.is_array()) return out;
  for (const auto& each : list) {
    if (fits(each) && std::find(out.begin(), out.end(), each) == out.end()) out.push_back(each);
  }
  return out;
}

json_value strings_of(const json_value& list) {
  return entries_of(list, [](const json_value& each) { return each.is_string(); });
}

json_value shaped(const json_value& from, int depth);

/// The value of a keyword, or nothing if it has none that it could have.
std::optional<json_value> value_of(form is, const json_value& from, int depth) {
  const auto only_if = [&](bool fits) { return fits ? std::optional{from} : std::nullopt; };
  json_value out = json_value::object();
  switch (is) {
    case form::text:
    case form::reference: return only_if(from.is_string());
    case form::truth: return only_if(from.is_boolean());
    case form::number: return only_if(from.is_number());
    case form::positive: return only_if(from.is_number() && from.get<double>() > 0);
    case form::count: return only_if(from.is_number_unsigned() || (from.is_number_integer() && from.get<std::int64_t>() >= 0));
    case form::values: return only_if(from.is_array());
    case form::value: return from;
    case form::schema: return shaped(from, depth);
    case form::names: return from.is_array() ? std::optional{strings_of(from)} : std::nullopt;
    case form::types:
      if (is_type(from)) return from;
      out = entries_of(from, is_type);
      // A type that is none of these may be allowed, too.
      return out.empty() || out.size() != from.size() ? std::nullopt : std::optional{std::move(out)};
    case form::schemas:
      if (!from.is_array() || from.empty()) return std::nullopt;
      out = json_value::array();
      for (const auto& each : from) out.push_back(shaped(each, depth));
      return out;
    case form::named_schemas:
      if (!from.is_object()) return std::nullopt;
      for (const auto& [name, each] : from.items()) out[name] = shaped(each, depth);
      return out;
    case form::named_names:
      if (!from.is_object()) return std::nullopt;
      for (const auto& [name, each] : from.items()) out[name] = strings_of(each);
      return out;
  }
  return std::nullopt;
}

json_value shaped(const json_value& from, int depth) {
  json_value out = json_value::object();
  if (from == false) out["not"] = json_value::object();  // as true and false not every reader takes them
  if (!from.is_object() || depth >= schema_depth_max) return out;
  for (const auto& [name, value] : from.items()) {
    const auto* known = keyword_of(name);
    if (known == nullptr) continue;
    if (value.is_boolean() && (name == "additionalProperties" || name.starts_with("unevaluated"))) {  // where everybody writes them
      out[name] = value;
    } else if (auto made = value_of(known->is, value, depth + 1)) {
      out[name] = std::move(*made);
    }
  }
  return out;
}

/// The tokens of "#/a/b"; nothing if it is no pointer into the same text.
std::optional<std::vector<std::string>> tokens_of(std::string_view reference) {
  if (!reference.starts_with('#')) return std::nullopt;
  const auto text = percent_decoded(reference.substr(1));
  if (!text || (!text->empty() && text->front() != '/')) return std::nullopt;
  std::vector<std::string> out;
  for (std::size_t i = 0; i < text->size(); ++i) {
    if ((*text)[i] == '/') {
      out.emplace_back();
    } else if ((*text)[i] == '~') {
      if (i + 1 == text->size() || ((*text)[i + 1] != '0' && (*text)[i + 1] != '1')) return std::nullopt;
      out.back() += (*text)[++i] == '0' ? '~' : '/';
    } else {
      out.back() += (*text)[i];
    }
  }
  return out;
}

/// The schema that they lead to; null if that is none, as what stands between two is.
const json_value* schema_at(const json_value& root, const std::vector<std::string>& tokens) {
  const json_value* at = &root;
  form is = form::schema;
  for (const auto& token : tokens) {
    if (is == form::schema) {
      const auto* known = keyword_of(token);
      if (known == nullptr || !at->is_object() || !at->contains(token)) return nullptr;
      at = &(*at)[token];
      is = known->is;
    } else if (is == form::named_schemas) {
      if (!at->contains(token)) return nullptr;
      at = &(*at)[token];
      is = form::schema;
    } else if (is == form::schemas) {
      const bool digits = !token.empty() && token.size() < 6 && std::all_of(token.begin(), token.end(), [](char c) { return c >= '0' && c <= '9'; });
      const auto index = digits ? static_cast<std::size_t>(std::stoul(token)) : at->size();
      if (index >= at->size() || std::to_string(index) != token) return nullptr;
      at = &(*at)[index];
      is = form::schema;
    } else {
      return nullptr;
    }
  }
  return is == form::schema ? at : nullptr;
}

/// Whether references to references come to an end.
bool comes_to_an_end(const json_value& root, const std::vector<std::string>& tokens) {
  std::set<const json_value*> seen;
  const auto* at = schema_at(root, tokens);
  while (at != nullptr && at->is_object() && at->contains("$ref")) {
    if (!seen.insert(at).second) return false;
    const auto next = tokens_of((*at)["$ref"].get_ref<const std::string&>());
    at = next ? schema_at(root, *next) : nullptr;
  }
  return true;
}

/// Calls `to` with every schema, the outer ones first.
void for_each_schema(json_value& in, const std::function<void(json_value&)>& to) {
  if (!in.is_object()) return;
  to(in);
  for_each_subschema(in, [&](json_value& each) { for_each_schema(each, to); });
}

/// "#/a/b" of its tokens, as a fragment of an address has it. A `$` may stand in one, and does in most.
std::string written(const std::vector<std::string>& tokens) {
  std::string out = "#";
  for (const auto& token : tokens) {
    out += '/';
    for (const char c : token) {
      if (c == '~' || c == '/') {
        out += c == '~' ? "~0" : "~1";
      } else if (c == '$') {
        out += c;
      } else {
        append_percent_encoded(out, {&c, 1});
      }
    }
  }
  return out;
}

}  // namespace

json_value tidied(const json_value& schema) {
  auto out = shaped(schema, 0);
  const auto whole = out;
  for_each_schema(out, [&](json_value& each) {
    const auto at = each.find("$ref");
    if (at == each.end()) return;
    const auto tokens = tokens_of(at->get_ref<const std::string&>());
    if (!tokens || schema_at(whole, *tokens) == nullptr || !comes_to_an_end(whole, *tokens)) {
      each.erase("$ref");
      return;
    }
    *at = written(*tokens);
  });
  return out;
}

void for_each_subschema(json_value& tidy, const std::function<void(json_value&)>& to) {
  if (!tidy.is_object()) return;
  for (auto& [name, value] : tidy.items()) {
    const auto is = keyword_of(name)->is;
    if (is == form::schema) to(value);
    if (is != form::schemas && is != form::named_schemas) continue;
    for (auto& each : value) to(each);
  }
}

void rebase(json_value& tidy, const std::string& root) {
  for_each_schema(tidy, [&](json_value& each) {
    const auto at = each.find("$ref");
    if (at == each.end()) return;
    auto& text = at->get_ref<std::string&>();
    if (!text.starts_with("#/components/")) text = root + text.substr(1);  // "components" is no keyword, so no place within a schema
  });
}

}  // namespace waggle::gateway
