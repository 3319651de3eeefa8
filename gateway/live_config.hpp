#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "gateway/routes/config.hpp"

namespace waggle::gateway {

/// The configuration as it is now, which all threads read and the main thread replaces, as a whole. Reactor threads look at it only
/// when they are told to.
class live_config {
 public:
  explicit live_config(config first = {}) : now_{std::make_shared<const config>(std::move(first))} {}

  void replace(config by) {
    auto made = std::make_shared<const config>(std::move(by));
    const std::lock_guard hold{mutex_};
    now_ = std::move(made);
    ++revision_;
  }
  /// The configuration and a number that grows with each replacement.
  [[nodiscard]] std::pair<std::shared_ptr<const config>, std::uint64_t> now() const {
    const std::lock_guard hold{mutex_};
    return {now_, revision_};
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const config> now_;
  std::uint64_t revision_ = 1;
};

}  // namespace waggle::gateway
