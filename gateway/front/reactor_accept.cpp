#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "gateway/front/reactor_thread.hpp"

/// How a reactor thread comes by its clients, and what it says to those it cannot take.
namespace waggle::front::detail {
namespace {

using Pistache::Flags;
using Pistache::Polling::NotifyOn;
using Pistache::Polling::Tag;

constexpr std::chrono::milliseconds accept_pause{100};

bool is_out_of_resources(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

void reactor_thread::accept_some(const listening& at, int count_max) {
  const auto tls = at.tls ? plan_->tls.now() : nullptr;
  for (int i = 0; i < count_max; ++i) {
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    unique_fd fd(::accept4(at.fd.get(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      admit(std::move(fd), from, tls);
      continue;
    }
    const int error = errno;
    if (error == EAGAIN || error == EWOULDBLOCK) return;
    if (!is_out_of_resources(error)) continue;  // that client has gone already
    if (!shortage_logged_) log(std::string("cannot accept: ") + std::strerror(error));
    shortage_logged_ = true;
    if (shed_with_reserve(at)) continue;
    // Level-triggered, the waiting client would wake this thread again at once.
    set_accepting(false);
    accept_again_ = now_ + accept_pause;
    return;
  }
}

void reactor_thread::admit(unique_fd fd, const sockaddr_storage& from, std::shared_ptr<const tls_context> tls) {
  if (clients_ >= context_.bounds.connections_max) return shed(std::move(fd), tls != nullptr);
  if (tls && handshakes_ >= context_.bounds.handshakes_max) {
    if (!std::exchange(crowd_logged_, true)) log("as many clients as may are amid their TLS handshake; more are turned away");
    return;
  }
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t index = free_.back();
  slot& at = slots_[index];
  try {
    const std::uint64_t first_id = number_ << thread_shift | std::uint64_t{index} << slot_shift | at.next_sequence;
    auto client = std::make_unique<connection>(context_, first_id, now_, peer_info{host_of(from), tls != nullptr, {}});
    auto session = tls ? std::make_unique<tls_session>(std::move(tls), context_.bounds, now_) : nullptr;
    poller_->addFd(fd.get(), Flags<NotifyOn>(NotifyOn::Read), client_tag(index));
    at.client = std::move(client);
    at.tls = std::move(session);
  } catch (const std::exception& e) {
    log(std::string("cannot take a connection: ") + e.what());
    return shed(std::move(fd), tls != nullptr);
  }
  at.shaking = at.tls != nullptr;
  if (at.shaking) ++handshakes_;
  free_.pop_back();
  at.fd = std::move(fd);
  at.reading = true;
  at.writing = at.dirty = false;
  ++clients_;
  plan_->clients.fetch_add(1, std::memory_order_relaxed);
  shortage_logged_ = false;
  mark(index);
}

/// Says no. The client's request is read, if it is there already, since closing over it would reset the connection and
/// could destroy the answer. One that speaks TLS could not read it, and nobody shakes hands to say no.
void reactor_thread::shed(unique_fd fd, bool tls) {
  if (tls) return;
  connection refused(context_, 0, now_);
  refused.refuse(now_, 503, "the server has as many connections as it can take");
  const std::string_view bytes = refused.output();
  [[maybe_unused]] const auto sent = ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  ::shutdown(fd.get(), SHUT_WR);
  [[maybe_unused]] const auto size = ::recv(fd.get(), read_buffer_.data(), read_buffer_.size(), 0);
}

/// Out of descriptors: gives up the one kept for this to take the client and tell it, rather than leave it waiting.
bool reactor_thread::shed_with_reserve(const listening& at) {
  if (!reserve_) return false;
  reserve_.reset();
  unique_fd fd(::accept4(at.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  const bool taken = static_cast<bool>(fd);
  if (taken) shed(std::move(fd), at.tls);
  reserve_ = unique_fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  return taken;
}

void reactor_thread::set_accepting(bool on) {
  if (on == accepting_) return;
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    if (on) {
      poller_->addFd(listeners_[i].fd.get(), Flags<NotifyOn>(NotifyOn::Read), Tag(first_listener_tag + i));
    } else {
      poller_->removeFd(listeners_[i].fd.get());
    }
  }
  if (on && !reserve_) reserve_ = unique_fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  accepting_ = on;
}

}  // namespace waggle::front::detail
