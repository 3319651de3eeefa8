#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <waggle/context.hpp>
#include <waggle/fields.hpp>
#include <waggle/wire/error.hpp>

namespace waggle::detail {

/// A handler whose types are gone: a payload goes in, a payload that is appended to `reply` or an error comes out.
using bytes_handler = std::function<result<void>(std::string_view payload, context&, std::string& reply)>;

template <class Returned>
struct reply_of {
  using type = Returned;
};
template <>
struct reply_of<void> {
  using type = nothing;
};
template <class Value>
struct reply_of<result<Value>> {
  using type = Value;
};
template <>
struct reply_of<result<void>> {
  using type = nothing;
};

/// Calls a handler and appends what it returns to `reply`: a value, nothing, or a result of either. What fails in it has run.
template <class Call>
result<void> run_handler(Call&& call, std::string& reply) {
  using returned = std::invoke_result_t<Call>;
  if constexpr (std::is_void_v<returned>) {
    call();
    append_payload(reply, nothing{});
  } else if constexpr (requires(returned got) { got.error().may_have_run; }) {
    auto got = call();
    if (!got) {
      got.error().may_have_run = true;
      return tl::unexpected{std::move(got.error())};
    }
    if constexpr (std::is_void_v<typename returned::value_type>) {
      append_payload(reply, nothing{});
    } else {
      append_payload(reply, *got);
    }
  } else {
    append_payload(reply, call());
  }
  return {};
}

/// What a handler takes, read off its call operator: a request, a context, both, or nothing.
template <class Signature>
struct handler_types;
template <class Returned, class... Arguments>
struct handler_types<Returned(Arguments...)> {
  static_assert(sizeof...(Arguments) <= 2, "a handler takes a request, a waggle::context&, both in this order, or nothing");
  using returned = Returned;
  static constexpr std::size_t count = sizeof...(Arguments);
  template <std::size_t I>
  using argument = std::tuple_element_t<I, std::tuple<Arguments..., void, void>>;
  static constexpr bool last_is_context =
      count > 0 && std::is_same_v<argument<count == 0 ? 0 : count - 1>, context&>;
  static constexpr bool has_request = count - (last_is_context ? 1 : 0) == 1;
  static_assert(count < 2 || last_is_context, "a handler's second parameter is a waggle::context&");
  using request = std::conditional_t<has_request, std::remove_cvref_t<argument<0>>, nothing>;
};

template <class Handler>
struct signature_of : signature_of<decltype(&Handler::operator())> {};
template <class Returned, class... Arguments>
struct signature_of<Returned (*)(Arguments...)> {
  using type = Returned(Arguments...);
};
template <class Returned, class Class, class... Arguments>
struct signature_of<Returned (Class::*)(Arguments...) const> {
  using type = Returned(Arguments...);
};
template <class Returned, class Class, class... Arguments>
struct signature_of<Returned (Class::*)(Arguments...)> {
  using type = Returned(Arguments...);
};

template <class Handler>
using types_of = handler_types<typename signature_of<Handler>::type>;

template <class Handler>
bytes_handler erase_types(Handler handler) {
  using types = types_of<Handler>;
  return [handler = std::move(handler)](std::string_view payload, context& with, std::string& reply) mutable -> result<void> {
    if constexpr (types::has_request) {
      auto request = read_payload<typename types::request>(payload);
      if (!request) return tl::unexpected{std::move(request.error())};  // has not run
      return run_handler([&] {
        if constexpr (types::last_is_context) {
          return handler(std::move(*request), with);
        } else {
          return handler(std::move(*request));
        }
      }, reply);
    } else {
      return run_handler([&] {
        if constexpr (types::last_is_context) {
          return handler(with);
        } else {
          return handler();
        }
      }, reply);
    }
  };
}

}  // namespace waggle::detail
