#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "gateway/front/application.hpp"
#include "gateway/traffic/siphash.hpp"

namespace waggle::gateway {

/// So many within each `per`, after a pause at most `burst` at once: a bucket of `burst` tokens that gets `limit` of them in each `per`.
struct rate_terms {
  std::uint64_t limit = 0;
  std::chrono::milliseconds per{};
  std::uint64_t burst = 0;
  friend bool operator==(const rate_terms&, const rate_terms&) = default;
};

inline constexpr std::uint64_t rate_limit_max = 1'000'000;  ///< of `limit` and `burst`
inline constexpr std::size_t rate_keys_max = 128 * 1024;    ///< that one table tells apart: 2 MiB
/// What all tables of a gateway together tell apart (16 MiB).
inline constexpr std::size_t rate_keys_in_all_max = 1024 * 1024;

struct rate_verdict {
  bool allowed = false;
  std::uint64_t remaining = 0;         ///< tokens that are left
  std::chrono::nanoseconds more_in{};  ///< until there is one more; 0 if the bucket is full
};

/// The buckets of one limit, one for each key. Any thread may call any member: a limit has to hold over all reactor threads, so this is the one thing
/// that they share while they work, in shards whose locks are held for some tens of nanoseconds. No clock: `now` may not run backwards by more than
/// the threads' clocks differ.
///
/// A bucket is one instant, the one at which it will be full again (the generic cell rate algorithm), so a full one needs no entry. The table grows to
/// `rate_keys_max`. A key that finds no place then takes over the bucket of its set that has least to wait for, with what is missing from it (as in the
/// Space-Saving sketch): so nobody ever gets more than his limit, whoever comes and goes; who has used much is not displaced by those who come once; and
/// who is new while so many others are active may be refused early.
class rate_table {
 public:
  /// `in_all` counts the places of all tables of a gateway; null: only this one's bound counts.
  rate_table(const rate_terms& terms, const siphash_key& secret, std::shared_ptr<std::atomic<std::size_t>> in_all = nullptr,
             std::size_t keys_max = rate_keys_max);
  ~rate_table();
  rate_table(const rate_table&) = delete;
  rate_table& operator=(const rate_table&) = delete;

  /// Takes a token if there is one.
  rate_verdict take(front::instant now, std::string_view key);
  /// What `take` would say, without taking.
  [[nodiscard]] rate_verdict peek(front::instant now, std::string_view key) const;
  /// Gives one back that `take` has given, if its bucket is still there.
  void refund(std::string_view key);

  [[nodiscard]] const rate_terms& terms() const { return terms_; }
  /// Places for keys; for tests and metrics.
  [[nodiscard]] std::size_t places() const;

 private:
  static constexpr std::size_t shards = 16, ways = 8;
  struct bucket {
    std::uint64_t key = 0;     ///< its hash
    std::int64_t full_at = 0;  ///< ns of the clock; what is past is a full bucket, and a free place
  };
  using bucket_set = std::array<bucket, ways>;
  struct alignas(64) shard {
    mutable std::mutex mutex;
    std::vector<bucket_set> sets{1};
  };

  [[nodiscard]] shard& shard_of(std::uint64_t hash) const { return shards_[hash % shards]; }
  static bucket_set& set_of(shard& in, std::uint64_t hash) { return in.sets[hash / shards & (in.sets.size() - 1)]; }
  bucket& place_for(shard& in, std::uint64_t hash, std::int64_t now);
  bool grow(shard& in);
  [[nodiscard]] rate_verdict verdict(std::int64_t now, std::int64_t full_at, bool allowed) const;

  rate_terms terms_;
  siphash_key secret_;
  std::int64_t token_;  ///< ns in which one comes
  std::int64_t whole_;  ///< ns in which an empty bucket is full
  std::size_t sets_max_;
  std::shared_ptr<std::atomic<std::size_t>> in_all_;
  std::unique_ptr<shard[]> shards_ = std::make_unique<shard[]>(shards);
};

}  // namespace waggle::gateway
