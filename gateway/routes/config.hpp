#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <tl/expected.hpp>

#include "gateway/front/limits.hpp"
#include "gateway/identity/authenticator.hpp"
#include "gateway/routes/config_access.hpp"
#include "gateway/routes/config_replies.hpp"
#include "gateway/routes/config_tls.hpp"
#include "gateway/routes/pattern.hpp"
#include "gateway/routes/source.hpp"
#include "gateway/traffic/circuit_breaker.hpp"
#include "gateway/traffic/client_address.hpp"
#include "gateway/traffic/cors.hpp"
#include "gateway/traffic/rate_limiter.hpp"
#include "gateway/traffic/retry_budget.hpp"

namespace waggle::gateway {

/// A line of a configuration file, for what is found out later than at its reading.
struct place {
  std::string file;
  int line = 0;
  [[nodiscard]] std::string shown() const { return file + ':' + std::to_string(line); }
};

/// The type that a text is given where it is not the command's schema that says so.
enum class text_type : std::uint8_t { automatic, string, integer, number, boolean, list };

/// A value that is made anew for each request.
struct value_config {
  /// One msgpack value.
  struct constant {
    std::string msgpack;
  };
  struct taken {
    source from;
    text_type type = text_type::automatic;
    std::optional<std::string> otherwise;  ///< one msgpack value: what it is when the source is absent
  };
  struct entry;
  struct object {
    std::vector<entry> entries;
  };
  struct list {
    std::vector<value_config> items;  ///< an absent one is left out
  };
  /// A jq program; its input is an object with `path`, `query`, `header`, `cookie`, `claim`, `body`, `step` and `error`, its
  /// first output the value.
  struct program {
    std::string jq;
    place at;
  };
  std::variant<constant, taken, object, list, program> is;
};

/// It is left out where its value is absent.
struct value_config::entry {
  std::string name;
  value_config value;
};

/// A text with sources in braces: "/orders/{step.order.id}".
struct text_template {
  std::vector<std::variant<std::string, source>> pieces;
};

/// Which command a step calls.
struct target_config {
  /// By what a source says: an API's version to a command's version.
  struct versions {
    source by;
    std::vector<std::pair<std::string, std::string>> is;  ///< text → command
    std::optional<std::string> otherwise;                 ///< without it a text that is none of those is 400
  };
  /// By chance, in proportion to weights: a canary.
  struct split {
    std::vector<std::pair<std::string, unsigned>> weights;  ///< command → weight; at least one weight is not 0
    std::optional<source> sticky;  ///< equal texts lead to the same command; by chance where it is absent
  };
  std::variant<std::string, versions, split> is;
};

/// A payload made the usual way (gateway/README.md, "Fields"): path parameters and query, or path parameters and body.
struct usual_payload {};
using payload_config = std::variant<usual_payload, value_config>;

/// What undoes a step: called when a later required step fails. May be called more than once for one request.
struct undo_config {
  std::string command;
  value_config payload;
  std::optional<std::chrono::milliseconds> budget;  ///< over all its attempts
  std::optional<source> key;
  place at;
};

struct step_config {
  std::string name;  ///< "call" or "emit" where the route is just one
  std::optional<target_config> call;
  std::string emit;  ///< a topic; empty if it is a call
  payload_config payload;
  std::optional<source> key;
  std::optional<std::chrono::milliseconds> budget;  ///< within the request's
  enum class need : std::uint8_t { required, optional, fallback };
  need needed = need::required;
  std::string fallback;  ///< one msgpack value
  std::vector<std::string> after;  ///< steps that have to succeed before it, besides those that its payload names
  std::optional<undo_config> undo;
  place at;
};

/// A route is taken only if the source's text is one of these. Routes with the same method and path are asked in the order in
/// which they are written.
struct condition {
  source of;
  std::vector<std::string> is;  ///< empty: it is there, whatever it says
};

struct mirror_config {
  std::string command;
  unsigned percent = 100;
};

/// So many requests, counted by what they have in common.
struct rate_config {
  std::string name;  ///< for RateLimit-Policy
  rate_terms terms;
  std::vector<rate_by> by;  ///< at least one
  friend bool operator==(const rate_config&, const rate_config&) = default;
};

enum class stream_mode : std::uint8_t { automatic, whole, sse, ndjson };

/// One route as a person wrote it.
struct route_config {
  std::string method;
  path_pattern path;
  std::vector<condition> when;
  std::optional<std::chrono::milliseconds> budget;
  std::string summary;
  std::vector<step_config> steps;  ///< at least one; in the order in which they are written
  bool composed = false;           ///< written as `steps`, not as one `call` or `emit`
  std::optional<value_config> reply;
  std::optional<unsigned> status;  ///< of a whole reply; 200 if nothing else is said, 202 for an `emit`
  std::vector<std::pair<std::string, text_template>> headers;
  std::optional<unsigned> incomplete;  ///< the status of a reply without what optional steps should have given
  stream_mode stream = stream_mode::automatic;
  bool later = false;  ///< the command is kept and run later; the answer is where its outcome will be
  std::vector<step_config> then;
  std::optional<mirror_config> mirror;
  std::string cache_control;  ///< of its answers 200 to GET; empty: what is right for most (gateway/replies/finish.hpp)
  bool compress = true;
  std::optional<cache_config> cache;
  key_use idempotency = key_use::none;
  std::optional<std::chrono::sys_days> deprecated;  ///< since when
  std::optional<std::chrono::sys_days> sunset;      ///< until when
  std::string link;                                 ///< to what explains it
  std::optional<access_rule> access;                ///< nothing: that of all routes
  std::vector<rate_config> rates;                   ///< of this route, besides those of all
  std::optional<std::uint64_t> concurrency;         ///< requests under way, of all threads; past it 503
  std::optional<std::size_t> number;                ///< its place among the routes of the configuration; none: it is a manifest's
  place at;
};

/// What `GET /events` lets out: nothing unless it is said.
struct events_config {
  std::vector<std::string> topics;  ///< patterns (waggle/wire/topic.hpp)
  std::uint64_t streams_max = 1000;  ///< of all threads; past it 503
  std::chrono::milliseconds keep_alive{15'000};  ///< a stream that is quiet says so this often
  std::optional<access_rule> access;             ///< nothing: that of all routes
  friend bool operator==(const events_config&, const events_config&) = default;
};

/// Which requests get a line in the access log (gateway/telemetry/access_log.hpp). Those that failed (5xx, cut off) and slow ones always do.
struct access_log_config {
  unsigned sample_percent = 100;  ///< of the others
  std::chrono::milliseconds slow{1'000};
};

struct config {
  std::vector<route_config> routes;
  front::limits limits;
  std::optional<tls_config> tls;
  identity_config identity;
  access_config access;
  std::optional<events_config> events;
  bool compress = true;
  cache_limits cache;
  idempotency_config idempotency;
  proxies_config proxies;
  std::optional<cors_config> cors;
  std::vector<rate_config> rates;  ///< of all requests but those that the gateway answers itself
  std::optional<breaker_terms> breaker;
  std::optional<retry_terms> retries;
  access_log_config access_log;
  std::vector<std::string> files;  ///< others whose texts have become part of it: a change of one is a change of the configuration
  std::vector<std::string> warnings;  ///< for the log, each as "FILE:LINE: ..."
};

struct config_file {
  std::string name;  ///< as it stands before each error
  std::string text;
};

inline constexpr std::size_t config_bytes_max = 4u << 20;  ///< of one file
inline constexpr std::size_t config_files_max = 1024;
inline constexpr std::size_t config_bytes_in_all_max = 64u << 20;
inline constexpr std::size_t config_routes_max = 16'384;
inline constexpr std::size_t route_fields_max = 256;  ///< of one payload or reply, at all depths
inline constexpr std::size_t route_steps_max = 32;    ///< of one route; as many `then` steps
inline constexpr std::size_t route_conditions_max = 8;
inline constexpr std::size_t route_variants_max = 64;  ///< routes with the same method and path; texts of a condition; commands of a step
inline constexpr std::size_t route_headers_max = 32;
inline constexpr std::size_t events_topics_max = 32;
inline constexpr std::size_t rates_max = 1024;        ///< in all files
inline constexpr std::size_t route_rates_max = 8;      ///< of one route, and of all
inline constexpr std::size_t proxies_max = 1024;
inline constexpr std::size_t jq_bytes_max = 16u << 10;  ///< of one program

/// A variable of the environment; nothing if it is not set.
using environment_lookup = std::function<std::optional<std::string>(const std::string&)>;
[[nodiscard]] std::optional<std::string> process_environment(const std::string& name);

/// All the files as one configuration, or everything that is wrong with them, each as "FILE:LINE: what is wrong; what
/// to write instead".
[[nodiscard]] tl::expected<config, std::vector<std::string>> parse_config(
    std::span<const config_file> files, const environment_lookup& environment = process_environment);

/// The same for files on disk; of a directory all `*.yaml` and `*.yml`, in the order of their names.
[[nodiscard]] tl::expected<config, std::vector<std::string>> load_config(std::span<const std::string> paths);

/// The JSON Schema of a file, for editors.
[[nodiscard]] std::string_view config_schema();

}  // namespace waggle::gateway
