#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <waggle/detail/subscription_core.hpp>

#include "gateway/front/application.hpp"
#include "gateway/routes/config.hpp"

namespace waggle::gateway {

inline constexpr std::string_view events_path = "/events";
/// Of one request: `topic` as often as it comes, and what becomes of them where not everything is let out. The broker takes 64.
inline constexpr std::size_t event_topics_max = 32;
inline constexpr std::size_t event_prefixes_max = 64;
/// The most of `?last=N`.
inline constexpr std::uint64_t event_last_max = 1000;

/// What a request for events wants to see.
struct event_request {
  std::vector<std::string> prefixes;  ///< what is asked of the network: within what is let out
  std::vector<std::string> allowed;   ///< patterns; an event is let out if one matches its topic
  std::string stream;                 ///< empty: every one
  waggle::detail::subscription_start start;
};

/// Reads `?topic=…` (several times; a topic or what topics begin with; without it all that is let out), and where to begin: what the client
/// has seen last (the header Last-Event-ID, which a browser sends when it comes back, or `last_event_id`), else one of `since=10m`, `last=20` and
/// `from=SEQUENCE`, else now; `stream=NAME` is one stream only. Or the answer where that is nothing: 400, 403, 405, 406, OPTIONS.
[[nodiscard]] std::variant<event_request, front::response> read_event_request(const front::request& in, const events_config& with);

}  // namespace waggle::gateway
