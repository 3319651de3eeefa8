#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include <waggle/wire/error.hpp>

namespace waggle::gateway {

inline constexpr std::size_t jq_program_bytes_max = 64u << 10;

/// Why a program gave nothing.
struct jq_failure {
  error shown;         ///< for the client: says nothing of the program or the values
  std::string reason;  ///< for the log: the program's own words, one line of at most 1 KiB
};

/// A jq program of the configuration (libjq 1.6 or 1.7). Belongs to one thread, like the state of libjq in it: each reactor
/// compiles its own.
///
/// Programs are trusted configuration: libjq cannot be interrupted, so one that does not end keeps its thread (`[repeat(.)]`,
/// `def f: f; f`), and one that builds a large value takes memory without bound. They cannot reach out of the request: `env`,
/// `$ENV`, `input`, `inputs`, `import`, `include`, `halt`, `debug` and their like are refused when the program is compiled.
class jq_program {
 public:
  /// The error is jq's own message, or why the program is refused, in one line.
  [[nodiscard]] static tl::expected<jq_program, std::string> compile(const std::string& text);
  /// The same, but a program that this thread still holds from an earlier call is not compiled again: that takes libjq some 25 ms,
  /// in which a reactor answers nobody, and routes are bound anew whenever a worker joins or leaves. Not for other threads.
  [[nodiscard]] static tl::expected<std::shared_ptr<jq_program>, std::string> shared(const std::string& text);

  jq_program(jq_program&&) noexcept;
  jq_program& operator=(jq_program&&) noexcept;
  ~jq_program();

  /// Whether doubles hold every integer of one msgpack value.
  [[nodiscard]] static bool exact(std::string_view msgpack);

  /// The first output for one msgpack value as one msgpack value; nothing if there is no output (`empty`).
  ///
  /// INVALID_ARGUMENT: the input has an integer that jq's doubles would round (past ±2^53).
  /// INTERNAL: the program ended in an error (`error("…")`, a type that does not fit), or the input is not msgpack.
  ///
  /// Binaries, timestamps and keys are to jq what they are in JSON (wire/json.hpp). jq has no integers: a number of the output
  /// without a fraction and within ±2^53 is one, whatever it was before.
  [[nodiscard]] tl::expected<std::optional<std::string>, jq_failure> run(std::string_view msgpack);

 private:
  struct state;
  explicit jq_program(std::unique_ptr<state> of);

  std::unique_ptr<state> state_;
};

}  // namespace waggle::gateway
