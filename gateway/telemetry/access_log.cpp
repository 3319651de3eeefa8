#include "gateway/telemetry/access_log.hpp"

#include <ctime>
#include <mutex>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <waggle/wire/json_string.hpp>

namespace waggle::gateway {
namespace {

bool failed(const exchange& of, exchange_end how) { return of.status >= 500 || how == exchange_end::aborted; }

std::string utc(std::chrono::system_clock::time_point at) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(at);
  const auto time = std::chrono::system_clock::to_time_t(seconds);
  std::tm parts{};
  char text[32];
  std::strftime(text, sizeof text, "%FT%T", ::gmtime_r(&time, &parts));
  return fmt::format("{}.{:06}Z", text, std::chrono::duration_cast<std::chrono::microseconds>(at - seconds).count());
}

/// One object of JSON, member by member; what is empty is left out.
class line {
 public:
  line& text(std::string_view name, std::string_view value) {
    if (value.empty()) return *this;
    begin(name);
    wire::append_json_string(out_, value);
    return *this;
  }
  template <class Number>
  line& number(std::string_view name, Number value) {
    begin(name);
    out_ += fmt::format("{}", value);
    return *this;
  }
  std::string take() {
    out_ += '}';
    return std::move(out_);
  }

 private:
  void begin(std::string_view name) {
    out_ += out_.size() > 1 ? "," : "";
    wire::append_json_string(out_, name);
    out_ += ':';
  }
  std::string out_{'{'};
};

}  // namespace

std::string access_log_line(const exchange& of, exchange_end how, std::chrono::nanoseconds took, std::chrono::system_clock::time_point at) {
  line out;
  out.text("time", utc(at)).text("http.request.method", of.method).text("url.path", of.path).text("http.route", path_of_route(of.route));
  // A client that went away before its answer has seen no status.
  if (of.status != 0) out.number("http.response.status_code", of.status);
  out.number("http.server.request.duration", std::chrono::duration<double>{took}.count());
  out.number("http.request.body.size", of.request_bytes).number("http.response.body.size", of.response_bytes);
  out.text("client.address", of.client).text("user_agent.original", of.user_agent).text("url.scheme", of.encrypted ? "https" : "http");
  out.text("network.protocol.version", of.is_http10 ? "1.0" : "1.1").text("user.id", of.subject);
  out.text("request_id", of.request_id).text("trace_id", of.trace.size() > 35 ? std::string_view{of.trace}.substr(3, 32) : std::string_view{});
  out.text("error.type", how == exchange_end::abandoned ? "abandoned" : how == exchange_end::aborted ? "aborted" : "");
  return out.take();
}

struct access_log::writer {
  std::string to;
  std::function<void(std::string_view)> complain;
  std::shared_ptr<spdlog::details::thread_pool> pool = std::make_shared<spdlog::details::thread_pool>(access_log_lines_max, 1);
  std::mutex mutex;  ///< of `log`, which is replaced
  std::shared_ptr<spdlog::async_logger> log;

  std::shared_ptr<spdlog::async_logger> open() const {
    spdlog::sink_ptr sink;
    if (to == "stdout") {
      sink = std::make_shared<spdlog::sinks::stdout_sink_mt>();
    } else if (to == "stderr") {
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(to);
    }
    sink->set_pattern("%v");
    auto out = std::make_shared<spdlog::async_logger>("access", std::move(sink), pool, spdlog::async_overflow_policy::overrun_oldest);
    out->flush_on(spdlog::level::info);  // whoever reads along sees each line; the thread that pays for it is nobody's reactor
    out->set_error_handler([say = complain](const std::string& why) { say("the access log cannot be written: " + why); });
    return out;
  }
  std::shared_ptr<spdlog::async_logger> now() {
    const std::lock_guard hold{mutex};
    return log;
  }
};

access_log::access_log(std::string to, std::function<void(std::string_view)> complain) : writer_{std::make_unique<writer>()} {
  writer_->to = std::move(to);
  writer_->complain = std::move(complain);
  try {
    writer_->log = writer_->open();
  } catch (const spdlog::spdlog_ex& e) {
    throw std::runtime_error{"the access log cannot be opened: " + std::string{e.what()} + "; name a file that can be written with --access-log"};
  }
}
access_log::~access_log() = default;

bool access_log::wants(const access_log_config& with, const exchange& of, exchange_end how, std::chrono::nanoseconds took, unsigned chance) {
  return failed(of, how) || took >= with.slow || chance < with.sample_percent;
}

void access_log::write(const exchange& of, exchange_end how, std::chrono::nanoseconds took) {
  const auto at = std::chrono::system_clock::now() - std::chrono::duration_cast<std::chrono::system_clock::duration>(took);
  writer_->now()->info(spdlog::string_view_t{access_log_line(of, how, took, at)});
}

void access_log::reopen() {
  try {
    auto fresh = writer_->open();
    const std::lock_guard hold{writer_->mutex};
    writer_->log = std::move(fresh);
  } catch (const spdlog::spdlog_ex& e) {
    writer_->complain("the access log cannot be opened again, and goes on where it was: " + std::string{e.what()});
  }
}

std::uint64_t access_log::dropped() const { return writer_->pool->overrun_counter(); }

}  // namespace waggle::gateway
