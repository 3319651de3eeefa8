#pragma once

#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#include <waggle/detail/slab.hpp>

namespace waggle::detail {

/// Time as the caller tells it; nothing that has no thread of its own reads a clock.
using time_point = std::chrono::steady_clock::time_point;

/// Which of many has the earliest deadline: a binary heap whose entries know where they are, so that a call which is answered
/// leaves at once instead of lying here until its budget has passed. Entries are named by index; `Position` is the member
/// of the indexed object that holds its place (`none` when it has none).
template <auto Position>
class deadline_heap {
 public:
  [[nodiscard]] bool empty() const { return heap_.empty(); }
  [[nodiscard]] time_point earliest() const { return heap_.empty() ? time_point::max() : heap_.front().first; }
  [[nodiscard]] std::uint32_t front() const { return heap_.front().second; }

  template <class Items>
  void insert(Items& items, std::uint32_t index, time_point deadline) {
    heap_.emplace_back(deadline, index);
    rise(items, heap_.size() - 1);
  }

  /// Does nothing when it is not in.
  template <class Items>
  void erase(Items& items, std::uint32_t index) {
    const std::size_t at = items[index].*Position;
    if (at == none) return;
    items[index].*Position = none;
    const auto last = heap_.back();
    heap_.pop_back();
    if (at == heap_.size()) return;
    heap_[at] = last;
    items[last.second].*Position = static_cast<std::uint32_t>(at);
    rise(items, at);
    sink(items, items[last.second].*Position);
  }

 private:
  template <class Items>
  void rise(Items& items, std::size_t at) {
    const auto entry = heap_[at];
    while (at > 0) {
      const auto parent = (at - 1) / 2;
      if (heap_[parent].first <= entry.first) break;
      place(items, at, heap_[parent]);
      at = parent;
    }
    place(items, at, entry);
  }

  template <class Items>
  void sink(Items& items, std::size_t at) {
    const auto entry = heap_[at];
    for (;;) {
      auto child = 2 * at + 1;
      if (child >= heap_.size()) break;
      if (child + 1 < heap_.size() && heap_[child + 1].first < heap_[child].first) ++child;
      if (entry.first <= heap_[child].first) break;
      place(items, at, heap_[child]);
      at = child;
    }
    place(items, at, entry);
  }

  template <class Items>
  void place(Items& items, std::size_t at, std::pair<time_point, std::uint32_t> entry) {
    heap_[at] = entry;
    items[entry.second].*Position = static_cast<std::uint32_t>(at);
  }

  std::vector<std::pair<time_point, std::uint32_t>> heap_;
};

}  // namespace waggle::detail
