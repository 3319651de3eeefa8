#include "gateway/front/listener.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace waggle::front {
namespace {

constexpr int backlog = 4096;  // the kernel lowers it to net.core.somaxconn
// What the kernel takes for a client beyond what is on its way. Left to itself it takes megabytes for each, which nobody here
// counts: 1,000 slow readers used up all of net.ipv4.tcp_mem (2.3 GB), and everybody's answers waited.
constexpr int unsent_bytes_max = 128 * 1024;

struct resolver_category final : std::error_category {
  const char* name() const noexcept override { return "resolver"; }
  std::string message(int code) const override { return ::gai_strerror(code); }
};

[[noreturn]] void throw_bind_error(int error, const std::string& where) {
  throw bind_error(error, std::generic_category(), "cannot listen on " + where);
}

bool set_option(int fd, int level, int name, int value) {
  return ::setsockopt(fd, level, name, &value, sizeof value) == 0;
}

/// A bound and listening socket, or none with errno set. Accepted sockets inherit the options, which saves calls for each
/// connection.
unique_fd open_listener(const sockaddr* address, socklen_t size, bool shared) {
  unique_fd out(::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!out) return {};
  // Without SO_REUSEADDR a restart would have to wait for the last connections' TIME_WAIT.
  const bool ready = set_option(out.get(), SOL_SOCKET, SO_REUSEADDR, 1) &&
                     (!shared || set_option(out.get(), SOL_SOCKET, SO_REUSEPORT, 1)) &&
                     set_option(out.get(), IPPROTO_TCP, TCP_NODELAY, 1) &&
                     set_option(out.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, unsent_bytes_max) &&
                     set_option(out.get(), SOL_SOCKET, SO_KEEPALIVE, 1) && ::bind(out.get(), address, size) == 0 &&
                     ::listen(out.get(), backlog) == 0;
  if (ready) return out;
  const int error = errno;
  out.reset();
  errno = error;
  return {};
}

std::string describe(const sockaddr* address, socklen_t size) {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  ::getnameinfo(address, size, host.data(), host.size(), port.data(), port.size(), NI_NUMERICHOST | NI_NUMERICSERV);
  const std::string name = host.data();
  return (address->sa_family == AF_INET6 ? "[" + name + "]" : name) + ":" + port.data();
}

}  // namespace

std::string host_of(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> out{};
  const char* text = nullptr;
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    text = ::inet_ntop(AF_INET, &v4.sin_addr, out.data(), out.size());
  } else if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
    text = IN6_IS_ADDR_V4MAPPED(&v6) ? ::inet_ntop(AF_INET, &v6.s6_addr[12], out.data(), out.size())
                                     : ::inet_ntop(AF_INET6, &v6, out.data(), out.size());
  }
  return text == nullptr ? std::string{} : std::string{text};
}

void unique_fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

listener_set listen_on(const std::string& host, std::uint16_t port, unsigned count) {
  static const resolver_category resolver;
  const std::string where = host + ":" + std::to_string(port);
  std::string name = host;
  if (name.size() > 2 && name.front() == '[' && name.back() == ']') name = name.substr(1, name.size() - 2);
  if (name.empty() || name == "*") name = "0.0.0.0";

  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failure = ::getaddrinfo(name.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (failure == EAI_SYSTEM) throw_bind_error(errno, where);
  if (failure != 0) throw bind_error(failure, resolver, "cannot listen on " + where);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  std::vector<const addrinfo*> candidates;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) candidates.push_back(at);
  std::stable_partition(candidates.begin(), candidates.end(),
                        [](const addrinfo* at) { return at->ai_family == AF_INET; });

  listener_set out;
  int error = EADDRNOTAVAIL;
  for (const addrinfo* at : candidates) {
    // The first socket listens without SO_REUSEPORT, which the kernel allows only if nobody else listens there, and
    // gets the option afterwards. There is no moment at which two processes could both have passed the check.
    unique_fd first = open_listener(at->ai_addr, at->ai_addrlen, false);
    if (first) {
      out.sockets.push_back(std::move(first));
      break;
    }
    error = errno;
    if (error != EADDRNOTAVAIL && error != EAFNOSUPPORT) break;
  }
  if (out.sockets.empty()) throw_bind_error(error, where);

  sockaddr_storage actual{};
  socklen_t size = sizeof actual;
  auto* address = reinterpret_cast<sockaddr*>(&actual);
  if (::getsockname(out.sockets.front().get(), address, &size) != 0 ||
      !set_option(out.sockets.front().get(), SOL_SOCKET, SO_REUSEPORT, 1)) {
    throw_bind_error(errno, where);
  }
  out.endpoint = describe(address, size);
  while (out.sockets.size() < count) {
    unique_fd next = open_listener(address, size, true);
    if (!next) throw_bind_error(errno, where);
    out.sockets.push_back(std::move(next));
  }
  return out;
}

}  // namespace waggle::front
