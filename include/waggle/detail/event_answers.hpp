#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <waggle/wire/reader.hpp>
#include <waggle/wire/writer.hpp>

/// What the broker says of events, as whoever asked reads it: bytes that may be anything (broker/PROTOCOL.md, "Events").
namespace waggle::detail {

/// Where an event is from: the last element of an EVENT on the events' sockets. Views point into the frame.
struct event_origin {
  std::string_view stream;   ///< empty: an ephemeral event
  std::string_view event_id;
  std::int64_t time_ms = 0;
  std::string_view after;    ///< one msgpack array: lengths of prefixes, each with a sequence
};

[[nodiscard]] inline event_origin read_event_origin(std::string_view about) {
  event_origin out;
  if (about.empty()) return out;
  wire::reader in{about};
  wire::read_entries(in, [&](std::string_view key) {
    if (key == "stream" && in.peek() == wire::kind::string) return in.string(out.stream);
    if (key == "event_id" && in.peek() == wire::kind::string) return in.string(out.event_id);
    if (key == "time" && (in.peek() == wire::kind::unsigned_integer || in.peek() == wire::kind::integer)) return in.integer(out.time_ms);
    if (key == "after" && in.peek() == wire::kind::array) return in.raw(out.after);
    return in.skip();
  });
  return in.ok() ? out : event_origin{};
}

/// The last event of this one's stream whose topic begins with a prefix of this length. Without a word on it, any could be.
[[nodiscard]] inline std::uint64_t last_before(const event_origin& of, std::uint64_t sequence, std::size_t prefix_bytes) {
  std::uint32_t count = 0;
  wire::reader in{of.after};
  if (!of.after.empty() && in.array(count)) {
    for (std::uint32_t i = 0; i + 1 < count; i += 2) {
      std::uint64_t bytes = 0, last = 0;
      if (!in.unsigned_integer(bytes) || !in.unsigned_integer(last)) break;
      if (bytes == prefix_bytes && last < sequence) return last;
    }
  }
  return sequence - 1;
}

/// One of the streams that `waggle.streams` lists.
struct listed_stream {
  std::string stream;
  std::uint64_t first = 1;
  std::uint64_t head = 0;
};

struct streams_answer {
  bool durable = false;
  std::vector<listed_stream> streams;
};

/// Nothing if it is no such answer.
[[nodiscard]] inline std::optional<streams_answer> read_streams_answer(std::string_view payload) {
  streams_answer out;
  wire::reader in{payload};
  bool listed = false;
  const auto one = [&] {
    auto& each = out.streams.emplace_back();
    return wire::read_entries(in, [&](std::string_view key) {
      std::string_view text;
      if (key == "stream") return in.string(text) && (each.stream = text, true);
      if (key == "first") return in.unsigned_integer(each.first);
      if (key == "head") return in.unsigned_integer(each.head);
      return in.skip();
    });
  };
  wire::read_entries(in, [&](std::string_view key) {
    std::uint32_t count = 0;
    if (key == "durable") return in.boolean(out.durable);
    if (key != "streams") return in.skip();
    if (!in.array(count)) return false;
    listed = true;
    out.streams.clear();
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!one()) return false;
    }
    return true;
  });
  if (!in.ok() || !listed) return std::nullopt;
  return out;
}

/// What `waggle.events` answers. Views point into the answer.
struct events_answer {
  struct item {
    std::uint64_t sequence = 0;
    std::string_view topic;
    std::string_view payload;
    std::string_view headers;
    std::int64_t time_ms = 0;
    std::string_view event_id;
  };
  std::vector<item> events;
  std::vector<std::uint64_t> damaged;
  std::uint64_t next = 0;
  std::uint64_t head = 0;
  std::uint64_t first = 1;
};

/// Nothing if it is no such answer.
[[nodiscard]] inline std::optional<events_answer> read_events_answer(std::string_view payload) {
  events_answer out;
  wire::reader in{payload};
  const auto or_nil = [&](auto&& read) { return in.peek() == wire::kind::nil ? in.nil() : read(); };
  const auto one = [&] {
    auto& each = out.events.emplace_back();
    std::uint32_t fields = 0;
    if (!in.array(fields) || fields < 6) return in.fail("an event has six fields");
    if (!in.unsigned_integer(each.sequence) || !in.string(each.topic)) return false;
    if (!or_nil([&] { return in.binary(each.payload); })) return false;
    if (!or_nil([&] { return in.peek() == wire::kind::map ? in.raw(each.headers) : in.fail("headers are a map"); })) return false;
    if (!in.integer(each.time_ms) || !or_nil([&] { return in.string(each.event_id); })) return false;
    for (; fields > 6; --fields) {
      if (!in.skip()) return false;
    }
    return true;
  };
  wire::read_entries(in, [&](std::string_view key) {
    std::uint32_t count = 0;
    if (key == "next") return in.unsigned_integer(out.next);
    if (key == "head") return in.unsigned_integer(out.head);
    if (key == "first") return in.unsigned_integer(out.first);
    if (key != "events" && key != "damaged") return in.skip();
    if (!in.array(count)) return false;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!(key == "events" ? one() : in.unsigned_integer(out.damaged.emplace_back()))) return false;
    }
    return true;
  });
  if (!in.ok() || out.next == 0) return std::nullopt;
  return out;
}

}  // namespace waggle::detail
