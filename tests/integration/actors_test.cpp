// Keys, streams with credit, drains and restarts, over real sockets.
#include <atomic>
#include <future>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include <waggle/wire/json.hpp>

#include "network_fixture.hpp"

namespace {

struct amount {
  int value = 0;
};
WAGGLE_FIELDS(amount, value)

using namespace waggle;
using namespace waggle::test;

service_options serving_at(const std::string& commands, net::context& sockets, unsigned threads = 4, std::string instance = {}) {
  service_options out;
  out.broker = commands;
  out.threads = threads;
  out.instance = std::move(instance);
  out.sockets = &sockets;
  return out;
}

client_options calling_at(const std::string& commands, net::context& sockets) {
  client_options out;
  out.broker = commands;
  out.sockets = &sockets;
  return out;
}

nlohmann::json ask(client& net, const std::string& operation, const std::string& question = "null") {
  const auto reply = net.call_bytes(operation, wire::json_to_msgpack(question).value(), 5s);
  return reply ? nlohmann::json::from_msgpack(*reply) : nlohmann::json{{"error", reply.error().message}};
}

}  // namespace

TEST_CASE("actors: calls of one key never overlap and come in order, at one of two workers", "[network][actors]") {
  net::context sockets;
  running_broker broker{sockets};
  std::mutex mutex;
  std::map<std::string, std::vector<int>> seen;
  std::map<std::string, std::set<std::string>> where;
  std::map<std::string, int> inside;
  std::atomic<int> overlaps{0};
  const auto offer = [&](service& to, const std::string& self) {
    to.on("account.add",
          [&, self](const amount& in, context& with) {
            const std::string key{with.key()};
            {
              const std::lock_guard lock{mutex};
              if (inside[key]++ > 0) ++overlaps;
              seen[key].push_back(in.value);
              where[key].insert(self);
            }
            std::this_thread::yield();
            const std::lock_guard lock{mutex};
            --inside[key];
            return amount{in.value};
          })
        .keyed("account");
  };
  service first{"account", "1"}, second{"account", "1"};
  offer(first, "one");
  offer(second, "two");
  running_service one{first, serving_at(broker.commands(), sockets, 4, "one")};
  running_service two{second, serving_at(broker.commands(), sockets, 4, "two")};
  REQUIRE(one.joined_at_all);
  REQUIRE(two.joined_at_all);

  client net{calling_at(broker.commands(), sockets)};
  CHECK(net.call<amount>("account.add", amount{1}, 1s).error().code == status::invalid_argument);
  std::vector<std::future<result<amount>>> answers;
  for (int i = 0; i < 100; ++i) {
    for (int key = 0; key < 10; ++key) {
      answers.push_back(net.call_async<amount>("account.add", amount{i}, 20s, {.key = "k" + std::to_string(key)}));
    }
  }
  for (auto& each : answers) REQUIRE(each.get());
  CHECK(overlaps == 0);
  std::set<std::string> used;
  for (const auto& [key, values] : seen) {
    CHECK(std::is_sorted(values.begin(), values.end()));
    CHECK(where[key].size() == 1);
    used.insert(where[key].begin(), where[key].end());
  }
  CHECK(seen.size() == 10);
}

TEST_CASE("streams: a slow reader stops the producer, and no part is lost", "[network][streams]") {
  net::context sockets;
  running_broker broker{sockets};
  service numbers{"numbers", "1"};
  std::atomic<int> produced{0};
  numbers.on("numbers.count",
             [&](const amount& in, context& with) -> result<void> {
               for (int i = 0; i < in.value && with.part(amount{i}); ++i) ++produced;
               return {};
             })
      .streams();
  running_service serving{numbers, serving_at(broker.commands(), sockets)};
  REQUIRE(serving.joined_at_all);
  client net{calling_at(broker.commands(), sockets)};

  constexpr int all = 5000;
  std::promise<void> go_on;
  auto may_go_on = go_on.get_future();
  std::atomic<bool> waits{false};
  int next = 0;
  auto reading = std::async(std::launch::async, [&] {
    return net.stream<amount>("numbers.count", amount{all}, 60s, [&](const amount& part) {
      if (part.value == 1000) {
        waits = true;
        may_go_on.wait();
      }
      return part.value == next++;
    });
  });
  REQUIRE(eventually([&] { return waits.load(); }));
  // While the reader stands still other calls go their way, and the producer has come to a stop within its credit.
  service_options unused;
  for (int i = 0; i < 200; ++i) REQUIRE(ask(net, "waggle.ping") == nullptr);
  CHECK(produced < 1000 + 2 * 256 + 2);
  go_on.set_value();
  const auto end = reading.get();
  REQUIRE(end);
  CHECK(next == all);
}

