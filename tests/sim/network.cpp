#include "sim/network.hpp"

#include <algorithm>

namespace waggle::sim {

std::uint32_t network::connect(std::uint32_t owner) {
  std::uint32_t index = 0;
  while (index < size() && (at(index).up || at(index).held || at(index).numbered || !at(index).to_broker.under_way.empty())) ++index;
  if (index == size()) connections_.emplace_back();
  at(index) = connection{};
  at(index).owner = owner;
  at(index).up = at(index).held = true;
  return index;
}

void network::cut(instant now, std::uint32_t index, bool arrived_stays) {
  auto& broken = at(index);
  broken.up = broken.held = false;
  broken.to_peer = {};
  auto& read = broken.to_broker.under_way;
  std::erase_if(read, [&](const auto& each) { return !arrived_stays || each.at > now; });
}

void network::close(std::uint32_t index) {
  at(index).up = at(index).held = false;
  at(index).to_peer = {};
}

void network::stall(std::uint32_t index, instant until) {
  for (auto* each : {&at(index).to_broker, &at(index).to_peer}) {
    each->last = std::max(each->last, until);
    for (auto& message : each->under_way) message.at = std::max(message.at, until);
  }
}

void network::cut_all() {
  for (auto& each : connections_) each = connection{};
}

sent network::to_broker(instant now, std::uint32_t index, const wire::message_view& what, bool garbage) {
  if (!at(index).up) return sent::unreachable;
  return push(now, at(index).to_broker, what, garbage);
}

sent network::to_peer(instant now, std::uint32_t index, const wire::message_view& what) {
  if (!at(index).up) return sent::unreachable;
  return push(now, at(index).to_peer, what, false);
}

/// Attachments are copied, as they are from one process to another.
sent network::push(instant now, pipe& into, const wire::message_view& what, bool garbage) {
  if (into.under_way.size() >= climate_.pipe_messages_max) return sent::full;
  auto delay = microseconds{chance_.between(1, static_cast<std::uint64_t>(climate_.delay_max.count()))};
  if (chance_.chance(climate_.spikes, 1000)) delay *= static_cast<std::int64_t>(chance_.between(1, 100));
  into.last = std::max(into.last, now + delay);
  auto& made = into.under_way.emplace_back();
  made.at = into.last;
  made.garbage = garbage;
  made.what.bundle = what.bundle;
  for (const auto& each : what.attachments) made.what.attachments.emplace_back(std::string{each.bytes()});
  return sent::yes;
}

}  // namespace waggle::sim
