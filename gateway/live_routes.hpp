#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <waggle/net/poll.hpp>

#include "gateway/config_watch.hpp"
#include "gateway/live_config.hpp"

namespace waggle::gateway {

/// The routes of a process, read again when their files, or those of keys that they name, change and when it is told to: all of them, or, if anything is wrong,
/// none.
class live_routes {
 public:
  /// `first` is what was read of `paths` at the start; `say` takes lines for people, from any thread.
  live_routes(config first, std::vector<std::string> paths, std::function<void(std::string_view)> say);
  ~live_routes();
  live_routes(const live_routes&) = delete;
  live_routes& operator=(const live_routes&) = delete;

  [[nodiscard]] const std::shared_ptr<live_config>& now() const { return live_; }
  /// From now on files are watched; `changed` is called, from any thread, after each replacement.
  void watch(std::function<void()> changed);
  void reload();
  /// Nothing is read again, and `changed` is not called any more.
  void end();

 private:
  void run();
  void take();
  void watch_files(const config& of);
  [[nodiscard]] bool changed_files();

  const std::shared_ptr<live_config> live_;
  const std::vector<std::string> paths_;
  const std::function<void(std::string_view)> say_;
  std::function<void()> changed_;
  std::mutex one_at_a_time_;
  config_watch watched_;  ///< under the same lock
  net::wake_up stop_;
  std::thread thread_;
};

}  // namespace waggle::gateway
