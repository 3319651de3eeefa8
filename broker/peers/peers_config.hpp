#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "broker/core/role.hpp"

namespace waggle::broker {

inline constexpr std::size_t configured_roles_max = 64;
inline constexpr std::size_t configured_peers_max = 10'000;
inline constexpr std::size_t role_patterns_max = 256;  ///< in one list of a role

struct configured_role {
  role may;
  std::string events_out{};  ///< where those that have it subscribe; empty: the broker chooses
};

struct configured_peer {
  std::string name;
  std::size_t role;  ///< index
  std::string key;   ///< public, as Z85
};

/// Who may connect, and what they may do then.
struct peers_config {
  std::vector<configured_role> roles;
  std::vector<configured_peer> peers;
};

/// What `--peers` says (broker/PROTOCOL.md, "Security", shows one), or everything that is wrong with it: FILE:LINE, what, and what helps.
[[nodiscard]] tl::expected<peers_config, std::vector<std::string>> parse_peers_config(const std::string& name, const std::string& text);
/// The same, of a file.
[[nodiscard]] tl::expected<peers_config, std::vector<std::string>> read_peers_config(const std::string& path);

}  // namespace waggle::broker
