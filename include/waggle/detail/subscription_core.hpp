#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <waggle/detail/caller_core.hpp>
#include <waggle/detail/event_answers.hpp>
#include <waggle/wire/error.hpp>
#include <waggle/wire/frames.hpp>

namespace waggle::detail {

/// An event on its way to whoever has subscribed. Views are good until the sink returns.
struct subscribed_event {
  std::string_view topic;
  std::string_view payload;   ///< one msgpack value, or empty
  std::string_view headers;   ///< one msgpack map, or empty
  std::string_view stream;    ///< empty: an ephemeral event
  std::uint64_t sequence = 0; ///< in its stream; 0: ephemeral
  std::int64_t time_ms = 0;   ///< since 1970, when it was kept; 0: ephemeral
  std::string_view event_id;
};

/// Where a subscription begins, in each stream.
struct subscription_start {
  enum class kind : std::uint8_t { now, sequence, last, age, positions } from = kind::now;
  std::uint64_t number = 0;                           ///< sequence (0: with the oldest there is), or how many of the last
  std::int64_t age_ms = 0;                            ///< how long ago
  /// By stream: the last sequence that is known already. A stream that is not named begins with its oldest event.
  std::map<std::string, std::uint64_t> positions{};
};

/// A subscriber's side of events: puts what comes over PUB/SUB and what is read from the broker's log into one sequence, in order and each
/// event once. No socket, clock, thread or log. The owner subscribes to `prefixes()` and to `head_topics`, moves what its SUB socket gets to
/// `receive`, and calls the commands of the broker that `next_request` asks for (`waggle.streams`, `waggle.events`), giving the
/// answers to `answered`: each once, whatever comes of it. What is received before the subscription is in force counts for nothing, so ask
/// `next_request` only then. The sink has
///   on_event(const subscribed_event&)
///   on_error(const error&)      the subscription cannot go on: OUT_OF_RANGE when what it should begin with is not kept any more
///   on_lost(std::string_view stream, from, to)   events of these sequences may be missing (damaged, trimmed meanwhile, or gone with a log
///                               that has begun again: then `to` is 0, for nobody knows how many); what follows goes on
/// and must not change the core.
///
/// How a gap is noticed: each event says which event before it in its stream had the same prefix (PROTOCOL.md, "Gaps"). So each prefix of a
/// stream is a chain of its own, and `complete` is up to where everything of that chain has been given out.
class subscription_core {
 public:
  struct options {
    std::vector<std::string> prefixes{""};
    std::string stream{};              ///< only this one; empty: every stream that has such topics, and ephemeral events
    subscription_start start{};
    std::size_t held_bytes_max = 4u << 20;  ///< live events that wait while the log is read; past it they are dropped, and read later
  };
  /// A call the owner is to make now.
  struct request {
    std::uint64_t id = 0;
    std::string command;
    std::string payload;
  };

  /// What heads of streams begin with: the broker tells them every second, so that the loss of a last event is noticed.
  static constexpr std::string_view head_topics = "waggle.head.";

  explicit subscription_core(options from) : options_{std::move(from)} {
    // A topic then has one prefix and no more. What begins with a longer one begins with the shorter one, too.
    auto& all = options_.prefixes;
    std::sort(all.begin(), all.end());
    std::vector<std::string> kept;
    for (auto& each : all) {
      if (kept.empty() || !each.starts_with(kept.back())) kept.push_back(std::move(each));
    }
    all = std::move(kept);
  }

  /// What to subscribe to.
  [[nodiscard]] const std::vector<std::string>& prefixes() const { return options_.prefixes; }

