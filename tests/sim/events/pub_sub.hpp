#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "sim/events/climate.hpp"
#include "sim/random.hpp"
#include "sim/trace.hpp"

namespace waggle::sim {

/// What one SUB socket gets of what the broker publishes: in order, but not all of it, and nothing while it is not connected.
class pub_sub_pipe {
 public:
  struct message {
    instant at;
    std::string topic, event;
  };

  pub_sub_pipe(const event_climate& in, random& chance) : in_{in}, chance_{chance} {}

  void open(instant now, std::vector<std::string> prefixes) {
    prefixes_ = std::move(prefixes);
    is_open_ = true;
    was_in_force_ = false;
    cut(now);
  }
  void close() {
    is_open_ = connected_ = false;
    under_way_.clear();
  }
  /// The socket connects anew by itself.
  void cut(instant now) {
    connected_ = false;
    under_way_.clear();
    connects_at_ = now + milliseconds{chance_.between(1, 300)};
  }
  [[nodiscard]] bool wants_connection(instant now) const { return is_open_ && !connected_ && connects_at_ <= now; }
  [[nodiscard]] instant connects_at() const { return is_open_ && !connected_ ? connects_at_ : instant::max(); }
  void connect() { connected_ = was_in_force_ = true; }
  /// What it has subscribed to was once known to the broker.
  [[nodiscard]] bool was_in_force() const { return was_in_force_; }
  [[nodiscard]] const std::vector<std::string>& prefixes() const { return prefixes_; }

  void publish(instant now, std::string_view topic, std::string_view event, bool calm) {
    if (!connected_ || std::none_of(prefixes_.begin(), prefixes_.end(), [&](const auto& each) { return topic.starts_with(each); })) return;
    if (!calm && chance_.chance(in_.pub_sub_losses, 1000)) return;
    if (under_way_.size() >= in_.net.pipe_messages_max) return;  // its high-water mark
    last_ = std::max(last_, now + microseconds{chance_.between(1, static_cast<std::uint64_t>(in_.net.delay_max.count()))});
    under_way_.push_back({last_, std::string{topic}, std::string{event}});
  }
  [[nodiscard]] instant next() const { return under_way_.empty() ? instant::max() : under_way_.front().at; }
  bool receive(instant now, message& into) {
    if (under_way_.empty() || under_way_.front().at > now) return false;
    into = std::move(under_way_.front());
    under_way_.pop_front();
    return true;
  }

 private:
  const event_climate& in_;
  random& chance_;
  std::vector<std::string> prefixes_;
  bool is_open_ = false, connected_ = false, was_in_force_ = false;
  instant connects_at_{}, last_{};
  std::deque<message> under_way_;
};

}  // namespace waggle::sim
