#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include <waggle/wire/frames.hpp>

#include "sim/actor.hpp"

namespace waggle::sim {

/// A program in any language, with any bugs: it calls and serves over one socket, sends what it should not, and what is no
/// message at all. What it serves is only called by its like and by callers that take any answer.
class raw_peer : public actor {
 public:
  /// `seen`: leases that any of them has got, to be answered by the wrong ones.
  raw_peer(surroundings& around, std::uint32_t number, std::vector<std::uint64_t>& seen) : actor{around, number}, seen_{seen} {}

  void run(instant now) override;
  void start(instant now) override;
  void crash(instant now) override;
  [[nodiscard]] bool running() const override { return up_; }

 private:
  void read(const wire::message_view& message);
  void deed(instant now);
  void frame(wire::message& to);
  void join(wire::message& to);
  void answer(wire::message& to);
  void spoil(std::string& bytes);
  void operation(wire::message& to);
  [[nodiscard]] wire::payload_field payload(wire::message& to, const std::string& bytes);
  [[nodiscard]] std::string headers();
  [[nodiscard]] std::string command();
  /// The same ids come again, but not in one bundle, and each only in frames of one type, so that their answers can be told apart.
  [[nodiscard]] std::uint64_t some_id(wire::frame_type of);
  [[nodiscard]] instant next_deed(instant) const override { return around_.calm ? instant::max() : act_at_; }

  std::vector<std::uint64_t>& seen_;
  bool up_ = false;
  instant act_at_{};
  std::vector<std::uint64_t> leases_;
  std::string revision_;
  std::uint64_t last_id_ = 1000;
  std::vector<std::uint64_t> ids_;  ///< in the bundle
  std::deque<std::string> kept_;    ///< payloads, until their bundle is made
};

}  // namespace waggle::sim
