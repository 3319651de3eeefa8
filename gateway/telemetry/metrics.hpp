#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <waggle/wire/status.hpp>

#include "gateway/exchange.hpp"
#include "gateway/traffic/command_guards.hpp"

namespace waggle::gateway {

/// Label sets of one metric; past it everything new is one more set, of "_OTHER".
inline constexpr std::size_t metric_series_max = 4096;

/// What all threads of a gateway count, for Prometheus. Names and labels are OpenTelemetry's where it has some (semantic conventions for HTTP servers and RPC
/// clients, in the form its Prometheus exporters give them). Any thread may call anything; each call takes a short lock.
class metrics {
 public:
  metrics();
  ~metrics();
  metrics(const metrics&) = delete;
  metrics& operator=(const metrics&) = delete;

  /// A request has come, and its answer has ended: `http_server_active_requests`, `http_server_request_duration_seconds`,
  /// `http_server_request_body_size_bytes`, `http_server_response_body_size_bytes`.
  void began(std::string_view method);
  void ended(const exchange& of, exchange_end how, std::chrono::nanoseconds took);

  /// A call of the network has ended: `rpc_client_call_duration_seconds`.
  void call_ended(std::string_view command, status code, std::chrono::nanoseconds took);

  /// One request more of a deprecated route.
  void deprecated(std::string_view route, std::string_view caller);

  /// What there is of something now, over all threads.
  enum class quantity : std::uint8_t { connections, open_calls, plans, event_streams, log_lines_dropped };
  /// One thread's part of it.
  class level {
   public:
    level() = default;
    level(std::shared_ptr<metrics> of, quantity what) : of_{std::move(of)}, what_{what} {}
    ~level() { set(0); }
    level(level&& other) noexcept : of_{std::move(other.of_)}, what_{other.what_}, now_{std::exchange(other.now_, 0)} {}
    level& operator=(level&&) = delete;
    void set(std::size_t to) {
      const auto before = std::exchange(now_, static_cast<std::int64_t>(to));
      if (of_ && before != now_) of_->add(what_, now_ - before);
    }

   private:
    std::shared_ptr<metrics> of_;
    quantity what_{};
    std::int64_t now_ = 0;
  };
  void add(quantity what, std::int64_t more);
  void set(quantity what, std::uint64_t to);

  /// Everything, in Prometheus' text format. `queues`: what `waggle.queues` has answered (one msgpack value), or empty. `commands`: of breakers and retries.
  [[nodiscard]] std::string text(std::string_view queues = {}, const std::vector<command_guards::seen>& commands = {}) const;

 private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

}  // namespace waggle::gateway
