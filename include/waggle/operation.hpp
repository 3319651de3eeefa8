#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <waggle/fields.hpp>
#include <waggle/wire/error.hpp>
#include <waggle/wire/headers.hpp>
#include <waggle/wire/reader.hpp>
#include <waggle/wire/writer.hpp>

namespace waggle {

/// A command that the broker has taken to run later: it is on disk, and its outcome can be asked for until a day after its end.
struct operation {
  std::string id;
  bool repeated = false;  ///< the same `idempotency_key` was used before: this is that one
  bool ended = false;
};

struct later_options {
  std::string key{};              ///< what the command is about: those of one key run in order
  std::string idempotency_key{};  ///< the same command, key and request again are the same operation; another request is FAILED_PRECONDITION
  std::chrono::milliseconds run_budget{60'000};  ///< for each time it is run
  std::string traceparent{};      ///< W3C trace context
  header_map headers{};           ///< others
};

enum class operation_state : std::uint8_t {
  waiting,    ///< for its first run
  running,
  retrying,   ///< it has failed, and will run again
  succeeded,
  failed,     ///< for good; it is a dead letter too, unless its first error was one that no repetition changes
};
WAGGLE_ENUM(operation_state, waiting, running, retrying, succeeded, failed)

/// What has become of a durable command.
template <payload_type Reply>
struct outcome {
  std::string command;
  operation_state state = operation_state::waiting;
  std::uint32_t attempts = 0;
  std::optional<Reply> reply{};        ///< when it has succeeded
  std::optional<error> why{};          ///< when it has failed; while it is retried, how the last attempt ended, if the broker says so
  std::chrono::system_clock::time_point accepted{};
  std::optional<std::chrono::system_clock::time_point> ended_at{};
  std::optional<std::chrono::milliseconds> next_attempt{};  ///< from now

  [[nodiscard]] bool ended() const { return state == operation_state::succeeded || state == operation_state::failed; }
};

namespace detail {

/// What goes along with a command that is to run later.
[[nodiscard]] inline header_map later_headers(const later_options& from) {
  auto out = from.headers;
  out.insert_or_assign("later", std::to_string(std::max<std::int64_t>(from.run_budget.count(), 1)));
  if (!from.key.empty()) out.insert_or_assign("key", from.key);
  if (!from.traceparent.empty()) out.insert_or_assign("traceparent", from.traceparent);
  if (!from.idempotency_key.empty()) out.insert_or_assign("idempotency_key", from.idempotency_key);
  return out;
}

[[nodiscard]] inline tl::unexpected<error> no_answer_of(const std::string& command) {
  return failure(status::internal, "the broker's answer to " + command + " is none", true);
}

[[nodiscard]] inline result<operation> read_operation(std::string_view payload) {
  operation out;
  wire::reader in{payload};
  const auto text = [&](std::string& to) {
    std::string_view view;
    if (in.peek() != wire::kind::string) return in.skip();
    return in.string(view) && (to = view, true);
  };
  std::string state;
  wire::read_entries(in, [&](std::string_view key) {
    if (key == "operation") return text(out.id);
    if (key == "state") return text(state);
    if (key == "repeated" && in.peek() == wire::kind::boolean) return in.boolean(out.repeated);
    return in.skip();
  });
  // A broker that knows nothing of `later` has called the command, and this is its reply.
  if (!in.ok() || out.id.empty()) return failure(status::unimplemented, "the broker has no durable commands: it has run this one at once", true);
  out.ended = state == "ended";
  return out;
}

/// Nothing for what is the name of none.
[[nodiscard]] inline status status_named(std::string_view text) {
  for (const auto& each : status_table) {
    if (each.name == text) return each.code;
  }
  return status::unknown;
}

/// What an error object says that it is.
[[nodiscard]] inline status status_in(std::string_view error_object) {
  std::string_view code;
  wire::reader in{error_object};
  if (in.peek() != wire::kind::map) return status::unknown;
  wire::read_entries(in, [&](std::string_view key) { return key == "code" && in.peek() == wire::kind::string ? in.string(code) : in.skip(); });
  return status_named(code);
}

[[nodiscard]] inline std::string outcome_question(std::string_view operation, std::chrono::milliseconds wait) {
  std::string out;
  wire::writer to{out};
  to.map(2);
  to.string("operation");
  to.string(operation);
  to.string("wait_ms");
  to.unsigned_integer(static_cast<std::uint64_t>(std::max<std::int64_t>(wait.count(), 0)));
  return out;
}

template <payload_type Reply>
[[nodiscard]] result<outcome<Reply>> read_outcome(std::string_view payload) {
  outcome<Reply> out;
  std::string_view command, state, reply, why;
  std::uint64_t attempts = 0, accepted_ms = 0, ended_ms = 0, next_ms = 0;
  bool has_ended = false, has_next = false;
  wire::reader in{payload};
  wire::read_entries(in, [&](std::string_view key) {
    if (key == "command") return in.string(command);
    if (key == "state") return in.string(state);
    if (key == "attempts") return in.unsigned_integer(attempts);
    if (key == "accepted_ms") return in.unsigned_integer(accepted_ms);
    if (key == "ended_ms") return has_ended = true, in.unsigned_integer(ended_ms);
    if (key == "next_attempt_ms") return has_next = true, in.unsigned_integer(next_ms);
    if (key == "result") return in.raw(reply);
    if (key == "error") return in.raw(why);
    return in.skip();
  });
  constexpr auto& states = enum_of<operation_state>;
  const auto* const named = std::find(std::begin(states.names), std::end(states.names), state);
  if (!in.ok() || named == std::end(states.names)) return no_answer_of("waggle.outcome");
  const auto instant = [](std::uint64_t ms) {
    return std::chrono::system_clock::time_point{std::chrono::milliseconds{std::min<std::uint64_t>(ms, 253'402'300'800'000)}};  // the year 10000
  };
  out.command = command;
  out.state = states.values[named - std::begin(states.names)];
  out.attempts = static_cast<std::uint32_t>(std::min<std::uint64_t>(attempts, 0xffffffff));
  out.accepted = instant(accepted_ms);
  if (has_ended) out.ended_at = instant(ended_ms);
  if (has_next) out.next_attempt = std::chrono::milliseconds{std::min(next_ms, wire::budget_ms_max)};
  if (!why.empty()) out.why = wire::read_error(status_in(why), why);
  if (out.state == operation_state::succeeded) {
    auto read = read_payload<Reply>(reply);
    if (!read) {
      read.error().code = status::internal;
      read.error().message = "the reply is not what was asked for: " + read.error().message;
      read.error().may_have_run = true;
      return tl::unexpected{std::move(read.error())};
    }
    out.reply = std::move(*read);
  }
  return out;
}

}  // namespace detail
}  // namespace waggle
