#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/front/application.hpp"
#include "gateway/traffic/ip_address.hpp"

namespace waggle::gateway {

/// Which proxies stand before the gateway, and how they say for whom they ask.
struct proxies_config {
  /// One header, never both: a proxy that writes one of them passes the other on as the client sent it.
  enum class header : std::uint8_t {
    x_forwarded_for,
    forwarded,  ///< RFC 7239
  };
  std::vector<ip_network> networks;
  header says = header::x_forwarded_for;
  [[nodiscard]] bool trusts(const ip_address& peer) const;
  friend bool operator==(const proxies_config&, const proxies_config&) = default;
};

inline constexpr std::size_t forwarded_hops_max = 32;  ///< looked at, from the last one; what is before them is not believed

/// Whose request it is: the peer's, unless that is a proxy. Then the header is read from its end, past further proxies, to the first address that is
/// none. What is there is believed only as far as proxies have written it: where something else than an address stands ("unknown", a name that
/// hides one, garbage) it is the last proxy's. Where all are proxies, it is the first of them.
[[nodiscard]] ip_address client_address(const ip_address& peer, const proxies_config& proxies, std::span<const front::header> headers);

}  // namespace waggle::gateway
