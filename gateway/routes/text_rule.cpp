#include "gateway/routes/text_rule.hpp"

#include <algorithm>
#include <array>

#include <waggle/wire/json.hpp>
#include <waggle/wire/utf8.hpp>
#include <waggle/wire/writer.hpp>

namespace waggle::gateway {
namespace {

/// The schema that a reference within the same document names; null if there is none.
const json_value* resolve(const json_value& reference, const json_value& root) {
  if (!reference.is_string()) return nullptr;
  const auto& text = reference.get_ref<const std::string&>();
  if (!text.starts_with('#')) return nullptr;
  try {
    const json_value::json_pointer pointer{text.substr(1)};
    return root.contains(pointer) ? &root.at(pointer) : nullptr;
  } catch (const json_value::exception&) {
    return nullptr;  // an anchor or a malformed pointer
  }
}

/// Whether JSON would read the text as a number, and nothing around it.
bool looks_like_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789+-.eE") == std::string_view::npos;
}

}  // namespace

text_rule::text_rule(const json_value& schema, const json_value& root) : types_{0} {
  int visits_left = schema_visits_max;
  read(schema, root, visits_left);
  describe();
}

void text_rule::read(const json_value& schema, const json_value& root, int& visits_left) {
  if (!schema.is_object() || visits_left-- <= 0) return;
  if (const auto at = schema.find("$ref"); at != schema.end()) {
    if (const json_value* target = resolve(*at, root)) read(*target, root, visits_left);
  }
  const auto add_type = [&](const json_value& type) {
    if (!type.is_string()) return;
    const auto& text = type.get_ref<const std::string&>();
    constexpr std::array<std::pair<std::string_view, std::uint8_t>, 7> names{{{"integer", integer},
                                                                              {"number", number},
                                                                              {"boolean", boolean},
                                                                              {"string", string},
                                                                              {"null", null},
                                                                              {"array", list},
                                                                              {"object", object}}};
    for (const auto& [known, bit] : names) {
      if (text == known) types_ |= bit;
    }
  };
  if (const auto at = schema.find("type"); at != schema.end()) {
    if (at->is_array()) {
      for (const auto& each : *at) add_type(each);
    } else {
      add_type(*at);
    }
  }
  const auto add_value = [&](const json_value& value) {
    enumerated_ = true;
    auto bytes = open_ ? failure(status::out_of_range, "") : wire::json_to_msgpack(value.dump());
    if (bytes && bytes->size() <= schema_value_bytes_max && values_.size() < schema_values_max) {
      values_.push_back(std::move(*bytes));
    } else {
      open_ = true;
    }
    if (schema.contains("type")) return;
    types_ |= value.is_string()           ? string
              : value.is_number_integer() ? integer
              : value.is_number()         ? number
              : value.is_boolean()        ? boolean
              : value.is_null()           ? null
              : value.is_array()          ? list
                                          : object;
  };
  if (const auto at = schema.find("enum"); at != schema.end() && at->is_array()) {
    for (const auto& each : *at) add_value(each);
  } else if (const auto constant = schema.find("const"); constant != schema.end()) {
    add_value(*constant);
  }
  if (const auto at = schema.find("items"); at != schema.end() && items_.empty()) {
    items_.emplace_back().types_ = 0;
    items_[0].read(*at, root, visits_left);
  }
  for (const char* const either : {"anyOf", "oneOf"}) {
    if (const auto at = schema.find(either); at != schema.end() && at->is_array())
      merge_alternatives(*at, root, visits_left);
  }
  if (const auto at = schema.find("allOf"); at != schema.end() && at->is_array()) {
    for (const auto& each : *at) {
      if (types_ == 0) read(each, root, visits_left);
    }
  }
}

/// Values limit a choice only if each of its branches, but null, lists its own.
void text_rule::merge_alternatives(const json_value& alternatives, const json_value& root, int& visits_left) {
  bool all_enumerated = true;
  std::vector<std::string> values;
  for (const auto& each : alternatives) {
    text_rule branch;
    branch.types_ = 0;
    branch.read(each, root, visits_left);
    types_ |= branch.types_;
    if (items_.empty()) items_ = std::move(branch.items_);
    if (branch.types_ == null) continue;
    all_enumerated = all_enumerated && branch.enumerated_;
    open_ = open_ || branch.open_ || values.size() + branch.values_.size() > schema_values_max;
    if (open_) continue;
    for (auto& value : branch.values_) values.push_back(std::move(value));
  }
  if (!all_enumerated || values.empty()) return;
  enumerated_ = true;
  for (auto& value : values) values_.push_back(std::move(value));
}

