#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/events/desk.hpp"
#include "broker/events/group.hpp"
#include "broker/events/stream.hpp"

namespace waggle::broker {

/// A consumer group in one stream: which events are to be delivered, are under way, wait to be tried again, or are settled.
///
/// What the log knows of it: `settled` (nothing up to this needs delivery), marks of single events beyond, and `reserved`: no event beyond
/// that has ever been delivered. So when the broker has crashed, the first attempt of whatever lies between may have been made, and counts as
/// made. An event's further attempts are marked as begun before they are; attempt numbers therefore only ever rise.
class consumer : public std::enable_shared_from_this<consumer> {
 public:
  /// Told how a durable command has ended, once that is in the log.
  using on_ended = std::function<void(instant now, const std::string& operation)>;

  consumer(desk& with, group& of, stream& in, std::uint64_t settled, on_ended told);

  /// The log knows of it already. `began_to`: first attempts up to this may have been made.
  void resume(std::uint64_t began_to, std::uint64_t reserved);
  /// One of the marks that the log has.
  void resume(instant now, const write::mark& what);
  /// Writes down that it is there, and where.
  void begin(instant now);

  /// An event has been added to the stream, which nobody has seen yet.
  void appended(instant now, const std::shared_ptr<const stored_event>& what);
  /// A dead letter of this group is to be delivered anew, with as many attempts as an event has.
  void revive(instant now, const dead_letter& what);
  [[nodiscard]] bool is_reviving(std::uint64_t sequence) const { return items_.contains(sequence | revived_bit); }
  void members_changed(instant now);
  void tick(instant now);
  [[nodiscard]] instant next_deadline() const;

  [[nodiscard]] const group& of() const { return group_; }
  [[nodiscard]] const stream& in() const { return stream_; }
  /// As the log knows it: what may be trimmed.
  [[nodiscard]] std::uint64_t durably_settled() const { return durably_settled_; }

  /// For people.
  struct view {
    std::uint64_t settled = 0;
    std::uint64_t in_flight = 0;
    std::uint64_t retrying = 0;  ///< wait for their next attempt
    std::uint64_t waiting = 0;   ///< others that have been looked at
    std::int64_t oldest_ms = 0;  ///< when the oldest unsettled event was kept, by the log's clock; 0: there is none, or it has not been looked at
  };
  [[nodiscard]] view look() const;

  /// Where a durable command stands that has not ended.
  struct standing {
    const char* state = "waiting";
    std::uint32_t attempts = 0;
    instant due = instant::max();  ///< of the next attempt
    std::string why;               ///< the last error object
  };
  [[nodiscard]] standing standing_of(std::uint64_t sequence) const;

 private:
  /// An event is named by its sequence, a dead letter that is delivered anew by this bit too: so it comes behind all others.
  static constexpr std::uint64_t revived_bit = std::uint64_t{1} << 63;
  using item_id = std::uint64_t;

  enum class stage : std::uint8_t {
    blocked,    ///< another of its key is before it
    ready,      ///< may be delivered
    parked,     ///< as many as may be are at those who take it
    loading,    ///< is read
    marking,    ///< its next attempt is written down
    in_flight,  ///< a member has it, or will when it has a slot
    waiting,    ///< for its next attempt
    untaken,    ///< no member that is there takes its topic
    burying,    ///< becomes a dead letter
    settled,
  };
  struct item {
    stage at = stage::blocked;
    std::uint32_t attempts = 0;  ///< that are over
    std::uint32_t begun = 0;     ///< that the log may count as made
    std::uint32_t base = 0;      ///< attempts before it was revived
    bool uncertain = false;      ///< how its last attempt ended nobody knows: the broker stopped
    bool repeatable = false;     ///< a durable command: whoever has it says that it may run twice
    instant due{};               ///< waiting: of the next attempt; untaken: the end of patience
    instant patience{};          ///< so long somebody may come to take it; since nobody was there to
    std::string topic;
    std::string key;
    std::string why;             ///< the last error object
    bool is_dead = false;        ///< it is to be buried, and nothing else
    bool is_handled = false;     ///< a revived one: its letter is to be forgotten, and nothing else
    std::optional<std::pair<status, std::string>> outcome;  ///< of a durable command, until it is written
    std::string operation;       ///< of a durable command
    std::int64_t time_ms = 0;
    std::uint64_t dead_id = 0;   ///< of the letter, when it is revived
    std::shared_ptr<const stored_event> event;  ///< null: it is read when its turn comes
  };
  /// Deliveries to those who take one command.
  struct lane {
    std::size_t in_flight = 0;
    std::deque<item_id> parked;
  };

  template <class Then>
  auto guarded(Then then) {
    return [self = weak_from_this(), then = std::move(then)](instant now, const auto& what) {
      if (const auto alive = self.lock()) then(now, what);
    };
  }

  [[nodiscard]] std::uint64_t settled() const;
  [[nodiscard]] std::uint32_t attempts_max(const item& of) const;
  void take(instant now, const std::shared_ptr<const stored_event>& what);
  void enter_line(instant now, item_id id);
  void leave_line(instant now, item_id id);
  void schedule(instant now, item_id id);
  void wait_until(item_id id, stage as, instant due);
  void want(instant now);
  void on_read(instant now, const read_result& what);
  void pump(instant now);
  bool hand_over(instant now, item_id id);
  void load(item_id id);
  void mark_begun(item_id id);
  void deliver(item_id id, const group::taker& to);
  void delivered(instant now, item_id id, const std::string& lane, const delivery_outcome& how);
  void failed(instant now, item_id id, const delivery_outcome& how);
  [[nodiscard]] bool is_final(const item& of, const delivery_outcome& how) const;
  void bury(item_id id);
  void finish(item_id id, status code, std::string_view payload);
  void write_outcome(item_id id);
  void forget_letter(item_id id);
  void settle(instant now, item_id id);
  void unload(item& of);
  void reserve(std::uint64_t sequence);
  void moved(instant now);
  void flush();

  desk& desk_;
  group& group_;
  stream& stream_;
  on_ended told_;

  std::map<item_id, item> items_;  ///< unsettled events below `position_` that match, and settled ones beyond the first of them
  std::uint64_t position_ = 1;     ///< the next event to be looked at
  std::uint64_t began_to_ = 0;
  std::map<std::uint64_t, std::pair<write::mark, instant>> marks_;  ///< of the log, not met yet; with when the next attempt is due
  std::set<item_id> ready_;
  std::set<item_id> untaken_;
  std::set<std::pair<instant, item_id>> timers_;
  std::unordered_map<std::string, std::deque<item_id>> lines_;      ///< by key
  std::unordered_map<std::string, lane> lanes_;                     ///< by command
  std::size_t in_flight_ = 0;
  std::size_t loaded_bytes_ = 0;
  unsigned turn_ = 0;

  bool reading_ = false;
  instant read_again_at_ = instant::max();

  std::uint64_t durably_settled_ = 0;
  std::uint64_t reserved_ = 0;
  std::uint64_t reserving_ = 0;     ///< asked for
  std::vector<item_id> unmarked_;   ///< settled since the last flush
  bool flushing_ = false;
  bool flush_again_ = false;
  instant flush_at_ = instant::max();
};

}  // namespace waggle::broker
