#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "tools/bench/histogram.hpp"
#include "tools/waggle/text.hpp"

/// What `waggle bench` has measured, and the forms in which it tells it. No network.
namespace waggle::cli {

/// What subscribers have got of the events of a round.
struct bench_arrivals {
  std::size_t subscribers = 0;
  std::uint64_t expected = 0;  ///< emitted, for each subscriber, from the first to the last
  std::uint64_t received = 0;  ///< of those
  std::uint64_t in_time = 0;   ///< that came while it was measured
  bench::histogram delay;      ///< from when each was due (or begun, without a rate)
};

/// One round: what was put on the network, and what came of it.
struct bench_round {
  bool of_events = false;
  std::string name;  ///< the command or topic
  std::uint64_t round = 1;
  std::size_t callers = 1;
  std::size_t in_flight = 0;  ///< in all callers together; 0: without receipts nothing is in flight
  std::size_t payload_bytes = 0;
  double rate = 0;  ///< a second, in all; 0: as fast as answers come
  double warm_up_s = 0;
  double measured_s = 0;

  std::uint64_t ok = 0;
  std::uint64_t failed = 0;
  std::map<std::string, std::uint64_t> failed_by_status;
  std::uint64_t ok_in_time = 0;  ///< that ended before the end: with a rate what is under way then is waited for
  std::uint64_t failed_in_time = 0;
  std::uint64_t due = 0;        ///< with a rate: while it was measured
  std::uint64_t not_begun = 0;  ///< of those
  std::uint64_t not_ended = 0;  ///< given up, because the run was interrupted
  bench::histogram took;
  bench::histogram late;  ///< with a rate: how much later than due each was begun
  double cpu_s = 0;       ///< of this process while it was measured
  bool has_receipts = true;
  std::uint64_t kept = 0;  ///< events that a receipt says are on the broker's disk
  bench_arrivals arrivals;
};

/// A named quantity of a round; the unit is in its name.
struct bench_figure {
  std::string name;
  std::variant<std::string, std::uint64_t, double, std::map<std::string, std::uint64_t>> value;
};
/// Of calls always the same names in the same order, and so of events.
[[nodiscard]] std::vector<bench_figure> figures_of(const bench_round& from);

/// A map of the figures, as msgpack.
[[nodiscard]] std::string packed(const std::vector<bench_figure>& from);
/// Lines of comma-separated values (RFC 4180), which end in a line feed.
[[nodiscard]] std::string csv_header(const std::vector<bench_figure>& from);
[[nodiscard]] std::string csv_line(const std::vector<bench_figure>& from);

/// What is put on the network, in one line for people.
[[nodiscard]] std::string load_text(const bench_round& of);
/// A row for each round, and one for its subscribers.
[[nodiscard]] std::string rounds_text(const std::vector<bench_round>& rounds, const screen& on);
/// What the reader of such a table should know besides, one remark in each: of the rate that was not kept up with, of events that did not come.
[[nodiscard]] std::vector<std::string> remarks_on(const bench_round& round);

/// The distribution in the text format of HdrHistogram's own tools (`.hgrm`), in microseconds.
[[nodiscard]] std::string hgrm_text(const bench::histogram& from);

/// A payload of exactly so many bytes, as they are on the wire: one msgpack bin, or nil for one byte, or none.
[[nodiscard]] std::string payload_of(std::size_t bytes);

}  // namespace waggle::cli
