#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/front/application.hpp"
#include "gateway/front/limits.hpp"

namespace waggle::front {

/// Why a byte stream is not HTTP we accept. `reason` is a constant of this program and fit to be shown to the client.
struct framing_error {
  int status = 400;
  std::string_view reason;
};

/// Cuts the bytes of one connection into requests, by RFC 9112 read strictly: where two readers of the same bytes could
/// disagree about where a request ends, the bytes are refused. No socket, no clock. The verdict depends on the bytes
/// only, never on how they were split, and each byte is looked at a fixed number of times.
class http_parser {
 public:
  enum class verdict { need_more, request, error };
  enum class stage { idle, head, body };

  /// Both must outlive the parser; `from` goes into each request.
  explicit http_parser(const limits& bounds, const peer_info* from = nullptr) : bounds_(&bounds) { current_.from = from; }

  /// Takes what came over the wire. What comes after an error is thrown away unread.
  void feed(std::string_view bytes);

  /// The next request, or why there is none. After `error` it is `error` for ever. A request's views live until the
  /// next call of `next` or `feed`.
  [[nodiscard]] verdict next();

  /// Reads no more, as after an error, and lets go of what has been fed.
  void stop();

  [[nodiscard]] std::size_t buffered_bytes() const { return buffer_.size(); }
  [[nodiscard]] const request& current() const { return current_; }
  /// Of the current request: whether the client wants the connection to go on after it (RFC 9112 section 9.3).
  [[nodiscard]] bool keep_alive() const { return keep_alive_; }
  [[nodiscard]] bool is_http10() const { return minor_version_ == 0; }
  /// Of the current request, or of the one that `error` is about as far as its method had been read.
  [[nodiscard]] bool is_head() const { return is_head_; }
  [[nodiscard]] const framing_error& error() const { return error_; }

  /// What the bytes so far stop in the middle of.
  [[nodiscard]] stage where() const;
  /// The client holds the body back until it is asked for (RFC 9110 section 10.1.1), and has sent none of it.
  [[nodiscard]] bool awaits_continue() const { return expects_continue_ && where() == stage::body && !body_begun_; }

 private:
  enum class phase { request_line, fields, sized_body, chunk_size, chunk_data, chunk_end, trailers, failed };
  enum class line { whole, unfinished, too_long, malformed };
  struct span {
    std::uint32_t begin, end;  // relative to the first byte of the request
  };

  line take_line(std::size_t bytes_max, std::string_view& out);
  void start_request();
  void make_current(std::string_view body);
  verdict step_aside();
  verdict fail(int status, std::string_view reason);

  // Each reads one element; false: look at `outcome_`.
  bool read_request_line();
  bool read_field();
  bool read_chunk_size();
  bool read_chunk_data();
  bool read_chunk_end();
  bool read_trailer();
  bool end_head();
  bool settle(verdict why) {
    outcome_ = why;
    return false;
  }
  bool refuse(int status, std::string_view reason) { return settle(fail(status, reason)); }

  bool take_target(std::string_view target);
  bool split_field(std::string_view text, std::string_view& name, std::string_view& value);
  bool note_field(std::string_view name, std::string_view value);

  [[nodiscard]] std::string_view text(span of) const;
  [[nodiscard]] span place(std::string_view of) const;

  const limits* bounds_;
  std::string buffer_;
  std::size_t begin_ = 0;     // of the current request in buffer_; the offsets below are relative to it
  std::size_t position_ = 0;  // everything before has been read
  std::size_t scanned_ = 0;   // no line feed between position_ and here

  phase phase_ = phase::request_line;
  verdict outcome_ = verdict::need_more;
  framing_error error_;

  span method_{}, path_{}, query_{}, authority_{};
  struct field_span {
    span name, value;
  };
  std::vector<field_span> fields_;
  int minor_version_ = 1;
  std::size_t blank_lines_ = 0;
  std::size_t hosts_ = 0;
  std::size_t host_field_ = 0;
  bool absolute_target_ = false;
  bool head_method_ = false;  // of the request being read
  bool is_head_ = false;      // of the one last given out
  bool keep_alive_ = true;
  bool said_close_ = false;
  bool said_keep_alive_ = false;
  bool expects_continue_ = false;
  bool body_begun_ = false;
  bool has_length_ = false;
  bool has_coding_ = false;
  bool coding_is_chunked_ = false;
  span length_text_{};
  std::uint64_t length_ = 0;

  std::size_t body_begin_ = 0;
  std::size_t body_end_ = 0;  // of the part that has been decoded, moved together in buffer_
  std::uint64_t chunk_left_ = 0;
  std::size_t extension_bytes_ = 0;
  std::size_t trailer_bytes_ = 0;
  std::size_t trailers_ = 0;

  request current_;
};

}  // namespace waggle::front
