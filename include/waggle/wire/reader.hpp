#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include <waggle/wire/big_endian.hpp>
#include <waggle/wire/limits.hpp>
#include <waggle/wire/utf8.hpp>

namespace waggle::wire {

enum class kind : std::uint8_t { nil, boolean, unsigned_integer, integer, floating, string, binary, array, map, extension, none };

/// Reads msgpack values from bytes that may be anything. Nothing is allocated, nothing is read past the end; counts are checked
/// against the bytes that are left, so a caller may reserve what a header announces. After the first failure every read fails
/// and `why` says what was wrong at `offset`.
///
/// Why not msgpack-cxx here: it offers a tree (allocates as the bytes announce) or a visitor (turns a fixed frame inside out into
/// a state machine). It does all the writing, and in the tests every reading is checked against it.
///
/// What nearly all values of a frame are is read where it is asked for (`gnu::always_inline`). All other formats, and what is wrong, are read apart
/// (`gnu::noinline`), so that this stays short: a call's frames are read four times on their way, and that was a sixth of what a call cost.
class reader {
 public:
  explicit reader(std::string_view bytes) : begin_{bytes.data()}, at_{begin_}, end_{begin_ + bytes.size()} {}

  [[nodiscard]] bool ok() const { return why_ == nullptr; }
  /// Null while all is well.
  [[nodiscard]] const char* why() const { return why_; }
  [[nodiscard]] std::size_t offset() const { return static_cast<std::size_t>(at_ - begin_); }
  [[nodiscard]] bool at_end() const { return at_ == end_; }
  [[nodiscard]] std::size_t bytes_left() const { return static_cast<std::size_t>(end_ - at_); }

  /// Whether nil comes next, which is then stepped over: what most optional values are.
  bool skip_nil() {
    if (!ok() || at_end() || static_cast<std::uint8_t>(*at_) != 0xc0) return false;
    ++at_;
    return true;
  }

  /// What kind of value comes next; `none` at the end, after a failure, and for the one byte that msgpack leaves unused.
  /// `integer` is a negative one, or one in a signed format.
  [[nodiscard]] kind peek() const {
    if (!ok() || at_end()) return kind::none;
    const auto byte = static_cast<std::uint8_t>(*at_);
    if (byte <= 0x7f) return kind::unsigned_integer;
    if (byte <= 0x8f) return kind::map;
    if (byte <= 0x9f) return kind::array;
    if (byte <= 0xbf) return kind::string;
    if (byte >= 0xe0) return kind::integer;
    return kinds[byte - 0xc0];
  }

  /// Whether a binary comes next: what most payloads are.
  [[nodiscard]] bool at_binary() const {
    if (!ok() || at_end()) return false;
    const auto byte = static_cast<std::uint8_t>(*at_);
    return byte >= 0xc4 && byte <= 0xc6;
  }

  bool nil() { return take(kind::nil, "expected nil") && advance(1); }

  bool boolean(bool& out) {
    if (!take(kind::boolean, "expected a boolean")) return false;
    out = static_cast<std::uint8_t>(*at_) == 0xc3;
    return advance(1);
  }

  /// Any integer that is not negative, in whatever format.
  [[gnu::always_inline]] bool unsigned_integer(std::uint64_t& out) {
    if (ok() && bytes_left() > sizeof(std::uint64_t)) {  // the formats that are written, where eight bytes can be read at once
      const auto byte = static_cast<std::uint8_t>(*at_);
      if (byte <= 0x7f) {
        out = byte;
        ++at_;
        return true;
      }
      if (byte >= 0xcc && byte <= 0xcf) {
        const auto width = 1u << (byte - 0xcc);
        out = load_big_endian(at_ + 1) >> (64 - 8 * width);
        at_ += 1 + width;
        return true;
      }
    }
    return any_unsigned_integer(out);
  }

  /// Any integer that fits 64 bits with a sign.
  bool integer(std::int64_t& out) {
    std::uint64_t bits = 0;
    bool negative = false;
    if (!any_integer(bits, negative)) return false;
    if (!negative && bits > static_cast<std::uint64_t>(INT64_MAX)) return fail("the integer is too large");
    out = static_cast<std::int64_t>(bits);
    return true;
  }

  bool floating(double& out) {
    if (!take(kind::floating, "expected a number")) return false;
    if (static_cast<std::uint8_t>(*at_) == 0xca) {
      std::uint32_t bits = 0;
      if (!big_endian(1, bits)) return false;
      out = static_cast<double>(std::bit_cast<float>(bits));
      return advance(5);
    }
    std::uint64_t bits = 0;
    if (!big_endian(1, bits)) return false;
    out = std::bit_cast<double>(bits);
    return advance(9);
  }

