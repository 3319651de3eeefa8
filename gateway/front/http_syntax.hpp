#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include <waggle/detail/eights.hpp>

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

/// The top bit of a byte below 0x20, and of one that is 0x7f; of others only where they stand above such a byte, which borrows from them. Those from 0x80
/// on have none.
[[nodiscard]] constexpr std::uint64_t control_characters(std::uint64_t block) {
  using waggle::detail::eight;
  const std::uint64_t if_delete = block ^ eight(0x7f);
  return ((block - eight(0x20)) & ~block) | ((if_delete - eight(1)) & ~if_delete);
}

/// The same as `all` with `value_char`: values are the most of what there is of a head.
[[nodiscard]] inline bool is_field_value(std::string_view text) {
  return waggle::detail::has_none(text, 'a', control_characters) || all(text, value_char);  // a tab is allowed
}

/// Whether all bytes are visible ASCII or spaces, as those of a request line.
[[nodiscard]] inline bool is_visible(std::string_view text) {
  return waggle::detail::has_none(text, 'a', [](std::uint64_t block) { return control_characters(block) | block; });
}

[[nodiscard]] inline bool is_token(std::string_view text) { return !text.empty() && all(text, token_char); }

/// ASCII only, whatever the locale: a Turkish i must not make two headers of one.
[[nodiscard]] constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
[[nodiscard]] inline std::string lower(std::string text) {
  for (char& each : text) each = lower(each);
  return text;
}

[[nodiscard]] constexpr bool equal_without_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

/// uri-host [ ":" port ] (RFC 9110 section 7.2, RFC 3986 section 3.2) with a host that is not empty and a port that can
/// be one, so that nobody behind this reads another host or port out of it. Zones of addresses are not for the wire.
[[nodiscard]] constexpr bool is_authority(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto is_hex = [&](char c) { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f'); };
  std::string_view port;
  if (!text.empty() && text.front() == '[') {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return false;
    std::string_view address = text.substr(1, end - 1);
    port = text.substr(end + 1);
    const bool is_future = !address.empty() && lower(address.front()) == 'v';
    std::size_t colons = 0, dots = 0;
    for (const char c : address.substr(is_future ? 1 : 0)) {
      colons += c == ':';
      dots += c == '.';
      const bool fits = is_future ? c != '[' && c != '%' : is_hex(c) || c == ':' || c == '.';
      if (!fits || (classes[static_cast<unsigned char>(c)] & host_char) == 0) return false;
    }
    if (is_future ? dots == 0 : colons < 2) return false;
  } else {
    const std::size_t end = text.find(':') < text.size() ? text.find(':') : text.size();
    const std::string_view name = text.substr(0, end);
    port = text.substr(end);
    if (name.empty()) return false;
    for (std::size_t i = 0; i < name.size(); ++i) {
      const char c = name[i];
      if (c == '[' || c == ']' || (classes[static_cast<unsigned char>(c)] & host_char) == 0) return false;
      if (c == '%' && (i + 2 >= name.size() || !is_hex(name[i + 1]) || !is_hex(name[i + 2]))) return false;
    }
  }
  if (port.empty()) return true;
  if (port.front() != ':' || port.size() > 6) return false;
  unsigned number = 0;
  for (const char c : port.substr(1)) {
    if (!is_digit(c)) return false;
    number = number * 10 + static_cast<unsigned>(c - '0');
  }
  return number <= 65535;
}

/// Without the optional white space (SP and HTAB) around it.
[[nodiscard]] constexpr std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Of a list or of parameters: cuts off and returns what comes before the next separator that is not inside a quoted string.
[[nodiscard]] constexpr std::string_view next_part(std::string_view& left, char separator) {
  bool quoted = false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (quoted && left[i] == '\\') {
      ++i;
    } else if (left[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && left[i] == separator) {
      const auto part = left.substr(0, i);
      left.remove_prefix(i + 1);
      return trim(part);
    }
  }
  const auto last = left;
  left = {};
  return trim(last);
}

/// What the parameters of a list's element say of its weight (RFC 9110 section 12.4.2), in thousandths: 1000 if nothing, -1 if it is no weight.
[[nodiscard]] constexpr int weight(std::string_view parameters) {
  int out = 1000;
  while (!parameters.empty()) {
    const auto each = next_part(parameters, ';');
    if (each.size() < 2 || lower(each[0]) != 'q' || each[1] != '=') continue;
    const auto text = each.substr(2);
    out = -1;
    if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1') || (text.size() > 1 && text[1] != '.')) continue;
    int sum = text[0] == '1' ? 1000 : 0;
    bool digits = true;
    for (std::size_t i = 2, place = 100; i < text.size(); ++i, place /= 10) {
      digits = digits && text[i] >= '0' && text[i] <= '9';
      sum += (text[i] - '0') * static_cast<int>(place);
    }
    if (digits && sum <= 1000) out = sum;
  }
  return out;
}

/// Whether a list has an element of this name, without regard to case.
[[nodiscard]] constexpr bool lists(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    if (equal_without_case(next_part(list, ','), name)) return true;
  }
  return false;
}

}  // namespace waggle::front::syntax