  /// Takes what a SUB socket got. Any bytes are allowed, and so are topics that nobody here wants.
  template <class Sink>
  void receive(time_point now, std::string_view topic, std::string_view event_frame, Sink&& sink) {
    wire::bundle_reader frames{event_frame};
    wire::frame in;
    if (frames.next(in) == wire::decoded::frame && in.type == wire::frame_type::event && in.name == topic) receive(now, in, sink);
  }
  /// The same for an EVENT frame that is taken apart already.
  template <class Sink>
  void receive(time_point, const wire::frame& in, Sink&& sink) {
    if (ended_) return;
    if (in.name.starts_with("waggle.")) {
      if (in.name.starts_with(head_topics)) on_head(in.name.substr(head_topics.size()), in.id);
      return;
    }
    const auto prefix = prefix_of(in.name);
    if (prefix == none) return;
    const auto origin = read_event_origin(in.about);
    if (in.id == 0 || origin.stream.empty()) {
      if (options_.stream.empty()) sink.on_event({in.name, in.payload, in.headers, {}, 0, 0, {}});
      return;
    }
    if (!options_.stream.empty() && origin.stream != options_.stream) return;
    auto* of = find(origin.stream);
    if (of == nullptr) of = add_newcomer(origin, in.id, prefix);
    if (of == nullptr) return;
    of->seen = std::max(of->seen, in.id);
    if (!of->placed) {
      miss(*of, in.id);
    } else if (in.id > of->complete[prefix]) {
      take(*of, prefix, in, origin, sink);
    }
  }

  /// The answer to a request, a value or why there is none.
  template <class Sink>
  void answered(time_point now, std::uint64_t id, const result<std::string_view>& payload, Sink&& sink) {
    if (!asked_ || asked_->id != id || ended_) return;
    const auto asked = *std::exchange(asked_, std::nullopt);
    if (!payload) return on_failure(now, asked, payload.error(), sink);
    if (asked.what == question::streams) {
      const auto got = read_streams_answer(*payload);
      if (!got) return garbage("waggle.streams", sink);
      failures_ = 0;
      return on_streams(*got, sink);
    }
    const auto got = read_events_answer(*payload);
    if (!got) return garbage("waggle.events", sink);
    if (auto* const of = find(asked.stream)) {
      failures_ = 0;
      asked.what == question::place ? on_place(*of, *got) : on_events(now, *of, asked, *got, sink);
    }
  }

  /// What the owner is to ask the broker now, if anything; one at a time.
  std::optional<request> next_request(time_point now) {
    if (ended_ || asked_ || now < ask_at_) return std::nullopt;
    if (wants_streams_) {
      asked_ = question{++asked_ids_, question::streams};
      asked_about_.swap(unknown_);
      return request{asked_->id, "waggle.streams", streams_question()};
    }
    auto* const of = next_to_read();
    if (of == nullptr) return std::nullopt;
    asked_ = question{++asked_ids_, of->placed ? question::events : question::place, of->name, newest(*of), of->seen};
    return request{asked_->id, "waggle.events", events_question(*of)};
  }

  /// When `next_request` has something to ask, if nothing else happens before.
  [[nodiscard]] time_point next_deadline() const {
    if (ended_ || asked_) return time_point::max();
    const bool wants = wants_streams_ || std::any_of(streams_.begin(), streams_.end(), [](const auto& each) { return each.second.to_read(); });
    return wants ? ask_at_ : time_point::max();
  }

  /// After every event that was given out: what to begin with to get those behind it (`kind::positions`). With several prefixes some
  /// events may come once more then: those of one prefix that were given out while those of another were not known to be complete.
  [[nodiscard]] const std::map<std::string, std::uint64_t>& positions() const { return positions_; }
  /// It knows where it begins: what is emitted from now on will come.
  [[nodiscard]] bool begun() const { return begun_; }
  /// It has said why it cannot go on.
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  static constexpr std::size_t none = ~std::size_t{0};
  /// Streams that one subscription follows, and names of others that it remembers not to. Events of streams beyond are not given out.
  static constexpr std::size_t streams_max = 1000;
  static constexpr std::uint64_t read_count = 500;
  static constexpr milliseconds pause_min{100};
  static constexpr milliseconds pause_max{5'000};

  struct held_event {
    std::size_t prefix = 0;
    std::uint64_t sequence = 0;
    std::uint64_t after = 0;
    std::int64_t time_ms = 0;
    std::string topic, payload, headers, event_id;
    [[nodiscard]] std::size_t bytes() const { return sizeof(held_event) + topic.size() + payload.size() + headers.size() + event_id.size(); }
  };
  struct stream {
    std::string name;
    std::vector<std::uint64_t> complete;  ///< by prefix
    std::uint64_t wanted = 0;   ///< up to here it must be read, as far as it is not complete
    std::uint64_t missing = 0;  ///< the newest that is known to have been missed, if it is not complete: what is behind it waits
    std::uint64_t seen = 0;     ///< the newest that PUB/SUB has told of
    bool placed = false;        ///< it is known where to begin
    bool exact = false;         ///< it must begin with the next event, and nothing has been read yet
    bool from_oldest = false;   ///< what follows on `complete` is not there any more
    bool suspect = false;       ///< the head is older than what is known: it must be asked, if only for that
    std::deque<held_event> held;
    std::uint64_t* position = nullptr;

    [[nodiscard]] std::uint64_t all_complete() const { return *std::min_element(complete.begin(), complete.end()); }
    [[nodiscard]] bool to_read() const { return !placed || suspect || wanted > all_complete(); }
  };
  struct question {
    std::uint64_t id = 0;
    enum kind : std::uint8_t { streams, place, events } what = streams;
    std::string stream{};
    std::uint64_t newest = 0;  ///< that was given out when it was asked
    std::uint64_t seen = 0;
  };

  [[nodiscard]] std::size_t prefix_of(std::string_view topic) const {
    const auto& all = options_.prefixes;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (topic.starts_with(all[i])) return i;
    }
    return none;
  }
  stream* find(std::string_view name) {
    const auto found = streams_.find(name);
    return found == streams_.end() ? nullptr : &found->second;
  }
  static std::uint64_t newest(const stream& of) { return of.placed ? *std::max_element(of.complete.begin(), of.complete.end()) : 0; }

