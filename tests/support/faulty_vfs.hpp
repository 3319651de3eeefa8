#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace waggle::broker::test {

/// What SQLite reaches files through, with faults: writes and syncs that fail, and power cuts after which only what was synced is sure to be
/// there. Files pass through to SQLite's own VFS; what a disk would hold after a cut is kept beside, in memory.
class faulty_vfs {
 public:
  faulty_vfs() {
    own_ = *::sqlite3_vfs_find(nullptr);
    real_ = ::sqlite3_vfs_find(nullptr);
    static int made = 0;
    name_ = "waggle-faulty-" + std::to_string(++made);
    own_.zName = name_.c_str();
    own_.pNext = nullptr;
    own_.pAppData = this;
    own_.szOsFile = static_cast<int>(sizeof(file)) + real_->szOsFile;
    own_.xOpen = open;
    own_.xDelete = remove;
    own_.iVersion = 1;
    ::sqlite3_vfs_register(&own_, 0);
  }
  ~faulty_vfs() { ::sqlite3_vfs_unregister(&own_); }
  faulty_vfs(const faulty_vfs&) = delete;
  faulty_vfs& operator=(const faulty_vfs&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }

  /// Asked before each write, truncation and sync; what is not SQLITE_OK is what comes of it.
  std::function<int()> fault = [] { return SQLITE_OK; };
  /// From now on nothing reaches the files.
  bool is_off = false;

  /// Leaves in the files what was synced, and of what was not a part that chance decides. Nobody has the files open.
  void cut_power(std::mt19937_64& chance) {
    for (auto& [path, each] : disks_) {
      for (const auto& made : each.unsynced) {
        if (chance() % 2 == 0) made.apply(each.synced);
      }
      each.unsynced.clear();
      if (auto* out = std::fopen(path.c_str(), "wb"); out != nullptr) {
        std::fwrite(each.synced.data(), 1, each.synced.size(), out);
        std::fclose(out);
      }
    }
    is_off = false;
  }

 private:
  struct change {
    std::size_t offset = 0;
    std::string bytes;
    bool truncates = false;

    void apply(std::string& to) const {
      if (truncates) return to.resize(std::min(to.size(), offset));
      if (to.size() < offset + bytes.size()) to.resize(offset + bytes.size());
      to.replace(offset, bytes.size(), bytes);
    }
  };
  struct disk {
    std::string synced;
    std::vector<change> unsynced;
  };
  struct file {
    sqlite3_file base;
    faulty_vfs* of;
    disk* on;  ///< of files that are to last
    sqlite3_file* real;
  };

  static file& at(sqlite3_file* of) { return *reinterpret_cast<file*>(of); }

  /// SQLITE_OK when it may be done.
  int may_do() const { return is_off ? SQLITE_IOERR : fault(); }

  static int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* into, int flags, int* out_flags) {
    auto& self = *static_cast<faulty_vfs*>(vfs->pAppData);
    auto& made = at(into);
    made.base.pMethods = nullptr;
    if (self.is_off) return SQLITE_CANTOPEN;
    made.of = &self;
    made.on = path == nullptr ? nullptr : &self.disks_[path];
    made.real = reinterpret_cast<sqlite3_file*>(&made + 1);
    const int code = self.real_->xOpen(self.real_, path, made.real, flags, out_flags);
    static const sqlite3_io_methods methods{
        1,
        [](sqlite3_file* f) { return at(f).real->pMethods->xClose(at(f).real); },
        [](sqlite3_file* f, void* to, int size, sqlite3_int64 offset) { return at(f).real->pMethods->xRead(at(f).real, to, size, offset); },
        write, truncate, sync,
        [](sqlite3_file* f, sqlite3_int64* size) { return at(f).real->pMethods->xFileSize(at(f).real, size); },
        [](sqlite3_file* f, int level) { return at(f).real->pMethods->xLock(at(f).real, level); },
        [](sqlite3_file* f, int level) { return at(f).real->pMethods->xUnlock(at(f).real, level); },
        [](sqlite3_file* f, int* out) { return at(f).real->pMethods->xCheckReservedLock(at(f).real, out); },
        [](sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; },
        [](sqlite3_file* f) { return at(f).real->pMethods->xSectorSize(at(f).real); },
        [](sqlite3_file*) { return 0; },
        nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};
    if (code == SQLITE_OK) made.base.pMethods = &methods;
    return code;
  }

  static int write(sqlite3_file* f, const void* from, int size, sqlite3_int64 offset) {
    if (const int code = at(f).of->may_do(); code != SQLITE_OK) return code;
    if (at(f).on != nullptr) {
      at(f).on->unsynced.push_back({static_cast<std::size_t>(offset), {static_cast<const char*>(from), static_cast<std::size_t>(size)}, false});
    }
    return at(f).real->pMethods->xWrite(at(f).real, from, size, offset);
  }

  static int truncate(sqlite3_file* f, sqlite3_int64 size) {
    if (const int code = at(f).of->may_do(); code != SQLITE_OK) return code;
    if (at(f).on != nullptr) at(f).on->unsynced.push_back({static_cast<std::size_t>(size), {}, true});
    return at(f).real->pMethods->xTruncate(at(f).real, size);
  }

  static int sync(sqlite3_file* f, int) {
    if (const int code = at(f).of->may_do(); code != SQLITE_OK) return code;
    if (auto* on = at(f).on; on != nullptr) {
      for (const auto& each : on->unsynced) each.apply(on->synced);
      on->unsynced.clear();
    }
    return SQLITE_OK;
  }

  static int remove(sqlite3_vfs* vfs, const char* path, int sync_folder) {
    auto& self = *static_cast<faulty_vfs*>(vfs->pAppData);
    if (self.is_off) return SQLITE_IOERR_DELETE;
    self.disks_.erase(path);
    return self.real_->xDelete(self.real_, path, sync_folder);
  }

  sqlite3_vfs own_{};
  sqlite3_vfs* real_ = nullptr;
  std::string name_;
  std::map<std::string, disk> disks_;
};

}  // namespace waggle::broker::test
