#pragma once

#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

namespace waggle::detail {

/// SIGINT and SIGTERM as a descriptor that can be read. Made first thing in `main`, before any thread, since threads inherit what
/// is blocked; SIGPIPE is ignored along with them.
class stop_signals {
 public:
  stop_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    descriptor_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (descriptor_ < 0) throw std::runtime_error{"no file descriptor is left for signals; raise `ulimit -n`"};
  }
  ~stop_signals() { ::close(descriptor_); }
  stop_signals(const stop_signals&) = delete;
  stop_signals& operator=(const stop_signals&) = delete;

  [[nodiscard]] int descriptor() const { return descriptor_; }
  /// Takes one signal off, so that the descriptor tells of the next.
  void take() {
    signalfd_siginfo info;
    [[maybe_unused]] const auto got = ::read(descriptor_, &info, sizeof info);
  }

 private:
  int descriptor_ = -1;
};

}  // namespace waggle::detail
