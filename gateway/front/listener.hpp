#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace waggle::front {

/// A descriptor that is closed with its owner.
class unique_fd {
 public:
  unique_fd() = default;
  explicit unique_fd(int fd) : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~unique_fd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
};

/// The address cannot be listened on. `code()` is the errno (`std::errc::address_in_use`) or a resolver error; `what()`
/// names the address.
class bind_error : public std::system_error {
 public:
  using std::system_error::system_error;
};

/// The host of an address, as `peer_info::address` has it; empty if it is neither IPv4 nor IPv6.
[[nodiscard]] std::string host_of(const sockaddr_storage& address);

struct listener_set {
  std::vector<unique_fd> sockets;  // all on one port; the kernel spreads connections over them
  std::string endpoint;            // the address they have, numeric: "127.0.0.1:8800", "[::1]:8800"
};

/// Listens on HOST:PORT with `count` sockets of SO_REUSEPORT; port 0 takes a free one. HOST is an address, a name (of
/// which an IPv4 address is preferred), or "*" for all interfaces. Throws `bind_error`, also if any process already
/// listens there: a second gateway of the same user would otherwise be let in, and quietly take half the connections.
[[nodiscard]] listener_set listen_on(const std::string& host, std::uint16_t port, unsigned count);

}  // namespace waggle::front
