#include "gateway/answer_desk.hpp"

#include <utility>

namespace waggle::gateway {

namespace {

constexpr std::size_t user_agent_bytes_max = 256;

}  // namespace

answer_desk::answer_desk(front::responder& to, std::shared_ptr<metrics> counts, std::shared_ptr<access_log> log)
    : to_{to}, counts_{std::move(counts)}, log_{std::move(log)}, chance_{std::random_device{}()} {}

exchange& answer_desk::open(front::instant now, front::exchange_id id, const front::request& in, const request_id_text& request_id) {
  auto& made = open_[static_cast<std::uint64_t>(id)];
  made.id = id;
  made.since = now;
  made.method = in.method;
  made.path = in.path;
  made.request_bytes = in.body.size();
  made.wishes = reply_wishes_of(in);
  made.is_http10 = in.is_http10;
  if (in.from != nullptr) {
    made.client = in.from->address;
    made.encrypted = in.from->encrypted;
  }
  if (log_) made.user_agent = in.find("user-agent").value_or(std::string_view{}).substr(0, user_agent_bytes_max);
  if (counts_) counts_->began(made.method);
  made.request_id = request_id;
  return made;
}

exchange* answer_desk::find(front::exchange_id id) {
  const auto found = open_.find(static_cast<std::uint64_t>(id));
  return found == open_.end() ? nullptr : &found->second;
}

void answer_desk::abandoned(front::instant now, front::exchange_id id) { close(now, id, exchange_end::abandoned); }

void answer_desk::respond(front::exchange_id to, front::response answer) {
  auto* const of = find(to);
  if (of == nullptr || of->streamed) return;
  finish_reply(answer, of->wishes, of->terms, gzip_);
  dress(*of, answer);
  of->response_bytes = answer.body.size();
  to_.respond(to, std::move(answer));
  close(front::clock::now(), to, exchange_end::answered);
}

void answer_desk::begin(front::exchange_id to, front::response head) {
  auto* const of = find(to);
  if (of == nullptr || std::exchange(of->streamed, true)) return;
  dress(*of, head);
  of->response_bytes = head.body.size();
  to_.begin(to, std::move(head));
  if (of->method == "HEAD") close(front::clock::now(), to, exchange_end::answered);  // it is over with its headers
}

bool answer_desk::append(front::exchange_id to, std::string_view bytes) {
  auto* const of = find(to);
  if (of == nullptr) return false;
  if (to_.append(to, bytes)) {
    of->response_bytes += bytes.size();
    return true;
  }
  close(front::clock::now(), to, exchange_end::abandoned);  // of which the front says no more
  return false;
}

void answer_desk::finish(front::exchange_id to) {
  to_.finish(to);
  close(front::clock::now(), to, exchange_end::answered);
}

void answer_desk::abort(front::exchange_id to) {
  to_.abort(to);
  close(front::clock::now(), to, exchange_end::aborted);
}

/// What every answer to this request gets.
void answer_desk::dress(exchange& of, front::response& answer) {
  of.status = answer.status;
  answer.headers.emplace_back("X-Request-Id", of.request_id.view());
  answer.headers.append(of.headers);
  of.headers.clear();
}

void answer_desk::close(front::instant now, front::exchange_id id, exchange_end how) {
  const auto found = open_.find(static_cast<std::uint64_t>(id));
  if (found == open_.end()) return;
  const auto& of = found->second;
  const auto took = now - of.since;
  if (counts_) counts_->ended(of, how, took);
  if (log_ && access_log::wants(logged_, of, how, took, static_cast<unsigned>(chance_() % 100))) log_->write(of, how, took);
  open_.erase(found);
}

}  // namespace waggle::gateway