  /// A string, as bytes: whoever shows it or uses it as text checks `is_utf8`.
  [[gnu::always_inline]] bool string(std::string_view& out) {
    if (ok() && !at_end() && (static_cast<std::uint8_t>(*at_) & 0xe0) == 0xa0) return body(1, static_cast<std::uint8_t>(*at_) & 0x1f, out);
    return any_string(out);
  }

  [[gnu::always_inline]] bool binary(std::string_view& out) {
    if (ok() && bytes_left() > 1 && static_cast<std::uint8_t>(*at_) == 0xc4) return body(2, static_cast<std::uint8_t>(at_[1]), out);
    return any_binary(out);
  }

  /// An array's count, at most the number of bytes that are left.
  [[gnu::always_inline]] bool array(std::uint32_t& count) {
    if (ok() && !at_end() && (static_cast<std::uint8_t>(*at_) & 0xf0) == 0x90) {
      const auto few = static_cast<std::uint32_t>(*at_ & 0x0f);
      if (bytes_left() <= few) return fail(too_many_elements);
      count = few;
      ++at_;
      return true;
    }
    return any_array(count);
  }

  /// A map's count of pairs, at most half the number of bytes that are left.
  bool map(std::uint32_t& count) {
    if (!take(kind::map, "expected a map")) return false;
    return container(0x80, 0xde, 2, count, "the map announces more entries than there are bytes");
  }

  bool extension(std::int8_t& type, std::string_view& out) {
    if (!take(kind::extension, "expected an extension")) return false;
    const auto byte = static_cast<std::uint8_t>(*at_);
    std::size_t size = 0, head = 2;
    if (byte >= 0xd4) {
      size = std::size_t{1} << (byte - 0xd4);
    } else {
      const auto width = std::size_t{1} << (byte - 0xc7);
      if (!size_field(width, size)) return false;
      head = 2 + width;
    }
    if (bytes_left() < head) return fail("the bytes end inside a value");
    type = static_cast<std::int8_t>(at_[head - 1]);
    return body(head, size, out);
  }

  /// Steps over one whole value, whatever it is, checking everything msgpack asks for, but not UTF-8.
  bool skip(std::uint32_t depth_left = depth_max) {
    std::uint32_t count = 0;
    std::string_view ignored;
    std::int8_t type = 0;
    switch (peek()) {
      case kind::nil: return advance(1);
      case kind::boolean: return advance(1);
      case kind::unsigned_integer:
      case kind::integer: {
        std::uint64_t bits = 0;
        bool negative = false;
        return any_integer(bits, negative);
      }
      case kind::floating: {
        double value = 0;
        return floating(value);
      }
      case kind::string: return string(ignored);
      case kind::binary: return binary(ignored);
      case kind::extension: return extension(type, ignored);
      case kind::array:
      case kind::map: {
        if (depth_left == 0) return fail("values are nested too deep");
        const bool pairs = peek() == kind::map;
        if (!(pairs ? map(count) : array(count))) return false;
        for (std::uint64_t i = 0, all = std::uint64_t{count} * (pairs ? 2 : 1); i < all; ++i) {
          if (!skip(depth_left - 1)) return false;
        }
        return true;
      }
      case kind::none: break;
    }
    return fail(at_end() ? "the bytes end where a value should be" : "0xc1 begins no value");
  }

  /// The bytes of one whole value.
  bool raw(std::string_view& out, std::uint32_t depth_left = depth_max) {
    const char* const from = at_;
    if (!skip(depth_left)) return false;
    out = {from, static_cast<std::size_t>(at_ - from)};
    return true;
  }

  /// Lets code on top refuse a value for its own reason; keeps the first reason.
  [[gnu::noinline]] bool fail(const char* why) {
    if (ok()) why_ = why;
    return false;
  }

 private:
  /// Of the bytes from 0xc0 to 0xdf. Not of a function: it would be made anew at each call.
  static constexpr kind kinds[32] = {
      kind::nil,       kind::none,      kind::boolean,          kind::boolean,          kind::binary,
      kind::binary,    kind::binary,    kind::extension,        kind::extension,        kind::extension,
      kind::floating,  kind::floating,  kind::unsigned_integer, kind::unsigned_integer, kind::unsigned_integer,
      kind::unsigned_integer, kind::integer, kind::integer,     kind::integer,          kind::integer,
      kind::extension, kind::extension, kind::extension,        kind::extension,        kind::extension,
      kind::string,    kind::string,    kind::string,           kind::array,            kind::array,
      kind::map,       kind::map};
  static constexpr const char* too_many_elements = "the array announces more elements than there are bytes";

