#include "gateway/routes/schema_program.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <unordered_map>

#include <waggle/detail/instant.hpp>
#include <waggle/detail/payload_path.hpp>
#include <waggle/detail/text.hpp>
#include <waggle/wire/utf8.hpp>

#include "gateway/routes/schema_check.hpp"

namespace waggle::gateway::schema_detail {
namespace {

constexpr std::size_t pattern_bytes_max = 1024;
constexpr std::int64_t pattern_memory_bytes_max = 1 << 20;
constexpr std::size_t shown_values_max = 16;

void append_text(std::string& out, char tag, std::string_view text) {
  out += tag;
  out += std::to_string(text.size());
  out += ':';
  out += text;
}

void append_integer(std::string& out, bool negative, std::uint64_t bits) {
  out += 'n';
  out += negative ? std::to_string(static_cast<std::int64_t>(bits)) : std::to_string(bits);
  out += ';';
}

void append_number(std::string& out, double from) {
  if (std::trunc(from) == from && from >= -0x1p63 && from < 0x1p64) {
    if (from < 0) return append_integer(out, true, static_cast<std::uint64_t>(static_cast<std::int64_t>(from)));
    return append_integer(out, false, static_cast<std::uint64_t>(from));
  }
  out += 'd';
  out.append(reinterpret_cast<const char*>(&from), sizeof from);
}

using entry = std::pair<std::string, std::string>;

void append_object(std::string& out, std::vector<entry>& entries) {
  std::sort(entries.begin(), entries.end());
  out += '{';
  for (const auto& [key, value] : entries) {
    out += key;
    out += value;
  }
  out += '}';
}

}  // namespace

bool append_canonical(std::string& out, wire::reader& in, int depth_left) {
  std::string_view text;
  std::uint32_t count = 0;
  if (depth_left < 0) return false;
  switch (in.peek()) {
    case wire::kind::nil: out += '0'; return in.nil();
    case wire::kind::boolean: {
      bool truth = false;
      if (!in.boolean(truth)) return false;
      out += truth ? 't' : 'f';
      return true;
    }
    case wire::kind::unsigned_integer: {
      std::uint64_t is = 0;
      if (!in.unsigned_integer(is)) return false;
      append_integer(out, false, is);
      return true;
    }
    case wire::kind::integer: {
      std::int64_t is = 0;
      if (!in.integer(is)) return false;
      append_integer(out, is < 0, static_cast<std::uint64_t>(is));
      return true;
    }
    case wire::kind::floating: {
      double is = 0;
      if (!in.floating(is)) return false;
      append_number(out, is);
      return true;
    }
    case wire::kind::string:
      if (!in.string(text)) return false;
      append_text(out, 's', text);
      return true;
    case wire::kind::binary:
      if (!in.binary(text)) return false;
      append_text(out, 's', waggle::detail::base64_encode(text));
      return true;
    case wire::kind::extension: {
      std::int8_t kind = 0;
      if (!in.extension(kind, text)) return false;
      const auto at = kind == waggle::detail::timestamp_extension ? waggle::detail::read_timestamp_bytes(text) : std::nullopt;
      if (at) {
        append_text(out, 's', waggle::detail::rfc3339(at->seconds, at->nanoseconds));
      } else {
        append_text(out += 'x' + std::to_string(kind), ':', text);
      }
      return true;
    }
    case wire::kind::array:
      if (!in.array(count)) return false;
      out += '[';
      while (count-- > 0) {
        if (!append_canonical(out, in, depth_left - 1)) return false;
      }
      out += ']';
      return true;
    case wire::kind::map: {
      if (!in.map(count)) return false;
      std::vector<entry> entries(count);
      for (auto& [key, value] : entries) {
        if (!append_canonical(key, in, depth_left - 1) || !append_canonical(value, in, depth_left - 1)) return false;
      }
      append_object(out, entries);
      return true;
    }
    case wire::kind::none: break;
  }
  return false;
}

bool append_canonical(std::string& out, const json_value& from, int depth_left) {
  if (depth_left < 0) return false;
  switch (from.type()) {
    case json_value::value_t::null: out += '0'; return true;
    case json_value::value_t::boolean: out += from.get<bool>() ? 't' : 'f'; return true;
    case json_value::value_t::number_unsigned: append_integer(out, false, from.get<std::uint64_t>()); return true;
    case json_value::value_t::number_integer: {
      const auto is = from.get<std::int64_t>();
      append_integer(out, is < 0, static_cast<std::uint64_t>(is));
      return true;
    }
    case json_value::value_t::number_float: append_number(out, from.get<double>()); return true;
    case json_value::value_t::string: append_text(out, 's', from.get_ref<const std::string&>()); return true;
    case json_value::value_t::array:
      out += '[';
      for (const auto& each : from) {
        if (!append_canonical(out, each, depth_left - 1)) return false;
      }
      out += ']';
      return true;
    case json_value::value_t::object: {
      std::vector<entry> entries;
      for (const auto& [key, value] : from.items()) {
        auto& to = entries.emplace_back();
        append_text(to.first, 's', key);
        if (!append_canonical(to.second, value, depth_left - 1)) return false;
      }
      append_object(out, entries);
      return true;
    }
    default: return false;
  }
}

namespace {

class compiler {
 public:
  explicit compiler(const json_value& root) : root_{root} {}

