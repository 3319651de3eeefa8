#pragma once

#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

/// What WAGGLE_FIELDS and WAGGLE_ENUM leave behind: functions found by argument-dependent lookup, which return a list.
namespace waggle::detail {

/// The last part of a name that may be qualified.
constexpr std::string_view unqualified(std::string_view type) {
  const auto colons = type.rfind("::");
  return colons == std::string_view::npos ? type : type.substr(colons + 2);
}

inline constexpr std::size_t fields_max = 64;  // a decoder marks the fields it has seen in one integer

template <class Owner, auto... Members>
struct field_list {
  static_assert(sizeof...(Members) <= fields_max,
                "WAGGLE_FIELDS takes up to 64 fields: group some in a struct of their own");
  static constexpr std::size_t count = sizeof...(Members);

  std::string_view type;
  std::string_view names[count + 1];  // the last is never used: C++ has no arrays of nothing
};

template <class Enum, std::size_t Count>
struct enum_list {
  std::string_view type;
  Enum values[Count];
  std::string_view names[Count];

  /// The index of a value, `Count` if it is none of the list.
  constexpr std::size_t find(Enum value) const {
    std::size_t i = 0;
    while (i < Count && values[i] != value) ++i;
    return i;
  }
};

template <class Enum, class... Values>
constexpr std::size_t count_values(Values...) {
  static_assert((std::is_same_v<Values, Enum> && ...));
  return sizeof...(Values);
}

template <class Type>
concept described_struct = std::is_class_v<Type> && requires(const Type* tag) {
  waggle_fields_of(tag).count;
};

template <class Type>
concept described_enum = std::is_enum_v<Type> && requires(const Type* tag) {
  waggle_enum_of(tag).names;
};

template <described_struct Type>
inline constexpr auto fields_of = waggle_fields_of(static_cast<const Type*>(nullptr));

template <described_enum Type>
inline constexpr auto enum_of = waggle_enum_of(static_cast<const Type*>(nullptr));

/// Calls `visit.template operator()<Member>(name)` for each field in turn.
template <class Owner, auto... Members, class Visitor>
constexpr void for_each_field(const field_list<Owner, Members...>& list, Visitor&& visit) {
  [&]<std::size_t... I>(std::index_sequence<I...>) { (visit.template operator()<Members>(list.names[I]), ...); }
  (std::make_index_sequence<sizeof...(Members)>{});
}

}  // namespace waggle::detail

// Applies `macro(context, x)` to each of up to 85 arguments, with commas between. A macro does not expand inside its
// own expansion, so each step leaves the name of the next without its parentheses, and the rescans of
// WAGGLE_DETAIL_RESCAN pick it up.
#define WAGGLE_DETAIL_PARENTHESES ()
#define WAGGLE_DETAIL_RESCAN(...) \
  WAGGLE_DETAIL_RESCAN_3(WAGGLE_DETAIL_RESCAN_3(WAGGLE_DETAIL_RESCAN_3(WAGGLE_DETAIL_RESCAN_3(__VA_ARGS__))))
#define WAGGLE_DETAIL_RESCAN_3(...) \
  WAGGLE_DETAIL_RESCAN_2(WAGGLE_DETAIL_RESCAN_2(WAGGLE_DETAIL_RESCAN_2(WAGGLE_DETAIL_RESCAN_2(__VA_ARGS__))))
#define WAGGLE_DETAIL_RESCAN_2(...) \
  WAGGLE_DETAIL_RESCAN_1(WAGGLE_DETAIL_RESCAN_1(WAGGLE_DETAIL_RESCAN_1(WAGGLE_DETAIL_RESCAN_1(__VA_ARGS__))))
#define WAGGLE_DETAIL_RESCAN_1(...) __VA_ARGS__
#define WAGGLE_DETAIL_EACH(macro, context, ...) \
  __VA_OPT__(WAGGLE_DETAIL_RESCAN(WAGGLE_DETAIL_STEP(macro, context, __VA_ARGS__)))
#define WAGGLE_DETAIL_STEP(macro, context, first, ...) \
  macro(context, first) __VA_OPT__(, WAGGLE_DETAIL_STEP_AGAIN WAGGLE_DETAIL_PARENTHESES(macro, context, __VA_ARGS__))
#define WAGGLE_DETAIL_STEP_AGAIN() WAGGLE_DETAIL_STEP

#define WAGGLE_DETAIL_MEMBER(type, member) &type::member
#define WAGGLE_DETAIL_VALUE(type, value) type::value
#define WAGGLE_DETAIL_NAME(type, name) #name
