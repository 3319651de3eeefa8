#pragma once

#include <chrono>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace waggle::gateway {

/// Tells when one of some files, or a file of some directories, may have changed (inotify). It looks at the directories, so that an
/// editor that writes a new file in the place of the old one, or a symbolic link that is turned, is noticed; and at where a directory
/// itself stands, so that another one in its place is.
class config_watch {
 public:
  explicit config_watch(std::span<const std::string> paths);
  ~config_watch();
  config_watch(const config_watch&) = delete;
  config_watch& operator=(const config_watch&) = delete;

  /// These beside the paths, from now on.
  void watch_also(std::vector<std::string> files);
  /// To be polled for reading; -1 if the system has none left, and then only SIGHUP reloads.
  [[nodiscard]] int descriptor() const { return descriptor_; }
  /// Takes what the descriptor has to say. True if something that matters has changed.
  [[nodiscard]] bool take();

 private:
  struct directory {
    bool all = false;  ///< that looks like configuration
    std::set<std::string> names;
  };
  void look();

  int descriptor_ = -1;
  const std::vector<std::string> paths_;
  std::vector<std::string> files_;
  std::map<int, directory> watched_;
};

/// So long after a change files are left alone: several that change together are read once, and whole.
inline constexpr std::chrono::milliseconds config_settle_time{200};

}  // namespace waggle::gateway
