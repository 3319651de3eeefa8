#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include <sqlite3.h>

#include <waggle/wire/error.hpp>

/// The only code that knows SQLite's C interface. Failures leave it as `sqlite_error`.
namespace waggle::storage {

class sqlite_error : public std::runtime_error {
 public:
  sqlite_error(status as, std::string what) : std::runtime_error{std::move(what)}, code{as} {}
  status code;
};

/// One connection; everything it does is done on one thread.
class sqlite_database {
 public:
  sqlite_database() = default;
  ~sqlite_database() { ::sqlite3_close_v2(handle_); }
  sqlite_database(const sqlite_database&) = delete;
  sqlite_database& operator=(const sqlite_database&) = delete;

  /// Opens or makes the file. `vfs` is the name of what SQLite reaches files through; empty: its own.
  void open(const std::string& path, const std::string& vfs);
  void run(const char* sql);
  /// The number that a query of one row and column gives.
  [[nodiscard]] std::int64_t number(const char* sql);
  /// Never fails: what cannot be undone now is undone when the file is opened again.
  void roll_back() noexcept;
  /// What was called has failed with this code.
  [[noreturn]] void fail(int code) const;
  void check(int code) const {
    if (code != SQLITE_OK) fail(code);
  }
  [[nodiscard]] sqlite3* handle() const { return handle_; }

 private:
  sqlite3* handle_ = nullptr;
  std::string path_;
};

/// A prepared statement. What is bound must live until the next `reset`, `step` to its end, or `run`.
class sqlite_statement {
 public:
  sqlite_statement(const sqlite_database& in, const char* sql);
  ~sqlite_statement() { ::sqlite3_finalize(handle_); }
  sqlite_statement(const sqlite_statement&) = delete;
  sqlite_statement& operator=(const sqlite_statement&) = delete;

  /// Binds all parameters in their order.
  template <class... Values>
  sqlite_statement& with(const Values&... values) {
    reset();
    int at = 0;
    (bind(++at, values), ...);
    return *this;
  }
  /// True when there is a row. At the end, and on failure, the statement is reset.
  bool step();
  /// For statements without rows. What was changed is the result.
  std::uint64_t run();
  /// Gives up the rows that are left.
  void reset() { ::sqlite3_reset(handle_); }

  // Columns of the row, from 0. A view is valid until the next step or reset.
  [[nodiscard]] std::int64_t integer(int column) const { return ::sqlite3_column_int64(handle_, column); }
  [[nodiscard]] std::uint64_t natural(int column) const { return static_cast<std::uint64_t>(integer(column)); }
  [[nodiscard]] std::string_view bytes(int column) const;
  [[nodiscard]] bool is_null(int column) const { return ::sqlite3_column_type(handle_, column) == SQLITE_NULL; }

 private:
  void bind(int at, std::int64_t value) { in_.check(::sqlite3_bind_int64(handle_, at, value)); }
  void bind(int at, std::uint64_t value) { bind(at, static_cast<std::int64_t>(value)); }
  void bind(int at, std::uint32_t value) { bind(at, std::int64_t{value}); }
  void bind(int at, bool value) { bind(at, std::int64_t{value ? 1 : 0}); }
  void bind(int at, std::string_view value);
  void bind(int at, const std::string& value) { bind(at, std::string_view{value}); }
  void bind(int at, std::nullptr_t) { in_.check(::sqlite3_bind_null(handle_, at)); }

  const sqlite_database& in_;
  sqlite3_stmt* handle_ = nullptr;
};

/// Resets a statement whose rows are not all read, however a function is left: an open read would keep the file's journal from being reset.
class sqlite_rows {
 public:
  explicit sqlite_rows(sqlite_statement& of) : of_{of} {}
  ~sqlite_rows() { of_.reset(); }
  sqlite_rows(const sqlite_rows&) = delete;
  sqlite_rows& operator=(const sqlite_rows&) = delete;
  bool next() { return of_.step(); }

 private:
  sqlite_statement& of_;
};

}  // namespace waggle::storage
