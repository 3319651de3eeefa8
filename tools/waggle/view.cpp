#include "tools/waggle/view.hpp"

#include <fmt/core.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include <waggle/wire/json.hpp>

#include "tools/waggle/operations_view.hpp"
#include "tools/waggle/schema_text.hpp"
#include "tools/waggle/table.hpp"

namespace waggle::cli {
namespace {

std::string instances_summary(const service_entry& of) {
  std::uint64_t slots = 0, busy = 0;  // of both classes: what is full of one is told for each instance
  for (const auto& each : of.instances) {
    slots += each.slots + each.quick_slots.value_or(0);
    busy += each.in_flight + each.quick_in_flight.value_or(0);
  }
  return fmt::format("{} {}, {} of {} slots busy", of.instances.size(),
                     of.instances.size() == 1 ? "instance" : "instances", busy, slots);
}

std::string title_of(const service_entry& of, const screen& on) {
  return toned(tone::strong, printable(of.service), on) + " " + printable(of.version);
}

std::string retry_text(retry_class value) {
  switch (value) {
    case retry_class::safe:
      return "safe: changes nothing; run again when a worker dies with it";
    case retry_class::idempotent:
      return "idempotent: twice is as once; run again when a worker dies with it";
    case retry_class::once:
      break;
  }
  return "once: never handed to a second worker";
}

std::string schema_lines(std::string_view heading, std::string_view schema, const screen& on) {
  std::string out = "\n" + toned(tone::strong, heading, on) + "\n";
  const auto fields = fields_of_schema(schema);
  if (fields.size() == 1 && fields[0].path.empty()) {
    return out + "  " + fields[0].type + (fields[0].about.empty() ? "" : "  " + fields[0].about) + "\n";
  }
  table rows{{"FIELD", "TYPE", "REQUIRED", "ABOUT"}};
  for (const auto& each : fields) {
    rows.row({each.path.empty() ? "(payload)" : each.path, each.type, each.required ? "yes" : "no", each.about});
  }
  return out + rows.lines(on, 2);
}

using json = nlohmann::ordered_json;

std::string cell(const json& from) {
  return printable(from.is_string() ? from.get<std::string>() : from.is_null() ? "" : from.dump());
}

}  // namespace

std::string services_text(const network& all, const screen& on) {
  std::string out;
  for (const auto& service : all.services) {
    if (!out.empty()) out += '\n';
    out += title_of(service, on) + "  " + instances_summary(service) + "\n";
    table commands{{"COMMAND", "RETRY", "ROUTE", "DOC"}};
    for (const auto& [by, what, bytes] : commands_of(service)) {
      const auto routes = what.http.empty() ? std::vector<std::string>{""} : what.http;
      commands.row({what.name, std::string{name(what.retry)} + (what.streams ? ", streams" : ""),
                    printable(routes.front()), printable(what.doc)});
      for (std::size_t i = 1; i < routes.size(); ++i) commands.row({"", "", printable(routes[i])});
    }
    table instances{{"INSTANCE", "BUSY", "STATE"}};
    for (const auto& each : service.instances) {
      instances.row({printable(each.instance), busy_text(each.in_flight, each.slots, each.quick_in_flight, each.quick_slots),
                     each.draining ? "draining" : "serving"});
    }
    if (!commands.empty()) out += commands.lines(on, 2);
    table events{{"EVENT", "GROUP", "TRIES", "DOC"}};
    for (const auto& each : events_of(service)) {
      events.row({printable(each.topic), printable(each.group.value_or(service.service)), std::to_string(each.attempts.value_or(event_manifest{}.attempts)),
                  printable(each.doc.value_or(""))});
    }
    if (!events.empty()) out += (commands.empty() ? "" : "\n") + events.lines(on, 2);
    if (!instances.empty()) out += "\n" + instances.lines(on, 2);
  }
  return out;
}

std::string command_text(const std::vector<served_command>& served, const screen& on) {
  const auto entry = [&](std::string_view key, std::string_view text) { return described(key, text, on); };
  std::string out;
  for (const auto& [by, what, bytes] : served) {
    if (!out.empty()) out += "\n";
    out += toned(tone::strong, what.name, on) + "\n";
    if (!what.doc.empty()) out += wrapped(printable(what.doc), on.width, 0) + "\n";
    out +=
        "\n" + entry("service", printable(by->service) + " " + printable(by->version) + ", " + instances_summary(*by));
    out += entry("retry", retry_text(what.retry));
    if (what.streams) out += entry("streams", "sends parts before its reply");
    for (std::size_t i = 0; i < what.http.size(); ++i) out += entry(i == 0 ? "routes" : "", printable(what.http[i]));
    for (std::size_t i = 0; i < by->instances.size(); ++i) {
      const auto& one = by->instances[i];
      const bool quick = what.quick && one.quick_slots;  // whose slots are not those of the others
      out += entry(i == 0 ? "served by" : "", fmt::format("{}, {} of {} {}slots busy{}", printable(one.instance),
                                                          quick ? one.quick_in_flight.value_or(0) : one.in_flight,
                                                          quick ? *one.quick_slots : one.slots, quick ? "quick " : "", one.draining ? ", draining" : ""));
    }
    out +=
        schema_lines("request", what.request, on) + schema_lines(what.streams ? "last reply" : "reply", what.reply, on);
    const auto example = example_of_schema(what.request);
    out += "\n" + toned(tone::strong, "try", on) + "\n  waggle call " + what.name +
           (example.empty() ? "" : " " + shell_quoted(printable(example))) + "\n";
  }
  return out;
}

std::string handlers_text(const std::vector<served_events>& handled, const screen& on) {
  std::string out;
  const auto entry = [&](std::string_view key, std::string_view text) { out += described(key, text, on); };
  for (const auto& [by, what] : handled) {
    if (!out.empty()) out += "\n";
    out += toned(tone::strong, printable(what.topic), on) + "\n";
    if (what.doc) out += wrapped(printable(*what.doc), on.width, 0) + "\n";
    out += "\n";
    entry("service", printable(by->service) + " " + printable(by->version) + ", " + instances_summary(*by));
    entry("group", printable(what.group.value_or(by->service)) + ", begins " +
                       (what.from.value_or("now") == "beginning" ? "with the oldest event there is" : "with what is emitted once it is there"));
    const event_manifest usual;
    entry("tries", fmt::format("{} of at most {}, the second after {}, then twice as long each time, up to {}", what.attempts.value_or(usual.attempts),
                               milliseconds_text(what.budget_ms.value_or(usual.budget_ms)), milliseconds_text(what.backoff_ms.value_or(usual.backoff_ms)),
                               milliseconds_text(what.backoff_max_ms.value_or(usual.backoff_max_ms))));
    if (what.payload && what.payload->bytes.size() > 1) out += schema_lines("payload", what.payload->bytes, on);
  }
  return out;
}

std::string value_text(std::string_view msgpack, const screen& on) {
  const auto text = wire::msgpack_to_json(msgpack);
  const auto read = json::parse(text, nullptr, false);
  if (read.is_object() && !read.empty()) {
    table rows{{"FIELD", "VALUE"}};
    for (const auto& [key, each] : read.items()) rows.row({printable(key), cell(each)});
    return rows.lines(on);
  }
  constexpr std::size_t columns_max = 32;
  std::vector<std::string> keys;
  bool all_objects = read.is_array() && !read.empty();
  for (std::size_t i = 0; all_objects && i < read.size(); ++i) {
    all_objects = read[i].is_object();
    if (!all_objects) break;
    for (const auto& [key, each] : read[i].items()) {
      if (keys.size() < columns_max && std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
  }
  if (!all_objects || keys.empty()) return read.is_string() ? cell(read) + "\n" : text + "\n";
  std::vector<std::string> headings;
  for (const auto& each : keys) headings.push_back(printable(each));
  table rows{headings};
  for (const auto& each : read) {
    std::vector<std::string> cells;
    for (const auto& key : keys) cells.push_back(each.contains(key) ? cell(each[key]) : "");
    rows.row(std::move(cells));
  }
  return rows.lines(on);
}

error with_remedy(error why, std::string_view asked, std::string_view broker) {
  if (why.code == status::unimplemented && asked.starts_with("waggle.")) {
    why.message = fmt::format("the broker at {} has no {}: it is older than this program", broker, asked);
  }
  return why;
}

std::string error_text(const error& why, bool has_call, const screen& on) {
  std::string out = "waggle: " + toned(tone::bad, name(why.code), on) + ": " + printable(why.message);
  if (has_call) out += why.may_have_run ? " (the command may have run)" : " (the command has not run)";
  if (why.retry_after) out += fmt::format(" (try again in {} ms)", why.retry_after->count());
  out += '\n';
  if (why.problems.size() > 1) {
    for (const auto& each : why.problems) {
      out += "  " + (each.path.empty() ? "" : printable(each.path) + ": ") + printable(each.message) + "\n";
    }
  }
  return out;
}

}  // namespace waggle::cli
