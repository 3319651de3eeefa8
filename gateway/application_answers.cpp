// What comes of calls, on its way to the clients.
#include <utility>

#include <waggle/wire/json.hpp>
#include <waggle/wire/writer.hpp>

#include "gateway/application.hpp"
#include "gateway/routes/problems.hpp"
#include "gateway/routes/reply.hpp"

namespace waggle::gateway {
namespace {

/// So many bytes of a stream may wait for a client before its worker gets no more credit.
constexpr std::size_t stream_backlog_max = 64 * 1024;
tl::unexpected<error> too_large() {
  return failure(status::out_of_range, "the parts together are larger than 4 MiB", true);
}

}  // namespace

void application::on_part(call_tag& of, std::string_view payload) {
  if (!of.of || of.of->run || of.of->overfull || of.of->answered) return;
  auto& to = *of.of;
  if (payload.empty()) payload = "\xc0";
  if (is_stream(to.call.reply)) {
    ++to.credit_owed;
    if (stream(to, stream_item::part, payload)) return give_credit(to);
    // Nobody gets what would still come.
    to.answered = true;
    unanswered_.erase(static_cast<std::uint64_t>(to.exchange));
    return core_.cancel(to.call_id, sink{*this, front::clock::now()});
  }
  if (to.parts.size() + payload.size() <= wire::payload_bytes_max) {
    to.parts += payload;
    ++to.part_count;
    return;
  }
  to.overfull = true;
  to.parts = {};
  core_.cancel(to.call_id, sink{*this, front::clock::now()});
}

/// One item more of a streamed answer, which begins with the first. False: there is nobody who reads it.
bool application::stream(open_request& to, stream_item what, std::string_view payload) {
  std::string text;
  if (what == stream_item::error) {
    text = payload;
  } else if (auto json = wire::try_msgpack_to_json(payload)) {
    text = std::move(*json);
  } else {
    core_.cancel(to.call_id, sink{*this, front::clock::now()});
    what = stream_item::error;
    text = problem_of({status::internal, "a part of " + to.call.command + " cannot be passed on: " + json.error().message, true}).body;
  }
  auto bytes = stream_text(to.call.reply, what, text);
  bool read = true;
  if (!to.streaming) {
    to.streaming = true;
    front::response head;
    head.content_type = media_type(to.call.reply);
    head.body = std::move(bytes);
    head.headers.emplace_back("Cache-Control", "no-store");
    add_route_headers(*to.call.of, head);
    desk_.begin(to.exchange, std::move(head));
    read = !to.head;  // which is over with its headers
  } else {
    read = desk_.append(to.exchange, bytes);
  }
  if (what == stream_item::part) return read;
  desk_.finish(to.exchange);
  to.answered = true;
  unanswered_.erase(static_cast<std::uint64_t>(to.exchange));
  return false;
}

/// A worker sends more once its parts are on their way to the client.
void application::give_credit(open_request& to) {
  if (to.credit_owed < parts_ahead / 2 || desk_.backlog(to.exchange) > stream_backlog_max) return;
  core_.give_credit(to.call_id, std::exchange(to.credit_owed, 0));
}

void application::on_room(front::instant, front::exchange_id id) {
  if (events_.on_room(id)) return;
  const auto found = unanswered_.find(static_cast<std::uint64_t>(id));
  if (found == unanswered_.end() || found->second->credit_owed == 0) return;
  core_.give_credit(found->second->call_id, std::exchange(found->second->credit_owed, 0));
}

void application::on_result(front::instant now, call_tag& of, std::string_view payload) {
  if (of.events_for != 0) return events_.answered(now, of.events_for, of.slot, payload);
  if (!of.of) return learn(payload);
  record(now, of, call_verdict::succeeded);
  auto& to = *of.of;
  count_call(of, status::ok);
  if (to.run) {
    to.calls.erase(of.slot);
    plan_effects effects;
    to.run->on_result(now, of.slot, payload, effects);
    return perform(now, of.of, effects);
  }
  if (to.answered) return;
  if (payload.empty()) payload = "\xc0";
  if (is_stream(to.call.reply)) {
    stream(to, stream_item::reply, payload);
    return;
  }
  if (!to.call.streams) return answer(to, result<std::string_view>{payload});
  if (to.overfull) return answer(to, too_large());
  std::string all;
  wire::writer writer{all};
  writer.map(2);
  writer.string("parts");
  writer.array(to.part_count);
  writer.raw(to.parts);
  writer.string("reply");
  writer.raw(payload);
  answer(to, result<std::string_view>{all});
}

void application::on_error(front::instant now, call_tag& of, error why) {
  if (of.events_for != 0) return events_.answered(now, of.events_for, of.slot, tl::unexpected{std::move(why)});
  if (!of.of) return watch_later(now);
  // A broker that is lost takes all calls along, whatever their services are worth.
  record(now, of, core_.ready() ? verdict_of(why.code) : call_verdict::neither);
  if (!retry_later(now, of, why)) on_failure(now, of, std::move(why));
}

/// A call has failed for good.
void application::on_failure(front::instant now, const call_tag& of, error why) {
  auto& to = *of.of;
  count_call(of, why.code);
  if (to.run) {
    to.calls.erase(of.slot);
    plan_effects effects;
    to.run->on_error(now, of.slot, std::move(why), effects);
    return perform(now, of.of, effects);
  }
  if (to.answered) return;
  if (to.streaming) {
    stream(to, stream_item::error, problem_of(why).body);
    return;
  }
  answer(to, to.overfull ? too_large() : tl::unexpected{std::move(why)});
}

/// One call of a request has ended. The time is taken anew: within one batch many a call begins and ends.
void application::count_call(const call_tag& of, status code) {
  if (!options_.metrics) return;
  const auto now = front::clock::now();
  const auto& to = *of.of;
  if (!to.run) return options_.metrics->call_ended(to.call.command, code, now - to.since);
  const auto found = to.calls.find(of.slot);
  if (found != to.calls.end() && !found->second.command.empty()) options_.metrics->call_ended(found->second.command, code, now - found->second.since);
}

void application::answer(open_request& to, const result<std::string_view>& payload) {
  if (to.wants_metrics) return answer(to, metrics_answer(payload.value_or(std::string_view{})));
  to.nothing_ran = to.nothing_ran || (!payload && !payload.error().may_have_run);
  answer(to, router::answer(to.call, payload));
}

void application::answer(open_request& to, front::response out) {
  if (std::exchange(to.answered, true)) return;
  if (to.keyed && to.keyed->is_mine) return settle(to, std::move(out));
  if (to.leads) return end_flight(to, std::move(out));
  deliver(to, std::move(out));
}

void application::deliver(open_request& to, front::response out) {
  to.answered = true;
  const auto id = to.exchange;
  unanswered_.erase(static_cast<std::uint64_t>(id));  // which may have been what kept it
  desk_.respond(id, std::move(out));
}

}  // namespace waggle::gateway
