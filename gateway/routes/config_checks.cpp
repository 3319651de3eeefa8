// What can be said of a route only when all of it has been read, and of all routes when all files have been.
#include <algorithm>

#include "gateway/front/http_syntax.hpp"
#include "gateway/routes/config_reader.hpp"

namespace waggle::gateway {
namespace {

using part = source::part;

std::size_t position(const std::vector<std::string>& names, std::string_view name) {
  return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
}

bool same_source(const source& a, const source& b) {
  if (a.from != b.from || a.steps != b.steps) return false;
  return a.from == part::header ? front::syntax::equal_without_case(a.name, b.name) : a.name == b.name;
}

/// Whether every request that meets the second condition meets the first.
bool contains(const condition& wide, const condition& narrow) {
  if (!same_source(wide.of, narrow.of)) return false;
  if (wide.is.empty()) return true;
  return !narrow.is.empty() && std::all_of(narrow.is.begin(), narrow.is.end(), [&](const auto& each) {
    return std::find(wide.is.begin(), wide.is.end(), each) != wide.is.end();
  });
}

bool contains(const std::vector<condition>& wide, const std::vector<condition>& narrow) {
  return std::all_of(wide.begin(), wide.end(), [&](const auto& each) {
    return std::any_of(narrow.begin(), narrow.end(), [&](const auto& other) { return contains(each, other); });
  });
}

}  // namespace

step_config* config_reader::step_named(const std::string& name) {
  for (auto& each : route_.out.steps) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

void config_reader::check_route() {
  for (const auto& each : route_.references) check_reference(each);
  check_budgets();
  if (errors_.size() > route_.errors_before) return;
  for (const bool then : {false, true}) check_cycles(dependencies(then), then);
  if (errors_.size() > route_.errors_before) return;
  check_undo_references(dependencies(false));
  check_incomplete();
  if (route_.path_known && !is_reserved(route_.out.path)) check_reachable(route_.line);
}

/// What to write instead of a step that is not there.
std::string config_reader::other_step(std::string_view mistyped, bool then) const {
  std::vector<std::string_view> all{route_.names.begin(), route_.names.end()};
  if (then) all.insert(all.end(), route_.then_names.begin(), route_.then_names.end());
  if (const auto meant = closest(mistyped, all); !meant.empty()) return "did you mean " + in_quotes(meant) + "?";
  if (all.empty()) return "the route has no steps";
  return (all.size() == 1 ? "the only step is " : "the steps are ") + listed(all);
}

/// That the step is there, and that its result can be known to who uses it.
void config_reader::check_reference(const reference& each) {
  using kind = user::kind;
  const auto& name = each.to.name;
  const auto sync = position(route_.names, name), later = position(route_.then_names, name);
  const bool is_sync = sync < route_.names.size(), is_then = later < route_.then_names.size();
  const auto written = each.to.from == part::step ? "step." + name : "error." + name;
  if (!is_sync && !is_then) {
    auto instead = other_step(name, each.by.is == kind::then);
    if (each.guessed) instead += " (an entry of that name of something else is .[\"" + written.substr(0, written.find('.')) + "\"])";
    return wrong(each.line, "there is no step " + in_quotes(name) + "; " + instead);
  }
  const bool own = (each.by.is == kind::step && is_sync && sync == each.by.index) ||
                   (each.by.is == kind::then && is_then && later == each.by.index);
  if (own) return wrong(each.line, written + " is the step's own result, which is not there yet; write another step's");
  if (is_then && each.by.is != kind::then)
    return wrong(each.line, written + " comes only after the reply: " + name + " is a step of then; write a step of the route itself");
  if (each.to.from != part::error || each.by.is == kind::undo) return;
  const auto* step = is_sync ? step_named(name) : nullptr;
  if (step == nullptr || step->needed == step_config::need::required) {
    wrong(each.line, written + " is never there: without the result of " + name + " nothing goes on; " +
                         (is_then                ? "leave it away"
                          : route_.out.composed ? "write step." + name + ", or optional: true below the step"
                                                : "write step." + name));
  }
}

void config_reader::check_budgets() {
  if (!route_.out.composed || !route_.out.budget) return;
  for (const auto& each : route_.out.steps) {
    if (each.budget && *each.budget > *route_.out.budget)
      wrong(each.at.line, "the budget of the step " + each.name + " is longer than the route's; write a shorter one, or a longer one there");
  }
}

/// For each step those of its kind that have to end before it.
std::vector<std::set<std::size_t>> config_reader::dependencies(bool then) const {
  const auto& names = then ? route_.then_names : route_.names;
  const auto& steps = then ? route_.out.then : route_.out.steps;
  std::vector<std::set<std::size_t>> out(steps.size());
  const auto add = [&](std::size_t from, const std::string& name) {
    if (const auto to = position(names, name); to < names.size() && from < out.size()) out[from].insert(to);
  };
  for (const auto& each : route_.references) {
    if (each.by.is == (then ? user::kind::then : user::kind::step)) add(each.by.index, each.to.name);
  }
  for (std::size_t i = 0; i < steps.size(); ++i) {
    for (const auto& name : steps[i].after) add(i, name);
  }
  return out;
}

/// Names each ring of steps that wait for each other, once.
void config_reader::check_cycles(const std::vector<std::set<std::size_t>>& edges, bool then) {
  const auto& steps = then ? route_.out.then : route_.out.steps;
  enum class seen : std::uint8_t { no, open, done };
  std::vector<seen> state(edges.size(), seen::no);
  std::vector<std::size_t> way;
  const std::function<bool(std::size_t)> visit = [&](std::size_t at) {
    if (state[at] == seen::done) return true;
    way.push_back(at);
    if (state[at] == seen::open) return false;
    state[at] = seen::open;
    if (!std::all_of(edges[at].begin(), edges[at].end(), visit)) return false;
    state[at] = seen::done;
    way.pop_back();
    return true;
  };
  for (std::size_t i = 0; i < edges.size(); ++i) {
    if (visit(i)) continue;
    std::string ring;
    for (auto each = std::find(way.begin(), way.end(), way.back()); each != way.end(); ++each)
      ring += (ring.empty() ? "" : " → ") + steps[*each].name;
    wrong(steps[way.back()].at.line, "these steps wait for each other: " + ring + "; take one reference or after away");
    return;
  }
}

/// An undo runs when any later step has failed, so it knows only what its step knew, and its step's result.
void config_reader::check_undo_references(const std::vector<std::set<std::size_t>>& before) {
  const std::function<bool(std::size_t, std::size_t)> comes_before = [&](std::size_t first, std::size_t second) {
    return before[second].contains(first) ||
           std::any_of(before[second].begin(), before[second].end(), [&](std::size_t each) { return comes_before(first, each); });
  };
  for (const auto& each : route_.references) {
    if (each.by.is != user::kind::undo) continue;
    const auto to = position(route_.names, each.to.name);
    if (to == each.by.index || to >= before.size() || comes_before(to, each.by.index)) continue;
    const auto& name = route_.names[each.by.index];
    wrong(each.line, "step." + each.to.name + " may not be there when " + name + " is undone; write after: " + each.to.name +
                         " below " + name + ", or another source");
  }
}

void config_reader::check_incomplete() {
  const auto& out = route_.out;
  const reference* first = nullptr;
  for (const auto& each : route_.references) {
    if (each.by.is != user::kind::reply || each.to.from != part::step) continue;
    const auto* step = step_named(each.to.name);
    if (step != nullptr && step->needed == step_config::need::optional && first == nullptr) first = &each;
  }
  if (first != nullptr && !out.incomplete) {
    wrong(first->line, "the reply uses " + first->to.name + ", which is optional, and nothing says what it is worth without; write incomplete: 200 below the route");
  } else if (first == nullptr && out.incomplete) {
    wrong(route_.line, "the reply uses no optional step, so it is never incomplete; leave incomplete away");
  }
}

void config_reader::check_reachable(int line) {
  const auto& route = route_.out;
  auto& before = places_[route.method + ' ' + route.path.shape()];
  const auto text = route.method + ' ' + route.path.text();
  for (const auto& other : before) {
    if (!contains(other.when, route.when)) continue;
    if (contains(route.when, other.when))
      return wrong(line, text + " takes the same requests as the route at " + other.place + "; remove one");
    return wrong(line, text + " is never asked: the route at " + other.place + " takes all its requests first; put it before that one");
  }
  if (before.size() == route_variants_max)
    return wrong(line, text + " has more than 64 routes; write fewer conditions, or call: {by: ..., is: {...}}");
  before.push_back({route.when, name_ + ':' + std::to_string(line)});
}

tl::expected<config, std::vector<std::string>> config_reader::take() {
  check_access();
  if (errors_.empty()) return std::move(out_);
  return tl::unexpected{std::move(errors_)};
}

}  // namespace waggle::gateway
