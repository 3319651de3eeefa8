#include "sim/model.hpp"

#include <algorithm>
#include <tuple>

#include <waggle/detail/caller_core.hpp>
#include <waggle/wire/error.hpp>

namespace waggle::sim {

using wire::frame_type;

void model::fail(const std::string& what) const { throw violation{what}; }

void model::say(const char* how, peer_id who, const wire::frame& in) const {
  log_.say(now_, std::string{"  broker "} + how + ": peer " + std::to_string(static_cast<std::uint32_t>(who)) + ", type " +
                     std::to_string(static_cast<int>(in.type)) + ", id " + std::to_string(in.id) + " " + std::string{in.name} + " " +
                     std::string{name(in.status)} + ", " + std::to_string(in.payload.size()) + " bytes" +
                     (in.status == status::ok ? "" : " " + wire::read_error(in.status, in.payload).message));
}

std::string model::in_words(peer_id worker) const {
  const auto& who = peers_[static_cast<std::size_t>(worker)];
  return "worker " + std::to_string(static_cast<std::uint32_t>(worker)) + " (" + who.instance + ", " + std::to_string(who.in_flight[0]) + " of " +
         std::to_string(who.slots[0]) + " and " + std::to_string(who.in_flight[1]) + " of " + std::to_string(who.slots[1]) + (who.draining ? ", leaves)" : ")");
}

/// Takes in what the core has sent since the last step.
void model::begin(instant now) {
  if (now > now_) {
    if (now_ == instant{}) {
      started_ = now;
    } else if (now - now_ > 2 * limits_.pulse) {
      verdicts_from_ = now + limits_.pulse;
    }
    now_ = now;
  }
  told_.clear();
  step_ = ++listings_;
  read_.resize(out_.messages());
  for (std::size_t i = 0; i < out_.messages(); ++i) {
    const auto& message = out_.message_at(i);
    auto& [bytes, count, attachments, attached_bytes] = read_[i];
    if (message.bundle.size() == bytes) continue;
    wire::bundle_reader frames{{std::string_view{message.bundle}.substr(bytes), message.attachments}};
    for (;;) {
      told each{message.to, {}};
      const auto begins = bytes + frames.offset();
      const auto how = frames.next(each.in);
      if (how == wire::decoded::end) break;
      if (how != wire::decoded::frame) fail("the broker sent what is not a frame");
      if (count++ > 0 && begins + attached_bytes >= wire::bundle_bytes_soft_max) fail("a bundle goes on though it was large enough");
      if (each.in.attached != nullptr) {
        if (each.in.attached != &message.attachments[attachments++]) fail("an attachment is not the next of its message");
        if (each.in.payload.size() < limits_.attachment_bytes_min) fail("a small payload is attached");
        attached_bytes += each.in.payload.size();
      }
      told_.push_back(each);
      if (log_.verbose()) say("sends", each.to, each.in);
    }
    bytes = message.bundle.size();
  }
}

/// Everything that came out was owed, and the core's own books are these.
void model::finish() {
  for (const auto& each : told_) {
    if (each.expected) continue;
    fail("the broker sent to peer " + std::to_string(static_cast<std::uint32_t>(each.to)) + " what it does not owe: frame type " +
         std::to_string(static_cast<int>(each.in.type)) + ", id " + std::to_string(each.in.id) + ", status " +
         std::string{name(each.in.status)} + ", error " + wire::read_error(each.in.status, each.in.payload).message);
  }
  for (std::size_t i = 0; i < out_.messages(); ++i) {
    const auto to = static_cast<std::size_t>(out_.message_at(i).to);
    if (read_[i].frames > std::max<std::uint32_t>(1, peers_[to].bundle_in_round)) fail("a bundle has more frames than its peer takes");
    if (read_[i].attachments > peers_[to].attachments_in_round) fail("a message has more attachments than its peer takes");
    if (read_[i].attachments != out_.message_at(i).attachments.size()) fail("a message has an attachment that no frame speaks of");
  }
  auto forgotten = out_.forgotten();
  std::sort(forgotten.begin(), forgotten.end());
  std::sort(forgotten_.begin(), forgotten_.end());
  if (forgotten != forgotten_) fail("the broker forgets other peers than those that are gone");
  if (out_.broadcasts().size() != broadcasts_) fail("the broker published other events than those that were sent");
  check_books();
}

void model::check_books() {
  const auto same = [&](std::uint64_t theirs, std::uint64_t ours, const char* what) {
    if (theirs != ours) fail(std::string{what} + ": the core says " + std::to_string(theirs) + ", it should be " + std::to_string(ours));
  };
  std::size_t workers = 0, peers = 0;
  for_peers([&](peer_id, const peer& each) {
    ++peers;
    if (each.seat != nullptr) ++workers;
  });
  same(core_.open_calls(), calls_.size(), "open calls");
  same(core_.kept_bytes(), kept_bytes_, "kept bytes");
  same(core_.worker_count(), workers, "workers");
  same(core_.peer_count(), peers, "peers");
  same(sums_.accepted, sums_.replied + sums_.abandoned + (calls_.size() - settled_), "calls replied, failed or pending");
  if (core_.next_deadline() > next_deadline()) fail("the core does not want the clock in time");
}

void model::cleared() {
  read_.clear();
  broadcasts_ = 0;
  forgotten_.clear();
  ++round_;
  for_peers([](peer_id, peer& each) {
    each.bundle_in_round = each.bundle;
    each.attachments_in_round = each.attachments;
  });
}

std::size_t model::active_workers() const {
  return static_cast<std::size_t>(
      std::count_if(peers_.begin(), peers_.end(), [](const auto& each) { return each.known && each.seat != nullptr && !each.draining; }));
}

bool model::replied(peer_id to, std::uint64_t id, status code) const {
  return std::any_of(told_.begin(), told_.end(), [&](const told& each) {
    return !each.expected && each.to == to && each.in.type == frame_type::reply && each.in.id == id && each.in.status == code;
  });
}

/// The next frame of this kind that the core has sent, which must be there. Between frames of one call order is kept.
const wire::frame& model::expect(frame_type type, peer_id to, std::uint64_t id, const char* why) {
  for (auto& each : told_) {
    if (each.expected || each.to != to || each.in.id != id) continue;
    if (type == frame_type::reply && each.in.type == frame_type::part) fail("a PART is behind the REPLY of its call, or one too many");
    if (each.in.type != type) continue;
    each.expected = true;
    return each.in;
  }
  fail(std::string{"the broker owes peer "} + std::to_string(static_cast<std::uint32_t>(to)) + " a frame of type " +
       std::to_string(static_cast<int>(type)) + " with id " + std::to_string(id) + ": " + why);
}

void model::expect_error(peer_id to, std::uint64_t id, status code, bool may_have_run, const char* why) {
  const auto& reply = expect_reply(to, id, why, [&](const auto& in) { return in.status == code; });
  if (reply.status != code) {
    fail(std::string{"a REPLY says "} + std::string{name(reply.status)} + " and should say " + std::string{name(code)} + ": " + why);
  }
  if (wire::read_error(reply.status, reply.payload).may_have_run != may_have_run) {
    fail(std::string{"a REPLY is wrong about whether the call may have run: "} + why);
  }
}

bool model::is_welcome(const wire::frame& in) { return in.status == status::ok && in.payload.substr(std::min<std::size_t>(1, in.payload.size())).starts_with("\xa8protocol"); }

bool model::admit(peer_id from) {
  const auto index = static_cast<std::size_t>(from);
  if (index >= peers_.size()) peers_.resize(index + 1);
  if (peers_[index].known) return true;
  std::size_t known = 0;
  for_peers([&](peer_id, const peer&) { ++known; });
  if (known >= limits_.peers_max) {
    expect_error(from, 0, status::resource_exhausted, false, "there are as many peers as may be");
    peers_[index] = peer{};
    forget(from);
    return false;
  }
  peers_[index] = peer{};
  peers_[index].known = true;
  peers_[index].bundle_in_round = wire::bundle_frames_max;  // as who had the number before
  peers_[index].attachments_in_round = wire::attachments_max;
  std::erase(forgotten_, from);
  return true;
}

void model::received(instant now, peer_id from, const wire::message_view& message) {
  begin(now);
  explain([&] { read(from, message); });
}

void model::read(peer_id from, const wire::message_view& message) {
  if (admit(from)) {
    at(from).heard = now_;
    at(from).heard_as = ++listings_;
    step_ = ++listings_;
    wire::bundle_reader frames{message};
    wire::frame in;
    if (message.bundle.empty()) on_frame(from, in);  // somebody has connected, which counts as a PULSE; a frame that nobody has filled is one
    for (auto how = frames.next(in); how != wire::decoded::end; how = frames.next(in)) {
      if (how == wire::decoded::broken) {
        broke(from);
        break;
      }
      if (how == wire::decoded::frame) on_frame(from, in);
    }
    dispatch();
  }
  finish();
}

void model::received_garbage(instant now, peer_id from) {
  begin(now);
  explain([&] {
    if (admit(from)) broke(from);
    finish();
  });
}

void model::broke(peer_id from) {
  ++sums_.broken;
  expect_error(from, 0, status::invalid_argument, false, "its message was garbage");
  drop(from);
  dispatch();
}

void model::unreachable(instant now, peer_id gone, const std::vector<wire::message_view>& unsent) {
  begin(now);
  explain([&] { lose(gone, unsent); });
}

void model::lose(peer_id gone, const std::vector<wire::message_view>& unsent) {
  const auto index = static_cast<std::size_t>(gone);
  if (index < peers_.size() && peers_[index].known) {
    for (const auto& each : unsent) {  // what has not left was not handed over
      wire::bundle_reader frames{each};
      wire::frame in;
      while (at(gone).seat != nullptr && frames.next(in) == wire::decoded::frame) {
        const auto found = by_lease_.find(in.id);
        if (in.type != frame_type::call || found == by_lease_.end()) continue;
        auto& back = calls_.at(found->second);
        if (back.worker != gone || back.state != call::leased) continue;
        --back.attempts;
        ++sums_.taken_back;
        if (!back.kept) keep(back);
      }
    }
    drop(gone);
    dispatch();
  }
  finish();
}

void model::connection_ended(instant now, peer_id of) {
  begin(now);
  const auto index = static_cast<std::size_t>(of);
  if (index < peers_.size() && peers_[index].known && peers_[index].seat != nullptr) {
    if (expect(frame_type::pulse, of, 0, "its connection may have ended").seats != seats(peers_[index])) fail("a PULSE names other seats than there are");
  }
  finish();
}

bool model::may_rest(const peer& worker) const {
  return worker.idles && worker.in_flight[0] + worker.in_flight[1] == 0 && limits_.idle_pulse > limits_.pulse;
}

/// From now on it has as long to be heard as anybody.
void model::end_rest(peer& worker) {
  if (!std::exchange(worker.rests, false)) return;
  ++sums_.woken;
  worker.pulse_due = now_ + limits_.pulse;
  worker.heard = now_;
  worker.heard_as = step_;
}

void model::ticked(instant now) {
  begin(now);
  while (!by_deadline_.empty() && by_deadline_.begin()->first <= now_) {
    const auto number = by_deadline_.begin()->second;
    const auto& late = calls_.at(number);
    if (late.state == call::parked) {
      const auto& reply = expect_reply(late.caller, late.id, "who waits for a change is told in time that there is none", is_list);
      if (reply.status != status::ok) fail("waggle.services fails when its wait is over");
      ++sums_.replied;
      settle(number);
      close(number);
    } else {
      end(number, status::deadline_exceeded, "the budget has passed");
    }
  }
  release_held();
  end_grace();
  std::vector<peer_id> dead;
  for_peers([&](peer_id id, const peer& each) {
    if (each.seat != nullptr && now_ >= verdicts_from_ && each.heard + pulse_of(each) * limits_.missed_pulses_max <= now_) dead.push_back(id);
  });
  // The longest silent first; of those whose rest began or ended at one time the core may choose.
  const auto order_of = [&](peer_id id) {
    const auto& gone = out_.forgotten();
    return std::tuple{at(id).rests, at(id).heard_as, gone.rend() - std::find(gone.rbegin(), gone.rend(), id)};
  };
  std::sort(dead.begin(), dead.end(), [&](peer_id a, peer_id b) { return order_of(a) < order_of(b); });
  for (const auto each : dead) {
    ++sums_.dead;
    if (at(each).rests) ++sums_.died_resting;
    drop(each);
  }
  dispatch();
  for_peers([&](peer_id id, peer& each) {
    if (each.seat != nullptr || each.heard + limits_.idle_max > now_) return;
    if (each.calls.empty()) {
      drop(id);
    } else {
      each.heard = now_;
    }
  });
  for_peers([&](peer_id id, peer& each) {
    if (each.seat == nullptr || each.pulse_due > now_) return;
    if (!each.rests && may_rest(each)) {
      ++sums_.rested;
      each.rests = true;
      each.heard = now_;
      each.heard_as = step_;
    }
    each.pulse_due = now_ + pulse_of(each);
    if (expect(frame_type::pulse, id, 0, "a pulse is due").seats != seats(each)) fail("a PULSE names other seats than there are");
  });
  if (announce_at_ <= now_) tell_watchers();
  finish();
  if (core_.next_deadline() <= now_) fail("after a tick the core still wants the clock at once");
}

instant model::next_deadline() const {
  auto next = announce_at_;
  if (!by_deadline_.empty()) next = std::min(next, by_deadline_.begin()->first);
  if (!held_.empty()) next = std::min(next, held_.front()->until);
  if (!remembered_.empty()) next = std::min(next, remembered_.front()->until);
  if (std::any_of(commands_.begin(), commands_.end(), [](const auto& each) { return each.second.expected; })) {
    next = std::min(next, started_ + limits_.grace);
  }
  for (const auto& each : peers_) {
    if (!each.known) continue;
    if (each.seat == nullptr) {
      next = std::min(next, each.heard + limits_.idle_max);
    } else {
      next = std::min({next, each.pulse_due, std::max(verdicts_from_, each.heard + pulse_of(each) * limits_.missed_pulses_max)});
    }
  }
  return next;
}

void model::misplaced(peer_id to) {
  expect_error(to, 0, status::failed_precondition, false, "a frame that this peer may not send now");
}

void model::on_frame(peer_id from, const wire::frame& in) {
  if (log_.verbose()) say("reads", from, in);
  switch (in.type) {
    case frame_type::call:
      if (in.id == 0 || by_id_.contains({from, in.id})) return misplaced(from);
      return on_call(from, in);
    case frame_type::reply: return on_reply(from, in);
    case frame_type::part: return on_part(from, in);
    case frame_type::credit: return on_credit(from, in);
    case frame_type::cancel:
      if (const auto found = by_id_.find({from, in.id}); found != by_id_.end()) end(found->second, status::cancelled, "it was cancelled");
      return;
    case frame_type::pulse:
      if (at(from).seat == nullptr && expect(frame_type::pulse, from, 0, "a pulse from who is no worker").seats != 0) {
        fail("who is no worker is told of seats");
      }
      return;
    case frame_type::emit: {
      if (in.id != 0 && by_id_.contains({from, in.id})) return misplaced(from);
      if (in.id != 0 && at(from).calls.size() >= limits_.caller_calls_max) return refuse(from, in.id, status::resource_exhausted, "caller_calls_max");
      if (in.id != 0 && calls_.size() >= limits_.calls_max) return refuse(from, in.id, status::resource_exhausted, "calls_max");
      const bool own = in.name.starts_with("waggle.");
      if (!own && !wire::is_topic(in.name)) {  // a spoilt byte may be one that only patterns have
        if (in.id != 0) expect_error(from, in.id, status::invalid_argument, false, "what is not a topic");
        return;
      }
      if (!own) {
        if (out_.broadcasts().size() <= broadcasts_ || out_.broadcasts()[broadcasts_].topic != in.name) fail("an event is not published");
        ++broadcasts_;
      }
      if (in.id == 0) return;
      if (own) return expect_error(from, in.id, status::permission_denied, false, "the broker's own topics");
      if (expect_reply(from, in.id, "a receipt", [](const auto& each) { return each.payload == "\x81\xa7" "durable\xc2"; }).status != status::ok) fail("the receipt of an event is an error");
      return;
    }
    case frame_type::hello: {
      std::uint64_t bundle = 1, attachments = 0;
      wire::reader about{in.manifest};
      if (!in.manifest.empty()) {
        wire::read_entries(about, [&](std::string_view key) {
          if (about.peek() != wire::kind::unsigned_integer) return about.skip();
          return key == "bundle" ? about.unsigned_integer(bundle) : key == "attachments" ? about.unsigned_integer(attachments) : about.skip();
        });
      }
      auto& who = at(from);
      who.bundle = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(bundle, 1, wire::bundle_frames_max));
      who.bundle_in_round = std::max(who.bundle_in_round, who.bundle);
      who.attachments = static_cast<std::uint32_t>(std::min<std::uint64_t>(attachments, wire::attachments_max));
      who.attachments_in_round = std::max(who.attachments_in_round, who.attachments);
      const auto& reply = expect_reply(from, in.id, "a HELLO", is_welcome);
      const auto said = detail::read_welcome(reply.payload);
      if (reply.status != status::ok || said.broker != limits_.instance || said.seats != seats(who)) fail("a welcome is wrong");
      if (said.idle_pulse != std::max(limits_.pulse, limits_.idle_pulse)) fail("a welcome says how often the idle pulse, and is wrong");
      return;
    }
    case frame_type::join: return on_join(from, in);
    case frame_type::leave: return on_leave(from, in);
    case frame_type::event: return misplaced(from);
  }
}

}  // namespace waggle::sim
