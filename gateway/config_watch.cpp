#include "gateway/config_watch.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <string_view>

namespace waggle::gateway {

namespace fs = std::filesystem;

config_watch::config_watch(std::span<const std::string> paths) : descriptor_{::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)} {
  if (descriptor_ < 0) return;
  for (const auto& each : paths) {
    std::error_code ignored;
    const bool all = fs::is_directory(each, ignored);
    const fs::path path{each};
    const auto parent = path.has_parent_path() ? path.parent_path() : fs::path{"."};
    const auto directory = all ? path : parent;
    const int watched = ::inotify_add_watch(descriptor_, directory.c_str(),
                                            IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO);
    if (watched < 0) continue;
    const auto [at, first] = names_.try_emplace(watched);
    if (all) {
      at->second.clear();
    } else if (first || !at->second.empty()) {
      at->second.insert(path.filename().string());
    }
  }
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
      const auto of = names_.find(event.wd);
      if (of == names_.end()) continue;
      // "..data" is what Kubernetes turns when the files of a volume change.
      const bool one_of_all = of->second.empty() && (name.ends_with(".yaml") || name.ends_with(".yml"));
      changed = changed || one_of_all || name == "..data" || of->second.contains(std::string{name});
    }
  }
  return changed;
}

}  // namespace waggle::gateway