  stream& add_stream(const std::string& name) {
    auto& made = streams_.try_emplace(name).first->second;
    made.name = name;
    made.complete.assign(options_.prefixes.size(), 0);
    return made;
  }
  /// Everything up to `last` is known, or not wanted.
  void place(stream& of, std::uint64_t last) {
    of.placed = true;
    for (auto& each : of.complete) each = last;
    of.position = &positions_[of.name];
    *of.position = last;
  }
  void raise(stream& of, std::uint64_t up_to) {
    for (auto& each : of.complete) each = std::max(each, up_to);
    *of.position = of.all_complete();
  }
  void find_out_whether_begun() {
    begun_ = begun_ || std::all_of(streams_.begin(), streams_.end(), [](const auto& each) { return each.second.placed && !each.second.exact; });
  }

  /// The broker is to be asked what stream this is.
  void ask_about(std::string_view name, std::uint64_t sequence) {
    if (unknown_.size() >= streams_max && !unknown_.contains(name)) return;
    auto& until = unknown_.try_emplace(std::string{name}, 0).first->second;
    until = std::max(until, sequence);
    wants_streams_ = true;
  }

  /// A stream that was not there when the subscription began: it is followed from its first event on. One that had no such topics then, and
  /// now has, is followed from this event on. Null while nobody knows what was there at the beginning.
  stream* add_newcomer(const event_origin& origin, std::uint64_t sequence, std::size_t prefix) {
    if (!listed_) return ask_about(origin.stream, sequence), nullptr;
    if (streams_.size() >= streams_max) return nullptr;
    const auto stranger = strangers_.find(origin.stream);
    auto& made = add_stream(std::string{origin.stream});
    place(made, stranger == strangers_.end() ? 0 : last_before(origin, sequence, options_.prefixes[prefix].size()));
    if (stranger != strangers_.end()) strangers_.erase(stranger);
    return &made;
  }

  void on_head(std::string_view name, std::uint64_t head) {
    if (!options_.stream.empty() && name != options_.stream) return;
    auto* const of = find(name);
    if (of == nullptr) {
      const bool may_be_ours = begun_ && head > 0 && !strangers_.contains(name) && streams_.size() + strangers_.size() < streams_max;
      if (may_be_ours) ask_about(name, head);
      return;
    }
    of->seen = std::max(of->seen, head);
    of->wanted = std::max(of->wanted, head);
    // A head that lay in the socket for a while, or a log that has begun again.
    if (of->placed && head < newest(*of)) of->suspect = true;
  }

