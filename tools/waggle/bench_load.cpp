#include "tools/waggle/bench_load.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <limits>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <waggle/wire/status.hpp>

#include "tools/bench/load.hpp"
#include "tools/waggle/bench_events.hpp"

namespace waggle::cli {
namespace {

using clock = std::chrono::steady_clock;
using instant = clock::time_point;
using namespace std::chrono_literals;

/// What is due within this is begun together: a wake-up for each of a hundred thousand a second would cost more than the calls.
constexpr auto resolution = 50us;
/// How soon a thread that waits for what is due notices that it is to stop.
constexpr auto notice = 50ms;

/// Failures by status, and the first of all.
struct failures {
  std::array<std::uint64_t, status_last + 1> measured{};
  std::optional<error> first;

  void note(const error& why, bool is_measured) {
    if (!first) first = why;
    if (is_measured) ++measured[std::min(static_cast<std::size_t>(why.code), measured.size() - 1)];
  }
};

/// One client and its load. Without a rate its thread alone drives it: whatever ends begins the next. With one, a thread that all callers share begins
/// what is due, and a mutex is between the two.
class caller {
 public:
  caller(const bench_settings& of, net::context& sockets, const bench_stop& stop, std::string mark)
      : of_{of}, options_{of.options}, stop_{stop}, mark_{std::move(mark)}, client_{std::make_unique<client>(connection(of, sockets))} {}

  [[nodiscard]] result<detail::welcome> reach() { return client_->broker(of_.budget); }

  void begin(const bench::load& share, instant at) {
    driver_.emplace(share, at);
    if (is_open()) return;
    // The first are begun on the client's own thread as all others: an answer of the broker's, whatever it is, takes us there.
    client_->start_bytes("waggle.ping", {}, of_.budget, [this](const result<std::string>&) { fill(clock::now()); });
  }
  /// With a rate: begins what is due, and says when the next is.
  instant begin_due(instant now) {
    instant next;
    {
      const std::lock_guard lock{mutex_};
      driver_->end_at(stop_.at());
      while (driver_->may_begin(now)) due_.push_back(driver_->begin_one(now));
      next = driver_->next_due();
    }
    for (const auto from : due_) start(from);
    due_.clear();
    return next;
  }
  [[nodiscard]] bool is_idle() {
    if (!is_open()) return idle_;
    const std::lock_guard lock{mutex_};
    return driver_->under_way() == 0;
  }
  /// What is under way still is none of the round's.
  void close() {
    closing_ = true;
    client_.reset();
    driver_->end_at(stop_.at());
  }

  // Once it is closed.
  [[nodiscard]] const bench::load_driver& driver() const { return *driver_; }
  [[nodiscard]] const failures& failed() const { return failed_; }
  [[nodiscard]] std::uint64_t emitted() const { return emitted_; }
  [[nodiscard]] std::uint64_t kept() const { return kept_; }

 private:
  static client_options connection(const bench_settings& of, net::context& sockets) {
    auto out = of.at;
    out.sockets = &sockets;
    out.calls_max = std::max(out.calls_max, of.in_flight + 16);
    return out;
  }
  [[nodiscard]] bool is_open() const { return of_.rate > 0; }

  void fill(instant now) {
    driver_->end_at(stop_.at());
    filling_ = true;
    // One that cannot even begin ends in here: so many in one go, or it would be for ever.
    for (auto left = of_.in_flight; left > 0 && driver_->may_begin(now); --left) start(driver_->begin_one(now));
    filling_ = false;
    if (driver_->under_way() == 0) idle_ = true;
  }
  void start(instant from) {
    if (!of_.of_events) {
      client_->start_view(of_.name, of_.payload, of_.budget, [this, from](const result<std::string_view>& got) { end(from, got, false); }, options_);
      return;
    }
    if (of_.subscribers > 0) options_.headers.insert_or_assign(std::string{bench_header}, marked(mark_, from));
    client_->start_emit(of_.name, value{of_.payload}, of_.budget, [this, from](const result<receipt>& got) { end(from, got, got && got->durable); }, options_);
  }
  template <class Got>
  void end(instant from, const Got& got, bool is_kept) {
    if (closing_.load(std::memory_order_relaxed)) return;
    std::unique_lock lock{mutex_, std::defer_lock};
    if (is_open()) lock.lock();
    const auto now = clock::now();
    driver_->end_at(stop_.at());
    const bool measured = driver_->ended(now, from, got.has_value());
    if (!got) failed_.note(got.error(), measured);
    if (got) ++emitted_;
    if (is_kept && measured) ++kept_;
    if (!is_open() && !filling_) fill(now);
  }

  const bench_settings& of_;
  call_options options_;
  const bench_stop& stop_;
  std::string mark_;
  std::vector<instant> due_;  ///< of the thread that begins what is due

  std::mutex mutex_;  ///< of what follows, with a rate
  std::optional<bench::load_driver> driver_;
  failures failed_;
  std::uint64_t emitted_ = 0;
  std::uint64_t kept_ = 0;
  bool filling_ = false;

