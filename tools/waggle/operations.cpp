// What operators ask of the broker, and have it do.
#include "tools/waggle/operations_view.hpp"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "tools/waggle/listing.hpp"
#include "tools/waggle/network.hpp"
#include "tools/waggle/session.hpp"

namespace waggle::cli {
namespace {

/// What these commands of the broker take. All of it is optional for some.
struct inquiry {
  std::optional<std::string> prefix;
  std::optional<std::string> command;
  std::optional<std::string> worker;
  std::optional<std::uint64_t> limit;
};
WAGGLE_FIELDS(inquiry, prefix, command, worker, limit)

/// What a drain has come to.
struct drained {
  std::string worker;
  std::uint64_t drained = 0;    ///< workers of that name
  std::uint64_t in_flight = 0;  ///< calls that they have at hand still
  bool gone = false;            ///< they have left the broker
};
WAGGLE_FIELDS(drained, worker, drained, in_flight, gone)

struct started_drain {
  std::uint64_t drained = 0;
  std::uint64_t in_flight = 0;
};
WAGGLE_FIELDS(started_drain, drained, in_flight)

struct waiting_calls {
  std::uint64_t queued = 0;
};
WAGGLE_FIELDS(waiting_calls, queued)

/// The names of workers, with what each serves; of as many as the broker lists.
result<std::vector<std::pair<std::string, std::string>>> worker_names(client& network, milliseconds budget) {
  auto all = network.call<worker_list>("waggle.workers", inquiry{}, budget);
  if (!all) return tl::unexpected{std::move(all.error())};
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& each : all->workers) {
    out.emplace_back(each.instance, printable(each.service) + " " + printable(each.version));
  }
  return out;
}

/// A line for somebody who may have mistyped a command; empty if somebody serves it, or nobody can say.
std::string command_hint(const session& with, const std::string& name) {
  const auto all = with.network();
  if (!all) return "";
  const auto names = command_names(*all);
  if (std::any_of(names.begin(), names.end(), [&](const auto& each) { return each.first == name; })) return "";
  const auto other = closest(name, names);
  return "no service here has the command \"" + name + "\"" +
         (other.empty() ? "; `waggle ls` shows those there are" : "; did you mean " + other + "?");
}

struct listing {
  std::string about;  ///< a prefix, or a command
  std::uint64_t limit = 0;

  [[nodiscard]] inquiry by_prefix() const {
    inquiry out;
    if (!about.empty()) out.prefix = about;
    if (limit != 0) out.limit = limit;
    return out;
  }
  [[nodiscard]] inquiry by_command() const {
    inquiry out;
    if (!about.empty()) out.command = about;
    if (limit != 0) out.limit = limit;
    return out;
  }
};

void add_limit(CLI::App& flags, listing& given) {
  flags.add_option("--limit", given.limit, "Show at most so many")->type_name("N")->check(CLI::Range(1, 1'000'000).description(""));
}

int list_workers(const session& with, const listing& given) {
  return show<worker_list>(with, "waggle.workers", given.by_prefix(), [&](const worker_list& all) {
    if (all.workers.empty()) {
      with.note(given.about.empty() ? "no worker has joined the broker" : "no worker's name begins with \"" + given.about + "\"");
    }
    note_rest(with, all.workers.size(), all.total, "worker", "by service and name");
    return workers_text(all, with.out());
  });
}

int list_queues(const session& with, const listing& given) {
  return show<queue_list>(with, "waggle.queues", given.by_prefix(), [&](const queue_list& all) {
    if (all.queues.empty()) {
      with.note(given.about.empty() ? "the broker knows no commands" : "no command begins with \"" + given.about + "\"");
    }
    note_rest(with, all.queues.size(), all.total, "queue", "the longest");
    return queues_text(all, with.out());
  });
}

int list_calls(const session& with, const listing& given) {
  return show<call_list>(with, "waggle.calls", given.by_command(), [&](const call_list& all) {
    if (all.calls.empty()) {
      const auto hint = given.about.empty() ? "" : command_hint(with, given.about);
      with.note(!hint.empty() ? hint : given.about.empty() ? "no call is open" : "no call of \"" + given.about + "\" is open");
    }
    note_rest(with, all.calls.size(), all.total, "call", "the oldest");
    return calls_text(all, with.out());
  });
}

int show_statistics(const session& with, const listing& given) {
  return show<broker_statistics>(with, "waggle.stats", given.by_prefix(), [&](const broker_statistics& all) {
    if (all.commands.empty()) {
      with.note(given.about.empty() ? "no command has been called" : "no command that has been called begins with \"" + given.about + "\"");
    }
    note_rest(with, all.commands.size(), all.total, "command", "the most called");
    return statistics_text(all, with.out());
  });
}

int report(const session& with, const drained& what) {
  if (with.output_or(form::table) != form::table) {
    std::string bytes;
    append_payload(bytes, what);
    with.print_value(bytes, form::json);
    return 0;
  }
  const auto several = what.drained == 1 ? "" : fmt::format(" ({} workers)", what.drained);
  const auto now = what.gone             ? "has left"
                   : what.in_flight == 0 ? "drains, and has no call at hand"
                                         : "drains, with " + counted(what.in_flight, "call") + " at hand";
  with.print(printable(what.worker) + several + " " + now + "\n");
  return 0;
}

int drain(const session& with, const std::string& worker, bool waits) {
  const auto until = std::chrono::steady_clock::now() + with.budget();
  const auto left = [&] { return std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now()); };
  client network{with.caller()};
  inquiry wanted;
  wanted.worker = worker;
  const auto started = network.call<started_drain>("waggle.drain", wanted, with.budget());
  if (!started && started.error().code == status::not_found) {
    const auto names = worker_names(network, left());
    const auto other = names ? closest(worker, *names) : "";
    return with.fail(other.empty() ? started.error()
                                   : error{status::not_found, "no worker is named \"" + worker + "\"; did you mean " + other + "?"});
  }
  if (!started) return with.fail(started.error());
  drained out{worker, started->drained, started->in_flight, false};
  if (!waits) return report(with, out);

