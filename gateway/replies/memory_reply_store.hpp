#pragma once

#include <set>
#include <unordered_map>
#include <utility>

#include "gateway/replies/reply_store.hpp"

namespace waggle::gateway {

/// For as long as the process lives.
class memory_reply_store final : public reply_store {
 public:
  explicit memory_reply_store(store_limits limits = {}) : limits_{limits} {}

  [[nodiscard]] bool durable() const override { return false; }
  [[nodiscard]] result<std::vector<reserved>> commit(std::span<const store_entry> batch) override;
  [[nodiscard]] result<std::size_t> expire(std::int64_t now_ms, std::size_t rows_max) override;

 private:
  enum class state : std::uint8_t { running, finished, too_large };
  struct kept {
    digest fingerprint;
    state is = state::running;
    std::int64_t until_ms = 0;
    std::size_t bytes = reserved_bytes;
    front::response answer{};
  };
  using row_map = std::unordered_map<digest, kept, digest_hash>;

  reserved apply(const store::reserve& what);
  reserved apply(const store::settle& what);
  reserved apply(const store::release& what);
  void forget(row_map::iterator which);
  void set_until(const digest& key, kept& of, std::int64_t until_ms);

  store_limits limits_;
  row_map rows_;
  std::set<std::pair<std::int64_t, digest>> by_time_;
  std::size_t bytes_ = 0;
};

}  // namespace waggle::gateway
