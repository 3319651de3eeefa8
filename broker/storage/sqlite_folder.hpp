#pragma once

#include <filesystem>
#include <string_view>

#include <waggle/wire/error.hpp>

namespace waggle::storage {

/// The folder of a file that lasts, which one process at a time has to itself for as long as this lives.
class sqlite_folder {
 public:
  sqlite_folder() = default;
  ~sqlite_folder();
  sqlite_folder(const sqlite_folder&) = delete;
  sqlite_folder& operator=(const sqlite_folder&) = delete;

  /// Makes the folder if it is not there, and locks it. FAILED_PRECONDITION: another process has it, or it cannot be made. `owner`: what kind of
  /// program that is.
  [[nodiscard]] result<void> take(const std::filesystem::path& path, std::string_view owner);

 private:
  int lock_ = -1;
};

/// Makes sure that what was created in a folder is found there after a power cut.
void sync_folder(const std::filesystem::path& path);

}  // namespace waggle::storage
