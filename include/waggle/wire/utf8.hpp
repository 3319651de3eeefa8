#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include <waggle/detail/eights.hpp>
#include <waggle/wire/limits.hpp>

namespace waggle::wire {

/// Whether the bytes are well-formed UTF-8 (Unicode 15, table 3-7): no surrogates, no overlong forms, nothing above U+10FFFF.
[[nodiscard]] inline bool is_utf8(std::string_view text) {
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const end = at + text.size();
  const auto continues = [&](std::ptrdiff_t i, unsigned char low = 0x80, unsigned char high = 0xbf) {
    return end - at > i && at[i] >= low && at[i] <= high;
  };
  while (at != end) {
    if (end - at >= 8) {  // ASCII, eight bytes at a time
      std::uint64_t block;
      std::memcpy(&block, at, 8);
      if ((block & 0x8080808080808080u) == 0) {
        at += 8;
        continue;
      }
    }
    const unsigned char lead = *at;
    if (lead < 0x80) {
      at += 1;
    } else if (lead >= 0xc2 && lead <= 0xdf && continues(1)) {
      at += 2;
    } else if (lead >= 0xe0 && lead <= 0xef &&
               continues(1, lead == 0xe0 ? 0xa0 : 0x80, lead == 0xed ? 0x9f : 0xbf) && continues(2)) {
      at += 3;
    } else if (lead >= 0xf0 && lead <= 0xf4 &&
               continues(1, lead == 0xf0 ? 0x90 : 0x80, lead == 0xf4 ? 0x8f : 0xbf) && continues(2) && continues(3)) {
      at += 4;
    } else {
      return false;
    }
  }
  return true;
}

namespace detail {

/// Whether all bytes are 0x21 to 0x7e, which is what names are made of almost always.
[[nodiscard]] inline bool is_ascii_name(std::string_view text) {
  using waggle::detail::eight;
  return waggle::detail::has_none(text, '!', [](std::uint64_t block) { return block | ~(block + eight(0x5f)) | (block + eight(1)); });  // no carries below 0x80
}

}  // namespace detail

/// A command, topic, service or header name: 1 to `name_bytes_max` bytes of UTF-8 without spaces or control characters, so that
/// it can stand in a log line, a URL and a terminal as it is.
[[nodiscard]] inline bool is_name(std::string_view text) {
  if (text.empty() || text.size() > name_bytes_max) return false;
  if (detail::is_ascii_name(text)) return true;
  bool ascii = true;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7f) return false;
    ascii = ascii && byte < 0x80;
  }
  if (ascii) return true;
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {  // C1 controls, U+0080 to U+009F
    const auto next = static_cast<unsigned char>(text[i + 1]);
    if (static_cast<unsigned char>(text[i]) == 0xc2 && next >= 0x80 && next <= 0x9f) return false;
  }
  return is_utf8(text);
}

}  // namespace waggle::wire
