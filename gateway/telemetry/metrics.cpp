#include "gateway/telemetry/metrics.hpp"

#include <array>
#include <map>
#include <mutex>
#include <sstream>
#include <unordered_map>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <waggle/version.hpp>
#include <waggle/wire/json.hpp>

namespace waggle::gateway {
namespace {

using prometheus::MetricFamily;

/// OpenTelemetry's, and finer ones below its least: a call through the network takes less than a millisecond.
const std::vector<double> seconds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10};
const std::vector<double> bytes{0, 100, 1'000, 10'000, 100'000, 1'000'000, 10'000'000};

constexpr std::string_view other = "_OTHER";

/// Clients make up methods; there is one label for those.
std::string_view known_method(std::string_view method) {
  for (const std::string_view each : {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}) {
    if (method == each) return each;
  }
  return other;
}

double seconds_of(std::chrono::nanoseconds time) { return std::chrono::duration<double>{time}.count(); }

/// One metric's series, found by their labels' values.
template <class Metric>
class series {
 public:
  explicit series(prometheus::Family<Metric>& family) : family_{family} {}

  /// `labels` makes them, where they are not known yet.
  template <class Labels, class... More>
  Metric& at(const std::string& key, const Labels& labels, const More&... more) {
    const std::lock_guard hold{mutex_};
    if (const auto found = known_.find(key); found != known_.end()) return *found->second;
    prometheus::Labels bounded = labels();
    if (known_.size() >= metric_series_max) {
      for (auto& [name, value] : bounded) value = other;
      return family_.Add(bounded, more...);  // the same one each time
    }
    return *known_.emplace(key, &family_.Add(bounded, more...)).first->second;
  }

 private:
  prometheus::Family<Metric>& family_;
  std::mutex mutex_;
  std::unordered_map<std::string, Metric*> known_;
};

prometheus::Family<prometheus::Histogram>& histogram(prometheus::Registry& in, const char* name, const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(in);
}
prometheus::Family<prometheus::Gauge>& gauge(prometheus::Registry& in, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(in);
}

/// What the broker's queues are now: it has them, and is asked when somebody wants to know.
void add_queues(std::vector<MetricFamily>& to, std::string_view msgpack) {
  if (msgpack.empty()) return;
  const auto text = wire::try_msgpack_to_json(msgpack);
  if (!text) return;
  const auto all = nlohmann::json::parse(*text, nullptr, false);
  if (!all.is_object() || !all.contains("queues") || !all["queues"].is_array()) return;
  constexpr std::array<std::array<const char*, 3>, 4> shown{{
      {"queued", "waggle_broker_queue_depth", "Calls that wait in the broker for a worker."},
      {"bytes", "waggle_broker_queue_bytes", "Bytes of the calls that wait in the broker."},
      {"running", "waggle_broker_running_calls", "Calls that workers have."},
      {"workers", "waggle_broker_workers", "Workers that serve the command."},
  }};
  for (const auto& [field, name, help] : shown) {
    auto& family = to.emplace_back();
    family.name = name;
    family.help = help;
    family.type = prometheus::MetricType::Gauge;
    for (const auto& each : all["queues"]) {
      if (!each.is_object() || !each.contains(field) || !each[field].is_number()) continue;
      auto& metric = family.metric.emplace_back();
      const auto text_of = [&](const char* key) {
        const auto found = each.find(key);
        return found != each.end() && found->is_string() ? found->get<std::string>() : std::string{};
      };
      const auto command = text_of("command"), group = text_of("group");
      metric.label.push_back({"command", command});
      if (!group.empty() && group != command) metric.label.push_back({"group", group});
      metric.gauge.value = each[field].get<double>();
    }
  }
}

/// What breakers and retries have come to.
void add_commands(std::vector<MetricFamily>& to, const std::vector<command_guards::seen>& all) {
  if (all.empty()) return;
  const auto family = [&](const char* name, const char* help, prometheus::MetricType type, auto value_of) {
    auto& made = to.emplace_back();
    made.name = name;
    made.help = help;
    made.type = type;
    for (const auto& each : all) {
      auto& metric = made.metric.emplace_back();
      metric.label.push_back({"command", each.command});
      (type == prometheus::MetricType::Gauge ? metric.gauge.value : metric.counter.value) = static_cast<double>(value_of(each));
    }
  };
  family("waggle_gateway_breaker_state", "0: calls of the command go through; 1: a few try; 2: none begins.", prometheus::MetricType::Gauge, [](const auto& of) {
    return of.state == circuit_breaker::state::closed ? 0 : of.state == circuit_breaker::state::half_open ? 1 : 2;
  });
  family("waggle_gateway_breaker_refused_calls_total", "Calls that did not begin.", prometheus::MetricType::Counter, [](const auto& of) { return of.refused; });
  family("waggle_gateway_call_retries_total", "Calls that were made again.", prometheus::MetricType::Counter, [](const auto& of) { return of.retried; });
}

}  // namespace

struct metrics::parts {
  prometheus::Registry registry;
  series<prometheus::Gauge> active{gauge(registry, "http_server_active_requests", "Requests whose answers have not ended.")};
  series<prometheus::Histogram> duration{
      histogram(registry, "http_server_request_duration_seconds", "From the whole request to the end of its answer.")};
  series<prometheus::Histogram> request_size{histogram(registry, "http_server_request_body_size_bytes", "Bodies of requests.")};
  series<prometheus::Histogram> response_size{histogram(registry, "http_server_response_body_size_bytes", "Bodies of answers.")};
  series<prometheus::Histogram> calls{histogram(registry, "rpc_client_call_duration_seconds", "Calls of the network, by command and status.")};
  series<prometheus::Counter> deprecated{prometheus::BuildCounter()
                                             .Name("waggle_gateway_deprecated_requests_total")
                                             .Help("Requests of deprecated routes, by who made them.")
                                             .Register(registry)};
  std::array<prometheus::Gauge*, 5> quantities{
      &gauge(registry, "waggle_gateway_connections", "Clients that are connected.").Add({}),
      &gauge(registry, "waggle_gateway_open_calls", "Calls of the network that have not ended.").Add({}),
      &gauge(registry, "waggle_gateway_plans", "Requests of several steps that have something left to do, also after their answers.").Add({}),
      &gauge(registry, "waggle_gateway_event_streams", "Clients that watch events.").Add({}),
      &gauge(registry, "waggle_gateway_access_log_lines_dropped", "Lines of the access log that nobody could write in time.").Add({}),
  };
};

metrics::metrics() : parts_{std::make_unique<parts>()} {
  gauge(parts_->registry, "waggle_gateway_info", "What this is.").Add({{"version", std::string{version}}}).Set(1);
}
metrics::~metrics() = default;

void metrics::began(std::string_view method) {
  const std::string known{known_method(method)};
  parts_->active.at(known, [&] { return prometheus::Labels{{"http_request_method", known}}; }).Increment();
}

void metrics::ended(const exchange& of, exchange_end how, std::chrono::nanoseconds took) {
  const std::string method{known_method(of.method)};
  parts_->active.at(method, [&] { return prometheus::Labels{{"http_request_method", method}}; }).Decrement();
  // A client that went away has got no status; 499 is what the field's servers write for it.
  const int status = of.status != 0 && how != exchange_end::abandoned ? of.status : 499;
  const bool cut_off = how != exchange_end::answered;
  const auto by_route = [&] { return prometheus::Labels{{"http_request_method", method}, {"http_route", std::string{path_of_route(of.route)}}}; };
  std::string key = method + ' ' + of.route;
  parts_->request_size.at(key, by_route, bytes).Observe(static_cast<double>(of.request_bytes));
  parts_->response_size.at(key, by_route, bytes).Observe(static_cast<double>(of.response_bytes));
  key.append(1, ' ').append(std::to_string(status)).append(cut_off ? "!" : "");
  const auto labels = [&] {
    auto out = by_route();
    out.emplace("http_response_status_code", std::to_string(status));
    if (cut_off) {
      out.emplace("error_type", how == exchange_end::aborted ? "aborted" : "abandoned");
    } else if (status >= 500) {
      out.emplace("error_type", std::to_string(status));
    }
    return out;
  };
  parts_->duration.at(key, labels, seconds).Observe(seconds_of(took));
}

void metrics::call_ended(std::string_view command, status code, std::chrono::nanoseconds took) {
  std::string key{command};
  key.append(1, ' ').append(name(code));
  const auto labels = [&] {
    return prometheus::Labels{{"rpc_system", "waggle"}, {"rpc_method", std::string{command}}, {"rpc_response_status_code", std::string{name(code)}}};
  };
  parts_->calls.at(key, labels, seconds).Observe(seconds_of(took));
}

void metrics::deprecated(std::string_view route, std::string_view caller) {
  std::string key{route};
  key.append(1, '\n').append(caller);
  parts_->deprecated.at(key, [&] { return prometheus::Labels{{"route", std::string{route}}, {"caller", std::string{caller}}}; }).Increment();
}

void metrics::add(quantity what, std::int64_t more) { parts_->quantities[static_cast<std::size_t>(what)]->Increment(static_cast<double>(more)); }

void metrics::set(quantity what, std::uint64_t to) { parts_->quantities[static_cast<std::size_t>(what)]->Set(static_cast<double>(to)); }

std::string metrics::text(std::string_view queues, const std::vector<command_guards::seen>& commands) const {
  auto all = parts_->registry.Collect();
  add_queues(all, queues);
  add_commands(all, commands);
  return prometheus::TextSerializer{}.Serialize(all);
}

}  // namespace waggle::gateway
