#include "broker/events/sqlite_log.hpp"

#include <exception>
#include <optional>
#include <utility>

#include "broker/events/sqlite_database.hpp"
#include "broker/events/sqlite_folder.hpp"
#include "broker/events/sqlite_store.hpp"

namespace waggle::broker {

class sqlite_log::parts {
 public:
  parts(std::filesystem::path folder, log_sources from, sqlite_settings with)
      : folder_{std::move(folder)}, sources_{std::move(from)}, settings_{std::move(with)} {}

  result<log_contents> open() {
    if (auto taken = lock_.take(folder_); !taken) return tl::unexpected{std::move(taken.error())};
    return guarded([&] {
      const auto file = folder_ / "events.db";
      database_.open(file.string(), settings_.vfs);
      ::sqlite3_wal_hook(database_.handle(), &parts::count_pages, this);
      // Exclusive: the journal's index needs no shared memory, and no other program can come between.
      database_.run("PRAGMA locking_mode = EXCLUSIVE; PRAGMA cell_size_check = ON; PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY");
      check_format(file.string());
      use_journal(file.string());
      if (database_.number("PRAGMA user_version") == 0) make_tables();
      sync_folder(folder_);
      store_.emplace(database_, sources_, settings_.streams_max);
      return result<log_contents>{store_->contents(sources_.now_ms())};
    });
  }

  write_result commit(const std::vector<write_entry>& batch) {
    auto out = guarded([&]() -> write_result {
      make_ready();
      copy_journal();
      std::vector<written> all;
      all.reserve(batch.size());
      database_.run("BEGIN IMMEDIATE");
      store_->at(sources_.now_ms());
      for (const auto& each : batch) {
        all.push_back(std::visit([&](const auto& what) { return store_->apply(what); }, each));
      }
      store_->save_streams();
      database_.run("COMMIT");
      return all;
    });
    if (!out) undo(out.error().code);
    return out;
  }

  read_result look_up(const read_entry& what) {
    return guarded([&]() -> read_result {
      make_ready();
      store_->at(sources_.now_ms());
      return std::visit([&](const auto& each) { return store_->look(each); }, what);
    });
  }

 private:
  /// Nothing that SQLite, the system or a shortage of memory throws leaves the log.
  template <class Function>
  auto guarded(Function&& function) -> decltype(function()) {
    try {
      return function();
    } catch (const sqlite_error& e) {
      return failure(e.code, e.what());
    } catch (const std::exception& e) {
      return failure(status::unavailable, "the event log failed: " + std::string{e.what()});
    }
  }

  void check_format(const std::string& file) {
    const auto application = database_.number("PRAGMA application_id");
    const auto format = database_.number("PRAGMA user_version");
    if (application != sqlite_application && database_.number("SELECT count(*) FROM sqlite_schema") != 0) {
      throw sqlite_error{status::failed_precondition, file + " is no event log of waggle; choose another folder with --data"};
    }
    if (format > sqlite_format) {
      throw sqlite_error{status::failed_precondition,
                         file + " was written by a newer waggle (format " + std::to_string(format) + ", this one knows " +
                             std::to_string(sqlite_format) + "); start that one, or choose another folder with --data"};
    }
  }

  void use_journal(const std::string& file) {
    sqlite_statement mode{database_, "PRAGMA journal_mode = WAL"};
    if (!mode.step() || mode.bytes(0) != "wal") {
      throw sqlite_error{status::failed_precondition, file + " cannot have a journal beside it; choose a folder on a local disk with --data"};
    }
    mode.reset();
    database_.run("PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864");
  }

  void make_tables() {
    database_.run("BEGIN IMMEDIATE");
    database_.run(sqlite_schema);
    const auto names = "PRAGMA application_id = " + std::to_string(sqlite_application) + "; PRAGMA user_version = " + std::to_string(sqlite_format);
    database_.run(names.c_str());
    database_.run("COMMIT");
  }

  void make_ready() {
    if (!store_) throw sqlite_error{status::failed_precondition, "the event log is not open"};
    if (!streams_known_) {
      store_->load();
      streams_known_ = true;
    }
  }

  /// What has been synced can wait until the receipts are out. Nobody reads in the middle of it, so it is always copied whole, and the journal
  /// begins anew.
  void copy_journal() {
    if (wal_pages_ < settings_.wal_pages) return;
    const int copied = ::sqlite3_wal_checkpoint_v2(database_.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
    if (copied == SQLITE_OK) {
      wal_pages_ = 0;
    } else if (wal_pages_ >= settings_.wal_pages_max) {
      database_.fail(copied);
    }
  }

  void undo(status why) {
    database_.roll_back();
    streams_known_ = false;
    if (why != status::resource_exhausted) return;
    // The database may have room inside for what the journal holds: what the journal has of the disk is given back.
    if (::sqlite3_wal_checkpoint_v2(database_.handle(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr) == SQLITE_OK) wal_pages_ = 0;
  }

  static int count_pages(void* self, sqlite3*, const char*, int pages) {
    static_cast<parts*>(self)->wal_pages_ = static_cast<std::uint32_t>(pages);
    return SQLITE_OK;
  }

  std::filesystem::path folder_;
  log_sources sources_;
  sqlite_settings settings_;
  sqlite_folder lock_;
  sqlite_database database_;
  std::optional<sqlite_store> store_;
  bool streams_known_ = true;
  std::uint32_t wal_pages_ = 0;
};

sqlite_log::sqlite_log(std::filesystem::path folder, log_sources from, sqlite_settings with)
    : parts_{std::make_unique<parts>(std::move(folder), std::move(from), std::move(with))} {}

sqlite_log::~sqlite_log() = default;

result<log_contents> sqlite_log::open() { return parts_->open(); }

write_result sqlite_log::commit(const std::vector<write_entry>& batch) { return parts_->commit(batch); }

read_result sqlite_log::look_up(const read_entry& what) { return parts_->look_up(what); }

}  // namespace waggle::broker
