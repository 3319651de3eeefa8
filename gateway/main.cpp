#include <fmt/core.h>
#include <poll.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
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
#include <waggle/version.hpp>

#include "gateway/application.hpp"
#include "gateway/front/server.hpp"
#include "gateway/http_address.hpp"
#include "gateway/routes/config.hpp"

namespace {

int serve(const std::string& http, const std::string& broker, const std::vector<std::string>& files, unsigned threads,
          std::chrono::milliseconds budget, std::chrono::milliseconds drain) {
  auto routes = waggle::gateway::load_config(files);
  if (!routes) {
    for (const auto& each : routes.error()) fmt::print(stderr, "{}\n", each);
    return 1;
  }
  waggle::detail::raise_descriptor_limit();
  waggle::detail::stop_signals stop;
  waggle::net::context sockets;
  std::atomic<bool> logs{true};
  const auto address = *waggle::gateway::parse_http_address(http);
  waggle::front::server_options at;
  at.host = address.first;
  at.port = address.second;
  at.threads = threads;
  at.log = [](std::string_view line) {  // fmt::print would throw when nobody reads
    std::fprintf(stderr, "waggle-gateway: %.*s\n", static_cast<int>(line.size()), line.data());
  };
  waggle::front::server server{at, [&](waggle::front::responder& answers) {
    waggle::gateway::application_options with{broker, *routes, {}, &sockets, {}};
    with.routing.budget = budget;
    with.routing.title = "waggle gateway";
    with.routing.version = waggle::version;
    if (logs.exchange(false)) with.log = at.log;  // one thread speaks for all: they see the same network
    return std::make_unique<waggle::gateway::application>(std::move(with), answers);
  }};
  server.start();
  fmt::print("ready waggle-gateway http={} broker={}\n", server.endpoint(), broker);
  std::fflush(stdout);

  pollfd signal{stop.descriptor(), POLLIN, 0};
  ::poll(&signal, 1, -1);
  server.drain(drain);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"The waggle gateway: turns HTTP requests into calls. Routes come from the services' manifests as they join and leave, "
               "and from YAML files, which win. Every flag is also an environment variable.",
               "waggle-gateway"};
  std::string http = "127.0.0.1:8800";
  std::string broker = waggle::default_broker;
  std::vector<std::string> routes;
  unsigned threads = 2;
  std::string budget = "10s", drain = "10s";
  app.add_option("--http", http, "Where to listen: HOST:PORT; PORT 0 is any, an empty HOST every interface")
      ->envname("WAGGLE_HTTP")->capture_default_str()
      ->check([](const std::string& text) {
        return waggle::gateway::parse_http_address(text) ? std::string{} : "'" + text + "' is no address; write HOST:PORT, as in 127.0.0.1:8800";
      });
  app.add_option("--broker", broker, "The broker's command endpoint")->envname("WAGGLE_BROKER")->capture_default_str();
  app.add_option("--routes", routes, "A YAML file of routes; may be given several times (gateway/README.md)")
      ->envname("WAGGLE_ROUTES")->type_name("FILE");
  app.add_option("--threads", threads, "Reactor threads")
      ->envname("WAGGLE_HTTP_THREADS")->capture_default_str()->check(CLI::Range(1u, 255u));
  app.add_option("--budget", budget, "Of calls whose route names none")
      ->envname("WAGGLE_BUDGET")->capture_default_str()->check(waggle::detail::duration_problem);
  app.add_option("--drain", drain, "How long open requests may take after SIGTERM")
      ->envname("WAGGLE_DRAIN")->capture_default_str()->check(waggle::detail::duration_problem);
  app.set_version_flag("--version", std::string{waggle::version});
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  try {
    return serve(http, broker, routes, threads, *waggle::detail::parse_duration(budget), *waggle::detail::parse_duration(drain));
  } catch (const waggle::front::bind_error& e) {
    fmt::print(stderr, "waggle-gateway: {}; choose another address with --http or WAGGLE_HTTP\n", e.what());
  } catch (const std::exception& e) {
    fmt::print(stderr, "waggle-gateway: {}\n", e.what());
  }
  return 1;
}
