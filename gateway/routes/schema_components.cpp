#include "gateway/routes/schema_components.hpp"

#include <algorithm>
#include <string_view>

#include "gateway/routes/schema_tidy.hpp"

namespace waggle::gateway {
namespace {

constexpr std::string_view schemas_at = "#/components/schemas/";
constexpr std::size_t title_bytes_max = 64;
/// References to references to references: more than that many are a circle.
constexpr int followed_max = 32;

/// What the name of a component may be made of.
bool is_plain(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == '-';
}

std::string plain(std::string text) {
  std::replace_if(text.begin(), text.end(), [](char c) { return !is_plain(c); }, '_');
  return text;
}

/// The name that a struct goes by; empty if it has none, or none that is fit to be a component's.
std::string title_of(const json_value& schema) {
  if (!schema.is_object() || !schema.contains("properties")) return {};
  const auto title = schema.find("title");
  if (title == schema.end()) return {};
  const auto& text = title->get_ref<const std::string&>();
  return !text.empty() && text.size() <= title_bytes_max && std::all_of(text.begin(), text.end(), is_plain) ? text : std::string{};
}

bool has_references(const json_value& in) {
  if (in.is_object() && in.contains("$ref")) return true;
  return in.is_structured() && std::any_of(in.begin(), in.end(), has_references);
}

}  // namespace

json_value component_reference(std::string_view kind, std::string_view name) {
  return {{"$ref", "#/components/" + std::string{kind} + '/' + std::string{name}}};
}

json_value schema_components::of_command(const std::string& service, const std::string& command, const std::string& which, const json_value& schema) {
  if (!schema.is_object()) return json_value::object();
  const auto [at, added] = of_commands_.try_emplace({command, which});
  if (!added) return at->second;
  auto tidy = tidied(schema);
  const auto otherwise = command + '.' + which;
  // Where references are to places within it, nothing may be moved.
  if (!has_references(tidy)) take_structs_out(service, otherwise, tidy);
  const auto title = title_of(tidy);
  return at->second = component(service, title.empty() ? otherwise : service + '.' + title, otherwise, std::move(tidy));
}

json_value schema_components::component(const std::string& service, const std::string& wanted, const std::string& otherwise, json_value schema) {
  const auto [known, added] = known_.try_emplace({service, wanted + schema.dump()});
  if (added) {
    auto& name = known->second;
    name = plain(wanted);
    if (all_.contains(name)) name = plain(otherwise);
    const auto base = name;
    for (int i = 2; all_.contains(name); ++i) name = base + '_' + std::to_string(i);
    rebase(schema, std::string{schemas_at} + name);
    all_[name] = std::move(schema);
  }
  return component_reference("schemas", known->second);
}

/// The innermost first, so that the outer ones refer to them.
void schema_components::take_structs_out(const std::string& service, const std::string& otherwise, json_value& schema) {
  for_each_subschema(schema, [&](json_value& each) {
    take_structs_out(service, otherwise, each);
    if (const auto title = title_of(each); !title.empty()) each = component(service, service + '.' + title, otherwise, std::move(each));
  });
}

const json_value* schema_components::find(std::string_view name) const {
  const auto at = all_.find(name);
  return at == all_.end() ? nullptr : &at->second;
}

const json_value& schema_components::followed(const json_value& schema) const {
  const json_value* at = &schema;
  for (int i = 0; i < followed_max; ++i) {
    if (!at->is_object()) return *at;
    const auto reference = at->find("$ref");
    if (reference == at->end()) return *at;
    const std::string_view text = reference->get_ref<const std::string&>();
    if (!text.starts_with(schemas_at)) return *at;
    const auto* next = find(text.substr(schemas_at.size()));
    if (next == nullptr) return *at;  // a place within a component
    at = next;
  }
  return *at;
}

const json_value* schema_components::entry(const json_value& schema, const std::string& name) const {
  const auto& of = followed(schema);
  if (!of.is_object()) return nullptr;
  const auto properties = of.find("properties");
  if (properties == of.end() || !properties->contains(name)) return nullptr;
  return &properties->at(name);
}

bool schema_components::needs(const json_value& schema, const std::string& name) const {
  const auto& of = followed(schema);
  if (!of.is_object()) return false;
  const auto required = of.find("required");
  return required != of.end() && std::find(required->begin(), required->end(), name) != required->end();
}

}  // namespace waggle::gateway
