#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include <waggle/wire/reader.hpp>
#include <waggle/wire/writer.hpp>

/// Single entries of headers, which are one msgpack map or nothing.
namespace waggle::broker {

/// A header that is a text; empty if it is not there, or is something else.
[[nodiscard]] inline std::string_view header_of(std::string_view headers, std::string_view name) {
  std::string_view out;
  if (headers.empty()) return out;
  wire::reader in{headers};
  wire::read_entries(in, [&](std::string_view key) {
    if (key != name || in.peek() != wire::kind::string) return in.skip();
    return in.string(out);
  });
  return out;
}

/// The same headers with one entry less and one more.
[[nodiscard]] inline std::string with_header(std::string_view headers, std::string_view without, std::string_view name, std::string_view value) {
  std::string body;
  std::size_t count = 1;
  wire::writer to{body};
  to.string(name);
  to.string(value);
  if (!headers.empty()) {
    wire::reader in{headers};
    wire::read_entries(in, [&](std::string_view key) {
      std::string_view raw;
      if (!in.raw(raw)) return false;
      if (key == without || key == name) return true;
      to.string(key);
      to.raw(raw);
      ++count;
      return true;
    });
  }
  std::string out;
  wire::writer head{out};
  head.map(count);
  return out += body;
}

/// A text of digits only as a number; nothing if it is none.
[[nodiscard]] inline std::optional<std::uint64_t> digits(std::string_view text) {
  std::uint64_t out = 0;
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || wrong != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return out;
}

}  // namespace waggle::broker
