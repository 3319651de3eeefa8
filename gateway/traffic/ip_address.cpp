#include "gateway/traffic/ip_address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace waggle::gateway {
namespace {

constexpr std::size_t mapped_bytes = 12;
constexpr std::array<std::uint8_t, mapped_bytes> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

bool ip_address::is_v4() const { return std::equal(mapped.begin(), mapped.end(), bytes.begin()); }

std::string ip_address::text() const {
  char out[INET6_ADDRSTRLEN] = {};
  if (is_v4()) {
    ::inet_ntop(AF_INET, bytes.data() + mapped_bytes, out, sizeof out);
  } else {
    ::inet_ntop(AF_INET6, bytes.data(), out, sizeof out);
  }
  return out;
}

std::string_view ip_address::subscriber() const {
  const auto* const begin = reinterpret_cast<const char*>(bytes.data());
  return is_v4() ? std::string_view{begin + mapped_bytes, 4} : std::string_view{begin, 8};
}

std::optional<ip_address> parse_ip_address(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN] = {};
  if (text.empty() || text.size() >= sizeof terminated) return std::nullopt;
  std::memcpy(terminated, text.data(), text.size());
  if (std::strlen(terminated) != text.size()) return std::nullopt;
  ip_address out;
  if (text.find(':') != text.npos) {
    if (::inet_pton(AF_INET6, terminated, out.bytes.data()) != 1) return std::nullopt;
    return out;
  }
  std::copy(mapped.begin(), mapped.end(), out.bytes.begin());
  if (::inet_pton(AF_INET, terminated, out.bytes.data() + mapped_bytes) != 1) return std::nullopt;
  return out;
}

bool ip_network::contains(const ip_address& address) const {
  if (address.is_v4() != base.is_v4()) return false;
  const auto whole = prefix / 8;
  if (!std::equal(base.bytes.begin(), base.bytes.begin() + whole, address.bytes.begin())) return false;
  if (prefix % 8 == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xff << (8 - prefix % 8));
  return (base.bytes[whole] & mask) == (address.bytes[whole] & mask);
}

std::optional<ip_network> parse_ip_network(std::string_view text, network_fault& why) {
  why = network_fault::not_one;
  const auto slash = text.find('/');
  const auto address = parse_ip_address(text.substr(0, slash));
  if (!address) return std::nullopt;
  // ::ffff:0:0/96 is all of IPv4, written as IPv6: its prefix counts from the front.
  const bool dotted = text.substr(0, slash).find(':') == text.npos;
  ip_network out{*address, 128};
  if (slash != text.npos) {
    const auto digits = text.substr(slash + 1);
    unsigned bits = 0;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (failed != std::errc{} || end != digits.data() + digits.size() || bits > (dotted ? 32u : 128u)) return std::nullopt;
    out.prefix = dotted ? 96 + bits : bits;
    if (address->is_v4() && out.prefix < 96) return std::nullopt;
  }
  for (unsigned bit = out.prefix; bit < 128; ++bit) {
    if ((out.base.bytes[bit / 8] >> (7 - bit % 8) & 1) == 0) continue;
    why = network_fault::host_bits;
    return std::nullopt;
  }
  return out;
}

}  // namespace waggle::gateway
