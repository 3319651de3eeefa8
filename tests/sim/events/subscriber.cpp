#include "sim/events/subscriber.hpp"

#include <algorithm>

namespace waggle::sim {

struct subscriber::sink {
  subscriber& to;
  void on_event(const detail::subscribed_event& what) { to.given(what); }
  void on_lost(std::string_view stream, std::uint64_t from, std::uint64_t up_to) { to.lost(stream, from, up_to); }
  void on_error(const error& why) {
    if (why.code != status::out_of_range) throw violation{"a subscription fails: " + why.message};
    to.failed_ = true;
  }
};

subscriber::subscriber(event_surroundings& around, std::uint32_t number) : actor{around, number}, around_{around}, pipe_{around.events, around.chance} {
  around_.subscribers.push_back(&pipe_);
}

void subscriber::start(instant now) {
  auto& chance = around_.chance;
  using kind = detail::subscription_start::kind;
  detail::subscription_core::options like;
  if (resumes_) {
    like.prefixes = prefixes_;
    like.start = {kind::positions, 0, 0, positions_};
    // Of several prefixes, some events may come once more.
    for (auto& [which, each] : chains_) {
      const auto known = positions_.find(which.first);
      each.given = std::min(each.given, known == positions_.end() ? 0 : known->second);
    }
  } else {
    const std::vector<std::vector<std::string>> choices{{""}, {"order."}, {"stock."}, {"order.", "stock."}, {"order.p"}, {"note"}};
    like.prefixes = chance.pick(choices);
    like.start.from = chance.chance(1, 2) ? kind::now : kind::positions;  // of no stream: each from its oldest
    chains_.clear();
    positions_.clear();
  }
  if (chance.chance(1, 3)) like.held_bytes_max = chance.between(1, 3000);
  if (like.start.from == kind::positions) {  // streams that it does not name begin with what there is
    for (const auto& [stream, of] : around_.books.streams()) {
      for (const auto& prefix : like.prefixes) {
        const auto known = positions_.find(stream);
        chains_[{stream, prefix}].whole = known == positions_.end() ? of.first - 1 : known->second;
      }
    }
  }
  lost_.clear();
  began_with_ = like.start.from;
  core_ = std::make_unique<detail::subscription_core>(like);
  prefixes_ = core_->prefixes();
  asked_.clear();
  bundle_.clear();
  had_begun_ = failed_ = false;
  auto topics = prefixes_;
  topics.emplace_back(detail::subscription_core::head_topics);
  if (around_.log.verbose()) around_.log.say(now, "subscriber " + std::to_string(number_) + (resumes_ ? " resumes" : began_with_ == kind::now ? " begins now" : " begins with the oldest") + ", " + std::to_string(prefixes_.size()) + " prefixes, " + prefixes_.front());
  pipe_.open(now, topics);
  socket_.open(now);
}

void subscriber::crash(instant now) {
  positions_ = core_->positions();
  if (around_.log.verbose()) {
    for (const auto& [stream, at] : positions_) around_.log.say(now, "subscriber " + std::to_string(number_) + " dies at " + std::to_string(at) + " of " + stream);
  }
  resumes_ = had_begun_ && !failed_ && around_.chance.chance(2, 3);
  socket_.cut(now, true);
  pipe_.close();
  core_.reset();
  was_connected_ = false;
}

/// What is between must have been told as lost.
void subscriber::check_gap(const std::string& stream, const std::string& prefix, std::uint64_t from, std::uint64_t to, bool from_oldest) const {
  const auto known = around_.books.streams().find(stream);
  if (known == around_.books.streams().end()) return;
  const auto told = lost_.find(stream);
  for (auto next = known->second.events.upper_bound(from); next != known->second.events.end() && next->first < to; ++next) {
    if (!next->second.topic.starts_with(prefix)) continue;
    const auto sequence = next->first;
    if (from_oldest && next->second.trimmed) continue;  // it was gone before anything was read
    const bool is_told = told != lost_.end() && std::any_of(told->second.begin(), told->second.end(), [&](const auto& each) { return each.first <= sequence && sequence <= each.second; });
    if (!is_told) throw violation{"subscriber " + std::to_string(number_) + " has missed event " + std::to_string(sequence) + " of " + stream + (next->second.trimmed ? ", which is not kept any more" : "")};
  }
}

void subscriber::given(const detail::subscribed_event& what) {
  auto& sums = around_.books.totals();
  ++sums.delivered;
  const auto prefix = std::find_if(prefixes_.begin(), prefixes_.end(), [&](const auto& each) { return what.topic.starts_with(each); });
  if (prefix == prefixes_.end()) throw violation{"a subscriber gets an event that it has not subscribed to"};
  if (what.stream.empty()) {
    if (!around_.events.is_ephemeral(what.topic)) throw violation{"a subscriber gets an event of a stream as an ephemeral one"};
    return;
  }
  const std::string stream{what.stream};
  const auto& kept = around_.books.streams().at(stream).events.at(what.sequence);
  if (kept.topic != what.topic || kept.payload != what.payload || kept.headers != what.headers || kept.event_id != what.event_id || kept.time_ms != what.time_ms) {
    throw violation{"a subscriber gets another event than was emitted"};
  }
  auto& of = chains_[{stream, *prefix}];
  if (what.sequence <= of.given) throw violation{"subscriber " + std::to_string(number_) + " gets event " + std::to_string(what.sequence) + " of " + stream + " after " + std::to_string(of.given)};
  const bool is_whole = of.given > 0 || had_begun_ || began_with_ == detail::subscription_start::kind::positions;
  if (is_whole) check_gap(stream, *prefix, std::max(of.given, of.whole), what.sequence, of.given == 0 && began_with_ == detail::subscription_start::kind::positions);
  of.given = what.sequence;
  if (around_.log.verbose()) around_.log.say({}, "  subscriber " + std::to_string(number_) + " gets event " + std::to_string(what.sequence) + " of " + stream);
}

void subscriber::lost(std::string_view stream, std::uint64_t from, std::uint64_t to) {
  auto& sums = around_.books.totals();
  ++sums.lost;
  const auto known = around_.books.streams().find(std::string{stream});
  if (to == 0 || to < from || known == around_.books.streams().end()) throw violation{"a subscriber is told that it has lost what never was"};
  const auto& events = known->second.events;
  bool any = false;
  for (auto next = events.lower_bound(from); next != events.end() && next->first <= to; ++next) any |= next->second.trimmed || next->second.damaged;
  if (!any) throw violation{"subscriber " + std::to_string(number_) + " is told that it has lost events " + std::to_string(from) + " to " + std::to_string(to) + " of " + std::string{stream} + ", which are all there"};
  lost_[std::string{stream}].emplace_back(from, to);
  if (around_.log.verbose()) around_.log.say({}, "  subscriber " + std::to_string(number_) + " has lost events " + std::to_string(from) + " to " + std::to_string(to) + " of " + std::string{stream});
}

/// From now on everything that is emitted has to come.
void subscriber::begin() {
  had_begun_ = true;
  for (const auto& [stream, of] : around_.books.streams()) {
    for (const auto& prefix : prefixes_) {
      auto& each = chains_[{stream, prefix}];
      if (began_with_ == detail::subscription_start::kind::now) each.whole = std::max(each.whole, of.head);
    }
  }
}

void subscriber::all_is_there() const {
  if (!running()) return;
  if (!had_begun_) throw violation{"with nothing wrong any more, subscriber " + std::to_string(number_) + " does not begin"};
  for (const auto& [stream, of] : around_.books.streams()) {
    if (stream == "waggle.later") continue;
    for (const auto& prefix : prefixes_) {
      const auto known = chains_.find({stream, prefix});
      check_gap(stream, prefix, known == chains_.end() ? 0 : std::max(known->second.given, known->second.whole), of.head + 1,
                (known == chains_.end() || known->second.given == 0) && began_with_ == detail::subscription_start::kind::positions);
    }
  }
}

void subscriber::run(instant now) {
  sink to{*this};
  if (was_connected_ && !socket_.connected()) {
    for (const auto& [wire_id, id] : std::exchange(asked_, {})) core_->answered(now, id, failure(status::unavailable, "the connection is lost", true), to);
    bundle_.clear();
  }
  pub_sub_pipe::message got;
  while (!failed_ && pipe_.receive(now, got)) core_->receive(now, got.topic, got.event, to);
  wire::message arrived;
  while (socket_.receive(now, arrived)) {
    wire::bundle_reader frames{arrived};
    wire::frame in;
    while (frames.next(in) == wire::decoded::frame) {
      if (in.type != wire::frame_type::reply) continue;
      const auto found = asked_.find(in.id);
      if (found == asked_.end()) throw violation{"a subscriber is answered twice"};
      const auto id = found->second;
      asked_.erase(found);
      if (in.status == status::ok) {
        core_->answered(now, id, std::string_view{in.payload}, to);
      } else {
        core_->answered(now, id, tl::unexpected{wire::read_error(in.status, in.payload)}, to);
      }
    }
  }
  was_connected_ = socket_.connected();
  if (failed_) {
    crash(now);
    resumes_ = false;
    return restart_after(now, milliseconds{around_.chance.below(1000)});
  }
  if (was_connected_ && pipe_.was_in_force()) {
    while (const auto wants = core_->next_request(now)) {
      asked_[++last_id_] = wants->id;
      wire::append_call(bundle_, last_id_, wants->command, wants->payload, 20'000, {});
    }
  }
  if (!had_begun_ && core_->begun()) begin();
  if (!bundle_.empty() && socket_.send(now, bundle_)) bundle_.clear();
  look_at_ = now + milliseconds{bundle_.empty() ? was_connected_ ? 200 : 20 : 5};
}

instant subscriber::next_deed(instant) const {
  auto next = std::min(pipe_.next(), look_at_);
  if (was_connected_ && pipe_.was_in_force()) next = std::min(next, core_->next_deadline());
  return next;
}

}  // namespace waggle::sim
