#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <waggle/wire/error.hpp>
#include <waggle/wire/limits.hpp>
#include <waggle/wire/reader.hpp>
#include <waggle/wire/topic.hpp>
#include <waggle/wire/writer.hpp>

namespace waggle {

/// Whether a command may run more than once for one call; says what the broker does when a worker dies with it.
enum class retry_class : std::uint8_t {
  once,        ///< never handed to a second worker (the default)
  idempotent,  ///< running it twice leaves the same state as once
  safe,        ///< changes nothing
};

[[nodiscard]] constexpr std::string_view name(retry_class value) {
  return value == retry_class::safe ? "safe" : value == retry_class::idempotent ? "idempotent" : "once";
}

/// What a worker says of one command.
struct command_manifest {
  std::string name;
  std::string doc;
  retry_class retry = retry_class::once;
  bool streams = false;           ///< sends PARTs before its REPLY
  std::vector<std::string> http;  ///< routes, as in "GET /things/{id}"
  std::string request;            ///< JSON Schema as one msgpack map; empty: anything
  std::string reply;              ///< likewise
  bool needs_key = false;         ///< a call without the header `key` is refused
  std::string group{};            ///< calls of one key run one at a time in all commands of a group; empty: in this command
  bool quick = false;             ///< its calls take `quick_slots` of the worker, if it has any
};

/// What a worker says of events that it handles, as one of a consumer group.
struct event_manifest {
  std::string topic;               ///< a pattern: wire/topic.hpp
  std::string group{};             ///< each event goes to one member of each group; empty: named like the service
  bool from_beginning = false;     ///< where a group that is new begins: with the oldest event there is, or (false) from now on
  std::uint64_t budget_ms = 60'000;       ///< for one delivery
  std::uint32_t attempts = 8;             ///< deliveries before an event becomes a dead letter
  std::uint64_t backoff_ms = 1'000;       ///< before the second delivery; doubled for each one after
  std::uint64_t backoff_max_ms = 300'000; ///< and never more than this
  std::string doc{};
  std::string payload{};           ///< JSON Schema as one msgpack map; empty: anything
  bool quick = false;              ///< its deliveries take `quick_slots` of the worker, if it has any

