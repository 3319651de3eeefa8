#include "broker/storage/sqlite_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

namespace waggle::storage {
namespace {

/// What the process that has the lock has written into it.
std::string owner_of(int lock) {
  std::array<char, 32> text{};
  const auto size = ::pread(lock, text.data(), text.size(), 0);
  std::string out;
  for (ssize_t i = 0; i < size && text[static_cast<std::size_t>(i)] >= '0' && text[static_cast<std::size_t>(i)] <= '9'; ++i) {
    out += text[static_cast<std::size_t>(i)];
  }
  return out;
}

}  // namespace

sqlite_folder::~sqlite_folder() {
  if (lock_ >= 0) ::close(lock_);
}

result<void> sqlite_folder::take(const std::filesystem::path& path, std::string_view owner) {
  std::error_code failed;
  const bool is_new = std::filesystem::create_directories(path, failed);
  if (failed) {
    return failure(status::failed_precondition, "the folder " + path.string() + " cannot be made (" + failed.message() +
                                                    "); choose another one with --data, or --data none");
  }
  if (is_new) sync_folder(std::filesystem::absolute(path).parent_path());
  const auto file = path / "lock";
  lock_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) {
    return failure(status::failed_precondition,
                   file.string() + " cannot be opened (" + std::strerror(errno) + "); look at the folder's owner and permissions");
  }
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const auto process = owner_of(lock_);
    return failure(status::failed_precondition, "the folder " + path.string() + " is in use by another " + std::string{owner} +
                                                    (process.empty() ? "" : " (process " + process + ")") +
                                                    "; end that one, or choose another folder with --data");
  }
  // For the message above. A full disk does not matter here.
  const auto process = std::to_string(::getpid()) + '\n';
  if (::ftruncate(lock_, 0) == 0) [[maybe_unused]] const auto size = ::pwrite(lock_, process.data(), process.size(), 0);
  return {};
}

void sync_folder(const std::filesystem::path& path) {
  const int folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  ::fsync(folder);
  ::close(folder);
}

}  // namespace waggle::storage