  /// A live event that has not been given out.
  template <class Sink>
  void take(stream& of, std::size_t prefix, const wire::frame& in, const event_origin& origin, Sink&& sink) {
    const auto after = last_before(origin, in.id, options_.prefixes[prefix].size());
    if (of.held.empty() && of.missing <= of.all_complete() && after <= of.complete[prefix]) {
      of.complete[prefix] = in.id;
      *of.position = of.all_complete();
      return sink.on_event({in.name, in.payload, in.headers, of.name, in.id, origin.time_ms, origin.event_id});
    }
    if (in.id <= of.missing || (!of.held.empty() && in.id <= of.held.back().sequence)) return;  // it is here, or is read
    if (after > of.complete[prefix]) miss(of, after);
    held_event made{prefix, in.id, after, origin.time_ms, std::string{in.name}, std::string{in.payload}, std::string{in.headers},
                    std::string{origin.event_id}};
    if (held_bytes_ + made.bytes() > options_.held_bytes_max) {
      while (!of.held.empty()) pop_held(of);
      return miss(of, in.id);
    }
    held_bytes_ += made.bytes();
    of.held.push_back(std::move(made));
  }

  void pop_held(stream& of) {
    held_bytes_ -= of.held.front().bytes();
    of.held.pop_front();
  }
  static void miss(stream& of, std::uint64_t up_to) {
    of.missing = std::max(of.missing, up_to);
    of.wanted = std::max(of.wanted, up_to);
  }
  template <class Sink>
  void give_held(stream& of, Sink&& sink) {
    while (!of.held.empty() && of.missing <= of.all_complete()) {
      auto& next = of.held.front();
      auto& complete = of.complete[next.prefix];
      if (next.sequence > complete && next.after > complete) return miss(of, next.after);
      if (next.sequence > complete) {
        complete = next.sequence;
        *of.position = of.all_complete();
        sink.on_event({next.topic, next.payload, next.headers, of.name, next.sequence, next.time_ms, next.event_id});
      }
      pop_held(of);
    }
  }

  template <class Sink>
  void fail(error why, Sink&& sink) {
    ended_ = true;
    sink.on_error(why);
  }
  template <class Sink>
  void garbage(const std::string& command, Sink&& sink) {
    fail({status::internal, "the broker's answer to " + command + " is none", false}, sink);
  }
  void pause(time_point now, milliseconds at_least) {
    const auto shift = std::min<std::uint32_t>(failures_++, 10);
    ask_at_ = now + std::max(std::min(pause_min * (1 << shift), pause_max), std::min(at_least, pause_max));
  }

  template <class Sink>
  void on_failure(time_point now, const question& asked, error why, Sink&& sink) {
    if (asked.what == question::streams) {
      for (const auto& [name, until] : asked_about_) ask_about(name, until);
      asked_about_.clear();
    }
    if (info(why.code).retryable) return pause(now, why.retry_after.value_or(milliseconds{0}));
    if (asked.what == question::streams) {
      // A broker that knows nothing of streams: all that it has is what comes live.
      wants_streams_ = false;
      unknown_.clear();
      const bool wants_no_log = options_.stream.empty() && options_.start.from == subscription_start::kind::now;
      if (why.code == status::unimplemented && (begun_ || wants_no_log)) {
        begun_ = true;
        return;
      }
      return fail(std::move(why), sink);
    }
    auto* const of = find(asked.stream);
    if (of == nullptr) return;
    if (why.code == status::out_of_range && of->placed && !of->exact && !of->from_oldest) {
      of->from_oldest = true;
      return;
    }
    if (why.code == status::not_found && begun_ && options_.stream.empty()) return forget(*of, sink);
    fail(std::move(why), sink);
  }

  /// The stream is there no more. Should it come again, it is a new one.
  template <class Sink>
  void forget(stream& of, Sink&& sink) {
    const auto last = of.placed ? of.all_complete() : 0;
    while (!of.held.empty()) pop_held(of);
    const auto name = of.name;
    positions_.erase(name);
    streams_.erase(name);
    if (last > 0) sink.on_lost(name, last + 1, std::uint64_t{0});
  }

  template <class Sink>
  void on_streams(const streams_answer& got, Sink&& sink) {
    wants_streams_ = false;
    durable_ = got.durable;
    if (!listed_) return on_first_streams(got, sink);
    for (const auto& each : got.streams) {
      if (find(each.stream) != nullptr || streams_.size() >= streams_max) continue;
      if (!options_.stream.empty() && each.stream != options_.stream) continue;
      auto& made = add_stream(each.stream);
      place(made, 0);
      miss(made, each.head);
    }
    for (const auto& [name, until] : asked_about_) {
      if (auto* const of = find(name)) {
        miss(*of, until);
      } else {
        strangers_.insert(name);
      }
    }
    asked_about_.clear();
    wants_streams_ = !unknown_.empty();
  }

