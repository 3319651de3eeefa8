#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <waggle/detail/hex.hpp>
#include <waggle/wire/limits.hpp>

namespace waggle::detail {

/// FNV-1a with 64 bits.
[[nodiscard]] inline std::uint64_t hash_of(std::string_view text, std::uint64_t begin) {
  std::uint64_t out = begin;
  for (const char c : text) out = (out ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return out;
}

/// The `event_id` of an event that a handler emits because of something that may be delivered again: the same each time it runs, so that what
/// it emits is one event. `cause` names the delivery ("<group>/<stream>-<sequence>", or an operation), `number` counts the
/// handler's events of this topic from 1. What would be too long ends in 128 bits of hash instead.
[[nodiscard]] inline std::string derived_event_id(std::string_view cause, std::string_view topic, std::size_t number) {
  auto out = std::string{cause}.append("/").append(topic).append("/").append(std::to_string(number));
  if (out.size() <= wire::event_id_bytes_max) return out;
  std::string hash;
  for (const auto half : {hash_of(out, 0xcbf29ce484222325ull), hash_of(out, 0x84222325cbf29ce4ull)}) append_hex(hash, half);
  auto end = wire::event_id_bytes_max - hash.size() - 1;
  while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xc0) == 0x80) --end;  // not inside a character
  out.resize(end);
  return out.append("/").append(hash);
}

}  // namespace waggle::detail
