#include <algorithm>
#include <limits>

#include <waggle/wire/utf8.hpp>

#include "gateway/routes/config_keys.hpp"
#include "gateway/routes/config_reader.hpp"

namespace waggle::gateway {
namespace {

bool is_step_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && name.size() <= 64 && letter(name.front()) && std::all_of(name.begin(), name.end(), [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '-';
  });
}

}  // namespace

bool config_reader::is_command(const std::string& text, int line, const char* what) {
  if (wire::is_name(text)) return true;
  wrong(line, in_quotes(text) + " is no name of a" + (*what == 'e' ? "n " : " ") + what +
                  "; write 1 to 128 bytes without spaces");
  return false;
}

/// A route that is one call or one event: its keys are those of the step.
void config_reader::read_simple(const entry_map& known) {
  step_config out;
  out.name = route_.names.empty() ? "call" : route_.names.front();
  out.at = route_.out.at;
  if (const auto at = known.find("call"); at != known.end()) out.call = read_target(at->second);
  if (const auto* topic = text(known, "emit", "order.placed"); topic != nullptr && is_command(*topic, known.at("emit").line, "event"))
    out.emit = *topic;
  const user by{user::kind::step, 0};
  out.payload = read_payload(known, by);
  out.key = read_source(known, "key", by);
  route_.out.steps.push_back(std::move(out));
}

/// The steps of one map, without those whose names are none; the names are kept.
config_reader::entry_list config_reader::read_names(const entry_map& in, std::string_view key) {
  const auto at = in.find(key);
  if (at == in.end()) return {};
  const entry& steps = at->second;
  const bool then = key == "then";
  const std::string what{key};
  if (!steps.value.IsMap() || steps.value.size() == 0) {
    wrong(steps.line, what + " is no map of steps; write them, as in " + what + ": {order: {call: order.place}}");
    return {};
  }
  if (steps.value.size() > route_steps_max) {
    wrong(steps.line, "there are more than 32 steps; write fewer, or a command that does several");
    return {};
  }
  entry_list out;
  for (const auto& each : entries(steps.value, "a step's name")) {
    const auto& [name, value] = each;
    if (!is_step_name(name)) {
      wrong(value.key_line, in_quotes(name) + " is no name of a step; write letters, digits, _ and -, a letter first");
    } else if (then && std::find(route_.names.begin(), route_.names.end(), name) != route_.names.end()) {
      wrong(value.key_line, "another step is named " + in_quotes(name) + "; name one of them otherwise");
    } else {
      (then ? route_.then_names : route_.names).push_back(name);
      out.push_back(each);
    }
  }
  return out;
}

void config_reader::read_steps(const entry_list& all, bool then) {
  auto& out = then ? route_.out.then : route_.out.steps;
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto& step = out.emplace_back();
    step.name = all[i].first;
    step.at = {name_, all[i].second.key_line};
    read_step(step, all[i].second.value, {then ? user::kind::then : user::kind::step, i});
  }
}

void config_reader::read_step(step_config& out, const YAML::Node& node, user by) {
  const bool then = by.is == user::kind::then;
  if (!node.IsMap()) return wrong(out.at.line, "a step is a map; write " + out.name + ": {call: hello.say}");
  // What a step of `then` cannot have gets a reason of its own.
  const auto known = entries(node, "a step", keys::step);
  const auto has = [&](std::string_view key) { return known.find(key) != known.end(); };
  if (has("call") == has("emit")) {
    wrong(out.at.line, "the step " + out.name + (has("call") ? " both calls and emits; write one of them"
                                                              : " calls nothing; write call: COMMAND or emit: TOPIC"));
  }
  for (const std::string_view key : {"optional", "fallback", "undo"}) {
    if (then && has(key))
      wrong(known.find(key)->second.key_line,
            "a step of then has no " + std::string{key} + ": the reply has been given; remove it, or write the step below steps");
  }
  if (has("call")) out.call = read_target(known.at("call"));
  if (const auto* topic = text(known, "emit", "order.placed"); topic != nullptr && is_command(*topic, known.at("emit").line, "event"))
    out.emit = *topic;
  out.payload = read_payload(known, by);
  out.key = read_source(known, "key", by);
  out.budget = budget(known);
  if (has("optional")) {
    const auto& at = known.at("optional");
    const std::string said = at.value.IsScalar() ? at.value.Scalar() : "";
    if (said != "true" && said != "false") wrong(at.line, "optional is neither true nor false; write optional: true");
    if (said == "true") out.needed = step_config::need::optional;
    if (has("fallback")) wrong(known.at("fallback").key_line, "a step with a fallback is optional; write one of both");
  }
  if (has("fallback")) {
    if (auto value = constant(known.at("fallback"))) out.fallback = std::move(*value);
    out.needed = step_config::need::fallback;
  }
  if (has("after")) read_after(out, known.at("after"), then);
  if (has("undo") && !then) read_undo(out, known.at("undo"), by.index);
}

