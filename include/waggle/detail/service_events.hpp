#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <waggle/context.hpp>
#include <waggle/wire/frames.hpp>
#include <waggle/wire/reader.hpp>

namespace waggle::detail {

/// An event as the broker hands it to a member of a group (broker/PROTOCOL.md, "Events").
struct delivery {
  handled_event event;
  std::chrono::milliseconds budget{60'000};
};

/// What is said of it; of what is not said, or is of another type, nothing.
[[nodiscard]] inline delivery read_delivery(const wire::frame& in) {
  delivery out;
  auto& event = out.event;
  std::uint64_t attempt = 1, attempts_max = 0, budget_ms = 60'000, time_ms = 0;
  wire::reader about{in.about};
  const auto text = [&](std::string& to) {
    std::string_view view;
    if (about.peek() != wire::kind::string) return about.skip();
    if (!about.string(view)) return false;
    to = view;
    return true;
  };
  const auto number = [&](std::uint64_t& to) {
    return about.peek() == wire::kind::unsigned_integer ? about.unsigned_integer(to) : about.skip();
  };
  if (!in.about.empty()) {
    wire::read_entries(about, [&](std::string_view key) {
      if (key == "group") return text(event.group);
      if (key == "stream") return text(event.stream);
      if (key == "event_id") return text(event.id);
      if (key == "sequence") return number(event.sequence);
      if (key == "attempt") return number(attempt);
      if (key == "attempts_max") return number(attempts_max);
      if (key == "time") return number(time_ms);
      if (key == "budget_ms") return number(budget_ms);
      return about.skip();
    });
  }
  event.topic = in.name;
  if (event.id.empty()) event.id = event.stream + "-" + std::to_string(event.sequence);
  constexpr std::uint64_t most = 0xffffffff, latest_ms = 253'402'300'800'000;  // the year 10000
  event.attempt = static_cast<std::uint32_t>(std::min(attempt, most));
  event.attempts_max = static_cast<std::uint32_t>(std::min(attempts_max, most));
  event.time = std::chrono::system_clock::time_point{std::chrono::milliseconds{std::min(time_ms, latest_ms)}};
  out.budget = std::chrono::milliseconds{std::min(budget_ms, wire::budget_ms_max)};
  return out;
}

}  // namespace waggle::detail
