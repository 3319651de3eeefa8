#include <waggle/detail/hybrid.hpp>

#include <fmt/core.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <exception>
#include <optional>
#include <random>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

#include <waggle/detail/descriptor_limit.hpp>
#include <waggle/net/poll.hpp>
#include <waggle/version.hpp>

#include "broker/peers/loopback.hpp"
#include "broker/shell.hpp"
#include "gateway/application.hpp"
#include "gateway/front/server.hpp"
#include "gateway/http_address.hpp"
#include "gateway/live_routes.hpp"
#include "gateway/replies/memory_reply_store.hpp"
#include "gateway/routes/config.hpp"

namespace waggle::gateway {
namespace {

/// A broker on a thread of its own, for as long as the object lives.
class broker_inside {
 public:
  broker_inside(net::context& sockets, const std::string& listen, bool in_the_open)
      : shell_{sockets, endpoints_of(listen), settings_of(), {}, broker::event_store::in_memory(), {{}, {}, in_the_open}} {
    thread_ = std::thread{[this] {
      try {
        shell_.run(stop_.descriptor());
      } catch (const std::exception& e) {
        give_up(e.what());
      } catch (...) {
        give_up("something that is no std::exception");
      }
    }};
  }
  ~broker_inside() {
    stop_.raise();
    thread_.join();
  }
  broker_inside(const broker_inside&) = delete;
  broker_inside& operator=(const broker_inside&) = delete;

  [[nodiscard]] const broker::endpoints& at() const { return shell_.bound(); }

 private:
  /// Events go where commands go: to this process only, or beside the endpoint that lets others in. Those are told where.
  static broker::endpoints endpoints_of(const std::string& listen) {
    const std::string inside = "inproc://waggle";
    if (listen.empty()) return {inside, inside + ".events-in", inside + ".events-out", {}};
    if (listen.starts_with("tcp://")) {
      const auto any_port = listen.substr(0, listen.rfind(':')) + ":*";
      return {listen, any_port, any_port, inside};
    }
    return {listen, listen + ".events-in", listen + ".events-out", inside};
  }

  static broker::settings settings_of() {
    broker::settings out;
    std::random_device entropy;
    out.instance = fmt::format("broker-{}-{:08x}", ::getpid(), entropy());
    out.version = waggle::version;
    out.remember = std::chrono::minutes{10};
    return out;  // without grace: nobody was there before
  }

  /// As when a broker's process ends: nothing here can go on without it.
  [[noreturn]] static void give_up(const char* why) {
    std::fprintf(stderr, "the broker inside this process failed: %s\n", why);
    std::_Exit(1);
  }

