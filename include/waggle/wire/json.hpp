#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <waggle/detail/text.hpp>
#include <waggle/wire/error.hpp>
#include <waggle/wire/json_string.hpp>
#include <waggle/wire/limits.hpp>
#include <waggle/wire/reader.hpp>
#include <waggle/wire/utf8.hpp>
#include <waggle/wire/writer.hpp>

/// JSON text to msgpack bytes and back, each in one pass and without a document in between.
namespace waggle::wire {

namespace detail {

/// Where nlohmann's lexer reads from. All copies share one place, so that a refusal of ours can say where it was.
class json_cursor {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  explicit json_cursor(const char*& at) : at_{&at} {}
  reference operator*() const { return **at_; }
  json_cursor& operator++() {
    ++*at_;
    return *this;
  }
  json_cursor operator++(int) { return ++*this; }
  friend bool operator==(const json_cursor& a, const json_cursor& b) { return *a.at_ == *b.at_; }

 private:
  const char** at_;
};

/// Takes the events of nlohmann's parser and writes msgpack. Each container gets one byte for its header, which holds
/// counts up to 15; the few that need more are widened at the end, from the back to the front, so that every byte moves
/// once at most.
class json_events {
 public:
  using string_t = nlohmann::json::string_t;
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using binary_t = nlohmann::json::binary_t;

  json_events(std::string_view text, std::string& bytes) : text_{text}, at_{text.data()}, bytes_{bytes}, out_{bytes} {}

  /// Null when the text was written whole, otherwise what is wrong with it, at `where`.
  const char* run() {
    const char* end = text_.data() + text_.size();
    if (text_.size() > std::numeric_limits<std::uint32_t>::max()) return "the text is too large";
    if (text_.empty()) return "there is no text";
    if (const auto zero = text_.find('\0'); zero != std::string_view::npos) {
      at_ += zero + 1;
      return "unexpected zero byte";  // nlohmann takes it for the end
    }
    if (!nlohmann::json::sax_parse(json_cursor{at_}, json_cursor{end}, this)) return why_;
    widen();
    return nullptr;
  }

  /// Bytes read before the fault was seen, the offending one included.
  [[nodiscard]] std::size_t where() const { return static_cast<std::size_t>(at_ - text_.data()); }
  /// The key that comes twice, if that is the fault.
  [[nodiscard]] std::string_view key_twice() const { return key_twice_; }

  bool null() { return count() && (out_.nil(), true); }
  bool boolean(bool value) { return count() && (out_.boolean(value), true); }
  bool number_integer(number_integer_t value) { return count() && (out_.integer(value), true); }
  bool number_unsigned(number_unsigned_t value) { return count() && (out_.unsigned_integer(value), true); }
  bool number_float(number_float_t value, const string_t& digits) {
    if (digits.find_first_of(".eE") == string_t::npos) return refuse("the integer does not fit 64 bits");
    return count() && (out_.floating(value), true);
  }
  bool string(const string_t& value) { return count() && (out_.string(value), true); }
  bool binary(const binary_t&) { return refuse("JSON has no binary values"); }

  bool start_object(std::size_t) { return open(true); }
  bool start_array(std::size_t) { return open(false); }
  bool key(const string_t& value) {
    out_.string(value);
    keys_.push_back(
        {bytes_.size() - value.size(), static_cast<std::uint32_t>(value.size()), static_cast<std::uint32_t>(where())});
    return true;
  }
  bool end_object() {
    const std::size_t first = open_.back().keys_before;
    if (!distinct(first)) return false;
    keys_.resize(first);
    return close();
  }
  bool end_array() { return close(); }

  bool parse_error(std::size_t bytes_read, const string_t&, const nlohmann::json::exception& fault) {
    const std::string_view what = fault.what();
    at_ = text_.data() + std::min(bytes_read, text_.size());  // the lexer reads one byte past a number and puts it back
    const auto says = [&](std::string_view part) { return what.find(part) != std::string_view::npos; };
    if (fault.id == 406) return refuse("the number is too large for a double");
    if (says("UTF-8")) return refuse("the text is not UTF-8");
    if (says("surrogate")) return refuse("half of a surrogate pair");
    if (says("control character")) return refuse("a control character in a string needs an escape");
    if (where() == text_.size() && (says("unexpected end of input") || says("missing closing quote"))) {
      return refuse("the text ends too early");
    }
    return refuse("unexpected text");
  }

