#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace waggle::front {

/// A text of at most `Max` bytes that lies in its owner: what every request has, and has to have a bound, is not worth an allocation each time.
/// What is past the bound is left away.
template <std::size_t Max>
class short_text {
  static_assert(Max <= 255);

 public:
  short_text() = default;
  template <std::convertible_to<std::string_view> Text>
  short_text(const Text& text) {
    append(text);
  }

  short_text& append(std::string_view more) {
    more = more.substr(0, Max - size_);
    std::copy(more.begin(), more.end(), bytes_.begin() + size_);
    size_ = static_cast<std::uint8_t>(size_ + more.size());
    return *this;
  }

  [[nodiscard]] std::string_view view() const { return {bytes_.data(), size_}; }
  operator std::string_view() const { return view(); }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  void clear() { size_ = 0; }
  friend bool operator==(const short_text& a, std::string_view b) { return a.view() == b; }

 private:
  std::uint8_t size_ = 0;
  std::array<char, Max> bytes_;
};

}  // namespace waggle::front
