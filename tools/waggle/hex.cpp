#include "tools/waggle/hex.hpp"

namespace waggle::cli {

std::optional<std::string> from_hex(std::string_view text) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == ' ' || text[i] == ':' || text[i] == '\n' || text[i] == '\r' || text[i] == '\t') {
      ++i;
      continue;
    }
    const int high = digit(text[i]), low = i + 1 < text.size() ? digit(text[i + 1]) : -1;
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

std::string to_hex(std::string_view bytes, std::size_t per_line, std::size_t indent) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    if (per_line != 0 && i % per_line == 0) {
      if (i != 0) out += '\n';
      out.append(indent, ' ');
    } else if (i != 0) {
      out += ' ';
    }
    out.append(1, digits[byte >> 4]).append(1, digits[byte & 15]);
  }
  return out;
}

}  // namespace waggle::cli
