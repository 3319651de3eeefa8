#pragma once

#include <cctype>
#include <cstddef>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

namespace waggle::fuzz {

/// One answer as a client would read it, written apart from the front's own code.
struct read_answer {
  int status = 0;
  std::string body;
  bool whole = false;  // its end was seen; false for one that is cut off
  bool closes = false;
};

/// Takes a 100 off `bytes`. It asks for a body that may never come, so nothing has to follow it.
inline void take_interim(std::string_view& bytes) {
  constexpr std::string_view interim = "HTTP/1.1 100 Continue\r\n\r\n";
  if (bytes.substr(0, interim.size()) == interim) bytes.remove_prefix(interim.size());
}

/// Takes the next final answer off `bytes`; nothing where the bytes are no answer. `is_head`: to HEAD. `ended`: the connection
/// ends behind `bytes`.
inline std::optional<read_answer> take_answer(std::string_view& bytes, bool is_head, bool ended) {
  if (bytes.substr(0, 9) != "HTTP/1.1 " || bytes.size() < 12) return std::nullopt;
  const auto end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  const std::string head{bytes.substr(0, end + 2)};
  bytes.remove_prefix(end + 4);
  read_answer out;
  out.status = std::atoi(head.c_str() + 9);
  const auto value = [&](std::string_view name) -> std::optional<std::string> {
    const auto at = head.find("\r\n" + std::string{name} + ": ");
    if (at == std::string::npos) return std::nullopt;
    const auto from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
  };
  out.closes = value("Connection") == "close";
  const auto length = value("Content-Length");
  const auto coding = value("Transfer-Encoding");
  if (length && coding) return std::nullopt;
  if (is_head || out.status == 204 || out.status == 304) {
    out.whole = true;
  } else if (length) {
    const auto size = std::strtoull(length->c_str(), nullptr, 10);
    out.whole = bytes.size() >= size;
    out.body = bytes.substr(0, size);
    bytes.remove_prefix(out.body.size());
  } else if (coding) {
    if (*coding != "chunked") return std::nullopt;
    while (!bytes.empty()) {
      const auto line = bytes.find("\r\n");
      if (line == std::string_view::npos || line == 0) return std::nullopt;
      for (const char c : bytes.substr(0, line)) {
        if (std::isxdigit(static_cast<unsigned char>(c)) == 0) return std::nullopt;
      }
      const auto size = std::strtoull(std::string{bytes.substr(0, line)}.c_str(), nullptr, 16);
      bytes.remove_prefix(line + 2);
      if (bytes.size() < size + 2 || bytes.substr(size, 2) != "\r\n") return std::nullopt;
      out.body += bytes.substr(0, size);
      bytes.remove_prefix(size + 2);
      if (size == 0) {
        out.whole = true;
        break;
      }
    }
  } else {
    if (!out.closes) return std::nullopt;
    out.body = bytes;
    out.whole = ended;
    bytes = {};
  }
  return out;
}

}  // namespace waggle::fuzz
