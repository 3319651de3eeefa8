#include "broker/storage/sqlite_file.hpp"

namespace waggle::storage {

void sqlite_file::open() {
  if (auto taken = lock_.take(folder_, kind_.owner); !taken) throw sqlite_error{taken.error().code, taken.error().message};
  const auto file = folder_ / kind_.file;
  database_.open(file.string(), settings_.vfs);
  ::sqlite3_wal_hook(database_.handle(), &sqlite_file::count_pages, this);
  // Exclusive: the journal's index needs no shared memory, and no other program can come between.
  database_.run("PRAGMA locking_mode = EXCLUSIVE; PRAGMA cell_size_check = ON; PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY");
  check_format(file.string());
  use_journal(file.string());
  if (database_.number("PRAGMA user_version") == 0) make_tables();
  sync_folder(folder_);
}

void sqlite_file::begin() {
  copy_journal();
  database_.run("BEGIN IMMEDIATE");
}

void sqlite_file::undo(status why) {
  database_.roll_back();
  if (why != status::resource_exhausted) return;
  // The database may have room inside for what the journal holds: what the journal has of the disk is given back.
  if (::sqlite3_wal_checkpoint_v2(database_.handle(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr) == SQLITE_OK) wal_pages_ = 0;
}

void sqlite_file::check_format(const std::string& file) {
  const auto application = database_.number("PRAGMA application_id");
  const auto format = database_.number("PRAGMA user_version");
  if (application != kind_.application && database_.number("SELECT count(*) FROM sqlite_schema") != 0) {
    throw sqlite_error{status::failed_precondition, file + " is no " + kind_.what + " of waggle; choose another folder with --data"};
  }
  if (format > kind_.format) {
    throw sqlite_error{status::failed_precondition,
                       file + " was written by a newer waggle (format " + std::to_string(format) + ", this one knows " +
                           std::to_string(kind_.format) + "); start that one, or choose another folder with --data"};
  }
}

void sqlite_file::use_journal(const std::string& file) {
  sqlite_statement mode{database_, "PRAGMA journal_mode = WAL"};
  if (!mode.step() || mode.bytes(0) != "wal") {
    throw sqlite_error{status::failed_precondition, file + " cannot have a journal beside it; choose a folder on a local disk with --data"};
  }
  mode.reset();
  database_.run("PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864");
}

void sqlite_file::make_tables() {
  database_.run("BEGIN IMMEDIATE");
  database_.run(kind_.schema);
  const auto names = "PRAGMA application_id = " + std::to_string(kind_.application) + "; PRAGMA user_version = " + std::to_string(kind_.format);
  database_.run(names.c_str());
  database_.run("COMMIT");
}

/// What has been synced can wait until the receipts are out. Nobody reads in the middle of it, so it is always copied whole, and the journal
/// begins anew.
void sqlite_file::copy_journal() {
  if (wal_pages_ < settings_.wal_pages) return;
  const int copied = ::sqlite3_wal_checkpoint_v2(database_.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (copied == SQLITE_OK) {
    wal_pages_ = 0;
  } else if (wal_pages_ >= settings_.wal_pages_max) {
    database_.fail(copied);
  }
}

int sqlite_file::count_pages(void* self, sqlite3*, const char*, int pages) {
  static_cast<sqlite_file*>(self)->wal_pages_ = static_cast<std::uint32_t>(pages);
  return SQLITE_OK;
}

}  // namespace waggle::storage
