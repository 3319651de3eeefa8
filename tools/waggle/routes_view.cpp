#include "tools/waggle/routes_view.hpp"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "gateway/routes/route_table.hpp"
#include "tools/waggle/table.hpp"

namespace waggle::cli {
namespace {

using gateway::config;
using gateway::explanation;
using gateway::route_config;
using gateway::step_config;
using gateway::target_config;
using json = nlohmann::ordered_json;

std::string when_text(const std::vector<gateway::condition>& all) {
  std::string out;
  for (const auto& each : all) {
    out += (out.empty() ? "" : ", ") + each.of.written();
    for (std::size_t i = 0; i < each.is.size(); ++i) out += (i == 0 ? " is " : " or ") + each.is[i];
    if (each.is.empty()) out += " is there";
  }
  return out;
}

/// How one of several commands is chosen; empty if there is one.
std::string choice_text(const target_config& target) {
  std::string out;
  const auto add = [&](const std::string& text) { out += (out.empty() ? "" : ", ") + text; };
  if (const auto* versions = std::get_if<target_config::versions>(&target.is)) {
    for (const auto& [said, command] : versions->is) add(said + ": " + command);
    if (versions->otherwise) add("else " + *versions->otherwise);
    return "by " + versions->by.written() + " (" + out + ")";
  }
  if (const auto* split = std::get_if<target_config::split>(&target.is)) {
    for (const auto& [command, weight] : split->weights) add(fmt::format("{}: {}", command, weight));
    return (split->sticky ? "by weight, the same for one " + split->sticky->written() : std::string{"by weight"}) + " (" + out + ")";
  }
  return out;
}

/// The route of a file that an explanation is of; null for one of a service.
const route_config* written_route(const explanation& what, const config& from) {
  for (const auto& each : from.routes) {
    if (each.at.shown() == what.from) return &each;
  }
  return nullptr;
}

const step_config* written_step(const route_config* route, const gateway::explained_step& what) {
  if (route == nullptr) return nullptr;
  for (const auto& each : what.then ? route->then : route->steps) {
    if (each.name == what.name) return &each;
  }
  return nullptr;
}

std::string time_text(std::chrono::milliseconds time) {
  return time.count() % 1000 == 0 ? fmt::format("{}s", time.count() / 1000) : fmt::format("{}ms", time.count());
}

/// Of all routes, then of this one.
std::vector<gateway::rate_config> rates_of(const route_config* route, const config& from) {
  auto out = from.rates;
  if (route != nullptr) out.insert(out.end(), route->rates.begin(), route->rates.end());
  return out;
}

std::string rate_text(const gateway::rate_config& of) {
  std::vector<std::string> by;
  for (const auto& each : of.by) by.push_back(each.written());
  auto out = fmt::format("{} in {} by {}", of.terms.limit, time_text(of.terms.per), joined(by));
  if (of.terms.burst != of.terms.limit) out += fmt::format(", at most {} at once", of.terms.burst);
  return out + " (" + of.name + ')';
}

/// Lines that begin with a word of their own and go on below it.
class paragraphs {
 public:
  explicit paragraphs(const screen& on) : on_{on} {}

