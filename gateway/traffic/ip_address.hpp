#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace waggle::gateway {

/// An IPv4 or IPv6 address. An IPv4 address that comes as IPv6 ("::ffff:192.0.2.1") is the IPv4 address.
struct ip_address {
  std::array<std::uint8_t, 16> bytes{};  ///< IPv4 as ::ffff:0:0/96

  [[nodiscard]] bool is_v4() const;
  /// Numeric, as in "192.0.2.1" and "2001:db8::1".
  [[nodiscard]] std::string text() const;
  /// What a limit counts as one client: an IPv4 address, or the /64 of an IPv6 address, of which one subscriber has all.
  [[nodiscard]] std::string_view subscriber() const;
  friend bool operator==(const ip_address&, const ip_address&) = default;
};

/// Numeric, without brackets, port or zone.
[[nodiscard]] std::optional<ip_address> parse_ip_address(std::string_view text);

/// "10.0.0.0/8", "2001:db8::/32"; one address is a network of its own.
struct ip_network {
  ip_address base;
  unsigned prefix = 128;  ///< bits of `base.bytes`, those before an IPv4 address counted

  [[nodiscard]] bool contains(const ip_address& address) const;
  friend bool operator==(const ip_network&, const ip_network&) = default;
};

enum class network_fault : std::uint8_t {
  not_one,
  host_bits,  ///< bits behind the prefix are set: "10.1.2.3/8"
};
/// Reads a network; nothing, and why, if it is none.
[[nodiscard]] std::optional<ip_network> parse_ip_network(std::string_view text, network_fault& why);

}  // namespace waggle::gateway
