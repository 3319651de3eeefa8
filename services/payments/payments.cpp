// Payments: pretends to charge cards. Shows a step that fails for reasons of its own after others have succeeded, and a compensation
// that may arrive before what it undoes.
#include <waggle/service.hpp>

#include <map>
#include <mutex>
#include <string>

enum class payment_state { charged, refunded };
WAGGLE_ENUM(payment_state, charged, refunded)

struct charge { std::string payment; std::string card; std::int64_t cents = 0; };
struct refund { std::string payment; };
struct payment { std::string payment; std::int64_t cents = 0; payment_state state = payment_state::charged; };
WAGGLE_FIELDS(charge, payment, card, cents)
WAGGLE_FIELDS(refund, payment)
WAGGLE_FIELDS(payment, payment, cents, state)

namespace {

using waggle::failure;
using waggle::result;
using waggle::status;

constexpr std::size_t payments_max = 100'000;

class table {
 public:
  /// The caller names the payment: to charge it a second time is to be told again that it is charged.
  result<payment> take(const charge& in) {
    if (in.cents < 1) return failure(status::invalid_argument, "a charge is of at least one cent");
    const std::lock_guard lock{mutex_};
    if (const auto known = payments_.find(in.payment); known != payments_.end()) {
      if (known->second.state == payment_state::charged) return known->second;
      return failure(status::failed_precondition, "payment " + in.payment + " was refunded; name a new one");
    }
    if (in.card.ends_with("0000")) return failure(status::failed_precondition, "the card was declined");
    if (payments_.size() >= payments_max) return failure(status::resource_exhausted, "there are as many payments as there may be");
    return payments_[in.payment] = {in.payment, in.cents, payment_state::charged};
  }

  /// A payment that is not known is refunded, too: should its charge still come, it is refused.
  result<payment> give_back(const refund& in) {
    const std::lock_guard lock{mutex_};
    if (!payments_.contains(in.payment) && payments_.size() >= payments_max) {
      return failure(status::resource_exhausted, "there are as many payments as there may be");
    }
    auto& of = payments_[in.payment];
    of.payment = in.payment;
    of.state = payment_state::refunded;
    return of;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, payment> payments_;
};

}  // namespace

int main(int argc, char** argv) {
  table payments;
  waggle::service service{"payments", "1.0.0"};

  service.on("payments.charge", [&](const charge& in) { return payments.take(in); })
      .doc("Charges a card, under a name that the caller chooses. Cards that end in 0000 are declined.").keyed("payment").idempotent();
  service.on("payments.refund", [&](const refund& in) { return payments.give_back(in); })
      .doc("Undoes a charge; once or more, whether it was made or not.").keyed("payment").idempotent();

  return service.run(argc, argv);
}
