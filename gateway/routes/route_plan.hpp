#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/routes/command_info.hpp"
#include "gateway/routes/config.hpp"
#include "gateway/routes/payload.hpp"

namespace waggle::gateway {

/// What the network says of a command; null when no worker serves it.
using command_lookup = std::function<std::shared_ptr<const command_info>(const std::string&)>;

/// Where a text decides something: a key, a version, a condition, a stickiness.
class text_plan {
 public:
  text_plan(source from, const path_pattern& path, const step_numbers& steps);
  [[nodiscard]] const source& from() const { return from_; }
  /// The first text, or a value's text; nothing if it is absent, or neither a text nor a number.
  [[nodiscard]] std::optional<std::string> text(const request_reader& in) const;
  /// The same for a source that is a step.
  [[nodiscard]] std::optional<std::string> text(std::span<const step_outcome> steps) const;

 private:
  source from_;
  std::size_t segment_ = 0;
  std::size_t step_ = 0;
};

/// One of the commands that a step may call.
struct target_plan {
  std::string command;
  std::shared_ptr<const command_info> info;
  payload_plan payload;
  unsigned weight = 1;
};

/// What undoes a step.
struct undo_plan {
  target_plan target;
  std::chrono::milliseconds budget;
  std::optional<text_plan> key;
};

struct step_plan {
  step_config what;
  bool then = false;
  std::vector<target_plan> targets;  ///< of a call, at least one
  std::optional<payload_plan> event; ///< of an emit
  std::optional<text_plan> by;       ///< what chooses among the targets, or makes chance sticky
  std::optional<text_plan> key;
  std::optional<undo_plan> undo;
  std::vector<std::size_t> waits_for;  ///< steps that have to end before it
  std::vector<std::size_t> relies_on;  ///< of those, the ones that have to succeed

  [[nodiscard]] bool by_chance() const { return what.call && std::holds_alternative<target_config::split>(what.call->is); }
};

/// A route of a file that is more than one call whose reply is the answer: bound to the network as it is now.
class route_plan {
 public:
  route_plan(const route_config& route, const command_lookup& commands);

  [[nodiscard]] const request_needs& needs() const { return needs_; }
  /// The synchronous steps, then those of `then`.
  [[nodiscard]] const std::vector<step_plan>& steps() const { return steps_; }
  [[nodiscard]] std::size_t first_then() const { return first_then_; }
  [[nodiscard]] const std::optional<value_plan>& reply() const { return reply_; }
  /// Optional steps, and those with a fallback, that the reply speaks of.
  [[nodiscard]] const std::vector<std::size_t>& reply_steps() const { return reply_steps_; }
  [[nodiscard]] const std::vector<std::pair<std::string, template_plan>>& headers() const { return headers_; }
  [[nodiscard]] const std::optional<target_plan>& mirror() const { return mirror_; }

  /// Where more than one command can be meant: the one that the request or chance (`dice`) chooses, as an index into the
  /// step's targets; nothing if the request's version is none.
  [[nodiscard]] static std::optional<std::size_t> choose(const step_plan& step, const request_reader& in, std::uint64_t dice);

 private:
  step_plan bind(const step_config& from, bool then, const route_config& route, const step_numbers& steps,
                 const command_lookup& commands);

  request_needs needs_;
  std::vector<step_plan> steps_;
  std::size_t first_then_ = 0;
  std::optional<value_plan> reply_;
  std::vector<std::size_t> reply_steps_;
  std::vector<std::pair<std::string, template_plan>> headers_;
  std::optional<target_plan> mirror_;
};

}  // namespace waggle::gateway
