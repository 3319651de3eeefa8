#include "tools/bench/events_load.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

namespace bench {
namespace {

using steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds warm_up{500};
constexpr milliseconds patience{10'000};     // for the last events to come
constexpr milliseconds silence{500};         // after which what has not come is lost
constexpr std::size_t handled_at_a_time = 256;
constexpr std::size_t many = 100;  // emits at a time

double seconds_in(steady::duration of) { return std::chrono::duration<double>(of).count(); }

/// CPU seconds of this process and of another so far.
double cpu_seconds(int pid) {
  rusage own{};
  ::getrusage(RUSAGE_SELF, &own);
  const auto in = [](const timeval& of) { return static_cast<double>(of.tv_sec) + static_cast<double>(of.tv_usec) / 1e6; };
  double out = in(own.ru_utime) + in(own.ru_stime);
  std::ifstream file{fmt::format("/proc/{}/stat", pid)};
  std::string line;
  std::getline(file, line);
  const auto name_end = line.rfind(')');
  if (name_end == std::string::npos) throw std::runtime_error{fmt::format("there is no process {}", pid)};
  std::istringstream fields{line.substr(name_end + 1)};
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;  // proc(5): from the state on; utime and stime are the 14th and 15th of all
  double user = 0, system = 0;
  fields >> user >> system;
  return out + (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

/// What has been counted between two instants, and what it cost.
class counted_time {
 public:
  counted_time(int pid, std::uint64_t count) : pid_{pid}, count_{count}, cpu_{cpu_seconds(pid)}, begin_{steady::now()} {}
  void end(std::uint64_t count) {
    seconds_ = seconds_in(steady::now() - begin_);
    cpu_ = cpu_seconds(pid_) - cpu_;
    count_ = count - count_;
  }
  [[nodiscard]] double rate() const { return static_cast<double>(count_) / seconds_; }
  [[nodiscard]] double cpu_of_100_000() const { return count_ == 0 ? 0 : cpu_ / static_cast<double>(count_) * 1e5; }

 private:
  int pid_;
  std::uint64_t count_;
  double cpu_;
  steady::time_point begin_;
  double seconds_ = 0;
};

/// Waits until `is_done`, or until `progress` has stood still for `still`.
template <class Done, class Progress>
void wait_for(milliseconds still, Done is_done, Progress progress) {
  auto seen = progress();
  auto since = steady::now();
  while (!is_done()) {
    std::this_thread::sleep_for(milliseconds{5});
    if (const auto now = progress(); now != seen) {
      seen = now;
      since = steady::now();
    } else if (steady::now() - since > still) {
      return;
    }
  }
}

std::string percentiles(std::vector<std::int64_t> nanoseconds) {
  if (nanoseconds.empty()) return "p50=0 p99=0 max=0";
  std::sort(nanoseconds.begin(), nanoseconds.end());
  const auto at = [&](double share) {
    return static_cast<double>(nanoseconds[static_cast<std::size_t>(share * static_cast<double>(nanoseconds.size() - 1))]) / 1e3;
  };
  return fmt::format("p50={:.0f} p99={:.0f} max={:.0f}", at(0.5), at(0.99), at(1));
}

/// One client with so many emits under way, each begun from the receipt of the one before: as many emitters, without what threads of theirs
/// would cost.
void measure_emits(network& on, std::size_t overhead, int pid, std::size_t emitters, double seconds) {
  if (emitters >= many) on.expect_many();
  std::atomic<std::uint64_t> receipts{0}, refused{0}, emitted{0};
  std::atomic<std::size_t> open{emitters};
  std::atomic<bool> over{false};
  const std::string payload{text{overhead}.with(0)};
  const auto emit = [&] {
    ++emitted;
    on.emit(payload);
  };
  on.on_receipt = [&](bool good) {
    ++(good ? receipts : refused);
    if (good && !over) return emit();
    --open;
  };
  for (std::size_t i = 0; i < emitters; ++i) emit();
  std::this_thread::sleep_for(warm_up);
  counted_time counted{pid, receipts};
  std::this_thread::sleep_for(std::chrono::duration<double>{seconds});
  counted.end(receipts);
  over = true;
  wait_for(patience, [&] { return open == 0; }, [&] { return open.load(); });
  fmt::print("rate={:.1f} cpu={:.4f} emitted={} lost={}\n", counted.rate(), counted.cpu_of_100_000(), emitted.load(), emitted - receipts);
  on.on_receipt = [](bool) {};
}

void measure_broadcasts(network& on, std::size_t overhead, int pid, std::size_t subscribers, std::uint64_t ahead, double seconds) {
  struct alignas(64) subscriber {
    std::atomic<std::uint64_t> received{0};
    std::atomic<std::uint64_t> next{0};  ///< after the newest that has come
  };
  std::vector<subscriber> all(subscribers);
  std::vector<std::shared_ptr<void>> subscriptions;
  for (auto& each : all) {
    subscriptions.push_back(on.subscribe([&each](std::string_view got) {
      each.received.fetch_add(1, std::memory_order_relaxed);
      each.next.store(number_in(got) + 1, std::memory_order_relaxed);
    }));
  }
  const auto received = [&] {
    std::uint64_t out = 0;
    for (const auto& each : all) out += each.received.load(std::memory_order_relaxed);
    return out;
  };
  const auto behind = [&] {
    std::uint64_t out = UINT64_MAX;
    for (const auto& each : all) out = std::min(out, each.next.load(std::memory_order_relaxed));
    return out;
  };
  std::atomic<bool> over{false};
  std::atomic<std::uint64_t> published{0};
  std::exception_ptr failed;
  std::thread publisher{[&] {
    text payload{overhead};
    try {
      for (std::uint64_t i = 0, known = 0, passed_over = 0; !over; ++i) {
        if (ahead > 0 && i - std::max(known, passed_over) >= ahead && i - (known = behind()) >= ahead) {
          on.flush();
          const auto since = steady::now();
          while (!over && i - (known = behind()) >= ahead) {
            std::this_thread::sleep_for(std::chrono::microseconds{50});
            if (steady::now() - since > silence) {  // the newest are lost
              passed_over = i;
              break;
            }
          }
        }
        on.publish(payload.with(i));
        published.store(i + 1, std::memory_order_relaxed);
      }
      on.flush();
    } catch (...) {
      failed = std::current_exception();
    }
  }};
  std::this_thread::sleep_for(warm_up);
  counted_time counted{pid, received()};
  std::this_thread::sleep_for(std::chrono::duration<double>{seconds});
  counted.end(received());
  over = true;
  publisher.join();
  wait_for(silence, [&] { return received() >= published * subscribers; }, received);
  subscriptions.clear();
  if (failed) std::rethrow_exception(failed);
  const auto due = static_cast<double>(published * subscribers);
  fmt::print("rate={:.1f} cpu={:.4f} published={} lost={:.4f}\n", counted.rate(), counted.cpu_of_100_000(), published.load(),
             due == 0 ? 0 : 100 * (due - static_cast<double>(received())) / due);
}

/// From emit to handler. With a rate, events leave when they are due, whatever has become of those before.
void measure_handling(network& on, std::size_t overhead, int pid, double rate, double seconds) {
  if (rate == 0) on.expect_many();
  std::mutex mutex;
  std::vector<std::int64_t> latencies;
  latencies.reserve(4'000'000);
  std::atomic<std::uint64_t> emitted{0}, handled{0}, refused{0};
  std::atomic<bool> counting{false}, over{false};
  const auto emit = [&] {
    thread_local text payload{overhead};
    ++emitted;
    on.emit(payload.with(static_cast<std::uint64_t>(steady::now().time_since_epoch().count())));
  };
  on.on_receipt = [&](bool good) { refused += good ? 0 : 1; };
  auto handler = on.handle([&](std::string_view got) {
    const auto took = steady::now().time_since_epoch().count() - static_cast<std::int64_t>(number_in(got));
    if (counting) {
      const std::lock_guard lock{mutex};
      latencies.push_back(took);
    }
    ++handled;
    if (rate == 0 && !over) emit();
  });
  std::thread emitter;
  if (rate == 0) {
    for (std::size_t i = 0; i < handled_at_a_time; ++i) emit();
  } else {
    emitter = std::thread{[&] {
      const auto begin = steady::now();
      for (std::uint64_t i = 0; !over; ++i) {
        std::this_thread::sleep_until(begin + std::chrono::duration_cast<steady::duration>(std::chrono::duration<double>{static_cast<double>(i) / rate}));
        emit();
      }
    }};
  }
  std::this_thread::sleep_for(warm_up);
  counting = true;
  counted_time counted{pid, handled};
  std::this_thread::sleep_for(std::chrono::duration<double>{seconds});
  counted.end(handled);
  counting = false;
  over = true;
  if (emitter.joinable()) emitter.join();
  wait_for(patience, [&] { return handled >= emitted - refused; }, [&] { return handled.load(); });
  handler.reset();
  on.on_receipt = [](bool) {};
  fmt::print("rate={:.1f} cpu={:.4f} emitted={} lost={} {}\n", counted.rate(), counted.cpu_of_100_000(), emitted.load(),
             static_cast<std::int64_t>(emitted.load()) - static_cast<std::int64_t>(handled.load()), percentiles(std::move(latencies)));
}

/// Appends 4 KiB and syncs, as a log does that grows; then writes over them, as one does that begins anew in the same file.
void measure_disk(const std::string& folder) {
  auto name = folder + "/disk.XXXXXX";
  const int file = ::mkstemp(name.data());
  if (file < 0) throw std::runtime_error{"cannot make a file in " + folder};
  ::unlink(name.c_str());
  const std::string block(4096, 'x');
  std::size_t blocks = 0;
  const auto measure = [&](auto offset_of, int (*sync)(int)) {
    std::vector<std::int64_t> took;
    const auto until = steady::now() + std::chrono::seconds{2};
    while (steady::now() < until || took.size() < 20) {
      const auto begin = steady::now();
      const auto offset = static_cast<off_t>(offset_of(took.size()) * block.size());
      if (::pwrite(file, block.data(), block.size(), offset) != static_cast<ssize_t>(block.size()) || sync(file) != 0) {
        throw std::runtime_error{"cannot write in " + folder};
      }
      took.push_back((steady::now() - begin).count());
    }
    blocks = took.size();
    return percentiles(std::move(took));
  };
  const auto appended = measure([](std::size_t i) { return i; }, ::fsync);
  const auto written_over = measure([there = blocks](std::size_t i) { return i % there; }, ::fdatasync);
  ::close(file);
  fmt::print("appended and fsync: {}; written over and fdatasync: {}\n", appended, written_over);
}

}  // namespace

std::string_view text::with(std::uint64_t number) {
  std::memcpy(bytes_.data() + bytes_.size() - sizeof number, &number, sizeof number);
  return bytes_;
}

std::uint64_t number_in(std::string_view text) {
  std::uint64_t out = 0;
  if (text.size() >= sizeof out) std::memcpy(&out, text.data() + text.size() - sizeof out, sizeof out);
  return out;
}

int run(int argc, char** argv, std::size_t overhead, const std::function<std::unique_ptr<network>(const std::string&)>& connect) {
  const std::vector<std::string> said(argv + 1, argv + argc);
  const auto is = [&](std::string_view what, std::size_t count) { return said.size() == count && said[0] == what; };
  const auto number = [&](std::size_t which) { return std::atof(said[which].c_str()); };
  const auto count = [&](std::size_t which) { return static_cast<std::size_t>(std::atoll(said[which].c_str())); };
  try {
    if (is("emit", 5)) {
      measure_emits(*connect(said[1]), overhead, static_cast<int>(count(2)), count(3), number(4));
    } else if (is("broadcast", 6)) {
      measure_broadcasts(*connect(said[1]), overhead, static_cast<int>(count(2)), count(3), count(4), number(5));
    } else if (is("handle", 5)) {
      measure_handling(*connect(said[1]), overhead, static_cast<int>(count(2)), number(3), number(4));
    } else if (is("disk", 2)) {
      measure_disk(said[1]);
    } else {
      fmt::print(stderr, "usage: {0} emit ADDRESS PID EMITTERS SECONDS | broadcast ADDRESS PID SUBSCRIBERS AHEAD SECONDS | handle ADDRESS PID RATE SECONDS | disk FOLDER    (see tools/bench/events)\n", argv[0]);
      return 2;
    }
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}: {}\n", argv[0], e.what());
    return 1;
  }
}

}  // namespace bench
