#include "gateway/front/server.hpp"

#include <sched.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <stdexcept>

#include "gateway/front/reactor_thread.hpp"

namespace waggle::front {

unsigned usual_threads() {
  cpu_set_t usable;
  CPU_ZERO(&usable);
  // Fails where there are more processors than a set holds.
  if (::sched_getaffinity(0, sizeof usable, &usable) != 0) return 4;
  return std::clamp(static_cast<unsigned>(CPU_COUNT(&usable)) / 2, 1u, 4u);
}

class server::impl {
 public:
  impl(server_options options, application_factory make_application) : threads_(options.threads) {
    if (threads_ < 1 || threads_ > 255) throw std::invalid_argument("a server has 1 to 255 threads");
    if (options.bounds.connections_max > 65'536) throw std::invalid_argument("a thread has at most 65,536 connections");
    if (options.listen.empty() || options.listen.size() > detail::listeners_max) throw std::invalid_argument("a server listens on 1 to 13 addresses");
    plan_->listeners.resize(threads_);
    for (const auto& each : options.listen) {
      if (each.tls && !options.tls) throw std::invalid_argument("a server has no TLS without a certificate");
      listener_set listeners = listen_on(each.host, each.port, threads_);
      endpoints_.push_back(std::move(listeners.endpoint));
      for (unsigned i = 0; i < threads_; ++i) plan_->listeners[i].push_back({std::move(listeners.sockets[i]), each.tls});
    }
    plan_->tls.replace(std::move(options.tls));
    plan_->bounds = options.bounds;
    plan_->make_application = std::move(make_application);
    plan_->log = options.log ? std::move(options.log) : [](std::string_view line) {
      std::fprintf(stderr, "http: %.*s\n", static_cast<int>(line.size()), line.data());
    };

    // Pistache 0.0.5 never closes the eventfd it makes for each thread of a reactor: one descriptor a thread is lost
    // with each server object. A process has one such object, and there is no way to reach the descriptor from here.
    reactor_ = Pistache::Aio::Reactor::create();
    reactor_->init(Pistache::Aio::AsyncContext(threads_, "http"));
    reactor_->addHandler(std::make_shared<detail::reactor_thread>(plan_));
  }

  ~impl() { stop(); }

  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  [[nodiscard]] const std::vector<std::string>& endpoints() const { return endpoints_; }
  void use(std::shared_ptr<const tls_context> tls) {
    if (!tls) throw std::invalid_argument("a server has no TLS without a certificate");
    plan_->tls.replace(std::move(tls));
  }

  void start() {
    {
      const std::lock_guard hold(mutex_);
      if (running_ || !reactor_) throw std::logic_error("a server starts once");
      // Signals are the main thread's: a handler that runs in a reactor thread would delay its clients.
      sigset_t all, before;
      sigfillset(&all);
      pthread_sigmask(SIG_SETMASK, &all, &before);
      try {
        reactor_->run();
      } catch (...) {
        // Not all threads could be had. Those there are have been told nothing yet, so that they just end.
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        reactor_->shutdown();
        reactor_.reset();
        throw;
      }
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      running_ = true;
      give(detail::control::order::start);
    }
    try {
      plan_->signals.wait_started(threads_);
    } catch (...) {
      stop();
      throw;
    }
  }

  void drain(std::chrono::milliseconds patience, std::chrono::milliseconds notice) {
    if (notice.count() > 0) {
      give_if_running(detail::control::order::announce);
      if (is_running()) plan_->signals.wait_ended_for(threads_, notice);
    }
    give_if_running(detail::control::order::drain, clock::now() + patience);
    await_end();
  }

  void stop() {
    give_if_running(detail::control::order::stop);
    await_end();
  }

  void notify() {
    const std::lock_guard hold(mutex_);
    if (!running_) return;
    plan_->signals.count_notification();
    wake();
  }

 private:
  void give(detail::control::order what, instant patience_until = instant::max()) {
    plan_->signals.give(what, patience_until);
    wake();
  }

  void wake() {
    for (const int fd : plan_->wake_fds) ::eventfd_write(fd, 1);
  }

  bool is_running() {
    const std::lock_guard hold(mutex_);
    return running_;
  }

  void give_if_running(detail::control::order what, instant patience_until = instant::max()) {
    const std::lock_guard hold(mutex_);
    if (running_) give(what, patience_until);
  }

  /// The lock is not held while waiting, so that `stop` can cut a `drain` short.
  void await_end() {
    {
      const std::lock_guard hold(mutex_);
      if (!running_) {
        reactor_.reset();
        return;
      }
    }
    plan_->signals.wait_ended(threads_);
    const std::lock_guard hold(mutex_);
    if (!reactor_) return;
    running_ = false;
    // The threads have let go of everything and only wait; the reactor's destructor joins them.
    reactor_->shutdown();
    reactor_.reset();
  }

  const unsigned threads_;
  std::vector<std::string> endpoints_;
  std::shared_ptr<detail::thread_plan> plan_ = std::make_shared<detail::thread_plan>();
  std::mutex mutex_;  // over the two below
  std::shared_ptr<Pistache::Aio::Reactor> reactor_;
  bool running_ = false;
};

server::server(server_options options, application_factory make_application)
    : impl_(std::make_unique<impl>(std::move(options), std::move(make_application))) {}
server::~server() = default;

const std::vector<std::string>& server::endpoints() const { return impl_->endpoints(); }
void server::use(std::shared_ptr<const tls_context> tls) { impl_->use(std::move(tls)); }
void server::start() { impl_->start(); }
void server::drain(std::chrono::milliseconds patience, std::chrono::milliseconds notice) {
  impl_->drain(patience, notice);
}
void server::stop() { impl_->stop(); }
void server::notify() { impl_->notify(); }

}  // namespace waggle::front
