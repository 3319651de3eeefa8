#pragma once

/// What the program ends with beside 0, 1 and the statuses' own exit codes (broker/PROTOCOL.md, "Statuses").
namespace waggle::cli {

inline constexpr int exit_misuse = 2;     ///< the command line or the payload is not understood
inline constexpr int exit_not_kept = 3;   ///< `emit`, `later`: the broker has taken it, but has no disk for it
inline constexpr int exit_not_ended = 4;  ///< `outcome`: the command waits or runs still

}  // namespace waggle::cli
