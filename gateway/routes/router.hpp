#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include <waggle/wire/error.hpp>

#include "gateway/front/application.hpp"
#include "gateway/routes/config.hpp"
#include "gateway/routes/media.hpp"
#include "gateway/routes/network_view.hpp"

namespace waggle::gateway {

class route_table;

struct router_options {
  /// Of a route whose configuration names none.
  std::chrono::milliseconds budget{10'000};
  /// Of the OpenAPI document.
  std::string title = "waggle gateway";
  std::string version = "1";
};

/// What a request asks of the network. Holds nothing of the request or the router, so it may outlive both.
struct planned_call {
  std::string command;
  std::string payload;  ///< one msgpack value
  std::chrono::milliseconds budget{};
  reply_format reply = reply_format::json;
  bool streams = false;  ///< the command sends PARTs before its REPLY
  std::string route;     ///< as in "GET /things/{id}": for logs and counters, bounded by the number of routes
  bool idempotent = false;  ///< it may run twice for one request
};

/// Turns HTTP requests into calls and their outcomes into answers. No socket, thread, clock or log; equal inputs give
/// equal outputs. One object for one reactor thread.
class router {
 public:
  explicit router(config routes = {}, router_options options = {});
  router(router&&) noexcept;
  router& operator=(router&&) noexcept;
  ~router();

  /// Takes the network as it is now. Returns, for the log, each route of a manifest that is left out and why.
  std::vector<std::string> update(const network_view& network);

  /// The call that a request stands for, or the answer when there is none: no such route (404, 405), OPTIONS (204), a
  /// request that cannot be converted (400), a body or an answer of no known type (415, 406). Any request is allowed.
  [[nodiscard]] std::variant<planned_call, front::response> plan(const front::request& in) const;

  /// The answer to a call that has ended: its reply's payload (an empty one stands for nil), or what went wrong.
  [[nodiscard]] static front::response answer(const planned_call& call, const result<std::string>& payload);

  /// The OpenAPI 3.1 document of the routes as they are now, as JSON. Made when first asked for, then kept until
  /// `update`.
  [[nodiscard]] const std::string& openapi() const;

  [[nodiscard]] const route_table& table() const { return *table_; }

 private:
  config config_;
  router_options options_;
  std::unique_ptr<route_table> table_;
  mutable std::string openapi_;
};

}  // namespace waggle::gateway
