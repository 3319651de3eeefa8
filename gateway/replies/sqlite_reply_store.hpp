#pragma once

#include <filesystem>
#include <memory>

#include "gateway/replies/reply_store.hpp"
#include "broker/storage/sqlite_file.hpp"

namespace waggle::gateway {

/// In a folder, which it makes on first use and locks. Each batch is one transaction, synced before it counts; answers carry check sums.
class sqlite_reply_store final : public reply_store {
 public:
  explicit sqlite_reply_store(std::filesystem::path folder, store_limits limits = {}, storage::sqlite_settings with = {});
  ~sqlite_reply_store() override;

  /// FAILED_PRECONDITION: another process has the folder, or it is of a newer waggle, or of something else; DATA_LOSS: it is damaged.
  [[nodiscard]] result<void> open();
  [[nodiscard]] bool durable() const override { return true; }
  [[nodiscard]] result<std::vector<reserved>> commit(std::span<const store_entry> batch) override;
  [[nodiscard]] result<std::size_t> expire(std::int64_t now_ms, std::size_t rows_max) override;

 private:
  class parts;
  std::unique_ptr<parts> parts_;
};

}  // namespace waggle::gateway