  [[gnu::noinline]] bool any_unsigned_integer(std::uint64_t& out) {
    bool negative = false;
    return any_integer(out, negative) && (!negative || fail("expected an integer that is not negative"));
  }
  [[gnu::noinline]] bool any_string(std::string_view& out) {
    return take(kind::string, "expected a string") && sized_body(static_cast<std::uint8_t>(*at_) - 0xd9, out);
  }
  [[gnu::noinline]] bool any_binary(std::string_view& out) {
    return take(kind::binary, "expected a binary") && sized_body(static_cast<std::uint8_t>(*at_) - 0xc4, out);
  }
  [[gnu::noinline]] bool any_array(std::uint32_t& count) {
    return take(kind::array, "expected an array") && container(0x90, 0xdc, 1, count, too_many_elements);
  }

  bool take(kind wanted, const char* otherwise) {
    if (peek() == wanted) return true;
    return fail(at_end() ? "the bytes end where a value should be" : otherwise);
  }

  bool advance(std::size_t count) {
    if (bytes_left() < count) return fail("the bytes end inside a value");
    at_ += count;
    return true;
  }

  template <class Unsigned>
  bool big_endian(std::size_t from, Unsigned& out) {
    if (bytes_left() < from + sizeof(Unsigned)) return fail("the bytes end inside a value");
    out = 0;
    for (std::size_t i = 0; i < sizeof(Unsigned); ++i) {
      out = static_cast<Unsigned>((std::uint64_t{out} << 8) | static_cast<std::uint8_t>(at_[from + i]));
    }
    return true;
  }

  /// The length that follows the type byte, `width` bytes wide.
  bool size_field(std::size_t width, std::size_t& out) {
    std::uint8_t narrow = 0;
    std::uint16_t middle = 0;
    std::uint32_t wide = 0;
    switch (width) {
      case 1: return big_endian(1, narrow) && (out = narrow, true);
      case 2: return big_endian(1, middle) && (out = middle, true);
      default: return big_endian(1, wide) && (out = wide, true);
    }
  }

  bool sized_body(int exponent, std::string_view& out) {
    const auto width = std::size_t{1} << exponent;
    std::size_t size = 0;
    return size_field(width, size) && body(1 + width, size, out);
  }

  [[gnu::always_inline]] bool body(std::size_t head, std::size_t size, std::string_view& out) {
    if (bytes_left() < head || bytes_left() - head < size) return fail("the bytes end inside a value");
    out = {at_ + head, size};
    at_ += head + size;
    return true;
  }

  bool container(std::uint8_t fixed, std::uint8_t sized, std::size_t element_bytes, std::uint32_t& count, const char* too_many) {
    const auto byte = static_cast<std::uint8_t>(*at_);
    std::size_t n = byte & 0x0f, head = 1;
    if (byte < fixed || byte > fixed + 0x0f) {
      const auto width = byte == sized ? std::size_t{2} : std::size_t{4};
      if (!size_field(width, n)) return false;
      head = 1 + width;
    }
    if (bytes_left() < head || (bytes_left() - head) / element_bytes < n) return fail(too_many);
    count = static_cast<std::uint32_t>(n);
    at_ += head;
    return true;
  }

  /// Two's complement bits; `negative` says how to take them.
  bool any_integer(std::uint64_t& out, bool& negative) {
    const auto next = peek();
    if (next != kind::unsigned_integer && next != kind::integer) {
      return fail(at_end() ? "the bytes end where a value should be" : "expected an integer");
    }
    const auto byte = static_cast<std::uint8_t>(*at_);
    negative = false;
    if (byte <= 0x7f) {
      out = byte;
      return advance(1);
    }
    if (byte >= 0xe0) {
      out = static_cast<std::uint64_t>(std::int64_t{static_cast<std::int8_t>(byte)});
      negative = true;
      return advance(1);
    }
    const bool is_signed = byte >= 0xd0;
    const auto width = std::size_t{1} << (byte - (is_signed ? 0xd0 : 0xcc));
    std::uint64_t bits = 0;
    if (bytes_left() < 1 + width) return fail("the bytes end inside a value");
    for (std::size_t i = 1; i <= width; ++i) bits = (bits << 8) | static_cast<std::uint8_t>(at_[i]);
    if (is_signed) {
      const auto unused = static_cast<unsigned>(64 - 8 * width);
      const auto value = static_cast<std::int64_t>(bits << unused) >> unused;
      negative = value < 0;
      bits = static_cast<std::uint64_t>(value);
    }
    out = bits;
    return advance(1 + width);
  }

  const char* begin_;
  const char* at_;
  const char* end_;
  const char* why_ = nullptr;
};

/// Reads a map entry by entry: `on_entry(key)` takes the value from the same reader and says whether all is well. Entries whose
/// key is no string are stepped over.
template <class OnEntry>
bool read_entries(reader& in, OnEntry&& on_entry) {
  std::uint32_t count = 0;
  if (!in.map(count)) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::string_view key;
    if (in.peek() != kind::string) {
      if (!in.skip() || !in.skip()) return false;
    } else if (!in.string(key) || !on_entry(key)) {
      return false;
    }
  }
  return true;
}

}  // namespace waggle::wire
