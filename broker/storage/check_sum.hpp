#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <zlib.h>

namespace waggle::storage {

/// CRC-32 over values and texts; texts with their sizes, so that no byte can move from one to the next unnoticed.
class check_sum {
 public:
  check_sum& add(std::uint64_t value) {
    std::array<unsigned char, 8> bytes{};
    for (auto& each : bytes) {
      each = static_cast<unsigned char>(value & 0xff);
      value >>= 8;
    }
    sum_ = ::crc32_z(sum_, bytes.data(), bytes.size());
    return *this;
  }
  check_sum& add(std::int64_t value) { return add(static_cast<std::uint64_t>(value)); }
  check_sum& add(std::string_view text) {
    add(std::uint64_t{text.size()});
    if (!text.empty()) sum_ = ::crc32_z(sum_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    return *this;
  }
  [[nodiscard]] std::int64_t value() const { return static_cast<std::int64_t>(sum_); }

 private:
  uLong sum_ = 0;
};

}  // namespace waggle::storage