  wanted = {};
  wanted.prefix = worker;
  wanted.limit = 1'000'000;  // of those whose names begin so: ours must be among them
  for (auto pause = milliseconds{10};; pause = std::min(2 * pause, milliseconds{200})) {
    const auto all = network.call<worker_list>("waggle.workers", wanted, std::max(left(), milliseconds{1}));
    if (!all && all.error().code != status::deadline_exceeded) return with.fail(all.error());
    if (all) {
      const auto progress = progress_of(*all, worker);
      out.in_flight = progress.in_flight;
      out.gone = progress.draining == 0;
      if (out.in_flight == 0) return report(with, out);
    }
    if (left() <= milliseconds{0}) {
      return with.fail({status::deadline_exceeded, worker + " still has " + counted(out.in_flight, "call") +
                                                       " at hand; it goes on draining (a longer --budget waits longer)"});
    }
    std::this_thread::sleep_for(std::min(pause, left()));
  }
}

int set_paused(const session& with, const std::string& command, bool paused) {
  inquiry wanted;
  wanted.command = command;
  std::string payload;
  append_payload(payload, wanted);
  const auto bytes = client{with.caller()}.call_bytes(paused ? "waggle.pause" : "waggle.resume", std::move(payload), with.budget());
  if (!bytes && bytes.error().code == status::not_found) {
    const auto hint = command_hint(with, command);
    return with.fail(hint.empty() ? bytes.error() : error{status::not_found, hint});
  }
  if (!bytes) return with.fail(bytes.error());
  const auto waiting = read_payload<waiting_calls>(*bytes);
  if (with.output_or(form::table) != form::table || !waiting) return with.print_value(*bytes, form::json), 0;
  const auto calls = waiting->queued == 0 ? "" : fmt::format("; {} {}", counted(waiting->queued, "call"), waiting->queued == 1 ? "waits" : "wait");
  const auto waited = waiting->queued == 0 ? "" : "; " + counted(waiting->queued, "call") + " waited";
  with.print(printable(command) + (paused ? " is paused" + calls : " is resumed" + waited) + "\n");
  return 0;
}

using run_listing = int (*)(const session&, const listing&);

struct listing_about {
  const char* name;
  const char* does;
  const char* argument;
  const char* argument_does;
  const char* footer;
  run_listing run;
};

command make_listing(CLI::App& app, session& with, const listing_about& about) {
  const auto given = std::make_shared<listing>();
  auto* flags = app.add_subcommand(about.name, about.does);
  flags->add_option(about.argument, given->about, about.argument_does)->type_name("");
  add_limit(*flags, *given);
  flags->footer(about.footer);
  return {flags, [&with, given, run = about.run] { return run(with, *given); }};
}

