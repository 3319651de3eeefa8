#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <waggle/wire/message.hpp>

#include "broker/core/types.hpp"
#include "broker/events/event_core.hpp"

namespace waggle::broker {

/// What the core wants done, in order: messages to peers, then events to everybody, then peers to forget, then what the log is to do. The shell does it
/// and calls `clear`, which keeps the buffers for the next round.
class outbox {
 public:
  /// A bundle of as many frames as the peer takes, and payloads beside it if it takes those.
  struct message : wire::message {
    peer_id to{};
  };
  struct broadcast {
    std::string topic;
    std::string event;  ///< an EVENT frame
  };

  [[nodiscard]] std::size_t messages() const { return messages_used_; }
  [[nodiscard]] const message& message_at(std::size_t index) const { return messages_[index]; }
  [[nodiscard]] const std::vector<broadcast>& broadcasts() const { return broadcasts_; }
  [[nodiscard]] const std::vector<peer_id>& forgotten() const { return forgotten_; }
  /// Who came and went, for people: one line each.
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }
  [[nodiscard]] bool empty() const {
    return messages_used_ == 0 && broadcasts_.empty() && forgotten_.empty() && notes_.empty() && log_writes.empty() && log_reads.empty();
  }

  /// Begins a message; returns its index.
  std::size_t open(peer_id to) {
    if (messages_used_ == messages_.size()) messages_.emplace_back();
    auto& opened = messages_[messages_used_];
    opened.to = to;
    opened.clear();
    return messages_used_++;
  }
  message& message_at(std::size_t index) { return messages_[index]; }
  void publish(std::string topic, std::string event) { broadcasts_.push_back({std::move(topic), std::move(event)}); }
  void forget(peer_id peer) { forgotten_.push_back(peer); }
  void note(std::string line) { notes_.push_back(std::move(line)); }
  /// The peer was to be forgotten, but has come back before that was done.
  void keep(peer_id peer) { std::erase(forgotten_, peer); }

  /// What the log is to do, in order; what comes of it goes to `broker_core::wrote` and `looked_up`.
  std::vector<event_effects::log_write> log_writes;
  std::vector<event_effects::log_read> log_reads;

  /// Tells apart what was opened before and after a `clear`.
  [[nodiscard]] std::uint64_t round() const { return round_; }

  void clear() {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < messages_used_; ++i) {
      auto& bytes = messages_[i].bundle;
      if (!messages_[i].attachments.empty()) messages_[i].attachments.clear();
      if (bytes.capacity() > kept_bytes_max || kept + bytes.capacity() > kept_bytes_sum_max) std::string{}.swap(bytes);  // `= {}` keeps the memory
      kept += bytes.capacity();
    }
    if (messages_.size() > kept_messages_max) messages_.resize(kept_messages_max);
    messages_used_ = 0;
    broadcasts_.clear();
    forgotten_.clear();
    notes_.clear();
    log_writes.clear();
    log_reads.clear();
    ++round_;
  }

 private:
  static constexpr std::size_t kept_bytes_max = 256u << 10;  ///< growth doubles, so a bundle of 64 KiB may have taken twice that
  static constexpr std::size_t kept_bytes_sum_max = 16u << 20;
  static constexpr std::size_t kept_messages_max = 4096;  ///< a round with as many workers allocates nothing

  std::vector<message> messages_;
  std::size_t messages_used_ = 0;
  std::vector<broadcast> broadcasts_;
  std::vector<peer_id> forgotten_;
  std::vector<std::string> notes_;
  std::uint64_t round_ = 1;
};

}  // namespace waggle::broker
