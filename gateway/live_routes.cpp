#include "gateway/live_routes.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

namespace waggle::gateway {

live_routes::live_routes(config first, std::vector<std::string> paths, std::function<void(std::string_view)> say, part other)
    : live_{std::make_shared<live_config>(std::move(first))}, paths_{std::move(paths)}, say_{std::move(say)}, other_{std::move(other)}, watched_{paths_} {
  const auto now = live_->now().first;
  watch_files_of(*now);
  for (const auto& each : now->warnings) say_(each);
}

live_routes::~live_routes() { end(); }

void live_routes::end() {
  stop_.raise();
  if (thread_.joinable()) thread_.join();
}

void live_routes::watch(std::function<void()> changed) {
  changed_ = std::move(changed);
  if (!(paths_.empty() && other_.files.empty()) && watched_.descriptor() >= 0) thread_ = std::thread{[this] { run(); }};
}

void live_routes::reload() {
  const std::lock_guard hold{one_at_a_time_};
  try {
    take();
  } catch (const std::exception& e) {
    say_(std::string{"the routes cannot be read again: "} + e.what());
  } catch (...) {
    say_("the routes cannot be read again");
  }
}

void live_routes::watch_files_of(const config& of) {
  auto files = other_.files;
  files.insert(files.end(), of.files.begin(), of.files.end());
  watched_.watch_also(std::move(files));
}

void live_routes::take() {
  auto routes = load_config(paths_);
  auto prepared = routes && other_.prepare ? other_.prepare(*routes) : tl::expected<std::function<void()>, std::vector<std::string>>{};
  if (!routes || !prepared) {
    for (const auto& each : routes ? prepared.error() : routes.error()) say_(each);
    return say_(fmt::format("goes on with {} it had, until this is mended", paths_.empty() ? "what" : "the routes"));
  }
  const auto before = live_->now().first;
  if (routes->limits != before->limits) say_("the limits have changed: they count from the next start");
  for (const auto& each : routes->warnings) say_(each);
  const auto &now = routes->idempotency, &then = before->idempotency;
  if (now.entries != then.entries || now.bytes != then.bytes) say_("how many answers under Idempotency-Keys are kept has changed: it counts from the next start");
  const auto count = routes->routes.size();
  watch_files_of(*routes);
  live_->replace(std::move(*routes));
  if (*prepared) (*prepared)();
  if (changed_) changed_();
  if (!paths_.empty()) say_(fmt::format("took {} route{} from {}", count, count == 1 ? "" : "s", fmt::join(paths_, ", ")));
}

void live_routes::run() {
  using clock = std::chrono::steady_clock;
  for (auto due = clock::time_point::max();;) {
    int timeout = -1;
    if (due != clock::time_point::max()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - clock::now());
      timeout = static_cast<int>(std::max(left, std::chrono::milliseconds{0}).count());
    }
    pollfd both[2] = {{stop_.descriptor(), POLLIN, 0}, {watched_.descriptor(), POLLIN, 0}};
    ::poll(both, 2, timeout);
    if (both[0].revents != 0) return;
    // Other files of the same directory may change all the time.
    const auto is_changed = [&] {
      const std::lock_guard hold{one_at_a_time_};
      return watched_.take();
    };
    if (both[1].revents != 0 && is_changed()) {
      due = clock::now() + config_settle_time;
    } else if (due <= clock::now()) {
      due = clock::time_point::max();
      reload();
    }
  }
}

}  // namespace waggle::gateway
