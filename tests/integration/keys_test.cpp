// A broker with keys, and what the SDK makes of it.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include <waggle/keys.hpp>

#include "integration/network_fixture.hpp"

using namespace waggle;
using namespace waggle::test;

namespace {

/// A broker that knows the peers it is told of by name, each with a role of its own.
class keyed_network {
 public:
  explicit keyed_network(std::vector<broker::role> roles) : roles_{std::move(roles)} {
    std::vector<std::string> names;
    for (const auto& each : roles_) keys_of(names.emplace_back(each.name));
    broker_.emplace(sockets_, broker::endpoints{"tcp://127.0.0.1:*", "tcp://127.0.0.1:*", "tcp://127.0.0.1:*", {}}, 1000ms, "test-broker",
                    broker::event_store::in_memory(), broker::security{pair_, peers(names), false});
  }

  [[nodiscard]] net::context& sockets() { return sockets_; }
  [[nodiscard]] const std::string& at() const { return broker_->commands(); }
  /// Only these may use it from now on.
  void replace(const std::vector<std::string>& names) { broker_->shell().replace_peers(peers(names)); }

  /// Of a name that is no role's: a stranger's.
  key_options keys_of(const std::string& name) {
    const auto path = (folder_.path / (name + ".key")).string();
    if (!keys_.contains(name)) {
      keys_[name] = net::make_key_pair();
      std::ofstream{path} << key_file_text(keys_[name], true);
      std::filesystem::permissions(path, std::filesystem::perms::owner_read);
    }
    return {path, pair_.public_key};
  }
  client_options calling_as(const std::string& name) {
    client_options out{at(), name, 100, &sockets_};
    out.keys = keys_of(name);
    return out;
  }
  event_options listening_as(const std::string& name) {
    event_options out;
    out.broker = at();
    out.sockets = &sockets_;
    out.keys = keys_of(name);
    return out;
  }
  service_options serving_as(const std::string& name) {
    service_options out;
    out.broker = at();
    out.sockets = &sockets_;
    out.keys = keys_of(name);
    return out;
  }

 private:
  broker::peers_config peers(const std::vector<std::string>& names) {
    broker::peers_config out;
    for (const auto& each : roles_) {
      if (std::find(names.begin(), names.end(), each.name) != names.end()) out.peers.push_back({each.name, out.roles.size(), keys_.at(each.name).public_key});
      out.roles.push_back({each, {}});
    }
    return out;
  }

  socket_folder folder_;
  std::vector<broker::role> roles_;
  net::key_pair pair_ = net::make_key_pair();
  std::map<std::string, net::key_pair> keys_;
  net::context sockets_;
  std::optional<running_broker> broker_;
};

const broker::role shop{.name = "shop", .serve = {"order.*"}, .publish = {"order.*"}, .subscribe = {"payment.*"}};
const broker::role clerk{.name = "clerk", .call = {"order.*"}, .publish = {"*"}};
const broker::role auditor{.name = "auditor", .subscribe = {"*"}};

}  // namespace

