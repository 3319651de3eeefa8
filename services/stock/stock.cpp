// Stock: what there is, and who has reserved how much of it. Shows actors (commands with a key) and a compensation: stock.release
// takes back what stock.reserve did, however often it is called, and also when there was nothing to take back.
#include <waggle/service.hpp>

#include <algorithm>
#include <map>
#include <mutex>
#include <string>

struct level { std::string sku; std::int64_t count = 0; std::int64_t price = 0; };
struct wanted_levels { std::optional<std::vector<std::string>> sku; };
struct levels { std::vector<level> levels; };
WAGGLE_FIELDS(level, sku, count, price)
WAGGLE_FIELDS(wanted_levels, sku)
WAGGLE_FIELDS(levels, levels)

struct reserve { std::string reservation; std::string sku; std::int64_t count = 0; };
struct release { std::string reservation; std::string sku; };
struct reservation { std::string reservation; std::string sku; std::int64_t count = 0; std::int64_t price = 0; std::int64_t total_cents = 0; };
struct released { std::int64_t count = 0; };
WAGGLE_FIELDS(reserve, reservation, sku, count)
WAGGLE_FIELDS(release, reservation, sku)
WAGGLE_FIELDS(reservation, reservation, sku, count, price, total_cents)
WAGGLE_FIELDS(released, count)

namespace {

using waggle::failure;
using waggle::result;
using waggle::status;

constexpr std::size_t reservations_max = 100'000;
constexpr std::int64_t count_max = 1000;

class table {
 public:
  /// All of it, or what is asked for; what is asked for and unknown is left out.
  levels look(const wanted_levels& in) const {
    const std::lock_guard lock{mutex_};
    levels out;
    for (const auto& [sku, each] : levels_) {
      if (!in.sku || std::find(in.sku->begin(), in.sku->end(), sku) != in.sku->end()) out.levels.push_back(each);
    }
    return out;
  }

  /// The caller names the reservation: to ask a second time for the same one, because no answer came, reserves nothing more.
  result<reservation> take(const reserve& in) {
    if (in.count < 1 || in.count > count_max) return failure(status::invalid_argument, "a count is 1 to 1000");
    const std::lock_guard lock{mutex_};
    if (const auto known = reservations_.find(in.reservation); known != reservations_.end()) return known->second;
    const auto at = levels_.find(in.sku);
    if (at == levels_.end()) return failure(status::not_found, "there is no " + in.sku);
    auto& of = at->second;
    if (of.count < in.count) {
      return failure(status::failed_precondition, "there are " + std::to_string(of.count) + " of " + in.sku + ", not " + std::to_string(in.count));
    }
    if (reservations_.size() >= reservations_max) return failure(status::resource_exhausted, "there are as many reservations as there may be");
    of.count -= in.count;
    return reservations_[in.reservation] = {in.reservation, in.sku, in.count, of.price, of.price * in.count};
  }

  /// Never fails: a compensation is called when it is not known whether there is anything to undo.
  released give_back(const release& in) {
    const std::lock_guard lock{mutex_};
    const auto at = reservations_.find(in.reservation);
    if (at == reservations_.end()) return {};
    const auto count = at->second.count;
    levels_[at->second.sku].count += count;
    reservations_.erase(at);
    return {count};
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, level> levels_{{"candle", {"candle", 40, 450}}, {"hive", {"hive", 2, 18'900}}, {"honey", {"honey", 100, 650}}};
  std::map<std::string, reservation> reservations_;
};

}  // namespace

int main(int argc, char** argv) {
  table stock;
  waggle::service service{"stock", "1.0.0"};

  service.on("stock.levels", [&](const wanted_levels& in) { return stock.look(in); })
      .doc("What there is: counts, and prices in cents.").http("GET /stock").safe();
  // Keyed by the sku, in one group: calls for one sku run one at a time and in order, so a release never overtakes its reserve. Both
  // may run twice, which is what idempotent() says: waggle then calls again when a worker dies.
  service.on("stock.reserve", [&](const reserve& in) { return stock.take(in); })
      .doc("Takes from the stock, under a name that the caller chooses.").keyed("sku").idempotent();
  service.on("stock.release", [&](const release& in) { return stock.give_back(in); })
      .doc("Undoes a reservation; once or more, whether it was made or not.").keyed("sku").idempotent();

  return service.run(argc, argv);
}
