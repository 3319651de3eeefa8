#include "broker/storage/sqlite_database.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

namespace waggle::storage {
namespace {

bool is_full(int code, int reason) {
  return (code & 0xff) == SQLITE_FULL || ((code & 0xff) == SQLITE_IOERR && (reason == ENOSPC || reason == EDQUOT || reason == EFBIG));
}

status status_of(int code, int reason) {
  if (is_full(code, reason)) return status::resource_exhausted;
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return status::data_loss;
    case SQLITE_TOOBIG:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
    case SQLITE_MISUSE: return status::invalid_argument;
    default: return status::unavailable;
  }
}

std::string reason_of(int code, int reason) {
  if (is_full(code, reason)) return "the disk is full; make room there";
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return "it is damaged; keep a copy of the folder, and restore it or begin with an empty one";
    case SQLITE_CANTOPEN: return "it cannot be opened; look at the folder's owner and permissions";
    case SQLITE_READONLY: return "it cannot be written; look at the folder's owner and permissions";
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return "another program uses it; end that one";
    default: break;
  }
  std::string out{::sqlite3_errstr(code)};
  if (reason != 0) out.append(" (").append(std::strerror(reason)).append(")");
  return out + "; look at the disk and at the system's log";
}

}  // namespace

void sqlite_database::open(const std::string& path, const std::string& vfs) {
  path_ = path;
  const int code = ::sqlite3_open_v2(path.c_str(), &handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                                     vfs.empty() ? nullptr : vfs.c_str());
  check(code);
}

void sqlite_database::run(const char* sql) {
  errno = 0;
  check(::sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr));
}

std::int64_t sqlite_database::number(const char* sql) {
  sqlite_statement query{*this, sql};
  return query.step() ? query.integer(0) : 0;
}

void sqlite_database::roll_back() noexcept {
  if (handle_ != nullptr && ::sqlite3_get_autocommit(handle_) == 0) ::sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
}

void sqlite_database::fail(int code) const {
  const int last = errno;
  int reason = handle_ == nullptr ? 0 : ::sqlite3_system_errno(handle_);
  // SQLite does not keep it when a COMMIT fails.
  if (reason == 0 && (code & 0xff) == SQLITE_IOERR) reason = last;
  throw sqlite_error{status_of(code, reason), path_ + ": " + reason_of(code, reason)};
}

sqlite_statement::sqlite_statement(const sqlite_database& in, const char* sql) : in_{in} {
  in.check(::sqlite3_prepare_v3(in.handle(), sql, -1, SQLITE_PREPARE_PERSISTENT, &handle_, nullptr));
}

bool sqlite_statement::step() {
  errno = 0;
  const int code = ::sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) {
    // The reset forgets nothing of the error's code, but what the system said of it is to be asked for before.
    try {
      in_.fail(code);
    } catch (...) {
      reset();
      throw;
    }
  }
  reset();
  return false;
}

std::uint64_t sqlite_statement::run() {
  step();
  return static_cast<std::uint64_t>(::sqlite3_changes64(in_.handle()));
}

std::string_view sqlite_statement::bytes(int column) const {
  const auto* const begin = static_cast<const char*>(::sqlite3_column_blob(handle_, column));
  const auto size = static_cast<std::size_t>(::sqlite3_column_bytes(handle_, column));
  return begin == nullptr ? std::string_view{} : std::string_view{begin, size};
}

void sqlite_statement::bind(int at, std::string_view value) {
  // A null pointer would be NULL.
  in_.check(::sqlite3_bind_blob64(handle_, at, value.empty() ? "" : value.data(), value.size(), SQLITE_STATIC));
}

}  // namespace waggle::storage
