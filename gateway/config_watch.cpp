#include "gateway/config_watch.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>

namespace waggle::gateway {

namespace fs = std::filesystem;

config_watch::config_watch(std::span<const std::string> paths)
    : descriptor_{::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)}, paths_{paths.begin(), paths.end()} {
  if (descriptor_ >= 0) look();
}

void config_watch::watch_also(std::vector<std::string> files) {
  if (files == files_) return;
  files_ = std::move(files);
  if (descriptor_ >= 0) look();
}

/// Watches what now stands where the paths lead: after a change it may be another directory than before.
void config_watch::look() {
  std::map<int, directory> now;
  const auto watch = [&](const fs::path& where) -> directory* {
    const int watched = ::inotify_add_watch(descriptor_, where.c_str(),
                                            IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO);
    return watched < 0 ? nullptr : &now[watched];
  };
  const auto look_at = [&](const std::string& each) {
    fs::path path{each};
    if (!path.has_filename()) path = path.parent_path();  // a slash at the end
    std::error_code ignored;
    if (fs::is_directory(path, ignored)) {
      if (auto* const of = watch(path)) of->all = true;
    }
    if (auto* const of = watch(path.has_parent_path() ? path.parent_path() : fs::path{"."})) of->names.insert(path.filename().string());
  };
  std::for_each(paths_.begin(), paths_.end(), look_at);
  std::for_each(files_.begin(), files_.end(), look_at);
  for (const auto& [watched, of] : watched_) {
    if (!now.contains(watched)) ::inotify_rm_watch(descriptor_, watched);
  }
  watched_ = std::move(now);
}

config_watch::~config_watch() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool config_watch::take() {
  bool changed = false;
  alignas(inotify_event) std::array<char, 4096> buffer;
  for (ssize_t size; (size = ::read(descriptor_, buffer.data(), buffer.size())) > 0;) {
    for (ssize_t at = 0; at < size;) {
      inotify_event event;
      std::memcpy(&event, buffer.data() + at, sizeof event);
      const std::string_view name{event.len == 0 ? "" : buffer.data() + at + sizeof event};
      at += static_cast<ssize_t>(sizeof event + event.len);
      if ((event.mask & IN_Q_OVERFLOW) != 0) changed = true;
      const auto of = watched_.find(event.wd);
      if (of == watched_.end()) continue;
      // "..data" is what Kubernetes turns when the files of a volume change.
      const bool one_of_all = of->second.all && (name.ends_with(".yaml") || name.ends_with(".yml"));
      changed = changed || one_of_all || name == "..data" || of->second.names.contains(std::string{name});
    }
  }
  if (changed) look();
  return changed;
}

}  // namespace waggle::gateway