 private:
  struct container {
    std::size_t offset;
    std::size_t keys_before;
    std::uint32_t count;
    bool map;
  };
  struct key_at {
    std::size_t offset;  // in the output
    std::uint32_t size;
    std::uint32_t where;  // in the text
  };

  bool refuse(const char* why) {
    why_ = why;
    return false;
  }

  /// Counts a value that begins; in an object each value stands for its pair.
  bool count() {
    if (!open_.empty()) ++open_.back().count;
    return true;
  }

  bool open(bool map) {
    if (open_.size() == depth_max) return refuse("values are nested too deep");
    count();
    open_.push_back({bytes_.size(), keys_.size(), 0, map});
    bytes_.push_back('\0');
    return true;
  }

  bool close() {
    const container done = open_.back();
    open_.pop_back();
    if (done.count <= 15) {
      bytes_[done.offset] = static_cast<char>((done.map ? 0x80u : 0x90u) | done.count);
    } else {
      wide_.push_back(done);
    }
    return true;
  }

  std::string_view text_of(const key_at& key) const { return {bytes_.data() + key.offset, key.size}; }

  /// By sorting, not hashing: no choice of keys makes it slow.
  bool distinct(std::size_t first) {
    const auto begin = keys_.begin() + static_cast<std::ptrdiff_t>(first);
    const auto before = [this](const key_at& a, const key_at& b) {
      if (a.size != b.size) return a.size < b.size;
      const int order = std::memcmp(bytes_.data() + a.offset, bytes_.data() + b.offset, a.size);
      return order != 0 ? order < 0 : a.where < b.where;
    };
    std::sort(begin, keys_.end(), before);
    const auto same = [this](const key_at& a, const key_at& b) { return text_of(a) == text_of(b); };
    const auto twice = std::adjacent_find(begin, keys_.end(), same);
    if (twice == keys_.end()) return true;
    at_ = text_.data() + (twice + 1)->where;
    key_twice_ = text_of(*twice);
    return refuse("the key comes twice");
  }

  void widen() {
    if (wide_.empty()) return;
    std::sort(wide_.begin(), wide_.end(), [](const container& a, const container& b) { return a.offset < b.offset; });
    const auto extra = [](const container& each) -> std::size_t { return each.count > 0xffff ? 4 : 2; };
    std::size_t added = 0, end = bytes_.size();
    for (const auto& each : wide_) added += extra(each);
    bytes_.resize(bytes_.size() + added);
    for (auto each = wide_.rbegin(); each != wide_.rend(); ++each) {
      const std::size_t body = each->offset + 1, width = extra(*each);
      std::memmove(bytes_.data() + body + added, bytes_.data() + body, end - body);
      added -= width;
      end = each->offset;
      char* const header = bytes_.data() + each->offset + added;
      header[0] = static_cast<char>((each->map ? 0xde : 0xdc) + (width == 4 ? 1 : 0));
      for (std::size_t i = 0; i < width; ++i) header[1 + i] = static_cast<char>(each->count >> (8 * (width - 1 - i)));
    }
  }

