#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <waggle/detail/eights.hpp>
#include <waggle/wire/utf8.hpp>

namespace waggle::wire {

namespace detail {

/// What stands for itself in a JSON string: ASCII without control characters, quote and backslash.
inline constexpr auto plain_in_json = [] {
  std::array<bool, 256> out{};
  for (std::size_t byte = 0x20; byte < 0x80; ++byte) out[byte] = byte != '"' && byte != '\\';
  return out;
}();

/// Whether all bytes are such, which is true of nearly all texts.
[[nodiscard]] inline bool is_plain_in_json(std::string_view text) {
  using waggle::detail::eight;
  return waggle::detail::has_none(text, ' ', [](std::uint64_t block) {
    const auto if_quote = block ^ eight('"'), if_backslash = block ^ eight('\\');
    // The top bit of a byte from 0x80 on, and of one that a subtraction takes below zero. What is borrowed from its neighbour then counts no more.
    return block | (block - eight(0x20)) | (if_quote - eight(1)) | (if_backslash - eight(1));
  });
}

}  // namespace detail

/// Appends `text` as a JSON string with its quotes. Bytes that are not part of well-formed UTF-8 become U+FFFD each.
inline void append_json_string(std::string& out, std::string_view text) {
  if (detail::is_plain_in_json(text)) {
    out.push_back('"');
    out.append(text);
    out.push_back('"');
    return;
  }
  constexpr std::string_view hex = "0123456789abcdef";
  const bool well_formed = is_utf8(text);
  std::size_t done = 0;
  const auto replace = [&](std::size_t at, std::string_view by) {
    out.append(text.substr(done, at - done));
    out.append(by);
    done = at + 1;
  };
  out.push_back('"');
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (detail::plain_in_json[byte]) continue;
    if (byte == '"') {
      replace(i, "\\\"");
    } else if (byte == '\\') {
      replace(i, "\\\\");
    } else if (byte < 0x20) {
      switch (byte) {
        case '\b': replace(i, "\\b"); break;
        case '\f': replace(i, "\\f"); break;
        case '\n': replace(i, "\\n"); break;
        case '\r': replace(i, "\\r"); break;
        case '\t': replace(i, "\\t"); break;
        default: {
          const char escaped[] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 0x0f]};
          replace(i, {escaped, sizeof escaped});
        }
      }
    } else if (byte >= 0x80 && !well_formed) {
      const std::size_t size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      if (is_utf8(text.substr(i, size))) {
        i += size - 1;
      } else {
        replace(i, "\xef\xbf\xbd");
      }
    }
  }
  out.append(text.substr(done));
  out.push_back('"');
}

}  // namespace waggle::wire
