#pragma once

#include <stdexcept>
#include <string>

#include <waggle/detail/instant.hpp>
#include <waggle/detail/payload_traits.hpp>
#include <waggle/wire/writer.hpp>

namespace waggle::detail {

template <class Type>
void encode(wire::writer& out, const Type& from);

template <class Type>
constexpr bool is_present(const Type& field) {
  if constexpr (optional_type<Type>) return field.has_value();
  return true;
}

template <described_struct Type>
void encode_fields(wire::writer& out, const Type& from) {
  std::size_t present = 0;
  for_each_field(
      fields_of<Type>, [&]<auto Member>(std::string_view) { present += is_present(from.*Member) ? 1 : 0; });
  out.map(present);
  for_each_field(
      fields_of<Type>, [&]<auto Member>(std::string_view name) {
        using field = std::remove_cvref_t<decltype(from.*Member)>;
        static_assert(is_payload<field>(),
                      "a field in WAGGLE_FIELDS has a type that no payload can hold: see waggle::payload_type");
        if (!is_present(from.*Member)) return;
        out.string(name);
        encode(out, from.*Member);
      });
}

template <class Type>
void encode(wire::writer& out, const Type& from) {
  if constexpr (std::same_as<Type, bool>) {
    out.boolean(from);
  } else if constexpr (integer_type<Type> && std::is_signed_v<Type>) {
    out.integer(from);
  } else if constexpr (integer_type<Type>) {
    out.unsigned_integer(from);
  } else if constexpr (floating_type<Type>) {
    out.floating(from);
  } else if constexpr (std::same_as<Type, std::string>) {
    out.string(from);
  } else if constexpr (std::same_as<Type, binary>) {
    out.binary(from.bytes);
  } else if constexpr (std::same_as<Type, value>) {
    from.bytes.empty() ? out.nil() : out.raw(from.bytes);
  } else if constexpr (std::same_as<Type, nothing>) {
    out.nil();
  } else if constexpr (described_enum<Type>) {
    constexpr auto& all = enum_of<Type>;
    const auto index = all.find(from);
    if (index == std::size(all.names)) {
      throw std::invalid_argument{"a value that WAGGLE_ENUM does not list for " + std::string{unqualified(all.type)}};
    }
    out.string(all.names[index]);
  } else if constexpr (instant_type<Type>) {
    out.extension(timestamp_extension, timestamp_bytes(to_timestamp(from)));
  } else if constexpr (optional_type<Type>) {
    from ? encode(out, *from) : out.nil();
  } else if constexpr (dictionary_type<Type>) {
    out.map(from.size());
    for (const auto& [key, each] : from) {
      out.string(key);
      encode<typename Type::mapped_type>(out, each);
    }
  } else if constexpr (sequence_type<Type> || array_type<Type>) {
    out.array(from.size());
    for (const auto& each : from) encode<typename Type::value_type>(out, each);
  } else {
    encode_fields(out, from);
  }
}

}  // namespace waggle::detail
