#include "gateway/routes/body.hpp"

#include <algorithm>

#include <waggle/wire/limits.hpp>
#include <waggle/wire/reader.hpp>
#include <waggle/wire/utf8.hpp>
#include <waggle/wire/writer.hpp>

namespace waggle::gateway {
namespace {

using wire::kind;
using wire::reader;

bool distinct(std::vector<std::string_view>& keys, std::size_t from) {
  const auto begin = keys.begin() + static_cast<std::ptrdiff_t>(from);
  std::sort(begin, keys.end());
  return std::adjacent_find(begin, keys.end()) == keys.end();
}

/// `keys` holds the string keys of all the maps that are open, so that a map allocates nothing of its own.
bool check(reader& in, std::vector<std::string_view>& keys, std::uint32_t depth_left) {
  std::uint32_t count = 0;
  std::string_view text;
  switch (in.peek()) {
    case kind::string: return in.string(text) && (wire::is_utf8(text) || in.fail("a string is not UTF-8"));
    case kind::array:
      if (depth_left == 0) return in.fail("values are nested too deep");
      if (!in.array(count)) return false;
      for (std::uint32_t i = 0; i < count; ++i) {
        if (!check(in, keys, depth_left - 1)) return false;
      }
      return true;
    case kind::map: {
      if (depth_left == 0) return in.fail("values are nested too deep");
      if (!in.map(count)) return false;
      const auto from = keys.size();
      for (std::uint32_t i = 0; i < count; ++i) {
        if (in.peek() == kind::string) {
          if (!in.string(text)) return false;
          if (!wire::is_utf8(text)) return in.fail("a string is not UTF-8");
          keys.push_back(text);
        } else if (!check(in, keys, depth_left - 1)) {
          return false;
        }
        if (!check(in, keys, depth_left - 1)) return false;
      }
      if (!distinct(keys, from)) return in.fail("a key comes twice in a map");
      keys.resize(from);
      return true;
    }
    default: return in.skip(0);
  }
}

}  // namespace

const char* wrong_with_msgpack(std::string_view bytes, std::size_t& offset) {
  reader in{bytes};
  std::vector<std::string_view> keys;
  const bool whole = check(in, keys, wire::depth_max) && (in.at_end() || in.fail("more bytes after the value"));
  offset = in.offset();
  return whole ? nullptr : in.why();
}

std::optional<std::string_view> find_in(std::string_view value, const std::vector<std::string>& steps) {
  for (const auto& step : steps) {
    reader in{value};
    std::optional<std::string_view> found;
    if (in.peek() != kind::map) return std::nullopt;
    wire::read_entries(in, [&](std::string_view key) {
      std::string_view entry;
      if (!in.raw(entry)) return false;
      if (key != step) return true;
      found = entry;
      return false;  // no key comes twice
    });
    if (!found) return std::nullopt;
    value = *found;
  }
  return value;
}

void map_builder::key(std::string_view key) {
  ++count_;
  wire::writer{out_}.string(key);
}

void map_builder::entry(std::string_view key_and_value) {
  ++count_;
  out_ += key_and_value;
}

void map_builder::finish() {
  std::string header;
  wire::writer{header}.map(count_);
  out_.replace(header_, 1, header);
}

}  // namespace waggle::gateway
