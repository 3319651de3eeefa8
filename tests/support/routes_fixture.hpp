#pragma once

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include <waggle/wire/json.hpp>

#include "gateway/routes/route_table.hpp"
#include "gateway/routes/router.hpp"

namespace waggle::gateway::test {

using nlohmann::json;

/// The network that a JSON text describes in the form of `waggle.services`.
inline network_view network(std::string_view services) {
  const std::string text =
      R"({"revision":"b:1","broker":{"instance":"b","version":"1"},"services":)" + std::string{services} + "}";
  return read_network_view(wire::json_to_msgpack(text).value()).value();
}

/// One service `shop` with one command, its routes and its request schema.
inline network_view one_command(std::string_view routes, std::string_view schema = "null",
                                std::string_view name = "shop.do") {
  return network(R"([{"service":"shop","version":"1","commands":[{"name":")" + std::string{name} +
                 R"(","retry":"once","http":)" + std::string{routes} + R"(,"request":)" + std::string{schema} +
                 R"(}],"instances":[]}])");
}

inline config configured(std::string text, const environment_lookup& environment = process_environment) {
  const config_file file{"routes.yaml", std::move(text)};
  return parse_config({&file, 1}, environment).value();
}

/// A request that owns its texts.
struct sent {
  std::string method, target, body;
  std::vector<std::pair<std::string, std::string>> headers;

  [[nodiscard]] front::request request() const {
    front::request out;
    const std::string_view all = target;
    const auto mark = all.find('?');
    out.method = method;
    out.path = all.substr(0, mark);
    if (mark != std::string_view::npos) out.query = all.substr(mark + 1);
    out.body = body;
    for (const auto& [name, value] : headers) out.headers.push_back({name, value});
    return out;
  }
};

struct outcome {
  std::optional<planned_call> call;
  front::response response;

  /// The payload of the call as JSON text, or the status of the answer and what it says.
  [[nodiscard]] std::string shown() const {
    if (call) return wire::msgpack_to_json(call->payload);
    std::string out = std::to_string(response.status);
    if (response.body.empty()) return out;
    const auto body = json::parse(response.body);
    out += " " + body.at("detail").get<std::string>();
    for (const auto& each : body.value("errors", json::array())) {
      out += " [" + each.at("path").get<std::string>() + "] " + each.at("message").get<std::string>();
    }
    return out;
  }
  [[nodiscard]] std::string header(std::string_view name) const {
    for (const auto& each : response.headers) {
      if (each.first == name) return std::string{each.second};
    }
    return "none";
  }
};

inline outcome plan(const router& of, const sent& in) {
  auto planned = of.plan(in.request());
  if (auto* call = std::get_if<planned_call>(&planned)) return {std::move(*call), {}};
  if (auto* refused = std::get_if<front::response>(&planned)) return {std::nullopt, std::move(*refused)};
  throw std::logic_error{"the route is more than one call"};
}

inline std::string shown(const router& of, const sent& in) { return plan(of, in).shown(); }

/// The command that a request is routed to, or the status of the answer.
inline std::string taken(const router& of, std::string method, std::string target) {
  const auto out = plan(of, {std::move(method), std::move(target), {}, {}});
  return out.call ? out.call->command : std::to_string(out.response.status);
}

}  // namespace waggle::gateway::test