  void add(std::string_view word, std::string_view text, tone how = tone::strong) {
    constexpr std::size_t indent = 9;
    const auto gap = columns(word) + 1 < indent ? indent - columns(word) : 1;
    out_ += toned(how, word, on_) + std::string(gap, ' ') + wrapped(printable(text), on_.width, indent) + '\n';
  }
  void more(std::string_view text) { add("", text); }
  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  screen on_;
  std::string out_;
};

void add_refusal(paragraphs& out, const front::response& refused) {
  const auto body = json::parse(refused.body, nullptr, false);
  const auto detail = body.is_object() ? body.value("detail", "") : "";
  out.add("answer", fmt::format("{} without any call{}{}", refused.status, detail.empty() ? "" : ": ", detail),
          refused.status < 400 ? tone::good : tone::bad);
  if (!body.is_object() || !body.contains("errors") || !body["errors"].is_array()) return;
  for (const auto& each : body["errors"]) out.more(each.value("path", "") + ": " + each.value("message", ""));
}

}  // namespace

std::vector<listed_route> listed_routes(const gateway::router& all) {
  std::vector<listed_route> out;
  for (const auto& each : all.table().routes()) {
    const auto* command = each.command();
    out.push_back({each.text, each.aims(), when_text(each.what.when),
                   each.configured        ? each.what.at.shown()
                   : command != nullptr ? "service " + command->service
                                        : std::string{"a service"}});
  }
  return out;
}

std::string routes_text(const std::vector<listed_route>& all, const screen& on) {
  table rows{{"ROUTE", "CALLS", "WHEN", "FROM"}};
  for (const auto& each : all) rows.row({printable(each.route), printable(each.aims), printable(each.when), printable(each.from)});
  return rows.lines(on);
}

std::string routes_json(const std::vector<listed_route>& all) {
  json out = json::array();
  for (const auto& each : all) out.push_back({{"route", each.route}, {"calls", each.aims}, {"when", each.when}, {"from", each.from}});
  return json{{"routes", std::move(out)}}.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string explanation_text(const explanation& what, const config& config, const screen& on) {
  paragraphs out{on};
  if (!what.route.empty()) {
    const auto* written = written_route(what, config);
    out.add("route", what.route);
    out.add("from", what.from);
    if (written != nullptr && !written->when.empty()) out.add("when", when_text(written->when));
    out.add("budget", time_text(what.budget));
    if (what.access.is == gateway::access_rule::who::known) out.add("access", "who is known");
    if (what.access.is == gateway::access_rule::who::scoped) out.add("access", "who has " + joined(what.access.scopes));
    for (const auto& each : rates_of(written, config)) out.add("rate", rate_text(each));
    if (written != nullptr && written->concurrency) out.add("places", fmt::format("{} requests at once", *written->concurrency));
    for (const auto& each : what.steps) {
      const auto* step = written_step(written, each);
      const bool event = step != nullptr && !step->emit.empty();
      std::string text = (event ? "emits " : "calls ") + (each.aim.empty() ? std::string{"a command that the request does not tell"} : each.aim);
      if (!each.served) text += " (which no service has now)";
      if (each.then) text += ", after the answer";
      if (!each.after.empty()) text += ", after " + joined(each.after);
      if (!each.then && each.need != "required") text += each.need == "fallback" ? ", with a fallback" : ", optional";
      if (each.budget.count() != 0 && each.budget != what.budget) text += ", within " + time_text(each.budget);
      out.add(each.name, text);
      if (step != nullptr && step->call) {
        if (const auto choice = choice_text(*step->call); !choice.empty()) out.more("chosen " + choice);
      }
      for (const auto& [field, from] : each.fields) out.more((field.empty() ? "" : field + " = ") + from);
      if (each.payload) out.more("sends " + *each.payload);
      if (!each.undo.empty()) out.more("undone by " + each.undo);
    }
    if (written != nullptr && written->mirror)
      out.add("mirror", fmt::format("{}, for {} of 100 requests", written->mirror->command, written->mirror->percent));
  }
  if (what.refused) add_refusal(out, *what.refused);
  return out.take();
}

std::string explanation_json(const explanation& what, const config& config) {
  json out;
  const auto* written = written_route(what, config);
  if (!what.route.empty()) {
    out = {{"route", what.route}, {"from", what.from}, {"budget_ms", what.budget.count()}};
    if (written != nullptr && !written->when.empty()) out["when"] = when_text(written->when);
    out["access"] = what.access.is == gateway::access_rule::who::scoped ? json(what.access.scopes) : json(what.access.written());
    for (const auto& each : rates_of(written, config)) out["rates"].push_back(rate_text(each));
    if (written != nullptr && written->concurrency) out["concurrency"] = *written->concurrency;
    out["steps"] = json::array();
    for (const auto& each : what.steps) {
      json step{{"name", each.name}, {"aim", each.aim}, {"served", each.served}, {"then", each.then}, {"need", each.need}, {"after", each.after}};
      if (each.budget.count() != 0) step["budget_ms"] = each.budget.count();
      step["fields"] = json::object();
      for (const auto& [field, from] : each.fields) step["fields"][field] = from;
      if (each.payload) {
        auto payload = json::parse(*each.payload, nullptr, false);
        if (!payload.is_discarded()) step["payload"] = std::move(payload);
      }
      if (!each.undo.empty()) step["undo"] = each.undo;
      const auto* of = written_step(written, each);
      if (of != nullptr && of->call) {
        if (auto choice = choice_text(*of->call); !choice.empty()) step["chosen"] = std::move(choice);
      }
      out["steps"].push_back(std::move(step));
    }
    if (written != nullptr && written->mirror) out["mirror"] = {{"call", written->mirror->command}, {"percent", written->mirror->percent}};
  }
  if (what.refused) {
    out["answer"] = {{"status", what.refused->status}};
    auto body = json::parse(what.refused->body, nullptr, false);
    if (!body.is_discarded()) out["answer"]["body"] = std::move(body);
  }
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace waggle::cli
