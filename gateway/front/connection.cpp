#include "gateway/front/connection.hpp"

#include <algorithm>
#include <utility>

#include "gateway/front/problem.hpp"

namespace waggle::front {
namespace {

// An idle connection keeps no more memory than this for its next answer.
constexpr std::size_t kept_capacity_max = 16 * 1024;

}  // namespace

connection::connection(const connection_context& context, std::uint64_t first_id, instant now, peer_info from)
    : context_(&context),
      from_(std::move(from)),
      parser_(context.bounds, &from_),
      next_id_(first_id),
      stage_since_(now),
      active_at_(now),
      write_moved_at_(now) {}

void connection::receive(instant now, std::string_view bytes) {
  if (input_done_ || peer_ended_) return;
  active_at_ = now;
  if (stage_ == http_parser::stage::body) body_bytes_ += bytes.size();
  parser_.feed(bytes);
}

void connection::receive_end(instant now) {
  peer_ended_ = true;
  active_at_ = now;
}

const request* connection::next(instant now) {
  if (input_done_) return nullptr;
  if (!has_room()) {
    short_of_room_ = true;
    return nullptr;
  }
  if (short_of_room_) {
    // The time the client was made to wait is not held against it.
    short_of_room_ = false;
    stage_ = http_parser::stage::idle;
  }
  switch (parser_.next()) {
    case http_parser::verdict::need_more:
      note_stage(now);
      if (peer_ended_ || (draining_ && (stage_ == http_parser::stage::idle || !open_.empty()))) input_done_ = true;
      send_continue(now);
      return nullptr;
    case http_parser::verdict::error: {
      const framing_error& error = parser_.error();
      refuse(now, error.status, error.reason);
      return nullptr;
    }
    case http_parser::verdict::request:
      break;
  }
  stage_ = http_parser::stage::idle;
  if (!parser_.keep_alive() || draining_ || context_->closing) input_done_ = true;
  open_.emplace_back();
  open_.back().is_head = parser_.is_head();
  open_.back().is_http10 = parser_.is_http10();
  ++next_id_;
  return &parser_.current();
}

void connection::written(instant now, std::size_t bytes) {
  output_begin_ += bytes;
  write_moved_at_ = active_at_ = now;
  if (output_begin_ < output_.size()) {
    // Moving the rest down each time would cost a slow reader's whole answer over and over.
    if (output_begin_ > output_.size() / 2) {
      output_.erase(0, output_begin_);
      output_begin_ = 0;
    }
    return;
  }
  output_.clear();
  output_begin_ = 0;
  if (output_.capacity() > kept_capacity_max) output_.shrink_to_fit();
}

bool connection::wants_read() const {
  if (peer_ended_) return false;
  if (lingering_) return true;
  return input_done_ ? streaming() : has_room();
}

void connection::linger(instant now) {
  lingering_ = true;
  linger_until_ = now + context_->bounds.linger_time;
}

void connection::drain() {
  draining_ = true;
  // A request that has begun to arrive is an open request, unless one before it can carry the goodbye.
  if (parser_.where() == http_parser::stage::idle || !open_.empty()) input_done_ = true;
}

instant connection::next_deadline() const {
  if (lingering_) return linger_until_;
  const limits& bounds = context_->bounds;
  instant at = instant::max();
  if (!output_.empty()) at = write_moved_at_ + bounds.write_stall_time;
  if (awaits_sign_of_life()) at = active_at_ + bounds.half_closed_time;
  if (input_done_ || !wants_read()) return at;
  switch (stage_) {
    case http_parser::stage::idle:
      return open_.empty() && output_.empty() ? active_at_ + bounds.idle_time : at;
    case http_parser::stage::head:
      return std::min(at, stage_since_ + bounds.head_time);
    case http_parser::stage::body:
      return std::min(at, body_deadline());
  }
  return at;
}

connection::tick_result connection::tick(instant now) {
  if (now < next_deadline()) return tick_result::keep;
  const limits& bounds = context_->bounds;
  if (lingering_ || (!output_.empty() && now >= write_moved_at_ + bounds.write_stall_time) || awaits_sign_of_life()) {
    return tick_result::close;
  }
  switch (stage_) {
    case http_parser::stage::idle:
      return tick_result::close;
    case http_parser::stage::head:
      refuse(now, 408, "the request's header section did not arrive in time");
      break;
    case http_parser::stage::body:
      refuse(now, 408, "the request's body did not arrive in time");
      break;
  }
  return tick_result::keep;
}

/// HTTP/1.0 has no pipelining, and what was asked behind a request whose answer lasts until the connection closes could
/// never be answered.
bool connection::has_room() const {
  return open_.size() < context_->bounds.unanswered_max && unsent() < context_->bounds.output_bytes_max &&
         (open_.empty() || !open_.back().is_http10);
}

/// Starts the clock of a head or a body when it begins, and leaves it alone while it goes on.
void connection::note_stage(instant now) {
  const http_parser::stage at = parser_.where();
  if (at == stage_) return;
  stage_ = at;
  stage_since_ = now;
  body_bytes_ = 0;
}

instant connection::body_deadline() const {
  const limits& bounds = context_->bounds;
  const std::uint64_t rate = std::max<std::uint64_t>(bounds.body_bytes_per_second_min, 1);
  return stage_since_ + bounds.body_grace_time +
         std::chrono::milliseconds(static_cast<std::int64_t>(body_bytes_ * 1000 / rate));
}

/// Asks for the body that a client holds back, once nothing else is to be said before it: between two answers it would
/// be read as part of the earlier one.
void connection::send_continue(instant now) {
  if (continued_ != next_id_ && !input_done_ && open_.empty() && parser_.awaits_continue()) {
    continued_ = next_id_;
    stage_since_ = now;
    add_output(now, "HTTP/1.1 100 Continue\r\n\r\n");
  }
}

void connection::add_output(instant now, std::string_view bytes) {
  if (output_.empty()) write_moved_at_ = now;
  output_ += bytes;
}

void connection::refuse(instant now, int status, std::string_view reason) {
  input_done_ = true;
  parser_.stop();
  open_.emplace_back().is_head = parser_.is_head();
  ++next_id_;
  response answer = problem(status, reason);
  if (status == 503) answer.headers.emplace_back("Retry-After", "1");
  respond(now, last_id(), answer);
}

}  // namespace waggle::front
