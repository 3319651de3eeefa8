#include "tools/waggle/schema_text.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

#include <nlohmann/json.hpp>

#include <waggle/wire/json.hpp>

#include "tools/waggle/text.hpp"

namespace waggle::cli {
namespace {

using json = nlohmann::ordered_json;

json read_schema(std::string_view schema) {
  if (schema.empty()) return json::object();
  return json::parse(wire::msgpack_to_json(schema), nullptr, false);
}

std::string text_of(const json& schema, const char* key) {
  const auto at = schema.find(key);
  return at != schema.end() && at->is_string() ? printable(at->get<std::string>()) : std::string{};
}

const json* member(const json& schema, const char* key) {
  if (!schema.is_object()) return nullptr;
  const auto at = schema.find(key);
  return at == schema.end() ? nullptr : &*at;
}

std::string integer_type(const json& schema) {
  const auto* low = member(schema, "minimum");
  const auto* high = member(schema, "maximum");
  if (low != nullptr && high != nullptr && low->is_number_integer() && high->is_number_integer()) {
    const auto is = [&](auto kind) {
      using limits = std::numeric_limits<decltype(kind)>;
      return *low == limits::min() && *high == limits::max();
    };
    if (is(std::int8_t{})) return "int8";
    if (is(std::int16_t{})) return "int16";
    if (is(std::int32_t{})) return "int32";
    if (is(std::uint8_t{})) return "uint8";
    if (is(std::uint16_t{})) return "uint16";
    if (is(std::uint32_t{})) return "uint32";
  }
  std::string out = "integer";
  if (low != nullptr && low->is_number()) out += " from " + low->dump();
  if (high != nullptr && high->is_number()) out += " to " + high->dump();
  return out;
}

std::string type_text(const json& schema) {
  if (!schema.is_object()) return "anything";
  for (const auto* key : {"anyOf", "oneOf"}) {
    if (const auto* choices = member(schema, key); choices != nullptr && choices->is_array()) {
      std::vector<std::string> parts;
      for (const auto& each : *choices) parts.push_back(type_text(each));
      return joined(parts, " or ");
    }
  }
  if (const auto* values = member(schema, "enum"); values != nullptr && values->is_array()) {
    std::vector<std::string> parts;
    for (const auto& each : *values)
      parts.push_back(printable(each.is_string() ? each.get<std::string>() : each.dump()));
    return joined(parts, " | ");
  }
  if (const auto* types = member(schema, "type"); types != nullptr && types->is_array()) {
    std::vector<std::string> parts;
    for (const auto& each : *types) {
      if (parts.size() < 8)
        parts.push_back(each == "null" ? "null" : each.is_string() ? printable(each.get<std::string>()) : "anything");
    }
    return joined(parts, " or ");
  }
  const auto type = text_of(schema, "type");
  if (type == "integer") return integer_type(schema);
  if (type == "null") return "nothing";
  if (type == "string") {
    const auto encoding = text_of(schema, "contentEncoding"), format = text_of(schema, "format");
    return !encoding.empty() ? encoding : !format.empty() ? format : type;
  }
  if (type == "array") {
    const auto* items = member(schema, "items");
    const auto* low = member(schema, "minItems");
    const auto* high = member(schema, "maxItems");
    const auto of = " of " + (items == nullptr ? "anything" : type_text(*items));
    const bool is_fixed = low != nullptr && high != nullptr && *low == *high;
    return (is_fixed ? "list of " + low->dump() + ", each" : "list") + of;
  }
  if (type == "object") {
    if (const auto* values = member(schema, "additionalProperties"); values != nullptr && values->is_object()) {
      return "map of " + type_text(*values);
    }
    const auto title = text_of(schema, "title");
    return title.empty() ? type : title;
  }
  return type.empty() ? "anything" : type;
}

void append_fields(std::vector<field_row>& out, const json& schema, const std::string& path) {
  if (!schema.is_object()) return;
  if (const auto* properties = member(schema, "properties"); properties != nullptr && properties->is_object()) {
    const auto* required = member(schema, "required");
    for (const auto& [key, each] : properties->items()) {
      const auto here = path + (path.empty() ? "" : ".") + printable(key);
      const bool is_required = required != nullptr && required->is_array() &&
                               std::find(required->begin(), required->end(), key) != required->end();
      out.push_back({here, type_text(each), is_required, each.is_object() ? text_of(each, "description") : ""});
      append_fields(out, each, here);
    }
  }
  if (const auto* items = member(schema, "items")) append_fields(out, *items, path + "[]");
  if (const auto* values = member(schema, "additionalProperties")) append_fields(out, *values, path + ".*");
  for (const auto* key : {"anyOf", "oneOf"}) {
    if (const auto* choices = member(schema, key); choices != nullptr && choices->is_array()) {
      for (const auto& each : *choices) append_fields(out, each, path);
    }
  }
}

/// `left` bounds how much is made up: a schema can ask for sixteen of sixteen of sixteen.
json example(const json& schema, int& left) {
  if (!schema.is_object() || --left < 0) return nullptr;
  for (const auto* key : {"default", "const"}) {
    if (const auto* given = member(schema, key)) return *given;
  }
  for (const auto* key : {"examples", "enum"}) {
    if (const auto* given = member(schema, key); given != nullptr && given->is_array() && !given->empty())
      return given->front();
  }
  for (const auto* key : {"anyOf", "oneOf"}) {
    if (const auto* choices = member(schema, key); choices != nullptr && choices->is_array() && !choices->empty()) {
      return example(choices->front(), left);
    }
  }
  auto type = text_of(schema, "type");
  if (const auto* types = member(schema, "type"); types != nullptr && types->is_array() && !types->empty()) {
    type = types->front().is_string() ? types->front().get<std::string>() : "";
  }
  if (type == "string") {
    if (text_of(schema, "contentEncoding") == "base64") return "AA==";
    return text_of(schema, "format") == "date-time" ? "2026-07-14T09:30:00Z" : "text";
  }
  if (type == "integer") {
    const auto* low = member(schema, "minimum");
    return low != nullptr && low->is_number_integer() && *low > 1 ? *low : json(1);
  }
  if (type == "number") return 1.5;
  if (type == "boolean") return true;
  if (type == "array") {
    const auto* items = member(schema, "items");
    const auto* low = member(schema, "minItems");
    auto out = json::array();
    const auto count = low != nullptr && low->is_number_unsigned()
                           ? std::min(low->get<std::uint64_t>(), std::uint64_t{16})
                           : std::uint64_t{1};
    for (std::uint64_t i = 0; i < count; ++i) out.push_back(items == nullptr ? json(1) : example(*items, left));
    return out;
  }
  if (type == "object") {
    auto out = json::object();
    const auto* properties = member(schema, "properties");
    const auto* required = member(schema, "required");
    if (properties == nullptr || required == nullptr || !properties->is_object()) return out;
    for (const auto& [key, each] : properties->items()) {
      if (std::find(required->begin(), required->end(), key) != required->end()) out[key] = example(each, left);
    }
    return out;
  }
  return nullptr;
}

}  // namespace

std::vector<field_row> fields_of_schema(std::string_view schema) {
  const auto read = read_schema(schema);
  std::vector<field_row> out;
  append_fields(out, read, "");
  if (!out.empty() && member(read, "properties") != nullptr) return out;
  field_row whole{"", type_text(read), true, read.is_object() ? text_of(read, "description") : ""};
  if (const auto* properties = member(read, "properties"); properties != nullptr && properties->empty()) {
    whole.type = "no fields";
  }
  out.insert(out.begin(), std::move(whole));
  return out;
}

std::string example_of_schema(std::string_view schema) {
  int left = 256;
  const auto out = example(read_schema(schema), left);
  return out.is_null() || (out.is_object() && out.empty()) ? std::string{}
                                                           : out.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace waggle::cli
