#pragma once

#include <cstddef>
#include <string>
#include <string_view>

/// How messages name a place in a payload, and repeat text that came with it.
namespace waggle::detail {

/// How much of a peer's text is repeated in a message.
inline constexpr std::size_t shown_bytes_max = 64;

/// Where in a payload something stands: a chain on the stack, which becomes a text only when there is a problem.
struct place {
  const place* up;
  std::string_view name;  // of a field or key
  std::size_t index;      // of an element
  bool is_element;
};

/// UTF-8 text for a message: cut, and without what could harm a terminal.
inline void append_quoted(std::string& out, std::string_view text) {
  const bool is_cut = text.size() > shown_bytes_max;
  if (is_cut) {
    auto end = shown_bytes_max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    text = text.substr(0, end);
  }
  const auto escape = [&](unsigned byte) {
    constexpr std::string_view digits = "0123456789abcdef";
    out.append("\\u00").append(1, digits[byte >> 4]).append(1, digits[byte & 15]);
  };
  out += '"';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const unsigned byte = static_cast<unsigned char>(text[i]);
    const unsigned next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    if (byte < 0x20 || byte == 0x7f) {
      escape(byte);
    } else if (byte == 0xc2 && next < 0xa0) {  // U+0080 to U+009F
      escape(next);
      ++i;
    } else {
      if (byte == '"' || byte == '\\') out += '\\';
      out += text[i];
    }
  }
  out += is_cut ? "...\"" : "\"";
}

/// Keys of a map may be anything; those that would make a path ambiguous, or too long, are quoted.
inline bool is_plain(std::string_view name) {
  for (const char c : name) {
    const bool is_plain_byte =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (!is_plain_byte) return false;
  }
  return !name.empty() && name.size() <= shown_bytes_max;
}

inline void append_path(std::string& out, const place* at) {
  if (at == nullptr) return;
  append_path(out, at->up);
  if (at->is_element) {
    out += '[' + std::to_string(at->index) + ']';
  } else if (is_plain(at->name)) {
    if (!out.empty()) out += '.';
    out += at->name;
  } else {
    out += '[';
    append_quoted(out, at->name);
    out += ']';
  }
}

/// The path of a problem, as in `customer.addresses[2].zip`; empty for the payload itself.
[[nodiscard]] inline std::string path_of(const place* at) {
  std::string out;
  append_path(out, at);
  return out;
}

}  // namespace waggle::detail