  friend bool operator==(const event_manifest&, const event_manifest&) = default;
};

/// What a worker says of itself when it joins.
struct manifest {
  std::string service;
  std::string version;
  std::string instance;      ///< names this process among those of its service; empty: the broker makes one up
  std::uint32_t slots = 1;   ///< calls it takes at the same time
  std::uint32_t bundle = 1;  ///< frames it takes in one message
  std::vector<command_manifest> commands;
  bool credit = false;       ///< it sends no more PARTs than it has credit for
  std::vector<event_manifest> events{};
  std::uint32_t quick_slots = 0;  ///< calls of quick commands and events that it takes besides; 0: they take `slots` like the others
  std::uint32_t attachments = 0;  ///< that it takes in one message
  bool idles = false;             ///< with nothing at hand it pulses every `idle_pulse_ms` only, and is heard on each new connection
};

namespace wire {

inline void append_manifest(std::string& bytes, const manifest& from) {
  writer out{bytes};
  out.map(5 + (from.instance.empty() ? 0 : 1) + (from.quick_slots == 0 ? 0 : 1) + (from.credit ? 1 : 0) + (from.attachments == 0 ? 0 : 1) +
          (from.idles ? 1 : 0) + (from.events.empty() ? 0 : 1));
  out.string("service");
  out.string(from.service);
  out.string("version");
  out.string(from.version);
  if (!from.instance.empty()) {
    out.string("instance");
    out.string(from.instance);
  }
  out.string("slots");
  out.unsigned_integer(from.slots);
  if (from.quick_slots != 0) {
    out.string("quick_slots");
    out.unsigned_integer(from.quick_slots);
  }
  out.string("bundle");
  out.unsigned_integer(from.bundle);
  if (from.credit) {
    out.string("credit");
    out.boolean(true);
  }
  if (from.attachments != 0) {
    out.string("attachments");
    out.unsigned_integer(from.attachments);
  }
  if (from.idles) {
    out.string("idles");
    out.boolean(true);
  }
  out.string("commands");
  out.array(from.commands.size());
  for (const auto& each : from.commands) {
    out.map(2 + (each.doc.empty() ? 0 : 1) + (each.streams ? 1 : 0) + (each.quick ? 1 : 0) + (each.needs_key ? 1 : 0) +
            (each.group.empty() ? 0 : 1) + (each.http.empty() ? 0 : 1) +
            (each.request.empty() ? 0 : 1) + (each.reply.empty() ? 0 : 1));
    out.string("name");
    out.string(each.name);
    out.string("retry");
    out.string(name(each.retry));
    if (!each.doc.empty()) {
      out.string("doc");
      out.string(each.doc);
    }
    if (each.streams) {
      out.string("streams");
      out.boolean(true);
    }
    if (each.quick) {
      out.string("quick");
      out.boolean(true);
    }
    if (each.needs_key) {
      out.string("needs_key");
      out.boolean(true);
    }
    if (!each.group.empty()) {
      out.string("group");
      out.string(each.group);
    }
    if (!each.http.empty()) {
      out.string("http");
      out.array(each.http.size());
      for (const auto& route : each.http) out.string(route);
    }
    if (!each.request.empty()) {
      out.string("request");
      out.raw(each.request);
    }
    if (!each.reply.empty()) {
      out.string("reply");
      out.raw(each.reply);
    }
  }
  if (from.events.empty()) return;
  out.string("events");
  out.array(from.events.size());
  for (const auto& each : from.events) {
    out.map(6 + (each.quick ? 1 : 0) + (each.group.empty() ? 0 : 1) + (each.doc.empty() ? 0 : 1) + (each.payload.empty() ? 0 : 1));
    out.string("topic");
    out.string(each.topic);
    out.string("from");
    out.string(each.from_beginning ? "beginning" : "now");
    out.string("budget_ms");
    out.unsigned_integer(each.budget_ms);
    out.string("attempts");
    out.unsigned_integer(each.attempts);
    out.string("backoff_ms");
    out.unsigned_integer(each.backoff_ms);
    out.string("backoff_max_ms");
    out.unsigned_integer(each.backoff_max_ms);
    if (each.quick) {
      out.string("quick");
      out.boolean(true);
    }
    if (!each.group.empty()) {
      out.string("group");
      out.string(each.group);
    }
    if (!each.doc.empty()) {
      out.string("doc");
      out.string(each.doc);
    }
    if (!each.payload.empty()) {
      out.string("payload");
      out.raw(each.payload);
    }
  }
}

namespace detail {

/// Reads a manifest and remembers the path of the first thing wrong with it.
class manifest_reader {
 public:
  explicit manifest_reader(std::string_view bytes) : in_{bytes} {}

  result<manifest> read() {
    manifest out;
    std::uint64_t slots = 1, quick_slots = 0, bundle = 1, attachments = 0;
    const bool whole = entries("", [&](std::string_view key) {
      if (key == "service") return text(key, out.service, name_bytes_max);
      if (key == "version") return text(key, out.version, name_bytes_max);
      if (key == "instance") return text(key, out.instance, name_bytes_max);
      if (key == "slots") return number(key, slots, 1, slots_max);
      if (key == "quick_slots") return number(key, quick_slots, 1, slots_max);
      if (key == "bundle") return number(key, bundle, 1, ~std::uint64_t{0});
      if (key == "attachments") return number(key, attachments, 0, ~std::uint64_t{0});
      if (key == "credit") return flag(key, out.credit);
      if (key == "idles") return flag(key, out.idles);
      if (key == "commands") return commands(out.commands);
      if (key == "events") return events(out.events);
      return in_.skip();
    });
    if (whole && !is_name(out.service)) wrong("service", "a service needs a name of 1 to 128 bytes without spaces");
    if (whole && !out.instance.empty() && !is_name(out.instance)) wrong("instance", "a name has no spaces or control characters");
    if (whole && problem_.message.empty()) {
      if (out.commands.empty() && out.events.empty()) wrong("commands", "a worker that joins serves at least one command or event");
      for (std::size_t i = 0; i < out.commands.size(); ++i) check(out.commands[i], i);
      for (std::size_t i = 0; i < out.events.size(); ++i) check(out.events, i);
    }
    if (!in_.ok() || !problem_.message.empty()) return refused("the manifest is refused");
    out.slots = static_cast<std::uint32_t>(slots);
    out.quick_slots = static_cast<std::uint32_t>(quick_slots);
    out.bundle = static_cast<std::uint32_t>(bundle < bundle_frames_max ? bundle : bundle_frames_max);
    out.attachments = static_cast<std::uint32_t>(attachments < attachments_max ? attachments : attachments_max);
    return out;
  }

