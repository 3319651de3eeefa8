#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
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

/// Waits until a socket or descriptor can be read, a socket in `read_write` can be written, or the instant has come. To the microsecond or so:
/// libzmq's own poll knows milliseconds only, and asks each socket twice.
class waiter {
 public:
  void read(socket& from) { add(from, ZMQ_POLLIN); }
  /// One from which everything has been received, and with which nothing has been done since: what comes then shows at its descriptor, and to
  /// ask it first would be a system call for nothing.
  void read_drained(socket& from) { read(from.descriptor()); }
  void read(int descriptor) { items_.push_back({descriptor, POLLIN, 0}); }
  void read_write(socket& with) { add(with, ZMQ_POLLIN | ZMQ_POLLOUT); }

  void wait_until(std::chrono::steady_clock::time_point until) {
    using namespace std::chrono;
    constexpr hours longest{1};
    signalled_.clear();
    const auto any_ready = [&] { return std::any_of(sockets_.begin(), sockets_.end(), [](const auto& each) { return each.is_ready(); }); };
    bool ready = any_ready();
    do {
      const auto now = steady_clock::now();
      const auto left = ready || until <= now ? nanoseconds{0} : duration_cast<nanoseconds>(std::min<steady_clock::duration>(until - now, longest));
      const timespec time{static_cast<time_t>(left.count() / 1'000'000'000), static_cast<long>(left.count() % 1'000'000'000)};
      if (::ppoll(items_.data(), items_.size(), &time, nullptr) <= 0) break;  // the time is up, or there was a signal
      for (const auto& each : items_) {
        if (each.revents != 0 && !is_of_socket(each.fd)) signalled_.push_back(each.fd);
      }
      // A socket's descriptor tells of whatever libzmq's thread wants to be looked at; that may be nothing for its owner.
    } while (!ready && signalled_.empty() && !any_ready());
    items_.clear();
    sockets_.clear();
  }
  /// Whether the wait ended because this one could be read: a descriptor, or that of a drained socket.
  [[nodiscard]] bool signalled(int descriptor) const { return std::find(signalled_.begin(), signalled_.end(), descriptor) != signalled_.end(); }

 private:
  struct watched {
    socket* which;
    int descriptor;
    int events;
    [[nodiscard]] bool is_ready() const { return (which->events() & events) != 0; }
  };

  [[nodiscard]] bool is_of_socket(int descriptor) const {
    return std::any_of(sockets_.begin(), sockets_.end(), [&](const auto& each) { return each.descriptor == descriptor; });
  }

  void add(socket& which, int events) {
    sockets_.push_back({&which, which.descriptor(), events});
    items_.push_back({sockets_.back().descriptor, POLLIN, 0});
  }

  std::vector<pollfd> items_;
  std::vector<watched> sockets_;
  std::vector<int> signalled_;
};

}  // namespace waggle::net
