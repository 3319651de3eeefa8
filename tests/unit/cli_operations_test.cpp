#include <string>
#include <string_view>

#include <waggle/fields.hpp>
#include <waggle/wire/json.hpp>

#include "support/catch.hpp"
#include "tools/waggle/operations_view.hpp"

using namespace waggle::cli;

namespace {

/// What a broker would answer.
template <class List>
List answered(std::string_view json) {
  const auto bytes = waggle::wire::json_to_msgpack(json);
  REQUIRE(bytes);
  const auto read = waggle::read_payload<List>(*bytes);
  INFO((read ? "" : read.error().message));
  REQUIRE(read);
  return *read;
}

worker_list three_workers() {
  return answered<worker_list>(R"({"total":3,"workers":[
    {"instance":"hello-1","service":"hello","version":"1.0.0","slots":16,"in_flight":2,"draining":false,"keys":0,"heard_ms":120},
    {"instance":"shop-1","service":"shop","version":"2.1.0","slots":4,"in_flight":4,"draining":false,"keys":12,"heard_ms":0},
    {"instance":"shop-1","service":"shop","version":"2.0.0","slots":4,"in_flight":1,"draining":true,"keys":0,"heard_ms":2400}]})");
}

}  // namespace

TEST_CASE("cli: durations are said in two digits or two units", "[cli]") {
  CHECK(duration_text(0) == "0 µs");
  CHECK(duration_text(999) == "999 µs");
  CHECK(duration_text(1000) == "1.0 ms");
  CHECK(duration_text(9'949) == "9.9 ms");
  CHECK(duration_text(9'950) == "10 ms");
  CHECK(duration_text(23'400) == "23 ms");
  CHECK(duration_text(999'499) == "999 ms");
  CHECK(duration_text(999'500) == "1.0 s");
  CHECK(duration_text(1'240'000) == "1.2 s");
  CHECK(duration_text(59'499'999) == "59 s");
  CHECK(duration_text(59'500'000) == "1 min");
  CHECK(duration_text(245'000'000) == "4 min 5 s");
  CHECK(duration_text(3'599'600'000) == "1 h");
  CHECK(duration_text(7'500'000'000) == "2 h 5 min");
  CHECK(duration_text(7'205'000'000) == "2 h");
  CHECK(duration_text(273'600'000'000) == "3 d 4 h");
  CHECK_FALSE(duration_text(~std::uint64_t{0}).empty());
}

TEST_CASE("cli: bytes are said in two or more digits", "[cli]") {
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(1023) == "1023 B");
  CHECK(bytes_text(1024) == "1.0 KiB");
  CHECK(bytes_text(34 * 1024 + 100) == "34 KiB");
  CHECK(bytes_text(1'048'575) == "1.0 MiB");
  CHECK(bytes_text(std::uint64_t{5} << 30) == "5.0 GiB");
  CHECK(bytes_text(std::uint64_t{5000} << 40) == "5000 TiB");
}

TEST_CASE("cli: one thing is one, and all else are several", "[cli]") {
  CHECK(counted(0, "call") == "0 calls");
  CHECK(counted(1, "call") == "1 call");
  CHECK(counted(2, "call") == "2 calls");
}

TEST_CASE("cli: workers are listed with what they have at hand and what waits for them", "[cli]") {
  CHECK(workers_text(three_workers(), {80, false}) ==
        "INSTANCE  SERVICE      BUSY  KEYS  HEARD       STATE\n"
        "hello-1   hello 1.0.0  2/16        120 ms ago  serving\n"
        "shop-1    shop 2.1.0   4/4   12    0 µs ago    serving\n"
        "shop-1    shop 2.0.0   1/4         2.4 s ago   draining\n");
  CHECK(workers_text({}, {80, false}).empty());
}

TEST_CASE("cli: queues are listed without the columns in which there is nothing", "[cli]") {
  CHECK(queues_text(answered<queue_list>(R"({"total":1,"queues":[{"command":"hello.say","group":"hello.say","queued":0,"keyed":0,
          "bytes":0,"oldest_ms":0,"running":3,"workers":2,"paused":false}]})"),
                    {80, false}) ==
        "COMMAND    QUEUED  RUNNING  WORKERS\n"
        "hello.say  0       3        2\n");
  CHECK(queues_text(answered<queue_list>(R"({"total":3,"queues":[
          {"command":"order.place","group":"order","queued":12,"keyed":5,"bytes":3482,"oldest_ms":1240,"running":4,"workers":1,"paused":true},
          {"command":"order.list","group":"order.list","queued":1,"keyed":0,"bytes":20,"oldest_ms":7,"running":0,"workers":0,"paused":false},
          {"command":"order.pay","group":"order","queued":0,"keyed":0,"bytes":0,"oldest_ms":0,"running":0,"workers":1,"paused":false}]})"),
                    {80, false}) ==
        "COMMAND      QUEUED  KEYED  BYTES    OLDEST  RUNNING  WORKERS  STATE       GROUP\n"
        "order.place  12      5      3.4 KiB  1.2 s   4        1        paused      order\n"
        "order.list   1              20 B     7.0 ms  0        0        no workers\n"
        "order.pay    0                               0        1                    order\n");
  CHECK(queues_text({}, {80, false}).empty());
}

TEST_CASE("cli: open calls are listed with their age, their worker and their key", "[cli]") {
  CHECK(calls_text(answered<call_list>(R"({"total":4,"calls":[
          {"command":"order.place","caller":"gateway","state":"running","age_ms":65000,"budget_left_ms":25000,"attempts":2,"bytes":900,
           "worker":"shop-1","key":"customer-7"},
          {"command":"order.place","caller":"gone","state":"orphaned","age_ms":30000,"budget_left_ms":0,"attempts":1,"bytes":0,"worker":"shop-1"},
          {"command":"hello.say","caller":"peer 12","state":"queued","age_ms":340,"budget_left_ms":4660,"attempts":0,"bytes":10}]})"),
                   {80, false}) ==
        "COMMAND      STATE     AGE        LEFT   TRIES  CALLER   WORKER  KEY\n"
        "order.place  running   1 min 5 s  25 s   2      gateway  shop-1  customer-7\n"
        "order.place  orphaned  30 s                     gone     shop-1\n"
        "hello.say    queued    340 ms     4.7 s         peer 12\n");
  CHECK(calls_text({}, {80, false}).empty());
}

TEST_CASE("cli: a key or a name that a peer has sent cannot move the cursor in a list", "[cli]") {
  call_list all;
  all.calls.push_back({"a", "b\x1b[2J", "queued", 0, 0, 0, 0, {}, "k\r\n"});
  const auto text = calls_text(all, {});
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find('\r') == std::string::npos);
}

TEST_CASE("cli: statistics begin with what there is now, and count errors by status, the most frequent first", "[cli]") {
  CHECK(statistics_text(answered<broker_statistics>(R"({"uptime_ms":7500000,
          "counters":{"bundles":120,"calls":90,"dead_workers":0,"kept_bytes":3482,"open_calls":5,"workers":3},"total":2,"commands":[
          {"command":"order.place","calls":80,"errors":{"INTERNAL":1,"UNAVAILABLE":12},"retries":4,
           "queue_us":{"p50":12,"p99":3400,"p999":9000},"run_us":{"p50":340,"p99":1240000,"p999":61000000}},
          {"command":"hello.say","calls":0,"errors":{},"retries":0,
           "queue_us":{"p50":0,"p99":0,"p999":0},"run_us":{"p50":0,"p99":0,"p999":0}}]})"),
                        {80, false}) ==
        "up 2 h 5 min, workers 3, open calls 5, kept bytes 3.4 KiB, bundles 120,\n"
        "  calls 90\n"
        "\n"
        "COMMAND      CALLS  RETRIES  WAIT50  WAIT99  RUN50   RUN99  RUN99.9    ERRORS\n"
        "order.place  80     4        12 µs   3.4 ms  340 µs  1.2 s  1 min 1 s  12 UNAVA…\n"
        "hello.say    0\n");
  CHECK(statistics_text({}, {80, false}) == "up 0 µs\n");
}

TEST_CASE("cli: a drain is done when those that drain under the name have nothing at hand; who joined anew does not count", "[cli]") {
  const auto all = three_workers();
  CHECK(progress_of(all, "shop-1").draining == 1);
  CHECK(progress_of(all, "shop-1").in_flight == 1);
  CHECK(progress_of(all, "hello-1").draining == 0);
  CHECK(progress_of(all, "nobody").in_flight == 0);
}

TEST_CASE("cli: what a newer broker adds to a list is stepped over", "[cli]") {
  CHECK(answered<worker_list>(R"({"total":0,"workers":[],"more":{"a":1}})").workers.empty());
}

TEST_CASE("cli: slots for quick handlers are shown beside the others, and what takes them counts in a drain", "[cli]") {
  CHECK(busy_text(2, 16, std::nullopt, std::nullopt) == "2/16");
  CHECK(busy_text(2, 16, 5, 1024) == "2/16 + 5/1024 quick");
  const auto all = answered<worker_list>(R"({"total":1,"workers":[{"instance":"mix-1","service":"mix","version":"1","slots":16,"in_flight":1,
    "draining":true,"keys":0,"heard_ms":0,"quick_slots":1024,"quick_in_flight":3}]})");
  CHECK(progress_of(all, "mix-1").in_flight == 4);
}
