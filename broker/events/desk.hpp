#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "broker/events/event_core.hpp"

namespace waggle::broker {

/// What the parts of the event core share: the settings, what is to be done, and who waits for what comes of it.
class desk {
 public:
  using on_written = std::function<void(instant now, const result<written>& what)>;
  using on_found = std::function<void(instant now, const read_result& what)>;
  using on_delivered = std::function<void(instant now, const delivery_outcome& how)>;

  desk(event_settings from, const event_members& of) : settings{std::move(from)}, members{of} {}

  void write(write_entry what, on_written then = {}) {
    const auto ticket = then ? ++last_ticket_ : 0;
    if (then) written_.emplace(ticket, std::move(then));
    effects.writes.push_back({ticket, std::move(what)});
  }
  void read(read_entry what, on_found then) {
    found_.emplace(++last_ticket_, std::move(then));
    effects.reads.push_back({last_ticket_, std::move(what)});
  }
  std::uint64_t deliver(event_effects::delivery what, on_delivered then) {
    what.ticket = ++last_ticket_;
    delivered_.emplace(what.ticket, std::move(then));
    effects.deliveries.push_back(std::move(what));
    return last_ticket_;
  }

  void wrote(instant now, std::uint64_t ticket, const result<written>& what) { end(written_, ticket, now, what); }
  void looked_up(instant now, std::uint64_t ticket, const read_result& what) { end(found_, ticket, now, what); }
  void delivered(instant now, std::uint64_t ticket, const delivery_outcome& how) { end(delivered_, ticket, now, how); }

  /// Forgets a dead letter. Until that is written, what is read of the log may still show it.
  void drop_letter(std::uint64_t id, on_written then) {
    dropping.insert(id);
    write(waggle::broker::write::drop_dead{id}, [this, id, then = std::move(then)](instant now, const result<written>& how) {
      dropping.erase(id);
      then(now, how);
    });
  }

  void answer(std::uint64_t lease, std::string payload) {
    if (lease != 0) effects.answers.push_back({lease, status::ok, std::move(payload)});
  }
  void refuse(std::uint64_t lease, const error& why) {
    if (lease == 0) return;
    std::string payload;
    wire::append_error(payload, why);
    effects.answers.push_back({lease, why.code, std::move(payload)});
  }
  void note(std::string line) { effects.notes.push_back(std::move(line)); }

  /// The log's clock, as far as it is known: from what was written last. 0 before anything was.
  [[nodiscard]] std::int64_t wall_ms(instant now) const {
    return wall_ms_ == 0 ? 0 : wall_ms_ + std::chrono::duration_cast<milliseconds>(now - wall_at_).count();
  }
  void learn_wall(instant now, std::int64_t ms) {
    wall_ms_ = ms;
    wall_at_ = now;
  }

  const event_settings settings;
  const event_members& members;
  event_effects effects;
  event_counters counts;
  std::set<std::uint64_t> dropping;  ///< dead letters that are about to be forgotten

 private:
  template <class Waiting, class What>
  static void end(Waiting& waiting, std::uint64_t ticket, instant now, const What& what) {
    const auto found = waiting.find(ticket);
    if (found == waiting.end()) return;
    const auto then = std::move(found->second);
    waiting.erase(found);
    then(now, what);
  }

  std::uint64_t last_ticket_ = 0;
  std::unordered_map<std::uint64_t, on_written> written_;
  std::unordered_map<std::uint64_t, on_found> found_;
  std::unordered_map<std::uint64_t, on_delivered> delivered_;
  std::int64_t wall_ms_ = 0;
  instant wall_at_{};
};

}  // namespace waggle::broker
