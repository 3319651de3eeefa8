#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <waggle/detail/subscription_core.hpp>

#include "sim/events/pub_sub.hpp"
#include "sim/events/surroundings.hpp"

namespace waggle::sim {

/// The SDK's `subscription_core` behind a pipe that loses things. What it gives out must be every event that it has subscribed to,
/// each once and in order, or told as lost.
class subscriber : public actor {
 public:
  subscriber(event_surroundings& around, std::uint32_t number);

  void run(instant now) override;
  void start(instant now) override;
  void crash(instant now) override;
  [[nodiscard]] bool running() const override { return core_ != nullptr; }
  /// After the calm: nothing is missing.
  void all_is_there() const;

 private:
  struct sink;
  /// The events of one stream that begin with one of its prefixes.
  struct chain {
    std::uint64_t given = 0;  ///< the last that was given out
    std::uint64_t whole = 0;  ///< nothing may be missing beyond this
  };

  void given(const detail::subscribed_event& what);
  void lost(std::string_view stream, std::uint64_t from, std::uint64_t to);
  void check_gap(const std::string& stream, const std::string& prefix, std::uint64_t from, std::uint64_t to, bool from_oldest) const;
  void begin();
  [[nodiscard]] instant next_deed(instant now) const override;

  event_surroundings& around_;
  pub_sub_pipe pipe_;
  std::unique_ptr<detail::subscription_core> core_;
  std::vector<std::string> prefixes_;
  std::map<std::pair<std::string, std::string>, chain> chains_;  ///< by stream and prefix
  std::map<std::string, std::vector<std::pair<std::uint64_t, std::uint64_t>>> lost_;
  std::map<std::string, std::uint64_t> positions_;  ///< where it was when its process died
  std::optional<detail::subscription_start::kind> began_with_;
  std::map<std::uint64_t, std::uint64_t> asked_;    ///< ids on the wire and of the core
  std::uint64_t last_id_ = 0;
  bool was_connected_ = false, had_begun_ = false, failed_ = false, resumes_ = false;
  std::string bundle_;
  instant look_at_{};  ///< when it looks whether it is still connected, at the latest
};

}  // namespace waggle::sim