  template <class Sink>
  void on_first_streams(const streams_answer& got, Sink&& sink) {
    using kind = subscription_start::kind;
    const auto& start = options_.start;
    std::vector<const listed_stream*> mine;
    for (const auto& each : got.streams) {
      if (options_.stream.empty() || each.stream == options_.stream) mine.push_back(&each);
    }
    if (mine.size() > streams_max) return fail({status::resource_exhausted, "there are more than 1000 streams; say which is wanted", false}, sink);
    if (mine.empty() && !options_.stream.empty()) {
      return fail({status::not_found, "there is no stream \"" + options_.stream + "\"; `waggle streams` shows those there are", false}, sink);
    }
    if (start.from == kind::sequence && mine.size() != 1) {
      return fail({status::invalid_argument, mine.empty() ? "no stream keeps such topics, so there is no sequence to begin with"
                                                          : "several streams have such topics (" + mine[0]->stream + ", " + mine[1]->stream +
                                                                "); say which one the sequence is of", false}, sink);
    }
    listed_ = true;
    for (const auto* const each : mine) {
      const auto before_first = each->first - std::min<std::uint64_t>(each->first, 1);
      auto& made = add_stream(each->stream);
      miss(made, each->head);
      const auto known = start.positions.find(each->stream);
      if (start.from == kind::now || (start.from == kind::last && start.number == 0)) {
        place(made, each->head);
      } else if ((start.from == kind::sequence && start.number > 0) || (start.from == kind::positions && known != start.positions.end())) {
        place(made, start.from == kind::sequence ? start.number - 1 : known->second);
        const auto last = made.all_complete();
        if (last > each->head || last < before_first) return fail(not_kept(*each, last + 1), sink);
        made.exact = last < each->head;
      } else if (start.from == kind::sequence || start.from == kind::positions) {
        place(made, before_first);
      }
      for (const auto* const heard : {&asked_about_, &unknown_}) {
        if (const auto found = heard->find(each->stream); found != heard->end()) miss(made, found->second);
      }
    }
    asked_about_.clear();
    unknown_.clear();
    find_out_whether_begun();
  }

  static error not_kept(const listed_stream& in, std::uint64_t wanted) {
    return {status::out_of_range, "the stream " + in.stream + " has no event " + std::to_string(wanted) + ": it has " +
                                      (in.first > in.head ? "none, and the next is " + std::to_string(in.head + 1)
                                                          : std::to_string(in.first) + " to " + std::to_string(in.head)), false};
  }

  /// Where the last so many, or those of the last minutes, begin.
  void on_place(stream& of, const events_answer& got) {
    const auto begin = got.events.empty() ? got.next : got.events.front().sequence;
    place(of, begin - std::min<std::uint64_t>(begin, 1));
    find_out_whether_begun();
  }

  template <class Sink>
  void on_events(time_point now, stream& of, const question& asked, const events_answer& got, Sink&& sink) {
    of.exact = of.suspect = false;
    if (got.head < asked.newest) {
      return begin_again(of, got, sink);
    }
    of.from_oldest = false;
    // They may have been forgotten between the broker's look at the question and the log's.
    if (const auto last = of.all_complete(); got.first > last + 1) {
      sink.on_lost(of.name, last + 1, got.first - 1);
      raise(of, got.first - 1);
    }
    const auto before = of.all_complete();
    std::size_t damaged = 0;
    const auto tell_damaged = [&](std::uint64_t up_to) {
      for (; damaged < got.damaged.size() && got.damaged[damaged] < up_to; ++damaged) {
        const auto sequence = got.damaged[damaged];
        if (sequence <= of.all_complete()) continue;
        raise(of, sequence);
        sink.on_lost(of.name, sequence, sequence);
      }
    };
    for (const auto& each : got.events) {
      const auto prefix = prefix_of(each.topic);
      if (prefix == none || each.sequence == 0 || each.sequence >= got.next) continue;
      tell_damaged(each.sequence);
      const bool is_new = each.sequence > of.complete[prefix];
      raise(of, each.sequence);  // what the read has stepped over is nothing of ours
      if (is_new) sink.on_event({each.topic, each.payload, each.headers, of.name, each.sequence, each.time_ms, each.event_id});
    }
    tell_damaged(got.next);
    raise(of, got.next - 1);
    if (got.next > got.head) disbelieve(of, got.head, asked.seen, sink);
    give_held(of, sink);
    find_out_whether_begun();
    if (of.all_complete() == before && of.to_read()) pause(now, pause_min);  // a broker that gets nowhere is not asked all the time
  }