  std::atomic<bool> idle_{false};
  std::atomic<bool> closing_{false};
  std::unique_ptr<client> client_;  ///< goes first, for its callbacks are of the above
};

void sleep_until(instant when) {
  const auto left = when - clock::now();
  if (left <= 0ns) return;
  const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
  const timespec pause{static_cast<time_t>(seconds.count()), static_cast<long>(std::chrono::nanoseconds{left - seconds}.count())};
  ::nanosleep(&pause, nullptr);
}

/// Calls `begin(now)` whenever something is due, which says when the next is; until `end`, or a stop.
template <class Begin>
void pace(instant end, const bench_stop& stop, Begin begin) {
  ::prctl(PR_SET_TIMERSLACK, 1UL);  // otherwise each wake-up comes 50 µs later than asked for
  for (;;) {
    const auto now = clock::now();
    const auto last = std::min(end, stop.at());
    // What is due just before the end belongs to it, even if we have slept past it.
    const auto next = begin(std::min(now, last - 1ns));
    if (now >= last) return;
    sleep_until(std::min({std::max(next, now + resolution), last, now + notice}));
  }
}

/// Waits until then; false if a signal came before.
bool wait_until(instant when, detail::stop_signals& signals) {
  for (;;) {
    const auto left = std::max<clock::duration>(when - clock::now(), 0ns);
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    const timespec patience{static_cast<time_t>(seconds.count()), static_cast<long>(std::chrono::nanoseconds{left - seconds}.count())};
    pollfd signal{signals.descriptor(), POLLIN, 0};
    const int found = ::ppoll(&signal, 1, &patience, nullptr);
    if (found > 0 && signals.take() != 0) return false;
    if (found == 0) return true;
  }
}

/// Waits for a condition; a signal ends the process, for it is the second, or comes when there is nothing to do but to wait.
template <class Holds>
void wait_for(Holds holds, instant give_up, detail::stop_signals& signals, bool& interrupted) {
  while (!holds() && clock::now() < give_up) {
    if (wait_until(clock::now() + 1ms, signals)) continue;
    if (interrupted) std::_Exit(130);
    interrupted = true;
    give_up = std::min(give_up, clock::now() + 1s);
  }
}

double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& of) { return static_cast<double>(of.tv_sec) + static_cast<double>(of.tv_usec) / 1e6; };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

/// The share of one of several callers.
bench::load share_of(const bench_settings& of, std::size_t which) {
  bench::load out;
  out.in_flight = std::max<std::size_t>(1, of.in_flight / of.callers + (which < of.in_flight % of.callers ? 1 : 0));
  out.payload_bytes = of.payload.size();
  out.rate = of.rate / static_cast<double>(of.callers);
  out.warm_up = of.warm_up;
  out.duration = of.duration;
  if (of.rate > 0) out.first_due = std::chrono::duration<double>{static_cast<double>(which) / of.rate};
  return out;
}

void add(bench_outcome& to, const bench::load_driver& from, const failures& failed, std::uint64_t kept) {
  auto& round = to.round;
  round.ok += from.good();
  round.failed += from.failed();
  round.due += from.due();
  round.not_begun += from.not_begun();
  round.not_ended += from.under_way();
  round.ok_in_time += from.good_in_time();
  round.failed_in_time += from.failed_in_time();
  round.took.add(from.took());
  round.late.add(from.late());
  round.measured_s = from.measured().count();
  round.kept += kept;
  for (std::size_t i = 0; i < failed.measured.size(); ++i) {
    if (failed.measured[i] > 0) round.failed_by_status[std::string{status_table[i].name}] += failed.measured[i];
  }
  if (!to.first_failure) to.first_failure = failed.first;
}

/// A thread that publishes without receipts.
class emitter {
 public:
  emitter(const bench_settings& of, publisher to, const bench_stop& stop, std::string mark)
      : of_{of}, to_{std::move(to)}, stop_{stop}, mark_{std::move(mark)} {}

  void begin(const bench::load& share, instant at) {
    driver_.emplace(share, at);
    thread_ = std::thread{[this] { run(); }};
  }
  void close() {
    thread_.join();
    driver_->end_at(stop_.at());
  }

  [[nodiscard]] const bench::load_driver& driver() const { return *driver_; }
  [[nodiscard]] const failures& failed() const { return failed_; }
  [[nodiscard]] std::uint64_t emitted() const { return emitted_; }

 private:
  void run() {
    if (of_.rate <= 0) {
      for (auto now = clock::now(); now < std::min(driver_->end(), stop_.at()); now = clock::now()) emit(now);
      return;
    }
    pace(driver_->end(), stop_, [this](instant now) {
      while (driver_->may_begin(now)) emit(now);
      return driver_->next_due();
    });
  }
  void emit(instant now) {
    const auto from = driver_->begin_one(now);
    if (of_.subscribers > 0) headers_.insert_or_assign(std::string{bench_header}, marked(mark_, from));
    const auto sent = to_.emit_bytes(of_.name, of_.payload, headers_);
    const bool measured = driver_->ended(clock::now(), from, sent.has_value());
    if (!sent) failed_.note(sent.error(), measured);
    if (sent) ++emitted_;
  }

