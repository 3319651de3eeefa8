#include "gateway/routes/value.hpp"

#include <algorithm>
#include <stdexcept>

#include <waggle/wire/json.hpp>
#include <waggle/wire/reader.hpp>
#include <waggle/wire/writer.hpp>

#include "gateway/front/http_syntax.hpp"
#include "gateway/routes/body.hpp"
#include "gateway/routes/jq_references.hpp"

namespace waggle::gateway {
namespace {

using part = source::part;

const char* where(part from) {
  switch (from) {
    case part::path: return "path parameter ";
    case part::query: return "query parameter ";
    case part::header: return "header ";
    case part::cookie: return "cookie ";
    case part::env: return "environment ";
    default: return "";
  }
}

text_rule rule_of(text_type type) {
  const char* name = type == text_type::integer  ? "integer"
                     : type == text_type::number ? "number"
                     : type == text_type::boolean ? "boolean"
                     : type == text_type::list    ? "array"
                                                  : "string";
  const json_value schema = {{"type", name}};
  return {schema, schema};
}

/// What is not unreserved (RFC 3986, section 2.3) escaped, so that a text stays one segment or one parameter.
std::string percent_encoded(std::string_view text) {
  constexpr std::string_view hex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       std::string_view{"-._~"}.find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else {
      out += {'%', hex[byte >> 4], hex[byte & 15]};
    }
  }
  return out;
}

}  // namespace

std::size_t segment_of(const path_pattern& path, std::string_view parameter) {
  for (std::size_t i = 0; i < path.segments.size(); ++i) {
    if (path.segments[i].parameter && path.segments[i].text == parameter) return i;
  }
  return 0;
}

value_plan::value_plan(const value_config& from, const path_pattern& path, const step_numbers& steps, const json_value* schema,
                       const json_value* root) {
  step_names_.resize(steps.size());
  for (const auto& [name, number] : steps) step_names_[number] = name;
  path_ = path;
  root_ = bind(from, path, steps, schema, root, {});
}

value_plan::node value_plan::bind(const value_config& from, const path_pattern& path, const step_numbers& steps,
                                  const json_value* schema, const json_value* root, const std::string& label) {
  node out;
  out.label = label;
  if (const auto* constant = std::get_if<value_config::constant>(&from.is)) {
    out.constant = constant->msgpack;
    out.has_constant = true;
  } else if (const auto* taken = std::get_if<value_config::taken>(&from.is)) {
    out.from = taken->from;
    out.has_constant = taken->otherwise.has_value();
    out.constant = taken->otherwise.value_or("");
    if (taken->from.of_request()) {
      out.is = node::kind::request;
      out.segment = segment_of(path, taken->from.name);
      out.slot = slots_++;
      needs_.add(taken->from);
      if (taken->type != text_type::automatic) {
        out.rule = rule_of(taken->type);
      } else if (schema != nullptr && taken->from.is_text()) {
        out.rule = text_rule{*schema, *root};
      }
    } else {
      out.is = node::kind::step;
      out.step = steps.at(taken->from.name);
      steps_.push_back({out.step, taken->from.from == part::error});
    }
  } else if (const auto* object = std::get_if<value_config::object>(&from.is)) {
    out.is = node::kind::object;
    for (const auto& [key, value] : object->entries) {
      const json_value* field = schema == nullptr ? nullptr : property_of(*schema, *root, key);
      out.children.push_back(bind(value, path, steps, field, root, label.empty() ? key : label + '.' + key));
      out.children.back().key = key;
    }
  } else if (const auto* list = std::get_if<value_config::list>(&from.is)) {
    out.is = node::kind::list;
    for (const auto& item : list->items) {
      out.children.push_back(bind(item, path, steps, nullptr, nullptr, label + '[' + std::to_string(out.children.size()) + ']'));
    }
  } else {
    const auto& program = std::get<value_config::program>(from.is);
    out.is = node::kind::program;
    out.slot = slots_++;
    needs_ = {true, true, true};
    for (const auto& [of, name, alone] : jq_references(program.jq)) {
      const auto step = steps.find(name);
      const bool of_error = of == part::error;
      const auto known = [&](const step_reference& each) { return each.step == step->second && each.of_error == of_error; };
      if (step == steps.end() || std::any_of(steps_.begin(), steps_.end(), known)) continue;
      steps_.push_back({step->second, of_error});
    }
    auto compiled = jq_program::shared(program.jq);
    if (!compiled) throw std::invalid_argument(program.at.shown() + ": " + compiled.error());
    out.program = std::move(*compiled);
    out.label = program.at.shown();
  }
  return out;
}

