#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <sstream>
#include <string>

#include <waggle/wire/json.hpp>
#include <waggle/wire/reader.hpp>

#include "support/catch.hpp"
#include "tools/waggle/bench_figures.hpp"

using namespace waggle::cli;

namespace {

bench_round some_round() {
  bench_round out;
  out.name = "bench.echo";
  out.callers = 2;
  out.in_flight = 64;
  out.payload_bytes = 64;
  out.measured_s = 2;
  out.ok = 1000;
  out.ok_in_time = 1000;
  out.failed = 24;
  out.failed_in_time = 24;
  out.failed_by_status = {{"UNAVAILABLE", 20}, {"DEADLINE_EXCEEDED", 4}};
  out.cpu_s = 0.001024;
  for (std::uint64_t i = 1; i <= 1000; ++i) out.took.record(i * 1000);
  return out;
}

std::string cell(const std::string& header, const std::string& line, const std::string& name) {
  std::istringstream names{header}, cells{line};
  std::string each_name, each_cell;
  while (std::getline(names, each_name, ',') && std::getline(cells, each_cell, ',')) {
    if (each_name == name) return each_cell;
  }
  return "no column " + name;
}

}  // namespace

TEST_CASE("bench: JSON and CSV have the same figures under the same names", "[cli]") {
  auto round = some_round();
  for (const bool of_events : {false, true}) {
    round.of_events = of_events;
    const auto figures = figures_of(round);
    const auto json = nlohmann::json::parse(waggle::wire::msgpack_to_json(packed(figures)));
    const auto header = csv_header(figures), line = csv_line(figures);
    CHECK(std::count(header.begin(), header.end(), ',') == std::count(line.begin(), line.end(), ','));
    CHECK(std::count(header.begin(), header.end(), ',') + 1 == static_cast<std::ptrdiff_t>(json.size()));
    CHECK(json.at(of_events ? "events_per_s" : "calls_per_s") == 500.0);
    CHECK(json.at("failed_by_status") == nlohmann::json{{"UNAVAILABLE", 20}, {"DEADLINE_EXCEEDED", 4}});
    CHECK(json.at("cpu_s_per_million") == 1.0);
    CHECK(std::abs(json.at("p50_us").get<double>() - 500) <= 2);
    CHECK(json.at("max_us") == 1000.0);
    CHECK(cell(header, line, "ok") == "1000");
    CHECK(cell(header, line, "failed_by_status") == "DEADLINE_EXCEEDED=4 UNAVAILABLE=20");
    CHECK(cell(header, line, "max_us") == "1000");
    CHECK(cell(header, line, of_events ? "topic" : "command") == "bench.echo");
  }
}

TEST_CASE("bench: a name with a comma or a quote stays one CSV cell", "[cli]") {
  auto round = some_round();
  round.name = "a,\"b\"";
  CHECK(csv_line(figures_of(round)).starts_with("calls,\"a,\"\"b\"\"\",1,"));
}

TEST_CASE("bench: a round in which nothing happened has figures, and none of them is infinite", "[cli]") {
  const auto line = csv_line(figures_of(bench_round{}));
  CHECK(line.find("nan") == line.npos);
  CHECK(line.find("inf") == line.npos);
}

TEST_CASE("bench: a table has no column for what did not happen, and a row for each round", "[cli]") {
  auto round = some_round();
  const auto failing = rounds_text({round}, {});
  CHECK(failing.find("FAILED") != failing.npos);
  CHECK(failing.find("NOT BEGUN") == failing.npos);
  round.failed = 0;
  const auto several = rounds_text({round, round, round}, {});
  CHECK(several.find("FAILED") == several.npos);
  CHECK(several.starts_with("ROUND"));
  CHECK(std::count(several.begin(), several.end(), '\n') == 4);
}

TEST_CASE("bench: events that did not arrive are told", "[cli]") {
  bench_round round;
  round.of_events = true;
  round.measured_s = 1;
  round.arrivals.subscribers = 2;
  round.arrivals.expected = 20;
  round.arrivals.received = 17;
  const auto text = rounds_text({round}, {});
  CHECK(text.find("MISSING") != text.npos);
  CHECK(text.find("17") != text.npos);
  CHECK(text.find("2 subscribers") != text.npos);
}

TEST_CASE("bench: the distribution is what HdrHistogram's tools read: percentiles that rise to the last value", "[cli]") {
  std::istringstream text{hgrm_text(some_round().took)};
  std::string line;
  std::getline(text, line);
  CHECK(line.find("1/(1-Percentile)") != line.npos);
  std::getline(text, line);
  CHECK(line.empty());
  double value = 0, percentile = -1;
  std::uint64_t count = 0;
  std::size_t lines = 0;
  while (std::getline(text, line) && !line.starts_with('#')) {
    std::istringstream cells{line};
    double next_value = 0, next_percentile = 0;
    std::uint64_t next_count = 0;
    REQUIRE(cells >> next_value >> next_percentile >> next_count);
    CHECK(next_value >= value);
    CHECK(next_percentile > percentile);
    CHECK(next_count >= count);
    value = next_value, percentile = next_percentile, count = next_count;
    ++lines;
  }
  CHECK(value == 1000.0);
  CHECK(percentile == 1.0);
  CHECK(count == 1000);
  CHECK(lines > 30);
  CHECK(line.starts_with("#[Mean    =      500.5"));
}

TEST_CASE("bench: a payload has exactly as many bytes as were asked for, and is one msgpack value", "[cli]") {
  CHECK(payload_of(0).empty());
  for (const std::size_t bytes : {1u, 2u, 64u, 256u, 257u, 258u, 259u, 16'384u, 65'537u, 65'538u, 65'539u, 65'540u, 4u << 20}) {
    const auto made = payload_of(bytes);
    CAPTURE(bytes);
    CHECK(made.size() == bytes);
    waggle::wire::reader in{made};
    CHECK(in.skip());
    CHECK(in.at_end());
  }
}
