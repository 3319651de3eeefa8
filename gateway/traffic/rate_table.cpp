#include "gateway/traffic/rate_table.hpp"

#include <algorithm>
#include <utility>

namespace waggle::gateway {
namespace {

std::int64_t in_ns(front::instant at) { return std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count(); }

}  // namespace

rate_table::rate_table(const rate_terms& terms, const siphash_key& secret, std::shared_ptr<std::atomic<std::size_t>> in_all, std::size_t keys_max)
    : terms_{terms}, secret_{secret}, sets_max_{std::max<std::size_t>(keys_max / shards / ways, 1)}, in_all_{std::move(in_all)} {
  const auto per = std::chrono::nanoseconds{terms_.per}.count();
  const auto limit = static_cast<std::int64_t>(terms_.limit);
  token_ = (per + limit - 1) / limit;
  whole_ = token_ * static_cast<std::int64_t>(terms_.burst);
  if (in_all_) *in_all_ += shards * ways;
}

rate_table::~rate_table() {
  if (in_all_) *in_all_ -= places();
}

rate_verdict rate_table::verdict(std::int64_t now, std::int64_t full_at, bool allowed) const {
  const auto missing = std::max<std::int64_t>(full_at - now, 0);
  const auto left = std::max<std::int64_t>(whole_ - missing, 0);
  rate_verdict out{allowed, static_cast<std::uint64_t>(left / token_), {}};
  // A bucket that has been taken over may lack more than it holds.
  if (missing > 0) out.more_in = std::chrono::nanoseconds{missing - (whole_ - static_cast<std::int64_t>(out.remaining + 1) * token_)};
  return out;
}

rate_verdict rate_table::take(front::instant at, std::string_view key) {
  const auto now = in_ns(at);
  const auto hash = siphash(secret_, key) | 1u << 31;  // never 0, which is nobody's
  auto& in = shard_of(hash);
  const std::lock_guard hold{in.mutex};
  auto& of = place_for(in, hash, now);
  const auto after = std::max(of.full_at, now) + token_;
  const bool allowed = after - now <= whole_;
  if (allowed) of = {hash, after};
  return verdict(now, of.full_at, allowed);
}

rate_verdict rate_table::peek(front::instant at, std::string_view key) const {
  const auto now = in_ns(at);
  const auto hash = siphash(secret_, key) | 1u << 31;
  auto& in = shard_of(hash);
  const std::lock_guard hold{in.mutex};
  std::int64_t least = INT64_MAX;
  for (const auto& each : set_of(in, hash)) {
    if (each.key == hash) return verdict(now, each.full_at, std::max(each.full_at, now) + token_ - now <= whole_);
    least = std::min(least, each.full_at);
  }
  // It would get a place of its own, or the fullest bucket.
  if (in.sets.size() < sets_max_) least = now;
  return verdict(now, least, std::max(least, now) + token_ - now <= whole_);
}

void rate_table::refund(std::string_view key) {
  const auto hash = siphash(secret_, key) | 1u << 31;
  auto& in = shard_of(hash);
  const std::lock_guard hold{in.mutex};
  for (auto& each : set_of(in, hash)) {
    if (each.key == hash) each.full_at -= token_;
  }
}

/// The key's bucket, or the one that it would take over.
rate_table::bucket& rate_table::place_for(shard& in, std::uint64_t hash, std::int64_t now) {
  for (;;) {
    auto& set = set_of(in, hash);
    bucket* fullest = &set[0];
    for (auto& each : set) {
      if (each.key == hash) return each;
      if (each.full_at < fullest->full_at) fullest = &each;
    }
    if (fullest->full_at <= now || !grow(in)) return *fullest;
  }
}

/// Twice as many sets, between which the buckets of each divide.
bool rate_table::grow(shard& in) {
  const auto before = in.sets.size();
  if (before * 2 > sets_max_) return false;
  if (in_all_ && in_all_->fetch_add(before * ways) + before * ways > rate_keys_in_all_max) {
    *in_all_ -= before * ways;
    return false;
  }
  std::vector<bucket_set> after(before * 2);
  for (std::size_t i = 0; i < before; ++i) {
    std::size_t used[2] = {0, 0};
    for (const auto& each : in.sets[i]) {
      if (each.key == 0) continue;
      const auto upper = (each.key / shards & before) != 0;
      after[i + (upper ? before : 0)][used[upper]++] = each;
    }
  }
  in.sets = std::move(after);
  return true;
}

std::size_t rate_table::places() const {
  std::size_t out = 0;
  for (std::size_t i = 0; i < shards; ++i) {
    const std::lock_guard hold{shards_[i].mutex};
    out += shards_[i].sets.size() * ways;
  }
  return out;
}

}  // namespace waggle::gateway