  tl::expected<program, std::string> run() {
    out_.nodes.emplace_back().trivial = true;
    if (root_.is_object() && root_.contains("$schema") && root_["$schema"].is_string()) {
      old_ = root_["$schema"].get_ref<const std::string&>().find("draft-0") != std::string::npos;
    }
    out_.root = at(root_, 0);
    while (!left_.empty() && why_.empty()) {
      const work next = left_.back();
      left_.pop_back();
      node made;
      read(made, *next.schema, next.depth);
      out_.nodes[next.to] = std::move(made);
    }
    if (why_.empty()) look_for_loops();
    if (!why_.empty()) return tl::unexpected{std::move(why_)};
    return std::move(out_);
  }

 private:
  struct work {
    const json_value* schema;
    index to;
    int depth;
  };

  void refuse(std::string why) {
    if (why_.empty()) why_ = std::move(why);
  }

  /// What a message repeats of a worker's text.
  static std::string quoted(std::string_view text) {
    std::string out;
    waggle::detail::append_quoted(out, wire::is_utf8(text) ? text : std::string_view{"?"});
    return out;
  }

  /// The node of a subschema, which is read later: nothing here recurses.
  index at(const json_value& schema, int depth) {
    if (schema.is_boolean() && schema.get<bool>()) return any_value;
    if (const auto known = known_.find(&schema); known != known_.end()) return known->second;
    if (out_.nodes.size() >= schema_nodes_max) {
      refuse("it has more than " + std::to_string(schema_nodes_max) + " subschemas");
      return any_value;
    }
    if (depth > schema_depth_max) {
      refuse("it is deeper than " + std::to_string(schema_depth_max) + " levels");
      return any_value;
    }
    const auto to = static_cast<index>(out_.nodes.size());
    out_.nodes.emplace_back();
    known_.emplace(&schema, to);
    left_.push_back({&schema, to, depth});
    return to;
  }

  void read(node& out, const json_value& schema, int depth) {
    if (schema.is_boolean()) {
      out.never = !schema.get<bool>();
      return;
    }
    if (!schema.is_object()) return refuse("a subschema is neither an object nor a boolean");
    depth_ = depth + 1;
    const auto* reference = find(schema, "$ref");
    if (reference != nullptr) read_reference(out, *reference);
    if (reference == nullptr || !old_) {
      read_values(out, schema);
      read_numbers(out, schema);
      read_strings(out, schema);
      read_arrays(out, schema);
      read_objects(out, schema);
      read_alternatives(out, schema);
    }
    out.of_strings = out.min_length || out.max_length || out.text || out.format != text_format::any || out.base64;
    out.of_arrays = !out.first_items.empty() || out.items != any_value || out.contains != none || out.unique ||
                    out.min_items || out.max_items;
    out.of_objects = !out.properties.empty() || !out.patterns.empty() || out.more != any_value || out.names != any_value ||
                     !out.dependencies.empty() || out.min_properties || out.max_properties;
    out.in_place = out.reference != none || out.negated != none || out.condition != none || !out.all_of.empty() ||
                   !out.any_of.empty() || !out.one_of.empty() || !out.dependencies.empty();
    out.trivial = !out.never && !out.of_strings && !out.of_arrays && !out.of_objects && !out.in_place && out.types == 0 && !out.enumerated &&
                  !out.minimum && !out.maximum && !out.multiple_of;
  }

