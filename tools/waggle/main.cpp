#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <waggle/version.hpp>
#include <waggle/wire/limits.hpp>
#include <waggle/wire/status.hpp>

#include "tools/waggle/completion.hpp"
#include "tools/waggle/session.hpp"
#include "tools/waggle/text.hpp"

namespace {

using namespace waggle::cli;

std::string exit_codes() {
  std::string out = "Exit codes:\n";
  const auto row = [&](int code, std::string_view status, std::string_view meaning) {
    out += fmt::format("  {:>2}  {:<19}  {}\n", code, status, wrapped(meaning, 80, 27));
  };
  row(0, "OK", "It is done.");
  row(1, "", "Something on this machine failed, such as writing the output.");
  row(exit_misuse, "", "The command line or the payload is not understood.");
  row(exit_not_kept, "", "emit, later: it was taken, but it is not on disk, and not because its topic is ephemeral.");
  row(exit_not_ended, "", "outcome: the command has not ended.");
  for (const auto& each : waggle::status_table) {
    if (each.code != waggle::status::ok) row(each.exit_code, each.name, each.meaning);
  }
  return out;
}

/// What the parser does not say well: a missing or unknown command.
std::string misuse_text(const CLI::App& app, const std::vector<command>& commands, const CLI::ParseError& why) {
  if (!app.get_subcommands().empty() || why.get_exit_code() != static_cast<int>(CLI::ExitCodes::RequiredError)) {
    return why.what();
  }
  std::string known;
  for (const auto& each : commands) {
    if (!each.flags->get_description().empty()) known += (known.empty() ? "" : ", ") + each.flags->get_name();
  }
  const auto given = app.remaining();
  return (given.empty() ? "a command is needed: " : "\"" + given.front() + "\" is none of the commands: ") + known +
         "; waggle --help explains them";
}

/// CLI11 splits an argument in brackets at its commas where several are allowed; a space, which JSON does not mind,
/// stops it.
std::vector<std::string> arguments(int argc, char** argv) {
  std::vector<std::string> out;
  for (int i = argc - 1; i > 0; --i) {  // CLI11 wants the last one first
    const std::string_view each{argv[i]};
    out.push_back((each.starts_with('[') ? " " : "") + std::string{each});
  }
  return out;
}

command make_version(CLI::App& app, session& with) {
  auto* flags = app.add_subcommand("version", "Print the versions of program and protocol");
  flags->footer("Example:\n  waggle version --json");
  return {flags, [&with] {
            if (with.output_or(form::table) == form::table) {
              with.print(fmt::format("waggle {} (WGL/{})\n", waggle::version, waggle::wire::protocol_version));
            } else {
              std::string bytes;
              waggle::append_payload(bytes, std::map<std::string, std::string>{
                                                {"protocol", fmt::format("WGL/{}", waggle::wire::protocol_version)},
                                                {"version", std::string{waggle::version}}});
              with.print_value(bytes, form::json);
            }
            return 0;
          }};
}

command make_completion(CLI::App& app, session& with) {
  const auto shell = std::make_shared<std::string>();
  auto* flags = app.add_subcommand("completion", "Print a completion script for a shell");
  flags->add_option("SHELL", *shell, "bash, zsh or fish")
      ->type_name("")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}).description(""));
  flags->footer(
      "Examples:\n"
      "  source <(waggle completion bash)        in ~/.bashrc\n"
      "  source <(waggle completion zsh)         in ~/.zshrc, after compinit\n"
      "  waggle completion fish | source         in ~/.config/fish/config.fish");
  return {flags, [&with, shell] { return with.print(completion_script(*shell)), 0; }};
}

int run(int argc, char** argv) {
  CLI::App app{"Calls commands, watches events and shows who serves what on a waggle network.", "waggle"};
  session with;
  app.require_subcommand(1);
  app.fallthrough();
  app.get_formatter()->column_width(26);
  with.add_flags(app);
  app.set_version_flag("--version", std::string{waggle::version});
  app.footer(
      "Every command has examples: waggle call --help. Colour is for terminals, and\n"
      "never used if NO_COLOR is set.\n\n" +
      exit_codes());
  std::vector<command> commands{make_call(app, with),      make_emit(app, with),          make_sub(app, with),
                                make_ls(app, with),        make_describe(app, with),      make_ping(app, with),
                                make_raw(app, with),       make_command_names(app, with), make_version(app, with),
                                make_completion(app, with),    make_routes(app, with),       make_streams(app, with), make_groups(app, with),
                                make_dead(app, with),      make_later(app, with),         make_outcome(app, with),     make_keys(app, with),
                                make_keygen(app, with)};
  for (auto& each : make_event_names(app, with)) commands.push_back(std::move(each));
  for (auto& each : make_operations(app, with)) commands.push_back(std::move(each));
  commands.push_back(make_bench(app, with));
  for (const auto& each : commands) {
    each.flags->footer(each.flags->get_footer() +
                       "\n\nFlags of every command: --broker, --key-file, --broker-key, --budget, -o, --json; see\nwaggle --help.");
  }
  try {
    app.parse(arguments(argc, argv));
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    return with.misuse(misuse_text(app, commands, e));
  }
  if (with.output == form::msgpack && ::isatty(STDOUT_FILENO) != 0) {
    return with.misuse("msgpack is not for a terminal: send it to a file or a pipe, or use -o json");
  }
  for (const auto& each : commands) {
    if (!each.flags->parsed()) continue;
    try {
      return each.run();
    } catch (const waggle::net::endpoint_error& e) {
      return with.misuse(e.what());
    } catch (const waggle::key_error& e) {
      return with.misuse(e.what());
    }
  }
  return exit_misuse;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "waggle: {}\n", e.what());
  } catch (...) {
    fmt::print(stderr, "waggle: an unknown failure\n");
  }
  return 1;
}
