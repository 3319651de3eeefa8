#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include <waggle/detail/instant.hpp>
#include <waggle/detail/payload_reader.hpp>
#include <waggle/detail/payload_traits.hpp>

namespace waggle::detail {

template <class Type>
void decode(payload_reader& in, Type& to);

template <described_struct Type, auto Member>
void decode_member(payload_reader& in, void* owner) {
  using field = std::remove_cvref_t<decltype(std::declval<Type&>().*Member)>;
  static_assert(is_payload<field>(),
                "a field in WAGGLE_FIELDS has a type that no payload can hold: see waggle::payload_type");
  decode(in, static_cast<Type*>(owner)->*Member);
}

/// What `payload_reader::object` needs to know of a struct.
template <described_struct Type>
struct object_table {
  static constexpr auto make() {
    std::array<payload_field, fields_of<Type>.count> out{};
    std::size_t i = 0;
    for_each_field(
        fields_of<Type>, [&]<auto Member>(std::string_view name) {
          using field = std::remove_cvref_t<decltype(std::declval<Type&>().*Member)>;
          out[i++] = {name, !optional_type<field>, &decode_member<Type, Member>};
        });
    return out;
  }
  static constexpr auto fields = make();
};

template <class Type>
void decode(payload_reader& in, Type& to) {
  if constexpr (std::same_as<Type, bool>) {
    in.boolean(to);
  } else if constexpr (integer_type<Type>) {
    using limits = std::numeric_limits<Type>;
    std::uint64_t bits = 0;
    if (in.integer(bits, limits::min(), limits::max())) to = static_cast<Type>(bits);
  } else if constexpr (floating_type<Type>) {
    double number = 0;
    if (in.floating(number, std::numeric_limits<Type>::max())) to = static_cast<Type>(number);
  } else if constexpr (std::same_as<Type, std::string>) {
    in.string(to);
  } else if constexpr (std::same_as<Type, binary>) {
    in.binary(to.bytes);
  } else if constexpr (std::same_as<Type, value>) {
    in.raw(to.bytes);
  } else if constexpr (std::same_as<Type, nothing>) {
    in.nothing();
  } else if constexpr (described_enum<Type>) {
    constexpr auto& all = enum_of<Type>;
    std::size_t index = 0;
    if (in.one_of(all.names, std::size(all.names), index)) to = all.values[index];
  } else if constexpr (instant_type<Type>) {
    timestamp at;
    if (!in.instant(at)) return;
    if (const auto instant = from_timestamp<Type>(at)) {
      to = *instant;
    } else {
      in.wrong("the date-time is outside the range that the service can hold");
    }
  } else if constexpr (optional_type<Type>) {
    in.peek() == wire::kind::nil ? in.nothing() : decode(in, to.emplace());
  } else if constexpr (dictionary_type<Type>) {
    in.dictionary([&](std::string_view key) {
      const auto [at, is_new] = to.try_emplace(std::string{key});
      if (is_new && in.afford(sizeof(*at) + payload_reader::node_bytes)) decode(in, at->second);
      return is_new;
    });
  } else if constexpr (sequence_type<Type>) {
    using element = typename Type::value_type;
    in.array([&](std::size_t) {
      if (!in.afford(sizeof(element))) return;
      if constexpr (std::is_reference_v<decltype(to.emplace_back())>) {
        decode(in, to.emplace_back());
      } else {  // std::vector<bool> has no elements to refer to
        element each{};
        decode(in, each);
        to.push_back(each);
      }
    });
  } else if constexpr (array_type<Type>) {
    in.array([&](std::size_t i) { i < to.size() ? decode(in, to[i]) : in.step_over(); }, to.size());
  } else {
    in.object(object_table<Type>::fields.data(), object_table<Type>::fields.size(), &to);
  }
}

}  // namespace waggle::detail
