#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>

#include <waggle/detail/field_list.hpp>
#include <waggle/payload_types.hpp>

/// Which C++ types a payload is made of. Containers are known by their shape, so that their headers need not be
/// included here.
namespace waggle::detail {

template <class Type, class... Others>
concept one_of = (std::same_as<Type, Others> || ...);

/// Characters are not numbers: what a `char` field would mean is anybody's guess.
template <class Type>
concept integer_type = std::integral<Type> && sizeof(Type) <= 8 &&
                       !one_of<Type, bool, char, wchar_t, char8_t, char16_t, char32_t>;

template <class Type>
concept floating_type = one_of<Type, float, double>;

template <class Type>
concept scalar_type = integer_type<Type> || floating_type<Type> ||
    one_of<Type, bool, std::string, binary, value, nothing> || described_enum<Type>;

/// An instant in floating units, in whole units made of seconds, or in whole units whose text in nanoseconds is exact.
template <class Type>
inline constexpr bool is_instant = false;
template <class Rep, std::intmax_t Num, std::intmax_t Den>
inline constexpr bool
    is_instant<std::chrono::time_point<std::chrono::system_clock, std::chrono::duration<Rep, std::ratio<Num, Den>>>> =
        std::floating_point<Rep> ||
        (std::signed_integral<Rep> && sizeof(Rep) <= 8 &&
         (Den == 1 || (Num == 1 && (1'000'000'000 % Den == 0 || Den % 1'000'000'000 == 0))));
template <class Type>
concept instant_type = is_instant<Type>;

template <class Type>
inline constexpr bool is_optional = false;
template <class Type>
inline constexpr bool is_optional<std::optional<Type>> = true;
template <class Type>
concept optional_type = is_optional<Type>;

template <class Type>
inline constexpr bool is_array = false;
template <class Type, std::size_t Size>
inline constexpr bool is_array<std::array<Type, Size>> = true;
template <class Type>
concept array_type = is_array<Type>;

/// std::vector and what is used like it.
template <class Type>
concept sequence_type = !one_of<Type, std::string, binary, value> && requires(Type all, typename Type::value_type one) {
  all.push_back(std::move(one));
  all.emplace_back();
  all.begin() != all.end();
  all.size();
};

/// std::map and std::unordered_map with strings as keys.
template <class Type>
concept dictionary_type = requires(Type all, std::string key) {
  typename Type::mapped_type;
  requires std::same_as<typename Type::key_type, std::string>;
  all.try_emplace(std::move(key)).second;
  all.begin() != all.end();
  all.size();
};

/// A struct says yes before its fields are looked at, so that it may contain itself; each field is checked where it is
/// used.
template <class Type>
constexpr bool is_payload() {
  if constexpr (scalar_type<Type> || instant_type<Type>) {
    return true;
  } else if constexpr (optional_type<Type>) {
    return !optional_type<typename Type::value_type> && !std::same_as<typename Type::value_type, nothing> &&
           is_payload<typename Type::value_type>();
  } else if constexpr (dictionary_type<Type>) {
    return is_payload<typename Type::mapped_type>();
  } else if constexpr (sequence_type<Type> || array_type<Type>) {
    return is_payload<typename Type::value_type>();
  } else {
    return described_struct<Type> && std::is_default_constructible_v<Type>;
  }
}

}  // namespace waggle::detail

namespace waggle {

/// What a payload can hold: bool, integers, float and double, std::string, `binary`, `value`, `nothing`, instants of
/// std::chrono::system_clock, enums with WAGGLE_ENUM, structs with WAGGLE_FIELDS, and std::optional, std::vector,
/// std::array, and maps from std::string of any of these.
template <class Type>
concept payload_type = detail::is_payload<Type>();

}  // namespace waggle
