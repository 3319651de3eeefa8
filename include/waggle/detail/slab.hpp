#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace waggle::detail {

inline constexpr std::uint32_t none = 0xffffffffu;

/// Has the processor fetch the first lines of memory of an object, which will be needed soon.
template <std::size_t Lines>
inline void fetch_lines(const void* object) {
  for (std::size_t i = 0; i < Lines; ++i) __builtin_prefetch(static_cast<const char*>(object) + 64 * i);
}

/// Objects named by small integers, which are used again. References are valid until the next `take`.
template <class T>
class slab {
 public:
  std::uint32_t take() {
    ++used_;
    if (!free_.empty()) {
      const auto index = free_.back();
      free_.pop_back();
      return index;
    }
    items_.emplace_back();
    return static_cast<std::uint32_t>(items_.size() - 1);
  }
  /// The object stays as it is, for its generation and the capacity of its strings.
  void give_back(std::uint32_t index) {
    --used_;
    free_.push_back(index);
  }

  T& operator[](std::uint32_t index) { return items_[index]; }
  const T& operator[](std::uint32_t index) const { return items_[index]; }
  [[nodiscard]] bool has(std::uint32_t index) const { return index < items_.size(); }
  [[nodiscard]] std::size_t used() const { return used_; }

 private:
  std::vector<T> items_;
  std::vector<std::uint32_t> free_;
  std::size_t used_ = 0;
};

struct links {
  std::uint32_t previous = none;
  std::uint32_t next = none;
};

/// A doubly linked list through objects of a slab (or anything with `operator[]`): no allocation, removal from the middle.
template <auto Member>
class index_list {
 public:
  [[nodiscard]] std::uint32_t front() const { return head_; }
  [[nodiscard]] std::uint32_t back() const { return tail_; }
  [[nodiscard]] bool empty() const { return head_ == none; }
  [[nodiscard]] std::size_t size() const { return size_; }

  template <class Items>
  static std::uint32_t after(const Items& items, std::uint32_t index) { return (items[index].*Member).next; }

  template <class Items>
  void push_back(Items& items, std::uint32_t index) {
    items[index].*Member = links{tail_, none};
    (tail_ == none ? head_ : (items[tail_].*Member).next) = index;
    tail_ = index;
    ++size_;
  }

  template <class Items>
  void push_front(Items& items, std::uint32_t index) {
    items[index].*Member = links{none, head_};
    (head_ == none ? tail_ : (items[head_].*Member).previous) = index;
    head_ = index;
    ++size_;
  }

  template <class Items>
  void erase(Items& items, std::uint32_t index) {
    const links at = items[index].*Member;
    (at.previous == none ? head_ : (items[at.previous].*Member).next) = at.next;
    (at.next == none ? tail_ : (items[at.next].*Member).previous) = at.previous;
    --size_;
  }

  template <class Items>
  void move_to_back(Items& items, std::uint32_t index) {
    if (tail_ == index) return;
    erase(items, index);
    push_back(items, index);
  }

 private:
  std::uint32_t head_ = none;
  std::uint32_t tail_ = none;
  std::uint32_t size_ = 0;
};

}  // namespace waggle::detail