  static const json_value* find(const json_value& in, const char* key) {
    const auto found = in.find(key);
    return found == in.end() ? nullptr : &*found;
  }

  void read_reference(node& out, const json_value& from) {
    if (!from.is_string()) return refuse("a $ref is not a string");
    const auto& text = from.get_ref<const std::string&>();
    if (const auto* to = resolve(text)) {
      out.reference = at(*to, 0);
    } else {
      refuse("the $ref " + quoted(text) + " leads to no place in it");
    }
  }

  /// "#" and a JSON pointer (RFC 6901, section 6).
  const json_value* resolve(std::string_view text) const {
    if (text.empty() || text.front() != '#') return nullptr;
    std::string pointer;
    for (std::size_t i = 1; i < text.size(); ++i) {
      if (text[i] != '%') {
        pointer += text[i];
        continue;
      }
      const auto digit = [&](std::size_t at) {
        const char c = at < text.size() ? text[at] : '\0';
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
      };
      if (digit(i + 1) < 0 || digit(i + 2) < 0) return nullptr;
      pointer += static_cast<char>(digit(i + 1) * 16 + digit(i + 2));
      i += 2;
    }
    try {
      const json_value::json_pointer to{pointer};
      return root_.contains(to) ? &root_.at(to) : nullptr;
    } catch (const std::exception&) {  // not a pointer
      return nullptr;
    }
  }

  void read_values(node& out, const json_value& from) {
    if (const auto* types = find(from, "type")) {
      const auto one = [&](const json_value& each) {
        static const std::map<std::string, int, std::less<>> names{
            {"null", null}, {"boolean", boolean}, {"integer", integer}, {"number", integer | real},
            {"string", string}, {"array", array}, {"object", object}};
        const auto known = each.is_string() ? names.find(each.get_ref<const std::string&>()) : names.end();
        if (known == names.end()) return refuse("a type is none of JSON Schema's");
        out.types = static_cast<std::uint8_t>(out.types | known->second);
      };
      if (types->is_array()) {
        for (const auto& each : *types) one(each);
        if (types->empty()) refuse("a list of types is empty");
      } else {
        one(*types);
      }
    }
    const auto* all = find(from, "enum");
    const auto* only = find(from, "const");
    if (all == nullptr && only == nullptr) return;
    if (all != nullptr && !all->is_array()) return refuse("an enum is not a list");
    out.enumerated = true;
    std::size_t shown = 0;
    const auto add = [&](const json_value& each) {
      std::string canonical;
      if (!append_canonical(canonical, each, schema_depth_max)) return refuse("a value of an enum is too deep");
      out.values.push_back(std::move(canonical));
      if (shown > shown_values_max) return;
      if (shown != 0) out.values_shown += ", ";
      if (shown == shown_values_max) {
        out.values_shown += "...";
      } else if (each.is_string()) {
        out.values_shown += quoted(each.get_ref<const std::string&>());
      } else {
        auto text = each.dump(-1, ' ', false, json_value::error_handler_t::replace);
        out.values_shown += text.size() > waggle::detail::shown_bytes_max ? std::string{"a longer value"} : text;
      }
      ++shown;
    };
    if (only != nullptr) {
      if (all != nullptr && std::none_of(all->begin(), all->end(), [&](const auto& each) { return each == *only; })) {
        out.never = true;
      }
      add(*only);
    } else {
      for (const auto& each : *all) add(each);
    }
    if (out.values.size() > 1) out.values_shown = "one of " + out.values_shown;
    std::sort(out.values.begin(), out.values.end());
  }

  std::optional<number> number_of(const json_value* from, const char* keyword) {
    if (from == nullptr) return std::nullopt;
    if (from->is_number_unsigned()) return static_cast<number>(from->get<std::uint64_t>());
    if (from->is_number_integer()) return static_cast<number>(from->get<std::int64_t>());
    if (from->is_number_float() && std::isfinite(from->get<double>())) return static_cast<number>(from->get<double>());
    refuse(std::string{keyword} + " is not a number");
    return std::nullopt;
  }

