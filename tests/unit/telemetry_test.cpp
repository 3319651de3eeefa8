// What a gateway tells of its requests: lines for the access log, counts for Prometheus.
#include <string>

#include <nlohmann/json.hpp>

#include <waggle/wire/json.hpp>

#include "gateway/telemetry/access_log.hpp"
#include "gateway/telemetry/metrics.hpp"
#include "support/catch.hpp"

using namespace std::literals;
using namespace waggle;
using namespace waggle::gateway;

namespace {

exchange an_exchange() {
  exchange out;
  out.method = "GET";
  out.path = "/orders/7";
  out.route = "GET /orders/{id}";
  out.request_id = "r-1";
  out.trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
  out.client = "203.0.113.7";
  out.user_agent = "curl/8";
  out.status = 200;
  out.response_bytes = 12;
  return out;
}

bool has(const std::string& text, const std::string& line) { return text.find(line) != text.npos; }

std::size_t lines_of(const std::string& text, const std::string& begin) {
  std::size_t out = 0;
  for (auto at = text.find(begin); at != text.npos; at = text.find(begin, at + 1)) ++out;
  return out;
}

}  // namespace

TEST_CASE("access log: a line has OpenTelemetry's attributes, and leaves out what there is not", "[telemetry]") {
  const std::chrono::system_clock::time_point at{1'700'000'000s + 250ms};
  const auto line = nlohmann::json::parse(access_log_line(an_exchange(), exchange_end::answered, 1500us, at));
  CHECK(line == nlohmann::json{{"time", "2023-11-14T22:13:20.250000Z"},
                               {"http.request.method", "GET"},
                               {"url.path", "/orders/7"},
                               {"http.route", "/orders/{id}"},
                               {"http.response.status_code", 200},
                               {"http.server.request.duration", 0.0015},
                               {"http.request.body.size", 0},
                               {"http.response.body.size", 12},
                               {"client.address", "203.0.113.7"},
                               {"user_agent.original", "curl/8"},
                               {"url.scheme", "http"},
                               {"network.protocol.version", "1.1"},
                               {"request_id", "r-1"},
                               {"trace_id", "0123456789abcdef0123456789abcdef"}});
}

TEST_CASE("access log: what clients make up stays one line of JSON", "[telemetry]") {
  auto of = an_exchange();
  of.path = "/a\"b\\c\xff";
  of.user_agent = "x\r\n{\"forged\":1}\x01";
  of.status = 0;
  const auto text = access_log_line(of, exchange_end::abandoned, 1ms, {});
  CHECK(text.find('\n') == text.npos);
  const auto line = nlohmann::json::parse(text);
  CHECK(line["user_agent.original"] == of.user_agent);
  CHECK(line["url.path"] == "/a\"b\\c\xef\xbf\xbd");
  CHECK(line["error.type"] == "abandoned");
  CHECK(!line.contains("http.response.status_code"));
}

TEST_CASE("access log: failures and slow requests have a line whatever the sample is", "[telemetry]") {
  const access_log_config none{0, 100ms}, half{50, 100ms};
  auto of = an_exchange();
  CHECK(!access_log::wants(none, of, exchange_end::answered, 99ms, 0));
  CHECK(access_log::wants(none, of, exchange_end::answered, 100ms, 99));
  CHECK(access_log::wants(none, of, exchange_end::aborted, 1ms, 99));
  CHECK(access_log::wants(half, of, exchange_end::answered, 1ms, 49));
  CHECK(!access_log::wants(half, of, exchange_end::answered, 1ms, 50));
  of.status = 503;
  CHECK(access_log::wants(none, of, exchange_end::answered, 1ms, 99));
  of.status = 404;
  CHECK(!access_log::wants(none, of, exchange_end::answered, 1ms, 99));
}

TEST_CASE("metrics: requests are counted by method, route and status, under OpenTelemetry's names", "[telemetry]") {
  metrics counts;
  auto of = an_exchange();
  counts.began("GET");
  counts.ended(of, exchange_end::answered, 3ms);
  counts.began("GET");
  of.status = 503;
  counts.ended(of, exchange_end::answered, 3ms);
  counts.began("BREW");
  const auto text = counts.text();
  CHECK(has(text, R"(http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="200",http_route="/orders/{id}"} 1)"));
  CHECK(has(text, R"(http_server_request_duration_seconds_bucket{http_request_method="GET",http_response_status_code="200",http_route="/orders/{id}",le="0.0025"} 0)"));
  CHECK(has(text, R"(http_server_request_duration_seconds_bucket{http_request_method="GET",http_response_status_code="200",http_route="/orders/{id}",le="0.005"} 1)"));
  CHECK(has(text, R"(_count{error_type="503",http_request_method="GET",http_response_status_code="503",http_route="/orders/{id}"} 1)"));
  CHECK(has(text, R"(http_server_active_requests{http_request_method="GET"} 0)"));
  CHECK(has(text, R"(http_server_active_requests{http_request_method="_OTHER"} 1)"));
}

TEST_CASE("metrics: a client that went away is 499 and says so", "[telemetry]") {
  metrics counts;
  counts.ended(an_exchange(), exchange_end::abandoned, 1ms);
  CHECK(has(counts.text(), R"(_count{error_type="abandoned",http_request_method="GET",http_response_status_code="499",http_route="/orders/{id}"} 1)"));
}

TEST_CASE("metrics: names that are made up do not make series without end", "[telemetry]") {
  metrics counts;
  for (std::size_t i = 0; i < metric_series_max + 100; ++i) counts.call_ended("a." + std::to_string(i), status::ok, 1ms);
  const auto text = counts.text();
  CHECK(lines_of(text, "rpc_client_call_duration_seconds_count{") == metric_series_max + 1);
  CHECK(has(text, R"(rpc_client_call_duration_seconds_count{rpc_method="_OTHER",rpc_response_status_code="_OTHER",rpc_system="_OTHER"} 100)"));
}

TEST_CASE("metrics: a level is the sum of its threads' parts, and ends with them", "[telemetry]") {
  const auto counts = std::make_shared<metrics>();
  metrics::level one{counts, metrics::quantity::open_calls};
  one.set(5);
  {
    metrics::level two{counts, metrics::quantity::open_calls};
    two.set(3);
    CHECK(has(counts->text(), "waggle_gateway_open_calls 8\n"));
  }
  one.set(4);
  CHECK(has(counts->text(), "waggle_gateway_open_calls 4\n"));
}

TEST_CASE("metrics: the broker's queues are shown by command and group, and nonsense is not", "[telemetry]") {
  metrics counts;
  const auto queues = wire::json_to_msgpack(
      R"({"total":2,"queues":[{"command":"a\"b","queued":3,"bytes":9,"running":1,"workers":2},{"command":"c","group":"blue","queued":"x","workers":1},7]})").value();
  const auto text = counts.text(queues);
  CHECK(has(text, R"(waggle_broker_queue_depth{command="a\"b"} 3)"));
  CHECK(lines_of(text, "waggle_broker_queue_depth{") == 1);
  CHECK(has(text, R"(waggle_broker_workers{command="c",group="blue"} 1)"));
  CHECK(!has(counts.text("\xc1"), "waggle_broker"));
}
