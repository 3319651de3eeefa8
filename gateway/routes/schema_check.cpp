#include "gateway/routes/schema_check.hpp"

#include <algorithm>
#include <array>
#include <bitset>

#include <waggle/detail/instant.hpp>
#include <waggle/detail/payload_path.hpp>
#include <waggle/detail/text.hpp>
#include <waggle/wire/json.hpp>
#include <waggle/wire/utf8.hpp>

#include "gateway/routes/schema_program.hpp"

namespace waggle::gateway {
namespace {

using namespace schema_detail;
using path_step = waggle::detail::place;
using wire::kind;

/// Schemas within schemas at one value, and values within values, together.
constexpr int visits_deep_max = 400;

std::string_view name_of(kind of) {
  switch (of) {
    case kind::nil: return "null";
    case kind::boolean: return "a boolean";
    case kind::unsigned_integer:
    case kind::integer: return "an integer";
    case kind::floating: return "a number";
    case kind::string: return "a string";
    case kind::binary: return "a binary";
    case kind::array: return "an array";
    case kind::map: return "an object";
    case kind::extension: return "an extension";
    case kind::none: break;
  }
  return "nothing";
}

std::string shown(number of) {
  if (of < 0x1p64L && of >= 0 && std::trunc(of) == of) return std::to_string(static_cast<std::uint64_t>(of));
  if (of < 0 && of >= -0x1p63L && std::trunc(of) == of) return std::to_string(static_cast<std::int64_t>(of));
  std::array<char, 32> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), static_cast<double>(of)).ptr;
  return {text.data(), end};
}

std::string counted(std::uint64_t count, std::string_view what) {
  return std::to_string(count) + ' ' + std::string{what} + (count == 1 ? "" : "s");
}

/// "2 elements", "at least 1 element": what bounds on a count ask for.
std::string wanted(const std::optional<std::uint64_t>& low, const std::optional<std::uint64_t>& high, std::string_view what,
                   std::uint64_t got) {
  std::string out = "expected ";
  if (low && high && *low == *high) {
    out += counted(*low, what);
  } else if (low && got < *low) {
    out += "at least " + counted(*low, what);
  } else {
    out += "at most " + counted(*high, what);
  }
  return out + ", got " + std::to_string(got);
}

bool outside(const std::optional<std::uint64_t>& low, const std::optional<std::uint64_t>& high, std::uint64_t got) {
  return (low && got < *low) || (high && got > *high);
}

std::string_view explained(text_format format) {
  switch (format) {
    case text_format::date_time: return "a date-time of RFC 3339, such as 2026-07-14T09:30:00Z";
    case text_format::date: return "a date of RFC 3339, such as 2026-07-14";
    case text_format::time: return "a time of RFC 3339, such as 09:30:00Z";
    case text_format::email: return "an e-mail address";
    case text_format::uuid: return "a UUID";
    case text_format::uri: return "a URI";
    case text_format::ipv4: return "an IPv4 address";
    case text_format::ipv6: return "an IPv6 address";
    case text_format::any: break;
  }
  return "as it should be";
}

/// One look at one payload. Every `visit` returns whether the value is good; with `report` it reads the value to its end and
/// records each problem, without it stops at the first.
class look {
 public:
  look(const program& of, std::size_t payload_bytes)
      : program_{of}, steps_left_{schema_steps_max + schema_steps_per_byte * payload_bytes} {}

  std::vector<problem> problems(std::string_view value) {
    wire::reader in{value};
    visit(program_.root, in, nullptr, true);
    if (exhausted_) return {};
    return std::move(problems_);
  }

 private:
  bool spend(std::size_t steps) {
    if (steps > steps_left_) exhausted_ = true;
    if (exhausted_) return false;
    steps_left_ -= steps;
    return true;
  }

  bool full() const { return exhausted_ || problems_.size() >= wire::error_problems_max; }

  /// Always false.
  template <class Message>
  bool wrong(const path_step* at, bool report, Message&& message) {
    if (report && !full()) problems_.push_back({waggle::detail::path_of(at), message()});
    return false;
  }

