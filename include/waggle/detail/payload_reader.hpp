#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <waggle/detail/field_list.hpp>
#include <waggle/detail/instant.hpp>
#include <waggle/detail/payload_path.hpp>
#include <waggle/detail/text.hpp>
#include <waggle/wire/error.hpp>
#include <waggle/wire/limits.hpp>
#include <waggle/wire/reader.hpp>
#include <waggle/wire/utf8.hpp>

namespace waggle::detail {

class payload_reader;

/// One field of a struct, to code that does not know the struct's type.
struct payload_field {
  std::string_view name;
  bool required = true;
  void (*decode)(payload_reader& in, void* owner) = nullptr;
};

/// Reads one payload and collects what is wrong with it, each problem under the path at which it was found. What is not
/// as expected is recorded and stepped over, so that one look finds every problem; at the first byte that is not
/// msgpack, and after `wire::error_problems_max` problems, every read is over and does nothing.
///
/// Words are those of JSON, whichever way the payload came: its reader mostly never sees msgpack.
class payload_reader {
 public:
  /// What the elements of all containers may take, by a rough count. Without it a payload of one-byte elements could
  /// grow in memory by as much as the largest struct is long.
  static constexpr std::size_t memory_bytes_max = 64 * wire::payload_bytes_max;
  /// What a map needs for each entry besides key and value.
  static constexpr std::size_t node_bytes = 48;

  /// Empty bytes are nil.
  explicit payload_reader(std::string_view bytes) : in_{bytes.empty() ? std::string_view{"\xc0", 1} : bytes} {}
  payload_reader(const payload_reader&) = delete;
  payload_reader& operator=(const payload_reader&) = delete;

  [[nodiscard]] wire::kind peek() const { return in_.peek(); }

  void boolean(bool& out) {
    if (accept(wire::kind::boolean, "a boolean")) in_.boolean(out);
  }

  /// Two's complement bits of an integer within the range. A number without a fraction is an integer, as in JSON
  /// Schema, if a double holds it exactly: JavaScript sends all its numbers so.
  bool integer(std::uint64_t& bits, std::int64_t low, std::uint64_t high) {
    if (over()) return false;
    bool negative = false;
    if (peek() == wire::kind::floating) {
      constexpr double exact_max = 9'007'199'254'740'992.0;  // 2^53
      auto ahead = in_;
      double number = 0;
      if (!ahead.floating(number)) return step_over(), false;
      if (!(number >= -exact_max && number <= exact_max) || std::trunc(number) != number) return expected("an integer");
      in_ = ahead;
      negative = number < 0;
      bits = static_cast<std::uint64_t>(static_cast<std::int64_t>(number));
    } else if (peek() == wire::kind::unsigned_integer) {
      if (!in_.unsigned_integer(bits)) return false;
    } else if (peek() == wire::kind::integer) {
      std::int64_t number = 0;
      if (!in_.integer(number)) return false;
      negative = number < 0;
      bits = static_cast<std::uint64_t>(number);
    } else {
      return expected("an integer");
    }
    if (negative ? static_cast<std::int64_t>(bits) >= low : bits <= high) return true;
    wrong("expected " + std::to_string(low) + " to " + std::to_string(high) + ", got " +
          (negative ? std::to_string(static_cast<std::int64_t>(bits)) : std::to_string(bits)));
    return false;
  }

  /// Any number, at most `magnitude_max` from zero, infinite, or not a number at all.
  bool floating(double& out, double magnitude_max) {
    if (over()) return false;
    std::uint64_t bits = 0;
    if (peek() == wire::kind::unsigned_integer) {
      if (!in_.unsigned_integer(bits)) return false;
      out = static_cast<double>(bits);
    } else if (peek() == wire::kind::integer) {
      std::int64_t number = 0;
      if (!in_.integer(number)) return false;
      out = static_cast<double>(number);
    } else if (!accept(wire::kind::floating, "a number") || !in_.floating(out)) {
      return false;
    }
    if (!std::isfinite(out) || std::fabs(out) <= magnitude_max) return true;
    wrong("the number is too large for 32 bits");
    return false;
  }

  bool string(std::string_view& out) {
    if (!accept(wire::kind::string, "a string") || !in_.string(out)) return false;
    if (wire::is_utf8(out)) return true;
    wrong("the string is not UTF-8");
    return false;
  }

  void string(std::string& out) {
    std::string_view view;
    if (string(view)) out = view;
  }

