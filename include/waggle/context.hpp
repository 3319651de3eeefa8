#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <waggle/client.hpp>
#include <waggle/detail/derived_id.hpp>
#include <waggle/detail/worker_core.hpp>
#include <waggle/fields.hpp>
#include <waggle/wire/error.hpp>
#include <waggle/wire/headers.hpp>
#include <waggle/wire/topic.hpp>

namespace waggle {

class caller_claims;

/// The event that a handler runs for, and which of its deliveries this is.
struct handled_event {
  std::string id;      ///< as its emitter named it (`event_id`), otherwise made of stream and sequence: the same at each attempt
  std::string topic;
  std::string stream;
  std::uint64_t sequence = 0;      ///< in its stream
  std::uint32_t attempt = 1;       ///< deliveries to this group so far, with this one
  std::uint32_t attempts_max = 0;  ///< after which it becomes a dead letter
  std::chrono::system_clock::time_point time{};  ///< when the broker kept it
  std::string group;
};

/// What may be said of an event that a handler emits.
struct emit_options {
  std::string key{};       ///< events of one key are handled in order
  std::string event_id{};  ///< names it: the same again is the same event. Made up where the handler itself may run again for the same cause.
  header_map headers{};    ///< others
};

namespace detail {
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

/// What a handler knows of the call or event it runs for, and what it can do besides returning. For the handler's own thread, while it runs.
class context {
 public:
  /// `event` is null for a call; otherwise it lives as long as the context.
  context(detail::context_host& host, void* call, std::string_view command, header_map headers,
          std::chrono::steady_clock::time_point deadline, std::stop_token stop, const handled_event* event = nullptr)
      : host_{host}, call_{call}, command_{command}, headers_{std::move(headers)}, deadline_{deadline}, stop_{std::move(stop)}, event_{event} {}
  /// The same with headers as they came, which are read when somebody asks for them; they live as long as the context.
  context(detail::context_host& host, void* call, std::string_view command, std::string_view headers,
          std::chrono::steady_clock::time_point deadline, std::stop_token stop, const handled_event* event = nullptr)
      : host_{host}, call_{call}, command_{command}, unread_headers_{headers}, deadline_{deadline}, stop_{std::move(stop)}, event_{event} {}

  /// The command; of an event its topic.
  [[nodiscard]] std::string_view command() const { return command_; }
  /// The event that the handler runs for; null if it runs for a call.
  [[nodiscard]] const handled_event* event() const { return event_; }
  [[nodiscard]] const header_map& headers() const {
    if (!unread_headers_.empty()) headers_ = wire::headers_from_msgpack(std::exchange(unread_headers_, {}));
    return headers_;
  }
  /// One of the headers; empty if it did not come.
  [[nodiscard]] std::string_view header(std::string_view name) const {
    const auto found = headers().find(name);
    return found == headers().end() ? std::string_view{} : std::string_view{found->second};
  }
  [[nodiscard]] std::string_view key() const { return header("key"); }
  /// Who made the request, as far as the gateway has verified it; with #include <waggle/claims.hpp>.
  [[nodiscard]] caller_claims claims() const;

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

  /// Emits an event if and when the handler has succeeded: together with the reply, before it. With a broker that keeps events on disk the
  /// reply waits until they are there, and is an error when they cannot be kept. A handler that runs once more for the same cause (an event that
  /// is delivered again, a durable command) emits the same events then, not others: each has an id made of that cause, its topic, and
  /// the number of its emit. INVALID_ARGUMENT for what is no topic or no key, RESOURCE_EXHAUSTED for more than `emits_max` events or
  /// 4 MiB of them.
  template <payload_type Payload>
  result<void> emit(std::string_view topic, const Payload& payload, std::string_view key = {}) {
    return emit(topic, payload, emit_options{std::string{key}});
  }
  template <payload_type Payload>
  result<void> emit(std::string_view topic, const Payload& payload, const emit_options& with) {
    std::string bytes;
    append_payload(bytes, payload);
    if (!wire::is_topic(topic)) {
      return failure(status::invalid_argument, "a topic is 1 to 128 bytes without spaces and *, and does not begin with \"waggle.\"");
    }
    if (with.event_id.size() > wire::event_id_bytes_max) return failure(status::invalid_argument, "an event_id has at most 128 bytes");
    auto along = with.headers;
    for (const char* const name : {"traceparent", "request_id"}) {
      if (const auto value = header(name); !value.empty()) along.try_emplace(name, value);
    }
    if (!with.key.empty()) along.insert_or_assign("key", with.key);
    if (const auto id = event_id_for(topic, with.event_id); !id.empty()) along.insert_or_assign("event_id", id);
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
    if (cancelled() || event_ != nullptr) return false;
    std::string bytes;
    append_payload(bytes, payload);
    return host_.send_part(call_, std::move(bytes), stop_);
  }

  /// For the service, after the handler has returned.
  [[nodiscard]] bool has_emitted() const { return !emitted_.empty(); }
  [[nodiscard]] std::vector<detail::emitted> take_emitted() { return std::move(emitted_); }

 private:
  static constexpr std::size_t emits_max = 1000;

  [[nodiscard]] std::string event_id_for(std::string_view topic, const std::string& given) const {
    if (!given.empty()) return given;
    const auto number = 1 + static_cast<std::size_t>(std::count_if(emitted_.begin(), emitted_.end(), [&](const auto& each) { return each.topic == topic; }));
    if (event_ != nullptr) {
      return detail::derived_event_id(event_->group + "/" + event_->stream + "-" + std::to_string(event_->sequence), topic, number);
    }
    const auto operation = header("operation");
    return operation.empty() ? std::string{} : detail::derived_event_id(operation, topic, number);
  }

  detail::context_host& host_;
  void* call_;
  std::string_view command_;
  mutable std::string_view unread_headers_;
  mutable header_map headers_;
  std::chrono::steady_clock::time_point deadline_;
  std::stop_token stop_;
  const handled_event* event_;
  std::vector<detail::emitted> emitted_;
  std::size_t emitted_bytes_ = 0;
};

}  // namespace waggle
