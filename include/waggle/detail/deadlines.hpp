#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
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

/// The same for deadlines that come in order mostly, as those of calls with the same budget do: a few lists, each in order, to whose ends
/// whatever is later is put; what fits none of them goes to a heap. So a call that is answered leaves without a search, where
/// the oldest of a heap, which is the next to be answered, costs as many steps as the heap has levels.
/// `Deadline`, `Links` and `Position` are members of the indexed objects; a deadline changes only while it is not in.
template <auto Deadline, auto Links, auto Position>
class deadline_lanes {
 public:
  [[nodiscard]] time_point earliest() const { return std::min(*std::min_element(first_.begin(), first_.end()), rest_.earliest()); }
  [[nodiscard]] std::uint32_t front() const {
    const auto lane = static_cast<std::size_t>(std::min_element(first_.begin(), first_.end()) - first_.begin());
    return rest_.earliest() < first_[lane] ? rest_.front() : lanes_[lane].front();
  }

  template <class Items>
  void insert(Items& items, std::uint32_t index) {
    const auto deadline = items[index].*Deadline;
    if (last_[recent_] != deadline) recent_ = lane_for(deadline);
    if (last_[recent_] > deadline) return rest_.insert(items, index, deadline);
    auto& lane = lanes_[recent_];
    if (lane.empty()) first_[recent_] = deadline;
    last_[recent_] = deadline;
    lane.push_back(items, index);
    items[index].*Position = in_lanes + recent_;
  }

  /// Does nothing when it is not in.
  template <class Items>
  void erase(Items& items, std::uint32_t index) {
    const auto position = items[index].*Position;
    if (position < in_lanes || position == none) return rest_.erase(items, index);
    items[index].*Position = none;
    const auto which = position - in_lanes;
    auto& lane = lanes_[which];
    lane.erase(items, index);
    first_[which] = lane.empty() ? time_point::max() : items[lane.front()].*Deadline;
    last_[which] = lane.empty() ? time_point::min() : items[lane.back()].*Deadline;
  }

 private:
  static constexpr std::uint32_t lanes_max = 8;
  static constexpr std::uint32_t in_lanes = none - lanes_max;  ///< positions from here to below `none` are those of the lanes

  /// The one whose end is the latest that is not later than this, so that long budgets do not bar lanes to short ones; if there is
  /// none, any.
  [[nodiscard]] std::uint32_t lane_for(time_point deadline) const {
    std::uint32_t best = 0;
    for (std::uint32_t i = 1; i < lanes_max; ++i) {
      if (last_[i] <= deadline && (last_[best] > deadline || last_[i] > last_[best])) best = i;
    }
    return best;
  }

  template <class Value>
  static constexpr std::array<Value, lanes_max> all(Value value) {
    std::array<Value, lanes_max> out{};
    out.fill(value);
    return out;
  }

  std::array<index_list<Links>, lanes_max> lanes_;
  std::array<time_point, lanes_max> first_ = all(time_point::max());  ///< of each lane; if it is empty, so that it is never the earliest
  std::array<time_point, lanes_max> last_ = all(time_point::min());   ///< likewise, so that everything fits
  std::uint32_t recent_ = 0;
  deadline_heap<Position> rest_;
};

}  // namespace waggle::detail
