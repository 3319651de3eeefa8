#pragma once

#include <map>
#include <string>
#include <string_view>

#include <waggle/wire/limits.hpp>
#include <waggle/wire/reader.hpp>
#include <waggle/wire/writer.hpp>

namespace waggle {

/// What travels with a call or an event beside its payload: `key`, `traceparent`, and whatever callers and services agree on.
/// Names are names (wire/utf8.hpp), values UTF-8.
using header_map = std::map<std::string, std::string, std::less<>>;

namespace wire {

/// One msgpack map; nothing at all for no headers.
[[nodiscard]] inline std::string headers_to_msgpack(const header_map& from) {
  std::string out;
  if (from.empty()) return out;
  writer to{out};
  to.map(from.size());
  for (const auto& [key, value] : from) {
    to.string(key);
    to.string(value);
  }
  return out;
}

/// The entries that are texts; a peer may send others, which this side has no use for.
[[nodiscard]] inline header_map headers_from_msgpack(std::string_view bytes) {
  header_map out;
  reader in{bytes};
  if (bytes.empty()) return out;
  read_entries(in, [&](std::string_view key) {
    std::string_view value;
    if (in.peek() != kind::string) return in.skip();
    if (!in.string(value)) return false;
    if (is_name(key) && is_utf8(value)) out.insert_or_assign(std::string{key}, std::string{value});
    return true;
  });
  return out;
}

/// Why these headers cannot be sent; null if they can.
[[nodiscard]] inline const char* headers_problem(const header_map& from) {
  std::size_t bytes = 5;
  for (const auto& [key, value] : from) {
    if (!is_name(key)) return "a header's name is 1 to 128 bytes without spaces or control characters";
    if (!is_utf8(value)) return "a header's value is UTF-8";
    bytes += key.size() + value.size() + 6;
  }
  if (from.size() > headers_count_max) return "there are more than 64 headers";
  return bytes > headers_bytes_max ? "the headers are larger than 8 KiB" : nullptr;
}

}  // namespace wire
}  // namespace waggle