  result<std::vector<command_manifest>> read_commands() {
    std::vector<command_manifest> out;
    if (!commands(out) || !in_.at_end()) return refused("the list of commands is refused");
    return out;
  }

 private:
  tl::unexpected<error> refused(std::string message) {
    if (problem_.message.empty()) problem_.message = in_.ok() ? "more bytes after the value" : in_.why();
    error out{status::invalid_argument, std::move(message), false};
    out.message += problem_.path.empty() ? ": " + problem_.message : " at " + problem_.path + ": " + problem_.message;
    out.problems.push_back(std::move(problem_));
    return tl::unexpected{std::move(out)};
  }

  template <class OnEntry>
  bool entries(const std::string& at, OnEntry&& on_entry) {
    std::uint32_t count = 0;
    if (in_.peek() != kind::map) return wrong(at, "expected a map");
    if (!in_.map(count)) return false;
    for (std::uint32_t i = 0; i < count; ++i) {
      std::string_view key;
      if (in_.peek() != kind::string) return wrong(at, "expected a string as key");
      if (!in_.string(key) || !on_entry(key)) return false;
    }
    return true;
  }

  bool commands(std::vector<command_manifest>& out) {
    std::uint32_t count = 0;
    if (in_.peek() != kind::array) return wrong("commands", "expected an array");
    if (!in_.array(count)) return false;
    if (count > manifest_commands_max) return wrong("commands", "a worker serves at most 4096 commands");
    out.clear();  // a key may come twice
    out.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto at = "commands[" + std::to_string(i) + "]";
      command_manifest each;
      std::string retry = "once";
      const bool whole = entries(at, [&](std::string_view key) {
        const auto path = at + "." + std::string{is_utf8(key) ? key : "?"};
        if (key == "name") return text(path, each.name, name_bytes_max);
        if (key == "doc") return text(path, each.doc, 4096);
        if (key == "retry") return text(path, retry, 16);
        if (key == "streams") return flag(path, each.streams);
        if (key == "quick") return flag(path, each.quick);
        if (key == "needs_key") return flag(path, each.needs_key);
        if (key == "group") return text(path, each.group, name_bytes_max);
        if (key == "http") return routes(path, each.http);
        if (key == "request") return schema(path, each.request);
        if (key == "reply") return schema(path, each.reply);
        return in_.skip();
      });
      if (!whole) return false;
      if (retry == "idempotent") {
        each.retry = retry_class::idempotent;
      } else if (retry == "safe") {
        each.retry = retry_class::safe;
      } else if (retry != "once") {
        return wrong(at + ".retry", "expected \"once\", \"idempotent\" or \"safe\"");
      }
      out.push_back(std::move(each));
    }
    return true;
  }

  void check(const command_manifest& each, std::size_t i) {
    const auto command = "commands[" + std::to_string(i) + "]";
    const auto at = command + ".name";
    if (!each.group.empty() && !is_name(each.group)) {
      wrong(command + ".group", "a group is a name of 1 to 128 bytes without spaces");
    } else if (!is_name(each.name)) {
      wrong(at, "a command needs a name of 1 to 128 bytes without spaces");
    } else if (each.name.starts_with("waggle.")) {
      wrong(at, "names that begin with \"waggle.\" are the broker's own");
    }
  }