  void binary(std::string& out) {
    if (over()) return;
    std::string_view view;
    if (peek() == wire::kind::binary) {
      if (in_.binary(view)) out = view;
    } else if (accept(wire::kind::string, "a binary, or a string in base64") && in_.string(view)) {
      auto bytes = base64_decode(view);
      if (!bytes) return wrong("the string is not base64 (RFC 4648, with padding)");
      out = std::move(*bytes);
    }
  }

  bool instant(timestamp& out) {
    if (over()) return false;
    std::string_view view;
    if (peek() == wire::kind::extension) {
      std::int8_t type = 0;
      if (!in_.extension(type, view)) return false;
      if (const auto at = type == timestamp_extension ? read_timestamp_bytes(view) : std::nullopt)
        return out = *at, true;
      wrong("the extension is not a msgpack timestamp");
    } else if (accept(wire::kind::string, "a date-time") && in_.string(view)) {
      if (const auto at = parse_rfc3339(view)) return out = {at->first, at->second}, true;
      wrong("the string is not a date-time of RFC 3339, such as 2026-07-14T09:30:00Z");
    }
    return false;
  }

  /// The index of a string among `names`.
  bool one_of(const std::string_view* names, std::size_t count, std::size_t& index) {
    std::string_view view;
    if (!string(view)) return false;
    for (index = 0; index < count; ++index) {
      if (names[index] == view) return true;
    }
    std::string message{count == 1 ? "expected " : "expected one of "};
    for (std::size_t i = 0; i < count; ++i) {
      if (i != 0) message += ", ";
      append_quoted(message, names[i]);
    }
    append_quoted(message += ", got ", view);
    wrong(std::move(message));
    return false;
  }

  /// Nil, or an object of which no field is known: a command that takes nothing any more still answers who sends
  /// something.
  void nothing() {
    if (peek() == wire::kind::map) return step_over();
    if (accept(wire::kind::nil, "null")) in_.nil();
  }

  /// Any value, as its bytes.
  void raw(std::string& out) {
    std::string_view view;
    if (!over() && in_.raw(view, depth_left_)) out = std::string{view};
  }

  void step_over() {
    if (!over()) in_.skip(depth_left_);
  }

  /// Calls `on_element(index)` for each element, which reads it.
  template <class OnElement>
  void array(OnElement&& on_element) {
    std::uint32_t count = 0;
    if (open(wire::kind::array, "an array", count)) elements(count, on_element);
  }

  template <class OnElement>
  void array(OnElement&& on_element, std::size_t wanted) {
    std::uint32_t count = 0;
    if (!open(wire::kind::array, "an array", count)) return;
    if (count != wanted) {
      wrong("expected " + std::to_string(wanted) + (wanted == 1 ? " element" : " elements") + ", got " +
            std::to_string(count));
    }
    elements(count, on_element);
  }

  /// Calls `on_entry(key)` for each entry, which reads the value, or returns false if it has had the key before.
  template <class OnEntry>
  void dictionary(OnEntry&& on_entry) {
    std::uint32_t count = 0;
    if (!open(wire::kind::map, "an object", count)) return;
    const level inside{*this};
    for (std::uint32_t i = 0; i < count && !over(); ++i) {
      std::string_view key;
      if (!accept(wire::kind::string, "a string as key") || !string(key)) {
        step_over();
        continue;
      }
      const step at{*this, key};
      if (on_entry(key)) continue;
      wrong("is there more than once");
      step_over();
    }
  }

  /// A struct. Keys that it does not have are stepped over, because services evolve. No payload at all is an object
  /// without fields, so that a command of which every field is optional can be called with nothing.
  void object(const payload_field* fields, std::size_t count, void* owner) {
    std::uint32_t entries = 0;
    std::uint64_t seen = 0;
    if (place_ == nullptr && peek() == wire::kind::nil) {
      in_.nil();
    } else if (!open(wire::kind::map, "an object", entries)) {
      return;
    }
    const level inside{*this};
    std::size_t likely = 0;  // a peer that sends fields in their order is matched at once
    for (std::uint32_t i = 0; i < entries && !over(); ++i) {
      std::string_view key;
      if (peek() != wire::kind::string) {
        step_over();
        step_over();
        continue;
      }
      in_.string(key);
      std::size_t at = likely;
      if (at >= count || fields[at].name != key) {
        for (at = 0; at < count && fields[at].name != key;) ++at;
      }
      if (at == count) {
        step_over();
        continue;
      }
      likely = at + 1;
      const step here{*this, fields[at].name};
      if ((seen >> at & 1) != 0) {
        wrong("is there more than once");
        step_over();
        continue;
      }
      seen |= std::uint64_t{1} << at;
      fields[at].decode(*this, owner);
    }
    for (std::size_t i = 0; i < count && !over(); ++i) {
      if (!fields[i].required || (seen >> i & 1) != 0) continue;
      const step here{*this, fields[i].name};
      wrong("is missing");
    }
  }

