// Measures a network that runs: puts a load of calls or events on it, and tells what came of it.
#include "tools/waggle/bench.hpp"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <waggle/detail/descriptor_limit.hpp>
#include <waggle/detail/duration.hpp>
#include <waggle/wire/limits.hpp>
#include <waggle/wire/topic.hpp>

#include "tools/waggle/bench_figures.hpp"
#include "tools/waggle/bench_load.hpp"

namespace waggle::cli {
namespace {

struct bench_flags {
  std::string name;
  std::optional<std::size_t> payload_bytes;
  std::size_t callers = 1;
  std::optional<std::size_t> in_flight;
  double rate = 0;
  std::string duration = "5s";
  std::string warm_up = "1s";
  std::uint64_t rounds = 1;
  bool csv = false;
  bool no_header = false;
  std::string histogram;
  bool no_receipt = false;
  std::size_t subscribers = 0;
};

/// With a rate what waits for a place is counted as waiting, so that there is more room; it is bounded all the same.
constexpr std::size_t in_flight_closed = 64, in_flight_open = 1000;

result<std::string> payload_from(const session& with, const bench_flags& given) {
  if (!given.payload_bytes) return with.payload();
  return payload_of(*given.payload_bytes);
}

bool write_file(const std::string& path, const std::string& text) {
  std::FILE* const file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return false;
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  return std::fclose(file) == 0 && written;
}

/// What a round is told as soon as it has ended; tables wait for the last.
void print_round(const session& with, const bench_flags& given, const bench_round& round) {
  const auto figures = figures_of(round);
  if (given.csv) {
    with.print((round.round == 1 && !given.no_header ? csv_header(figures) : "") + csv_line(figures));
  } else if (with.output_or(form::table) != form::table) {
    with.print_value(packed(figures), form::json, given.rounds > 1);
  }
}

int run(const session& with, const bench_flags& given, bool of_events) {
  if (of_events ? !wire::is_topic(given.name) : !wire::is_name(given.name)) {
    return with.misuse("\"" + given.name + (of_events ? "\" is no topic: 1 to 128 bytes without spaces and without *, not beginning with \"waggle.\""
                                                      : "\" is no name of a command: 1 to 128 bytes without spaces"));
  }
  if (given.csv && with.output != form::automatic) return with.misuse("--csv is a form of the output as -o and --json are: only one of them can be");
  const auto duration = *detail::parse_duration(given.duration);
  if (duration <= milliseconds{0}) return with.misuse("--duration is the time that is measured: it is longer than 0");
  if (with.budget() <= milliseconds{0}) return with.misuse("--budget is for each call: it is longer than 0");
  auto options = with.options();
  if (!options) return with.misuse(options.error().message);
  if (const char* why = wire::headers_problem(options->headers)) return with.misuse(why);
  auto payload = payload_from(with, given);
  if (!payload) return with.misuse(payload.error().message);

  // Before any thread: they inherit what is blocked.
  detail::stop_signals signals;
  detail::raise_descriptor_limit();
  bench_settings of;
  of.of_events = of_events;
  of.name = given.name;
  of.payload = std::move(*payload);
  of.options = std::move(*options);
  of.at = with.caller();
  of.at.name = "waggle-bench";
  of.callers = given.callers;
  of.in_flight = given.in_flight.value_or(given.rate > 0 ? in_flight_open : in_flight_closed);
  of.rate = given.rate;
  of.warm_up = *detail::parse_duration(given.warm_up);
  of.duration = duration;
  of.budget = with.budget();
  of.receipts = !given.no_receipt;
  of.subscribers = given.subscribers;

  std::vector<bench_round> rounds;
  std::optional<error> first_failure;
  bench::histogram all;
  std::uint64_t ok = 0;
  bool interrupted = false;
  while (rounds.size() < given.rounds && !interrupted) {
    auto got = run_round(of, signals);
    if (!got && !rounds.empty()) {
      first_failure = first_failure.value_or(got.error());
      with.note("round " + std::to_string(rounds.size() + 1) + " could not begin: " + got.error().message);
      break;
    }
    if (!got) return with.fail(got.error());
    auto& round = got->round;
    round.round = rounds.size() + 1;
    print_round(with, given, round);
    for (const auto& each : remarks_on(round)) with.note((given.rounds > 1 ? "round " + std::to_string(round.round) + ": " : "") + each);
    if (!first_failure) first_failure = got->first_failure;
    interrupted = got->interrupted;
    all.add(round.took);
    ok += round.ok;
    rounds.push_back(std::move(round));
  }
  if (!given.csv && with.output_or(form::table) == form::table) with.print(load_text(rounds.front()) + rounds_text(rounds, with.out()));
  if (!given.histogram.empty() && !write_file(given.histogram, hgrm_text(all))) {
    with.note("cannot write " + given.histogram + ": " + std::strerror(errno));
    return 1;
  }
  if (!first_failure) return 0;
  if (ok == 0) return with.fail(*first_failure, !of_events);
  with.note("the first failure: " + std::string{name(first_failure->code)} + ": " + first_failure->message);
  return 0;
}

void add_load_flags(CLI::App& flags, bench_flags& given) {
  flags.add_option("--size", given.payload_bytes, "A payload of so many bytes, for a command that takes any")
      ->type_name("BYTES")
      ->check(CLI::Range(std::size_t{0}, wire::payload_bytes_max).description(""))
      ->excludes(flags.get_option("PAYLOAD"));
  flags.add_option("--callers", given.callers, "Connections to the broker, each with a thread of its own")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000).description(""));
  flags.add_option("--in-flight", given.in_flight, "Under way at a time at the most, in all callers together; if not given 64, or 1000 with a rate")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000).description(""));
  flags.add_option("--rate", given.rate, "Begun in a second, evenly, in all callers; else as fast as answers come")
      ->type_name("N")
      ->check(CLI::Range(0.001, 10e6).description(""));
  flags.add_option("--duration", given.duration, "How long it is measured")->type_name("TIME")->capture_default_str()->check(detail::duration_problem);
  flags.add_option("--warm-up", given.warm_up, "How long the load runs before that")->type_name("TIME")->capture_default_str()->check(detail::duration_problem);
  flags.add_option("--rounds", given.rounds, "Do all of it so often")->type_name("N")->capture_default_str()->check(CLI::Range(1, 10'000).description(""));
  auto* csv = flags.add_flag("--csv", given.csv, "Comma-separated values: a header line, and a line for each round");
  flags.add_flag("--no-header", given.no_header, "With --csv: no header line, to append to a file that has one")->needs(csv);
  flags.add_option("--histogram", given.histogram, "Write the distribution of times to a file (.hgrm, of HdrHistogram; in µs)")->type_name("FILE");
}

constexpr const char* exit_and_forms =
    "-o json has an object for each round; the names of its figures say their units, and are\n"
    "the columns of --csv. CPU S/M (cpu_s_per_million) are the CPU seconds of this process\n"
    "alone for a million. Ctrl-C ends the run, and what was measured until then is printed.\n\n"
    "Exit code 0 if anything succeeded, with failures counted by status; if nothing did,\n"
    "that of the first failure.\n\n";

}  // namespace

