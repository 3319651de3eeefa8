#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace waggle::detail {

template <class Signature>
class callback;

/// Something to be called, as std::function, but it need not be copyable, and what takes up to `bytes_max` lies inside, be it trivial or not: whoever
/// begins a million calls a second does not ask for memory for each. (std::move_only_function is C++23, and has less room.) Empty at first and after it
/// has been moved from.
template <class... Arguments>
class callback<void(Arguments...)> {
 public:
  static constexpr std::size_t bytes_max = 64;

  callback() = default;
  template <class Callable>
    requires(!std::is_same_v<std::remove_cvref_t<Callable>, callback>)
  callback(Callable&& from) {  // NOLINT(google-explicit-constructor)
    using plain = std::decay_t<Callable>;
    if constexpr (sizeof(plain) <= bytes_max && alignof(plain) <= alignof(std::max_align_t) && std::is_nothrow_move_constructible_v<plain>) {
      ::new (static_cast<void*>(place_)) plain(std::forward<Callable>(from));
      does_ = &actions_of<plain>;
    } else {
      *this = callback{[apart = std::make_unique<plain>(std::forward<Callable>(from))](Arguments... with) { (*apart)(std::forward<Arguments>(with)...); }};
    }
  }
  callback(callback&& from) noexcept { take(from); }
  callback& operator=(callback&& from) noexcept {
    if (this == &from) return *this;
    reset();
    take(from);
    return *this;
  }
  ~callback() { reset(); }

  explicit operator bool() const { return does_ != nullptr; }
  void operator()(Arguments... with) { does_->call(place_, std::forward<Arguments>(with)...); }
  void reset() {
    if (does_ != nullptr) std::exchange(does_, nullptr)->end(place_);
  }

 private:
  /// What differs from one type of callable to the other.
  struct actions {
    void (*call)(void* what, Arguments... with);
    void (*move)(void* from, void* to) noexcept;  ///< and ends what it was moved from
    void (*end)(void* what) noexcept;
  };
  template <class Callable>
  static constexpr actions actions_of{
      [](void* what, Arguments... with) { (*static_cast<Callable*>(what))(std::forward<Arguments>(with)...); },
      [](void* from, void* to) noexcept {
        auto& moved = *static_cast<Callable*>(from);
        ::new (to) Callable(std::move(moved));
        moved.~Callable();
      },
      [](void* what) noexcept { static_cast<Callable*>(what)->~Callable(); }};

  void take(callback& from) noexcept {
    if (from.does_ == nullptr) return;
    does_ = std::exchange(from.does_, nullptr);
    does_->move(from.place_, place_);
  }

  const actions* does_ = nullptr;
  alignas(std::max_align_t) std::byte place_[bytes_max];
};

}  // namespace waggle::detail