std::string value_plan::origin(std::string_view path) const {
  const auto field = path.substr(0, path.find_first_of(".["));
  for (const auto& each : root_.children) {
    if (root_.is == node::kind::object && each.key == field && each.is == node::kind::request) return each.from.written();
  }
  return {};
}

void value_plan::take(const request_reader& in, taken_values& out, std::vector<problem>& wrong) const {
  std::vector<std::string_view> texts;
  take(root_, in, out, wrong, texts);
}

/// In the order in which `bind` has given the slots away.
void value_plan::take(const node& at, const request_reader& in, taken_values& out, std::vector<problem>& wrong,
                      std::vector<std::string_view>& texts) const {
  switch (at.is) {
    case node::kind::constant:
    case node::kind::step: return;
    case node::kind::object:
    case node::kind::list:
      for (const auto& each : at.children) take(each, in, out, wrong, texts);
      return;
    case node::kind::program: return out.add(snapshot_of(in, path_));
    case node::kind::request: break;
  }
  if (!at.from.is_text()) {
    const auto value = in.find(at.from);
    return value ? out.add(*value) : out.add_absent();
  }
  texts.clear();
  in.find(at.from, at.segment, texts);
  if (texts.empty()) return out.add_absent();
  std::string value;
  if (const char* const expected = at.rule.append(value, texts)) {
    if (wrong.size() < wire::error_problems_max) {
      wrong.push_back({at.label, where(at.from.from) + at.from.name + ": " + expected});
    }
    return out.add_absent();
  }
  out.add(value);
}

made<bool> value_plan::append(std::string& out, const taken_values& request, std::span<const step_outcome> steps) const {
  const auto size = out.size();
  auto there = append(root_, out, request, steps);
  if (!there || !*there) out.resize(size);
  return there;
}

made<bool> value_plan::append(const node& at, std::string& out, const taken_values& request,
                                std::span<const step_outcome> steps) const {
  const auto or_else = [&](std::optional<std::string_view> value) {
    if (value) {
      out += *value;
    } else if (at.has_constant) {
      out += at.constant;
    } else {
      return false;
    }
    return true;
  };
  switch (at.is) {
    case node::kind::constant: return or_else(at.constant);
    case node::kind::request: return or_else(request[at.slot]);
    case node::kind::step: {
      const auto& all = at.from.from == part::error ? steps[at.step].error : steps[at.step].value;
      return or_else(all ? find_in(*all, at.from.steps) : std::nullopt);
    }
    case node::kind::object: {
      map_builder map{out};
      for (const auto& each : at.children) {
        const auto before = out.size();
        map.key(each.key);
        auto there = append(each, out, request, steps);
        if (!there) return there;
        if (*there) continue;
        out.resize(before);
        map.take_back_key();
      }
      map.finish();
      return true;
    }
    case node::kind::list: {
      std::string items;
      std::size_t count = 0;
      for (const auto& each : at.children) {
        auto there = append(each, items, request, steps);
        if (!there) return there;
        if (*there) ++count;
      }
      wire::writer{out}.array(count);
      out += items;
      return true;
    }
    case node::kind::program: return run(at, out, request, steps);
  }
  return false;
}

made<bool> value_plan::run(const node& at, std::string& out, const taken_values& request,
                             std::span<const step_outcome> steps) const {
  std::string input;
  map_builder map{input};
  const auto snapshot = *request[at.slot];
  wire::reader in{snapshot};
  std::uint32_t count = 0;
  in.map(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto from = in.offset();
    in.skip();
    in.skip();
    map.entry(snapshot.substr(from, in.offset() - from));
  }
  for (const bool errors : {false, true}) {
    map.key(errors ? "error" : "step");
    map_builder inner{input};
    for (const auto& [step, of_error] : steps_) {
      const auto& value = of_error ? steps[step].error : steps[step].value;
      if (of_error != errors || !value) continue;
      inner.key(step_names_[step]);
      input += *value;
    }
    inner.finish();
  }
  map.finish();
  auto output = at.program->run(input);
  if (!output) {
    auto& shown = output.error().shown;
    // The client did nothing wrong if it is a step that has replied what jq cannot take.
    const bool step_is_exact = std::all_of(steps_.begin(), steps_.end(), [&](const step_reference& each) {
      const auto& value = each.of_error ? steps[each.step].error : steps[each.step].value;
      return !value || jq_program::exact(*value);
    });
    if (shown.code == status::invalid_argument && !step_is_exact) {
      shown = {status::internal, "a step's reply has an integer past 9007199254740992 (2^53), which this route cannot carry exactly"};
    }
    return tl::unexpected{value_failure{std::move(shown), "jq at " + at.label + ": " + output.error().reason}};
  }
  if (!*output) return false;
  out += **output;
  return true;
}

