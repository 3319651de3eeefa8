#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>

namespace waggle::gateway {

/// SHA-256: for what clients choose, who would find two texts with one digest if it were possible.
using digest = std::array<unsigned char, 32>;
[[nodiscard]] digest digest_of(std::string_view bytes);

/// In tables. Whoever lets clients choose what is digested puts something in that they do not know.
struct digest_hash {
  [[nodiscard]] std::size_t operator()(const digest& of) const {
    std::size_t out = 0;
    for (std::size_t i = 0; i < sizeof out; ++i) out = out << 8 | of[i];
    return out;
  }
};

[[nodiscard]] inline std::string_view bytes_of(const digest& of) { return {reinterpret_cast<const char*>(of.data()), of.size()}; }

}  // namespace waggle::gateway
