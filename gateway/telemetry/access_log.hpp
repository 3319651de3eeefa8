#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/exchange.hpp"
#include "gateway/routes/config.hpp"

namespace waggle::gateway {

/// Lines that wait for the disk, of all threads; past it the oldest are dropped and counted.
inline constexpr std::size_t access_log_lines_max = 8192;

/// A line of JSON for each request, written by a thread of its own. Keys are OpenTelemetry's attributes (semantic conventions for HTTP servers). There is no query, no
/// header but User-Agent and nothing of a body in it: those are where secrets are. Any thread may call anything.
class access_log {
 public:
  /// `to`: "stdout", "stderr" or a file, which is appended to. Throws std::runtime_error that names the file and why it cannot be written.
  /// `complain` takes what goes wrong later, from the writing thread.
  access_log(std::string to, std::function<void(std::string_view)> complain);
  ~access_log();
  access_log(const access_log&) = delete;
  access_log& operator=(const access_log&) = delete;

  /// `chance` of 0 to 99 decides where the sample does.
  [[nodiscard]] static bool wants(const access_log_config& with, const exchange& of, exchange_end how, std::chrono::nanoseconds took, unsigned chance);
  void write(const exchange& of, exchange_end how, std::chrono::nanoseconds took);

  /// Opens the file anew: whoever rotates it has renamed it. What goes wrong is complained of, and the old one is written on.
  void reopen();
  /// Lines that have been dropped.
  [[nodiscard]] std::uint64_t dropped() const;

 private:
  struct writer;
  std::unique_ptr<writer> writer_;
};

/// The line of one request, without its end. `at` is when it came.
[[nodiscard]] std::string access_log_line(const exchange& of, exchange_end how, std::chrono::nanoseconds took, std::chrono::system_clock::time_point at);

}  // namespace waggle::gateway
