#include "tools/waggle/bench_figures.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include <waggle/wire/writer.hpp>

#include "tools/waggle/operations_view.hpp"
#include "tools/waggle/table.hpp"

namespace waggle::cli {
namespace {

double rounded(double value) { return std::round(value * 1000) / 1000; }
double us(double nanoseconds) { return rounded(nanoseconds / 1000); }

double in_a_second(std::uint64_t many, const bench_round& of) { return of.measured_s > 0 ? rounded(static_cast<double>(many) / of.measured_s) : 0; }
double cpu_per_million(const bench_round& of) {
  const auto ended = static_cast<double>(of.ok_in_time + of.failed_in_time);
  return ended > 0 ? rounded(of.cpu_s / ended * 1e6) : 0;
}

void add_times(std::vector<bench_figure>& to, const std::string& prefix, const bench::histogram& from) {
  to.push_back({prefix + "min_us", us(static_cast<double>(from.min()))});
  to.push_back({prefix + "mean_us", us(from.mean())});
  for (const auto& [name, percent] : {std::pair{"p50_us", 50.0}, {"p90_us", 90.0}, {"p99_us", 99.0}, {"p999_us", 99.9}}) {
    to.push_back({prefix + name, us(static_cast<double>(from.percentile(percent)))});
  }
  to.push_back({prefix + "max_us", us(static_cast<double>(from.max()))});
}

std::string csv_cell(const bench_figure& of) {
  struct as_text {
    std::string operator()(const std::string& text) const { return text; }
    std::string operator()(std::uint64_t number) const { return std::to_string(number); }
    std::string operator()(double number) const { return fmt::format("{}", number); }
    std::string operator()(const std::map<std::string, std::uint64_t>& counts) const {
      std::string out;
      for (const auto& [name, count] : counts) out += fmt::format("{}{}={}", out.empty() ? "" : " ", name, count);
      return out;
    }
  };
  auto out = std::visit(as_text{}, of.value);
  if (out.find_first_of(",\"\r\n") == out.npos) return out;
  std::string quoted = "\"";
  for (const char c : out) quoted.append(c == '"' ? 2 : 1, c);
  return quoted += '"';
}

template <class Cell>
std::string csv(const std::vector<bench_figure>& from, Cell cell) {
  std::string out;
  for (const auto& each : from) out.append(out.empty() ? "" : ",").append(cell(each));
  return out += '\n';
}

std::string seconds_text(double of) { return duration_text(static_cast<std::uint64_t>(std::llround(of * 1e6))); }
std::string time_text(double nanoseconds) { return duration_text(static_cast<std::uint64_t>(std::llround(nanoseconds / 1000))); }
std::string thousands(double number) {
  auto out = fmt::format("{:.0f}", number);
  for (auto at = static_cast<std::ptrdiff_t>(out.size()) - 3; at > 0; at -= 3) out.insert(static_cast<std::size_t>(at), 1, ',');
  return out;
}

void add_time_cells(std::vector<std::string>& to, const bench::histogram& from) {
  for (const double percent : {50.0, 90.0, 99.0, 99.9, 100.0}) {
    to.push_back(from.count() == 0 ? "" : time_text(static_cast<double>(from.percentile(percent))));
  }
  to.push_back(from.count() == 0 ? "" : time_text(from.mean()));
}

}  // namespace

std::vector<bench_figure> figures_of(const bench_round& from) {
  std::vector<bench_figure> out{{"what", std::string{from.of_events ? "events" : "calls"}},
                                {from.of_events ? "topic" : "command", from.name},
                                {"round", from.round},
                                {"callers", std::uint64_t{from.callers}},
                                {"in_flight", std::uint64_t{from.in_flight}},
                                {"payload_bytes", std::uint64_t{from.payload_bytes}},
                                {"rate_per_s", from.rate},
                                {"warm_up_s", rounded(from.warm_up_s)},
                                {"measured_s", rounded(from.measured_s)},
                                {"ok", from.ok},
                                {"failed", from.failed},
                                {"failed_by_status", from.failed_by_status},
                                {from.of_events ? "events_per_s" : "calls_per_s", in_a_second(from.ok_in_time, from)}};
  add_times(out, "", from.took);
  out.push_back({"due", from.due});
  out.push_back({"not_begun", from.not_begun});
  out.push_back({"not_ended", from.not_ended});
  out.push_back({"begun_late_p50_us", us(static_cast<double>(from.late.percentile(50)))});
  out.push_back({"begun_late_p99_us", us(static_cast<double>(from.late.percentile(99)))});
  out.push_back({"cpu_s", rounded(from.cpu_s)});
  out.push_back({"cpu_s_per_million", cpu_per_million(from)});
  if (!from.of_events) return out;
  const auto& arrivals = from.arrivals;
  out.push_back({"receipts", std::uint64_t{from.has_receipts ? 1u : 0u}});
  out.push_back({"kept", from.kept});
  out.push_back({"subscribers", std::uint64_t{arrivals.subscribers}});
  out.push_back({"expected", arrivals.expected});
  out.push_back({"received", arrivals.received});
  out.push_back({"received_per_s", in_a_second(arrivals.in_time, from)});
  add_times(out, "delay_", arrivals.delay);
  return out;
}

std::string packed(const std::vector<bench_figure>& from) {
  struct append {
    wire::writer& to;
    void operator()(const std::string& text) const { to.string(text); }
    void operator()(std::uint64_t number) const { to.unsigned_integer(number); }
    void operator()(double number) const { to.floating(number); }
    void operator()(const std::map<std::string, std::uint64_t>& counts) const {
      to.map(counts.size());
      for (const auto& [name, count] : counts) {
        to.string(name);
        to.unsigned_integer(count);
      }
    }
  };
  std::string out;
  wire::writer to{out};
  to.map(from.size());
  for (const auto& each : from) {
    to.string(each.name);
    std::visit(append{to}, each.value);
  }
  return out;
}

std::string csv_header(const std::vector<bench_figure>& from) {
  return csv(from, [](const bench_figure& of) { return of.name; });
}

std::string csv_line(const std::vector<bench_figure>& from) { return csv(from, csv_cell); }

std::string load_text(const bench_round& of) {
  const auto in_flight = of.in_flight == 0 ? std::string{"without receipts"} : fmt::format("{} in flight", of.in_flight);
  const auto pace = of.rate > 0 ? fmt::format("{} a second", of.rate) : std::string{"as fast as it goes"};
  const auto warm_up = of.warm_up_s > 0 ? "after a warm-up of " + seconds_text(of.warm_up_s) : std::string{"without a warm-up"};
  return fmt::format("{}: {}, {}, payloads of {}, {}; {} {}\n", printable(of.name),
                     counted(of.callers, of.of_events ? "emitter" : "caller"), in_flight, counted(of.payload_bytes, "byte"), pace,
                     seconds_text(of.measured_s), warm_up);
}

std::string rounds_text(const std::vector<bench_round>& rounds, const screen& on) {
  const bool of_events = !rounds.empty() && rounds.front().of_events;
  const bool several = rounds.size() > 1;
  std::vector<std::string> headings{"OK", "FAILED", "NOT BEGUN", "NOT ENDED", of_events ? "EVENTS/S" : "CALLS/S"};
  std::vector<std::string> arrived{"RECEIVED", "MISSING", "RECEIVED/S"};
  for (auto* each : {&headings, &arrived}) {
    for (const char* time : {"P50", "P90", "P99", "P99.9", "MAX", "MEAN"}) each->push_back(time);
    if (several) each->insert(each->begin(), "ROUND");
  }
  headings.push_back("CPU S/M");
  table sent{headings}, got{arrived};
  for (const auto& each : rounds) {
    std::vector<std::string> row{std::to_string(each.ok), unless_zero(each.failed), unless_zero(each.not_begun), unless_zero(each.not_ended),
                                 thousands(in_a_second(each.ok_in_time, each))};
    if (several) row.insert(row.begin(), std::to_string(each.round));
    add_time_cells(row, each.took);
    row.push_back(fmt::format("{:.2f}", cpu_per_million(each)));
    sent.row(std::move(row));
    const auto& arrivals = each.arrivals;
    if (arrivals.subscribers == 0) continue;
    row = {std::to_string(arrivals.received), unless_zero(arrivals.expected - std::min(arrivals.expected, arrivals.received)),
           thousands(in_a_second(arrivals.in_time, each))};
    if (several) row.insert(row.begin(), std::to_string(each.round));
    add_time_cells(row, arrivals.delay);
    got.row(std::move(row));
  }
  auto out = sent.lines(on);
  if (!got.empty()) out += fmt::format("\n{}, from each event's beginning to its arrival:\n", counted(rounds.front().arrivals.subscribers, "subscriber")) + got.lines(on);
  return out;
}

std::vector<std::string> remarks_on(const bench_round& round) {
  std::vector<std::string> out;
  std::string failures;
  for (const auto& [name, count] : round.failed_by_status) failures += fmt::format("{}{} {}", failures.empty() ? "" : ", ", count, name);
  if (!failures.empty()) out.push_back("failed: " + failures);
  if (round.not_begun > 0) {
    out.push_back(fmt::format("{} of {} that were due were not begun: the rate is not kept up with, and times are those of the rest", round.not_begun, round.due));
  }
  if (round.ok + round.failed == 0) {
    out.push_back(round.measured_s > 0 ? "nothing ended while it was measured; a longer --duration may help" : "nothing was measured: the run was over in its warm-up");
  }
  if (round.of_events && round.has_receipts && round.ok > 0 && round.kept == 0) {
    out.push_back("none of these events is on the broker's disk: the topic is ephemeral, or the broker has no disk");
  }
  return out;
}

std::string hgrm_text(const bench::histogram& from) {
  auto out = fmt::format("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
  const auto line = [&](double value, double below, std::uint64_t count) {
    out += fmt::format("{:12.3f} {:2.12f} {:10d}", value / 1000, below, count);
    out += below < 1 ? fmt::format(" {:14.2f}\n", 1 / (1 - below)) : "\n";
  };
  // As its authors print it: five steps for each halving of what is left to 100 %, until one step is all that is left.
  constexpr double steps_per_halving = 5;
  double next = 0;
  std::uint64_t seen = 0;
  from.each([&](std::uint64_t value, std::uint64_t times) {
    seen += times;
    const auto below = static_cast<double>(seen) / static_cast<double>(from.count());
    while (next <= below && next < 1) {
      line(static_cast<double>(value), next, seen);
      if (seen == from.count()) break;
      const auto halvings = std::floor(std::log2(1 / (1 - next))) + 1;
      next += 1 / (steps_per_halving * std::exp2(halvings));
    }
  });
  if (from.count() > 0) line(static_cast<double>(from.max()), 1, from.count());
  out += fmt::format("#[Mean    = {:12.3f}, StdDeviation   = {:12.3f}]\n", from.mean() / 1000, from.standard_deviation() / 1000);
  out += fmt::format("#[Max     = {:12.3f}, Total count    = {:12d}]\n", static_cast<double>(from.max()) / 1000, from.count());
  return out + "#[Buckets =           35, SubBuckets     =          256]\n";
}

std::string payload_of(std::size_t bytes) {
  if (bytes == 0) return {};
  if (bytes == 1) return "\xc0";
  // The length is written as long as it takes to come to exactly so many bytes.
  const std::size_t length_bytes = bytes - 2 <= 0xff ? 1 : bytes - 3 <= 0xffff ? 2 : 4;
  const auto content = bytes - 1 - length_bytes;
  std::string out(1, length_bytes == 1 ? '\xc4' : length_bytes == 2 ? '\xc5' : '\xc6');
  for (auto i = length_bytes; i-- > 0;) out += static_cast<char>((content >> (8 * i)) & 0xff);
  return out.append(content, 'x');
}

}  // namespace waggle::cli
