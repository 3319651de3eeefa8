#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "gateway/routes/source.hpp"

namespace waggle::gateway {

/// How long the answers of a route are kept in the gateway's memory, and for whom they are the same. Only where all its commands are `safe`.
struct cache_config {
  std::chrono::milliseconds fresh{};
  std::chrono::milliseconds stale{0};  ///< after that: still answered, while one call gets a new one
  bool shared = false;                 ///< who asks does not matter
  std::vector<source> by;              ///< claims: what of who asks does; empty: all of it, unless shared
};

/// Of all routes, and of one reactor thread.
struct cache_limits {
  std::size_t bytes = 64u << 20;
  friend bool operator==(const cache_limits&, const cache_limits&) = default;
};

/// Whether a route takes Idempotency-Key.
enum class key_use : std::uint8_t { none, accepted, required };

/// Of all routes: where there is one, answers under a key are kept so long, and so many.
struct idempotency_config {
  std::chrono::milliseconds keep = std::chrono::hours{24};
  std::size_t entries = 100'000;
  std::size_t bytes = 256u << 20;
  friend bool operator==(const idempotency_config&, const idempotency_config&) = default;
};

inline constexpr std::size_t cache_claims_max = 8;

}  // namespace waggle::gateway
