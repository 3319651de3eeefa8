#include "gateway/identity/key_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

namespace waggle::gateway {
namespace {

namespace fs = std::filesystem;

tl::unexpected<key_file_error> failed(const std::string& what) { return tl::unexpected{key_file_error{what + ": " + std::strerror(errno), false}}; }

/// A descriptor that is closed.
class file {
 public:
  file(const std::string& path, int flags, mode_t mode = 0) : descriptor_{::open(path.c_str(), flags | O_CLOEXEC, mode)} {}
  ~file() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  file(const file&) = delete;
  file& operator=(const file&) = delete;
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_;
};

bool write_all(int to, std::string_view text) {
  while (!text.empty()) {
    const auto count = ::write(to, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

}  // namespace

tl::expected<std::vector<api_key>, key_file_error> read_key_file(const std::string& path) {
  const file in{path, O_RDONLY};
  if (in.get() < 0 && errno == ENOENT) return std::vector<api_key>{};
  if (in.get() < 0) return failed(path + " cannot be read");
  std::string text;
  char piece[1 << 16];
  while (text.size() <= api_keys_bytes_max) {
    const auto count = ::read(in.get(), piece, sizeof piece);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed(path + " cannot be read");
    if (count == 0) break;
    text.append(piece, static_cast<std::size_t>(count));
  }
  auto keys = read_api_keys(text);
  if (keys) return std::move(*keys);
  std::string why;
  for (const auto& each : keys.error()) why += (why.empty() ? "" : "\n") + path + ':' + each;
  return tl::unexpected{key_file_error{std::move(why), true}};
}

tl::expected<void, key_file_error> change_key_file(const std::string& path, const std::function<std::string(std::vector<api_key>&)>& change) {
  // Where a link leads, so that it stays one.
  std::error_code unknown;
  const auto real = fs::is_symlink(path, unknown) ? fs::weakly_canonical(path).string() : path;
  const file lock{real + ".lock", O_RDWR | O_CREAT, 0600};
  if (lock.get() < 0) return failed(real + ".lock cannot be made");
  while (::flock(lock.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return failed(real + ".lock cannot be locked");
  }
  auto keys = read_key_file(real);
  if (!keys) return tl::unexpected{keys.error()};
  if (auto why = change(*keys); !why.empty()) return tl::unexpected{key_file_error{std::move(why), false}};
  std::string text = "# API keys: their hashes, not the keys. Written by `waggle keys`, one in a line.\n";
  for (const auto& each : *keys) text += written(each) + '\n';
  if (auto again = read_api_keys(text); !again) return tl::unexpected{key_file_error{path + ':' + again.error().front(), true}};

  const auto made = real + ".new";
  ::unlink(made.c_str());  // of one that was interrupted
  const file out{made, O_WRONLY | O_CREAT | O_EXCL, 0600};
  if (out.get() < 0) return failed(made + " cannot be made");
  // Whom it belonged to may read it still: the gateway need not be who runs this.
  struct stat before{};
  if (::stat(real.c_str(), &before) == 0 && ::fchown(out.get(), before.st_uid, before.st_gid) != 0 && errno != EPERM) return failed(made + " cannot be given away");
  if (!write_all(out.get(), text) || ::fsync(out.get()) != 0 || ::rename(made.c_str(), real.c_str()) != 0) {
    const auto why = failed(real + " cannot be written");
    ::unlink(made.c_str());
    return why;
  }
  const auto parent = fs::path{real}.parent_path().string();
  const file directory{parent.empty() ? "." : parent, O_RDONLY | O_DIRECTORY};
  if (directory.get() < 0 || ::fsync(directory.get()) != 0) return failed(real + " is written, but may not outlive a power failure");
  return {};
}

std::array<unsigned char, 30> random_for_api_key() {
  std::array<unsigned char, 30> out{};
  if (::getentropy(out.data(), out.size()) != 0) throw std::system_error{errno, std::generic_category(), "no random bytes"};
  return out;
}

}  // namespace waggle::gateway
