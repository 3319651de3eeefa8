#pragma once

#include <cstddef>
#include <string_view>

#include "gateway/identity/api_keys.hpp"

namespace waggle::gateway {

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
