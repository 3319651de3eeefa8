#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/front/application.hpp"
#include "gateway/identity/identity.hpp"
#include "gateway/replies/finish.hpp"

namespace waggle::gateway {

inline constexpr std::size_t request_id_bytes_max = 128;
using request_id_text = front::short_text<request_id_bytes_max>;
/// Of a W3C traceparent of version 00.
inline constexpr std::size_t trace_bytes = 55;
using trace_text = front::short_text<trace_bytes>;

/// One request from its arrival to the end of its answer: what its answer and what is told of it depend on. It outlives the request's bytes, and
/// is gone with the answer's end (answer_desk.hpp).
struct exchange {
  front::exchange_id id{};
  front::instant since;    ///< when the request was there as a whole
  std::string method;
  std::string path;        ///< as sent, without the query, which may hold secrets
  std::string route;       ///< as in "GET /orders/{id}"; empty: none has taken it
  request_id_text request_id;
  trace_text trace;        ///< W3C traceparent of what it calls; empty: it has called nothing
  std::string client;      ///< its address, numeric; behind trusted proxies what they say
  std::string user_agent;  ///< shortened
  std::string subject;     ///< who asks, as his credentials say
  identity_ptr who;        ///< the same, whole; null: nobody has said
  bool encrypted = false;
  bool is_http10 = false;
  std::size_t request_bytes = 0;  ///< of its body

  // What decides about the form of its answer.
  reply_wishes wishes;
  reply_terms terms;

  /// What each answer to it gets, whoever makes it, besides its request's id.
  front::header_list headers;

  // Of the answer, once it has begun.
  int status = 0;
  std::size_t response_bytes = 0;  ///< of its body, without framing
  bool streamed = false;
};

/// What OpenTelemetry calls http.route: the path of "GET /orders/{id}".
[[nodiscard]] inline std::string_view path_of_route(std::string_view route) {
  return route.substr(std::min(route.size(), route.find(' ') + 1));
}

/// How an exchange ended.
enum class exchange_end : std::uint8_t {
  answered,   ///< with a whole answer
  aborted,    ///< the answer was cut off by the gateway
  abandoned,  ///< the client went away before the answer's end
};

}  // namespace waggle::gateway
