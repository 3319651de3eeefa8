// What the model says of the commands by which people look into the broker and steer it.
#include <algorithm>

#include "sim/model.hpp"

namespace waggle::sim {

void model::on_operation(peer_id from, const wire::frame& in) {
  constexpr std::string_view known[] = {"waggle.workers", "waggle.queues", "waggle.calls", "waggle.stats",
                                        "waggle.drain",   "waggle.pause",  "waggle.resume"};
  if (std::find(std::begin(known), std::end(known), in.name) == std::end(known)) {
    return refuse(from, in.id, status::unimplemented, "the broker has no such command");
  }
  std::string_view prefix, command_name, worker;
  std::uint64_t limit = 0;
  wire::reader payload{in.payload};
  const bool absent = in.payload.empty() || payload.peek() == wire::kind::nil;
  const bool good = absent || (payload.peek() == wire::kind::map && wire::read_entries(payload, [&](std::string_view key) {
    if (key == "prefix") return payload.string(prefix);
    if (key == "command") return payload.string(command_name);
    if (key == "worker") return payload.string(worker);
    if (key == "limit") return payload.unsigned_integer(limit);
    return payload.skip();
  }));
  if (!good) return expect_error(from, in.id, status::invalid_argument, false, "what an operation is asked");
  const auto succeeds = [&](const char* why) -> const wire::frame& {
    const auto is_map = [](const auto& each) { return each.status == status::ok && !each.payload.empty() && each.payload[0] > '\x80' && each.payload[0] < '\x8f'; };
    const auto& reply = expect_reply(from, in.id, why, is_map);
    if (!is_map(reply)) fail(std::string{why} + " fails");
    return reply;
  };
  const auto totals = [&](std::size_t count, const char* why) {
    wire::reader list{succeeds(why).payload};
    std::uint32_t entries = 0;
    std::string_view key;
    std::uint64_t total = 0;
    if (!list.map(entries) || !list.string(key) || !list.unsigned_integer(total) || total != count) {
      fail(std::string{why} + " counts " + std::to_string(total) + " and not " + std::to_string(count));
    }
  };
  if (in.name == "waggle.workers") {
    totals(static_cast<std::size_t>(std::count_if(peers_.begin(), peers_.end(), [&](const auto& each) {
             return each.known && each.seat != nullptr && std::string_view{each.instance}.starts_with(prefix);
           })), "waggle.workers");
  } else if (in.name == "waggle.calls" && command_name.empty()) {
    totals(calls_.size() - parked_, "waggle.calls");
  } else if (in.name == "waggle.drain") {
    const bool any = std::any_of(peers_.begin(), peers_.end(), [&](const auto& each) { return each.known && each.seat != nullptr && each.instance == worker; });
    if (!any) return expect_error(from, in.id, status::not_found, false, "nobody is named so");
    drain_named(worker);
    succeeds("waggle.drain");
  } else if (in.name == "waggle.pause" || in.name == "waggle.resume") {
    const auto found = commands_.find(command_name);
    if (found == commands_.end() || (commands_.size() >= limits_.commands_max && replied(from, in.id, status::not_found))) {
      return expect_error(from, in.id, status::not_found, false, "the command is not known");
    }
    const bool was_paused = std::exchange(found->second.paused, in.name == "waggle.pause");
    succeeds("a pause or its end");
    if (!was_paused || found->second.paused) return;
    seek_homes(found->second);
    dispatch();
  } else {
    succeeds("a list");
  }
}

/// All of that name, one after the other: what waits for one of them may go to another that is not asked yet.
void model::drain_named(std::string_view instance) {
  std::vector<peer_id> named;
  for_peers([&](peer_id id, const peer& each) {
    if (each.seat != nullptr && !each.draining && each.instance == instance) named.push_back(id);
  });
  while (!named.empty()) {
    const auto next = named.begin() + static_cast<std::ptrdiff_t>(named.size() > 1 ? choose(named.size()) : 0);
    const auto id = *next;
    named.erase(next);
    expect(wire::frame_type::leave, id, 0, "it is asked to leave");
    ++sums_.asked_to_leave;
    drain(id);
  }
}

}  // namespace waggle::sim
