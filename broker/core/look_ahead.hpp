#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <waggle/wire/frames.hpp>

#include "broker/core/calls.hpp"
#include "broker/core/directory.hpp"

namespace waggle::broker {

/// Takes bundles apart as a bundle_reader does, some frames before they are handled, and has the processor fetch meanwhile what they will need. That
/// is worth its while when there is much, of which a call needs little: a directory of ten thousand commands and a thousand workers, or
/// thousands of open calls.
class look_ahead {
 public:
  /// `from`: settings::look_ahead_from.
  look_ahead(const directory& commands, const call_table& calls, std::size_t from) : commands_{commands}, calls_{calls}, from_{from} {}

  void begin(const wire::message_view& message) {
    reader_ = wire::bundle_reader{message};
    read_ = taken_ = 0;
    ended_ = false;
    far_ = from_ == 0 || (message.bundle.size() >= bytes_min && (commands_.command_count() >= from_ || commands_.worker_count() >= from_));
  }

  /// What comes next, and if that is a frame, the frame: valid until the next call.
  wire::decoded next(wire::frame*& out) {
    if (!far_) {
      out = &places_[0].in;
      return reader_.next(places_[0].in);
    }
    while (!ended_ && read_ < taken_ + distance) read();
    auto& at = places_[taken_++ % distance];
    out = &at.in;
    return at.what;
  }

  [[nodiscard]] const char* why() const { return reader_.why(); }
  [[nodiscard]] std::size_t offset() const { return reader_.offset(); }

 private:
  static constexpr std::size_t fetches = 4;   ///< for one frame, each found by the one before: with each frame that is read they go on by one
  static constexpr std::size_t distance = 8;  ///< frames that are read before the first of them is handled: the last of the fetches takes its time, too
  static constexpr std::size_t bytes_min = 256;  ///< a bundle of one or two calls is handled before anything has been fetched

  struct place {
    wire::frame in;
    wire::decoded what{};
    std::uint64_t hash = 0;
    std::uint32_t found = none;  ///< by the last fetch
  };

  void read() {
    auto& at = places_[read_ % distance];
    at.what = reader_.next(at.in);
    ended_ = at.what == wire::decoded::end || at.what == wire::decoded::broken;
    for (std::size_t back = 0; back < fetches && back <= read_ - taken_; ++back) fetch(places_[(read_ - back) % distance], back);
    ++read_;
  }

  void fetch(place& of, std::size_t which) {
    if (of.what != wire::decoded::frame) return;
    if (of.in.type == wire::frame_type::call) {
      switch (which) {
        case 0: of.hash = commands_.fetch_entry(of.in.name); return;
        case 1: of.found = commands_.fetch_command(of.hash); return;
        case 2: commands_.fetch_meter(of.found), of.found = commands_.fetch_pool(of.found); return;
        default: return commands_.fetch_worker(of.found);
      }
    } else if (of.in.type == wire::frame_type::reply) {
      switch (which) {
        case 0: calls_.fetch(of.in.id); return;
        case 1: commands_.fetch_command_at(of.found = calls_.command_of(of.in.id)); return;
        case 2: commands_.fetch_meter(of.found); return;
        default: return;
      }
    }
  }

  const directory& commands_;
  const call_table& calls_;
  const std::size_t from_;
  wire::bundle_reader reader_{{}};
  std::size_t read_ = 0;
  std::size_t taken_ = 0;
  bool ended_ = false;
  bool far_ = false;
  std::array<place, distance> places_;
};

}  // namespace waggle::broker