  /// What PUB/SUB had told of before the question was asked, and is not in the log, was of a log that has gone.
  template <class Sink>
  void disbelieve(stream& of, std::uint64_t head, std::uint64_t seen_then, Sink&& sink) {
    if (seen_then <= head) return;
    const auto known = of.seen > seen_then ? of.seen : head;
    std::uint64_t last = 0;
    for (; !of.held.empty() && of.held.front().sequence <= seen_then; pop_held(of)) last = of.held.front().sequence;
    of.seen = of.wanted = known;
    of.missing = std::min(of.missing, head);
    if (last > head) sink.on_lost(of.name, head + 1, last);
  }

  /// The log is another one, whose sequences begin anew: all in it is new if it lay in the broker's memory; otherwise somebody has put back
  /// an older one.
  template <class Sink>
  void begin_again(stream& of, const events_answer& got, Sink&& sink) {
    const auto last = of.all_complete();
    while (!of.held.empty()) pop_held(of);
    of.seen = of.wanted = of.missing = got.head;
    of.from_oldest = false;
    place(of, durable_ ? got.head : 0);
    sink.on_lost(of.name, last + 1, std::uint64_t{0});
  }

  [[nodiscard]] stream* next_to_read() {
    // Where to begin is asked for all before anything is given out, so that `positions` has all streams from the first event on.
    for (auto& [name, each] : streams_) {
      if (!each.placed) return &each;
    }
    auto at = streams_.upper_bound(read_last_);
    for (std::size_t i = 0; i < streams_.size(); ++i, ++at) {
      if (at == streams_.end()) at = streams_.begin();
      if (!at->second.to_read()) continue;
      read_last_ = at->first;
      return &at->second;
    }
    return nullptr;
  }

  void append_prefixes(wire::writer& to) const {
    to.string("prefixes");
    to.array(options_.prefixes.size());
    for (const auto& each : options_.prefixes) to.string(each);
  }
  [[nodiscard]] std::string streams_question() const {
    std::string out;
    wire::writer to{out};
    to.map(1);
    append_prefixes(to);
    return out;
  }
  [[nodiscard]] std::string events_question(const stream& of) const {
    std::string out;
    wire::writer to{out};
    to.map(4);
    to.string("stream");
    to.string(of.name);
    append_prefixes(to);
    to.string("limit");
    to.unsigned_integer(of.placed ? read_count : 1);
    if (of.placed) {
      to.string("from");
      to.unsigned_integer(of.from_oldest ? 0 : of.all_complete() + 1);
    } else if (options_.start.from == subscription_start::kind::last) {
      to.string("last");
      to.unsigned_integer(options_.start.number);
    } else {
      to.string("age_ms");
      to.unsigned_integer(static_cast<std::uint64_t>(std::max<std::int64_t>(options_.start.age_ms, 0)));
    }
    return out;
  }

  options options_;
  std::map<std::string, stream, std::less<>> streams_;
  std::map<std::string, std::uint64_t> positions_;
  std::size_t held_bytes_ = 0;
  bool wants_streams_ = true;
  bool listed_ = false;   ///< the streams there were at the beginning are known
  bool durable_ = false;  ///< so the broker says of its log
  bool begun_ = false;
  bool ended_ = false;
  std::map<std::string, std::uint64_t, std::less<>> unknown_;  ///< streams to ask about, with the newest event that was seen
  std::map<std::string, std::uint64_t, std::less<>> asked_about_;  ///< the same, while the question is under way: its answer may be older than others
  std::set<std::string, std::less<>> strangers_;               ///< streams that have no such topics
  std::string read_last_;
  std::optional<question> asked_;
  std::uint64_t asked_ids_ = 0;
  std::uint32_t failures_ = 0;
  time_point ask_at_ = time_point::min();
};

}  // namespace waggle::detail
