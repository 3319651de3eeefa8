#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <unordered_map>
#include <utility>
#include <vector>

namespace waggle::gateway {

/// What each request needs for as long as it is open. Requests come and end in batches, of more than malloc keeps at hand, so that those that end leave their
/// memory to those that come, up to so many.
inline constexpr std::size_t recycled_max = 256;

/// A table by number whose entries are recycled. An entry that is gone has let go of all that it had, but for the room of its texts.
template <class Value>
class recycled_table {
  using table = std::unordered_map<std::uint64_t, Value>;

 public:
  [[nodiscard]] std::size_t size() const { return all_.size(); }
  [[nodiscard]] auto end() { return all_.end(); }
  [[nodiscard]] auto find(std::uint64_t number) { return all_.find(number); }

  /// The entry of this number, which is new unless there is one already.
  Value& operator[](std::uint64_t number) {
    if (spare_.empty()) return all_[number];
    spare_.back().key() = number;
    auto put = all_.insert(std::move(spare_.back()));
    if (put.inserted) {
      spare_.pop_back();
    } else {
      spare_.back() = std::move(put.node);
    }
    return put.position->second;
  }

  void erase(typename table::iterator which) {
    auto gone = all_.extract(which);
    gone.mapped() = Value{};
    if (spare_.size() < recycled_max) spare_.push_back(std::move(gone));
  }
  void erase(std::uint64_t number) {
    if (const auto found = all_.find(number); found != all_.end()) erase(found);
  }

 private:
  table all_;
  std::vector<typename table::node_type> spare_;
};

/// Memory for objects of one type, an allocator of which `recycling` is. Of one thread; it outlives what is made of it.
class recycled_memory {
 public:
  recycled_memory() { spare_.reserve(recycled_max); }
  ~recycled_memory() {
    for (auto* const each : spare_) ::operator delete(each);
  }
  recycled_memory(const recycled_memory&) = delete;
  recycled_memory& operator=(const recycled_memory&) = delete;

  void* take(std::size_t bytes) {
    if (spare_.empty() || bytes != bytes_) return ::operator new(bytes);
    auto* const out = spare_.back();
    spare_.pop_back();
    return out;
  }
  void give_back(void* memory, std::size_t bytes) noexcept {
    if (spare_.empty()) bytes_ = bytes;
    if (bytes != bytes_ || spare_.size() == recycled_max) return ::operator delete(memory);
    spare_.push_back(memory);
  }

 private:
  std::size_t bytes_ = 0;  ///< of each
  std::vector<void*> spare_;
};

/// For std::allocate_shared.
template <class Object>
struct recycling {
  using value_type = Object;
  recycled_memory* memory;

  explicit recycling(recycled_memory& of) : memory{&of} {}
  template <class Other>
  recycling(const recycling<Other>& other) : memory{other.memory} {}
  Object* allocate(std::size_t count) { return static_cast<Object*>(memory->take(count * sizeof(Object))); }
  void deallocate(Object* at, std::size_t count) noexcept { memory->give_back(at, count * sizeof(Object)); }
  friend bool operator==(const recycling& a, const recycling& b) { return a.memory == b.memory; }
};

}  // namespace waggle::gateway
