#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "broker/events/consumer.hpp"
#include "broker/events/desk.hpp"
#include "broker/events/group.hpp"
#include "broker/events/prefixes.hpp"
#include "broker/events/stream.hpp"

namespace waggle::broker {

/// What `event_core` is made of.
class event_core::parts {
 public:
  parts(event_settings from, const event_members& members);

  void open(instant now, const log_contents& what);
  void emit(std::uint64_t lease, std::string_view topic, std::string_view payload, std::string_view headers);
  void later(std::uint64_t lease, std::string_view command, std::string_view payload, std::string_view headers, milliseconds budget);
  /// Where events of this topic are kept; none of ephemeral ones.
  [[nodiscard]] stream* stream_of(std::string_view topic) const;
  void subscribed(std::string_view prefix);
  [[nodiscard]] result<void> may_join(const std::vector<event_manifest>& what, std::string_view service) const;
  void joined(instant now, const std::vector<event_manifest>& what, std::string_view service);
  void members_changed(instant now);
  void tick(instant now);
  [[nodiscard]] instant next_deadline();
  [[nodiscard]] std::size_t appending() const { return appending_; }
  void abandon(std::uint64_t lease);

  // In event_questions.cpp
  bool ask(instant now, std::uint64_t lease, std::string_view command, std::string_view payload, milliseconds budget,
           std::shared_ptr<const role> asked_by);

  desk at;
  /// Something has happened, so `next_deadline` has to look again: shells ask for it far more often.
  parts& touched() { return deadline_known_ = false, *this; }

 private:
  struct question;
  struct member_of {
    std::unique_ptr<group> of;
    std::vector<std::shared_ptr<consumer>> in;  ///< its consumers
  };
  /// Somebody waits for a durable command to end.
  struct watcher {
    std::string operation;
    instant until{};
  };

  [[nodiscard]] std::size_t index_of(const stream& which) const;
  stream* find_stream(std::string_view name);
  stream& make_stream(stream_settings from);
  member_of& make_group(std::string_view name);
  std::shared_ptr<consumer> make_consumer(group& of, stream& in, std::uint64_t settled);
  /// A consumer for each stream that may hold what the group handles.
  void cover(instant now, member_of& which, const event_manifest* newcomer);
  [[nodiscard]] std::optional<error> no_room(const stream& in, std::size_t bytes) const;
  void kept(instant now, std::uint64_t lease, stream& in, const std::shared_ptr<stored_event>& event, const written& how);
  void broadcast(stream& in, const stored_event& event);
  void announce_heads();
  void trim(stream& which);
  void command_ended(instant now, const std::string& operation);
  void accepted(instant now, std::uint64_t lease, stream& in, const std::shared_ptr<stored_event>& command, const result<written>& how);

  // Questions, in event_questions.cpp
  void list_streams(instant now, std::uint64_t lease, const question& about);
  void list_events(instant now, std::uint64_t lease, const question& about);
  void read_events(std::uint64_t lease, const question& about, const std::string& name, std::uint64_t from);
  void list_groups(instant now, std::uint64_t lease, const question& about);
  void forget_group(std::uint64_t lease, const question& about);
  void list_dead(std::uint64_t lease, const question& about);
  void show_dead(std::uint64_t lease, const question& about);
  void retry_dead(std::uint64_t lease, const question& about);
  void drop_dead(std::uint64_t lease, const question& about);
  void tell_outcome(instant now, std::uint64_t lease, const question& about, milliseconds budget);
  void answer_outcome(std::uint64_t lease, const std::string& operation, instant until);
  void look(std::uint64_t lease, read_entry what, std::function<void(instant, const found&)> then);
  consumer* consumer_of(std::string_view group, std::string_view stream);

  std::vector<std::unique_ptr<stream>> streams_;
  std::map<std::string, member_of, std::less<>> groups_;
  prefixes prefixes_;
  bool heads_wanted_ = false;
  bool opened_ = false;
  std::size_t appending_ = 0;
  std::size_t appending_bytes_ = 0;
  std::set<std::string, std::less<>> forgetting_;  ///< groups that the log has not forgotten yet
  std::uint64_t forgotten_ = 0;  ///< groups, ever
  std::size_t looking_ = 0;  ///< reads for peers that are under way
  std::map<std::uint64_t, watcher> watchers_;  ///< by lease
  instant heads_at_ = instant::max();
  instant trim_at_ = instant::max();
  instant expire_at_ = instant::max();
  bool deadline_known_ = false;
  instant deadline_{};
};

}  // namespace waggle::broker
