#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include <waggle/detail/duration.hpp>
#include <waggle/events.hpp>
#include <waggle/wire/json.hpp>

#include "tools/waggle/session.hpp"

namespace waggle::cli {
namespace {

int emit(const session& with, const std::string& topic) {
  const auto options = with.options();
  if (!options) return with.misuse(options.error().message);
  auto payload = with.payload();
  if (!payload) return with.misuse(payload.error().message);

  client network{with.caller()};
  const auto receipt = network.emit_bytes(topic, std::move(*payload), with.budget(), *options);
  if (!receipt) return with.fail(receipt.error());
  if (with.output != form::automatic) with.print_value(*receipt, form::json);
  return 0;
}

/// {"topic": str, "payload": any, "headers"?: {str: str}, "sequence"?: uint}
std::string packed(const event& from) {
  std::string bytes;
  wire::writer out{bytes};
  out.map(2 + (from.headers.empty() ? 0 : 1) + (from.sequence == 0 ? 0 : 1));
  out.string("topic");
  out.string(from.topic);
  out.string("payload");
  from.payload.empty() ? out.nil() : out.raw(from.payload);
  if (!from.headers.empty()) {
    out.string("headers");
    out.raw(wire::headers_to_msgpack(from.headers));
  }
  if (from.sequence != 0) {
    out.string("sequence");
    out.unsigned_integer(from.sequence);
  }
  return bytes;
}

std::string json_of(const std::string& payload) { return payload.empty() ? "null" : wire::msgpack_to_json(payload); }

struct sub_flags {
  std::vector<std::string> prefixes;
  std::uint64_t count = 0;
  std::string wait;
};

int sub(const session& with, const sub_flags& flags) {
  event_options options;
  options.broker = with.broker;
  options.patience = with.budget();
  auto events = subscriber::open(flags.prefixes.empty() ? std::vector<std::string>{""} : flags.prefixes, options);
  if (!events) return with.fail(events.error());
  if (with.err().width != 0) with.note("listening; Ctrl-C ends it");

  const auto wait = flags.wait.empty() ? std::nullopt : detail::parse_duration(flags.wait);
  const auto end = std::chrono::steady_clock::now() + wait.value_or(milliseconds{0});
  for (std::uint64_t seen = 0; flags.count == 0 || seen < flags.count; ++seen) {
    const auto left =
        wait ? std::chrono::ceil<milliseconds>(end - std::chrono::steady_clock::now()) : milliseconds{3'600'000};
    const auto got = events->next(std::max(left, milliseconds{0}));
    if (got && with.output_or(form::table) == form::table) {
      with.print(toned(tone::strong, printable(got->topic), with.out()) + " " + json_of(got->payload) + "\n");
    } else if (got) {
      with.print_value(packed(*got), form::json, true);
    } else if (!wait) {
      --seen;  // an hour without events
    } else if (flags.count == 0) {
      return 0;
    } else {
      return with.fail({status::deadline_exceeded,
                        std::to_string(seen) + " of " + std::to_string(flags.count) + " events came in " + flags.wait});
    }
  }
  return 0;
}

}  // namespace

command make_emit(CLI::App& app, session& with) {
  const auto topic = std::make_shared<std::string>();
  auto* flags = app.add_subcommand("emit", "Emit an event and wait for the broker's receipt");
  flags->add_option("TOPIC", *topic, "What the event is about, as in order.placed")->type_name("")->required();
  with.add_payload_flags(*flags);
  flags->footer(
      "Silent when the broker has taken the event; -o json prints the receipt.\n\n"
      "Examples:\n"
      "  waggle emit order.placed '{\"id\":7}'\n"
      "  waggle emit order.placed @order.json --header source=import");
  return {flags, [&with, topic] { return emit(with, *topic); }};
}

command make_sub(CLI::App& app, session& with) {
  const auto given = std::make_shared<sub_flags>();
  auto* flags = app.add_subcommand("sub", "Print events as they come, one in a line");
  flags->add_option("PREFIX", given->prefixes, "What topics begin with; every topic if not given")->type_name("");
  flags->add_option("--count", given->count, "End after so many events")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000'000).description(""));
  flags->add_option("--wait", given->wait, "End after so long; a failure if --count is not reached")
      ->type_name("TIME")
      ->check(detail::duration_problem);
  flags->footer(
      "A line is the topic and the payload; with -o json it is a map of topic, payload,\n"
      "headers and sequence.\n\n"
      "Examples:\n"
      "  waggle sub\n"
      "  waggle sub order. payment.\n"
      "  waggle sub order.placed --count 1 --wait 10s --json | jq .payload");
  return {flags, [&with, given] { return sub(with, *given); }};
}

}  // namespace waggle::cli
