#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <re2/re2.h>
#include <tl/expected.hpp>

#include <waggle/wire/reader.hpp>

#include "gateway/routes/text_rule.hpp"

/// A JSON Schema as `schema_check` runs it: subschemas that name each other by their index.
namespace waggle::gateway::schema_detail {

/// Holds every integer of 64 bits and every double as it is.
using number = long double;
static_assert(std::numeric_limits<number>::digits >= 64);

using index = std::uint32_t;
inline constexpr index any_value = 0;  ///< the node that asserts nothing
inline constexpr index none = std::numeric_limits<index>::max();

enum type : std::uint8_t { null = 1, boolean = 2, integer = 4, real = 8, string = 16, array = 32, object = 64 };

enum class text_format : std::uint8_t { any, date_time, date, time, email, uuid, uri, ipv4, ipv6 };

struct pattern {
  std::string shown;
  std::unique_ptr<re2::RE2> is;
};

struct property {
  std::string name;
  index is = any_value;
  bool required = false;
};

/// What an object must have, or be, if it has a certain key.
struct dependency {
  std::string name;
  std::vector<std::string> required;
  index is = any_value;
};

struct node {
  bool never = false;
  std::uint8_t types = 0;  // 0: any

  std::vector<std::string> values;  // of `enum` or `const`, in canonical form
  std::string values_shown;
  bool enumerated = false;

  std::optional<number> minimum, maximum, multiple_of;
  bool minimum_excluded = false, maximum_excluded = false;

  std::optional<std::uint64_t> min_length, max_length;
  std::optional<pattern> text;
  text_format format = text_format::any;
  bool binary = false;  // a string that stands for bytes
  bool base64 = false;

  std::vector<index> first_items;
  index items = any_value, contains = none;
  std::optional<std::uint64_t> min_items, max_items, min_contains, max_contains;
  bool unique = false;

  std::vector<property> properties;
  std::vector<std::uint32_t> by_name;  // of `properties`
  std::vector<std::pair<pattern, index>> patterns;
  index more = any_value, names = any_value;
  std::vector<dependency> dependencies;
  std::optional<std::uint64_t> min_properties, max_properties;

  index reference = none, negated = none, condition = none, then = any_value, otherwise = any_value;
  std::vector<index> all_of, any_of, one_of;

  bool of_strings = false, of_arrays = false, of_objects = false, in_place = false;
  bool trivial = false;
};

struct program {
  std::vector<node> nodes;
  index root = any_value;
};

/// Equal values, as JSON Schema means it (1 is 1.0, an object's keys have no order), have equal canonical forms.
bool append_canonical(std::string& out, wire::reader& in, int depth_left);
bool append_canonical(std::string& out, const json_value& from, int depth_left);

tl::expected<program, std::string> compile(const json_value& schema);

bool fits(text_format format, std::string_view text);

}  // namespace waggle::gateway::schema_detail
