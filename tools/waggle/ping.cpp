#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <string>
#include <thread>

#include <waggle/detail/duration.hpp>

#include "tools/waggle/session.hpp"

namespace waggle::cli {
namespace {

struct ping_flags {
  std::uint64_t count = 5;
  std::string interval = "100ms";
};

struct summary {
  std::string endpoint;
  std::string broker;
  std::string version;
  std::uint64_t count = 0;
  double min_ms = 0;
  double avg_ms = 0;
  double max_ms = 0;
};
WAGGLE_FIELDS(summary, endpoint, broker, version, count, min_ms, avg_ms, max_ms)

int ping(const session& with, const ping_flags& flags) {
  using fractional = std::chrono::duration<double, std::milli>;
  client network{with.caller()};
  const auto broker = network.broker(with.budget());
  if (!broker) return with.fail(broker.error());
  summary out{with.broker, broker->broker, broker->version};
  double sum_ms = 0;
  const bool is_table = with.output_or(form::table) == form::table;
  if (is_table) with.print(fmt::format("{} {} at {}\n", printable(out.broker), printable(out.version), out.endpoint));
  for (; out.count < flags.count; ++out.count) {
    if (out.count != 0) std::this_thread::sleep_for(*detail::parse_duration(flags.interval));
    const auto from = std::chrono::steady_clock::now();
    const auto reply = network.call<std::uint64_t>("waggle.ping", out.count, with.budget());
    const double took_ms = fractional{std::chrono::steady_clock::now() - from}.count();
    if (!reply) return with.fail(reply.error());
    out.min_ms = out.count == 0 ? took_ms : std::min(out.min_ms, took_ms);
    out.max_ms = std::max(out.max_ms, took_ms);
    sum_ms += took_ms;
    if (is_table) with.print(fmt::format("{:>3}  {:.3f} ms\n", out.count + 1, took_ms));
  }
  out.avg_ms = sum_ms / static_cast<double>(out.count);
  for (auto* each : {&out.min_ms, &out.avg_ms, &out.max_ms}) *each = std::round(*each * 1000) / 1000;
  if (is_table) {
    with.print(fmt::format("min {:.3f} ms, avg {:.3f} ms, max {:.3f} ms\n", out.min_ms, out.avg_ms, out.max_ms));
  } else {
    std::string bytes;
    append_payload(bytes, out);
    with.print_value(bytes, form::json);
  }
  return 0;
}

}  // namespace

command make_ping(CLI::App& app, session& with) {
  const auto given = std::make_shared<ping_flags>();
  auto* flags = app.add_subcommand("ping", "Measure round trips to the broker");
  flags->add_option("--count", given->count, "How many")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000).description(""));
  flags->add_option("--interval", given->interval, "The pause between two")
      ->type_name("TIME")
      ->capture_default_str()
      ->check(detail::duration_problem);
  flags->footer(
      "Examples:\n"
      "  waggle ping\n"
      "  waggle ping --count 1000 --interval 0ms --json");
  return {flags, [&with, given] { return ping(with, *given); }};
}

}  // namespace waggle::cli
