#include "gateway/traffic_control.hpp"

#include <algorithm>
#include <random>
#include <utility>

namespace waggle::gateway {
namespace {

constexpr rate_terms failed_credentials_terms{20, std::chrono::milliseconds{60'000}, 20};

/// What tells a route from every other, over changes of the files that it stands in.
std::string name_of(const route_config& of) {
  auto out = of.method + ' ' + of.path.text();
  for (const auto& each : of.when) {
    out += "\n" + each.of.written();
    for (const auto& text : each.is) out += "\n=" + text;
  }
  return out;
}

bool by_address_alone(const rate_config& of) { return of.by.size() == 1 && of.by.front().is == rate_by::kind::address; }

}  // namespace

traffic_control::traffic_control() {
  std::random_device entropy;
  for (auto& each : secret_) each = (std::uint64_t{entropy()} << 32) | entropy();
  failed_credentials_ = std::make_unique<rate_table>(failed_credentials_terms, secret_);
}

rate_rule traffic_control::rule_of(const rate_config& from, const std::string& where, tables& used) {
  const auto& terms = from.terms;
  auto key = where + '\n' + from.name + '\n' + std::to_string(terms.limit) + '/' + std::to_string(terms.per.count()) + '/' + std::to_string(terms.burst);
  for (const auto& each : from.by) {
    key += '\n' + std::to_string(static_cast<int>(each.is));
    for (const auto& step : each.claim) key += '.' + step;
  }
  const auto before = tables_.find(key);
  auto& table = used[key];
  if (!table) table = before != tables_.end() ? before->second : std::make_shared<rate_table>(terms, secret_, places_);
  return {from.name, from.by, table};
}

std::shared_ptr<const traffic_plan> traffic_control::plan_of(const config& from, std::uint64_t revision) {
  const std::lock_guard hold{mutex_};
  // A thread that is late makes its plan anew, which is then nobody else's.
  if (plan_ && revision_ == revision) return plan_;
  auto made = std::make_shared<traffic_plan>();
  tables used;
  std::map<std::string, std::shared_ptr<concurrency_count>> under_way;
  made->proxies = from.proxies;
  made->tells_clients_apart = !from.proxies.networks.empty() || !from.rates.empty() ||
                              std::any_of(from.routes.begin(), from.routes.end(), [](const auto& each) { return !each.rates.empty(); });
  if (from.cors) {
    auto with = *from.cors;
    if (from.identity.api_keys) with.headers.push_back(from.identity.api_keys->header);  // whatever it is called here
    made->cors.emplace(std::move(with));
  }
  for (const auto& each : from.rates) (by_address_alone(each) ? made->first_rates : made->usual.rates).push_back(rule_of(each, "", used));
  for (const auto& each : from.routes) {
    auto& route = made->routes.emplace_back(made->usual);
    if (each.rates.empty() && !each.concurrency) continue;
    const auto name = name_of(each);
    for (const auto& rate : each.rates) route.rates.push_back(rule_of(rate, name, used));
    if (!each.concurrency) continue;
    route.concurrency = *each.concurrency;
    const auto before = under_way_.find(name);
    route.under_way = under_way[name] = before != under_way_.end() ? before->second : std::make_shared<concurrency_count>(0);
  }
  if (from.breaker || from.retries) {
    made->commands = commands_ && commands_->made_of(from.breaker, from.retries) ? commands_ : std::make_shared<command_guards>(from.breaker, from.retries);
  }
  if (plan_ && revision < revision_) return made;
  tables_ = std::move(used);
  under_way_ = std::move(under_way);
  commands_ = made->commands;
  revision_ = revision;
  return plan_ = std::move(made);
}

std::shared_ptr<const traffic_plan> traffic_control::now() const {
  const std::lock_guard hold{mutex_};
  return plan_;
}

}  // namespace waggle::gateway