TEST_CASE("streams: a producer that waits for credit learns that its reader has gone", "[network][streams]") {
  net::context sockets;
  running_broker broker{sockets};
  service numbers{"numbers", "1"};
  std::atomic<int> ended{0};
  numbers.on("numbers.endless", [&](const amount&, context& with) -> result<void> {
    while (with.part(amount{1})) {
    }
    ++ended;
    return {};
  });
  running_service serving{numbers, serving_at(broker.commands(), sockets)};
  REQUIRE(serving.joined_at_all);
  client net{calling_at(broker.commands(), sockets)};
  const auto end = net.stream<amount>("numbers.endless", amount{1}, 60s, [](const amount&) { return false; });
  CHECK(end.error().code == status::cancelled);
  CHECK(eventually([&] { return ended == 1; }));
}

TEST_CASE("drain: a worker that is asked to leave finishes its calls and ends", "[network][drain]") {
  net::context sockets;
  running_broker broker{sockets};
  service slow{"slow", "1"};
  std::promise<void> finish;
  auto finished = finish.get_future().share();
  std::atomic<bool> runs{false};
  slow.on("slow.wait", [&](const amount& in) {
    runs = true;
    finished.wait();
    return in;
  });
  running_service serving{slow, serving_at(broker.commands(), sockets, 2, "slow-1")};
  REQUIRE(serving.joined_at_all);
  client net{calling_at(broker.commands(), sockets)};
  auto answer = net.call_async<amount>("slow.wait", amount{7}, 20s);
  REQUIRE(eventually([&] { return runs.load(); }));
  CHECK(ask(net, "waggle.drain", R"({"worker":"slow-1"})")["in_flight"] == 1);
  CHECK(net.call<amount>("slow.wait", amount{8}, 200ms).error().code == status::deadline_exceeded);  // held for a successor
  finish.set_value();
  const auto got = answer.get();
  REQUIRE(got);
  CHECK(got->value == 7);
  CHECK(eventually([&] { return serving.ended.load(); }));
  CHECK(serving.drained);
}

TEST_CASE("restart: idempotent calls that were under way when the broker died are answered by the next", "[network][restart]") {
  net::context sockets, others;
  const socket_folder folder;  // a port of TCP may not be free again at once
  const auto at = folder.endpoints();
  auto broker = std::make_unique<running_broker>(sockets, at, 200ms, "first");
  service slow{"slow", "1"};
  std::atomic<int> begun{0};
  std::promise<void> finish;
  auto finished = finish.get_future().share();
  slow.on("slow.wait", [&](const amount& in, context& with) {
        if (++begun == 1) {
          while (!with.cancelled()) finished.wait_for(10ms);
        }
        return in;
      })
      .idempotent();
  running_service serving{slow, serving_at(at.commands, others)};
  REQUIRE(serving.joined_at_all);
  client net{calling_at(at.commands, others)};
  auto answer = net.call_async<amount>("slow.wait", amount{7}, 20s, {.idempotent = true});
  auto once = net.call_async<amount>("slow.wait", amount{8}, 20s);
  REQUIRE(eventually([&] { return begun >= 2; }));
  once.wait();
  broker.reset();
  broker = std::make_unique<running_broker>(sockets, at, 200ms, "second");
  const auto got = answer.get();
  REQUIRE(got);
  CHECK(got->value == 7);
  CHECK(serving.joined >= 2);
  finish.set_value();
}