TEST_CASE("keys: a service, a client and subscribers work with keys as without, within their roles", "[keys]") {
  keyed_network net{{shop, clerk, auditor}};
  service orders{"orders", "1"};
  std::atomic<int> paid{0};
  orders.on("order.place", [](const nothing&, context& with) { return with.emit("order.placed", 7); });
  orders.on_event("payment.*", [&](int) { ++paid; });
  running_service running{orders, net.serving_as("shop")};
  REQUIRE(running.joined_at_all);

  auto all = subscriber::open({""}, net.listening_as("auditor"));
  REQUIRE(all);
  auto payments = subscriber::open({""}, net.listening_as("shop"));
  REQUIRE(payments);
  client caller{net.calling_as("clerk")};
  REQUIRE(caller.call<nothing>("order.place", nothing{}, 5s));
  REQUIRE(caller.emit("payment.taken", 8, 5s));
  auto publishing = publisher::open(net.listening_as("clerk"));
  REQUIRE(publishing);
  REQUIRE(publishing->emit("payment.published", 9));

  const auto topics = [](subscriber& from, std::size_t count) {
    std::vector<std::string> out;
    while (out.size() < count) {
      const auto next = from.next(5s);
      if (!next) break;
      out.push_back(next->topic);
    }
    return out;
  };
  CHECK(topics(*all, 3) == std::vector<std::string>{"order.placed", "payment.taken", "payment.published"});
  CHECK(topics(*payments, 2) == std::vector<std::string>{"payment.taken", "payment.published"});
  CHECK(eventually([&] { return paid == 2; }));

  const auto refused = caller.call<nothing>("stock.count", nothing{}, 5s);
  REQUIRE(!refused);
  CHECK(refused.error().code == status::permission_denied);
  const auto nothing_to_see = subscriber::open({""}, net.listening_as("clerk"));
  REQUIRE(!nothing_to_see);
  CHECK(nothing_to_see.error().code == status::permission_denied);
  const auto other_topics = subscriber::open({"order."}, net.listening_as("shop"));
  REQUIRE(!other_topics);
  CHECK(other_topics.error().code == status::permission_denied);
}

TEST_CASE("keys: a service whose role does not allow what it serves ends, and says so", "[keys]") {
  keyed_network net{{shop}};
  service payments{"payments", "1"};
  payments.on("payment.take", [](const nothing&) {});
  running_service running{payments, net.serving_as("shop")};
  CHECK_FALSE(running.joined_at_all);
  running.stop();
  CHECK(running.failure.find("the role \"shop\" may not serve \"payment.take\"") != std::string::npos);
}

TEST_CASE("keys: calls of a stranger end by their budgets, and say what may be the matter", "[keys]") {
  keyed_network net{{clerk}};
  client stranger{net.calling_as("stranger")};
  const auto begun = std::chrono::steady_clock::now();
  const auto none = stranger.call<nothing>("order.place", nothing{}, 300ms);
  REQUIRE(!none);
  CHECK(none.error().code == status::unavailable);
  CHECK(none.error().message.find("may have another key, or not know ours") != std::string::npos);
  CHECK(std::chrono::steady_clock::now() - begun < 5s);
}

TEST_CASE("keys: a key that is taken away loses calls, seat and subscriptions, and comes back with all of it when it is given again", "[keys]") {
  keyed_network net{{shop, clerk, auditor}};
  service orders{"orders", "1"};
  orders.on("order.place", [](const nothing&) {});
  running_service running{orders, net.serving_as("shop")};
  REQUIRE(running.joined_at_all);
  client caller{net.calling_as("clerk")};
  auto all = subscriber::open({""}, net.listening_as("auditor"));
  REQUIRE(all);
  REQUIRE(caller.call<nothing>("order.place", nothing{}, 5s));

  net.replace({"clerk"});
  CHECK(eventually([&] {
    const auto got = caller.call<nothing>("order.place", nothing{}, 1s);
    return !got && got.error().code != status::deadline_exceeded;  // it has gone, and nobody else came
  }));
  REQUIRE(caller.emit("order.secret", 1, 5s));
  CHECK_FALSE(all->next(300ms));

  net.replace({"shop", "clerk", "auditor"});
  CHECK(eventually([&] { return caller.call<nothing>("order.place", nothing{}, 1s).has_value(); }));
  const auto missed = all->next(10s);  // from the log
  REQUIRE(missed);
  CHECK(missed->topic == "order.secret");
}

TEST_CASE("keys: a broker without a key is not bound where others reach it", "[keys]") {
  net::context sockets;
  const auto bind = [&](const std::string& commands, bool in_the_open) {
    broker::shell{sockets, {commands, "tcp://127.0.0.1:*", "tcp://127.0.0.1:*", {}}, {}, {}, broker::event_store::in_memory(), {{}, {}, in_the_open}};
  };
  CHECK_THROWS_AS(bind("tcp://*:*", false), std::invalid_argument);
  CHECK_NOTHROW(bind("tcp://127.0.0.1:*", false));
}