void text_rule::describe() {
  if (types_ == 0) types_ = string;
  if ((types_ & list) != 0) {
    if (items_.empty()) items_.emplace_back();
    items_[0].describe();
  }
  std::string types;
  const auto add = [&](std::uint8_t bit, const char* text) {
    if ((types_ & bit) != 0) types += (types.empty() ? "" : " or ") + std::string{text};
  };
  add(integer, "an integer of at most 64 bits");
  add(number, "a number");
  add(boolean, "true or false");
  add(string, "a text");
  if (types.empty() && (types_ & list) != 0) types = "a list of which each is " + items_[0].expected_.substr(9);
  if (types.empty())
    types = (types_ & object) != 0 ? "an object, which only a body can carry" : "an empty text, for null";
  if (enumerated_ && !open_) {
    std::string listed;
    for (std::size_t i = 0; i < values_.size() && i < 16; ++i)
      listed += (i == 0 ? "" : ", ") + wire::msgpack_to_json(values_[i]);
    if (values_.size() > 16) listed += ", ...";
    if (!listed.empty()) types = "one of " + listed;
  }
  expected_ = "expected " + types;
}

const char* text_rule::append(std::string& out, std::span<const std::string_view> texts) const {
  for (const auto text : texts) {
    if (!wire::is_utf8(text)) return "expected UTF-8";
  }
  const auto from = out.size();
  if (texts.size() == 1 && (types_ & (integer | number | boolean | string)) != 0) {
    if (append_one(out, texts[0])) return nullptr;
    out.resize(from);
    if ((types_ & list) == 0) return expected_.c_str();
  }
  if ((types_ & list) != 0) {
    wire::writer{out}.array(texts.size());
    bool whole = true;
    for (const auto text : texts) whole = whole && items_[0].append_one(out, text);
    if (whole) return nullptr;
    out.resize(from);
    return expected_.c_str();
  }
  if (texts.size() != 1) return "expected one value; it came more than once";
  if (append_one(out, texts[0])) return nullptr;
  out.resize(from);
  return expected_.c_str();
}

bool text_rule::append_one(std::string& out, std::string_view text) const {
  const auto from = out.size();
  const auto takes = [&] {
    if (allowed(std::string_view{out}.substr(from))) return true;
    out.resize(from);
    return false;
  };
  if ((types_ & null) != 0 && (types_ & string) == 0 && text.empty()) {
    wire::writer{out}.nil();
    return true;
  }
  if ((types_ & (integer | number)) != 0 && looks_like_number(text)) {
    // The text means what it would mean in a JSON body, and is refused where that would be.
    if (const auto value = wire::json_to_msgpack(text)) {
      const bool whole = wire::reader{*value}.peek() != wire::kind::floating;
      if (whole || (types_ & number) != 0) {
        out += *value;
        if (takes()) return true;
      }
    }
  }
  if ((types_ & boolean) != 0 && (text == "true" || text == "1" || text == "false" || text == "0")) {
    wire::writer{out}.boolean(text == "true" || text == "1");
    if (takes()) return true;
  }
  if ((types_ & string) != 0) {
    wire::writer{out}.string(text);
    if (takes()) return true;
  }
  return false;
}

bool text_rule::allowed(std::string_view value) const {
  return !enumerated_ || open_ || std::find(values_.begin(), values_.end(), value) != values_.end();
}

const json_value* property_of(const json_value& schema, const json_value& root, std::string_view name) {
  const json_value* at = &schema;
  for (int visits_left = schema_visits_max; visits_left > 0 && at != nullptr && at->is_object(); --visits_left) {
    if (const auto properties = at->find("properties"); properties != at->end() && properties->is_object()) {
      const auto found = properties->find(std::string{name});
      return found == properties->end() ? nullptr : &*found;
    }
    const auto reference = at->find("$ref");
    if (reference == at->end()) return nullptr;
    at = resolve(*reference, root);
  }
  return nullptr;
}

text_rules rules_of(const json_value& schema) {
  text_rules out;
  if (!schema.is_object()) return out;
  const auto properties = schema.find("properties");
  if (properties == schema.end() || !properties->is_object()) return out;
  for (const auto& [name, each] : properties->items()) {
    if (out.size() == schema_properties_max) break;
    out.emplace(name, text_rule{each, schema});
  }
  return out;
}

}  // namespace waggle::gateway
