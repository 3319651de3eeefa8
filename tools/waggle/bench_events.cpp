#include "tools/waggle/bench_events.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <random>

namespace waggle::cli {

std::string new_mark() {
  std::random_device entropy;
  return fmt::format("{:08x}{:08x}:", entropy(), entropy());
}

std::string marked(std::string_view mark, bench_stop::instant from) { return fmt::format("{}{}", mark, from.time_since_epoch().count()); }

result<std::unique_ptr<bench_subscriber>> bench_subscriber::open(const bench_settings& of, const std::string& mark, const bench_stop& stop) {
  event_options with;
  with.broker = of.at.broker;
  with.keys = of.at.keys;
  with.patience = of.budget;
  auto made = subscriber::open({of.name}, std::move(with));
  if (!made) return tl::unexpected{std::move(made.error())};
  return std::unique_ptr<bench_subscriber>{new bench_subscriber{std::move(*made), of.rate > 0, mark, stop}};
}

void bench_subscriber::begin(instant measured_from, instant end) {
  measured_from_ = measured_from;
  end_ = end;
  thread_ = std::thread{[this] {
    while (!closing_ && !from_.error()) {
      if (const auto got = from_.next(milliseconds{50})) take(*got);
    }
  }};
}

void bench_subscriber::close() {
  closing_ = true;
  if (thread_.joinable()) thread_.join();
}

void bench_subscriber::take(const event& got) {
  const auto now = instant::clock::now();
  const auto header = got.headers.find(bench_header);
  if (header == got.headers.end() || !header->second.starts_with(mark_)) return;  // of somebody else
  instant::rep ticks = 0;
  const auto& text = header->second;
  if (std::from_chars(text.data() + mark_.size(), text.data() + text.size(), ticks).ec != std::errc{}) return;
  const instant from{instant::duration{ticks}};
  const bool in_time = now < std::min(end_, stop_.at());
  if (now >= measured_from_ && (in_time || has_rate_)) {
    if (in_time) ++in_time_;
    delay_.record(static_cast<std::uint64_t>(std::max<std::int64_t>(0, std::chrono::nanoseconds{now - from}.count())));
  }
  received_.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace waggle::cli
