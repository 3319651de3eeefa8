#include "broker/peers/guard.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace waggle::broker {
namespace {

/// The endpoint for events of the n-th set of topics: the next port, or a path that says so.
std::string endpoint_number(const std::string& first, std::size_t n) {
  if (n == 0) return first;
  if (!first.starts_with("tcp://")) return first + '.' + std::to_string(n);
  const auto colon = first.rfind(':') + 1;
  std::size_t port = 0;
  const auto [end, failed] = std::from_chars(first.data() + colon, first.data() + first.size(), port);
  if (failed != std::errc{} || end != first.data() + first.size()) return first;  // "*": any
  return first.substr(0, colon) + std::to_string(port + n);
}

}  // namespace

guard::guard(net::context& in, net::key_pair own, std::string events_out)
    : context_{in}, own_{std::move(own)}, events_out_{std::move(events_out)}, gate_{in, [](auto, auto) { return "the broker has not begun"; }} {}

void guard::protect(net::socket& what, const std::string& domain) {
  what.guard(own_, domain);
  gate_.watch(what, domain);
}

std::vector<guard::outlet> guard::outlets_for(const peers_config& from, std::vector<std::size_t>& outlet_of_role) const {
  std::vector<outlet> out;
  std::vector<std::string> chosen;  // endpoints that are not said
  for (const auto& each : from.roles) {
    outlet_of_role.push_back(from.roles.size());
    if (each.may.subscribe.empty()) continue;
    auto found = std::find_if(out.begin(), out.end(), [&](const outlet& made) {
      const bool is_chosen = std::find(chosen.begin(), chosen.end(), made.domain) != chosen.end();
      return each.events_out.empty() ? is_chosen && made.sees == each.may.subscribe : !is_chosen && made.wanted == each.events_out;
    });
    if (found == out.end()) {
      // Of those that stand in the file, the domain is the place: it becomes a name of its own when the socket is opened.
      out.push_back({each.events_out.empty() ? endpoint_number(events_out_, chosen.size()) : each.events_out, std::to_string(out.size()), each.may.subscribe});
      if (each.events_out.empty()) chosen.push_back(out.back().domain);
      found = out.end() - 1;
    }
    outlet_of_role.back() = static_cast<std::size_t>(found - out.begin());
  }
  return out;
}

void guard::open(outlet& which) {
  which.domain = "events-out " + std::to_string(++opened_);
  which.socket = std::make_unique<net::event_sink>(context_);
  protect(*which.socket, which.domain);
  which.bound = which.socket->bind(which.wanted);
}

void guard::take(const peers_config& from) {
  std::vector<std::size_t> outlet_of_role;
  auto next = outlets_for(from, outlet_of_role);
  std::vector<outlet*> kept(next.size(), nullptr);  // those of now whose sockets serve on
  for (std::size_t i = 0; i < next.size(); ++i) {
    for (auto& now : outlets_) {
      if (now.wanted == next[i].wanted && std::find(kept.begin(), kept.end(), &now) == kept.end()) {
        kept[i] = &now;
        break;
      }
    }
    if (kept[i] == nullptr) open(next[i]);  // if it throws, all is as it was
  }
  for (std::size_t i = 0; i < next.size(); ++i) {
    if (kept[i] == nullptr) continue;
    next[i].domain = std::move(kept[i]->domain);
    next[i].bound = std::move(kept[i]->bound);
    next[i].socket = std::move(kept[i]->socket);
  }

  decltype(peers_) peers;
  std::vector<std::shared_ptr<const role>> roles;
  for (const auto& each : from.roles) roles.push_back(std::make_shared<const role>(each.may));
  struct entry {
    bool publishes;
    std::string events_out;  ///< domain
  };
  const auto guests = std::make_shared<tsl::robin_map<std::string, entry, std::hash<std::string_view>, std::equal_to<>>>();
  for (const auto& each : from.peers) {
    const auto at = outlet_of_role[each.role];
    const bool sees = at < next.size();
    peers.emplace(each.key, std::make_shared<const identity>(identity{each.name, roles[each.role], sees ? next[at].bound : std::string{}}));
    guests->emplace(each.key, entry{!roles[each.role]->publish.empty(), sees ? next[at].domain : std::string{}});
  }
  gate_.admit([guests](std::string_view key, std::string_view domain) -> const char* {
    const auto found = guests->find(key);
    if (found == guests->end()) return "it is none of the peers'";
    if (domain == commands_domain) return nullptr;
    if (domain == events_in_domain) return found->second.publishes ? nullptr : "its role may not publish";
    if (found->second.events_out.empty()) return "its role may not subscribe";
    return found->second.events_out == domain ? nullptr : "its role subscribes at another endpoint, which the welcome tells";
  });

  // Who subscribed somewhere and may not be there any more has to go; those who may come back by themselves.
  std::vector<std::string> left;
  for (const auto& [key, who] : peers_) {
    if (who->events_out.empty()) continue;
    const auto again = peers.find(key);
    if (again == peers.end() || again->second->events_out != who->events_out) left.push_back(who->events_out);
  }
  outlets_ = std::move(next);
  peers_ = std::move(peers);
  std::optional<net::endpoint_error> failed;
  for (auto& each : outlets_) {
    if (std::find(left.begin(), left.end(), each.bound) == left.end()) continue;
    try {
      each.socket->admit_anew(each.bound);
    } catch (const net::endpoint_error& e) {
      failed = e;
    }
  }
  if (failed) throw *failed;
}

void guard::send(std::string_view topic, std::string_view event) {
  for (auto& each : outlets_) {
    // The broker's own are answers to subscribers, and how far streams are.
    if (topic.starts_with("waggle.") || role::allows(each.sees, topic)) each.socket->send(topic, event);
  }
}

std::optional<std::string_view> guard::next_subscription() {
  for (auto& each : outlets_) {
    if (const auto prefix = each.socket->next_subscription()) return prefix;
  }
  return std::nullopt;
}

void guard::wait_for(net::waiter& waits) {
  for (auto& each : outlets_) waits.read(*each.socket);
  waits.read(gate_.descriptor());
}

void guard::linger(std::chrono::milliseconds at_most) {
  for (auto& each : outlets_) each.socket->linger(at_most);
}

std::vector<std::string> guard::events_out() const {
  std::vector<std::string> out;
  for (const auto& each : outlets_) out.push_back(each.bound);
  return out;
}

}  // namespace waggle::broker
