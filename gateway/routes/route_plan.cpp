#include "gateway/routes/route_plan.hpp"

#include <algorithm>
#include <numeric>

#include <waggle/wire/utf8.hpp>

#include "gateway/front/http_syntax.hpp"
#include "gateway/routes/body.hpp"

namespace waggle::gateway {
namespace {

using std::chrono::milliseconds;

/// Of an undo that names none: it is tried again until then.
constexpr milliseconds undo_budget{10'000};

/// FNV-1a with a finisher: the same text leads to the same command on every gateway and after every restart.
std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t out = 14695981039346656037u;
  for (const char c : text) out = (out ^ static_cast<unsigned char>(c)) * 1099511628211u;
  out = (out ^ (out >> 33)) * 0xff51afd7ed558ccdu;
  return out ^ (out >> 33);
}

void add_once(std::vector<std::size_t>& to, std::size_t what) {
  if (std::find(to.begin(), to.end(), what) == to.end()) to.push_back(what);
}

}  // namespace

text_plan::text_plan(source from, const path_pattern& path, const step_numbers& steps) : from_{std::move(from)} {
  if (from_.of_request()) {
    segment_ = segment_of(path, from_.name);
  } else {
    step_ = steps.at(from_.name);
  }
}

std::optional<std::string> text_plan::text(const request_reader& in) const {
  if (!from_.of_request()) return std::nullopt;
  if (!from_.is_text()) {
    const auto value = in.find(from_);
    return value ? plain_text(*value) : std::nullopt;
  }
  std::vector<std::string_view> texts;
  in.find(from_, segment_, texts);
  if (texts.empty() || !wire::is_utf8(texts.front())) return std::nullopt;
  return std::string{texts.front()};
}

std::optional<std::string> text_plan::text(std::span<const step_outcome> steps) const {
  if (from_.of_request()) return std::nullopt;
  const auto& all = from_.from == source::part::error ? steps[step_].error : steps[step_].value;
  const auto value = all ? find_in(*all, from_.steps) : std::nullopt;
  return value ? plain_text(*value) : std::nullopt;
}

route_plan::route_plan(const route_config& route, const command_lookup& commands) : first_then_{route.steps.size()} {
  step_numbers numbers;
  for (const auto& each : route.steps) numbers.emplace(each.name, numbers.size());
  for (const auto& each : route.then) numbers.emplace(each.name, numbers.size());
  for (const auto& each : route.steps) steps_.push_back(bind(each, false, route, numbers, commands));
  for (const auto& each : route.then) steps_.push_back(bind(each, true, route, numbers, commands));
  if (route.reply) {
    reply_.emplace(*route.reply, route.path, numbers, nullptr, nullptr);
    needs_.add(reply_->needs());
    for (const auto& [step, of_error] : reply_->steps()) {
      if (!of_error && steps_[step].what.needed != step_config::need::required) add_once(reply_steps_, step);
    }
  }
  for (const auto& [name, text] : route.headers) {
    const bool in_url = front::syntax::equal_without_case(name, "location") ||
                        front::syntax::equal_without_case(name, "content-location");
    headers_.emplace_back(name, template_plan{text, route.path, numbers, in_url});
    needs_.add(headers_.back().second.needs());
  }
  if (route.mirror) {
    auto info = commands(route.mirror->command);
    mirror_.emplace(target_plan{route.mirror->command, info,
                                payload_plan{route.steps.front().payload, route.method, route.path, numbers, info},
                                route.mirror->percent});
  }
}

step_plan route_plan::bind(const step_config& from, bool then, const route_config& route, const step_numbers& steps,
                           const command_lookup& commands) {
  step_plan out;
  out.what = from;
  out.then = then;
  const auto target = [&](const std::string& command, unsigned weight, const payload_config& payload) {
    auto info = commands(command);
    return target_plan{command, info, payload_plan{payload, route.method, route.path, steps, info}, weight};
  };
  if (!from.call) {
    out.event.emplace(from.payload, route.method, route.path, steps, nullptr);
  } else if (const auto* command = std::get_if<std::string>(&from.call->is)) {
    out.targets.push_back(target(*command, 1, from.payload));
  } else if (const auto* versions = std::get_if<target_config::versions>(&from.call->is)) {
    for (const auto& [text, name] : versions->is) out.targets.push_back(target(name, 1, from.payload));
    if (versions->otherwise) out.targets.push_back(target(*versions->otherwise, 1, from.payload));
    out.by.emplace(versions->by, route.path, steps);
  } else {
    const auto& split = std::get<target_config::split>(from.call->is);
    for (const auto& [name, weight] : split.weights) out.targets.push_back(target(name, weight, from.payload));
    if (split.sticky) out.by.emplace(*split.sticky, route.path, steps);
  }
  if (from.key) out.key.emplace(*from.key, route.path, steps);
  const auto wait = [&](std::size_t step, bool success) {
    add_once(out.waits_for, step);
    if (success) add_once(out.relies_on, step);
  };
  const auto wait_for_source = [&](const std::optional<text_plan>& text) {
    if (!text) return;
    needs_.add(text->from());
    if (!text->from().of_request()) wait(steps.at(text->from().name), false);
  };
  const auto use = [&](const payload_plan& payload, bool waits) {
    needs_.add(payload.needs());
    for (const auto& [step, of_error] : payload.steps()) {
      if (waits) wait(step, false);
    }
  };
  for (const auto& each : out.targets) use(each.payload, true);
  if (out.event) use(*out.event, true);
  wait_for_source(out.by);
  wait_for_source(out.key);
  for (const auto& name : from.after) wait(steps.at(name), true);
  if (then) {
    // What another step of `then` should have given is not made up: without it this one has nothing to say.
    for (const auto step : out.waits_for) {
      if (step >= first_then_) add_once(out.relies_on, step);
    }
  }
  if (from.undo) {
    const auto& undo = *from.undo;
    out.undo.emplace(undo_plan{target(undo.command, 1, undo.payload), undo.budget.value_or(undo_budget), {}});
    use(out.undo->target.payload, false);
    if (undo.key) {
      out.undo->key.emplace(*undo.key, route.path, steps);
      needs_.add(*undo.key);
    }
  }
  return out;
}

std::optional<std::size_t> route_plan::choose(const step_plan& step, const request_reader& in, std::uint64_t dice) {
  if (!step.what.call || std::holds_alternative<std::string>(step.what.call->is)) return 0;
  const auto text = step.by ? step.by->text(in) : std::nullopt;
  if (const auto* versions = std::get_if<target_config::versions>(&step.what.call->is)) {
    for (std::size_t i = 0; i < versions->is.size(); ++i) {
      if (text && versions->is[i].first == *text) return i;
    }
    if (versions->otherwise) return versions->is.size();
    return std::nullopt;
  }
  if (text) dice = stable_hash(*text);
  const auto total = std::accumulate(step.targets.begin(), step.targets.end(), std::uint64_t{0},
                                     [](std::uint64_t sum, const auto& each) { return sum + each.weight; });
  auto left = dice % std::max<std::uint64_t>(total, 1);
  for (std::size_t i = 0; i < step.targets.size(); ++i) {
    if (left < step.targets[i].weight) return i;
    left -= step.targets[i].weight;
  }
  return step.targets.size() - 1;
}

}  // namespace waggle::gateway
