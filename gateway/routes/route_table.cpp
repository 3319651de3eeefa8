#include "gateway/routes/route_table.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>

#include <waggle/wire/json.hpp>

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
      commands.emplace(each.name, std::make_shared<const command_info>(
                                      command_info{service->service, each.doc, each.retry, each.streams,
                                                   schema_of(each.request), schema_of(each.reply)}));
    }
  }
  for (const auto& each : routes.routes) {
    const auto known = commands.find(each.command);
    if (known == commands.end() && !each.command.starts_with("waggle.")) {
      warnings.push_back("the route \"" + each.method + " " + each.path.text() + "\" calls " + each.command +
                         ", which no service has now: is the name right?");
    }
    add(each, true, known == commands.end() ? nullptr : known->second);
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
          const auto* other = add({std::move(pattern->method), std::move(pattern->path), command.name, {}, {}, {}},
                                  false, commands.at(command.name));
          if (other == nullptr || other->configured || other->what.command == command.name) continue;
          const std::string owner = other->command ? "service " + other->command->service + ", " : "";
          leave_out(owner + "command " + other->what.command + " has it already");
        }
      }
    }
  }
}

const route* route_table::add(route_config what, bool configured, std::shared_ptr<const command_info> command) {
  std::uint32_t at = 0;
  for (const auto& segment : what.path.segments) {
    const auto next = static_cast<std::uint32_t>(nodes_.size());
    std::uint32_t& child =
        segment.parameter ? nodes_[at].parameter : nodes_[at].texts.try_emplace(segment.text, none).first->second;
    at = child == none ? child = next : child;
    if (at == next) nodes_.emplace_back();
  }
  for (const auto i : nodes_[at].routes) {
    if (routes_[i].what.method == what.method) return &routes_[i];
  }
  nodes_[at].routes.push_back(static_cast<std::uint32_t>(routes_.size()));
  auto rules = command ? std::shared_ptr<const text_rules>{command, &command->rules} : nullptr;
  payload_plan plan{what, std::move(rules)};
  auto text = what.method + ' ' + what.path.text();
  routes_.push_back({std::move(what), std::move(text), configured, std::move(command), std::move(plan)});
  return nullptr;
}

route_table::found route_table::find(std::string_view method, const decoded_path& path) const {
  found out;
  if (path.too_long()) return out;
  if (method == "HEAD") method = "GET";
  struct step {
    std::uint32_t node;
    std::uint32_t depth;
  };
  // Each step takes one entry away and leaves two at most.
  std::array<step, path_segments_max + 2> open{};
  std::size_t left = 0;
  open[left++] = {0, 0};
  unsigned methods = 0;
  while (left != 0) {
    const auto [index, depth] = open[--left];
    const node& here = nodes_[index];
    if (depth == path.size()) {
      for (const auto i : here.routes) {
        if (routes_[i].what.method == method) return {&routes_[i], {}};
        methods |= bit_of(routes_[i].what.method);
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

}  // namespace waggle::gateway
