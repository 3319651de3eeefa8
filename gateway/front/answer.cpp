#include "gateway/front/answer.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

#include "gateway/front/http_syntax.hpp"
#include "gateway/front/reason_phrase.hpp"

namespace waggle::front {
namespace {

/// What the front says itself. An application's word on them could make an answer end somewhere else than its framing
/// says.
bool is_owned_by_front(std::string_view name) {
  constexpr std::array<std::string_view, 7> owned = {"Content-Length", "Transfer-Encoding", "Connection", "Date",
                                                     "Keep-Alive",     "Upgrade",           "Trailer"};
  return std::any_of(owned.begin(), owned.end(),
                     [&](std::string_view known) { return syntax::equal_without_case(name, known); });
}

void append_number(std::string& out, std::uint64_t number, int base = 10) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, base).ptr;
  out.append(digits.data(), end);
}

}  // namespace

bool is_sendable(const response& answer) {
  return answer.status >= 200 && answer.status <= 599 && syntax::is_field_value(answer.content_type) &&
         std::all_of(answer.headers.begin(), answer.headers.end(), [](const auto& field) {
           return syntax::is_token(field.first) && syntax::is_field_value(field.second);
         });
}

bool asks_to_close(const response& answer) {
  return std::any_of(answer.headers.begin(), answer.headers.end(), [](const auto& field) {
    return syntax::equal_without_case(field.first, "connection") && syntax::equal_without_case(field.second, "close");
  });
}

void append_head(std::string& out, std::string_view date, const response& answer, const answer_style& how) {
  out += "HTTP/1.1 ";
  append_number(out, static_cast<std::uint64_t>(answer.status));
  out += ' ';
  out += reason_phrase(answer.status);
  out += "\r\nDate: ";
  out += date;
  if (!answer.content_type.empty()) {
    out += "\r\nContent-Type: ";
    out += answer.content_type;
  }
  for (const auto& [name, value] : answer.headers) {
    if (is_owned_by_front(name)) continue;
    out += "\r\n";
    out += name;
    out += ": ";
    out += value;
  }
  if (answer.status == 205) {
    out += "\r\nContent-Length: 0";
  } else if (may_have_body(answer.status)) {
    if (how.body == framing::sized) {
      out += "\r\nContent-Length: ";
      append_number(out, answer.body.size());
    } else if (how.body == framing::chunked) {
      out += "\r\nTransfer-Encoding: chunked";
    }
  }
  if (how.close) {
    out += "\r\nConnection: close";
  } else if (how.is_http10) {
    out += "\r\nConnection: keep-alive";
  }
  out += "\r\n\r\n";
}

void append_chunk(std::string& out, std::string_view bytes) {
  if (bytes.empty()) return;
  append_number(out, bytes.size(), 16);
  out += "\r\n";
  out += bytes;
  out += "\r\n";
}

}  // namespace waggle::front
