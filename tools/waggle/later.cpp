// Durable commands: accepted on disk, run when they can be, their outcomes kept for a day.
#include "tools/waggle/later.hpp"

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

#include <waggle/detail/duration.hpp>

#include "tools/waggle/events_view.hpp"
#include "tools/waggle/listing.hpp"

namespace waggle::cli {
namespace {

struct outcome_wanted {
  std::string operation;
  std::optional<std::uint64_t> wait_ms;
};
WAGGLE_FIELDS(outcome_wanted, operation, wait_ms)

struct outcome_flags {
  std::string operation;
  std::string wait;
};

int outcome(const session& with, const outcome_flags& given) {
  outcome_wanted wanted{given.operation, std::nullopt};
  const auto wait = given.wait.empty() ? milliseconds{0} : *detail::parse_duration(given.wait);
  if (wait > milliseconds{0}) wanted.wait_ms = static_cast<std::uint64_t>(wait.count());
  std::string payload;
  append_payload(payload, wanted);
  const auto bytes = with.ask("waggle.outcome", std::move(payload), with.budget() + wait, true);
  if (!bytes) return with.fail(bytes.error());
  const auto what = with.understood<operation_outcome>(*bytes);
  if (!what) return with.fail(what.error());
  if (with.output_or(form::table) != form::table) {
    with.print_value(*bytes, form::json);
  } else {
    with.print(outcome_text(*what, now_ms(), with.out()));
  }
  return exit_code_of(*what);
}

}  // namespace

int call_later(const session& with, const std::string& command, const later_flags& given) {
  auto options = with.options();
  if (!options) return with.misuse(options.error().message);
  auto payload = with.payload();
  if (!payload) return with.misuse(payload.error().message);
  options->headers.insert_or_assign("later", std::to_string(detail::parse_duration(given.run_budget)->count()));
  if (!given.idempotency_key.empty()) options->headers.insert_or_assign("idempotency_key", given.idempotency_key);
  // A broker that does not know the header would run the command at once and answer with its reply: it is asked first.
  const auto streams = asked<stream_list>(with, "waggle.streams", nothing{});
  if (!streams) return with.fail(streams.error());

  // With a key it is one operation however often it is sent.
  options->idempotent = !given.idempotency_key.empty();
  const auto bytes = client{with.caller()}.call_bytes(command, std::move(*payload), with.budget(), *options);
  if (!bytes) return with.fail(bytes.error());
  const auto receipt = with.understood<later_receipt>(*bytes);
  if (!receipt) return with.fail(receipt.error());
  if (with.output != form::automatic) {
    with.print_value(*bytes, form::json);
  } else {
    with.print(printable(receipt->operation) + "\n");
  }
  if (receipt->repeated.value_or(false)) {
    with.note(std::string{"it was accepted before under this idempotency key"} + (receipt->state == "ended" ? ", and has ended" : ""));
  }
  if (!streams->durable) with.note("this broker keeps it in memory only: it ends with it");
  return streams->durable ? 0 : exit_not_kept;
}

command make_later(CLI::App& app, session& with) {
  struct flags_of_later {
    std::string command;
    later_flags how;
  };
  const auto given = std::make_shared<flags_of_later>();
  auto* flags = app.add_subcommand("later", "Have a command run whatever happens, and print the operation's id");
  flags->add_option("COMMAND", given->command, "The command's name, as `waggle ls` shows it")->type_name("")->required();
  with.add_payload_flags(*flags);
  flags->add_option("--idempotency-key", given->how.idempotency_key, "The same key and payload are the same operation")->type_name("KEY");
  flags->add_option("--run-budget", given->how.run_budget, "How long each attempt may take")
      ->type_name("TIME")
      ->capture_default_str()
      ->check(detail::duration_problem);
  flags->footer(
      "The id is printed when the command is on the broker's disk. It is then run, and tried\n"
      "again if it fails for a while, even if nobody serves it yet or the broker restarts.\n"
      "--budget is for the acceptance alone. `waggle call --later` does the same.\n\n"
      "Examples:\n"
      "  waggle later report.make '{\"month\":\"2026-10\"}'\n"
      "  id=$(waggle later report.make @request.json --idempotency-key october)\n"
      "  waggle outcome \"$id\" --wait 1m");
  return {flags, [&with, given] { return call_later(with, given->command, given->how); }};
}

command make_outcome(CLI::App& app, session& with) {
  const auto given = std::make_shared<outcome_flags>();
  auto* flags = app.add_subcommand("outcome", "Tell what has become of a command that was to run later");
  flags->add_option("ID", given->operation, "The operation's id, as `waggle later` printed it")->type_name("")->required();
  flags->add_option("--wait", given->wait, "Wait until it has ended, at most so long")->type_name("TIME")->check(detail::duration_problem);
  flags->footer(
      "Exit code 0 if it has succeeded, that of its status if it has failed, and 4 as long as it\n"
      "has not ended. Outcomes are kept for 24 hours; then the exit code is 15.\n\n"
      "Examples:\n"
      "  waggle outcome 5f0c29d7b1f94c0e8d0b6d6f3a1c2e77\n"
      "  waggle outcome \"$id\" --wait 1m --json | jq .result");
  return {flags, [&with, given] { return outcome(with, *given); }};
}

}  // namespace waggle::cli
