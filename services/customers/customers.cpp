// Customers: a table of its own, kept in memory. Shows lookup, search in two versions, creation with a named limit, and errors that
// tell the caller what to do.
#include <waggle/service.hpp>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <string>

struct customer { std::int64_t id = 0; std::string name; std::string email; std::int64_t points = 0; };
WAGGLE_FIELDS(customer, id, name, email, points)

struct by_id { std::int64_t id = 0; };
struct new_customer { std::string name; std::string email; };
struct search { std::optional<std::string> text; std::optional<std::uint32_t> limit; };
struct found { std::string looked_at; std::vector<customer> customers; };
struct thanks { std::string checkout; std::int64_t id = 0; std::int64_t cents = 0; };
WAGGLE_FIELDS(by_id, id)
WAGGLE_FIELDS(new_customer, name, email)
WAGGLE_FIELDS(search, text, limit)
WAGGLE_FIELDS(found, looked_at, customers)
WAGGLE_FIELDS(thanks, checkout, id, cents)

namespace {

using waggle::failure;
using waggle::result;
using waggle::status;

constexpr std::size_t customers_max = 10'000, thanks_max = 100'000;  // everything is bounded; a table on disk would be larger, not endless

/// Handlers run on several threads at a time, so the table has a mutex. Each handler holds it for one look, never across a call.
class table {
 public:
  result<customer> get(std::int64_t id) const {
    const std::lock_guard lock{mutex_};
    const auto at = rows_.find(id);
    if (at == rows_.end()) return failure(status::not_found, "there is no customer " + std::to_string(id));
    return at->second;
  }

  result<customer> create(const new_customer& in) {
    if (in.name.empty() || in.email.find('@') == std::string::npos) {
      return failure(status::invalid_argument, "a customer has a name, and an email with an @");
    }
    const std::lock_guard lock{mutex_};
    for (const auto& [id, each] : rows_) {
      if (each.email == in.email) return failure(status::already_exists, in.email + " is customer " + std::to_string(id));
    }
    if (rows_.size() >= customers_max) return failure(status::resource_exhausted, "there are 10,000 customers, as many as there may be");
    const auto id = rows_.rbegin()->first + 1;
    return rows_[id] = {id, in.name, in.email};
  }

  std::vector<customer> search_in(const search& in, bool emails_too) const {
    const auto text = in.text.value_or("");
    const auto limit = std::min(in.limit.value_or(20), 100u);
    const std::lock_guard lock{mutex_};
    std::vector<customer> out;
    for (const auto& [id, each] : rows_) {
      if (out.size() >= limit) break;
      if (each.name.find(text) != each.name.npos || (emails_too && each.email.find(text) != each.email.npos)) out.push_back(each);
    }
    return out;
  }

  /// One point for each whole 100 cents, and once for each checkout: whoever is not sure that he was heard asks again.
  result<customer> thank(const thanks& in) {
    const std::lock_guard lock{mutex_};
    const auto at = rows_.find(in.id);
    if (at == rows_.end()) return failure(status::not_found, "there is no customer " + std::to_string(in.id));
    if (thanked_.size() >= thanks_max) return failure(status::resource_exhausted, "there are as many thanks as there may be");
    if (!thanked_.insert(in.checkout).second) return at->second;
    at->second.points += std::clamp<std::int64_t>(in.cents, 0, 1'000'000) / 100;
    return at->second;
  }

 private:
  mutable std::mutex mutex_;
  std::set<std::string> thanked_;
  std::map<std::int64_t, customer> rows_{{1, {1, "Ada", "ada@example.org"}}, {2, {2, "Grace", "grace@example.org"}},
                                         {3, {3, "Karl", "frisch@example.org"}}};
};

}  // namespace

int main(int argc, char** argv) {
  table customers;
  waggle::service service{"customers", "1.0.0"};

  service.on("customers.get", [&](const by_id& in) { return customers.get(in.id); })
      .doc("One customer.").http("GET /customers/{id}").safe();
  service.on("customers.search", [&](const search& in) { return found{"names", customers.search_in(in, false)}; })
      .doc("Customers whose names contain a text.").http("GET /customers").safe();
  // A new version is a new command beside the old one. Who gets which is for the routes to say: see shop/routes/search.yaml.
  service.on("customers.search.v2", [&](const search& in) { return found{"names and emails", customers.search_in(in, true)}; })
      .doc("Customers whose names or emails contain a text.").safe();
  service.on("customers.create", [&](const new_customer& in, waggle::context& with) -> result<customer> {
    auto made = customers.create(in);
    if (!made) return made;
    // Leaves with the reply, and only if there is one.
    if (const auto noted = with.emit("customer.created", *made); !noted) return tl::unexpected{noted.error()};
    return made;
  }).doc("A new customer; 409 if the email has one.").http("POST /customers");
  service.on("customers.thank", [&](const thanks& in) { return customers.thank(in); })
      .doc("Points for what a customer has paid: one for each 100 cents, once for each checkout.").idempotent();

  return service.run(argc, argv);
}
