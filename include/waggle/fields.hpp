#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <waggle/detail/decode.hpp>
#include <waggle/detail/encode.hpp>
#include <waggle/detail/field_list.hpp>
#include <waggle/detail/payload_traits.hpp>
#include <waggle/detail/schema.hpp>
#include <waggle/payload_types.hpp>
#include <waggle/wire/error.hpp>

/// Says which members of a struct travel, under their own names: up to 64. At namespace scope, in the namespace of the
/// struct. The one source for the struct's msgpack form, its validation and its JSON Schema.
///
///     struct say { std::string name; std::optional<int> times; };
///     WAGGLE_FIELDS(say, name, times)
///
/// Every field is required but the std::optional ones. A struct may contain itself, by way of a container.
#define WAGGLE_FIELDS(type, ...)                                                                                       \
  [[maybe_unused]] constexpr auto waggle_fields_of(const type*) {                                                      \
    return ::waggle::detail::field_list<type __VA_OPT__(, ) WAGGLE_DETAIL_EACH(                                        \
        WAGGLE_DETAIL_MEMBER, type, __VA_ARGS__)>{#type, {WAGGLE_DETAIL_EACH(WAGGLE_DETAIL_NAME, type, __VA_ARGS__)}}; \
  }

/// Says which values of an enum travel, as strings: up to 64. At namespace scope, in the namespace of the enum.
///
///     enum class color { red, green };
///     WAGGLE_ENUM(color, red, green)
#define WAGGLE_ENUM(type, ...)                                                                                 \
  [[maybe_unused]] constexpr auto waggle_enum_of(const type*) {                                                \
    return ::waggle::detail::enum_list<type, ::waggle::detail::count_values<type>(                             \
                                                 WAGGLE_DETAIL_EACH(WAGGLE_DETAIL_VALUE, type, __VA_ARGS__))>{ \
        #type,                                                                                                 \
        {WAGGLE_DETAIL_EACH(WAGGLE_DETAIL_VALUE, type, __VA_ARGS__)},                                          \
        {WAGGLE_DETAIL_EACH(WAGGLE_DETAIL_NAME, type, __VA_ARGS__)}};                                          \
  }

namespace waggle {

/// Appends a value as msgpack. Strings are trusted to be UTF-8 and `value`s to be msgpack. Throws std::invalid_argument
/// for an enum value that WAGGLE_ENUM does not list; nothing else can fail.
template <payload_type Type>
void append_payload(std::string& out, const Type& from) {
  wire::writer to{out};
  detail::encode(to, from);
}

/// A value from bytes that may be anything; none are nil. What is wrong with them ends in an INVALID_ARGUMENT error,
/// which lists the first `wire::error_problems_max` problems by path.
///
/// Fields that the struct does not have are stepped over, for services evolve. Where JSON has no word for what a field
/// holds, its text is taken too: base64 for `binary`, RFC 3339 for instants.
template <payload_type Type>
[[nodiscard]] result<Type> read_payload(std::string_view bytes) {
  result<Type> out{};
  detail::payload_reader in{bytes};
  detail::decode(in, *out);
  if (!in.is_well()) out = detail::refuse(in.finish());
  return out;
}

/// JSON Schema (2020-12) of a type, as one msgpack map. Schemas stand inside each other, without references; a struct
/// inside itself is only named.
template <payload_type Type>
[[nodiscard]] std::string schema_of() {
  std::string bytes;
  wire::writer out{bytes};
  detail::append_schema<Type>(out, {});
  return bytes;
}

}  // namespace waggle