  std::optional<std::uint64_t> count_of(const json_value& from, const char* keyword) {
    const auto is = number_of(find(from, keyword), keyword);
    if (!is) return std::nullopt;
    if (*is >= 0 && *is <= 0x1p53L && std::trunc(*is) == *is) return static_cast<std::uint64_t>(*is);
    refuse(std::string{keyword} + " is not a count");
    return std::nullopt;
  }

  void read_numbers(node& out, const json_value& from) {
    out.minimum = number_of(find(from, "minimum"), "minimum");
    out.maximum = number_of(find(from, "maximum"), "maximum");
    const auto excluded = [&](const char* keyword, std::optional<number>& bound, bool& is_excluded, bool lower) {
      const auto* is = find(from, keyword);
      if (is == nullptr) return;
      if (is->is_boolean()) {  // draft 4
        is_excluded = is->get<bool>();
        return;
      }
      const auto end = number_of(is, keyword);
      if (!end || (bound && (lower ? *bound > *end : *bound < *end))) return;
      bound = end;
      is_excluded = true;
    };
    excluded("exclusiveMinimum", out.minimum, out.minimum_excluded, true);
    excluded("exclusiveMaximum", out.maximum, out.maximum_excluded, false);
    out.multiple_of = number_of(find(from, "multipleOf"), "multipleOf");
    if (out.multiple_of && !(*out.multiple_of > 0)) refuse("multipleOf is not more than 0");
  }

  std::optional<pattern> pattern_of(std::string_view text) {
    if (text.size() > pattern_bytes_max) {
      refuse("a pattern is longer than " + std::to_string(pattern_bytes_max) + " bytes");
      return std::nullopt;
    }
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(pattern_memory_bytes_max);
    pattern out{quoted(text), std::make_unique<re2::RE2>(re2::StringPiece{text.data(), text.size()}, options)};
    patterns_bytes_ += static_cast<std::size_t>(out.is->ok() ? out.is->ProgramSize() : 0);
    if (!out.is->ok()) {
      refuse("the pattern " + out.shown + " cannot be used: " + quoted(out.is->error()));
    } else if (patterns_bytes_ > 100'000) {
      refuse("its patterns are too large together");
    }
    return out;
  }

  void read_strings(node& out, const json_value& from) {
    out.min_length = count_of(from, "minLength");
    out.max_length = count_of(from, "maxLength");
    if (const auto* is = find(from, "pattern")) {
      if (!is->is_string()) return refuse("a pattern is not a string");
      out.text = pattern_of(is->get_ref<const std::string&>());
    }
    if (const auto* is = find(from, "contentEncoding"); is != nullptr && is->is_string()) {
      out.binary = true;
      out.base64 = *is == "base64";
    }
    const auto* format = find(from, "format");
    if (format == nullptr || !format->is_string()) return;
    static const std::map<std::string, text_format, std::less<>> names{
        {"date-time", text_format::date_time}, {"date", text_format::date}, {"time", text_format::time},
        {"email", text_format::email},         {"uuid", text_format::uuid}, {"uri", text_format::uri},
        {"ipv4", text_format::ipv4},           {"ipv6", text_format::ipv6}};
    const auto known = names.find(format->get_ref<const std::string&>());
    if (known != names.end()) out.format = known->second;
  }

  void read_arrays(node& out, const json_value& from) {
    const auto* first = find(from, "prefixItems");
    const auto* items = find(from, "items");
    if (first == nullptr && items != nullptr && items->is_array()) {  // draft 7
      first = items;
      items = find(from, "additionalItems");
    }
    if (first != nullptr) {
      if (!first->is_array()) return refuse("prefixItems is not a list");
      for (const auto& each : *first) out.first_items.push_back(at(each, depth_));
    }
    if (items != nullptr) out.items = at(*items, depth_);
    if (const auto* contains = find(from, "contains")) out.contains = at(*contains, depth_);
    out.min_items = count_of(from, "minItems");
    out.max_items = count_of(from, "maxItems");
    out.min_contains = count_of(from, "minContains");
    out.max_contains = count_of(from, "maxContains");
    if (const auto* unique = find(from, "uniqueItems")) out.unique = unique->is_boolean() && unique->get<bool>();
  }

