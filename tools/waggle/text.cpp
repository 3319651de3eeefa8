#include "tools/waggle/text.hpp"

#include <algorithm>

#include <waggle/wire/utf8.hpp>

namespace waggle::cli {

std::string toned(tone how, std::string_view text, const screen& on) {
  if (!on.colour || how == tone::plain || text.empty()) return std::string{text};
  const std::string_view code = how == tone::strong ? "1" : how == tone::faint ? "2" : how == tone::good ? "32" : "31";
  return std::string{"\x1b["}.append(code).append("m").append(text).append("\x1b[0m");
}

std::string printable(std::string_view text) {
  if (!wire::is_utf8(text)) return "(text that is not UTF-8)";
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    if (byte == 0xc2 && next < 0xa0) {  // U+0080 to U+009F
      out += ' ';
      ++i;
    } else {
      out += byte < 0x20 || byte == 0x7f ? ' ' : text[i];
    }
  }
  return out;
}

namespace {
bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }
}  // namespace

std::size_t columns(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += begins_character(c) ? 1 : 0;
  return count;
}

std::string cut(std::string_view text, std::size_t width) {
  if (width == 0 || columns(text) <= width) return std::string{text};
  std::size_t end = 0, count = 0;
  for (; end < text.size(); ++end) {
    if (begins_character(text[end]) && ++count == width) break;
  }
  return std::string{text.substr(0, end)} + "…";
}

std::string wrapped(std::string_view text, std::size_t width, std::size_t indent) {
  std::string out;
  std::size_t at = indent;
  while (!text.empty()) {
    const auto begin = text.find_first_not_of(' ');
    if (begin == text.npos) break;
    text.remove_prefix(begin);
    const auto word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    if (out.empty()) {
      at += columns(word);
    } else if (width != 0 && at + 1 + columns(word) > width) {
      out.append("\n").append(indent, ' ');
      at = indent + columns(word);
    } else {
      out += ' ';
      at += 1 + columns(word);
    }
    out += word;
  }
  return out;
}

std::string described(std::string_view name, std::string_view text, const screen& on) {
  constexpr std::size_t indent = 11;
  std::string key{name};
  key.resize(std::max(indent, name.size() + 1), ' ');
  return toned(tone::faint, key, on) + wrapped(text, on.width, indent) + "\n";
}

std::string joined(const std::vector<std::string>& parts, std::string_view between) {
  std::string out;
  for (const auto& each : parts) out.append(out.empty() ? "" : between).append(each);
  return out;
}

std::string shell_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) c == '\'' ? out += "'\\''" : out += c;
  return out += '\'';
}

}  // namespace waggle::cli
