#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "broker/events/event_log.hpp"
#include "broker/events/log_parts.hpp"

namespace waggle::broker {

struct sqlite_settings {
  std::string vfs;                           ///< what SQLite reaches files through; empty: its own. For tests
  std::uint32_t wal_pages = 4000;            ///< the journal is copied into the database when it has so many pages (of 4 KiB)
  std::uint32_t wal_pages_max = 64'000;      ///< while that fails, batches are refused from here on, with the reason
  std::size_t streams_max = 1024;            ///< RESOURCE_EXHAUSTED; numbers go up to 32,767
};

/// A log in a folder, which it makes on first use and locks. Each batch is one transaction, synced before it counts (`synchronous=FULL`);
/// events and dead letters carry check sums. One connection does everything: SQLite 3.40 can damage a file when two reset the journal.
///
/// A failed batch leaves nothing behind, and the next one may succeed.
class sqlite_log final : public event_log {
 public:
  explicit sqlite_log(std::filesystem::path folder, log_sources from = system_log_sources(), sqlite_settings with = {});
  ~sqlite_log() override;

  [[nodiscard]] bool durable() const override { return true; }
  /// FAILED_PRECONDITION: another process has the folder, or it is of a newer waggle, or not a log; DATA_LOSS: it is damaged.
  result<log_contents> open() override;
  write_result commit(const std::vector<write_entry>& batch) override;
  read_result look_up(const read_entry& what) override;

 private:
  class parts;
  std::unique_ptr<parts> parts_;
};

}  // namespace waggle::broker