  std::string_view text_;
  const char* at_;
  std::string& bytes_;
  writer out_;
  const char* why_ = "unexpected text";
  std::string_view key_twice_;
  std::vector<container> open_;
  std::vector<container> wide_;
  std::vector<key_at> keys_;
};

}  // namespace detail

/// One JSON text (RFC 8259) as one msgpack value: integers in the smallest integer format, other numbers as doubles,
/// every header in its smallest form. INVALID_ARGUMENT, with line and column, for anything that would lose or bend what
/// was sent: a key twice in one object, an integer outside 64 bits, a number past the doubles, half a surrogate pair,
/// text that is not UTF-8, more than `depth_max` levels, anything after the value. Columns count bytes.
[[nodiscard]] inline result<std::string> json_to_msgpack(std::string_view json) {
  std::string bytes;
  bytes.reserve(json.size());
  detail::json_events events{json, bytes};
  const char* const why = events.run();
  if (why == nullptr) return bytes;
  const std::string_view before = json.substr(0, std::min(events.where(), json.size()));
  const auto line_start = before.substr(0, before.empty() ? 0 : before.size() - 1).rfind('\n');
  const auto lines = std::count(before.begin(), before.end(), '\n') - (before.ends_with('\n') ? 1 : 0);
  const auto column = before.size() - (line_start == std::string_view::npos ? 0 : line_start + 1);
  std::string message = "not acceptable JSON at line " + std::to_string(lines + 1) + ", column " +
                        std::to_string(std::max<std::size_t>(column, 1)) + ": " + why;
  if (!events.key_twice().empty()) {
    message += ": ";
    append_json_string(message, events.key_twice().substr(0, 64));
  }
  return failure(status::invalid_argument, std::move(message));
}

namespace detail {

/// Writes JSON from msgpack, straight through. Recursion ends at `depth_max`.
class json_printer {
 public:
  json_printer(std::string_view msgpack, int indent, std::string& out) : in_{msgpack}, indent_{indent}, out_{out} {}

  [[nodiscard]] const reader& source() const { return in_; }

  bool document() {
    if (!value(0)) return false;
    return in_.at_end() || in_.fail("more bytes after the value");
  }

 private:
  bool value(std::uint32_t depth) {
    std::string_view bytes;
    switch (in_.peek()) {
      case kind::nil: out_ += "null"; return in_.nil();
      case kind::boolean: {
        bool truth = false;
        if (!in_.boolean(truth)) return false;
        out_ += truth ? "true" : "false";
        return true;
      }
      case kind::unsigned_integer: {
        std::uint64_t number = 0;
        return in_.unsigned_integer(number) && digits(number);
      }
      case kind::integer: {
        std::int64_t number = 0;
        return in_.integer(number) && digits(number);
      }
      case kind::floating: {
        double number = 0;
        return in_.floating(number) && floating(number);
      }
      case kind::string:
        if (!in_.string(bytes)) return false;
        append_json_string(out_, bytes);
        return true;
      case kind::binary:
        if (!in_.binary(bytes)) return false;
        append_json_string(out_, waggle::detail::base64_encode(bytes));
        return true;
      case kind::array: return array(depth);
      case kind::map: return map(depth);
      case kind::extension: return extension();
      case kind::none: break;
    }
    return in_.skip();  // which says why
  }

  template <class Number>
  bool digits(Number number) {
    std::array<char, 32> text;
    const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
    out_.append(text.data(), end);
    return true;
  }

  /// The shortest text that reads back as the same double, with a point or an exponent, so that it stays one. JSON has
  /// no infinities and no NaN: null.
  bool floating(double number) {
    if (!std::isfinite(number)) {
      out_ += "null";
      return true;
    }
    const auto from = out_.size();
    digits(number);
    if (out_.find_first_of(".e", from) == std::string::npos) out_ += ".0";
    return true;
  }

  bool array(std::uint32_t depth) {
    std::uint32_t count = 0;
    if (depth == depth_max) return in_.fail("values are nested too deep");
    if (!in_.array(count)) return false;
    out_ += '[';
    for (std::uint32_t i = 0; i < count; ++i) {
      if (i != 0) out_ += ',';
      line(depth + 1);
      if (!value(depth + 1)) return false;
    }
    if (count != 0) line(depth);
    out_ += ']';
    return true;
  }

  bool map(std::uint32_t depth) {
    std::uint32_t count = 0;
    if (depth == depth_max) return in_.fail("values are nested too deep");
    if (!in_.map(count)) return false;
    out_ += '{';
    for (std::uint32_t i = 0; i < count; ++i) {
      if (i != 0) out_ += ',';
      line(depth + 1);
      if (!key(depth + 1)) return false;
      out_ += indent_ < 0 ? ":" : ": ";
      if (!value(depth + 1)) return false;
    }
    if (count != 0) line(depth);
    out_ += '}';
    return true;
  }

