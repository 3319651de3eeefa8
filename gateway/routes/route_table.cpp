#include "gateway/routes/route_table.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <unordered_map>

#include <waggle/wire/json.hpp>

#include "gateway/front/http_syntax.hpp"
#include "gateway/routes/pattern.hpp"

namespace waggle::gateway {
namespace {

json_value schema_of(const std::string& msgpack) {
  if (msgpack.empty()) return {};
  auto out = json_value::parse(wire::msgpack_to_json(msgpack), nullptr, false);
  return out.is_discarded() ? json_value{} : out;
}

constexpr std::string_view method_names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
constexpr unsigned head_bit = 1u << 1;
constexpr unsigned options_bit = 1u << 6;

/// Of a set with one bit for each of `method_names`.
std::string list_methods(unsigned methods) {
  std::string out;
  for (std::size_t i = 0; i < std::size(method_names); ++i) {
    if ((methods >> i & 1) != 0) out += (out.empty() ? "" : ", ") + std::string{method_names[i]};
  }
  return out;
}

unsigned bit_of(std::string_view method) {
  for (unsigned i = 0; i < std::size(method_names); ++i) {
    if (method == method_names[i]) return 1u << i | (method == "GET" ? head_bit : 0u);
  }
  return 0;
}

/// Adds a name to a list of names that are compared without case.
void add_name(std::string& list, std::string_view name) {
  if (front::syntax::lists(list, name)) return;
  list += ", ";
  list += name;
}

void vary_by(std::string& vary, const source& from) {
  if (from.from == source::part::header) add_name(vary, from.name);
  if (from.from == source::part::cookie) add_name(vary, "Cookie");
  if (from.from == source::part::claim) add_name(vary, "Authorization");
}

/// Whoever may see an answer, or sees another one, is told apart by his credentials.
void vary_by_credentials(route& of, const identity_config& from) {
  if (of.access.is != access_rule::who::anyone && from.tokens) add_name(of.vary, "Authorization");
  const bool by_identity = of.access.is != access_rule::who::anyone || (", " + of.vary + ',').find(", Authorization,") != std::string::npos;
  if (!by_identity || !from.api_keys) return;
  add_name(of.vary, "Authorization");
  add_name(of.vary, from.api_keys->header);
}

/// What a jq program reads is not known.
void vary_by(std::string& vary, const value_config& value) {
  if (const auto* taken = std::get_if<value_config::taken>(&value.is)) {
    vary_by(vary, taken->from);
  } else if (const auto* object = std::get_if<value_config::object>(&value.is)) {
    for (const auto& [key, each] : object->entries) vary_by(vary, each);
  } else if (const auto* list = std::get_if<value_config::list>(&value.is)) {
    for (const auto& each : list->items) vary_by(vary, each);
  }
}

bool is_simple(const route_config& of) {
  return !of.composed && of.then.empty() && of.steps.front().call && !of.reply && !of.status && of.headers.empty() && !of.mirror &&
         of.steps.front().needed == step_config::need::required;
}

/// Commands that nobody serves now may be anything.
const target_plan* unsafe_target(const route_plan& plan) {
  for (const auto& step : plan.steps()) {
    for (const auto& each : step.targets) {
      if (!each.info || each.info->retry != retry_class::safe) return &each;
    }
  }
  return nullptr;
}

}  // namespace

route_table::route_table(const config& routes, const network_view& network, std::vector<std::string>& warnings) {
  std::vector<const service_view*> services;
  for (const auto& each : network.services) services.push_back(&each);
  std::stable_sort(services.begin(), services.end(), [](const auto* a, const auto* b) {
    return a->service != b->service ? a->service < b->service : a->version < b->version;
  });
  std::unordered_map<std::string_view, std::shared_ptr<const command_info>> commands;
  for (const auto* service : services) {
    for (const auto& each : service->commands) {
      if (commands.contains(each.name)) continue;
      auto made = std::make_shared<command_info>(command_info{service->service, each.doc, each.retry, each.streams,
                                                              schema_of(each.request), schema_of(each.reply)});
      made->needs_key = each.needs_key;
      if (made->request.is_object()) {
        if (auto check = schema_check::compile(made->request)) {
          made->check.emplace(std::move(*check));
        } else {
          warnings.push_back("service " + service->service + ", command " + each.name +
                             ": payloads are not checked, because the schema cannot be used: " + check.error());
        }
      }
      commands.emplace(each.name, std::move(made));
    }
  }
  std::string calling;
  const auto lookup = [&](const std::string& command) -> std::shared_ptr<const command_info> {
    const auto known = commands.find(command);
    if (known != commands.end()) return known->second;
    if (!command.starts_with("waggle.")) {
      warnings.push_back("the route \"" + calling + "\" calls " + command + ", which no service has now: is the name right?");
    }
    return nullptr;
  };
  for (const auto& each : routes.routes) {
    calling = each.method + ' ' + each.path.text();
    if (add(routes, each, true, lookup) != nullptr || !each.cache || routes_.back().cached) continue;
    const auto* const target = unsafe_target(*routes_.back().plan);
    if (target != nullptr && target->info) {
      warnings.push_back(each.at.shown() + ": the route \"" + calling + "\" is not cached, because " + target->command +
                         " is not safe: have its service say so, or remove cache");
    }
  }
  for (const auto* service : services) {
    for (const auto& command : service->commands) {
      for (const auto& text : command.http) {
        const auto leave_out = [&](const std::string& why) {
          warnings.push_back("service " + service->service + ", command " + command.name + ": the route \"" + text +
                             "\" is left out: " + why);
        };
        auto pattern = parse_route(text);
        if (!pattern) {
          leave_out(pattern.error());
        } else if (is_reserved(pattern->path)) {
          leave_out("the gateway itself answers " + pattern->path.text());
        } else if (routes_.size() >= routes_max) {
          leave_out("there are more than " + std::to_string(routes_max) + " routes");
        } else {
          route_config made;
          made.method = std::move(pattern->method);
          made.path = std::move(pattern->path);
          auto& step = made.steps.emplace_back();
          step.name = "call";
          step.call = target_config{command.name};
          const auto* other = add(routes, std::move(made), false, lookup);
          if (other == nullptr || other->configured || other->aims() == command.name) continue;
          const std::string owner = other->command() != nullptr ? "service " + other->command()->service + ", " : "";
          leave_out(owner + "command " + other->aims() + " has it already");
        }
      }
    }
  }
  find_unserved();
}

const route* route_table::add(const config& from, route_config what, bool configured, const command_lookup& commands) {
  std::uint32_t at = 0;
  for (const auto& segment : what.path.segments) {
    const auto next = static_cast<std::uint32_t>(nodes_.size());
    std::uint32_t& child =
        segment.parameter ? nodes_[at].parameter : nodes_[at].texts.try_emplace(segment.text, none).first->second;
    at = child == none ? child = next : child;
    if (at == next) nodes_.emplace_back();
  }
  route made;
  made.vary = "Accept";
  for (const auto i : nodes_[at].routes) {
    const auto& before = routes_[i].what;
    if (before.method != what.method) continue;
    if (before.when.empty()) return &routes_[i];
    for (const auto& each : before.when) vary_by(made.vary, each.of);  // this one is asked because that one does not hold
  }
  nodes_[at].routes.push_back(static_cast<std::uint32_t>(routes_.size()));
  made.text = what.method + ' ' + what.path.text();
  made.configured = configured;
  made.plan = std::make_shared<const route_plan>(what, commands);
  for (const auto& each : what.when) {
    made.conditions.emplace_back(each.of, what.path, step_numbers{});
    vary_by(made.vary, each.of);
  }
  for (std::size_t i = 0; i < made.plan->first_then(); ++i) {
    const auto& step = made.plan->steps()[i];
    if (step.by) vary_by(made.vary, step.by->from());
    if (const auto* value = std::get_if<value_config>(&step.what.payload)) vary_by(made.vary, *value);
  }
  if (what.reply) vary_by(made.vary, *what.reply);
  for (const auto& [name, text] : what.headers) {
    for (const auto& piece : text.pieces) {
      if (const auto* by = std::get_if<source>(&piece)) vary_by(made.vary, *by);
    }
  }
  made.access = what.access.value_or(from.access.routes);
  vary_by_credentials(made, from.identity);
  made.simple = is_simple(what);
  made.cached = what.cache && unsafe_target(*made.plan) == nullptr;
  made.what = std::move(what);
  routes_.push_back(std::move(made));
  return nullptr;
}

const command_info* route::command() const {
  const auto& targets = plan->steps().front().targets;
  return what.composed || targets.empty() ? nullptr : targets.front().info.get();
}

std::string route::aims() const {
  std::string out;
  for (const auto& step : plan->steps()) {
    const auto add = [&](const std::string& name) {
      if ((", " + out + ',').find(", " + name + ',') == std::string::npos) out += (out.empty() ? "" : ", ") + name;
    };
    for (const auto& each : step.targets) add(each.command);
    if (step.targets.empty()) add(step.what.emit);
  }
  return out;
}

route_table::found route_table::find(const front::request& in, const decoded_path& path, std::string_view claims) const {
  found out;
  if (path.too_long()) return out;
  const std::string_view method = in.method == "HEAD" ? "GET" : in.method;
  struct step {
    std::uint32_t node;
    std::uint32_t depth;
  };
  // Each step takes one entry away and leaves two at most.
  std::array<step, path_segments_max + 2> open{};
  std::size_t left = 0;
  open[left++] = {0, 0};
  unsigned methods = 0;
  std::optional<request_reader> reader;  // only where there are conditions
  const auto holds = [&](const route& of) {
    if (!reader) reader.emplace(in, path, claims, request_needs{.query = true, .body = false, .cookies = true});
    for (std::size_t i = 0; i < of.conditions.size(); ++i) {
      const auto text = of.conditions[i].text(*reader);
      const auto& wanted = of.what.when[i].is;
      if (!text || (!wanted.empty() && std::find(wanted.begin(), wanted.end(), *text) == wanted.end())) return false;
    }
    return true;
  };
  const auto note_unmet = [&](const source& of) {
    const auto same = [&](const source* each) { return *each == of; };
    if (std::none_of(out.unmet.begin(), out.unmet.end(), same)) out.unmet.push_back(&of);
  };
  while (left != 0) {
    const auto [index, depth] = open[--left];
    const node& here = nodes_[index];
    if (depth == path.size()) {
      for (const auto i : here.routes) {
        const auto& each = routes_[i];
        if (each.what.method == method) {
          if (each.conditions.empty() || holds(each)) return {&each, {}, {}};
          for (const auto& condition : each.what.when) note_unmet(condition.of);
        }
        methods |= bit_of(each.what.method);
      }
      continue;
    }
    const auto segment = path[depth];
    if (here.parameter != none && !segment.empty()) open[left++] = {here.parameter, depth + 1};
    if (const auto text = here.texts.find(segment); text != here.texts.end()) open[left++] = {text->second, depth + 1};
  }
  if (methods != 0) out.allow = list_methods(methods | options_bit);
  return out;
}

std::string route_table::methods() const {
  unsigned methods = options_bit;
  for (const auto& each : routes_) methods |= bit_of(each.what.method);
  return list_methods(methods);
}

/// Once for each table: whoever looks whether the gateway is ready may do so as often as he likes.
void route_table::find_unserved() {
  constexpr std::size_t shown_max = 100;
  std::set<std::string> out;
  const auto look_at = [&](const target_plan& target) {
    if (!target.info && !target.command.starts_with("waggle.")) out.insert(target.command);
    if (out.size() > shown_max) out.erase(std::prev(out.end()));
  };
  for (const auto& each : routes_) {
    for (const auto& step : each.plan->steps()) {
      for (const auto& target : step.targets) look_at(target);
      if (step.undo) look_at(step.undo->target);
    }
    if (each.plan->mirror()) look_at(*each.plan->mirror());
  }
  unserved_.assign(out.begin(), out.end());
}

}  // namespace waggle::gateway
