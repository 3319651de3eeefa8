#include "gateway/routes/network_view.hpp"

#include <utility>

namespace waggle::gateway {

std::string what_is_served(const network_view& network) {
  std::string out;
  const auto add = [&](std::string_view text) {
    out += std::to_string(text.size());
    out += ':';
    out += text;
  };
  for (const auto& service : network.services) {
    add(service.service);
    add(service.version);
    for (const auto& command : service.commands) {
      add(command.name);
      add(name(command.retry));
      add(command.request);
      add(command.reply);
      for (const auto& each : command.http) add(each);
    }
    out += ';';
  }
  return out;
}

result<network_view> read_network_view(std::string_view msgpack) {
  const auto malformed = [](const error& why) {
    return failure(status::internal, "the broker's list of services is malformed: " + why.message);
  };
  auto all = read_payload<network>(msgpack);
  if (!all) return malformed(all.error());
  network_view out{std::move(all->revision), std::move(all->broker), {}};
  for (auto& each : all->services) {
    auto& made = out.services.emplace_back(service_view{std::move(each.service), std::move(each.version), {}, std::move(each.instances)});
    for (const auto& bytes : each.commands) {
      auto command = wire::read_commands("\x91" + bytes.bytes);  // a list of one
      if (!command) return malformed(command.error());
      made.commands.push_back(std::move(command->front()));
    }
  }
  return out;
}

}  // namespace waggle::gateway
