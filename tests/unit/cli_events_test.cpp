#include <string>
#include <string_view>

#include <waggle/fields.hpp>
#include <waggle/wire/json.hpp>

#include "support/catch.hpp"
#include "tools/waggle/events_view.hpp"
#include "tools/waggle/exit_codes.hpp"
#include "tools/waggle/network.hpp"
#include "tools/waggle/view.hpp"

using namespace std::literals;
using namespace waggle::cli;

namespace {

/// What a broker would answer.
template <class Answer>
Answer answered(std::string_view json) {
  const auto bytes = waggle::wire::json_to_msgpack(json);
  REQUIRE(bytes);
  const auto read = waggle::read_payload<Answer>(*bytes);
  INFO((read ? "" : read.error().message));
  REQUIRE(read);
  return *read;
}

/// 2025-11-24 16:00:00 UTC.
constexpr std::int64_t now_ms = 1'764'000'000'000;

stream_list two_streams() {
  return answered<stream_list>(R"({"durable":true,"streams":[
    {"stream":"events","topics":["*"],"first":8,"head":1042,"events":1035,"bytes":530000,"oldest_ms":604800000},
    {"stream":"orders","topics":["order.*","invoice.sent"],"first":1,"head":0,"events":0,"bytes":0},
    {"stream":"waggle.later","topics":[],"first":1,"head":2,"events":2,"bytes":64,"oldest_ms":1000}],
    "ephemeral":["metric.*","order.hint"]})");
}

network two_services() {
  return answered<network>(R"({"revision":"r:1","broker":{"instance":"b","version":"0.2.0"},"services":[
    {"service":"mailer","version":"1.0.0","commands":[],"instances":[{"instance":"mailer-1","slots":16,"in_flight":2,"draining":false}],
     "events":[{"topic":"order.*","from":"beginning","budget_ms":60000,"attempts":5,"backoff_ms":1000,"backoff_max_ms":300000,
                "doc":"Writes to the customer.","payload":{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"]}},
               {"topic":"user.joined","group":"welcome"}]},
    {"service":"shop","version":"2.1.0","commands":[{"name":"order.list","retry":"safe"}],"instances":[]}]})");
}

}  // namespace

TEST_CASE("cli: a receipt is a stream and a number, or says that the topic is ephemeral", "[cli]") {
  CHECK(receipt_text(answered<emit_receipt>(R"({"durable":true,"stream":"events","sequence":1042})")) == "kept as events 1042\n");
  CHECK(receipt_text(answered<emit_receipt>(R"({"durable":true,"stream":"events","sequence":7,"repeated":true})")) == "kept before, as events 7\n");
  CHECK(receipt_text(answered<emit_receipt>(R"({"durable":false,"stream":"events","sequence":3})")) == "kept in memory only, as events 3\n");
  CHECK(receipt_text(answered<emit_receipt>(R"({"durable":false})")) == "not kept: ephemeral topic\n");
}

TEST_CASE("cli: a topic is ephemeral if the most specific pattern that matches it is, or if none does", "[cli]") {
  const auto all = two_streams();
  CHECK(is_ephemeral(all, "metric.cpu"));
  CHECK(is_ephemeral(all, "order.hint"));
  CHECK_FALSE(is_ephemeral(all, "order.placed"));
  CHECK_FALSE(is_ephemeral(all, "anything"));
  CHECK(is_ephemeral({}, "anything"));
}

TEST_CASE("cli: what a subscriber has lost is said by stream and number", "[cli]") {
  CHECK(lost_text({"events", 7, 7}) == "the event 7 of the stream events is lost: damaged, or not kept any more");
  CHECK(lost_text({"events", 7, 9}) == "the events 7 to 9 of the stream events are lost: damaged, or not kept any more");
  CHECK(lost_text({"events", 7, 0}) == "the stream events has begun again with 1; what came in between may be lost");
}

TEST_CASE("cli: streams are listed with their size and age, and what is not kept is said", "[cli]") {
  CHECK(streams_text(two_streams(), {80, false}) ==
        "STREAM        EVENTS  BYTES    FIRST  HEAD  OLDEST     TOPICS\n"
        "events        1035    518 KiB  8      1042  7 d ago    *\n"
        "orders        0       0 B             0                order.* invoice.sent\n"
        "waggle.later  2       64 B     1      2     1.0 s ago\n"
        "\n"
        "not kept: metric.* order.hint\n");
  CHECK(streams_text({}, {80, false}).empty());
}

