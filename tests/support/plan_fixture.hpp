#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "support/routes_fixture.hpp"

namespace waggle::gateway::test {

using namespace std::chrono_literals;

/// One request on its way through a plan, with a test in the place of the network and of time.
class plan_fixture {
 public:
  plan_fixture(const router& of, const sent& in, const request_context& with = {}) {
    auto planned = of.plan(in.request(), with);
    if (auto* refused = std::get_if<front::response>(&planned)) {
      answer = std::move(*refused);
      return;
    }
    run.emplace(std::get<plan_run>(std::move(planned)));
    plan_effects out;
    run->begin(now, out);
    take(out);
  }

  /// Commands and topics with their payloads, that have been ordered and have not ended: "stock.levels{...}".
  [[nodiscard]] std::string open() const {
    std::string out;
    for (const auto& [slot, each] : orders) {
      out += (out.empty() ? "" : " ") + each.name + wire::msgpack_to_json(each.payload);
    }
    return out;
  }
  [[nodiscard]] const plan_effects::order& order(std::string_view name) const { return at(name)->second; }

  void reply(std::string_view name, std::string_view value) { reply_bytes(name, wire::json_to_msgpack(value).value()); }
  void reply_bytes(std::string_view name, std::string_view payload) {
    const auto slot = close(name);
    plan_effects out;
    run->on_result(now, slot, payload, out);
    take(out);
  }
  void fail(std::string_view name, error why) {
    const auto slot = close(name);
    plan_effects out;
    run->on_error(now, slot, std::move(why), out);
    take(out);
  }
  void abandon() {
    plan_effects out;
    run->on_abandoned(now, out);
    take(out);
  }
  void pass(std::chrono::milliseconds time) {
    now += time;
    plan_effects out;
    if (run->next_deadline() <= now) run->tick(now, out);
    take(out);
  }

  /// "200 {...}", or nothing so far.
  [[nodiscard]] std::string answered() const {
    return answer ? std::to_string(answer->status) + (answer->body.empty() ? "" : " " + answer->body) : "";
  }
  [[nodiscard]] json body() const { return json::parse(answer->body); }
  [[nodiscard]] std::string header(std::string_view name) const {
    for (const auto& each : answer->headers) {
      if (each.first == name) return std::string{each.second};
    }
    return "none";
  }

  front::instant now = front::clock::now();
  std::optional<plan_run> run;
  std::map<std::size_t, plan_effects::order> orders;
  std::vector<std::string> cancelled;
  std::optional<front::response> answer;
  int answers = 0;
  std::vector<std::string> notes;

 private:
  [[nodiscard]] std::map<std::size_t, plan_effects::order>::const_iterator at(std::string_view name) const {
    for (auto each = orders.begin(); each != orders.end(); ++each) {
      if (each->second.name == name) return each;
    }
    throw std::logic_error{"no call of " + std::string{name} + " is open, only " + open()};
  }
  std::size_t close(std::string_view name) {
    const auto found = at(name);
    const auto slot = found->first;
    orders.erase(found);
    return slot;
  }
  void take(plan_effects& out) {
    for (auto& each : out.orders) {
      const auto slot = each.slot;
      if (!orders.emplace(slot, std::move(each)).second) throw std::logic_error{"a slot was ordered twice"};
    }
    for (const auto slot : out.cancels) cancelled.push_back(orders.at(slot).name);
    if (out.answer) {
      answer = std::move(out.answer);
      ++answers;
    }
    for (auto& each : out.notes) notes.push_back(std::move(each));
  }
};

}  // namespace waggle::gateway::test
