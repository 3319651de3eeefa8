#include <fmt/core.h>
#include <poll.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <waggle/detail/descriptor_limit.hpp>
#include <waggle/detail/duration.hpp>
#include <waggle/detail/stop_signals.hpp>
#include <waggle/environment.hpp>
#include <waggle/keys.hpp>
#include <waggle/version.hpp>
#include <waggle/wire/topic.hpp>

#include "gateway/application.hpp"
#include "gateway/front/server.hpp"
#include "gateway/http_address.hpp"
#include "gateway/live_routes.hpp"
#include "gateway/live_tls.hpp"
#include "gateway/replies/memory_reply_store.hpp"
#include "gateway/replies/sqlite_reply_store.hpp"
#include "gateway/routes/config.hpp"

namespace {

struct gateway_flags {
  std::string http = "127.0.0.1:8800", https;
  waggle::gateway::tls_flags tls;
  std::string broker = waggle::default_broker;
  waggle::key_options keys;
  std::vector<std::string> routes;
  std::vector<std::string> events;
  unsigned threads = waggle::front::usual_threads();
  std::string budget = "10s", drain = "10s", notice = "0s";
  bool check = false, schema = false, metrics = false, docs = true;
  std::string access_log;
  std::string data = "none";
};

constexpr std::string_view no_address = "none";

void say(std::string_view line) {  // fmt::print would throw when nobody reads
  std::fprintf(stderr, "waggle-gateway: %.*s\n", static_cast<int>(line.size()), line.data());
}

/// The whole configuration, or every fault of it on standard error.
std::optional<waggle::gateway::config> read_routes(const std::vector<std::string>& paths) {
  auto routes = waggle::gateway::load_config(paths);
  if (routes) return std::move(*routes);
  for (const auto& each : routes.error()) fmt::print(stderr, "{}\n", each);
  return std::nullopt;
}

/// Where answers under Idempotency-Keys are kept. Null, and said on standard error: nowhere.
std::shared_ptr<waggle::gateway::reply_keeper> open_replies(const std::string& folder, const waggle::gateway::idempotency_config& how) {
  const waggle::gateway::store_limits limits{how.entries, how.bytes};
  if (folder == "none") return std::make_shared<waggle::gateway::reply_keeper>(std::make_unique<waggle::gateway::memory_reply_store>(limits), say);
  auto store = std::make_unique<waggle::gateway::sqlite_reply_store>(folder, limits);
  if (const auto opened = store->open(); !opened) return say(opened.error().message), nullptr;
  return std::make_shared<waggle::gateway::reply_keeper>(std::move(store), say);
}

int serve(const gateway_flags& flags) {
  if (flags.check && flags.routes.empty() && flags.tls.certificate.empty()) {
    say("--check has nothing to check: name a file or a directory with --routes or WAGGLE_ROUTES");
    return 2;
  }
  if (flags.http == no_address && flags.https.empty()) {
    say("nothing listens: name an address with --http or --https");
    return 2;
  }
  auto routes = read_routes(flags.routes);
  if (!routes) return 1;
  waggle::gateway::live_tls tls{flags.tls, !flags.https.empty(), say};
  const auto context = tls.make(*routes);
  if (!context) {
    for (const auto& each : context.error()) fmt::print(stderr, "{}\n", each);
    return 1;
  }
  if (flags.check) {
    fmt::print("{} routes, nothing wrong\n", routes->routes.size());
    return 0;
  }
  const auto keys = waggle::read_keys(flags.keys);
  if (flags.https.empty() && *context) say("there is a certificate, and nothing speaks TLS: name an address with --https or WAGGLE_HTTPS");
  waggle::detail::raise_descriptor_limit();
  waggle::detail::stop_signals signals{SIGHUP};
  waggle::net::context sockets;
  std::atomic<bool> logs{true};
  waggle::front::server_options at;
  at.listen.clear();
  for (const auto& [where, encrypted] : {std::pair{flags.http, false}, {flags.https, true}}) {
    if (where == no_address || where.empty()) continue;
    const auto address = *waggle::gateway::parse_http_address(where);
    at.listen.push_back({address.first, address.second, encrypted});
  }
  at.tls = *context;
  at.threads = flags.threads;
  at.bounds = routes->limits;
  at.log = say;
  const auto replies = open_replies(flags.data, routes->idempotency);
  if (!replies) return 1;
  waggle::front::server* serving = nullptr;  // nothing is read again before it is there
  waggle::gateway::live_routes live{std::move(*routes), flags.routes, say,
                                    tls.part_of([&](auto changed) { serving->use(std::move(changed)); })};
  const auto deprecated = std::make_shared<waggle::gateway::usage>();
  const auto traffic = std::make_shared<waggle::gateway::traffic_control>();
  const auto metrics = flags.metrics ? std::make_shared<waggle::gateway::metrics>() : nullptr;
  const auto access_log = flags.access_log.empty() ? nullptr : std::make_shared<waggle::gateway::access_log>(flags.access_log, say);
  const auto event_streams = std::make_shared<waggle::gateway::event_stream_count>(0);
  std::uint16_t https_port = 0;  // known once the server listens
  waggle::front::server server{at, [&](waggle::front::responder& answers) {
    waggle::gateway::application_options with;
    with.broker = flags.broker;
    with.routes = live.now();
    with.routing.budget = *waggle::detail::parse_duration(flags.budget);
    with.routing.title = "waggle gateway";
    with.routing.version = waggle::version;
    with.https_port = https_port;
    with.sockets = &sockets;
    with.keys = keys;
    with.traffic = traffic;
    with.deprecated = deprecated;
    with.metrics = metrics;
    with.access_log = access_log;
    with.docs = flags.docs;
    if (!flags.events.empty()) with.events = waggle::gateway::events_config{.topics = flags.events, .access = {}};
    with.event_streams = event_streams;
    with.replies = replies;
    with.note = say;
    if (logs.exchange(false)) with.log = say;  // one thread speaks for all: they see the same network
    return std::make_unique<waggle::gateway::application>(std::move(with), answers);
  }};
  serving = &server;
  if (at.listen.back().tls) https_port = waggle::gateway::parse_http_address(server.endpoints().back())->second;
  server.start();
  fmt::print("ready waggle-gateway http={} broker={}{}\n", at.listen.front().tls ? no_address : server.endpoint(), flags.broker,
             at.listen.back().tls ? " https=" + server.endpoints().back() : "");
  std::fflush(stdout);
  live.watch([&] { server.notify(); });
  for (;;) {
    pollfd told{signals.descriptor(), POLLIN, 0};
    ::poll(&told, 1, -1);
    const int which = signals.take();
    if (which == SIGHUP) {
      live.reload();
      if (access_log) access_log->reopen();
    }
    if (which == SIGINT || which == SIGTERM) break;
  }
  live.end();
  server.drain(*waggle::detail::parse_duration(flags.drain), *waggle::detail::parse_duration(flags.notice));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"The waggle gateway: turns HTTP requests into calls. Routes come from the services' manifests as they join and leave, "
               "and from YAML files, which win. Every flag is also an environment variable.",
               "waggle-gateway"};
  gateway_flags flags;
  const auto address_problem = [](const std::string& text) {
    return waggle::gateway::parse_http_address(text) ? std::string{} : "'" + text + "' is no address; write HOST:PORT, as in 127.0.0.1:8800";
  };
  app.add_option("--http", flags.http, "Where to listen: HOST:PORT; PORT 0 is any, an empty HOST every interface; none: only TLS is spoken")
      ->envname("WAGGLE_HTTP")->capture_default_str()
      ->check([=](const std::string& text) { return text == no_address ? std::string{} : address_problem(text); });
  app.add_option("--https", flags.https, "Where to listen for TLS, in the same way")->envname("WAGGLE_HTTPS")->type_name("HOST:PORT")->check(address_problem);
  auto* const certificate = app.add_option("--certificate", flags.tls.certificate,
                                           "A file in PEM: the certificate to show, behind it those that lead to the authority. In the place of those that "
                                           "tls: in the routes names; read again on SIGHUP and when it changes")
                                ->envname("WAGGLE_CERTIFICATE")->type_name("FILE");
  certificate->needs(app.add_option("--certificate-key", flags.tls.key, "A file in PEM: its key, without a passphrase")
                         ->envname("WAGGLE_CERTIFICATE_KEY")->type_name("FILE")->needs(certificate));
  app.add_option("--broker", flags.broker, "The broker's command endpoint")->envname("WAGGLE_BROKER")->capture_default_str();
  app.add_option("--key-file", flags.keys.key, "The gateway's own key pair (`waggle keygen`), for a broker that wants keys")
      ->envname("WAGGLE_KEY")->type_name("FILE");
  app.add_option("--broker-key", flags.keys.broker_key, "That broker's public key, or the .pub file that has it")
      ->envname("WAGGLE_BROKER_KEY")->type_name("KEY");
  app.add_option("--routes", flags.routes,
                 "A YAML file of routes, or a directory of them; may be given several times (gateway/ROUTES.md). Read again on "
                 "SIGHUP and when it changes")
      ->envname("WAGGLE_ROUTES")->type_name("PATH");
  app.add_flag("--check", flags.check, "Says what is wrong with the routes, and ends");
  app.add_flag("--schema", flags.schema, "Prints the JSON Schema of route files, for editors, and ends");
  app.add_flag("--metrics", flags.metrics, "Serves /metrics (Prometheus), which names callers: not for the public")->envname("WAGGLE_METRICS");
  app.add_option("--access-log", flags.access_log,
                 "Where a line of JSON for each request goes: stdout, stderr or a file, which is opened anew on SIGHUP. The routes' `access_log` says which requests get one")
      ->envname("WAGGLE_ACCESS_LOG")->type_name("FILE");
  app.add_option("--docs", flags.docs, "Whether /docs shows what /openapi.json says, to be tried in a browser")
      ->envname("WAGGLE_HTTP_DOCS")->type_name("on|off")->default_str("on")
      ->transform(CLI::CheckedTransformer(std::map<std::string, bool>{{"on", true}, {"off", false}}, CLI::ignore_case).description(""));
  app.add_option("--events", flags.events,
                 "Topics that GET /events lets out to whoever asks, as in 'order.*' or '*'; may be given several times. The routes' own `events` win")
      ->envname("WAGGLE_HTTP_EVENTS")->type_name("TOPIC")->delimiter(',')
      ->check([](const std::string& text) {
        return waggle::wire::is_topic_pattern(text) ? std::string{} : "'" + text + "' is no topic; write one, or what topics begin with and a *, as in order.*";
      });
  app.add_option("--data", flags.data,
                 "The folder that keeps answers under Idempotency-Keys, made on first use; none: they are in memory, and gone after a restart")
      ->envname("WAGGLE_GATEWAY_DATA")->capture_default_str()
      ->check([](const std::string& text) { return text.empty() ? std::string{"--data names a folder, or none"} : std::string{}; });
  app.add_option("--threads", flags.threads, "Reactor threads; if not said, one for every two processors, four at most")
      ->envname("WAGGLE_HTTP_THREADS")->capture_default_str()->check(CLI::Range(1u, 255u));
  app.add_option("--budget", flags.budget, "Of calls whose route names none")
      ->envname("WAGGLE_BUDGET")->capture_default_str()->check(waggle::detail::duration_problem);
  app.add_option("--drain", flags.drain, "How long open requests may take after SIGTERM")
      ->envname("WAGGLE_DRAIN")->capture_default_str()->check(waggle::detail::duration_problem);
  app.add_option("--drain-notice", flags.notice, "How long to go on serving new connections after SIGTERM, with /readyz at 503: as long as a load "
                                           "balancer takes to notice")
      ->envname("WAGGLE_DRAIN_NOTICE")->capture_default_str()->check(waggle::detail::duration_problem);
  app.set_version_flag("--version", std::string{waggle::version});
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  try {
    if (flags.schema) {
      fmt::print("{}\n", waggle::gateway::config_schema());
      return 0;
    }
    return serve(flags);
  } catch (const waggle::front::bind_error& e) {
    fmt::print(stderr, "waggle-gateway: {}; choose another address with --http or WAGGLE_HTTP (--https or WAGGLE_HTTPS)\n", e.what());
  } catch (const std::exception& e) {
    fmt::print(stderr, "waggle-gateway: {}\n", e.what());
  }
  return 1;
}
