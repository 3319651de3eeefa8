// Orders: shows two versions of one command side by side, an event that leaves with a reply, and a compensation. The old version
// answers {id, customer, total}; the new one knows lines, and cents instead of fractions.
#include <waggle/service.hpp>

#include <map>
#include <mutex>
#include <string>

struct line { std::string sku; std::int64_t count = 0; std::int64_t price = 0; };
struct buyer { std::int64_t id = 0; };
WAGGLE_FIELDS(line, sku, count, price)
WAGGLE_FIELDS(buyer, id)

struct order_v1 { std::int64_t id = 0; std::int64_t customer = 0; double total = 0; };
struct order_v2 { std::int64_t id = 0; buyer customer; std::vector<line> lines; std::int64_t total_cents = 0; };
WAGGLE_FIELDS(order_v1, id, customer, total)
WAGGLE_FIELDS(order_v2, id, customer, lines, total_cents)

struct by_id { std::int64_t id = 0; };
struct of_customer { std::int64_t customer = 0; };
struct brief { std::int64_t id = 0; std::int64_t total_cents = 0; };
struct briefs { std::vector<brief> orders; };
struct place { std::string checkout; std::int64_t customer = 0; std::vector<line> lines; };
struct placed { std::int64_t id = 0; };
struct cancel { std::string checkout; };
struct cancelled { std::int64_t orders = 0; };
WAGGLE_FIELDS(by_id, id)
WAGGLE_FIELDS(of_customer, customer)
WAGGLE_FIELDS(brief, id, total_cents)
WAGGLE_FIELDS(briefs, orders)
WAGGLE_FIELDS(place, checkout, customer, lines)
WAGGLE_FIELDS(placed, id)
WAGGLE_FIELDS(cancel, checkout)
WAGGLE_FIELDS(cancelled, orders)

namespace {

using waggle::failure;
using waggle::result;
using waggle::status;

constexpr std::size_t orders_max = 100'000, lines_max = 100;
constexpr std::int64_t count_max = 1000, price_max = 100'000'000;

class table {
 public:
  result<order_v2> get(std::int64_t id) const {
    const std::lock_guard lock{mutex_};
    const auto at = orders_.find(id);
    if (at == orders_.end()) return failure(status::not_found, "there is no order " + std::to_string(id));
    return at->second;
  }

  briefs of(std::int64_t customer) const {
    const std::lock_guard lock{mutex_};
    briefs out;
    for (const auto& [id, each] : orders_) {
      if (each.customer.id == customer) out.orders.push_back({id, each.total_cents});
    }
    return out;
  }

  /// The order, and whether it is new: a checkout that comes a second time is the order that it was.
  result<std::pair<order_v2, bool>> add(const place& in) {
    if (in.lines.empty() || in.lines.size() > lines_max) return failure(status::invalid_argument, "an order has 1 to 100 lines");
    order_v2 made{0, {in.customer}, in.lines, 0};
    for (const auto& each : in.lines) {
      if (each.count < 1 || each.count > count_max || each.price < 0 || each.price > price_max) {
        return failure(status::invalid_argument, "a line has a count of 1 to 1000, and a price of 0 to 100,000,000 cents");
      }
      made.total_cents += each.count * each.price;
    }
    const std::lock_guard lock{mutex_};
    if (const auto known = checkouts_.find(in.checkout); known != checkouts_.end()) return std::pair{orders_.at(known->second), false};
    if (orders_.size() >= orders_max) return failure(status::resource_exhausted, "there are as many orders as there may be");
    made.id = next_++;
    checkouts_.emplace(in.checkout, made.id);
    return std::pair{orders_[made.id] = made, true};
  }

  cancelled remove(const std::string& checkout) {
    const std::lock_guard lock{mutex_};
    const auto known = checkouts_.find(checkout);
    if (known == checkouts_.end()) return {};
    orders_.erase(known->second);
    checkouts_.erase(known);
    return {1};
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::int64_t, order_v2> orders_{{1001, {1001, {1}, {{"honey", 2, 650}, {"candle", 1, 450}}, 1750}},
                                           {1002, {1002, {1}, {{"hive", 1, 18'900}}, 18'900}},
                                           {1003, {1003, {2}, {{"honey", 1, 650}}, 650}}};
  std::map<std::string, std::int64_t> checkouts_;  ///< to the orders they have made
  std::int64_t next_ = 1004;
};

}  // namespace

int main(int argc, char** argv) {
  table orders;
  waggle::service service{"orders", "2.0.0"};

  service.on("orders.get", [&](const by_id& in) -> result<order_v1> {
    return orders.get(in.id).map([](const order_v2& now) { return order_v1{now.id, now.customer.id, static_cast<double>(now.total_cents) / 100}; });
  }).doc("One order, as version 1 shows it.").safe();
  service.on("orders.get.v2", [&](const by_id& in) { return orders.get(in.id); }).doc("One order, with its lines.").safe();
  service.on("orders.of_customer", [&](const of_customer& in) { return orders.of(in.customer); })
      .doc("A customer's orders, the oldest first.").http("GET /customers/{customer}/orders").safe();
  // Keyed, in one group: of one checkout a cancel never overtakes its place.
  service.on("orders.place", [&](const place& in, waggle::context& with) -> result<placed> {
    const auto made = orders.add(in);
    if (!made) return tl::unexpected{made.error()};
    if (made->second) {
      if (const auto noted = with.emit("order.placed", made->first, std::to_string(in.customer)); !noted) return tl::unexpected{noted.error()};
    }
    return placed{made->first.id};
  }).doc("Places the order of a checkout, whose name the caller chooses; emits order.placed.").keyed("checkout").idempotent();
  service.on("orders.cancel", [&](const cancel& in) { return orders.remove(in.checkout); })
      .doc("Undoes the order of a checkout; once or more, whether it was placed or not.").keyed("checkout").idempotent();

  return service.run(argc, argv);
}
