#include "tools/waggle/events_view.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include <waggle/detail/text.hpp>
#include <waggle/wire/json.hpp>
#include <waggle/wire/topic.hpp>

#include "tools/waggle/exit_codes.hpp"
#include "tools/waggle/operations_view.hpp"
#include "tools/waggle/table.hpp"

namespace waggle::cli {
namespace {

std::string place_text(std::string_view stream, std::uint64_t sequence) { return printable(stream) + " " + std::to_string(sequence); }

/// An instant in ms since 1970, as how long ago it was; clocks of two machines may differ, so what is yet to come is now.
std::string ago(std::int64_t then_ms, std::int64_t now_ms) {
  return milliseconds_text(now_ms > then_ms ? static_cast<std::uint64_t>(now_ms - then_ms) : 0) + " ago";
}

std::string instant_text(std::int64_t then_ms, std::int64_t now_ms) {
  const auto seconds = then_ms / 1000 - (then_ms % 1000 < 0 ? 1 : 0);
  const auto absolute = detail::rfc3339(seconds, 0);
  return absolute.empty() ? "at no time that there is" : absolute + ", " + ago(then_ms, now_ms);
}

/// The status that an error object or an outcome names.
status status_named(std::string_view text) {
  for (const auto& each : status_table) {
    if (each.name == text) return each.code;
  }
  return status::unknown;
}

/// An error object in one line: its status and what it says.
std::string error_line(const std::optional<value>& object) {
  if (!object || object->bytes.empty()) return "";
  std::string code;
  wire::reader in{object->bytes};
  if (in.peek() == wire::kind::map) {
    wire::read_entries(in, [&](std::string_view key) {
      std::string_view text;
      if (key != "code" || in.peek() != wire::kind::string) return in.skip();
      if (!in.string(text)) return false;
      code = text;
      return true;
    });
  }
  const auto why = wire::read_error(status_named(code), object->bytes);
  return printable(code.empty() ? std::string{name(why.code)} : code) + ": " + printable(why.message);
}

std::string value_block(std::string_view heading, const std::optional<value>& what, const screen& on) {
  const auto bytes = what && !what->bytes.empty() ? std::string_view{what->bytes} : std::string_view{"\xc0", 1};
  auto text = wire::msgpack_to_json(bytes);
  if (on.width != 0 && columns(text) + 2 > on.width) text = wire::msgpack_to_json(bytes, 2);
  for (auto at = text.find('\n'); at != text.npos; at = text.find('\n', at + 1)) text.insert(at + 1, "  ");
  return "\n" + toned(tone::strong, heading, on) + "\n  " + text + "\n";
}

}  // namespace

std::string receipt_text(const emit_receipt& what) {
  if (!what.stream) return "not kept: ephemeral topic\n";
  return std::string{what.repeated.value_or(false) ? "kept before, " : "kept "} + (what.durable ? "as " : "in memory only, as ") +
         place_text(*what.stream, what.sequence.value_or(0)) + "\n";
}

bool is_ephemeral(const stream_list& all, std::string_view topic) {
  std::string_view best;
  bool found = false, ephemeral = true;
  const auto consider = [&](const std::vector<std::string>& patterns, bool is_kept) {
    for (const auto& each : patterns) {
      if (!wire::matches(each, topic) || (found && !wire::is_more_specific(each, best))) continue;
      best = each;
      found = true;
      ephemeral = !is_kept;
    }
  };
  for (const auto& each : all.streams) consider(each.topics, true);
  consider(all.ephemeral, false);
  return ephemeral;
}

std::string lost_text(const lost_events& what) {
  if (what.to == 0) return "the stream " + printable(what.stream) + " has begun again with 1; what came in between may be lost";
  if (what.to <= what.from) return fmt::format("the event {} of the stream {} is lost: damaged, or not kept any more", what.from, printable(what.stream));
  return fmt::format("the events {} to {} of the stream {} are lost: damaged, or not kept any more", what.from, what.to, printable(what.stream));
}

std::string streams_text(const stream_list& all, const screen& on) {
  std::string out;
  table rows{{"STREAM", "EVENTS", "BYTES", "FIRST", "HEAD", "OLDEST", "TOPICS"}};
  for (const auto& each : all.streams) {
    rows.row({printable(each.stream), std::to_string(each.events), bytes_text(each.bytes), each.events == 0 ? "" : std::to_string(each.first),
              std::to_string(each.head), each.events == 0 || !each.oldest_ms ? "" : milliseconds_text(*each.oldest_ms) + " ago", printable(joined(each.topics, " "))});
  }
  if (!rows.empty()) out += rows.lines(on);
  if (!all.ephemeral.empty()) out += (out.empty() ? "" : "\n") + ("not kept: " + printable(joined(all.ephemeral, " "))) + "\n";
  return out;
}

std::string groups_text(const group_list& all, const screen& on) {
  if (all.groups.empty()) return "";
  table rows{{"GROUP", "STREAM", "LAG", "OLDEST", "IN-FLIGHT", "RETRYING", "DEAD", "SLOTS", "STATE", "TOPICS"}};
  for (const auto& each : all.groups) {
    // Whoever serves a command takes what was left for later; that group has no members of its own.
    const bool has_members = each.members != 0 || each.group == "waggle.later";
    rows.row({printable(each.group), printable(each.stream), std::to_string(each.lag),
              each.lag != 0 && each.oldest_ms ? milliseconds_text(*each.oldest_ms) : "", std::to_string(each.in_flight),
              unless_zero(each.retrying), unless_zero(each.dead), std::to_string(each.members), has_members ? "" : "no members",
              printable(joined(each.topics, " "))});
  }
  return rows.lines(on);
}

std::string dead_text(const dead_list& all, std::int64_t now_ms, const screen& on) {
  if (all.dead.empty()) return "";
  table rows{{"ID", "GROUP", "EVENT", "TOPIC", "TRIES", "DEAD", "BYTES", "ERROR"}};
  for (const auto& each : all.dead) {
    rows.row({std::to_string(each.id), printable(each.group), place_text(each.stream, each.sequence), printable(each.topic),
              std::to_string(each.attempts), ago(each.dead_ms, now_ms), bytes_text(each.bytes), error_line(each.error)});
  }
  return rows.lines(on);
}

std::string dead_letter_text(const dead_letter& what, std::int64_t now_ms, const screen& on) {
  auto out = toned(tone::strong, "dead letter " + std::to_string(what.id), on) + "\n\n";
  const auto entry = [&](std::string_view key, std::string_view text) { out += described(key, text, on); };
  entry("group", printable(what.group));
  entry("event", place_text(what.stream, what.sequence));
  entry("topic", printable(what.topic));
  if (what.event_id) entry("event id", printable(*what.event_id));
  entry("emitted", what.time_ms.value_or(0) == 0 ? "is not there any more" : instant_text(*what.time_ms, now_ms));
  entry("dead", instant_text(what.dead_ms, now_ms));
  entry("tries", std::to_string(what.attempts));
  entry("error", error_line(what.error));
  if (what.time_ms.value_or(0) != 0) {
    if (what.headers && !what.headers->bytes.empty() && what.headers->bytes != "\xc0") out += value_block("headers", what.headers, on);
    out += value_block("payload", what.payload, on);
  }
  return out + "\n" + toned(tone::strong, "try", on) + fmt::format("\n  waggle dead retry {0}\n  waggle dead drop {0}\n", what.id);
}

std::string outcome_text(const operation_outcome& what, std::int64_t now_ms, const screen& on) {
  std::string out;
  const auto entry = [&](std::string_view key, std::string_view text) { out += described(key, text, on); };
  entry("operation", printable(what.operation));
  entry("command", printable(what.command));
  auto state = printable(what.state);
  if (what.next_attempt_ms) state += ", the next attempt in " + milliseconds_text(*what.next_attempt_ms);
  entry("state", toned(what.state == "succeeded" ? tone::good : what.state == "failed" ? tone::bad : tone::plain, state, on));
  if (what.attempts) entry("tries", std::to_string(*what.attempts));
  entry("accepted", instant_text(what.accepted_ms, now_ms));
  if (what.ended_ms) entry("ended", instant_text(*what.ended_ms, now_ms));
  if (what.error) entry(what.state == "failed" ? "error" : "last error", error_line(what.error));
  if (what.state == "succeeded") out += value_block("result", what.result, on);
  return out;
}

int exit_code_of(const operation_outcome& what) {
  if (what.state == "succeeded") return 0;
  if (what.state != "failed") return exit_not_ended;
  const auto code = status_named(what.status.value_or(""));
  return info(code == status::ok ? status::unknown : code).exit_code;
}

std::optional<std::chrono::milliseconds> parse_age(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto unit = text.substr(static_cast<std::size_t>(end - text.data()));
  const std::int64_t factor = unit == "ms" ? 1 : unit == "s" ? 1000 : unit == "m" ? 60'000 : unit == "h" ? 3'600'000 : unit == "d" ? 86'400'000 : 0;
  if (failed != std::errc{} || number < 0 || factor == 0 || number > 10'000 * std::int64_t{86'400'000} / factor) return std::nullopt;
  return std::chrono::milliseconds{number * factor};
}

std::string age_problem(const std::string& text) {
  return parse_age(text) ? "" : "'" + text + "' is no age; write 30s, 10m, 2h or 7d (at most 10000d)";
}

}  // namespace waggle::cli
