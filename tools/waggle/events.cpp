#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <waggle/detail/duration.hpp>
#include <waggle/events.hpp>
#include <waggle/wire/json.hpp>

#include "tools/waggle/events_view.hpp"
#include "tools/waggle/listing.hpp"
#include "tools/waggle/session.hpp"
#include "tools/waggle/view.hpp"

namespace waggle::cli {
namespace {

int emit(const session& with, const std::string& topic, const std::string& event_id) {
  auto options = with.options();
  if (!options) return with.misuse(options.error().message);
  if (!event_id.empty()) options->headers.insert_or_assign("event_id", event_id);
  auto payload = with.payload();
  if (!payload) return with.misuse(payload.error().message);

  client network{with.caller()};
  const auto receipt = network.emit_bytes(topic, std::move(*payload), with.budget(), *options);
  if (!receipt) return with.fail(receipt.error());
  const auto what = with.understood<emit_receipt>(*receipt);
  if (!what) return with.fail(what.error());
  // What is not kept is as it should be if its topic is ephemeral; older brokers keep nothing, and know of no streams.
  bool as_it_should_be = what->durable;
  if (!what->durable && !what->stream) {
    const auto streams = asked<stream_list>(with, "waggle.streams", nothing{});
    as_it_should_be = streams && is_ephemeral(*streams, topic);
  }
  if (with.output_or(form::table) != form::table) {
    with.print_value(*receipt, form::json);
  } else {
    with.print(as_it_should_be || what->stream ? receipt_text(*what) : "passed on, but not kept: the broker is older than this program\n");
  }
  return as_it_should_be ? 0 : exit_not_kept;
}

/// {"topic": str, "payload": any, "headers"?: {str: str}, "stream"?: str, "sequence"?: uint, "time_ms"?: int, "event_id"?: str}
std::string packed(const event& from) {
  const bool is_kept = from.sequence != 0;
  std::string bytes;
  wire::writer out{bytes};
  out.map(2 + (from.headers.empty() ? 0 : 1) + (is_kept ? 3 : 0) + (from.id.empty() ? 0 : 1));
  out.string("topic");
  out.string(from.topic);
  out.string("payload");
  from.payload.empty() ? out.nil() : out.raw(from.payload);
  if (!from.headers.empty()) {
    out.string("headers");
    out.raw(wire::headers_to_msgpack(from.headers));
  }
  if (is_kept) {
    out.string("stream");
    out.string(from.stream);
    out.string("sequence");
    out.unsigned_integer(from.sequence);
    out.string("time_ms");
    out.integer(std::chrono::duration_cast<milliseconds>(from.time.time_since_epoch()).count());
  }
  if (!from.id.empty()) {
    out.string("event_id");
    out.string(from.id);
  }
  return bytes;
}

std::string json_of(const std::string& payload) { return payload.empty() ? "null" : wire::msgpack_to_json(payload); }

struct sub_flags {
  std::vector<std::string> prefixes;
  std::uint64_t count = 0;
  std::string wait;
  std::string since;
  std::uint64_t last = 0;
  bool all = false;
  std::optional<std::uint64_t> from;
  std::string stream;
};

event_start start_of(const sub_flags& flags) {
  auto out = !flags.since.empty() ? since(*parse_age(flags.since))
             : flags.last != 0    ? last(flags.last)
             : flags.from         ? from_sequence(flags.stream, *flags.from)
             : flags.all          ? behind({})  // of each stream: the oldest that there is
                                  : from_now();
  out.stream = flags.stream;
  return out;
}

int sub(const session& with, const sub_flags& flags) {
  event_options options;
  options.broker = with.broker;
  options.keys = with.keys;
  options.patience = with.budget();
  options.start = start_of(flags);
  options.on_lost = [&with](const lost_events& what) { with.note(lost_text(what)); };
  auto events = subscriber::open(flags.prefixes.empty() ? std::vector<std::string>{""} : flags.prefixes, options);
  if (!events) return with.fail(with_remedy(events.error(), "waggle.events", with.broker));
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
    } else if (events->error()) {
      return with.fail(with_remedy(*events->error(), "waggle.events", with.broker));
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
  const auto event_id = std::make_shared<std::string>();
  auto* flags = app.add_subcommand("emit", "Emit an event and wait for the broker's receipt");
  flags->add_option("TOPIC", *topic, "What the event is about, as in order.placed")->type_name("")->required();
  with.add_payload_flags(*flags);
  flags->add_option("--event-id", *event_id, "The event's own id: emitted again within 10 minutes it is the same event")->type_name("ID");
  flags->footer(
      "Prints where the event is kept, once it is on the broker's disk; -o json prints the\n"
      "receipt as it came. Exit code 0: it is on disk, or its topic is configured to be\n"
      "ephemeral. 3: it was taken, but the broker has no disk for it. Any other: it was\n"
      "not taken, or nobody knows; with --event-id it can be emitted again without harm.\n\n"
      "Examples:\n"
      "  waggle emit order.placed '{\"id\":7}'\n"
      "  waggle emit order.placed @order.json --key order-7 --event-id order-7-placed\n"
      "  waggle emit order.placed @order.json --header source=import");
  return {flags, [=, &with] { return emit(with, *topic, *event_id); }};
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
  auto* since = flags->add_option("--since", given->since, "Begin with the events of this age, as in 10m or 2d")->type_name("AGE")->check(age_problem);
  auto* last = flags->add_option("--last", given->last, "Begin with the last so many that there are, of each stream")
                   ->type_name("N")
                   ->check(CLI::Range(1, 1'000'000'000).description(""))
                   ->excludes(since);
  auto* all = flags->add_flag("--all", given->all, "Begin with the oldest that there are")->excludes(since)->excludes(last);
  flags->add_option("--from", given->from, "Begin with this event of the stream")->type_name("SEQ")->excludes(since)->excludes(last)->excludes(all);
  flags->add_option("--stream", given->stream, "Only events of this stream")->type_name("STREAM");
  flags->footer(
      "A line is the topic and the payload; with -o json it is a map of topic, payload,\n"
      "headers, stream, sequence, time_ms and event_id. Events that are kept come in the order\n"
      "of their stream and each once, whatever happens to the connection or the broker; if\n"
      "any are lost, that is said to standard error. Exit code 21: --from is not kept.\n\n"
      "Examples:\n"
      "  waggle sub\n"
      "  waggle sub order. payment.\n"
      "  waggle sub order. --since 10m\n"
      "  waggle sub --last 20 --count 20\n"
      "  waggle sub order. --stream events --from 1042 --json\n"
      "  waggle sub order.placed --count 1 --wait 10s --json | jq .payload");
  return {flags, [&with, given] { return sub(with, *given); }};
}

}  // namespace waggle::cli
