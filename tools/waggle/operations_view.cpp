#include "tools/waggle/operations_view.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "tools/waggle/table.hpp"

namespace waggle::cli {
namespace {

/// With one decimal below ten, as in 1.2 or 9.9, and without from then on.
std::string two_digits(double value) { return value < 9.95 ? fmt::format("{:.1f}", value) : fmt::format("{:.0f}", value); }

std::string errors_text(const std::map<std::string, std::uint64_t>& errors) {
  std::vector<std::pair<std::uint64_t, std::string>> most;
  for (const auto& [status, count] : errors) most.emplace_back(count, status);
  std::stable_sort(most.begin(), most.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string out;
  for (const auto& [count, status] : most) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", count, printable(status));
  return out;
}

}  // namespace

std::string milliseconds_text(std::uint64_t milliseconds) {
  return duration_text(milliseconds > ~std::uint64_t{0} / 1000 ? ~std::uint64_t{0} : milliseconds * 1000);
}

std::string unless_zero(std::uint64_t count) { return count == 0 ? "" : std::to_string(count); }

std::string duration_text(std::uint64_t microseconds) {
  const auto us = static_cast<double>(microseconds);
  if (microseconds < 1000) return fmt::format("{} µs", microseconds);
  if (us < 999.5e3) return two_digits(us / 1e3) + " ms";
  if (us < 59.5e6) return two_digits(us / 1e6) + " s";
  struct unit {
    std::string_view name;
    std::uint64_t seconds;
  };
  constexpr std::array<unit, 4> units{{{"d", 86'400}, {"h", 3600}, {"min", 60}, {"s", 1}}};
  auto seconds = (microseconds / 100'000 + 5) / 10;
  for (std::size_t i = 0; i + 1 < units.size(); ++i) {
    if (seconds < units[i].seconds) continue;
    const auto rest = seconds % units[i].seconds / units[i + 1].seconds;
    const auto out = fmt::format("{} {}", seconds / units[i].seconds, units[i].name);
    return rest == 0 ? out : out + fmt::format(" {} {}", rest, units[i + 1].name);
  }
  return fmt::format("{} s", seconds);
}

std::string bytes_text(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  constexpr std::array<std::string_view, 4> units{"KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1023.5 && unit + 1 < units.size(); ++unit) value /= 1024;
  return fmt::format("{} {}", two_digits(value), units[unit]);
}

std::string busy_text(std::uint64_t in_flight, std::uint64_t slots, std::optional<std::uint64_t> quick_in_flight,
                      std::optional<std::uint64_t> quick_slots) {
  return fmt::format("{}/{}", in_flight, slots) + (quick_slots ? fmt::format(" + {}/{} quick", quick_in_flight.value_or(0), *quick_slots) : "");
}

std::string counted(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string workers_text(const worker_list& all, const screen& on) {
  if (all.workers.empty()) return "";
  table rows{{"INSTANCE", "SERVICE", "BUSY", "KEYS", "HEARD", "STATE"}};
  for (const auto& each : all.workers) {
    rows.row({printable(each.instance), printable(each.service) + " " + printable(each.version),
              busy_text(each.in_flight, each.slots, each.quick_in_flight, each.quick_slots), unless_zero(each.keys),
              milliseconds_text(each.heard_ms) + " ago", each.draining ? "draining" : "serving"});
  }
  return rows.lines(on);
}

std::string queues_text(const queue_list& all, const screen& on) {
  if (all.queues.empty()) return "";
  table rows{{"COMMAND", "QUEUED", "KEYED", "BYTES", "OLDEST", "RUNNING", "WORKERS", "STATE", "GROUP"}};
  for (const auto& each : all.queues) {
    rows.row({printable(each.command), std::to_string(each.queued), unless_zero(each.keyed),
              each.bytes == 0 ? "" : bytes_text(each.bytes), each.queued == 0 ? "" : milliseconds_text(each.oldest_ms),
              std::to_string(each.running), std::to_string(each.workers),
              each.paused ? "paused" : each.workers == 0 ? "no workers" : "",
              each.group == each.command ? "" : printable(each.group)});
  }
  return rows.lines(on);
}

std::string calls_text(const call_list& all, const screen& on) {
  if (all.calls.empty()) return "";
  table rows{{"COMMAND", "STATE", "AGE", "LEFT", "TRIES", "CALLER", "WORKER", "KEY"}};
  for (const auto& each : all.calls) {
    const bool is_over = each.state == "orphaned";  // nobody waits for it, and it has no budget
    rows.row({printable(each.command), printable(each.state), milliseconds_text(each.age_ms),
              is_over ? "" : milliseconds_text(each.budget_left_ms), each.attempts < 2 ? "" : std::to_string(each.attempts), printable(each.caller), printable(each.worker.value_or("")),
              printable(each.key.value_or(""))});
  }
  return rows.lines(on);
}

std::string statistics_text(const broker_statistics& all, const screen& on) {
  // What there is now stands before what has been counted. Lines end between two entries.
  auto out = "up " + milliseconds_text(all.uptime_ms);
  auto at = columns(out);
  const auto add = [&](const std::string& name, std::uint64_t count) {
    auto entry = printable(name);
    std::replace(entry.begin(), entry.end(), '_', ' ');
    entry += " " + (name.ends_with("_bytes") ? bytes_text(count) : std::to_string(count));
    const bool fits = on.width == 0 || at + 2 + columns(entry) < on.width;
    out += (fits ? ", " : ",\n  ") + entry;
    at = (fits ? at : 0) + 2 + columns(entry);
  };
  constexpr std::array<std::string_view, 5> now{"workers", "peers", "open_calls", "open_keys", "kept_bytes"};
  for (const auto name : now) {
    if (const auto found = all.counters.find(std::string{name}); found != all.counters.end()) add(found->first, found->second);
  }
  for (const auto& [name, count] : all.counters) {
    if (count != 0 && std::find(now.begin(), now.end(), name) == now.end()) add(name, count);
  }
  out += '\n';
  if (all.commands.empty()) return out;
  table rows{{"COMMAND", "CALLS", "RETRIES", "WAIT50", "WAIT99", "RUN50", "RUN99", "RUN99.9", "ERRORS"}};
  for (const auto& each : all.commands) {
    const auto time = [&](std::uint64_t microseconds) { return each.calls == 0 ? "" : duration_text(microseconds); };
    rows.row({printable(each.command), std::to_string(each.calls), unless_zero(each.retries), time(each.queue_us.p50),
              time(each.queue_us.p99), time(each.run_us.p50), time(each.run_us.p99), time(each.run_us.p999),
              errors_text(each.errors)});
  }
  return out + "\n" + rows.lines(on);
}

drain_progress progress_of(const worker_list& all, std::string_view instance) {
  drain_progress out;
  for (const auto& each : all.workers) {
    if (each.instance != instance || !each.draining) continue;
    ++out.draining;
    out.in_flight += each.in_flight + each.quick_in_flight.value_or(0);
  }
  return out;
}

}  // namespace waggle::cli