template_plan::template_plan(const text_template& from, const path_pattern& path, const step_numbers& steps, bool in_url)
    : in_url_{in_url} {
  for (const auto& each : from.pieces) {
    auto& made = pieces_.emplace_back();
    if (const auto* text = std::get_if<std::string>(&each)) {
      made.text = *text;
      continue;
    }
    value_config value;
    value.is = value_config::taken{std::get<source>(each), text_type::automatic, {}};
    made.value.emplace(value, path, steps, nullptr, nullptr);
    needs_.add(made.value->needs());
    steps_.insert(steps_.end(), made.value->steps().begin(), made.value->steps().end());
  }
}

void template_plan::take(const request_reader& in, taken_values& out, std::vector<problem>& wrong) const {
  for (const auto& each : pieces_) {
    if (!each.value) continue;
    taken_values one;
    each.value->take(in, one, wrong);
    std::string value;
    if (each.value->steps().empty() && each.value->append(value, one, {}).value_or(false)) {
      out.add(value);
    } else {
      out.add_absent();
    }
  }
}

std::optional<std::string> template_plan::text(const taken_values& request, std::span<const step_outcome> steps) const {
  std::string out;
  std::size_t slot = 0;
  for (const auto& each : pieces_) {
    out += each.text;
    if (!each.value) continue;
    std::string value;
    if (const auto taken = request[slot++]) {
      value = *taken;
    } else if (each.value->steps().empty() || !each.value->append(value, {}, steps).value_or(false)) {
      return std::nullopt;
    }
    const auto text = plain_text(value);
    if (!text) return std::nullopt;
    out += in_url_ ? percent_encoded(*text) : *text;
  }
  if (!front::syntax::is_field_value(out)) return std::nullopt;
  return out;
}

std::optional<std::string> plain_text(std::string_view value) {
  wire::reader in{value};
  std::string_view text;
  switch (in.peek()) {
    case wire::kind::string: in.string(text); return std::string{text};
    case wire::kind::unsigned_integer:
    case wire::kind::integer:
    case wire::kind::floating:
    case wire::kind::boolean: return wire::msgpack_to_json(value);
    default: return std::nullopt;
  }
}

std::string snapshot_of(const request_reader& in, const path_pattern& path) {
  std::string out;
  map_builder all{out};
  const auto texts = [&](std::string_view group, std::vector<std::pair<std::string, std::string_view>> entries) {
    std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    all.key(group);
    map_builder map{out};
    for (std::size_t i = 0; i < entries.size();) {
      std::size_t end = i + 1;
      while (end < entries.size() && entries[end].first == entries[i].first) ++end;
      const bool readable = std::all_of(entries.begin() + static_cast<std::ptrdiff_t>(i), entries.begin() + static_cast<std::ptrdiff_t>(end),
                                        [](const auto& each) { return wire::is_utf8(each.first) && wire::is_utf8(each.second); });
      if (readable) {
        map.key(entries[i].first);
        wire::writer value{out};
        if (end - i > 1) value.array(end - i);
        for (std::size_t at = i; at < end; ++at) value.string(entries[at].second);
      }
      i = end;
    }
    map.finish();
  };
  std::vector<std::pair<std::string, std::string_view>> entries;
  for (std::size_t i = 0; i < path.segments.size(); ++i) {
    if (path.segments[i].parameter) entries.emplace_back(path.segments[i].text, in.path()[i]);
  }
  texts("path", std::move(entries));
  entries = {in.query().parameters().begin(), in.query().parameters().end()};
  texts("query", std::move(entries));
  entries = {};
  for (const auto& [name, value] : in.headers()) {
    entries.emplace_back(front::syntax::lower(std::string{name}), value);
  }
  texts("header", std::move(entries));
  texts("cookie", {in.cookies().begin(), in.cookies().end()});
  if (!in.claims().empty()) {
    all.key("claim");
    out += in.claims();
  }
  if (in.body()) {
    all.key("body");
    out += *in.body();
  }
  all.finish();
  return out;
}

}  // namespace waggle::gateway
