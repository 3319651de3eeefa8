#pragma once

#include <arpa/inet.h>

#include <string>
#include <string_view>

namespace waggle::broker {

/// Whether others than this machine's programs might reach what is bound there.
[[nodiscard]] inline bool is_open(std::string_view endpoint) {
  if (endpoint.starts_with("ipc://") || endpoint.starts_with("inproc://")) return false;
  constexpr std::string_view tcp = "tcp://";
  if (!endpoint.starts_with(tcp)) return true;
  const std::string host{endpoint.substr(tcp.size(), endpoint.rfind(':') - tcp.size())};
  if (host == "localhost" || host == "[::1]") return false;
  in_addr address{};
  // In full: 127.example.org is a name.
  return ::inet_pton(AF_INET, host.c_str(), &address) != 1 || (ntohl(address.s_addr) >> 24) != 127;
}

}  // namespace waggle::broker
