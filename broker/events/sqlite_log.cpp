#include "broker/events/sqlite_log.hpp"

#include <exception>
#include <optional>
#include <utility>

#include "broker/events/sqlite_store.hpp"
#include "broker/storage/sqlite_file.hpp"

namespace waggle::broker {

class sqlite_log::parts {
 public:
  parts(std::filesystem::path folder, log_sources from, const sqlite_settings& with)
      : sources_{std::move(from)},
        streams_max_{with.streams_max},
        file_{std::move(folder),
              {"events.db", sqlite_application, sqlite_format, sqlite_schema, "event log", "broker"},
              {with.vfs, with.wal_pages, with.wal_pages_max}} {}

  result<log_contents> open() {
    return guarded([&] {
      file_.open();
      store_.emplace(file_.database(), sources_, streams_max_);
      return result<log_contents>{store_->contents(sources_.now_ms())};
    });
  }

  write_result commit(const std::vector<write_entry>& batch) {
    auto out = guarded([&]() -> write_result {
      make_ready();
      std::vector<written> all;
      all.reserve(batch.size());
      file_.begin();
      store_->at(sources_.now_ms());
      for (const auto& each : batch) {
        all.push_back(std::visit([&](const auto& what) { return store_->apply(what); }, each));
      }
      store_->save_streams();
      file_.commit();
      return all;
    });
    if (!out) {
      file_.undo(out.error().code);
      streams_known_ = false;
    }
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

  void make_ready() {
    if (!store_) throw sqlite_error{status::failed_precondition, "the event log is not open"};
    if (!streams_known_) {
      store_->load();
      streams_known_ = true;
    }
  }

  log_sources sources_;
  std::size_t streams_max_;
  storage::sqlite_file file_;
  std::optional<sqlite_store> store_;
  bool streams_known_ = true;
};

sqlite_log::sqlite_log(std::filesystem::path folder, log_sources from, sqlite_settings with)
    : parts_{std::make_unique<parts>(std::move(folder), std::move(from), std::move(with))} {}

sqlite_log::~sqlite_log() = default;

result<log_contents> sqlite_log::open() { return parts_->open(); }

write_result sqlite_log::commit(const std::vector<write_entry>& batch) { return parts_->commit(batch); }

read_result sqlite_log::look_up(const read_entry& what) { return parts_->look_up(what); }

}  // namespace waggle::broker
