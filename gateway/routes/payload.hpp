#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <waggle/wire/error.hpp>

#include "gateway/routes/command_info.hpp"
#include "gateway/routes/config.hpp"
#include "gateway/routes/request_reader.hpp"
#include "gateway/routes/value.hpp"

namespace waggle::gateway {

/// How the requests of one route become the payloads of one command: bound once to the route's path and to the command's schema.
class payload_plan {
 public:
  /// `command` is null when no worker serves it: then texts are strings, and nothing is checked.
  payload_plan(const payload_config& from, const std::string& method, const path_pattern& path, const step_numbers& steps,
               std::shared_ptr<const command_info> command);

  [[nodiscard]] const request_needs& needs() const { return needs_; }
  [[nodiscard]] const std::vector<step_reference>& steps() const;
  /// It can be made when the request comes, since it refers to no step.
  [[nodiscard]] bool at_once() const { return steps().empty(); }

  /// The payload, one msgpack value, checked against the schema; what does not fit goes to `wrong`, and then there is none. An
  /// error if a jq program failed. Only for plans that are made at once.
  [[nodiscard]] made<std::string> make(request_reader& in, std::vector<problem>& wrong) const;

  /// The two halves of the same for a payload that waits for steps: first what the request has to say, then all.
  void take(const request_reader& in, taken_values& out, std::vector<problem>& wrong) const;
  [[nodiscard]] made<std::string> make(const taken_values& request, std::span<const step_outcome> steps,
                                       std::vector<problem>& wrong) const;

 private:
  enum class shape : std::uint8_t { usual_query, usual_body, bound };
  struct parameter {
    std::string name;
    std::size_t segment;
    const text_rule* rule;
  };
  class usual;

  [[nodiscard]] const text_rule& rule_for(std::string_view field) const;
  [[nodiscard]] bool has_check() const { return command_ && command_->check; }
  /// What the check has found, as the client knows it.
  void note(std::vector<problem> found, std::vector<problem>& wrong) const;

  std::shared_ptr<const command_info> command_;
  shape shape_ = shape::bound;
  request_needs needs_;
  std::vector<parameter> parameters_;
  std::optional<value_plan> value_;
};

}  // namespace waggle::gateway
