#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

/// How bytes and instants look in JSON, which has neither: base64 (RFC 4648) and RFC 3339. Written here because no
/// library that waggle needs anyway has a strict one: what is decoded is text that a caller typed.
namespace waggle::detail {

inline constexpr std::string_view base64_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648, section 4: the standard alphabet, with padding.
[[nodiscard]] inline std::string base64_encode(std::string_view bytes) {
  const auto byte = [&](std::size_t i) {
    return i < bytes.size() ? std::uint32_t{static_cast<unsigned char>(bytes[i])} : std::uint32_t{0};
  };
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto bits = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    const auto left = bytes.size() - i;
    out.push_back(base64_alphabet[bits >> 18]);
    out.push_back(base64_alphabet[bits >> 12 & 63]);
    out.push_back(left > 1 ? base64_alphabet[bits >> 6 & 63] : '=');
    out.push_back(left > 2 ? base64_alphabet[bits & 63] : '=');
  }
  return out;
}

/// Takes exactly what `base64_encode` makes: no other alphabet, no line breaks, no missing padding, and no bits set
/// that padding throws away, so that equal bytes have one text.
[[nodiscard]] inline std::optional<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  const auto digit = [](char c) -> int {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
  };
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  text.remove_suffix(padding);
  std::string out;
  out.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const int value = digit(c);
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out.push_back(static_cast<char>(bits >> held & 0xff));
  }
  if ((bits & ((1u << held) - 1)) != 0) return std::nullopt;
  return out;
}

/// The first second of year 0000 and the last one of year 9999, between which an instant has an RFC 3339 text.
inline constexpr std::int64_t rfc3339_seconds_min = -62'167'219'200;
inline constexpr std::int64_t rfc3339_seconds_max = 253'402'300'799;

/// An instant since 1970 in UTC, as `2026-07-14T09:30:00Z`, with as many digits of a fraction as it needs. Empty
/// outside the years 0000 to 9999, and if `nanoseconds` is not less than a second.
[[nodiscard]] inline std::string rfc3339(std::int64_t seconds, std::uint32_t nanoseconds) {
  if (seconds < rfc3339_seconds_min || seconds > rfc3339_seconds_max || nanoseconds > 999'999'999) return {};
  const std::chrono::sys_seconds instant{std::chrono::seconds{seconds}};
  const auto midnight = std::chrono::floor<std::chrono::days>(instant);
  const std::chrono::year_month_day date{midnight};
  const auto of_day = static_cast<std::uint32_t>((instant - midnight).count());
  std::string out;
  const auto put = [&](std::uint32_t number, std::size_t digits, char before) {
    if (before != '\0') out.push_back(before);
    const auto end = out.size() + digits;
    out.resize(end);
    for (std::size_t i = 1; i <= digits; ++i, number /= 10) out[end - i] = static_cast<char>('0' + number % 10);
  };
  put(static_cast<std::uint32_t>(static_cast<int>(date.year())), 4, '\0');
  put(static_cast<unsigned>(date.month()), 2, '-');
  put(static_cast<unsigned>(date.day()), 2, '-');
  put(of_day / 3600, 2, 'T');
  put(of_day / 60 % 60, 2, ':');
  put(of_day % 60, 2, ':');
  if (nanoseconds != 0) {
    put(nanoseconds, 9, '.');
    while (out.back() == '0') out.pop_back();
  }
  out.push_back('Z');
  return out;
}

/// Seconds since 1970 and nanoseconds of an RFC 3339 date-time, with any offset. Digits past the nanosecond are
/// dropped; a leap second counts as the second after it, as POSIX time does. Nothing if the text is anything else, or
/// if the instant in UTC is outside the years 0000 to 9999, so that what is parsed can be formatted.
[[nodiscard]] inline std::optional<std::pair<std::int64_t, std::uint32_t>> parse_rfc3339(std::string_view text) {
  const auto is_digit = [&] { return !text.empty() && text.front() >= '0' && text.front() <= '9'; };
  const auto number = [&](int digits, int& out) {
    for (out = 0; digits > 0; --digits) {
      if (!is_digit()) return false;
      out = out * 10 + (text.front() - '0');
      text.remove_prefix(1);
    }
    return true;
  };
  const auto one_of = [&](std::string_view any) {
    if (text.empty() || any.find(text.front()) == std::string_view::npos) return false;
    text.remove_prefix(1);
    return true;
  };
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (!number(4, year) || !one_of("-") || !number(2, month) || !one_of("-") || !number(2, day) || !one_of("Tt"))
    return std::nullopt;
  if (!number(2, hour) || !one_of(":") || !number(2, minute) || !one_of(":") || !number(2, second)) return std::nullopt;
  std::uint32_t nanoseconds = 0;
  if (one_of(".")) {
    if (!is_digit()) return std::nullopt;
    for (std::uint32_t place = 100'000'000; is_digit(); place /= 10, text.remove_prefix(1)) {
      nanoseconds += place * static_cast<std::uint32_t>(text.front() - '0');
    }
  }
  int offset_minutes = 0;
  if (!one_of("Zz")) {
    const int sign = !text.empty() && text.front() == '-' ? -1 : 1;
    int hours = 0, minutes = 0;
    if (!one_of("+-") || !number(2, hours) || !one_of(":") || !number(2, minutes) || hours > 23 || minutes > 59)
      return std::nullopt;
    offset_minutes = sign * (hours * 60 + minutes);
  }
  const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!text.empty() || !date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days{date}.time_since_epoch().count();
  const auto seconds = days * 86'400 + hour * 3600 + minute * 60 + second - offset_minutes * 60;
  if (seconds < rfc3339_seconds_min || seconds > rfc3339_seconds_max) return std::nullopt;
  if (second == 60) {  // only ever at the end of a month in UTC (RFC 3339, section 5.7)
    const std::chrono::sys_days after{std::chrono::days{seconds / 86'400 - (seconds % 86'400 < 0 ? 1 : 0)}};
    if (seconds % 86'400 != 0 || std::chrono::year_month_day{after}.day() != std::chrono::day{1}) return std::nullopt;
  }
  return std::pair{seconds, nanoseconds};
}

}  // namespace waggle::detail
