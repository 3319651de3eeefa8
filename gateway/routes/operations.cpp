#include "gateway/routes/operations.hpp"

#include <algorithm>
#include <utility>

#include <waggle/wire/json_string.hpp>
#include <waggle/wire/reader.hpp>
#include <waggle/wire/utf8.hpp>
#include <waggle/wire/writer.hpp>

#include "gateway/front/reason_phrase.hpp"
#include "gateway/routes/decode.hpp"
#include "gateway/routes/percent.hpp"
#include "gateway/routes/preferences.hpp"
#include "gateway/routes/problems.hpp"
#include "gateway/routes/reply.hpp"

namespace waggle::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// So long whoever asks for an outcome too early is told to wait.
constexpr milliseconds ask_again_time{1'000};

/// The broker refuses what it would have to keep when it runs without a log, and says with which flag it has one: nothing that a client
/// can mend.
front::response nothing_kept(const error& why) {
  auto out = why;
  out.code = status::unimplemented;
  return problem_of(out);
}

/// The broker refuses an idempotency key that it has seen with another payload by naming it, as a payload's field is named.
bool is_about_the_key(const error& why) {
  return std::any_of(why.problems.begin(), why.problems.end(), [](const problem& each) { return each.path == "idempotency_key"; });
}

struct receipt {
  std::string operation;
  std::string state;
  bool repeated = false;
};

std::optional<receipt> read_receipt(std::string_view payload) {
  receipt out;
  wire::reader in{payload};
  const auto text = [&](std::string& to) {
    std::string_view view;
    if (!in.string(view) || !wire::is_utf8(view)) return false;
    to = view;
    return true;
  };
  const bool read = wire::read_entries(in, [&](std::string_view key) {
    if (key == "operation") return text(out.operation);
    if (key == "state") return text(out.state);
    if (key == "repeated") return in.boolean(out.repeated);
    return in.skip();
  });
  if (!read || !in.at_end() || out.operation.empty() || out.state.empty()) return std::nullopt;
  return out;
}

void finish(const planned_call& call, front::response& out) {
  if (call.of != nullptr) {
    add_route_headers(*call.of, out);
  } else {
    out.headers.emplace_back("Vary", "Accept");
  }
}

/// The error of a command that has failed, as the problem that it would have been as an answer.
void append_problem(wire::writer& out, const error& from) {
  const int http = std::max(info(from.code).http, 400);
  out.map(6 + (from.problems.empty() ? 0 : 1));
  const auto text = [&](std::string_view name, std::string_view value) {
    out.string(name);
    out.string(value);
  };
  text("type", "about:blank");
  text("title", front::reason_phrase(http));
  out.string("status");
  out.unsigned_integer(static_cast<std::uint64_t>(http));
  text("detail", from.message);
  text("code", name(from.code));
  out.string("may_have_run");
  out.boolean(from.may_have_run);
  if (from.problems.empty()) return;
  out.string("errors");
  out.array(from.problems.size());
  for (const auto& each : from.problems) {
    out.map(2);
    text("path", each.path);
    text("message", each.message);
  }
}

/// The code of an error object, whose status nobody sent beside it.
status code_of(std::string_view error_object) {
  status out = status::unknown;
  wire::reader in{error_object};
  wire::read_entries(in, [&](std::string_view key) {
    std::string_view name;
    if (key != "code" || in.peek() != wire::kind::string) return in.skip();
    if (!in.string(name)) return false;
    for (const auto& each : status_table) {
      if (each.name == name) out = each.code;
    }
    return true;
  });
  return out;
}

}  // namespace

std::string operation_location(std::string_view operation) {
  std::string out{operations_path};
  append_percent_encoded(out, operation);
  return out;
}

