#pragma once

#include <limits>
#include <string>
#include <string_view>

#include <waggle/detail/payload_traits.hpp>
#include <waggle/wire/writer.hpp>

namespace waggle::detail {

/// The structs around the place that is being described, which it must not describe again.
struct schema_scope {
  const schema_scope* up = nullptr;
  const void* type = nullptr;

  [[nodiscard]] bool holds(const void* other) const {
    for (const auto* at = this; at != nullptr; at = at->up) {
      if (at->type == other) return true;
    }
    return false;
  }
};

inline void append_entry(wire::writer& out, std::string_view key, std::string_view text) {
  out.string(key);
  out.string(text);
}

inline void append_type(wire::writer& out, std::string_view type) {
  out.map(1);
  append_entry(out, "type", type);
}

inline void append_string_type(wire::writer& out, std::string_view keyword, std::string_view is) {
  out.map(2);
  append_entry(out, "type", "string");
  append_entry(out, keyword, is);
}

template <class Type>
void append_schema(wire::writer& out, const schema_scope& scope);

template <integer_type Type>
void append_integer_schema(wire::writer& out) {
  using limits = std::numeric_limits<Type>;
  constexpr bool is_wide = sizeof(Type) == 8;  // JSON readers with doubles would round these limits
  constexpr bool has_minimum = !is_wide || std::is_unsigned_v<Type>;
  out.map(1 + (has_minimum ? 1 : 0) + (is_wide ? 0 : 1));
  append_entry(out, "type", "integer");
  if constexpr (has_minimum) {
    out.string("minimum");
    out.integer(static_cast<std::int64_t>(limits::min()));
  }
  if constexpr (!is_wide) {
    out.string("maximum");
    out.integer(static_cast<std::int64_t>(limits::max()));
  }
}

template <described_struct Type>
void append_struct_schema(wire::writer& out, const schema_scope& scope) {
  constexpr auto& fields = fields_of<Type>;
  const auto title = unqualified(fields.type);
  if (scope.holds(&fields)) {
    out.map(2);
    append_entry(out, "type", "object");
    append_entry(out, "description", "recursive: " + std::string{title});
    return;
  }
  const schema_scope inside{&scope, &fields};
  std::size_t required = 0;
  for_each_field(
      fields, [&]<auto Member>(std::string_view) {
        required += optional_type<std::remove_cvref_t<decltype(std::declval<Type&>().*Member)>> ? 0 : 1;
      });
  out.map(required == 0 ? 3 : 4);
  append_entry(out, "title", title);
  append_entry(out, "type", "object");
  out.string("properties");
  out.map(fields.count);
  for_each_field(
      fields, [&]<auto Member>(std::string_view name) {
        using field = std::remove_cvref_t<decltype(std::declval<Type&>().*Member)>;
        out.string(name);
        if constexpr (optional_type<field>) {
          append_schema<typename field::value_type>(out, inside);
        } else {
          append_schema<field>(out, inside);
        }
      });
  if (required == 0) return;
  out.string("required");
  out.array(required);
  for_each_field(
      fields, [&]<auto Member>(std::string_view name) {
        if constexpr (!optional_type<std::remove_cvref_t<decltype(std::declval<Type&>().*Member)>>) out.string(name);
      });
}

template <class Type>
void append_schema(wire::writer& out, const schema_scope& scope) {
  if constexpr (std::same_as<Type, bool>) {
    append_type(out, "boolean");
  } else if constexpr (integer_type<Type>) {
    append_integer_schema<Type>(out);
  } else if constexpr (floating_type<Type>) {
    append_type(out, "number");
  } else if constexpr (std::same_as<Type, std::string>) {
    append_type(out, "string");
  } else if constexpr (std::same_as<Type, binary>) {
    append_string_type(out, "contentEncoding", "base64");
  } else if constexpr (std::same_as<Type, value>) {
    out.map(0);
  } else if constexpr (std::same_as<Type, nothing>) {
    append_type(out, "null");
  } else if constexpr (described_enum<Type>) {
    constexpr auto& all = enum_of<Type>;
    out.map(2);
    append_entry(out, "type", "string");
    out.string("enum");
    out.array(std::size(all.names));
    for (const auto each : all.names) out.string(each);
  } else if constexpr (instant_type<Type>) {
    append_string_type(out, "format", "date-time");
  } else if constexpr (optional_type<Type>) {
    out.map(1);
    out.string("anyOf");
    out.array(2);
    append_schema<typename Type::value_type>(out, scope);
    append_type(out, "null");
  } else if constexpr (dictionary_type<Type>) {
    out.map(2);
    append_entry(out, "type", "object");
    out.string("additionalProperties");
    append_schema<typename Type::mapped_type>(out, scope);
  } else if constexpr (sequence_type<Type>) {
    out.map(2);
    append_entry(out, "type", "array");
    out.string("items");
    append_schema<typename Type::value_type>(out, scope);
  } else if constexpr (array_type<Type>) {
    out.map(4);
    append_entry(out, "type", "array");
    out.string("items");
    append_schema<typename Type::value_type>(out, scope);
    for (const auto keyword : {"minItems", "maxItems"}) {
      out.string(keyword);
      out.unsigned_integer(std::tuple_size_v<Type>);
    }
  } else {
    append_struct_schema<Type>(out, scope);
  }
}

}  // namespace waggle::detail
