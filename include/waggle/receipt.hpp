#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <waggle/wire/reader.hpp>

namespace waggle {

/// What the broker says of an event that it has taken.
struct receipt {
  bool durable = false;        ///< it is on disk; otherwise it is only broadcast, or lies in the broker's memory
  std::string stream{};        ///< empty: an ephemeral event
  std::uint64_t sequence = 0;  ///< in its stream
  bool repeated = false;       ///< the same `event_id` was emitted before: this is that one's receipt
};

namespace detail {

/// Of what is not there, or of another type, nothing is taken.
[[nodiscard]] inline receipt read_receipt(std::string_view payload) {
  receipt out;
  wire::reader in{payload};
  if (in.peek() != wire::kind::map) return out;
  wire::read_entries(in, [&](std::string_view key) {
    std::string_view text;
    if (key == "durable" && in.peek() == wire::kind::boolean) return in.boolean(out.durable);
    if (key == "repeated" && in.peek() == wire::kind::boolean) return in.boolean(out.repeated);
    if (key == "sequence" && in.peek() == wire::kind::unsigned_integer) return in.unsigned_integer(out.sequence);
    if (key == "stream" && in.peek() == wire::kind::string) return in.string(text) && (out.stream = text, true);
    return in.skip();
  });
  return out;
}

}  // namespace detail
}  // namespace waggle