  struct level {
    explicit level(int& depth) : depth_{depth} { ++depth_; }
    ~level() { --depth_; }
    level(const level&) = delete;
    level& operator=(const level&) = delete;
    int& depth_;
  };

  /// Once exhausted, everything is good.
  bool visit(index which, wire::reader& in, const path_step* at, bool report) {
    const node& of = program_.nodes[which];
    if (of.trivial) return in.skip();
    const level here{deep_};
    if (deep_ > visits_deep_max) exhausted_ = true;
    if (!spend(1) || (report && full())) return in.skip();
    if (of.never) {
      in.skip();
      return wrong(at, report, [] { return std::string{"is not allowed here"}; });
    }
    const wire::reader start = in;
    const auto got = in.peek();
    if (of.types != 0 && (type_of(of, got, in) & of.types) == 0) {
      in.skip();
      return wrong(at, report, [&] { return "expected " + types_of(of) + ", got " + std::string{name_of(got)}; });
    }
    bool good = true;
    const auto also = [&](bool is) {
      good = good && is;
      return good || report;
    };
    const std::size_t problems_before = problems_.size();
    if (!also(by_kind(of, got, in, at, report))) return false;
    if (of.enumerated && problems_.size() == problems_before && !also(is_listed(of, start, at, report))) return false;
    if (of.in_place && !also(in_place(of, start, at, report))) return false;
    return good || exhausted_;
  }

  /// Of the value that comes next, which is of this kind.
  static std::uint8_t type_of(const node& of, kind is, wire::reader in) {
    switch (is) {
      case kind::nil: return null;
      case kind::boolean: return boolean;
      case kind::unsigned_integer:
      case kind::integer: return integer | real;
      case kind::floating: {
        double value = 0;
        in.floating(value);
        return std::isfinite(value) && std::trunc(value) == value ? integer | real : real;
      }
      case kind::string: return string;
      case kind::binary: return of.binary ? string : 0;
      case kind::extension: return of.format == text_format::date_time && is_timestamp(in) ? string : 0;
      case kind::array: return array;
      case kind::map: return object;
      case kind::none: break;
    }
    return 0;
  }

  static bool is_timestamp(wire::reader in) {
    std::int8_t type = 0;
    std::string_view bytes;
    return in.extension(type, bytes) && type == waggle::detail::timestamp_extension &&
           waggle::detail::read_timestamp_bytes(bytes).has_value();
  }

