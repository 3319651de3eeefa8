#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "gateway/front/application.hpp"

namespace waggle::gateway {

struct retry_terms {
  unsigned attempts = 2;         ///< of one call, the first one counted
  unsigned budget_percent = 10;  ///< of the calls that may be tried again: so many more there may be
  friend bool operator==(const retry_terms&, const retry_terms&) = default;
};

/// Of one command: how many calls may be tried again, so that a service in trouble is not buried in repetitions. Each call pays in its percentage of a
/// retry, each second one retry besides (a command that is called seldom would never have one); at most `saved_max` are saved.
class retry_budget {
 public:
  static constexpr std::uint64_t saved_max = 10;

  explicit retry_budget(front::instant now) : since_{now} {}
  void pay_in(const retry_terms& terms) { hundredths_ = std::min(hundredths_ + terms.budget_percent, saved_max * 100); }
  /// Takes one retry, if there is one.
  [[nodiscard]] bool take(front::instant now) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now - since_);
    if (seconds.count() > 0) {
      since_ += seconds;
      hundredths_ = std::min(hundredths_ + 100 * static_cast<std::uint64_t>(std::min<std::int64_t>(seconds.count(), saved_max)), saved_max * 100);
    }
    if (hundredths_ < 100) return false;
    hundredths_ -= 100;
    return true;
  }

 private:
  std::uint64_t hundredths_ = saved_max * 100;
  front::instant since_;
};

}  // namespace waggle::gateway
