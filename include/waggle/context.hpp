#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <waggle/client.hpp>
#include <waggle/fields.hpp>
#include <waggle/wire/error.hpp>
#include <waggle/wire/headers.hpp>

namespace waggle {

namespace detail {
struct emitted {
  std::string topic;
  std::string payload;
  std::string headers;
};

/// What a service lends to the contexts of its handlers.
class context_host {
 public:
  virtual ~context_host() = default;
  /// For calls that handlers make; made when first asked for.
  virtual client& caller() = 0;
  /// Sends a part of the reply; waits while too much waits to be sent, or the caller has not taken what it got. False when nobody
  /// wants it any more.
  virtual bool send_part(void* call, std::string payload, const std::stop_token& stop) = 0;
};
}  // namespace detail

/// What a handler knows of the call it runs, and what it can do besides returning. For the handler's own thread, while it runs.
class context {
 public:
  context(detail::context_host& host, void* call, std::string_view command, header_map headers,
          std::chrono::steady_clock::time_point deadline, std::stop_token stop)
      : host_{host}, call_{call}, command_{command}, headers_{std::move(headers)}, deadline_{deadline}, stop_{std::move(stop)} {}

  [[nodiscard]] std::string_view command() const { return command_; }
  [[nodiscard]] const header_map& headers() const { return headers_; }
  /// One of the headers; empty if it did not come.
  [[nodiscard]] std::string_view header(std::string_view name) const {
    const auto found = headers_.find(name);
    return found == headers_.end() ? std::string_view{} : std::string_view{found->second};
  }
  [[nodiscard]] std::string_view key() const { return header("key"); }

  /// What is left of the caller's budget; never negative.
  [[nodiscard]] milliseconds budget_left() const {
    return std::max(std::chrono::floor<milliseconds>(deadline_ - std::chrono::steady_clock::now()), milliseconds{0});
  }
  /// Whether the caller has given up or gone, its budget has passed, or the service must stop: the result is for nobody.
  [[nodiscard]] bool cancelled() const { return stop_.stop_requested() || std::chrono::steady_clock::now() >= deadline_; }
  /// The same for waiting; it does not know of the budget.
  [[nodiscard]] const std::stop_token& stop() const { return stop_; }

  /// Calls another command within what is left of this call's budget; the trace and the request's id go along.
  template <payload_type Reply, payload_type Request>
  result<Reply> call(std::string_view command, const Request& request, call_options with = {}) {
    return call<Reply>(command, request, budget_left(), std::move(with));
  }
  /// The same with a budget of its own, cut to what is left.
  template <payload_type Reply, payload_type Request>
  result<Reply> call(std::string_view command, const Request& request, milliseconds budget, call_options with = {}) {
    if (with.traceparent.empty()) with.traceparent = header("traceparent");
    if (const auto id = header("request_id"); !id.empty()) with.headers.try_emplace("request_id", id);
    return host_.caller().call<Reply>(command, request, std::min(budget, budget_left()), with);
  }

  /// Emits an event if and when the handler has succeeded: together with the reply, before it. INVALID_ARGUMENT for what is no topic
  /// or no key, RESOURCE_EXHAUSTED for more than `emits_max` events or 4 MiB of them.
  template <payload_type Payload>
  result<void> emit(std::string_view topic, const Payload& payload, std::string_view key = {}) {
    std::string bytes;
    append_payload(bytes, payload);
    if (!wire::is_name(topic) || topic.starts_with("waggle.")) {
      return failure(status::invalid_argument, "a topic is 1 to 128 bytes without spaces, and does not begin with \"waggle.\"");
    }
    header_map along;
    for (const char* const name : {"traceparent", "request_id"}) {
      if (const auto value = header(name); !value.empty()) along.emplace(name, value);
    }
    if (!key.empty()) along.emplace("key", key);
    if (const char* why = wire::headers_problem(along)) return failure(status::invalid_argument, why);
    if (emitted_.size() >= emits_max || emitted_bytes_ + bytes.size() > wire::payload_bytes_max) {
      return failure(status::resource_exhausted, "one call emits at most 1000 events and 4 MiB");
    }
    emitted_bytes_ += bytes.size();
    emitted_.push_back({std::string{topic}, std::move(bytes), wire::headers_to_msgpack(along)});
    return {};
  }

  /// Sends a part of the reply ahead of it, for commands declared with `.streams()`. Waits while the network or the caller does not keep up.
  /// False when nobody wants it any more: the handler may then return whatever it likes. Throws std::length_error for a
  /// part larger than 4 MiB.
  template <payload_type Part>
  bool part(const Part& payload) {
    if (cancelled()) return false;
    std::string bytes;
    append_payload(bytes, payload);
    return host_.send_part(call_, std::move(bytes), stop_);
  }

  /// For the service, after the handler has returned.
  [[nodiscard]] std::vector<detail::emitted> take_emitted() { return std::move(emitted_); }

 private:
  static constexpr std::size_t emits_max = 1000;

  detail::context_host& host_;
  void* call_;
  std::string_view command_;
  header_map headers_;
  std::chrono::steady_clock::time_point deadline_;
  std::stop_token stop_;
  std::vector<detail::emitted> emitted_;
  std::size_t emitted_bytes_ = 0;
};

}  // namespace waggle
