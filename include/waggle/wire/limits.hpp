#pragma once

#include <cstddef>
#include <cstdint>

/// The bounds of WGL/1 (broker/PROTOCOL.md, "Limits"). A peer that goes past one is answered, not obeyed.
namespace waggle::wire {

inline constexpr std::uint64_t protocol_version = 1;

/// One ZeroMQ message on a command socket: a bundle of command frames. Also ZMQ_MAXMSGSIZE of every socket.
inline constexpr std::size_t message_bytes_max = 8u << 20;
/// One payload, which must fit a bundle together with its frame.
inline constexpr std::size_t payload_bytes_max = 4u << 20;
/// A bundle is closed when it has grown to this size; a larger single frame travels alone.
inline constexpr std::size_t bundle_bytes_soft_max = 64u << 10;
/// Frames in a bundle, whatever a peer says it takes.
inline constexpr std::uint32_t bundle_frames_max = 4096;

/// A payload that is at least this large travels as an attachment, between peers that take them: a ZeroMQ frame of its own, which nobody copies.
/// For smaller ones a copy costs less than another frame does (tools/bench/RESULTS.md).
inline constexpr std::size_t attachment_bytes_min = 64u << 10;
/// Attachments in one message, whatever a peer says it takes.
inline constexpr std::uint32_t attachments_max = 64;

/// Commands, topics, service names, instances, header names.
inline constexpr std::size_t name_bytes_max = 128;
inline constexpr std::size_t headers_bytes_max = 8u << 10;
inline constexpr std::uint32_t headers_count_max = 64;
inline constexpr std::size_t key_bytes_max = 512;  // the header `key`

inline constexpr std::size_t manifest_bytes_max = 1u << 20;
inline constexpr std::uint32_t manifest_commands_max = 4096;
inline constexpr std::uint32_t manifest_routes_max = 16;  // HTTP routes of one command
inline constexpr std::uint32_t manifest_events_max = 256;
inline constexpr std::uint32_t slots_max = 4096;

/// What an EVENT says of where it is from.
inline constexpr std::size_t about_bytes_max = 4u << 10;
/// The header `event_id`.
inline constexpr std::size_t event_id_bytes_max = 128;
/// Deliveries of one event to one consumer group before it is a dead letter.
inline constexpr std::uint32_t event_attempts_max = 100;

/// Longer budgets are cut to this: one day.
inline constexpr std::uint64_t budget_ms_max = 86'400'000;

/// Arrays and maps inside each other, in payloads, headers and manifests.
inline constexpr std::uint32_t depth_max = 64;

}  // namespace waggle::wire