TEST_CASE("cli: groups are listed with what is late, under way, failing and dead", "[cli]") {
  CHECK(groups_text(answered<group_list>(R"({"total":2,"groups":[
          {"group":"mailer","stream":"events","topics":["order.*"],"settled":1000,"head":1042,"lag":42,"in_flight":3,"retrying":1,"waiting":38,
           "dead":2,"members":16,"oldest_ms":61000},
          {"group":"search","stream":"events","topics":["*"],"settled":1042,"head":1042,"lag":0,"in_flight":0,"retrying":0,"waiting":0,
           "dead":0,"members":0}]})"),
                    {100, false}) ==
        "GROUP   STREAM  LAG  OLDEST     IN-FLIGHT  RETRYING  DEAD  SLOTS  STATE       TOPICS\n"
        "mailer  events  42   1 min 1 s  3          1         2     16                 order.*\n"
        "search  events  0               0                          0      no members  *\n");
  CHECK(groups_text({}, {80, false}).empty());
}

TEST_CASE("cli: dead letters are listed with their last error, which cannot move the cursor", "[cli]") {
  const auto all = answered<dead_list>(R"({"total":2,"dead":[
    {"id":17,"group":"mailer","stream":"events","sequence":1042,"topic":"order.placed","attempts":8,
     "error":{"code":"INTERNAL","message":"no\nserver\u001b[2J","may_have_run":true},"dead_ms":1763999875000,"bytes":900},
    {"id":18,"group":"waggle.later","stream":"waggle.later","sequence":3,"topic":"report.make","attempts":1,"error":null,
     "dead_ms":1764000009999,"event_id":"5f0c","bytes":0}]})");
  CHECK(dead_text(all, now_ms, {0, false}) ==
        "ID  GROUP         EVENT           TOPIC         TRIES  DEAD           BYTES  ERROR\n"
        "17  mailer        events 1042     order.placed  8      2 min 5 s ago  900 B  INTERNAL: no server [2J\n"
        "18  waggle.later  waggle.later 3  report.make   1      0 µs ago       0 B\n");
  CHECK(dead_text({}, now_ms, {80, false}).empty());
}

TEST_CASE("cli: a dead letter is shown with payload, headers and what can be done", "[cli]") {
  const auto json = R"({"id":17,"group":"mailer","stream":"events","sequence":1042,"topic":"order.placed","attempts":8,
    "error":{"code":"SOMETHING_NEW","message":"no server","may_have_run":true},"dead_ms":1763999875000,"event_id":"o-7","bytes":900,
    "payload":{"id":7},"headers":{"key":"order-7"},"time_ms":1763996400000})"s;
  CHECK(dead_letter_text(answered<dead_letter>(json), now_ms, {80, false}) ==
        "dead letter 17\n"
        "\n"
        "group      mailer\n"
        "event      events 1042\n"
        "topic      order.placed\n"
        "event id   o-7\n"
        "emitted    2025-11-24T15:00:00Z, 1 h ago\n"
        "dead       2025-11-24T15:57:55Z, 2 min 5 s ago\n"
        "tries      8\n"
        "error      SOMETHING_NEW: no server\n"
        "\n"
        "headers\n"
        "  {\"key\":\"order-7\"}\n"
        "\n"
        "payload\n"
        "  {\"id\":7}\n"
        "\n"
        "try\n"
        "  waggle dead retry 17\n"
        "  waggle dead drop 17\n");
  auto gone = answered<dead_letter>(json);
  gone.time_ms = 0;
  gone.payload.reset();
  const auto text = dead_letter_text(gone, now_ms, {80, false});
  CHECK(text.find("emitted    is not there any more\n") != text.npos);
  CHECK(text.find("payload") == text.npos);
}