  static std::string types_of(const node& of) {
    std::vector<std::string_view> all;
    if ((of.types & object) != 0) all.push_back("an object");
    if ((of.types & array) != 0) all.push_back("an array");
    if ((of.types & string) != 0) {
      all.push_back(of.binary ? "a binary, or a string in base64" : of.format == text_format::date_time ? "a date-time" : "a string");
    }
    if ((of.types & real) != 0) {
      all.push_back("a number");
    } else if ((of.types & integer) != 0) {
      all.push_back("an integer");
    }
    if ((of.types & boolean) != 0) all.push_back("a boolean");
    if ((of.types & null) != 0) all.push_back("null");
    std::string out;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (i != 0) out += i + 1 == all.size() ? " or " : ", ";
      out += all[i];
    }
    return out;
  }

  bool by_kind(const node& of, kind is, wire::reader& in, const path_step* at, bool report) {
    switch (is) {
      case kind::unsigned_integer:
      case kind::integer:
      case kind::floating:
        if (of.minimum || of.maximum || of.multiple_of) return is_number(of, in, at, report);
        break;
      case kind::string: {
        std::string_view text;
        if (!in.string(text)) return false;
        if (!spend(text.size() / 16)) return true;
        if (!wire::is_utf8(text)) return wrong(at, report, [] { return std::string{"the string is not UTF-8"}; });
        return !of.of_strings || is_text(of, text, false, at, report);
      }
      case kind::binary:
      case kind::extension:
        if (of.of_strings) return is_text_in_json(of, in, at, report);
        break;
      case kind::array:
        if (of.of_arrays) return is_array(of, in, at, report);
        break;
      case kind::map:
        if (of.of_objects) return is_object(of, in, at, report);
        break;
      default: break;
    }
    return in.skip();
  }

  bool is_number(const node& of, wire::reader& in, const path_step* at, bool report) {
    number is = 0;
    if (in.peek() == kind::floating) {
      double value = 0;
      in.floating(value);
      is = value;
    } else if (in.peek() == kind::unsigned_integer) {
      std::uint64_t value = 0;
      in.unsigned_integer(value);
      is = static_cast<number>(value);
    } else {
      std::int64_t value = 0;
      in.integer(value);
      is = static_cast<number>(value);
    }
    const bool low = of.minimum && !(of.minimum_excluded ? is > *of.minimum : is >= *of.minimum);
    const bool high = of.maximum && !(of.maximum_excluded ? is < *of.maximum : is <= *of.maximum);
    bool good = true;
    if (low || high) {
      good = wrong(at, report, [&] {
        std::string out = "expected ";
        if (of.minimum && of.maximum && !of.minimum_excluded && !of.maximum_excluded) {
          out += shown(*of.minimum) + " to " + shown(*of.maximum);
        } else if (low) {
          out += of.minimum_excluded ? "more than " + shown(*of.minimum) : shown(*of.minimum) + " or more";
        } else {
          out += of.maximum_excluded ? "less than " + shown(*of.maximum) : shown(*of.maximum) + " or less";
        }
        return out + ", got " + shown(is);
      });
    }
    if (of.multiple_of && !is_multiple(is, *of.multiple_of)) {
      good = wrong(at, report, [&] { return "expected a multiple of " + shown(*of.multiple_of) + ", got " + shown(is); });
    }
    return good;
  }

  /// Exact for integers; otherwise as far as doubles tell: 19.99 is a multiple of 0.01.
  static bool is_multiple(number is, number of) {
    if (!std::isfinite(is)) return false;
    if (std::fmod(is, of) == 0) return true;
    if (std::trunc(is) == is && std::trunc(of) == of) return false;
    const number quotient = is / of;
    return std::isfinite(quotient) && std::fabs(quotient - std::round(quotient)) <= 1e-15L * std::fabs(quotient);
  }

  bool is_text(const node& of, std::string_view text, bool was_bytes, const path_step* at, bool report) {
    bool good = true;
    if (of.min_length || of.max_length) {
      const auto length = static_cast<std::uint64_t>(
          std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
      if (outside(of.min_length, of.max_length, length)) {
        good = wrong(at, report, [&] { return wanted(of.min_length, of.max_length, "character", length); });
      }
    }
    if (of.text && spend(text.size() / 16) && !re2::RE2::PartialMatch({text.data(), text.size()}, *of.text->is)) {
      good = wrong(at, report, [&] { return "the string does not match the pattern " + of.text->shown; });
    }
    if (!fits(of.format, text)) {
      good = wrong(at, report, [&] { return "the string is not " + std::string{explained(of.format)}; });
    }
    if (of.base64 && !was_bytes && !waggle::detail::base64_decode(text)) {
      good = wrong(at, report, [] { return std::string{"the string is not base64 (RFC 4648, with padding)"}; });
    }
    return good;
  }

  /// A binary or a timestamp, by its text in JSON. Another extension is no string.
  bool is_text_in_json(const node& of, wire::reader& in, const path_step* at, bool report) {
    std::string_view bytes;
    if (in.peek() == kind::binary) {
      if (!in.binary(bytes)) return false;
      const bool needs_text = of.min_length || of.max_length || of.text || of.format != text_format::any;
      return !needs_text || !spend(bytes.size() / 8) || is_text(of, waggle::detail::base64_encode(bytes), true, at, report);
    }
    std::int8_t type = 0;
    if (!is_timestamp(in)) return in.skip();
    if (!in.extension(type, bytes)) return false;
    const bool needs_text = of.min_length || of.max_length || of.text || of.base64 ||
                            (of.format != text_format::any && of.format != text_format::date_time);
    if (!needs_text) return true;
    const auto is = *waggle::detail::read_timestamp_bytes(bytes);
    return is_text(of, waggle::detail::rfc3339(is.seconds, is.nanoseconds), false, at, report);
  }

  bool is_array(const node& of, wire::reader& in, const path_step* at, bool report) {
    const wire::reader start = in;
    std::uint32_t count = 0;
    if (!in.array(count)) return false;
    bool good = true;
    if (outside(of.min_items, of.max_items, count)) {
      good = wrong(at, report, [&] { return wanted(of.min_items, of.max_items, "element", count); });
      if (!report) return false;
    }
    std::uint64_t contained = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      const path_step step{at, {}, i, true};
      const auto which = i < of.first_items.size() ? of.first_items[i] : of.items;
      if (of.contains != none) {
        wire::reader again = in;
        contained += visit(of.contains, again, &step, false) ? 1 : 0;
      }
      good = visit(which, in, &step, report) && good;
      if (!good && !report) return false;
    }
    if (of.contains != none) {
      const auto low = of.min_contains ? of.min_contains : std::optional<std::uint64_t>{1};
      if (outside(low, of.max_contains, contained)) {
        good = wrong(at, report, [&] { return wanted(low, of.max_contains, "element", contained) + " that fits `contains`"; });
      }
    }
    if (of.unique && count > 1) good = is_unique(start, at, report) && good;
    return good;
  }

  bool is_unique(wire::reader in, const path_step* at, bool report) {
    std::uint32_t count = 0;
    if (!spend(in.bytes_left() / 4) || !in.array(count)) return true;
    std::vector<std::pair<std::string, std::uint32_t>> all(count);
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!append_canonical(all[i].first, in, static_cast<int>(wire::depth_max))) return true;
      all[i].second = i;
    }
    std::sort(all.begin(), all.end());
    std::vector<std::uint32_t> twice;
    for (std::uint32_t i = 1; i < count; ++i) {
      if (all[i].first == all[i - 1].first) twice.push_back(all[i].second);
    }
    std::sort(twice.begin(), twice.end());
    for (const auto i : twice) {
      const path_step step{at, {}, i, true};
      wrong(&step, report, [] { return std::string{"is there more than once"}; });
    }
    return twice.empty();
  }

  bool is_object(const node& of, wire::reader& in, const path_step* at, bool report) {
    const wire::reader start = in;
    std::uint32_t count = 0;
    if (!in.map(count)) return false;
    bool good = true;
    if (outside(of.min_properties, of.max_properties, count)) {
      good = wrong(at, report, [&] { return wanted(of.min_properties, of.max_properties, "field", count); });
      if (!report) return false;
    }
    std::bitset<schema_properties_max> seen;
    std::size_t likely = 0;  // who sends fields in the schema's order is matched at once
    for (std::uint32_t i = 0; i < count; ++i) {
      std::string_view key;
      if (in.peek() != kind::string) {
        const auto got = in.peek();
        in.skip();
        in.skip();
        if (of.more == any_value && of.names == any_value && of.patterns.empty()) continue;
        good = wrong(at, report, [&] { return "expected a string as key, got " + std::string{name_of(got)}; });
        if (!report) return false;
        continue;
      }
      wire::reader key_at = in;
      if (!in.string(key)) return false;
      const path_step step{at, key, 0, false};
      if (!wire::is_utf8(key)) {
        in.skip();
        good = wrong(at, report, [] { return std::string{"a key is not UTF-8"}; });
        if (!report) return false;
        continue;
      }
      const auto known = find(of, key, likely);
      if (known < of.properties.size()) {
        likely = known + 1;
        if (seen[known]) {
          in.skip();
          good = wrong(&step, report, [] { return std::string{"is there more than once"}; });
          if (!report) return false;
          continue;
        }
        seen[known] = true;
      }
      good = is_entry(of, known, key, key_at, in, &step, report) && good;
      if (!good && !report) return false;
    }
    for (std::size_t i = 0; i < of.properties.size(); ++i) {
      if (!of.properties[i].required || seen[i]) continue;
      const path_step step{at, of.properties[i].name, 0, false};
      good = wrong(&step, report, [] { return std::string{"is missing"}; });
      if (!report) return false;
    }
    for (const auto& each : of.dependencies) {
      if (has(start, each.name)) good = depends(each, start, at, report) && good;
    }
    return good;
  }

  static std::size_t find(const node& of, std::string_view key, std::size_t likely) {
    if (likely < of.properties.size() && of.properties[likely].name == key) return likely;
    const auto found = std::lower_bound(of.by_name.begin(), of.by_name.end(), key,
                                        [&](std::uint32_t a, std::string_view b) { return of.properties[a].name < b; });
    return found != of.by_name.end() && of.properties[*found].name == key ? *found : of.properties.size();
  }

  /// One field; `in` stands at its value, `key_at` at its key.
  bool is_entry(const node& of, std::size_t known, std::string_view key, wire::reader key_at, wire::reader& in,
                const path_step* at, bool report) {
    bool good = of.names == any_value || visit(of.names, key_at, at, report);
    if (!good && !report) return false;
    const wire::reader value = in;
    bool named = false;
    if (known < of.properties.size() && of.properties[known].is != none) {
      named = true;
      good = visit(of.properties[known].is, in, at, report) && good;
      if (!good && !report) return false;
    }
    for (const auto& [text, which] : of.patterns) {
      if (!spend(1 + key.size() / 16) || !re2::RE2::PartialMatch({key.data(), key.size()}, *text.is)) continue;
      named = true;
      in = value;
      good = visit(which, in, at, report) && good;
      if (!good && !report) return false;
    }
    if (!named) return visit(of.more, in, at, report) && good;
    return good;
  }

  bool has(wire::reader in, std::string_view name) {
    bool found = false;
    if (!spend(in.bytes_left() / 64)) return false;
    wire::read_entries(in, [&](std::string_view key) {
      found = found || key == name;
      return in.skip();
    });
    return found;
  }

  bool depends(const dependency& on, const wire::reader& object, const path_step* at, bool report) {
    bool good = true;
    for (const auto& each : on.required) {
      if (has(object, each) || exhausted_) continue;
      const path_step step{at, each, 0, false};
      good = wrong(&step, report, [&] {
        std::string out = "is missing, which goes with ";
        waggle::detail::append_quoted(out, on.name);
        return out;
      });
    }
    wire::reader again = object;
    return visit(on.is, again, at, report) && good;
  }

  bool is_listed(const node& of, wire::reader value, const path_step* at, bool report) {
    const wire::reader start = value;
    if (!value.skip() || !spend((value.offset() - start.offset()) / 16)) return true;
    std::string canonical;
    wire::reader again = start;
    if (!append_canonical(canonical, again, static_cast<int>(wire::depth_max))) return true;
    if (std::binary_search(of.values.begin(), of.values.end(), canonical)) return true;
    return wrong(at, report, [&] {
      std::string out = "expected " + of.values_shown + ", got ";
      wire::reader in = start;
      std::string_view text;
      if (in.peek() == kind::string && in.string(text)) {
        waggle::detail::append_quoted(out, text);
      } else if (in.peek() == kind::array || in.peek() == kind::map || !in.raw(text) || text.size() > 16) {
        out += name_of(start.peek());
      } else {
        out += wire::msgpack_to_json(text);
      }
      return out;
    });
  }

  bool in_place(const node& of, const wire::reader& value, const path_step* at, bool report) {
    bool good = true;
    const auto visit_again = [&](index which, bool loud) {
      wire::reader again = value;
      return visit(which, again, at, loud);
    };
    const auto must = [&](index which) {
      if (which == any_value || which == none || (!good && !report)) return;
      good = visit_again(which, report) && good;
    };
    must(of.reference);
    for (const auto each : of.all_of) must(each);
    if (!good && !report) return false;
    if (!of.any_of.empty()) {
      const auto fit = std::any_of(of.any_of.begin(), of.any_of.end(), [&](index each) { return visit_again(each, false); });
      if (!fit) good = explain(of.any_of, value, at, report);
    }
    if (!of.one_of.empty()) {
      const auto fit = std::count_if(of.one_of.begin(), of.one_of.end(), [&](index each) { return visit_again(each, false); });
      if (fit == 0) good = explain(of.one_of, value, at, report);
      if (fit > 1 && !exhausted_) {
        good = wrong(at, report, [&] {
          return "fits " + std::to_string(fit) + " of " + std::to_string(of.one_of.size()) + " alternatives, expected one";
        });
      }
    }
    if (of.negated != none && visit_again(of.negated, false) && !exhausted_) {
      good = wrong(at, report, [] { return std::string{"is what it must not be"}; });
    }
    if (of.condition != none) must(visit_again(of.condition, false) ? of.then : of.otherwise);
    return good;
  }

  /// Why none of the alternatives fits. If the value's type leaves only one of them, its problems are what somebody has to know.
  bool explain(const std::vector<index>& alternatives, const wire::reader& value, const path_step* at, bool report) {
    if (!report || exhausted_) return exhausted_;
    index likely = none;
    std::size_t candidates = 0;
    bool typed = true;
    std::string expected;
    for (std::size_t i = 0; i < alternatives.size(); ++i) {
      const node* of = &program_.nodes[alternatives[i]];
      for (int hops = 0; of->types == 0 && of->reference != none && hops < 16; ++hops) of = &program_.nodes[of->reference];
      if (of->types == 0 && of->never) continue;
      if (of->types == 0 || (type_of(*of, value.peek(), value) & of->types) != 0) {
        ++candidates;
        likely = alternatives[i];
      }
      typed = typed && of->types != 0;
      if (!typed) continue;
      const auto types = types_of(*of);
      if (expected.find(types) != std::string::npos) continue;
      if (!expected.empty()) expected += " or ";
      expected += types;
    }
    if (candidates == 1) {
      wire::reader again = value;
      return visit(likely, again, at, true);
    }
    return wrong(at, true, [&] {
      if (candidates == 0 && !expected.empty()) return "expected " + expected + ", got " + std::string{name_of(value.peek())};
      return "fits none of " + counted(alternatives.size(), "alternative");
    });
  }

  const program& program_;
  std::size_t steps_left_;
  std::vector<problem> problems_;
  int deep_ = 0;
  bool exhausted_ = false;
};

}  // namespace

