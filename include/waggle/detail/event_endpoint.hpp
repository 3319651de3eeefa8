#pragma once

#include <string>
#include <string_view>

namespace waggle::detail {

/// Where to connect for events: what the broker told, except that one bound to every interface (`tcp://0.0.0.0:5557`) can only be
/// reached where its command endpoint was.
[[nodiscard]] inline std::string event_endpoint(std::string_view told, std::string_view commands) {
  constexpr std::string_view tcp = "tcp://";
  if (!told.starts_with(tcp) || !commands.starts_with(tcp)) return std::string{told};
  const auto split = [&](std::string_view endpoint) {
    endpoint.remove_prefix(tcp.size());
    const auto colon = endpoint.rfind(':');
    return std::pair{endpoint.substr(0, colon), colon == endpoint.npos ? std::string_view{} : endpoint.substr(colon)};
  };
  const auto [host, port] = split(told);
  if (host != "0.0.0.0" && host != "*" && host != "[::]") return std::string{told};
  return std::string{tcp}.append(split(commands).first).append(port);
}

}  // namespace waggle::detail