TEST_CASE("cli: an outcome says how a command stands, and the exit code says it to scripts", "[cli]") {
  const auto waiting = answered<operation_outcome>(R"({"operation":"5f0c","command":"report.make","state":"retrying","attempts":2,
    "accepted_ms":1763999875000,"next_attempt_ms":3400,"error":{"code":"UNAVAILABLE","message":"the worker died","may_have_run":true}})");
  CHECK(outcome_text(waiting, now_ms, {80, false}) ==
        "operation  5f0c\n"
        "command    report.make\n"
        "state      retrying, the next attempt in 3.4 s\n"
        "tries      2\n"
        "accepted   2025-11-24T15:57:55Z, 2 min 5 s ago\n"
        "last error UNAVAILABLE: the worker died\n");
  CHECK(exit_code_of(waiting) == exit_not_ended);

  const auto succeeded = answered<operation_outcome>(R"({"operation":"5f0c","command":"report.make","state":"succeeded",
    "accepted_ms":1763999875000,"ended_ms":1763999999000,"status":"OK","result":{"pages":3}})");
  CHECK(outcome_text(succeeded, now_ms, {80, false}) ==
        "operation  5f0c\n"
        "command    report.make\n"
        "state      succeeded\n"
        "accepted   2025-11-24T15:57:55Z, 2 min 5 s ago\n"
        "ended      2025-11-24T15:59:59Z, 1.0 s ago\n"
        "\n"
        "result\n"
        "  {\"pages\":3}\n");
  CHECK(exit_code_of(succeeded) == 0);

  auto failed = waiting;
  failed.state = "failed";
  failed.status = "NOT_FOUND";
  CHECK(exit_code_of(failed) == 15);
  failed.status = "SOMETHING_NEW";
  CHECK(exit_code_of(failed) == 12);
  failed.status.reset();
  CHECK(exit_code_of(failed) == 12);
  failed.status = "OK";  // a contradiction is no success
  CHECK(exit_code_of(failed) == 12);
  failed.state = "something new";
  CHECK(exit_code_of(failed) == exit_not_ended);
}

TEST_CASE("cli: an age is a number and a unit, days among them", "[cli]") {
  CHECK(parse_age("10m") == 10min);
  CHECK(parse_age("0s") == 0s);
  CHECK(parse_age("7d") == 168h);
  CHECK(parse_age("10000d") == 240'000h);
  for (const auto text : {""sv, "10"sv, "m"sv, "-1s"sv, "1.5h"sv, "1w"sv, "10001d"sv, "99999999999999999999s"sv, "1h30m"sv}) {
    INFO(text);
    CHECK_FALSE(parse_age(text));
  }
  CHECK(age_problem("7d").empty());
  CHECK(age_problem("soon").find("30s, 10m, 2h or 7d") != std::string::npos);
}

TEST_CASE("cli: services are listed with the events that they handle", "[cli]") {
  CHECK(services_text(two_services(), {80, false}) ==
        "mailer 1.0.0  1 instance, 2 of 16 slots busy\n"
        "  EVENT        GROUP    TRIES  DOC\n"
        "  order.*      mailer   5      Writes to the customer.\n"
        "  user.joined  welcome  8\n"
        "\n"
        "  INSTANCE  BUSY  STATE\n"
        "  mailer-1  2/16  serving\n"
        "\n"
        "shop 2.1.0  0 instances, 0 of 0 slots busy\n"
        "  COMMAND     RETRY\n"
        "  order.list  safe\n");
}

TEST_CASE("cli: a topic is explained by who handles it, and a pattern by who has said it", "[cli]") {
  const auto all = two_services();
  CHECK(handlers_text(find_handlers(all, "order.placed"), {100, false}) ==
        "order.*\n"
        "Writes to the customer.\n"
        "\n"
        "service    mailer 1.0.0, 1 instance, 2 of 16 slots busy\n"
        "group      mailer, begins with the oldest event there is\n"
        "tries      5 of at most 1 min, the second after 1.0 s, then twice as long each time, up to 5 min\n"
        "\n"
        "payload\n"
        "  FIELD  TYPE     REQUIRED\n"
        "  id     integer  yes\n");
  CHECK(find_handlers(all, "order.*").size() == 1);
  CHECK(find_handlers(all, "user.joined").size() == 1);
  CHECK(find_handlers(all, "user.*").empty());
  CHECK(find_handlers(all, "user.left").empty());
}

TEST_CASE("cli: events are kept by prefix like commands, and services without any of both are not", "[cli]") {
  auto all = two_services();
  keep_commands(all, "order.");
  REQUIRE(all.services.size() == 2);
  CHECK(events_of(all.services[0]).size() == 1);
  keep_commands(all, "order.l");
  REQUIRE(all.services.size() == 1);
  CHECK(all.services[0].service == "shop");
}

TEST_CASE("cli: a broker that is too old for a command is an error that says so", "[cli]") {
  using waggle::status;
  CHECK(with_remedy({status::unimplemented, "the broker has no command"}, "waggle.dead", "tcp://b:1").message ==
        "the broker at tcp://b:1 has no waggle.dead: it is older than this program");
  CHECK(with_remedy({status::unimplemented, "nobody serves it"}, "order.place", "tcp://b:1").message == "nobody serves it");
}