front::response receipt_answer(const planned_call& call, const result<std::string_view>& payload) {
  front::response out;
  if (!payload) {
    const auto& why = payload.error();
    out = why.code != status::failed_precondition ? problem_of(why)
          : is_about_the_key(why)                 ? problem_of(why, {}, 422)
                                                  : nothing_kept(why);
    finish(call, out);
    return out;
  }
  const auto got = read_receipt(*payload);
  if (!got) {
    // A broker that does not know `later` has run the command, and this is its reply.
    out = problem_of({status::internal, "the broker has given no receipt for " + call.command + ": it may be older than this gateway", true});
    finish(call, out);
    return out;
  }
  const auto location = operation_location(got->operation);
  if (got->repeated && got->state != "ended") {
    std::string members = ",\"operation\":";
    wire::append_json_string(members, got->operation);
    out = problem_of({status::aborted, "the command that came first with this Idempotency-Key has not ended", true, ask_again_time}, members);
  } else {
    std::string body;
    wire::writer writer{body};
    writer.map(2);
    writer.string("operation");
    writer.string(got->operation);
    writer.string("state");
    writer.string(got->state);
    out = reply_of(body, call.reply, call.command);
    out.status = 202;
    if (call.preferred) out.headers.emplace_back("Preference-Applied", "respond-async");
  }
  out.headers.emplace_back("Location", location);
  finish(call, out);
  if (call.preferred) out.headers.emplace_back("Vary", "Prefer");
  return out;
}

planned_request plan_outcome(const front::request& in, milliseconds budget) {
  const auto allowing = [](front::response out) {
    out.headers.emplace_back("Allow", "GET, HEAD, OPTIONS");
    return out;
  };
  const decoded_path path{in.path};
  if (path.why() != nullptr) return refusal(400, std::string{"the path cannot be read: "} + path.why());
  if (path.too_long() || path.size() != 2 || !wire::is_name(path[1])) return refusal(404, "an operation's path is /operations/ID");
  if (in.method == "OPTIONS") return allowing({204, {}, {}, {}});
  if (in.method != "GET" && in.method != "HEAD") return allowing(refusal(405, "this path takes GET and HEAD"));
  const auto format = negotiate(in.headers, whole_formats);
  if (!format) return refusal(406, "an answer is application/json or application/vnd.msgpack; Accept rules out both");
  planned_call out;
  out.what_for = planned_call::purpose::outcome;
  out.command = "waggle.outcome";
  out.reply = *format;
  out.idempotent = true;
  out.budget = budget;
  if (const auto wait = preferences_of(in.headers).wait; wait && wait->count() > 0) {
    out.waits = std::min(*wait, outcome_wait_max);
    out.budget += *out.waits;
  }
  wire::writer writer{out.payload};
  writer.map(out.waits ? 2 : 1);
  writer.string("operation");
  writer.string(path[1]);
  if (out.waits) {
    writer.string("wait_ms");
    writer.unsigned_integer(static_cast<std::uint64_t>(milliseconds{*out.waits}.count()));
  }
  return out;
}

front::response outcome_answer(const planned_call& call, const result<std::string_view>& payload) {
  front::response out;
  std::string_view state;
  if (payload) {
    std::string shown;
    wire::writer writer{shown};
    wire::reader in{*payload};
    std::uint32_t entries = 0;
    bool read = in.map(entries);
    if (read) writer.map(entries);
    for (std::uint32_t i = 0; read && i < entries; ++i) {
      std::string_view key, value;
      read = in.string(key) && in.raw(value);
      if (!read) break;
      writer.string(key);
      if (key == "error" && wire::reader{value}.peek() == wire::kind::map) {
        append_problem(writer, wire::read_error(code_of(value), value));
      } else {
        writer.raw(value);
      }
      if (wire::reader text{value}; key == "state") read = text.string(state);
    }
    out = read && in.at_end() ? reply_of(shown, call.reply, call.command)
                              : problem_of({status::internal, "what the broker says of the operation cannot be read", false});
  } else {
    out = payload.error().code == status::failed_precondition ? nothing_kept(payload.error()) : problem_of(payload.error());
  }
  if (out.status == 200) {
    const bool ended = state == "succeeded" || state == "failed";
    if (!ended) out.headers.emplace_back("Retry-After", std::to_string(std::chrono::duration_cast<seconds>(ask_again_time).count()));
    if (call.waits) out.headers.emplace_back("Preference-Applied", "wait=" + std::to_string(call.waits->count()));
  }
  out.headers.emplace_back("Cache-Control", "no-store");
  finish(call, out);
  return out;
}

}  // namespace waggle::gateway
