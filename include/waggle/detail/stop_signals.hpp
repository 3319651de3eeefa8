#pragma once

#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <initializer_list>
#include <stdexcept>

namespace waggle::detail {

/// SIGINT and SIGTERM, and others if wanted, as a descriptor that can be read. Made first thing in `main`, before any thread, since threads inherit what
/// is blocked; SIGPIPE is ignored along with them.
class stop_signals {
 public:
  explicit stop_signals(std::initializer_list<int> others = {}) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    for (const int each : others) sigaddset(&set, each);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    descriptor_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (descriptor_ < 0) throw std::runtime_error{"no file descriptor is left for signals; raise `ulimit -n`"};
  }
  ~stop_signals() { ::close(descriptor_); }
  stop_signals(const stop_signals&) = delete;
  stop_signals& operator=(const stop_signals&) = delete;

  [[nodiscard]] int descriptor() const { return descriptor_; }
  /// Takes one signal off, so that the descriptor tells of the next, and says which; 0 if there is none.
  int take() {
    signalfd_siginfo info;
    return ::read(descriptor_, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
  }

 private:
  int descriptor_ = -1;
};

}  // namespace waggle::detail
