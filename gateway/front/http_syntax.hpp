#pragma once

#include <array>
#include <cstdint>
#include <string_view>

/// The character classes of RFC 9110 section 5.6 and RFC 9112, as one table so that a check is one load for each byte.
namespace waggle::front::syntax {

enum : std::uint8_t {
  token_char = 1,   // tchar
  target_char = 2,  // visible ASCII without '#', which a target never has, and '\', which some software reads as '/'
  value_char = 4,   // VCHAR, SP, HTAB and obs-text: what a field value may hold
  host_char = 8,    // of uri-host and port: no user info, no path, no list
};

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> out{};
  for (unsigned c = 0; c < 256; ++c) {
    std::uint8_t is = 0;
    const char ch = static_cast<char>(c);
    const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (c < 0x80 && (alphanumeric || std::string_view("!#$%&'*+-.^_`|~").find(ch) != std::string_view::npos)) {
      is |= token_char;
    }
    if (c > 0x20 && c < 0x7f && c != '#' && c != '\\') is |= target_char;
    if (c == '\t' || (c >= 0x20 && c != 0x7f)) is |= value_char;
    if (c < 0x80 && (alphanumeric || std::string_view("-._~%!$&'()*+;=:[]").find(ch) != std::string_view::npos)) {
      is |= host_char;
    }
    out[c] = is;
  }
  return out;
}

inline constexpr auto classes = make_classes();

/// Whether every byte of `text` is of the class; true of the empty text.
[[nodiscard]] inline bool all(std::string_view text, std::uint8_t wanted) {
  for (const char c : text) {
    if ((classes[static_cast<unsigned char>(c)] & wanted) == 0) return false;
  }
  return true;
}

[[nodiscard]] inline bool is_token(std::string_view text) { return !text.empty() && all(text, token_char); }

/// ASCII only, whatever the locale: a Turkish i must not make two headers of one.
[[nodiscard]] constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

[[nodiscard]] constexpr bool equal_without_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

/// Without the optional white space (SP and HTAB) around it.
[[nodiscard]] constexpr std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace waggle::front::syntax
