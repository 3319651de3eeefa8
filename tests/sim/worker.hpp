#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <waggle/detail/worker_core.hpp>

#include "sim/actor.hpp"

namespace waggle::sim {

/// A process that serves: the SDK's `worker_core`, with handlers that take virtual time. Checks that it never has more calls of
/// a class than slots, and tells the ledger of everything that runs.
class worker : public actor {
 public:
  using actor::actor;

  void run(instant now) override;
  void start(instant now) override;
  void crash(instant now) override;
  void depart(instant now) override;
  [[nodiscard]] bool running() const override { return core_.has_value(); }
  [[nodiscard]] bool joined() const { return core_ && core_->joined(); }
  [[nodiscard]] std::size_t at_hand() const { return jobs_.size(); }
  [[nodiscard]] const service_kind* kind() const { return kind_; }

 private:
  struct job {
    detail::lease lease;
    bool quick = false;        ///< takes one of `quick_slots_`
    std::string payload;
    instant next{};            ///< its next PART or its end
    std::uint32_t parts = 0;   ///< sent
    std::uint32_t parts_to_come = 0;
    std::uint64_t credit = wire::no_credit_limit;  ///< PARTs that may still be sent
    status ends_as = status::ok;
  };
  struct sink;

  void take(instant now, const detail::lease& under, const wire::frame& in);
  void work(instant now);
  [[nodiscard]] instant next_deed(instant now) const override;

  std::optional<detail::worker_core> core_;
  const service_kind* kind_ = nullptr;
  std::uint32_t slots_ = 1;
  std::uint32_t quick_slots_ = 0;
  bool idles_ = false;
  std::vector<job> jobs_;
  wire::message message_;
  bool over_ = false;  ///< its process ends
  instant drained_by_ = instant::max();  ///< it has had enough of leaving
};

}  // namespace waggle::sim
