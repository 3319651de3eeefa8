#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include <waggle/net/socket.hpp>

namespace waggle::net {

/// Wakes a thread that waits in `wait`. Any thread may call `raise`.
class wake_up {
 public:
  wake_up() : descriptor_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
    if (descriptor_ < 0) throw std::runtime_error{"no file descriptor is left for a wake-up; raise `ulimit -n`"};
  }
  ~wake_up() { ::close(descriptor_); }
  wake_up(const wake_up&) = delete;
  wake_up& operator=(const wake_up&) = delete;

  void raise() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(descriptor_, &one, sizeof one);
  }
  /// Undoes all `raise` so far.
  void lower() {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(descriptor_, &count, sizeof count);
  }
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

/// Waits until a socket or descriptor can be read, a socket in `writable` can be written, or the instant has come.
class waiter {
 public:
  void read(socket& from) { items_.push_back({from.native().handle(), 0, ZMQ_POLLIN, 0}); }
  void read(int descriptor) { items_.push_back({nullptr, descriptor, ZMQ_POLLIN, 0}); }
  void read_write(socket& with) { items_.push_back({with.native().handle(), 0, ZMQ_POLLIN | ZMQ_POLLOUT, 0}); }

  void wait_until(std::chrono::steady_clock::time_point until) {
    using namespace std::chrono;
    // Rounded up, so that a deadline a few microseconds away is not polled for in a circle; capped, so that it fits.
    const auto left = ceil<milliseconds>(std::min<steady_clock::duration>(
        until > steady_clock::time_point::max() - hours{1} ? hours{1} : until - steady_clock::now(), hours{1}));
    try {
      zmq::poll(items_.data(), items_.size(), milliseconds{std::max<std::int64_t>(left.count(), 0)});
    } catch (const zmq::error_t& e) {
      if (e.num() != EINTR) throw;
    }
    items_.clear();
  }

 private:
  std::vector<zmq::pollitem_t> items_;
};

}  // namespace waggle::net
