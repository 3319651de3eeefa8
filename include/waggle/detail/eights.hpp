#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

/// Checks of texts that look at eight bytes at a time, for texts that each call or request has.
namespace waggle::detail {

/// A block in which each byte is the same.
[[nodiscard]] constexpr std::uint64_t eight(std::uint8_t byte) { return byte * 0x0101010101010101u; }

/// Whether no byte of the text is marked. `mark(block)` sets the top bits of the bytes that it minds, and may set that of another only if there is one. The
/// last eight bytes are looked at as a whole, some of them a second time; a shorter text is filled up with `filler`, which `mark` does not mind.
template <class Mark>
[[nodiscard]] bool has_none(std::string_view text, char filler, Mark mark) {
  auto block = eight(static_cast<std::uint8_t>(filler));
  if (text.size() < sizeof block) {
    if (!text.empty()) std::memcpy(&block, text.data(), text.size());  // an empty view may point nowhere
    return (mark(block) & eight(0x80)) == 0;
  }
  std::uint64_t marked = 0;
  for (std::size_t i = 0; i + sizeof block < text.size(); i += sizeof block) {
    std::memcpy(&block, text.data() + i, sizeof block);
    marked |= mark(block);
  }
  std::memcpy(&block, text.data() + text.size() - sizeof block, sizeof block);
  return ((marked | mark(block)) & eight(0x80)) == 0;
}

}  // namespace waggle::detail
