#include "gateway/front/answer.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <span>

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

/// Room for the parts of a head whose texts are here and in reason_phrase.hpp, with room to spare.
constexpr std::size_t frame_bytes_max = 256;

/// Writes into room that is there, and never past it: a head has dozens of parts, and a string that grows by each takes longer than to write them.
class text_writer {
 public:
  explicit text_writer(std::span<char> to) : at_{to.data()}, end_{to.data() + to.size()} {}
  text_writer& operator<<(std::string_view text) {
    at_ = std::copy_n(text.data(), std::min(text.size(), static_cast<std::size_t>(end_ - at_)), at_);
    return *this;
  }
  text_writer& operator<<(std::uint64_t number) {
    at_ = std::to_chars(at_, end_, number).ptr;
    return *this;
  }
  [[nodiscard]] char* end() const { return at_; }

 private:
  char* at_;
  char* end_;
};

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
  const auto room = frame_bytes_max + date.size() + answer.content_type.size() + answer.headers.bytes();
  const auto before = out.size();
  out.resize(before + room);
  text_writer to{std::span{out}.subspan(before)};
  to << "HTTP/1.1 " << static_cast<std::uint64_t>(answer.status) << " " << reason_phrase(answer.status) << "\r\nDate: " << date;
  if (!answer.content_type.empty()) to << "\r\nContent-Type: " << answer.content_type;
  for (auto each = answer.headers.begin(); each != answer.headers.end(); ++each) {
    if (!is_owned_by_front((*each).first)) to << each.sent();
  }
  if (answer.status == 205) {
    to << "\r\nContent-Length: 0";
  } else if (may_have_body(answer.status)) {
    if (how.body == framing::sized) {
      to << "\r\nContent-Length: " << answer.body.size();
    } else if (how.body == framing::chunked) {
      to << "\r\nTransfer-Encoding: chunked";
    }
  }
  if (how.close) {
    to << "\r\nConnection: close";
  } else if (how.is_http10) {
    to << "\r\nConnection: keep-alive";
  }
  to << "\r\n\r\n";
  out.resize(static_cast<std::size_t>(to.end() - out.data()));
}

void append_chunk(std::string& out, std::string_view bytes) {
  if (bytes.empty()) return;
  std::array<char, 16> digits;
  out.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), bytes.size(), 16).ptr);
  out += "\r\n";
  out += bytes;
  out += "\r\n";
}

}  // namespace waggle::front