  const json_value* object_of(const json_value& from, const char* keyword) {
    const auto* is = find(from, keyword);
    if (is == nullptr || is->is_object()) return is;
    refuse(std::string{keyword} + " is not an object");
    return nullptr;
  }

  void read_names(std::vector<std::string>& out, const json_value& from, const char* keyword) {
    if (!from.is_array()) return refuse(std::string{keyword} + " is not a list");
    for (const auto& each : from) {
      if (!each.is_string()) return refuse(std::string{keyword} + " has a name that is not a string");
      out.push_back(each.get<std::string>());
    }
  }

  void read_objects(node& out, const json_value& from) {
    if (const auto* properties = object_of(from, "properties")) {
      for (const auto& [name, schema] : properties->items()) out.properties.push_back({name, at(schema, depth_)});
    }
    sort_properties(out);
    if (const auto* required = find(from, "required"); required != nullptr && !required->is_boolean()) {  // draft 3
      read_required(out, *required);
    }
    if (out.properties.size() > schema_properties_max) refuse("it has an object with too many properties");
    if (const auto* patterns = object_of(from, "patternProperties")) {
      for (const auto& [text, schema] : patterns->items()) {
        auto made = pattern_of(text);
        if (!made) return;
        out.patterns.emplace_back(std::move(*made), at(schema, depth_));
      }
    }
    if (const auto* more = find(from, "additionalProperties")) {
      out.more = at(*more, depth_);
    }
    if (const auto* names = find(from, "propertyNames")) out.names = at(*names, depth_);
    for (const char* keyword : {"dependentRequired", "dependentSchemas", "dependencies"}) {
      const auto* all = object_of(from, keyword);
      if (all == nullptr) continue;
      for (const auto& [name, is] : all->items()) {
        auto& to = out.dependencies.emplace_back();
        to.name = name;
        if (is.is_array()) {
          read_names(to.required, is, keyword);
        } else {
          to.is = at(is, depth_);
        }
      }
    }
    out.min_properties = count_of(from, "minProperties");
    out.max_properties = count_of(from, "maxProperties");
  }

  void read_required(node& out, const json_value& required) {
    std::vector<std::string> names;
    read_names(names, required, "required");
    std::sort(names.begin(), names.end());
    for (auto& each : out.properties) each.required = std::binary_search(names.begin(), names.end(), each.name);
    const auto known = [&](const std::string& name) {
      const auto found = std::lower_bound(out.by_name.begin(), out.by_name.end(), name,
                                          [&](std::uint32_t a, const std::string& b) { return out.properties[a].name < b; });
      return found != out.by_name.end() && out.properties[*found].name == name;
    };
    std::vector<property> only_required;
    for (const auto& each : names) {
      if (!known(each) && (only_required.empty() || only_required.back().name != each))
        only_required.push_back({each, none, true});
    }
    for (auto& each : only_required) out.properties.push_back(std::move(each));
    sort_properties(out);
  }

  static void sort_properties(node& out) {
    out.by_name.resize(out.properties.size());
    std::iota(out.by_name.begin(), out.by_name.end(), 0u);
    std::sort(out.by_name.begin(), out.by_name.end(),
              [&](std::uint32_t a, std::uint32_t b) { return out.properties[a].name < out.properties[b].name; });
  }

  void read_alternatives(node& out, const json_value& from) {
    const auto list = [&](const char* keyword, std::vector<index>& to) {
      const auto* is = find(from, keyword);
      if (is == nullptr) return;
      if (!is->is_array() || is->empty()) return refuse(std::string{keyword} + " is not a list of schemas");
      for (const auto& each : *is) to.push_back(at(each, depth_));
    };
    list("allOf", out.all_of);
    list("anyOf", out.any_of);
    list("oneOf", out.one_of);
    if (const auto* is = find(from, "not")) out.negated = at(*is, depth_);
    if (const auto* is = find(from, "if")) {
      out.condition = at(*is, depth_);
      if (const auto* then = find(from, "then")) out.then = at(*then, depth_);
      if (const auto* otherwise = find(from, "else")) out.otherwise = at(*otherwise, depth_);
    }
  }

