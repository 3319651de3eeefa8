#include "gateway/front/http_parser.hpp"

#include <algorithm>
#include <cstring>

#include "gateway/front/http_syntax.hpp"

namespace waggle::front {
namespace {

// A connection that once sent something large does not keep the memory while it is idle.
constexpr std::size_t kept_capacity_max = 16 * 1024;
// Longer than any method and version together: what a request line may have besides its target.
constexpr std::size_t request_line_rest_max = 64;
constexpr std::size_t chunk_size_digits_max = 16;

/// Digits only, no sign, no space. False also where the number does not fit: the caller tells the two apart by
/// `digits`.
bool parse_decimal(std::string_view digits, std::uint64_t& out) {
  out = 0;
  for (const char c : digits) {
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (out > (UINT64_MAX - digit) / 10) return false;
    out = out * 10 + digit;
  }
  return true;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

void http_parser::feed(std::string_view bytes) {
  if (phase_ != phase::failed) buffer_.append(bytes);
}

http_parser::verdict http_parser::next() {
  if (phase_ == phase::failed) return verdict::error;
  bool more = true;
  while (more) {
    switch (phase_) {
      case phase::request_line:
        more = read_request_line();
        break;
      case phase::fields:
        more = read_field();
        break;
      case phase::sized_body:
        if (buffer_.size() - begin_ - position_ < length_) {
          more = settle(verdict::need_more);
        } else {
          position_ += static_cast<std::size_t>(length_);
          body_end_ = position_;
          more = settle(verdict::request);
        }
        break;
      case phase::chunk_size:
        more = read_chunk_size();
        break;
      case phase::chunk_data:
        more = read_chunk_data();
        break;
      case phase::chunk_end:
        more = read_chunk_end();
        break;
      case phase::trailers:
        more = read_trailer();
        break;
      case phase::failed:
        more = settle(verdict::error);
        break;
    }
  }
  if (outcome_ == verdict::need_more) return step_aside();
  if (outcome_ == verdict::request) {
    make_current({buffer_.data() + begin_ + body_begin_, body_end_ - body_begin_});
    start_request();
  }
  return outcome_;
}

http_parser::stage http_parser::where() const {
  if (phase_ == phase::failed) return stage::idle;
  if (phase_ == phase::request_line) return buffer_.size() == begin_ && blank_lines_ == 0 ? stage::idle : stage::head;
  return phase_ == phase::fields ? stage::head : stage::body;
}

/// The line at `position_` without its CRLF. A line feed is looked for once in each byte, however the bytes arrive, and
/// not past `bytes_max`, so that a line is too long or not regardless of how much of it has come.
http_parser::line http_parser::take_line(std::size_t bytes_max, std::string_view& out) {
  const char* const base = buffer_.data() + begin_;
  const std::size_t have = buffer_.size() - begin_;
  const std::size_t limit = position_ + bytes_max;
  const std::size_t end = std::min(have, limit);
  scanned_ = std::max(scanned_, position_);
  const void* found = scanned_ < end ? std::memchr(base + scanned_, '\n', end - scanned_) : nullptr;
  if (found == nullptr) {
    scanned_ = std::max(scanned_, end);
    return have >= limit ? line::too_long : line::unfinished;
  }
  const auto feed_at = static_cast<std::size_t>(static_cast<const char*>(found) - base);
  if (feed_at == position_ || base[feed_at - 1] != '\r') return line::malformed;
  out = {base + position_, feed_at - 1 - position_};
  position_ = feed_at + 1;
  return line::whole;
}

void http_parser::start_request() {
  begin_ += position_;
  position_ = scanned_ = 0;
  blank_lines_ = 0;
  head_method_ = false;
  phase_ = phase::request_line;
}

bool http_parser::read_request_line() {
  std::string_view text;
  switch (take_line(std::min(bounds_->target_bytes_max + request_line_rest_max, bounds_->header_bytes_max), text)) {
    case line::unfinished:
      return settle(verdict::need_more);
    case line::too_long:
      return refuse(414, "the request line is too long");
    case line::malformed:
      return refuse(400, "a line of the request does not end in CR LF");
    case line::whole:
      break;
  }
  if (text.empty()) {
    if (++blank_lines_ > bounds_->blank_lines_before_request_max) return refuse(400, "blank lines before the request");
    begin_ += position_;
    position_ = scanned_ = 0;
    return true;
  }

  fields_.clear();
  hosts_ = 0;
  length_ = 0;
  absolute_target_ = head_method_ = said_close_ = said_keep_alive_ = expects_continue_ = body_begun_ = false;
  has_length_ = has_coding_ = coding_is_chunked_ = false;
  body_begin_ = body_end_ = extension_bytes_ = trailer_bytes_ = trailers_ = 0;
  path_ = query_ = authority_ = {};

  if (!syntax::is_visible(text)) return refuse(400, "the request line has a character that is not visible ASCII");
  const std::size_t first = text.find(' ');
  const std::size_t last = text.rfind(' ');
  if (first == std::string_view::npos || first == last || first == 0 || last + 1 == text.size()) {
    return refuse(400, "the request line is not a method, a target and a version with one space between");
  }
  const std::string_view method = text.substr(0, first);
  const std::string_view version = text.substr(last + 1);
  if (!syntax::is_token(method)) return refuse(400, "the method is not a token");
  method_ = place(method);
  head_method_ = method == "HEAD";
  if (version == "HTTP/1.1") {
    minor_version_ = 1;
  } else if (version == "HTTP/1.0") {
    minor_version_ = 0;
  } else {
    return refuse(505, "the version is neither HTTP/1.0 nor HTTP/1.1");
  }
  if (!take_target(text.substr(first + 1, last - first - 1))) return false;
  phase_ = phase::fields;
  return true;
}

/// RFC 9112 section 3.2: origin-form, absolute-form and, for OPTIONS, the asterisk. CONNECT would make this a proxy.
bool http_parser::take_target(std::string_view target) {
  if (target.size() > bounds_->target_bytes_max) return refuse(414, "the target is too long");
  if (!syntax::all(target, syntax::target_char)) return refuse(400, "the target has a character that must be encoded");
  const std::string_view method = text(method_);
  if (method == "CONNECT") return refuse(501, "this server is not a proxy");
  if (target == "*") {
    if (method != "OPTIONS") return refuse(400, "only OPTIONS has the target *");
    path_ = place(target);
    return true;
  }
  if (target.front() != '/') {
    std::size_t scheme = 0;
    for (const std::string_view known : {std::string_view("http://"), std::string_view("https://")}) {
      if (syntax::equal_without_case(target.substr(0, known.size()), known)) scheme = known.size();
    }
    if (scheme == 0) return refuse(400, "the target is neither a path nor an http URI");
    const std::string_view rest = target.substr(scheme);
    const std::size_t authority_size = std::min(rest.find_first_of("/?"), rest.size());
    const std::string_view authority = rest.substr(0, authority_size);
    if (!syntax::is_authority(authority)) {
      return refuse(400, "the target's host is malformed");
    }
    authority_ = place(authority);
    absolute_target_ = true;
    target = rest.substr(authority_size);
  }
  const std::size_t mark = std::min(target.find('?'), target.size());
  path_ = place(target.substr(0, mark));
  query_ = place(target.substr(std::min(mark + 1, target.size())));
  return true;
}

bool http_parser::read_field() {
  std::string_view text;
  switch (take_line(bounds_->header_bytes_max - std::min(bounds_->header_bytes_max, position_), text)) {
    case line::unfinished:
      return settle(verdict::need_more);
    case line::too_long:
      return refuse(431, "the header section is too long");
    case line::malformed:
      return refuse(400, "a line of the request does not end in CR LF");
    case line::whole:
      break;
  }
  if (text.empty()) return end_head();
  if (fields_.size() == bounds_->fields_max) return refuse(431, "the request has too many header fields");
  std::string_view name, value;
  return split_field(text, name, value) && note_field(name, value);
}

/// One rule for header fields and trailers: a token, a colon with nothing before it, and a value without control
/// characters. A line that begins with a space continues another one in old software: refused, as is a space before the
/// colon.
bool http_parser::split_field(std::string_view text, std::string_view& name, std::string_view& value) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return refuse(400, "a header field has no colon");
  name = text.substr(0, colon);
  if (!syntax::is_token(name)) return refuse(400, "a header field's name is not a token");
  value = syntax::trim(text.substr(colon + 1));
  if (!syntax::is_field_value(value)) return refuse(400, "a header field has a control character");
  return true;
}

bool http_parser::note_field(std::string_view name, std::string_view value) {
  fields_.push_back({place(name), place(value)});
  const auto is = [&](std::string_view known) { return syntax::equal_without_case(name, known); };
  switch (name.size()) {
    case 4:
      if (!is("host")) break;
      if (++hosts_ > 1) return refuse(400, "there is more than one Host");
      host_field_ = fields_.size() - 1;
      if (!syntax::is_authority(value)) return refuse(400, "the Host is malformed");
      break;
    case 6:
      // Where the client holds its body back, only 100-continue is known (RFC 9110 section 10.1.1).
      if (!is("expect") || minor_version_ == 0) break;
      if (!syntax::equal_without_case(value, "100-continue")) return refuse(417, "only 100-continue can be expected");
      expects_continue_ = true;
      break;
    case 10:
      if (!is("connection")) break;
      for (std::size_t from = 0; from <= value.size();) {
        const std::size_t comma = std::min(value.find(',', from), value.size());
        const std::string_view option = syntax::trim(value.substr(from, comma - from));
        if (syntax::equal_without_case(option, "close")) said_close_ = true;
        if (syntax::equal_without_case(option, "keep-alive")) said_keep_alive_ = true;
        from = comma + 1;
      }
      break;
    case 14:
      if (!is("content-length")) break;
      if (value.empty() || value.find_first_not_of("0123456789") != std::string_view::npos) {
        return refuse(400, "the Content-Length is not a number");
      }
      if (has_length_ && text(length_text_) != value) return refuse(400, "the Content-Lengths differ");
      has_length_ = true;
      length_text_ = place(value);
      if (!parse_decimal(value, length_)) length_ = UINT64_MAX;
      break;
    case 17:
      if (!is("transfer-encoding")) break;
      coding_is_chunked_ = !has_coding_ && syntax::equal_without_case(value, "chunked");
      has_coding_ = true;
      break;
    default:
      break;
  }
  return true;
}

bool http_parser::end_head() {
  if (minor_version_ == 1 && hosts_ == 0) return refuse(400, "there is no Host");
  if (has_length_ && has_coding_) return refuse(400, "there is both a Content-Length and a Transfer-Encoding");
  if (has_coding_ && minor_version_ == 0) return refuse(400, "HTTP/1.0 has no Transfer-Encoding");
  if (has_coding_ && !coding_is_chunked_) return refuse(501, "the only Transfer-Encoding is chunked");
  if (length_ > bounds_->body_bytes_max) return refuse(413, "the body is too large");
  keep_alive_ = !said_close_ && (minor_version_ == 1 || said_keep_alive_);
  body_begin_ = body_end_ = position_;
  if (has_coding_) {
    phase_ = phase::chunk_size;
  } else {
    if (length_ == 0) expects_continue_ = false;
    phase_ = phase::sized_body;
  }
  return true;
}

bool http_parser::read_chunk_size() {
  std::string_view text;
  const std::size_t extension_left = bounds_->chunk_extension_bytes_max - extension_bytes_;
  switch (take_line(chunk_size_digits_max + extension_left + 2, text)) {
    case line::unfinished:
      return settle(verdict::need_more);
    case line::too_long:
      return refuse(400, "a chunk's size line is too long");
    case line::malformed:
      return refuse(400, "a chunk's size line does not end in CR LF");
    case line::whole:
      break;
  }
  std::size_t digits = 0;
  std::uint64_t size = 0;
  for (; digits < text.size() && hex_digit(text[digits]) >= 0; ++digits) {
    if (digits == chunk_size_digits_max) return refuse(400, "a chunk's size has too many digits");
    size = size * 16 + static_cast<std::uint64_t>(hex_digit(text[digits]));
  }
  const std::string_view extension = text.substr(digits);
  if (digits == 0 || (!extension.empty() && extension.front() != ';')) {
    return refuse(400, "a chunk's size is not a hexadecimal number");
  }
  if (!syntax::is_field_value(extension)) return refuse(400, "a chunk extension has a control character");
  if (extension.size() > extension_left) return refuse(400, "the chunk extensions are too long");
  extension_bytes_ += extension.size();
  if (size > bounds_->body_bytes_max - (body_end_ - body_begin_)) return refuse(413, "the body is too large");
  chunk_left_ = size;
  body_begun_ = true;
  phase_ = size == 0 ? phase::trailers : phase::chunk_data;
  return true;
}

/// Moves the data of chunks together in place, so that a body needs no second buffer.
bool http_parser::read_chunk_data() {
  const std::size_t have = buffer_.size() - begin_ - position_;
  const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(have, chunk_left_));
  char* const base = buffer_.data() + begin_;
  if (body_end_ != position_) std::memmove(base + body_end_, base + position_, take);
  body_end_ += take;
  position_ += take;
  chunk_left_ -= take;
  if (chunk_left_ > 0) return settle(verdict::need_more);
  phase_ = phase::chunk_end;
  return true;
}

bool http_parser::read_chunk_end() {
  const std::string_view rest = std::string_view(buffer_).substr(begin_ + position_, 2);
  if (rest != std::string_view("\r\n").substr(0, rest.size())) return refuse(400, "a chunk does not end in CR LF");
  if (rest.size() < 2) return settle(verdict::need_more);
  position_ += 2;
  phase_ = phase::chunk_size;
  return true;
}

/// Trailers are held to the rules of header fields and then dropped: nothing here may act on a field that came after
/// the body (RFC 9110 section 6.5.1).
bool http_parser::read_trailer() {
  std::string_view text;
  const std::size_t from = position_;
  switch (take_line(bounds_->header_bytes_max - trailer_bytes_, text)) {
    case line::unfinished:
      return settle(verdict::need_more);
    case line::too_long:
      return refuse(431, "the trailer section is too long");
    case line::malformed:
      return refuse(400, "a line of the request does not end in CR LF");
    case line::whole:
      break;
  }
  trailer_bytes_ += position_ - from;
  if (text.empty()) return settle(verdict::request);
  if (++trailers_ > bounds_->fields_max) return refuse(431, "the request has too many trailer fields");
  std::string_view name, value;
  return split_field(text, name, value);
}

void http_parser::make_current(std::string_view body) {
  is_head_ = head_method_;
  current_.method = text(method_);
  current_.path = text(path_);
  current_.query = text(query_);
  current_.body = body;
  current_.is_http10 = is_http10();
  current_.headers.clear();
  for (const field_span& field : fields_) current_.headers.push_back({text(field.name), text(field.value)});
  if (absolute_target_) {
    // What is routed and what is seen as the host must be the same thing (RFC 9112 section 3.2.2).
    if (hosts_ > 0) current_.headers[host_field_].value = text(authority_);
    if (current_.path.empty()) current_.path = current_.method == "OPTIONS" && current_.query.empty() ? "*" : "/";
  }
}

/// Nothing more to read for now: closes the gaps that read bytes have left, which costs no more than the unread rest.
http_parser::verdict http_parser::step_aside() {
  if (phase_ == phase::chunk_size || phase_ == phase::chunk_data || phase_ == phase::chunk_end ||
      phase_ == phase::trailers) {
    const std::size_t gap = position_ - body_end_;
    if (gap > 0) {
      buffer_.erase(begin_ + body_end_, gap);
      position_ = body_end_;
      scanned_ = std::max(scanned_, body_end_ + gap) - gap;
    }
  }
  if (phase_ != phase::request_line && phase_ != phase::fields) {
    body_begun_ = body_begun_ || buffer_.size() - begin_ > body_begin_;
  }
  if (begin_ == buffer_.size()) {
    buffer_.clear();
    begin_ = 0;
    if (buffer_.capacity() > kept_capacity_max) buffer_.shrink_to_fit();
  } else if (begin_ > 0) {
    buffer_.erase(0, begin_);
    begin_ = 0;
  }
  return verdict::need_more;
}

http_parser::verdict http_parser::fail(int status, std::string_view reason) {
  error_ = {status, reason};
  stop();
  return verdict::error;
}

void http_parser::stop() {
  if (phase_ == phase::failed) return;
  is_head_ = head_method_;
  phase_ = phase::failed;
  buffer_ = {};
  begin_ = position_ = scanned_ = 0;
}

std::string_view http_parser::text(span of) const {
  return {buffer_.data() + begin_ + of.begin, static_cast<std::size_t>(of.end - of.begin)};
}

http_parser::span http_parser::place(std::string_view of) const {
  const auto begin = static_cast<std::uint32_t>(of.data() - buffer_.data() - static_cast<std::ptrdiff_t>(begin_));
  return {begin, begin + static_cast<std::uint32_t>(of.size())};
}

}  // namespace waggle::front
