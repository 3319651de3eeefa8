#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <waggle/wire/error.hpp>

#include "gateway/routes/config.hpp"
#include "gateway/routes/jq_program.hpp"
#include "gateway/routes/request_reader.hpp"
#include "gateway/routes/text_rule.hpp"

namespace waggle::gateway {

/// What a step has come to, for the sources `step` and `error`. Both are one msgpack value.
struct step_outcome {
  std::optional<std::string> value;
  std::optional<std::string> error;
};

/// What a value takes from a request, as msgpack, kept for when the request is gone.
class taken_values {
 public:
  void add(std::string_view value) {
    spans_.emplace_back(static_cast<std::uint32_t>(bytes_.size()), static_cast<std::uint32_t>(value.size()));
    bytes_ += value;
  }
  [[nodiscard]] std::size_t bytes() const { return bytes_.size() + spans_.size() * sizeof spans_[0]; }
  void add_absent() { spans_.emplace_back(0, absent); }
  /// Appends what tells these values from any others of the same plan.
  void append_to(std::string& out) const {
    for (const auto& [at, size] : spans_) out.append(reinterpret_cast<const char*>(&size), sizeof size);
    out += bytes_;
  }
  [[nodiscard]] std::optional<std::string_view> operator[](std::size_t i) const {
    if (spans_[i].second == absent) return std::nullopt;
    return std::string_view{bytes_}.substr(spans_[i].first, spans_[i].second);
  }

 private:
  static constexpr std::uint32_t absent = ~std::uint32_t{0};
  std::string bytes_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> spans_;
};

/// Why a value cannot be made: a jq program failed. What it says may hold anything, so the client is told something else.
struct value_failure {
  error shown;
  std::string reason;  ///< for the log: where the program stands, and its words
};
template <class Value>
using made = tl::expected<Value, value_failure>;

using step_numbers = std::map<std::string, std::size_t, std::less<>>;

/// One step that a value refers to: it is made after the step has ended.
struct step_reference {
  std::size_t step;
  bool of_error;
};

/// A value of the configuration, bound to its route's path and steps and to the schema of what it becomes.
class value_plan {
 public:
  /// Texts get the types that `schema`, which stands somewhere in `root`, wants; without one they are strings. Throws
  /// std::invalid_argument if a jq program cannot be compiled, which the reading of the configuration has ruled out.
  value_plan(const value_config& from, const path_pattern& path, const step_numbers& steps, const json_value* schema,
             const json_value* root);

  [[nodiscard]] const request_needs& needs() const { return needs_; }
  /// A program may read any step that is mentioned in its text.
  [[nodiscard]] const std::vector<step_reference>& steps() const { return steps_; }

  /// What the request calls the field at `path`, as the source is written; empty if it does not come from one.
  [[nodiscard]] std::string origin(std::string_view path) const;

  /// Takes what the value needs of the request. What does not fit goes to `wrong`, with the field's path.
  void take(const request_reader& in, taken_values& out, std::vector<problem>& wrong) const;

  /// Appends the value, one msgpack value. False, and nothing is appended, if it is absent; an error if a jq program failed.
  [[nodiscard]] made<bool> append(std::string& out, const taken_values& request, std::span<const step_outcome> steps) const;

 private:
  struct node {
    enum class kind : std::uint8_t { constant, request, step, object, list, program };
    kind is = kind::constant;
    std::string key;        ///< in an object
    std::string label;      ///< of the field, for what is wrong
    std::string constant;   ///< or what an absent source becomes
    bool has_constant = false;
    source from;
    std::size_t segment = 0;  ///< of a path parameter
    std::size_t slot = 0;     ///< in taken_values
    std::size_t step = 0;
    text_rule rule;
    std::vector<node> children;
    std::shared_ptr<jq_program> program;
  };

  node bind(const value_config& from, const path_pattern& path, const step_numbers& steps, const json_value* schema,
            const json_value* root, const std::string& label);
  void take(const node& at, const request_reader& in, taken_values& out, std::vector<problem>& wrong,
            std::vector<std::string_view>& texts) const;
  [[nodiscard]] made<bool> append(const node& at, std::string& out, const taken_values& request,
                                    std::span<const step_outcome> steps) const;
  [[nodiscard]] made<bool> run(const node& at, std::string& out, const taken_values& request,
                                 std::span<const step_outcome> steps) const;

  request_needs needs_;
  std::vector<step_reference> steps_;
  std::vector<std::string> step_names_;  ///< by number, for the input of programs
  path_pattern path_;                    ///< the same
  std::size_t slots_ = 0;
  node root_;
};

/// The segment of a path parameter.
[[nodiscard]] std::size_t segment_of(const path_pattern& path, std::string_view parameter);

/// The text of a value that is a text, a number or a truth value.
[[nodiscard]] std::optional<std::string> plain_text(std::string_view value);

/// The text of a template, or nothing when one of its sources is absent or has no plain text, or the whole has characters that a
/// header does not have. `in_url`: what sources give is percent-encoded.
class template_plan {
 public:
  template_plan(const text_template& from, const path_pattern& path, const step_numbers& steps, bool in_url = false);
  [[nodiscard]] const request_needs& needs() const { return needs_; }
  [[nodiscard]] const std::vector<step_reference>& steps() const { return steps_; }
  void take(const request_reader& in, taken_values& out, std::vector<problem>& wrong) const;
  [[nodiscard]] std::optional<std::string> text(const taken_values& request, std::span<const step_outcome> steps) const;

 private:
  struct piece {
    std::string text;
    std::optional<value_plan> value;
  };
  request_needs needs_;
  std::vector<step_reference> steps_;
  std::vector<piece> pieces_;
  bool in_url_;
};

/// What a program or a person sees of a request: a msgpack map of `path`, `query`, `header`, `cookie`, `claim` and `body`. Names of
/// headers are in lower case; a name that came more than once has a list.
[[nodiscard]] std::string snapshot_of(const request_reader& in, const path_pattern& path);

}  // namespace waggle::gateway
