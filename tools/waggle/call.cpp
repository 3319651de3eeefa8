#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "tools/waggle/later.hpp"
#include "tools/waggle/session.hpp"

namespace waggle::cli {
namespace {

int call(const session& with, const std::string& name, bool idempotent) {
  auto options = with.options();
  if (!options) return with.misuse(options.error().message);
  options->idempotent = idempotent;
  auto payload = with.payload();
  if (!payload) return with.misuse(payload.error().message);

  client network{with.caller()};
  bool has_parts = false;
  const auto reply = network.stream_bytes(
      name, std::move(*payload), with.budget(),
      [&](std::string_view part) {
        has_parts = true;
        with.print_value(part, form::json, true);
        return true;
      },
      *options);
  if (!reply) return with.fail(reply.error(), true);
  const bool is_nil = reply->empty() || *reply == "\xc0";
  if (!has_parts || !is_nil) with.print_value(*reply, form::json, has_parts);
  return 0;
}

}  // namespace

command make_call(CLI::App& app, session& with) {
  const auto name = std::make_shared<std::string>();
  const auto idempotent = std::make_shared<bool>(false);
  const auto later = std::make_shared<bool>(false);
  const auto how = std::make_shared<later_flags>();
  auto* flags = app.add_subcommand("call", "Call a command and print its reply");
  flags->add_option("COMMAND", *name, "The command's name, as `waggle ls` shows it")->type_name("")->required();
  with.add_payload_flags(*flags);
  flags->add_flag("--idempotent", *idempotent, "It may run twice: send it again if the broker is lost");
  auto* is_later = flags->add_flag("--later", *later, "Only have it accepted, as `waggle later` does: prints the operation's id");
  flags->add_option("--idempotency-key", how->idempotency_key, "With --later: the same key and payload are the same operation")
      ->type_name("KEY")
      ->needs(is_later);
  flags->footer(
      "Parts of a streamed reply are printed one in a line as they come.\n\n"
      "Examples:\n"
      "  waggle call hello.say '{\"name\":\"Ada\"}'\n"
      "  waggle call hello.say @request.json --budget 250ms\n"
      "  jq .order reply.json | waggle call order.place --key customer-7\n"
      "  waggle call report.make -o msgpack > report.msgpack");
  return {flags, [=, &with] { return *later ? call_later(with, *name, *how) : call(with, *name, *idempotent); }};
}

}  // namespace waggle::cli
