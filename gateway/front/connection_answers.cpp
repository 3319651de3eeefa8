#include <utility>

#include "gateway/front/connection.hpp"
#include "gateway/front/problem.hpp"

/// How answers, whole and streamed, get in line and leave.
namespace waggle::front {

std::size_t connection::place_of(exchange_id id) const {
  const std::uint64_t index = static_cast<std::uint64_t>(id) - first_open_id();
  return index < open_.size() ? static_cast<std::size_t>(index) : open_.size();
}

bool connection::is_last(std::size_t index) {
  if (index + 1 != open_.size()) return false;
  // What the client has begun to send is still taken, and its answer is the one to say so.
  if (context_->closing && parser_.where() == http_parser::stage::idle) input_done_ = true;
  return input_done_;
}

template <typename Write>
void connection::write(instant now, std::size_t index, Write&& to) {
  if (index > 0) {
    std::string& bytes = open_[index].bytes;
    const std::size_t before = bytes.size();
    to(bytes);
    waiting_bytes_ += bytes.size() - before;
    return;
  }
  if (output_.empty()) write_moved_at_ = now;
  to(output_);
}

bool connection::respond(instant now, exchange_id to, const response& answer) {
  const std::size_t index = place_of(to);
  if (broken_ != breach::none || index == open_.size() || open_[index].state != progress::waiting) return false;
  exchange& asked = open_[index];
  if (asks_to_close(answer)) input_done_ = true;
  const bool last = is_last(index);
  asked.state = progress::answered;
  write(now, index, [&](std::string& out) { append_whole(out, asked, answer, last); });
  if (index == 0) advance(now);
  return true;
}

void connection::append_whole(std::string& out, const exchange& to, const response& answer, bool last) const {
  if (!is_sendable(answer)) return append_whole(out, to, problem(500, "the answer could not be sent"), last);
  const bool has_body = may_have_body(answer.status) && !to.is_head;
  append_head(out, context_->date, answer, {framing::sized, last, to.is_http10});
  if (has_body) out += answer.body;
}

bool connection::begin(instant now, exchange_id to, const response& head) {
  const std::size_t index = place_of(to);
  if (broken_ != breach::none || index == open_.size() || open_[index].state != progress::waiting) return false;
  if (!is_sendable(head)) return respond(now, to, head);
  exchange& asked = open_[index];
  asked.body = asked.is_http10 ? framing::until_close : framing::chunked;
  const bool has_body = may_have_body(head.status) && !asked.is_head;
  if (asks_to_close(head) || (has_body && asked.is_http10)) input_done_ = true;
  const bool last = is_last(index);
  asked.state = has_body ? progress::streaming : progress::answered;
  asked.owes_room = asked.owes_end = has_body;
  write(now, index, [&](std::string& out) {
    append_head(out, context_->date, head, {asked.body, last, asked.is_http10});
    if (!has_body) return;
    if (asked.body == framing::chunked) {
      append_chunk(out, head.body);
    } else {
      out += head.body;
    }
  });
  if (index == 0) advance(now);
  return true;
}

bool connection::append(instant now, exchange_id to, std::string_view bytes) {
  const std::size_t index = place_of(to);
  if (broken_ != breach::none || index == open_.size() || open_[index].state != progress::streaming) return false;
  exchange& asked = open_[index];
  if (backlog(to) > context_->bounds.stream_bytes_max) {
    asked.state = progress::aborted;
    overrun_ = true;
    return false;
  }
  asked.owes_room = asked.owes_end = true;
  active_at_ = now;
  write(now, index, [&](std::string& out) {
    if (asked.body == framing::chunked) {
      append_chunk(out, bytes);
    } else {
      out += bytes;
    }
  });
  return true;
}

bool connection::finish(instant now, exchange_id to) {
  const std::size_t index = place_of(to);
  if (broken_ != breach::none || index == open_.size() || open_[index].state != progress::streaming) return false;
  exchange& asked = open_[index];
  asked.state = progress::answered;
  if (asked.body == framing::chunked) write(now, index, [](std::string& out) { out += last_chunk; });
  if (index == 0) advance(now);
  return true;
}

bool connection::abort(instant now, exchange_id to) {
  const std::size_t index = place_of(to);
  if (broken_ != breach::none || index == open_.size() || open_[index].state > progress::streaming) return false;
  open_[index].state = progress::aborted;
  if (index == 0) advance(now);
  return true;
}

std::size_t connection::backlog(exchange_id to) const {
  const std::size_t index = place_of(to);
  if (index == open_.size() || open_[index].state != progress::streaming) return 0;
  return index == 0 ? unsent() : open_[index].bytes.size();
}

std::optional<exchange_id> connection::take_room() {
  if (!streaming()) return std::nullopt;
  exchange& first = open_.front();
  const bool is_written = unsent() == 0;
  const bool has_some = is_written || unsent() < context_->bounds.output_bytes_max / 2;
  if (!(first.owes_room && has_some) && !(first.owes_end && is_written)) return std::nullopt;
  first.owes_room = false;
  if (is_written) first.owes_end = false;
  return exchange_id{first_open_id()};
}

void connection::advance(instant now) {
  active_at_ = now;
  while (!open_.empty()) {
    exchange& next = open_.front();
    if (!next.bytes.empty()) {
      waiting_bytes_ -= next.bytes.size();
      add_output(now, std::exchange(next.bytes, {}));
    }
    if (next.state == progress::aborted) {
      broken_ = next.body == framing::until_close ? breach::reset : breach::close;
      input_done_ = true;
      parser_.stop();
      return;
    }
    if (next.state != progress::answered) break;
    open_.pop_front();
  }
  send_continue(now);
}

}  // namespace waggle::front