tl::expected<schema_check, std::string> schema_check::compile(const json_value& schema) {
  auto made = schema_detail::compile(schema);
  if (!made) return tl::unexpected{std::move(made.error())};
  return schema_check{std::make_shared<const program>(std::move(*made))};
}

std::vector<problem> schema_check::check(std::string_view msgpack) const {
  if (msgpack.empty()) msgpack = std::string_view{"\xc0", 1};
  wire::reader in{msgpack};
  if (!in.skip()) return {{"", std::string{in.why()} + " (at byte " + std::to_string(in.offset()) + ")"}};
  if (!in.at_end()) return {{"", "the value ends at byte " + std::to_string(in.offset()) + ", and there are more"}};
  return check_value(msgpack);
}

std::vector<problem> schema_check::check_value(std::string_view msgpack) const {
  const auto root = wire::reader{msgpack}.peek();
  const node* top = &program_->nodes[program_->root];
  for (std::size_t hops = 0; top->types == 0 && top->reference != none && hops < schema_depth_max; ++hops) {
    top = &program_->nodes[top->reference];
  }
  const auto types = top->types;
  if (root == wire::kind::map && types == schema_detail::null) return {};
  if (root == wire::kind::nil && (types & (object | null)) == object) msgpack = std::string_view{"\x80", 1};
  return look{*program_, msgpack.size()}.problems(msgpack);
}

}  // namespace waggle::gateway
