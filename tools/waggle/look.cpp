#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "tools/waggle/network.hpp"
#include "tools/waggle/session.hpp"
#include "tools/waggle/view.hpp"

namespace waggle::cli {
namespace {

int list(const session& with, const std::string& prefix) {
  auto all = with.network();
  if (!all) return with.fail(all.error());
  const bool is_empty = all->services.empty();
  keep_commands(*all, prefix);
  if (with.output_or(form::table) != form::table) {
    std::string bytes;
    append_payload(bytes, *all);
    with.print_value(bytes, form::json);
  } else if (is_empty) {
    with.note("no service has joined the broker");
  } else if (all->services.empty()) {
    with.note("no command or topic begins with \"" + prefix + "\"");
  } else {
    with.print(services_text(*all, with.out()));
  }
  return 0;
}

/// {"service": str, "version": str, "command": manifest, "instances": [map]}
std::string packed(const served_command& from) {
  std::string bytes;
  wire::writer out{bytes};
  out.map(4);
  out.string("service");
  out.string(from.by->service);
  out.string("version");
  out.string(from.by->version);
  out.string("command");
  out.raw(from.bytes);
  out.string("instances");
  append_payload(bytes, from.by->instances);
  return bytes;
}

/// {"service": str, "version": str, "event": as in the manifest}
std::string packed(const served_events& from) {
  std::string bytes;
  wire::writer out{bytes};
  out.map(3);
  out.string("service");
  out.string(from.by->service);
  out.string("version");
  out.string(from.by->version);
  out.string("event");
  append_payload(bytes, from.what);
  return bytes;
}

int describe(const session& with, const std::string& name) {
  const auto all = with.network();
  if (!all) return with.fail(all.error());
  const auto served = find_command(*all, name);
  const auto handled = find_handlers(*all, name);
  if (served.empty() && handled.empty()) {
    const auto other = closest(name, command_names(*all));
    return with.fail({status::unimplemented,
                      "no service here has the command \"" + name + "\"" +
                          (other.empty() ? "; `waggle ls` shows those there are" : "; did you mean " + other + "?")});
  }
  if (with.output_or(form::table) == form::table) {
    if (!served.empty()) with.print(command_text(served, with.out()));
    if (!handled.empty()) with.print((served.empty() ? "" : "\n") + handlers_text(handled, with.out()));
    return 0;
  }
  for (const auto& each : served) with.print_value(packed(each), form::json);
  for (const auto& each : handled) with.print_value(packed(each), form::json);
  return 0;
}

int command_names_of(session& with) {
  with.budget_text = "1s";
  const auto all = with.network();
  if (!all) return 0;
  for (const auto& [name, doc] : command_names(*all)) with.print(name + "\t" + doc + "\n");
  return 0;
}

}  // namespace

command make_ls(CLI::App& app, session& with) {
  const auto prefix = std::make_shared<std::string>();
  auto* flags = app.add_subcommand("ls", "List services, commands, routes, events and instances");
  flags->add_option("PREFIX", *prefix, "Only commands and topics that begin so")->type_name("");
  flags->footer(
      "Examples:\n"
      "  waggle ls\n"
      "  waggle ls order.\n"
      "  waggle ls --json | jq -r '.services[].commands[].name'");
  return {flags, [&with, prefix] { return list(with, *prefix); }};
}

command make_describe(CLI::App& app, session& with) {
  const auto name = std::make_shared<std::string>();
  auto* flags = app.add_subcommand("describe", "Explain a command or a topic: fields, routes, who serves it");
  flags->add_option("COMMAND", *name, "A command, or a topic of events, as `waggle ls` shows it")->type_name("")->required();
  flags->footer(
      "Examples:\n"
      "  waggle describe hello.say\n"
      "  waggle describe hello.say --json | jq .command.request\n"
      "  waggle describe order.placed          who handles such events");
  return {flags, [&with, name] { return describe(with, *name); }};
}

command make_command_names(CLI::App& app, session& with) {
  auto* flags = app.add_subcommand("__commands", "")->group("");
  return {flags, [&with] { return command_names_of(with); }};
}

}  // namespace waggle::cli
