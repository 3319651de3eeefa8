#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

namespace waggle::gateway {

/// Where a value comes from, as a person writes it: `path.id`, `query.tag`, `header.X-Tenant`, `cookie.session`, `body`,
/// `body.address.city`, `claim.sub`, `env.REGION`, `step.order`, `step.order.lines`, `error.order.message`.
struct source {
  enum class part : std::uint8_t {
    path,
    query,
    header,
    cookie,
    body,
    claim,  ///< of the request's verified token
    env,    ///< of the gateway's environment, read when the configuration is loaded
    step,   ///< the reply of a step of the same route; absent when the step failed
    error   ///< what went wrong with a step: an object with `code`, `message` and `may_have_run`; absent when nothing did
  };
  part from = part::query;
  std::string name;                ///< of the parameter, header, cookie, claim, variable or step; empty for the body
  std::vector<std::string> steps;  ///< into the value of a body, claim, step or error, from map to map
  std::string text;                ///< of `env` only: the variable's value

  /// What comes as text and gets its type where it is used; the others are msgpack values.
  [[nodiscard]] bool is_text() const {
    return from == part::path || from == part::query || from == part::header || from == part::cookie || from == part::env;
  }
  /// Known before anything is called.
  [[nodiscard]] bool of_request() const { return from != part::step && from != part::error; }
  /// As it was written.
  [[nodiscard]] std::string written() const;
  friend bool operator==(const source&, const source&) = default;
};

/// Reads a source; otherwise what is wrong and what to write instead. Looks at the text only: whether there is such a
/// parameter, step or variable is its caller's to check, and `text` stays empty.
[[nodiscard]] tl::expected<source, std::string> parse_source(std::string_view text);

}  // namespace waggle::gateway
