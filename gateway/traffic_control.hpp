#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "gateway/routes/config.hpp"
#include "gateway/routes/route_table.hpp"
#include "gateway/traffic/command_guards.hpp"
#include "gateway/traffic/concurrency.hpp"
#include "gateway/traffic/cors.hpp"
#include "gateway/traffic/rate_limiter.hpp"

namespace waggle::gateway {

/// What one route bounds.
struct route_traffic {
  std::vector<rate_rule> rates;  ///< those of all routes that need to know who asks, then its own
  std::uint64_t concurrency = 0;
  std::shared_ptr<concurrency_count> under_way;  ///< null: it has no bound
};

/// What a configuration says of who may ask how much, with the counts that this needs. It does not change; the counts do.
struct traffic_plan {
  proxies_config proxies;
  std::optional<cors_policy> cors;
  std::vector<rate_rule> first_rates;  ///< of all requests, by address alone: before anything is known of a request
  route_traffic usual;                 ///< of what is no route of a file
  std::vector<route_traffic> routes;   ///< by route_config::number
  std::shared_ptr<command_guards> commands;  ///< null: neither breaker nor retries
  bool tells_clients_apart = false;  ///< something depends on a client's address: limits, or that proxies say whose it is

  [[nodiscard]] const route_traffic& of(const route& taken) const {
    return taken.what.number && *taken.what.number < routes.size() ? routes[*taken.what.number] : usual;
  }
};

/// What all reactor threads of a gateway count together. Any thread may call it.
class traffic_control {
 public:
  traffic_control();
  /// The plan of a configuration, which is the same for all who ask with its revision. Limits whose terms have not changed go on with the counts that they had.
  [[nodiscard]] std::shared_ptr<const traffic_plan> plan_of(const config& from, std::uint64_t revision);
  /// Credentials that were not good, by address: 20 at once, then one every 3 s. A person who mistypes has no more, and nobody keeps a thread busy with signatures.
  [[nodiscard]] rate_table& failed_credentials() { return *failed_credentials_; }
  /// The latest plan; null before the first.
  [[nodiscard]] std::shared_ptr<const traffic_plan> now() const;

 private:
  using tables = std::map<std::string, std::shared_ptr<rate_table>>;
  rate_rule rule_of(const rate_config& from, const std::string& where, tables& used);

  mutable std::mutex mutex_;
  siphash_key secret_;
  std::shared_ptr<std::atomic<std::size_t>> places_ = std::make_shared<std::atomic<std::size_t>>(0);
  std::unique_ptr<rate_table> failed_credentials_;
  tables tables_;
  std::map<std::string, std::shared_ptr<concurrency_count>> under_way_;  ///< by route
  std::shared_ptr<command_guards> commands_;
  std::shared_ptr<const traffic_plan> plan_;
  std::uint64_t revision_ = 0;
};

}  // namespace waggle::gateway
