#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace waggle::broker {

/// A list that has one element almost always, which then lies in the object itself instead of in memory of its own.
template <class T>
class few {
 public:
  [[nodiscard]] const T* begin() const { return more_ ? more_->data() : &one_; }
  [[nodiscard]] const T* end() const { return begin() + size(); }
  [[nodiscard]] T* begin() { return more_ ? more_->data() : &one_; }
  [[nodiscard]] T* end() { return begin() + size(); }
  [[nodiscard]] std::size_t size() const { return more_ ? more_->size() : std::size_t{has_one_}; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] const T& back() const { return *(end() - 1); }

  void push_back(const T& added) {
    if (empty()) {
      one_ = added;
      has_one_ = true;
      return;
    }
    if (!more_) more_ = std::make_unique<std::vector<T>>(1, one_);
    more_->push_back(added);
  }

  template <class Which>
  void erase_if(Which&& which) {
    if (!more_) {
      if (has_one_ && which(one_)) has_one_ = false;
      return;
    }
    std::erase_if(*more_, which);
    if (more_->size() > 1) return;
    has_one_ = !more_->empty();
    if (has_one_) one_ = more_->front();
    more_ = nullptr;
  }

 private:
  std::unique_ptr<std::vector<T>> more_;
  T one_{};
  bool has_one_ = false;
};

/// A copy of a text in the object itself if it is no longer than this, where a std::string of more than 15 bytes has memory elsewhere. Longer texts
/// are not in it.
template <std::size_t Bytes>
class text_here {
 public:
  [[nodiscard]] static constexpr bool holds(std::size_t size) { return size <= Bytes; }
  void copy(std::string_view from) {
    size_ = static_cast<std::uint8_t>(std::min(from.size(), Bytes + 1));
    if (holds(from.size())) std::copy(from.begin(), from.end(), bytes_.begin());
  }
  /// With a text that it would hold.
  [[nodiscard]] bool operator==(std::string_view other) const { return size_ == other.size() && std::equal(other.begin(), other.end(), bytes_.begin()); }

 private:
  static_assert(Bytes < 255);
  std::uint8_t size_ = 0;
  std::array<char, Bytes> bytes_{};
};

/// A queue that takes no memory before something has been in it, and eight bytes of the object it is in, where an empty std::deque has 576.
template <class T>
class turns {
 public:
  [[nodiscard]] bool empty() const { return !in_ || in_->next == in_->items.size(); }
  [[nodiscard]] const T& front() const { return in_->items[in_->next]; }
  void push_back(const T& added) {
    if (!in_) in_ = std::make_unique<line>();
    in_->items.push_back(added);
  }
  void pop_front() {
    auto& [items, next] = *in_;
    ++next;
    if (next == items.size()) {
      items.clear();
      next = 0;
    } else if (next >= 32 && 2 * next >= items.size()) {  // moves no more than it has popped
      items.erase(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(next));
      next = 0;
    }
  }

 private:
  struct line {
    std::vector<T> items;
    std::size_t next = 0;
  };

  std::unique_ptr<line> in_;
};

}  // namespace waggle::broker