  bool key(std::uint32_t depth) {
    const auto next = in_.peek();
    const bool container = next == kind::array || next == kind::map || next == kind::extension;
    // Each quoting doubles the backslashes of the one inside: keys of keys of keys would grow past any memory.
    if (container && in_key_) return in_.fail("a map is a key of a map that is a key");
    const auto from = out_.size();
    const int indent = std::exchange(indent_, -1);
    const bool outer = std::exchange(in_key_, true);
    const bool whole = value(depth);
    indent_ = indent;
    in_key_ = outer;
    if (!whole) return false;
    if (out_[from] != '"') {
      const std::string text = out_.substr(from);
      out_.resize(from);
      append_json_string(out_, text);
    }
    return true;
  }

  bool extension() {
    std::int8_t type = 0;
    std::string_view data;
    if (!in_.extension(type, data)) return false;
    const std::string time = type == -1 ? timestamp(data) : std::string{};
    if (!time.empty()) {
      append_json_string(out_, time);
      return true;
    }
    out_ += "{\"type\":";
    digits(static_cast<int>(type));
    out_ += ",\"data\":";
    append_json_string(out_, waggle::detail::base64_encode(data));
    out_ += '}';
    return true;
  }

  /// msgpack's own extension: 32 bits of seconds; 30 of nanoseconds and 34 of seconds; or 32 of nanoseconds and 64 of
  /// seconds.
  static std::string timestamp(std::string_view data) {
    const auto big_endian = [&](std::size_t from, std::size_t size) {
      std::uint64_t value = 0;
      for (std::size_t i = from; i < from + size; ++i) value = (value << 8) | static_cast<std::uint8_t>(data[i]);
      return value;
    };
    std::uint64_t seconds = 0, nanoseconds = 0;
    if (data.size() == 4) {
      seconds = big_endian(0, 4);
    } else if (data.size() == 8) {
      const auto both = big_endian(0, 8);
      nanoseconds = both >> 34;
      seconds = both & ((std::uint64_t{1} << 34) - 1);
    } else if (data.size() == 12) {
      nanoseconds = big_endian(0, 4);
      seconds = big_endian(4, 8);
    } else {
      return {};
    }
    if (nanoseconds > 999'999'999) return {};
    return waggle::detail::rfc3339(static_cast<std::int64_t>(seconds), static_cast<std::uint32_t>(nanoseconds));
  }

  void line(std::uint32_t depth) {
    if (indent_ < 0) return;
    out_ += '\n';
    out_.append(static_cast<std::size_t>(indent_) * depth, ' ');
  }

  reader in_;
  int indent_;
  std::string& out_;
  bool in_key_ = false;
};

}  // namespace detail

/// One msgpack value as JSON text, or INTERNAL when the bytes are not one msgpack value of at most `depth_max` levels.
/// An `indent` of 0 or more gives one line per value, as many spaces deeper per level.
///
/// What JSON lacks: a binary becomes its base64; a timestamp RFC 3339 text; another extension {"type": n, "data":
/// base64}; NaN and the infinities null; a key that is not a string its JSON text as a string; bytes in a string that
/// are not UTF-8 U+FFFD. A key that comes twice in a map comes twice in the text.
[[nodiscard]] inline result<std::string> try_msgpack_to_json(std::string_view msgpack, int indent = -1) {
  std::string out;
  out.reserve(msgpack.size() + msgpack.size() / 2);
  detail::json_printer printer{msgpack, indent, out};
  if (printer.document()) return out;
  return failure(status::internal, "malformed msgpack at byte " + std::to_string(printer.source().offset()) + ": " +
                                       printer.source().why());
}

/// The same for showing to people: `null` when the bytes are malformed.
[[nodiscard]] inline std::string msgpack_to_json(std::string_view msgpack, int indent = -1) {
  return try_msgpack_to_json(msgpack, indent).value_or("null");
}

}  // namespace waggle::wire
