#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "gateway/front/limits.hpp"

/// The words of the route language, once: for its reader, and for the test that compares them with its JSON Schema.
namespace waggle::gateway::keys {

template <std::size_t N>
using list = std::array<std::string_view, N>;

inline constexpr list<16> file{"limits", "tls",     "tokens",   "api_keys", "access", "events",      "access_log", "proxies",
                               "cors",   "rates",   "breaker",  "retries",  "compress", "cache",     "idempotency", "routes"};
inline constexpr list<5> tls{"certificates", "client_certificates", "client_ca", "minimum", "redirect"};
inline constexpr list<2> certificate{"certificate", "key"};
inline constexpr list<3> client_certificates{"none", "optional", "required"};  // in the order of front::client_certificates
inline constexpr list<7> tokens{"keys", "algorithm", "key", "issuer", "audience", "leeway", "scopes"};
inline constexpr list<2> api_keys{"file", "header"};
inline constexpr list<4> access{"routes", "operations", "documents", "metrics"};
inline constexpr list<4> events{"topics", "streams_max", "keep_alive", "access"};
inline constexpr list<2> access_log{"sample", "slow"};
inline constexpr list<2> proxies{"addresses", "header"};
inline constexpr list<2> proxy_headers{"X-Forwarded-For", "Forwarded"};
inline constexpr list<5> cors{"origins", "credentials", "max_age", "headers", "expose"};
inline constexpr list<5> rate{"limit", "per", "by", "burst", "name"};
inline constexpr list<4> breaker{"failures", "of", "within", "open"};
inline constexpr list<2> retries{"attempts", "budget"};
inline constexpr list<27> route{"route",  "call",   "emit",       "steps",  "budget", "summary", "when",
                                "fields", "key",    "status",     "headers", "reply",  "incomplete", "stream",
                                "then",   "mirror", "deprecated", "sunset", "link",   "later",
                                "access", "rate",   "concurrency", "cache_control", "compress", "cache", "idempotency"};
inline constexpr list<4> route_cache{"for", "stale", "shared", "by"};
inline constexpr list<1> cache{"bytes"};
inline constexpr list<3> idempotency{"keep", "entries", "bytes"};
inline constexpr list<2> key_uses{"required", "accepted"};
inline constexpr list<9> step{"call", "emit", "fields", "key", "budget", "optional", "fallback", "after", "undo"};
inline constexpr list<6> then_step{"call", "emit", "fields", "key", "budget", "after"};
inline constexpr list<4> undo{"call", "fields", "key", "budget"};
inline constexpr list<7> value{"from", "default", "type", "value", "object", "list", "jq"};
inline constexpr list<3> versions{"by", "is", "default"};
inline constexpr list<2> split{"split", "sticky"};
inline constexpr list<2> mirror{"call", "percent"};
inline constexpr list<5> types{"string", "integer", "number", "boolean", "list"};
inline constexpr list<3> streams{"whole", "sse", "ndjson"};
inline constexpr list<4> algorithms{"HS256", "RS256", "ES256", "EdDSA"};

/// One limit of the front, and what it may be set to.
struct limit {
  enum class unit : std::uint8_t { number, bytes, milliseconds };
  std::string_view name;
  void (*set)(front::limits&, std::uint64_t);
  unit in;
  std::uint64_t least;
  std::uint64_t most;
};

template <auto Member>
inline constexpr auto set = [](front::limits& of, std::uint64_t to) {
  of.*Member = std::decay_t<decltype(of.*Member)>(to);
};

inline constexpr std::uint64_t kib = 1024, mib = 1024 * kib, gib = 1024 * mib;
inline constexpr std::uint64_t seconds = 1000, minutes = 60 * seconds, hours = 60 * minutes;

/// Least: what an honest small client needs. Most: what no thread comes to hold by one client's wish.
using unit = limit::unit;
inline constexpr std::array limits{
    limit{"header_bytes", set<&front::limits::header_bytes_max>, unit::bytes, 256, mib},
    limit{"fields", set<&front::limits::fields_max>, unit::number, 4, 10'000},
    limit{"target_bytes", set<&front::limits::target_bytes_max>, unit::bytes, 16, mib},
    limit{"body_bytes", set<&front::limits::body_bytes_max>, unit::bytes, 0, 64 * mib},
    limit{"chunk_extension_bytes", set<&front::limits::chunk_extension_bytes_max>, unit::bytes, 0, 64 * kib},
    limit{"blank_lines_before_request", set<&front::limits::blank_lines_before_request_max>, unit::number, 1, 100},
    limit{"unanswered", set<&front::limits::unanswered_max>, unit::number, 1, 1024},
    limit{"output_bytes", set<&front::limits::output_bytes_max>, unit::bytes, 4 * kib, 64 * mib},
    limit{"stream_bytes", set<&front::limits::stream_bytes_max>, unit::bytes, 64 * kib, gib},
    limit{"head_time", set<&front::limits::head_time>, unit::milliseconds, 100, 10 * minutes},
    limit{"body_grace_time", set<&front::limits::body_grace_time>, unit::milliseconds, 100, hours},
    limit{"body_bytes_per_second_min", set<&front::limits::body_bytes_per_second_min>, unit::bytes, 1, gib},
    limit{"idle_time", set<&front::limits::idle_time>, unit::milliseconds, 100, 24 * hours},
    limit{"half_closed_time", set<&front::limits::half_closed_time>, unit::milliseconds, 100, hours},
    limit{"write_stall_time", set<&front::limits::write_stall_time>, unit::milliseconds, 100, hours},
    limit{"linger_time", set<&front::limits::linger_time>, unit::milliseconds, 1, minutes},
    limit{"handshake_time", set<&front::limits::handshake_time>, unit::milliseconds, 100, 10 * minutes},
    limit{"buffered_bytes", set<&front::limits::buffered_bytes_max>, unit::bytes, mib, 1024 * gib},
    limit{"connections", set<&front::limits::connections_max>, unit::number, 1, 65'536},
    limit{"handshakes", set<&front::limits::handshakes_max>, unit::number, 1, 65'536},
};

}  // namespace waggle::gateway::keys
