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

/// The routes of a process, read again when their files change and when it is told to: all of them, or, if anything is wrong, none.
class live_routes {
 public:
  /// Another part of the process that takes a configuration, or says what is wrong with it for that part; and files of its own that count
  /// like those of the configuration. What it returns is called once nobody has said that anything is wrong.
  struct part {
    std::function<tl::expected<std::function<void()>, std::vector<std::string>>(const config&)> prepare;
    std::vector<std::string> files;
  };

  /// `first` is what was read of `paths` at the start; `say` takes lines for people, from any thread.
  live_routes(config first, std::vector<std::string> paths, std::function<void(std::string_view)> say, part other = {});
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
  void watch_files_of(const config& of);

  const std::shared_ptr<live_config> live_;
  const std::vector<std::string> paths_;
  const std::function<void(std::string_view)> say_;
  const part other_;
  std::function<void()> changed_;
  std::mutex one_at_a_time_;
  config_watch watched_;
  net::wake_up stop_;
  std::thread thread_;
};

}  // namespace waggle::gateway