command make_drain(CLI::App& app, session& with) {
  struct drain_flags {
    std::string worker;
    bool no_wait = false;
  };
  const auto given = std::make_shared<drain_flags>();
  auto* flags = app.add_subcommand("drain", "Ask a worker to leave, and wait for its last call");
  flags->add_option("WORKER", given->worker, "The worker's name, as `waggle workers` shows it")->type_name("")->required();
  flags->add_flag("--no-wait", given->no_wait, "Only ask");
  flags->footer(
      "From then on the worker gets no new calls. It is waited for until it has no call\n"
      "at hand or has left the broker, as long as --budget says; if that is too short\n"
      "the exit code is 14, and the worker goes on draining.\n\n"
      "Examples:\n"
      "  waggle drain hello-1 --budget 1m\n"
      "  waggle drain hello-1 --no-wait");
  return {flags, [&with, given] { return drain(with, given->worker, !given->no_wait); }};
}

command make_pause(CLI::App& app, session& with, bool paused) {
  const auto name = std::make_shared<std::string>();
  auto* flags = paused ? app.add_subcommand("pause", "Let the calls of a command wait")
                       : app.add_subcommand("resume", "Let the calls of a paused command run again");
  flags->add_option("COMMAND", *name, "The command's name, as `waggle ls` shows it")->type_name("")->required();
  flags->footer(paused ? "Calls wait in the command's queue, within their budgets and the queue's limits,\n"
                         "until it is resumed. What runs goes on. A broker that restarts has no pauses.\n\n"
                         "Examples:\n"
                         "  waggle pause order.place\n"
                         "  waggle queues order.          shows what waits"
                       : "Example:\n"
                         "  waggle resume order.place");
  return {flags, [&with, name, paused] { return set_paused(with, *name, paused); }};
}

command make_worker_names(CLI::App& app, session& with) {
  auto* flags = app.add_subcommand("__workers", "")->group("");
  return {flags, [&with] {
            client network{with.caller()};
            const auto names = worker_names(network, std::chrono::seconds{1});
            if (!names) return 0;
            for (const auto& [name, about] : *names) with.print(printable(name) + "\t" + about + "\n");
            return 0;
          }};
}

}  // namespace

std::vector<command> make_operations(CLI::App& app, session& with) {
  std::vector<command> out{
      make_listing(app, with,
                   {"workers", "List workers: how busy they are, when they were heard", "PREFIX", "Only workers whose names begin so",
                    "Examples:\n"
                    "  waggle workers\n"
                    "  waggle workers --json | jq -r '.workers[] | select(.draining).instance'",
                    &list_workers}),
      make_listing(app, with,
                   {"queues", "List commands and the calls that wait for them", "PREFIX", "Only commands whose names begin so",
                    "The longest queue comes first. KEYED are those of the waiting calls that have a\n"
                    "key, and GROUP is named where several commands share their keys.\n\n"
                    "Examples:\n"
                    "  waggle queues\n"
                    "  waggle queues order. --limit 10",
                    &list_queues}),
      make_listing(app, with,
                   {"calls", "List the calls that are open, the oldest first", "COMMAND", "Only calls of this command",
                    "A call is queued, running, or orphaned: its caller has gone or has had another\n"
                    "answer, but the worker is busy with it still. LEFT is what its budget has left,\n"
                    "and TRIES counts the workers that have had it, if there were several.\n\n"
                    "Examples:\n"
                    "  waggle calls\n"
                    "  waggle calls order.place --limit 1000\n"
                    "  waggle calls --json | jq '.calls[] | select(.age_ms > 10000)'",
                    &list_calls}),
      make_listing(app, with,
                   {"stats", "Show counters, and how long commands wait and run", "PREFIX", "Only commands whose names begin so",
                    "WAIT99 is how long 99 of 100 calls waited for a worker at most, and RUN50 how long\n"
                    "half of them ran at most; late calls weigh more. Counts are those since the\n"
                    "broker's start.\n\n"
                    "Examples:\n"
                    "  waggle stats\n"
                    "  waggle stats order.\n"
                    "  waggle stats --json | jq .counters",
                    &show_statistics}),
      make_drain(app, with), make_pause(app, with, true), make_pause(app, with, false)};
  for (const auto& each : out) each.flags->group("Operations");
  out.push_back(make_worker_names(app, with));
  return out;
}

}  // namespace waggle::cli
