#include "gateway/replies/memory_reply_store.hpp"

#include <utility>

namespace waggle::gateway {

result<std::vector<reserved>> memory_reply_store::commit(std::span<const store_entry> batch) {
  std::vector<reserved> out;
  out.reserve(batch.size());
  for (const auto& each : batch) out.push_back(std::visit([&](const auto& what) { return apply(what); }, each));
  return out;
}

reserved memory_reply_store::apply(const store::reserve& what) {
  using found = reserved::state;
  auto known = rows_.find(what.key);
  if (known != rows_.end() && known->second.until_ms <= what.now_ms) {
    forget(known);
    known = rows_.end();
  }
  if (known != rows_.end()) {
    const auto& row = known->second;
    if (row.fingerprint != what.fingerprint) return {found::different};
    if (row.is == state::finished) return {found::finished, row.answer};
    return {row.is == state::running ? found::running : found::too_large};
  }
  if (rows_.size() >= limits_.entries_max || bytes_ + reserved_bytes > limits_.bytes_max) return {found::full};
  auto& made = rows_[what.key];
  made.fingerprint = what.fingerprint;
  made.until_ms = what.until_ms;
  by_time_.emplace(what.until_ms, what.key);
  bytes_ += made.bytes;
  return {};
}

reserved memory_reply_store::apply(const store::settle& what) {
  const auto known = rows_.find(what.key);
  if (known == rows_.end() || known->second.is != state::running) return {};
  auto& row = known->second;
  const auto bytes = stored_bytes(what.answer);
  if (bytes <= stored_bytes_max && bytes_ - row.bytes + bytes <= limits_.bytes_max) {
    bytes_ += bytes - row.bytes;
    row.bytes = bytes;
    row.answer = what.answer;
    row.is = state::finished;
  } else {
    row.is = state::too_large;
  }
  set_until(what.key, row, what.until_ms);
  return {};
}

reserved memory_reply_store::apply(const store::release& what) {
  if (const auto known = rows_.find(what.key); known != rows_.end() && known->second.is == state::running) forget(known);
  return {};
}

result<std::size_t> memory_reply_store::expire(std::int64_t now_ms, std::size_t rows_max) {
  std::size_t out = 0;
  for (; out < rows_max && !by_time_.empty() && by_time_.begin()->first <= now_ms; ++out) forget(rows_.find(by_time_.begin()->second));
  return out;
}

void memory_reply_store::forget(row_map::iterator which) {
  set_until(which->first, which->second, -1);
  bytes_ -= which->second.bytes;
  rows_.erase(which);
}

/// -1: none any more.
void memory_reply_store::set_until(const digest& key, kept& of, std::int64_t until_ms) {
  by_time_.erase({of.until_ms, key});
  of.until_ms = until_ms;
  if (until_ms >= 0) by_time_.emplace(until_ms, key);
}

}  // namespace waggle::gateway