  /// Records a problem with the value at the place where the reader is.
  void wrong(std::string message) {
    if (!over()) problems_.push_back({path_of(place_), std::move(message)});
  }

  /// Whether a container may take another element of this size.
  bool afford(std::size_t bytes) {
    if (bytes > memory_left_) return in_.fail("the payload holds more elements than there is memory for");
    memory_left_ -= bytes;
    return true;
  }

  /// Whether the payload has been read to its end, and nothing is wrong with it: then `finish` has nothing to say.
  [[nodiscard]] bool is_well() const { return in_.ok() && in_.at_end() && problems_.empty(); }
  /// What is wrong with the payload, read to its end: `problems` is empty if nothing is.
  std::vector<problem> finish() {
    if (!over() && !in_.at_end())
      wrong("the value ends at byte " + std::to_string(in_.offset()) + ", and there are more");
    if (in_.ok()) return std::move(problems_);
    return {{"", std::string{in_.why()} + " (at byte " + std::to_string(in_.offset()) + ")"}};
  }

 private:
  class step {
   public:
    step(payload_reader& in, std::string_view name) : in_{in}, here_{in.place_, name, 0, false} { in_.place_ = &here_; }
    step(payload_reader& in, std::size_t index) : in_{in}, here_{in.place_, {}, index, true} { in_.place_ = &here_; }
    ~step() { in_.place_ = here_.up; }
    step(const step&) = delete;
    step& operator=(const step&) = delete;

   private:
    payload_reader& in_;
    place here_;
  };

  class level {
   public:
    explicit level(payload_reader& in) : in_{in} { --in_.depth_left_; }
    ~level() { ++in_.depth_left_; }
    level(const level&) = delete;
    level& operator=(const level&) = delete;

   private:
    payload_reader& in_;
  };

  template <class OnElement>
  void elements(std::uint32_t count, OnElement& on_element) {
    const level inside{*this};
    for (std::uint32_t i = 0; i < count && !over(); ++i) {
      const step at{*this, std::size_t{i}};
      on_element(std::size_t{i});
    }
  }

  [[nodiscard]] bool over() const { return !in_.ok() || problems_.size() >= wire::error_problems_max; }

  bool accept(wire::kind wanted, std::string_view what) {
    if (over()) return false;
    return peek() == wanted || expected(what);
  }

  bool expected(std::string_view what) {
    if (peek() != wire::kind::none) wrong("expected " + std::string{what} + ", got " + std::string{describe(peek())});
    step_over();
    return false;
  }

  bool open(wire::kind wanted, std::string_view what, std::uint32_t& count) {
    if (!accept(wanted, what)) return false;
    if (depth_left_ == 0) return in_.fail("values are nested too deep");
    return wanted == wire::kind::map ? in_.map(count) : in_.array(count);
  }

  static std::string_view describe(wire::kind what) {
    switch (what) {
      case wire::kind::nil:
        return "null";
      case wire::kind::boolean:
        return "a boolean";
      case wire::kind::unsigned_integer:
      case wire::kind::integer:
        return "an integer";
      case wire::kind::floating:
        return "a number";
      case wire::kind::string:
        return "a string";
      case wire::kind::binary:
        return "a binary";
      case wire::kind::array:
        return "an array";
      case wire::kind::map:
        return "an object";
      case wire::kind::extension:
        return "an extension";
      case wire::kind::none:
        break;
    }
    return "nothing";
  }

  wire::reader in_;
  const place* place_ = nullptr;
  std::uint32_t depth_left_ = wire::depth_max;
  std::size_t memory_left_ = memory_bytes_max;
  std::vector<problem> problems_;
};

/// The error for a payload with these problems, of which there is at least one.
inline tl::unexpected<error> refuse(std::vector<problem> problems) {
  const auto& first = problems.front();
  auto message = "the payload is refused: " + (first.path.empty() ? "" : first.path + ": ") + first.message;
  if (problems.size() > 1) message += ", and " + std::to_string(problems.size() - 1) + " more";
  auto refused = failure(status::invalid_argument, std::move(message));
  refused.value().problems = std::move(problems);
  return refused;
}

}  // namespace waggle::detail
