#pragma once

#include <fmt/core.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <waggle/fields.hpp>

#include "tools/waggle/operations_view.hpp"
#include "tools/waggle/session.hpp"

/// Asking the broker itself, and printing the lists that it answers with.
namespace waggle::cli {

/// The answer to one of the broker's own commands as a type. INTERNAL for an answer that is not what was asked for.
template <payload_type Answer, payload_type Asked>
result<Answer> asked(const session& with, std::string_view command, const Asked& wanted) {
  std::string payload;
  append_payload(payload, wanted);
  const auto bytes = with.ask(command, std::move(payload), with.budget());
  if (!bytes) return tl::unexpected{bytes.error()};
  return with.understood<Answer>(*bytes);
}

/// Prints what one of the broker's commands answers: as it came, or as text, which may say more to standard error.
template <payload_type Answer, payload_type Asked, class Text>
int show(const session& with, std::string_view command, const Asked& wanted, Text&& text) {
  std::string payload;
  append_payload(payload, wanted);
  const auto bytes = with.ask(command, std::move(payload), with.budget());
  if (!bytes) return with.fail(bytes.error());
  const auto all = with.understood<Answer>(*bytes);
  if (!all) return with.fail(all.error());
  if (with.output_or(form::table) != form::table) {
    with.print_value(*bytes, form::json);
  } else {
    with.print(text(*all));
  }
  return 0;
}

/// By this machine's clock, in ms since 1970.
inline std::int64_t now_ms() {
  return std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// That a list is cut is said where it does not get into what reads it.
inline void note_rest(const session& with, std::size_t shown, std::uint64_t total, std::string_view noun, std::string_view order) {
  if (shown >= total) return;
  with.note(fmt::format("{} of {} are shown, {}; --limit shows more", shown, counted(total, noun), order));
}

}  // namespace waggle::cli
