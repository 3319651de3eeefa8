#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include <waggle/wire/reader.hpp>
#include <waggle/wire/status.hpp>
#include <waggle/wire/writer.hpp>

namespace waggle {

/// One thing that is wrong with a payload.
struct problem {
  std::string path;     ///< of the offending field, as in `customer.addresses[2].zip`; empty for the payload itself
  std::string message;  ///< what is wrong, and what was wanted
};

/// Why a call did not succeed: the payload of every REPLY whose status is not OK.
struct error {
  status code = status::unknown;
  std::string message;
  /// Whether a worker may have begun to run the command. False is a promise.
  bool may_have_run = false;
  /// When it makes sense to try again.
  std::optional<std::chrono::milliseconds> retry_after{};
  std::vector<problem> problems{};
};

template <class Value>
using result = tl::expected<Value, error>;

[[nodiscard]] inline tl::unexpected<error> failure(status code, std::string message, bool may_have_run = false) {
  return tl::unexpected<error>{error{code, std::move(message), may_have_run}};
}

namespace wire {

inline constexpr std::uint32_t error_problems_max = 64;

/// {"code": str, "message": str, "may_have_run": bool, "retry_after_ms"?: uint, "problems"?: [{"path": str, "message": str}]}
inline void append_error(std::string& payload, const error& from) {
  writer out{payload};
  out.map(3 + (from.retry_after ? 1 : 0) + (from.problems.empty() ? 0 : 1));
  out.string("code");
  out.string(name(from.code));
  out.string("message");
  out.string(from.message);
  out.string("may_have_run");
  out.boolean(from.may_have_run);
  if (from.retry_after) {
    out.string("retry_after_ms");
    out.unsigned_integer(static_cast<std::uint64_t>(from.retry_after->count() < 0 ? 0 : from.retry_after->count()));
  }
  if (!from.problems.empty()) {
    out.string("problems");
    out.array(from.problems.size());
    for (const auto& each : from.problems) {
      out.map(2);
      out.string("path");
      out.string(each.path);
      out.string("message");
      out.string(each.message);
    }
  }
}

/// The error that a REPLY carries. The status decides; of the payload, what is there and well-formed is taken, and a worker
/// in another language that sent something else, or nothing, still ends in a sensible error.
[[nodiscard]] inline error read_error(status code, std::string_view payload) {
  error out{code, std::string{info(code).meaning}, true};
  const auto text = [](reader& from, std::string& to) {
    std::string_view view;
    if (from.peek() != kind::string || !from.string(view)) return from.skip();
    if (is_utf8(view)) to = view;
    return true;
  };
  reader in{payload};
  if (in.peek() != kind::map) return out;
  const auto one_problem = [&] {
    problem each;
    const bool whole = in.peek() != kind::map ? in.skip() : read_entries(in, [&](std::string_view key) {
      return key == "path" ? text(in, each.path) : key == "message" ? text(in, each.message) : in.skip();
    });
    if (out.problems.size() < error_problems_max) out.problems.push_back(std::move(each));
    return whole;
  };
  read_entries(in, [&](std::string_view key) {
    std::uint64_t number = 0;
    std::uint32_t count = 0;
    if (key == "message") return text(in, out.message);
    if (key == "may_have_run" && in.peek() == kind::boolean) return in.boolean(out.may_have_run);
    if (key == "retry_after_ms" && in.peek() == kind::unsigned_integer) {
      if (!in.unsigned_integer(number)) return false;
      out.retry_after = std::chrono::milliseconds{number > budget_ms_max ? budget_ms_max : number};
      return true;
    }
    if (key != "problems" || in.peek() != kind::array) return in.skip();
    if (!in.array(count)) return false;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!one_problem()) return false;
    }
    return true;
  });
  return out;
}

}  // namespace wire
}  // namespace waggle
