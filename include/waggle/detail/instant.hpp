#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <waggle/detail/payload_traits.hpp>

namespace waggle::detail {

/// An instant as msgpack has it: seconds since 1970, and nanoseconds after that second.
struct timestamp {
  std::int64_t seconds = 0;
  std::uint32_t nanoseconds = 0;
};

inline constexpr std::int8_t timestamp_extension = -1;

/// The shortest of the three forms in msgpack's specification ("Timestamp extension type").
inline std::string timestamp_bytes(timestamp at) {
  std::string out;
  const auto put = [&](std::uint64_t bits, int width) {
    for (int i = width - 1; i >= 0; --i) out.push_back(static_cast<char>(bits >> (8 * i) & 0xff));
  };
  const auto seconds = static_cast<std::uint64_t>(at.seconds);
  if (seconds >> 34 != 0) {
    put(at.nanoseconds, 4);
    put(seconds, 8);
  } else if (at.nanoseconds != 0 || seconds >> 32 != 0) {
    put(std::uint64_t{at.nanoseconds} << 34 | seconds, 8);
  } else {
    put(seconds, 4);
  }
  return out;
}

/// Takes each of the three forms, the shortest or not.
inline std::optional<timestamp> read_timestamp_bytes(std::string_view bytes) {
  const auto get = [&](std::size_t from, std::size_t width) {
    std::uint64_t bits = 0;
    for (std::size_t i = from; i < from + width; ++i) bits = bits << 8 | static_cast<unsigned char>(bytes[i]);
    return bits;
  };
  timestamp out;
  if (bytes.size() == 4) {
    out.seconds = static_cast<std::int64_t>(get(0, 4));
  } else if (bytes.size() == 8) {
    out.seconds = static_cast<std::int64_t>(get(0, 8) & ((std::uint64_t{1} << 34) - 1));
    out.nanoseconds = static_cast<std::uint32_t>(get(0, 8) >> 34);
  } else if (bytes.size() == 12) {
    out.nanoseconds = static_cast<std::uint32_t>(get(0, 4));
    out.seconds = static_cast<std::int64_t>(get(4, 8));
  } else {
    return std::nullopt;
  }
  if (out.nanoseconds > 999'999'999) return std::nullopt;
  return out;
}

/// What is finer than a nanosecond is cut off; what is past the range of 64-bit seconds ends at its edge.
template <instant_type Instant>
timestamp to_timestamp(Instant from) {
  using duration = typename Instant::duration;
  using rep = typename duration::rep;
  constexpr auto num = std::int64_t{duration::period::num}, den = std::int64_t{duration::period::den};
  constexpr std::int64_t giga = 1'000'000'000;
  if constexpr (std::floating_point<rep>) {
    using wide = std::chrono::duration<double>;
    const double seconds = wide{from.time_since_epoch()}.count();
    if (!(seconds > -9.2e18)) return {std::numeric_limits<std::int64_t>::min(), 0};
    if (seconds > 9.2e18) return {std::numeric_limits<std::int64_t>::max(), 0};
    auto whole = static_cast<std::int64_t>(seconds);
    if (static_cast<double>(whole) > seconds) --whole;
    const auto fraction = static_cast<std::int64_t>((seconds - static_cast<double>(whole)) * 1e9);
    return {whole, static_cast<std::uint32_t>(fraction < giga ? fraction : giga - 1)};
  } else {
    const auto count = static_cast<std::int64_t>(from.time_since_epoch().count());
    if constexpr (den == 1) {
      std::int64_t seconds = 0;
      if (!__builtin_mul_overflow(count, num, &seconds)) return {seconds, 0};
      return {count < 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max(), 0};
    } else {
      auto seconds = count / den, rest = count % den;
      if (rest < 0) --seconds, rest += den;
      return {seconds, static_cast<std::uint32_t>(den <= giga ? rest * (giga / den) : rest / (den / giga))};
    }
  }
}

/// Nothing if the instant is outside the type's range. What is finer than the type is cut off towards the past.
template <instant_type Instant>
std::optional<Instant> from_timestamp(timestamp at) {
  using duration = typename Instant::duration;
  using rep = typename duration::rep;
  constexpr auto num = std::int64_t{duration::period::num}, den = std::int64_t{duration::period::den};
  constexpr std::int64_t giga = 1'000'000'000;
  if constexpr (std::floating_point<rep>) {
    using wide = std::chrono::duration<double>;
    const wide seconds{static_cast<double>(at.seconds) + static_cast<double>(at.nanoseconds) / 1e9};
    return Instant{std::chrono::duration_cast<duration>(seconds)};
  } else {
    std::int64_t count = 0;
    if constexpr (den == 1) {
      count = at.seconds / num - (at.seconds % num < 0 ? 1 : 0);
    } else {
      const std::int64_t nanoseconds{at.nanoseconds};
      const auto rest = den <= giga ? nanoseconds / (giga / den) : nanoseconds * (den / giga);
      // From the second above when negative: the lowest instants of a type lie inside a second whose beginning does not
      // fit.
      const bool borrow = at.seconds < 0 && rest > 0;
      if (__builtin_mul_overflow(at.seconds + (borrow ? 1 : 0), den, &count)) return std::nullopt;
      if (__builtin_add_overflow(count, borrow ? rest - den : rest, &count)) return std::nullopt;
    }
    if (!std::in_range<rep>(count)) return std::nullopt;
    return Instant{duration{static_cast<rep>(count)}};
  }
}

}  // namespace waggle::detail
