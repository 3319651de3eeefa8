#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// The messages of Majordomo 0.1 (ZeroMQ RFC 7) and 0.2 (RFC 18), and how their bodies become payloads. Views everywhere: whoever
/// gives them out says how long they hold.
namespace waggle::broker::majordomo {

/// The parts of one ZeroMQ message, without the routing id.
using frames = std::span<const std::string_view>;

/// Body frames of one message. Arrays with more elements are no bodies.
inline constexpr std::size_t body_frames_max = 1024;

enum class dialect : std::uint8_t { client_01, client_02, worker_01, worker_02 };

[[nodiscard]] constexpr bool is_worker(dialect value) { return value == dialect::worker_01 || value == dialect::worker_02; }

enum class verb : std::uint8_t {
  request,
  partial,  ///< 0.2 only
  final,    ///< REPLY in 0.1
  ready,
  heartbeat,
  disconnect,
};

/// Who speaks, as the first frames tell; nothing if this is not Majordomo.
[[nodiscard]] std::optional<dialect> dialect_of(frames message);

/// What a peer has sent, after its dialect is known.
struct command {
  verb what{};
  frames rest;  ///< what follows: a service and a body, or an address, an empty frame and a body
};

/// Nothing if the code is missing, or is none of the dialect's.
[[nodiscard]] std::optional<command> read_command(dialect speaks, frames message);

/// Begins a message to a peer: everything before the service or address.
void begin_message(dialect to, verb what, std::vector<std::string_view>& out);

/// A body as a payload: no frame is none, one frame a bin, several an array of bins.
void append_payload(frames body, std::string& out);

/// A payload as a body, the reverse: none or nil is no frame, a str or bin one, an array of these as many as it has. False for any
/// other value, and for bytes that are no value; `out` then holds the payload itself. The views are into the payload.
bool read_body(std::string_view payload, std::vector<std::string_view>& out);

}  // namespace waggle::broker::majordomo
