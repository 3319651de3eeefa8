#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/front/application.hpp"
#include "gateway/routes/problems.hpp"

namespace waggle::gateway {

/// Where a plain request is to be sent instead: the same host at the port for TLS. Nothing for one that came over TLS, and for what
/// load balancers ask. The front has checked Host; only HTTP/1.0 may be without.
[[nodiscard]] inline std::optional<front::response> to_https(const front::request& in, std::uint16_t port) {
  if (in.from == nullptr || in.from->encrypted || in.path == "/livez" || in.path == "/readyz") return std::nullopt;
  const auto named = in.find("host").value_or("");
  const auto host = named.substr(0, named.starts_with('[') ? named.find(']') + 1 : named.find(':'));
  if (host.empty() || in.path == "*") return refusal(400, "this server is to be asked by https");
  std::string where = "https://" + std::string{host};
  if (port != 443) where += ':' + std::to_string(port);
  where += in.path;
  if (!in.query.empty()) where.append("?").append(in.query);
  return front::response{308, {}, {}, {{"Location", std::move(where)}}};
}

}  // namespace waggle::gateway