  broker::shell shell_;
  net::wake_up stop_;
  std::thread thread_;
};

config read_routes(const std::vector<std::string>& paths) {
  auto out = load_config(paths);
  if (!out) throw std::runtime_error{fmt::format("the routes have mistakes:\n{}", fmt::join(out.error(), "\n"))};
  return std::move(*out);
}

class hybrid_parts final : public waggle::detail::hybrid {
 public:
  explicit hybrid_parts(waggle::detail::hybrid_options with) : options_{std::move(with)}, broker_{options_.broker} {
    const auto address = parse_http_address(options_.http);
    if (!address) throw std::invalid_argument{"'" + options_.http + "' is no address; write HOST:PORT, as in 127.0.0.1:8101"};
    auto routes = read_routes(options_.routes);
    waggle::detail::raise_descriptor_limit();
    sockets_.emplace();
    if (broker_.empty()) {
      check_listen();
      broker_inside_.emplace(*sockets_, options_.listen, options_.listen_in_the_open);
      const auto& at = broker_inside_->at();
      broker_ = options_.listen.empty() ? at.commands : at.commands_too;
      if (!options_.listen.empty()) listen_ = at.commands;
    }
    front::server_options at;
    at.listen = {{address->first, address->second, false}};
    at.threads = threads_;
    at.log = [name = options_.service](std::string_view line) {
      std::fprintf(stderr, "%s http: %.*s\n", name.c_str(), static_cast<int>(line.size()), line.data());
    };
    at.bounds = routes.limits;
    const store_limits kept{routes.idempotency.entries, routes.idempotency.bytes};
    replies_ = std::make_shared<reply_keeper>(std::make_unique<memory_reply_store>(kept), at.log);
    routes_.emplace(std::move(routes), options_.routes, at.log);
    // As long as the server lives, and after it nobody calls it.
    server_.emplace(at, [this, log = at.log](front::responder& answers) {
      application_options of;
      of.broker = broker_;
      of.routes = routes_->now();
      of.routing.title = options_.service;
      of.routing.version = options_.version;
      of.sockets = &*sockets_;
      of.keys = read_keys(options_.keys);
      of.note = log;
      of.traffic = traffic_;
      of.deprecated = deprecated_;
      of.replies = replies_;
      of.metrics = metrics_;  // a developer's own process
      // So are all events of a network that is in it. Those of another are not this process's to let out, unless the routes say so.
      if (options_.broker.empty()) of.events = events_config{.topics = {"*"}, .access = {}};
      of.event_streams = event_streams_;
      if (!logs_.exchange(true)) of.log = log;  // one thread speaks for all: they see the same network
      if (!options_.broker.empty()) of.only_service = options_.service;
      of.on_network = [this, knows = false](const network_view& network) mutable {
        for (const auto& each : network.services) {
          if (knows || each.service != options_.service || each.instances.empty()) continue;
          knows = true;
          if (++threads_that_know_ == threads_ && options_.on_routes) options_.on_routes();
        }
      };
      return std::make_unique<application>(std::move(of), answers);
    });
    server_->start();
    routes_->watch([this] { server_->notify(); });
  }

  /// The broker would say it too, but of flags that this program has not.
  void check_listen() const {
    if (options_.listen.empty() || options_.listen_in_the_open || !broker::is_open(options_.listen)) return;
    throw std::runtime_error{options_.listen + " can be reached from elsewhere, and whoever reaches it may do everything: listen at 127.0.0.1, or run a "
                             "waggle-broker with keys and name it with --broker; --insecure (WAGGLE_INSECURE=1) opens it to everybody (--listen)"};
  }

  net::context& sockets() override { return *sockets_; }
  const std::string& broker() const override { return broker_; }
  const std::string& listen() const override { return listen_; }
  const std::string& http() const override { return server_->endpoint(); }
  void drain(std::chrono::milliseconds patience) override { server_->drain(patience); }

 private:
  waggle::detail::hybrid_options options_;
  std::string broker_;
  std::string listen_;
  std::atomic<bool> logs_{false};
  const unsigned threads_ = front::usual_threads();
  std::atomic<unsigned> threads_that_know_{0};
  std::optional<net::context> sockets_;
  std::optional<broker_inside> broker_inside_;
  std::shared_ptr<traffic_control> traffic_ = std::make_shared<traffic_control>();
  std::shared_ptr<usage> deprecated_ = std::make_shared<usage>();
  std::shared_ptr<reply_keeper> replies_;
  std::shared_ptr<metrics> metrics_ = std::make_shared<metrics>();
  std::shared_ptr<event_stream_count> event_streams_ = std::make_shared<event_stream_count>(0);
  std::optional<front::server> server_;
  std::optional<live_routes> routes_;  ///< goes before the server that it notifies
};

}  // namespace
}  // namespace waggle::gateway

namespace waggle::detail {

std::unique_ptr<hybrid> start_hybrid(hybrid_options with) {
  const char* const flag = with.broker.empty() ? "--listen or WAGGLE_LISTEN" : "--broker or WAGGLE_BROKER";
  try {
    return std::make_unique<gateway::hybrid_parts>(std::move(with));
  } catch (const front::bind_error& e) {
    throw std::runtime_error{std::string{e.what()} + "; choose another address with --http or WAGGLE_HTTP_SELF"};
  } catch (const net::endpoint_error& e) {
    throw std::runtime_error{std::string{e.what()} + " (" + flag + ")"};
  }
}

}  // namespace waggle::detail