  bool events(std::vector<event_manifest>& out) {
    std::uint32_t count = 0;
    if (in_.peek() != kind::array) return wrong("events", "expected an array");
    if (!in_.array(count)) return false;
    if (count > manifest_events_max) return wrong("events", "a worker handles at most 256 patterns of topics");
    out.clear();  // a key may come twice
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto at = "events[" + std::to_string(i) + "]";
      event_manifest each;
      std::uint64_t attempts = each.attempts;
      std::string from = "now";
      const bool whole = entries(at, [&](std::string_view key) {
        const auto path = at + "." + std::string{is_utf8(key) ? key : "?"};
        if (key == "topic") return text(path, each.topic, name_bytes_max);
        if (key == "group") return text(path, each.group, name_bytes_max);
        if (key == "from") return text(path, from, 16);
        if (key == "budget_ms") return number(path, each.budget_ms, 1, budget_ms_max);
        if (key == "attempts") return number(path, attempts, 1, event_attempts_max);
        if (key == "backoff_ms") return number(path, each.backoff_ms, 1, budget_ms_max);
        if (key == "backoff_max_ms") return number(path, each.backoff_max_ms, 1, budget_ms_max);
        if (key == "quick") return flag(path, each.quick);
        if (key == "doc") return text(path, each.doc, 4096);
        if (key == "payload") return schema(path, each.payload);
        return in_.skip();
      });
      if (!whole) return false;
      if (from != "now" && from != "beginning") return wrong(at + ".from", "expected \"now\" or \"beginning\"");
      each.from_beginning = from == "beginning";
      each.attempts = static_cast<std::uint32_t>(attempts);
      out.push_back(std::move(each));
    }
    return true;
  }

  void check(const std::vector<event_manifest>& all, std::size_t i) {
    const auto at = "events[" + std::to_string(i) + "]";
    const auto& each = all[i];
    if (!is_topic_pattern(each.topic)) {
      wrong(at + ".topic", "expected a topic, or what topics begin with and a * behind it, as in \"order.*\"");
    } else if (!each.group.empty() && (!is_name(each.group) || each.group.starts_with("waggle."))) {
      wrong(at + ".group", "a group is a name of 1 to 128 bytes without spaces, which does not begin with \"waggle.\"");
    }
    for (std::size_t earlier = 0; earlier < i; ++earlier) {
      if (all[earlier].topic == each.topic && all[earlier].group == each.group) {
        wrong(at + ".topic", "this group handles \"" + each.topic + "\" already");
      }
    }
  }

  bool routes(const std::string& path, std::vector<std::string>& out) {
    std::uint32_t count = 0;
    if (in_.peek() != kind::array) return wrong(path, "expected an array of strings");
    if (!in_.array(count)) return false;
    if (count > manifest_routes_max) return wrong(path, "a command has at most 16 routes");
    out.clear();
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!text(path, out.emplace_back(), 1024)) return false;
    }
    return true;
  }

  bool schema(const std::string& path, std::string& out) {
    std::string_view bytes;
    if (in_.peek() == kind::nil) return in_.nil();
    if (in_.peek() != kind::map) return wrong(path, "expected a JSON Schema as a map");
    if (!in_.raw(bytes)) return false;
    out = bytes;
    return true;
  }

  bool text(std::string_view path, std::string& out, std::size_t bytes_max) {
    std::string_view view;
    if (in_.peek() != kind::string) return wrong(path, "expected a string");
    if (!in_.string(view)) return false;
    if (view.size() > bytes_max) return wrong(path, "the string is too long");
    if (!is_utf8(view)) return wrong(path, "the string is not UTF-8");
    out = view;
    return true;
  }

  bool flag(std::string_view path, bool& out) {
    return in_.peek() == kind::boolean ? in_.boolean(out) : wrong(path, "expected a boolean");
  }

  bool number(std::string_view path, std::uint64_t& out, std::uint64_t low, std::uint64_t high) {
    if (in_.peek() != kind::unsigned_integer) return wrong(path, "expected an integer that is not negative");
    if (!in_.unsigned_integer(out)) return false;
    return (out >= low && out <= high) || wrong(path, "expected " + std::to_string(low) + " to " + std::to_string(high));
  }

  bool wrong(std::string_view path, std::string message) {
    if (problem_.message.empty()) problem_ = {std::string{path}, std::move(message)};
    return false;
  }

  reader in_;
  problem problem_;
};

}  // namespace detail

/// A worker's manifest from bytes that may be anything, or an INVALID_ARGUMENT error that names the offending entry.
[[nodiscard]] inline result<manifest> read_manifest(std::string_view bytes) { return detail::manifest_reader{bytes}.read(); }

/// An array of commands in the form they have in a manifest, as `waggle.services` lists them. Names are not checked: the broker
/// lets no worker join with a bad one.
[[nodiscard]] inline result<std::vector<command_manifest>> read_commands(std::string_view bytes) {
  return detail::manifest_reader{bytes}.read_commands();
}

}  // namespace wire
}  // namespace waggle
