#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/application.hpp"
#include "network_fixture.hpp"

namespace waggle::test {

/// The gateway's application without its front: a test in the place of the reactor thread.
struct gateway_fixture : front::responder {
  gateway_fixture(const running_broker& broker, net::context& sockets, std::string routes = {}, std::size_t plan_bytes_max = 1 << 20)
      : live{std::make_shared<gateway::live_config>(read(std::move(routes)))},
        under_test{options(broker, sockets, plan_bytes_max), *this} {}

  /// Routes as a list, or a whole file that begins with something else.
  static gateway::config read(std::string routes) {
    const bool is_list = routes.find_first_not_of("\n ") == routes.npos || routes[routes.find_first_not_of("\n ")] == '-';
    const gateway::config_file file{"routes.yaml", routes.empty() ? "routes: []" : is_list ? "routes:\n" + routes : routes};
    return gateway::parse_config({&file, 1}).value();
  }
  gateway::application_options options(const running_broker& broker, net::context& sockets, std::size_t plan_bytes_max = 1 << 20) {
    gateway::application_options out;
    out.plan_bytes_max = plan_bytes_max;
    out.broker = broker.commands();
    out.routes = live;
    out.sockets = &sockets;
    out.traffic = traffic;
    out.deprecated = deprecated;
    out.metrics = std::make_shared<gateway::metrics>();
    out.note = [this](std::string_view line) { notes.emplace_back(line); };
    return out;
  }

  void respond(front::exchange_id to, front::response answer) override {
    answers.emplace(static_cast<std::uint64_t>(to), std::move(answer));
  }
  void begin(front::exchange_id to, front::response head) override {
    streams[static_cast<std::uint64_t>(to)] = std::move(head);
  }
  bool append(front::exchange_id to, std::string_view bytes) override {
    streams.at(static_cast<std::uint64_t>(to)).body += bytes;
    return true;
  }
  void finish(front::exchange_id to) override { ended.insert(static_cast<std::uint64_t>(to)); }
  void abort(front::exchange_id to) override { ended.insert(static_cast<std::uint64_t>(to)); }
  [[nodiscard]] std::size_t backlog(front::exchange_id) const override { return waiting_bytes; }

  std::uint64_t ask(std::string_view method, std::string_view path, std::string_view body = {}, std::vector<front::header> headers = {}) {
    const auto id = ++last_;
    under_test.on_request(front::clock::now(), front::exchange_id{id}, {method, path, {}, body, std::move(headers), false, peer});
    return id;
  }
  /// What a reactor thread would do, until the request has its answer.
  front::response get(std::string_view path, milliseconds within = 10s, std::vector<front::header> headers = {}) {
    const auto id = ask("GET", path, {}, std::move(headers));
    eventually([&] { return turn(), answers.count(id) > 0; }, within);
    return answers[id];
  }
  void turn() {
    under_test.on_batch_end(front::clock::now(), true);
  }
  bool ready() {
    return eventually([&] { return turn(), get("/readyz").status == 200; });
  }

  std::map<std::uint64_t, front::response> answers, streams;
  std::set<std::uint64_t> ended;
  std::size_t waiting_bytes = 0;
  const front::peer_info* peer = nullptr;  ///< who asks
  std::vector<std::string> notes;
  std::shared_ptr<gateway::traffic_control> traffic = std::make_shared<gateway::traffic_control>();
  std::shared_ptr<gateway::usage> deprecated = std::make_shared<gateway::usage>();
  std::shared_ptr<gateway::live_config> live;
  gateway::application under_test;

 private:
  std::uint64_t last_ = 0;
};

inline std::string header_of(const front::response& of, std::string_view name) {
  for (const auto& each : of.headers) {
    if (each.first == name) return std::string{each.second};
  }
  return "none";
}

}  // namespace waggle::test