  const bench_settings& of_;
  publisher to_;
  const bench_stop& stop_;
  std::string mark_;
  header_map headers_ = of_.options.headers;
  std::optional<bench::load_driver> driver_;
  failures failed_;
  std::uint64_t emitted_ = 0;
  std::thread thread_;
};

}  // namespace

result<bench_outcome> run_round(const bench_settings& given, detail::stop_signals& signals) {
  auto of = given;
  of.in_flight = std::max(of.in_flight, of.callers);
  bench_outcome out;
  out.round.of_events = of.of_events;
  out.round.name = of.name;
  out.round.callers = of.callers;
  out.round.in_flight = of.receipts ? of.in_flight : 0;
  out.round.payload_bytes = of.payload.size();
  out.round.rate = of.rate;
  out.round.warm_up_s = std::chrono::duration<double>{of.warm_up}.count();
  out.round.has_receipts = of.receipts;

  // Threads that move bytes for the sockets: as many as can run, and no more than callers.
  const auto contexts_max = std::max<std::size_t>(1, std::min<std::size_t>(of.callers, std::thread::hardware_concurrency()));
  std::vector<std::unique_ptr<net::context>> contexts;
  for (std::size_t i = 0; i < contexts_max; ++i) contexts.push_back(std::make_unique<net::context>());

  bench_stop stop;
  const auto mark = new_mark();
  std::vector<std::unique_ptr<caller>> callers;
  std::vector<std::unique_ptr<emitter>> emitters;
  for (std::size_t i = 0; i < of.callers; ++i) {
    if (of.receipts) {
      callers.push_back(std::make_unique<caller>(of, *contexts[i % contexts_max], stop, mark));
      continue;
    }
    event_options with;
    with.broker = of.at.broker, with.keys = of.at.keys, with.patience = of.budget, with.sockets = contexts[i % contexts_max].get();
    auto made = publisher::open(std::move(with));
    if (!made) return tl::unexpected{std::move(made.error())};
    emitters.push_back(std::make_unique<emitter>(of, std::move(*made), stop, mark));
  }
  for (auto& each : callers) {
    if (const auto reached = each->reach(); !reached) return tl::unexpected{reached.error()};
  }
  std::vector<std::unique_ptr<bench_subscriber>> subscribers;
  for (std::size_t i = 0; i < of.subscribers; ++i) {
    auto made = bench_subscriber::open(of, mark, stop);
    if (!made) return tl::unexpected{std::move(made.error())};
    subscribers.push_back(std::move(*made));
  }

  const auto begin = clock::now();
  const auto measured_from = begin + of.warm_up, end = measured_from + of.duration;
  for (auto& each : subscribers) each->begin(measured_from, end);
  for (std::size_t i = 0; i < callers.size(); ++i) callers[i]->begin(share_of(of, i), begin);
  for (std::size_t i = 0; i < emitters.size(); ++i) emitters[i]->begin(share_of(of, i), begin);
  std::thread pacer;
  if (of.rate > 0 && !callers.empty()) {
    pacer = std::thread{[&] {
      pace(end, stop, [&](instant now) {
        auto next = instant::max();
        for (auto& each : callers) next = std::min(next, each->begin_due(now));
        return next;
      });
    }};
  }

  out.interrupted = !wait_until(measured_from, signals);
  auto cpu = cpu_seconds();
  out.interrupted = out.interrupted || !wait_until(end, signals);
  if (out.interrupted) stop.now();
  cpu = cpu_seconds() - cpu;
  if (pacer.joinable()) pacer.join();
  const auto all_idle = [&] { return std::all_of(callers.begin(), callers.end(), [](auto& each) { return each->is_idle(); }); };
  wait_for(all_idle, clock::now() + (out.interrupted ? milliseconds{1000} : of.budget + 1s), signals, out.interrupted);

  std::uint64_t emitted = 0;
  for (auto& each : callers) {
    each->close();
    add(out, each->driver(), each->failed(), each->kept());
    emitted += each->emitted();
  }
  for (auto& each : emitters) {
    each->close();
    add(out, each->driver(), each->failed(), 0);
    emitted += each->emitted();
  }
  out.round.cpu_s = out.round.measured_s > 0 ? cpu : 0;
  if (subscribers.empty()) return out;

  auto& arrivals = out.round.arrivals;
  arrivals.subscribers = of.subscribers;
  arrivals.expected = emitted * of.subscribers;
  const auto received = [&] {
    std::uint64_t sum = 0;
    for (const auto& each : subscribers) sum += each->received();
    return sum;
  };
  // As long as some come: what a slow subscriber has missed is read from the broker's log.
  for (std::uint64_t before = ~std::uint64_t{0}; received() < arrivals.expected && received() != before && !out.interrupted;) {
    before = received();
    wait_for([&] { return received() >= arrivals.expected; }, clock::now() + 1s, signals, out.interrupted);
  }
  for (auto& each : subscribers) {
    each->close();
    arrivals.received += each->received();
    arrivals.in_time += each->in_time();
    arrivals.delay.add(each->delay());
  }
  return out;
}

}  // namespace waggle::cli
