#pragma once

#include <cstdint>
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
  void read(std::string_view bundle);
  void deed(instant now);
  void frame(std::string& to);
  void join(std::string& to);
  void answer(std::string& to);
  void spoil(std::string& bytes);
  void operation(std::string& to);
  [[nodiscard]] std::string headers();
  [[nodiscard]] std::string command();
  /// The same ids come again, but each only in frames of one type, so that their answers can be told apart.
  [[nodiscard]] std::uint64_t some_id(wire::frame_type of) {
    return 16 * (around_.chance.chance(1, 50) ? around_.chance.next() >> 15 : around_.chance.below(40)) + static_cast<std::uint64_t>(of);
  }
  [[nodiscard]] instant next_deed(instant) const override { return around_.calm ? instant::max() : act_at_; }

  std::vector<std::uint64_t>& seen_;
  bool up_ = false;
  instant act_at_{};
  std::vector<std::uint64_t> leases_;
  std::string revision_;
};

}  // namespace waggle::sim
