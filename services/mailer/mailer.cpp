// Letters: what follows from an order and need not be done before its answer. Shows a handler of events: each order once, in order for each
// customer, again when it fails, and after the service has been away.
#include <waggle/service.hpp>

#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>

// Of what an order says, what a letter needs; the rest is stepped over.
struct customer_ref { std::int64_t id = 0; };
struct order { std::int64_t id = 0; customer_ref customer; };
struct letter { std::int64_t order = 0; std::string text; };
struct of_customer { std::int64_t customer = 0; };
struct letters { std::vector<letter> letters; };
WAGGLE_FIELDS(customer_ref, id)
WAGGLE_FIELDS(order, id, customer)
WAGGLE_FIELDS(letter, order, text)
WAGGLE_FIELDS(of_customer, customer)
WAGGLE_FIELDS(letters, letters)

namespace {

constexpr std::size_t written_max = 100'000;  // everything is bounded; a table on disk would be larger, not endless

class outbox {
 public:
  /// Whether it is new: an event may come twice, as when this service dies between its work and saying so.
  bool write(const std::string& event, const order& about) {
    const std::lock_guard lock{mutex_};
    if (!seen_.insert(event).second) return false;
    order_.push_back(event);
    written_[about.customer.id].push_back({about.id, "Thank you for order " + std::to_string(about.id) + "."});
    if (order_.size() > written_max) {
      seen_.erase(order_.front());
      order_.pop_front();
    }
    return true;
  }

  std::vector<letter> to(std::int64_t customer) const {
    const std::lock_guard lock{mutex_};
    const auto at = written_.find(customer);
    return at == written_.end() ? std::vector<letter>{} : at->second;
  }

 private:
  mutable std::mutex mutex_;
  std::set<std::string> seen_;
  std::deque<std::string> order_;  ///< of what was seen
  std::map<std::int64_t, std::vector<letter>> written_;
};

}  // namespace

int main(int argc, char** argv) {
  outbox letters_out;
  waggle::service service{"mailer", "1.0.0"};

  // `orders.place` gave the customer as the event's key: of one customer the letters are written in the order of the orders.
  service.on_event("order.placed", [&](const order& in, waggle::context& with) { letters_out.write(with.event()->id, in); })
      .doc("Writes a letter for each order.").from_beginning().attempts(5);
  service.on("mailer.letters", [&](const of_customer& in) { return letters{letters_out.to(in.customer)}; })
      .doc("The letters to a customer.").http("GET /customers/{customer}/letters").safe();

  return service.run(argc, argv);
}
