#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include <waggle/wire/error.hpp>

#include "broker/storage/sqlite_database.hpp"
#include "broker/storage/sqlite_folder.hpp"

namespace waggle::storage {

/// What a file holds: what tells it from others, and what people are told of it.
struct sqlite_kind {
  const char* file;          ///< its name
  std::int64_t application;  ///< PRAGMA application_id
  std::int64_t format;       ///< PRAGMA user_version
  const char* schema;        ///< what an empty one is made of
  const char* what;          ///< as in "event log"
  const char* owner;         ///< whose it is, as in "broker"
};

struct sqlite_settings {
  std::string vfs;                      ///< what SQLite reaches files through; empty: its own. For tests
  std::uint32_t wal_pages = 4000;       ///< the journal is copied into the database when it has so many pages (of 4 KiB)
  std::uint32_t wal_pages_max = 64'000; ///< while that fails, nothing more is written from here on, with the reason
};

/// A database in a folder, which it makes on first use and locks. Each transaction is synced before it counts (`synchronous=FULL`). One connection
/// does everything: SQLite 3.40 can damage a file when two reset the journal. Failures are `sqlite_error`s.
class sqlite_file {
 public:
  sqlite_file(std::filesystem::path folder, const sqlite_kind& kind, sqlite_settings with)
      : folder_{std::move(folder)}, kind_{kind}, settings_{std::move(with)} {}

  /// FAILED_PRECONDITION: another process has the folder, or it is of a newer waggle, or of another kind; DATA_LOSS: it is damaged.
  void open();
  [[nodiscard]] sqlite_database& database() { return database_; }

  void begin();
  void commit() { database_.run("COMMIT"); }
  /// After a failure in between, and what it was: as if it had not begun.
  void undo(status why);

 private:
  void check_format(const std::string& file);
  void use_journal(const std::string& file);
  void make_tables();
  void copy_journal();
  static int count_pages(void* self, sqlite3*, const char*, int pages);

  std::filesystem::path folder_;
  sqlite_kind kind_;
  sqlite_settings settings_;
  sqlite_folder lock_;
  sqlite_database database_;
  std::uint32_t wal_pages_ = 0;
};

}  // namespace waggle::storage
