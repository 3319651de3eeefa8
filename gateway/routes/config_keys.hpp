#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include "gateway/front/limits.hpp"

/// The words of the route language, once: for its reader, and for the test that compares them with its JSON Schema.
namespace waggle::gateway::keys {

template <std::size_t N>
using list = std::array<std::string_view, N>;

inline constexpr list<3> file{"limits", "tokens", "routes"};
inline constexpr list<4> tokens{"algorithm", "key", "issuer", "audience"};
inline constexpr list<19> route{"route",  "call",   "emit",       "steps",  "budget", "summary", "when",
                                "fields", "key",    "status",     "headers", "reply",  "incomplete", "stream",
                                "then",   "mirror", "deprecated", "sunset", "link"};
inline constexpr list<9> step{"call", "emit", "fields", "key", "budget", "optional", "fallback", "after", "undo"};
inline constexpr list<6> then_step{"call", "emit", "fields", "key", "budget", "after"};
inline constexpr list<4> undo{"call", "fields", "key", "budget"};
inline constexpr list<7> value{"from", "default", "type", "value", "object", "list", "jq"};
inline constexpr list<3> versions{"by", "is", "default"};
inline constexpr list<2> split{"split", "sticky"};
inline constexpr list<2> mirror{"call", "percent"};
inline constexpr list<5> types{"string", "integer", "number", "boolean", "list"};
inline constexpr list<3> streams{"whole", "sse", "ndjson"};
inline constexpr list<3> algorithms{"HS256", "RS256", "ES256"};

/// One limit of the front, and what it may be set to: bytes or a number, or milliseconds.
struct limit {
  using member = std::variant<std::size_t front::limits::*, std::uint64_t front::limits::*,
                              std::chrono::milliseconds front::limits::*>;
  std::string_view name;
  member is;
  std::uint64_t least;
  std::uint64_t most;
  bool bytes = false;
};

inline constexpr std::uint64_t kib = 1024, mib = 1024 * kib, gib = 1024 * mib;
inline constexpr std::uint64_t seconds = 1000, minutes = 60 * seconds, hours = 60 * minutes;

/// Least: what an honest small client needs. Most: what no thread comes to hold by one client's wish.
inline constexpr std::array limits{
    limit{"header_bytes", &front::limits::header_bytes_max, 256, mib, true},
    limit{"fields", &front::limits::fields_max, 4, 10'000},
    limit{"target_bytes", &front::limits::target_bytes_max, 16, mib, true},
    limit{"body_bytes", &front::limits::body_bytes_max, 0, 64 * mib, true},
    limit{"chunk_extension_bytes", &front::limits::chunk_extension_bytes_max, 0, 64 * kib, true},
    limit{"blank_lines_before_request", &front::limits::blank_lines_before_request_max, 1, 100},
    limit{"unanswered", &front::limits::unanswered_max, 1, 1024},
    limit{"output_bytes", &front::limits::output_bytes_max, 4 * kib, 64 * mib, true},
    limit{"head_time", &front::limits::head_time, 100, 10 * minutes},
    limit{"body_grace_time", &front::limits::body_grace_time, 100, hours},
    limit{"body_bytes_per_second_min", &front::limits::body_bytes_per_second_min, 1, gib, true},
    limit{"idle_time", &front::limits::idle_time, 100, 24 * hours},
    limit{"write_stall_time", &front::limits::write_stall_time, 100, hours},
    limit{"linger_time", &front::limits::linger_time, 1, minutes},
    limit{"buffered_bytes", &front::limits::buffered_bytes_max, mib, 1024 * gib, true},
    limit{"connections", &front::limits::connections_max, 1, 65'536},
};

}  // namespace waggle::gateway::keys