  /// A schema that leads back to itself at the same value would be looked at for ever. Without recursion: the chain may be as
  /// long as there are nodes.
  void look_for_loops() {
    enum : std::uint8_t { unseen, open, done };
    std::vector<std::uint8_t> state(out_.nodes.size(), unseen);
    std::vector<std::pair<index, std::vector<index>>> path;
    for (index first = 0; first < out_.nodes.size(); ++first) {
      if (state[first] != unseen) continue;
      state[first] = open;
      path.emplace_back(first, in_place_of(out_.nodes[first]));
      while (!path.empty()) {
        auto& [at, next] = path.back();
        if (next.empty()) {
          state[at] = done;
          path.pop_back();
          continue;
        }
        const auto to = next.back();
        next.pop_back();
        if (state[to] == open) return refuse("a $ref leads back to itself");
        if (state[to] == done) continue;
        state[to] = open;
        path.emplace_back(to, in_place_of(out_.nodes[to]));
      }
    }
  }

  static std::vector<index> in_place_of(const node& of) {
    std::vector<index> out;
    for (const auto* list : {&of.all_of, &of.any_of, &of.one_of}) out.insert(out.end(), list->begin(), list->end());
    for (const auto each : {of.reference, of.negated, of.condition, of.then, of.otherwise}) {
      if (each != none) out.push_back(each);
    }
    for (const auto& each : of.dependencies) out.push_back(each.is);
    std::erase(out, any_value);
    return out;
  }

  const json_value& root_;
  program out_;
  std::unordered_map<const json_value*, index> known_;
  std::vector<work> left_;
  std::string why_;
  std::size_t patterns_bytes_ = 0;
  int depth_ = 0;
  bool old_ = false;  // up to draft 7, where a $ref stands alone
};

bool is_email(std::string_view text) {
  const auto at = text.rfind('@');
  if (at == std::string_view::npos || at == 0 || at + 1 == text.size() || text.size() > 320) return false;
  return std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f'; });
}

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !is_hex(text[i])) return false;
  }
  return true;
}

/// RFC 3986, as far as it tells a URI from what is none: a scheme, and only characters that a URI may have.
bool is_uri(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || !letter(text[0])) return false;
  for (const char c : text.substr(0, colon)) {
    if (!letter(c) && !digit(c) && c != '+' && c != '-' && c != '.') return false;
  }
  for (std::size_t i = colon; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size() || !is_hex(text[i + 1]) || !is_hex(text[i + 2])) return false;
    } else if (!letter(c) && !digit(c) && std::string_view{"-._~:/?#[]@!$&'()*+,;="}.find(c) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

bool is_address(int family, std::string_view text) {
  char out[sizeof(in6_addr)];
  return text.size() < 64 && text.find('\0') == std::string_view::npos &&
         inet_pton(family, std::string{text}.c_str(), out) == 1;
}

}  // namespace

bool fits(text_format format, std::string_view text) {
  using waggle::detail::parse_rfc3339;
  switch (format) {
    case text_format::any: return true;
    case text_format::date_time: return parse_rfc3339(text).has_value();
    case text_format::date: return text.size() == 10 && parse_rfc3339(std::string{text} + "T00:00:00Z").has_value();
    // On a day at whose end there may be a leap second.
    case text_format::time: return text.size() < 64 && parse_rfc3339("2000-01-31T" + std::string{text}).has_value();
    case text_format::email: return is_email(text);
    case text_format::uuid: return is_uuid(text);
    case text_format::uri: return is_uri(text);
    case text_format::ipv4: return is_address(AF_INET, text);
    case text_format::ipv6: return is_address(AF_INET6, text);
  }
  return true;
}

tl::expected<program, std::string> compile(const json_value& schema) {
  try {
    return compiler{schema}.run();
  } catch (const std::exception& fault) {  // nlohmann's, on what it does not allow
    return tl::unexpected{std::string{"it cannot be read: "} + fault.what()};
  }
}

}  // namespace waggle::gateway::schema_detail