command make_bench(CLI::App& app, session& with) {
  const auto given = std::make_shared<bench_flags>();
  const auto serving = std::make_shared<bench_serve_flags>();
  auto* flags = app.add_subcommand("bench", "Measure what a network carries: calls, events");
  flags->require_subcommand(1);
  flags->footer(
      "Examples:\n"
      "  waggle bench serve &                             a worker that answers with what it gets\n"
      "  waggle bench calls bench.echo --size 64\n"
      "  waggle bench calls hello.say '{\"name\":\"Ada\"}' --rate 5000 --duration 30s\n"
      "  waggle bench events bench.tick --size 256 --subscribers 2");

  auto* calls = flags->add_subcommand("calls", "Call a command again and again, and measure the answers");
  calls->add_option("COMMAND", given->name, "The command's name, as `waggle ls` shows it")->type_name("")->required();
  with.add_payload_flags(*calls);
  add_load_flags(*calls, *given);
  calls->footer(
      std::string{"Without --rate each answer begins the next call, and what ends in the measured time counts.\n"
                  "With it each call has an instant at which it is due, whatever the network does, and its\n"
                  "time counts from there: a network that stands still for a second has made all wait that\n"
                  "were due in it. What is under way at the end is waited for then, and counts; NOT BEGUN\n"
                  "are those that were due but found no place in flight. --budget is for each call.\n\n"} +
      exit_and_forms +
      "Examples:\n"
      "  waggle bench calls bench.echo --size 64 --in-flight 1000\n"
      "  waggle bench calls bench.echo --size 16384 --callers 2 --rounds 5 --csv > runs.csv\n"
      "  waggle bench calls hello.say '{\"name\":\"Ada\"}' --rate 2000 --duration 1m --histogram times.hgrm\n"
      "  waggle bench calls hello.say '{\"name\":\"Ada\"}' --in-flight 1 --json | jq .p99_us");

  auto* events = flags->add_subcommand("events", "Emit events again and again, and measure receipts and arrivals");
  events->add_option("TOPIC", given->name, "What the events are about, as in bench.tick")->type_name("")->required();
  with.add_payload_flags(*events);
  add_load_flags(*events, *given);
  events->add_flag("--no-receipt", given->no_receipt, "Publish without receipts: what the network cannot take is dropped");
  events->add_option("--subscribers", given->subscribers, "Have so many subscribers, and measure what arrives there")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(0, 1000).description(""));
  events->footer(
      std::string{"Times are those from an event's beginning (with --rate, from when it was due) to its\n"
                  "receipt; without receipts to where it is handed on, and --in-flight says nothing. Events\n"
                  "stay in the broker's log for as long as it keeps others, unless their topic is ephemeral.\n"
                  "MISSING are events that a subscriber has not got at all.\n\n"} +
      exit_and_forms +
      "Examples:\n"
      "  waggle bench events bench.tick --size 256 --in-flight 256\n"
      "  waggle bench events bench.tick --size 256 --subscribers 3 --rate 1000 --json\n"
      "  waggle bench events bench.passing --no-receipt --rate 50000 --subscribers 1");

  auto* serve = flags->add_subcommand("serve", "Serve a command that answers with what it got");
  serve->add_option("--command", serving->command, "The command's name")->type_name("NAME")->capture_default_str();
  serve->add_option("--threads", serving->threads, "Handlers that run at a time")->type_name("N")->capture_default_str()->check(CLI::Range(1, 1024).description(""));
  serve->footer(
      "Says `ready` when it serves, and ends with Ctrl-C. Any payload comes back as it is.\n\n"
      "Examples:\n"
      "  waggle bench serve\n"
      "  waggle bench serve --command bench.other --threads 4");

  flags->group("Operations");
  return {flags, [=, &with] {
            if (serve->parsed()) return bench_serve(with, *serving);
            return run(with, *given, events->parsed());
          }};
}

}  // namespace waggle::cli