void config_reader::read_undo(step_config& out, const entry& at, std::size_t index) {
  if (!at.value.IsMap()) return wrong(at.line, "undo is no map; write it as undo: {call: order.cancel, fields: {id: step." + out.name + ".id}}");
  const auto known = entries(at.value, "an undo", keys::undo);
  const user by{user::kind::undo, index};
  undo_config made;
  made.at = {name_, at.key_line};
  if (known.find("call") == known.end()) wrong(at.line, "the undo calls nothing; write a command's name, as in call: order.cancel");
  if (const auto* command = text(known, "call", "order.cancel"); command != nullptr && is_command(*command, known.at("call").line))
    made.command = *command;
  if (const auto fields = known.find("fields"); fields == known.end()) {
    wrong(at.line, "the undo has no fields; write what its command needs, as in fields: {id: step." + out.name + ".id}");
  } else if (auto payload = read_payload(known, by); auto* value = std::get_if<value_config>(&payload)) {
    made.payload = std::move(*value);
  }
  made.budget = budget(known);
  made.key = read_source(known, "key", by);
  if (route_.names.size() == 1)
    wrong(at.key_line, "nothing can fail after the only step; remove undo");
  out.undo = std::move(made);
}

void config_reader::read_after(step_config& out, const entry& at, bool then) {
  const auto add = [&](const YAML::Node& each, int line) {
    const std::string name = each.IsScalar() ? each.Scalar() : "";
    const auto in = [&](const auto& names) { return std::find(names.begin(), names.end(), name) != names.end(); };
    if (name.empty()) {
      wrong(line, "after names no step; write a step's name, or a list of them");
    } else if (name == out.name) {
      wrong(line, "the step " + name + " comes after itself; name another step");
    } else if (std::find(out.after.begin(), out.after.end(), name) != out.after.end()) {
      wrong(line, "the step " + in_quotes(name) + " stands here twice; remove one");
    } else if (!in(route_.names) && !(then && in(route_.then_names))) {
      if (in(route_.then_names)) {
        return wrong(line, "the step " + out.name + " cannot come after " + name + ", which is a step of then; write it below then too");
      }
      wrong(line, "there is no step " + in_quotes(name) + "; " + other_step(name, then));
    } else {
      out.after.push_back(name);
    }
  };
  if (at.value.IsSequence()) {
    for (const auto& each : at.value) add(each, each.Mark().line + 1);
  } else {
    add(at.value, at.line);
  }
}

std::optional<target_config> config_reader::read_target(const entry& at) {
  if (at.value.IsScalar() && !at.value.Scalar().empty()) {
    is_command(at.value.Scalar(), at.line);
    return target_config{at.value.Scalar()};
  }
  if (!at.value.IsMap()) {
    wrong(at.line, "call is no text; write one, as in call: hello.say");
    return std::nullopt;
  }
  constexpr auto known_keys = [] {
    std::array<std::string_view, keys::versions.size() + keys::split.size()> out{};
    std::copy(keys::split.begin(), keys::split.end(), std::copy(keys::versions.begin(), keys::versions.end(), out.begin()));
    return out;
  }();
  const auto known = entries(at.value, "a choice of commands", known_keys);
  const auto has = [&](std::string_view key) { return known.find(key) != known.end(); };
  const bool versions = has("by") || has("is") || has("default"), split = has("split") || has("sticky");
  if (versions && !split && has("by") && has("is")) return read_versions(known, at);
  if (split && !versions && has("split")) return read_split(known, at);
  wrong(at.line,
        "this chooses no command; write {by: header.X-Api-Version, is: {\"1\": a.b, \"2\": a.c}} or {split: {a.b: 90, a.c: 10}}");
  return std::nullopt;
}

std::optional<target_config> config_reader::read_versions(const entry_map& known, const entry& at) {
  target_config::versions out;
  if (auto by = read_source(known, "by", {})) out.by = std::move(*by);
  const auto& is = known.at("is");
  if (!is.value.IsMap() || is.value.size() == 0) {
    wrong(is.line, "is is no map; write a command for each text, as in is: {\"1\": a.b, \"2\": a.c}");
    return std::nullopt;
  }
  if (is.value.size() > route_variants_max) wrong(at.line, "there are more than 64 versions; write fewer");
  for (const auto& [said, command] : entries(is.value, "a text")) {
    if (!command.value.IsScalar()) {
      wrong(command.line, in_quotes(said) + " stands for no command; write a command's name");
    } else if (is_command(command.value.Scalar(), command.line)) {
      out.is.emplace_back(said, command.value.Scalar());
    }
  }
  if (const auto* otherwise = text(known, "default", "hello.say"); otherwise != nullptr && is_command(*otherwise, known.at("default").line))
    out.otherwise = *otherwise;
  return target_config{std::move(out)};
}

std::optional<target_config> config_reader::read_split(const entry_map& known, const entry& at) {
  target_config::split out;
  const auto& split = known.at("split");
  if (!split.value.IsMap() || split.value.size() == 0) {
    wrong(split.line, "split is no map; write a weight for each command, as in split: {a.b: 90, a.c: 10}");
    return std::nullopt;
  }
  if (split.value.size() > route_variants_max) wrong(at.line, "there are more than 64 commands; write fewer");
  std::uint64_t sum = 0;
  const auto before = errors_.size();
  for (const auto& [command, weight] : entries(split.value, "a command's name")) {
    is_command(command, weight.key_line);
    if (const auto share = number(weight, "the weight of " + in_quotes(command), 0, 1'000'000)) {
      sum += *share;
      out.weights.emplace_back(command, static_cast<unsigned>(*share));
    }
  }
  if (sum == 0 && errors_.size() == before) wrong(split.line, "all weights are 0; write more for one of them");
  out.sticky = read_source(known, "sticky", {});
  return target_config{std::move(out)};
}

}  // namespace waggle::gateway
