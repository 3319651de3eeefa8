#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace waggle::fuzz {

/// An input as operations, of a letter and a few digits each. Any bytes are some; past their end everything is 0.
class script {
 public:
  explicit script(std::string_view text) : left_{text} {}
  [[nodiscard]] bool done() const { return left_.empty(); }
  std::uint8_t byte() {
    if (left_.empty()) return 0;
    const auto out = static_cast<std::uint8_t>(left_.front());
    left_.remove_prefix(1);
    return out;
  }
  std::uint32_t below(std::uint32_t end) {
    const std::uint32_t out = byte();
    return (out >= '0' && out <= '9' ? out - '0' : out) % end;
  }
  /// As many as the next byte says, in itself.
  std::string_view bytes() {
    const auto out = left_.substr(0, byte());
    left_.remove_prefix(out.size());
    return out;
  }
  template <class T, std::size_t N>
  const T& one_of(const T (&choices)[N]) {
    return choices[below(N)];
  }
  /// The next operation, one of these letters; spaces and line feeds stand between operations.
  char operation(std::string_view letters) {
    while (!done() && (left_.front() == ' ' || left_.front() == '\n')) left_.remove_prefix(1);
    const auto out = byte();
    return letters.find(static_cast<char>(out)) != letters.npos ? static_cast<char>(out) : letters[out % letters.size()];
  }

 private:
  std::string_view left_;
};

}  // namespace waggle::fuzz
