#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <waggle/wire/error.hpp>

#include "gateway/front/application.hpp"
#include "gateway/routes/config.hpp"
#include "gateway/routes/media.hpp"
#include "gateway/routes/network_view.hpp"
#include "gateway/routes/plan_run.hpp"

namespace waggle::gateway {

class route_table;
struct route;

struct router_options {
  /// Of a route whose configuration names none.
  std::chrono::milliseconds budget{10'000};
  /// Of the OpenAPI document.
  std::string title = "waggle gateway";
  std::string version = "1";
  bool events = false;  ///< GET /events lets out something, also where the configuration does not say
};

/// One call whose reply is the answer: what most requests ask of the network. Holds nothing of the request, and keeps the route
/// that it was made by, so that it may outlive both.
struct planned_call {
  /// What its reply is made into: the answer as it is; the receipt of a command that the broker keeps and runs later; what the broker
  /// knows of such a command (gateway/routes/operations.hpp).
  enum class purpose : std::uint8_t { reply, receipt, outcome };
  purpose what_for = purpose::reply;
  std::string command;
  std::string payload;  ///< one msgpack value
  std::chrono::milliseconds budget{};
  reply_format reply = reply_format::json;
  bool streams = false;     ///< the command sends PARTs before its REPLY
  bool idempotent = false;  ///< it may run twice for one request
  std::optional<std::string> key;
  /// Of a receipt.
  std::chrono::milliseconds run_budget{};     ///< of each run; `budget` is the receipt's
  std::optional<std::string> idempotency_key;
  bool preferred = false;                     ///< the client asked for it (RFC 7240); otherwise the route did
  /// Of an outcome: how long the broker waits for the command's end.
  std::optional<std::chrono::seconds> waits;
  std::shared_ptr<const route_table> table;
  const route* of = nullptr;  ///< of `table`; null: of a call that no route stands for

  /// All that the command sees of the request, and the form of the answer: requests of one route with the same text are answered alike, whoever
  /// makes them.
  [[nodiscard]] std::string request_text() const;
};

/// What a request is known by besides its bytes.
struct request_context {
  std::string_view claims;  ///< of its verified token, a msgpack map; empty if there is none
  std::uint64_t dice = 0;   ///< decides where a route leaves something to chance
  std::string* note = nullptr;  ///< if not null: gets what the log is to be told, if anything
};

/// One step of a request's plan, for people.
struct explained_step {
  std::string name;
  std::string aim;       ///< command or topic
  bool then = false;
  std::string need;      ///< "required", "optional" or "fallback"
  std::vector<std::string> after;                  ///< steps that it waits for
  std::chrono::milliseconds budget{};
  std::optional<std::string> payload;              ///< JSON; nothing when it waits for steps
  std::vector<std::pair<std::string, std::string>> fields;  ///< field → where it comes from, as written
  std::string undo;      ///< the command that undoes it
  bool served = true;    ///< some worker serves the command
};
struct explanation {
  std::string route;                       ///< as in "GET /things/{id}"; empty if none takes the request
  std::string from;                        ///< FILE:LINE, or "service NAME"
  std::chrono::milliseconds budget{};
  access_rule access;                      ///< whom it is for; not looked at here
  std::vector<explained_step> steps;
  std::optional<front::response> refused;  ///< the answer that the request would get without any call
};

/// What a request is turned into, or its answer when that is nothing.
using planned_request = std::variant<planned_call, plan_run, front::response>;

/// Turns HTTP requests into calls and their outcomes into answers. No socket, thread, clock or log; equal inputs give
/// equal outputs. One object for one reactor thread.
class router {
 public:
  /// Throws std::invalid_argument if a jq program of the configuration cannot be compiled; `load_config` has ruled that out.
  explicit router(config routes = {}, router_options options = {});
  router(router&&) noexcept;
  router& operator=(router&&) noexcept;
  ~router();

  /// Takes the network as it is now. Returns, for the log, each route of a manifest that is left out and why.
  std::vector<std::string> update(const network_view& network);
  /// Takes another configuration; the network stays as it is. Returns the same.
  std::vector<std::string> update(config routes);

  /// The route that takes a request, and the form of its answer; the table that it is of lives on with it.
  struct taken_route {
    std::shared_ptr<const route_table> table;
    const route* of = nullptr;
    reply_format reply = reply_format::json;
  };
  /// Which route takes a request, or the answer when none does: no such route (404, 405), OPTIONS (204), an answer of no known type
  /// (406). `path` is the request's.
  [[nodiscard]] std::variant<taken_route, front::response> take(const front::request& in, const decoded_path& path, std::string_view claims) const;
  /// What a request that a route has taken stands for, or the answer when that is nothing: it cannot be converted (400), or its body is of no
  /// known type (415). Any request is allowed.
  [[nodiscard]] planned_request plan(const taken_route& by, const front::request& in, const decoded_path& path, const request_context& with) const;
  /// Both in one.
  [[nodiscard]] planned_request plan(const front::request& in, const request_context& with = {}) const;

  /// Whether a route answers this path itself where the gateway has an answer of its own: one whose path begins with the same text. (One of
  /// parameters only is not asked.)
  [[nodiscard]] bool has_own_route(const front::request& in, std::string_view claims) const;

  /// The answer to a call that has ended: its reply's payload (an empty one stands for nil), or what went wrong.
  [[nodiscard]] static front::response answer(const planned_call& call, const result<std::string_view>& payload);

  /// What `plan` would do, for people.
  [[nodiscard]] explanation explain(const front::request& in, const request_context& with = {}) const;

  /// The OpenAPI 3.1 document of the routes as they are now, as JSON. Made when first asked for, then kept until
  /// `update`.
  [[nodiscard]] const std::string& openapi() const;

  [[nodiscard]] const route_table& table() const { return *table_; }

 private:
  [[nodiscard]] planned_request plan_call(const taken_route& by, request_reader& in, const request_context& with) const;
  [[nodiscard]] planned_request plan_steps(const taken_route& by, request_reader& in, const request_context& with) const;

  config config_;
  network_view network_;
  router_options options_;
  std::shared_ptr<const route_table> table_;
  mutable std::string openapi_;
};

}  // namespace waggle::gateway
