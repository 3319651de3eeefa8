#include "broker/events/group.hpp"

namespace waggle::broker {

bool group::subscribe(const event_manifest& what) {
  const subscription wanted{what.topic, event_command(name_, what.topic), what.budget_ms, what.attempts, what.backoff_ms, what.backoff_max_ms, 0};
  const auto known = std::find_if(subscriptions_.begin(), subscriptions_.end(), [&](const auto& each) { return each.pattern == what.topic; });
  if (known == subscriptions_.end()) {
    subscriptions_.push_back(wanted);
    sort();
    return true;
  }
  const auto terms = [](const subscription& of) { return std::tie(of.budget_ms, of.attempts, of.backoff_ms, of.backoff_max_ms); };
  if (terms(*known) == terms(wanted)) return false;
  const auto slots = known->slots;
  *known = wanted;
  known->slots = slots;
  return true;
}

void group::sort() {
  std::stable_sort(subscriptions_.begin(), subscriptions_.end(),
                   [](const auto& a, const auto& b) { return wire::is_more_specific(a.pattern, b.pattern); });
}

std::optional<group::taker> group::taker_of(std::string_view topic) const {
  for (const auto& each : subscriptions_) {
    if (!wire::matches(each.pattern, topic)) continue;
    const auto slots = commands_ ? desk_.members.slots_of(topic) : each.slots;
    if (slots > 0) return taker{commands_ ? topic : std::string_view{each.command}, &each, slots};
  }
  return std::nullopt;
}

std::vector<std::string> group::prefixes() const {
  std::vector<std::string> out;
  for (const auto& each : subscriptions_) {
    out.push_back(each.pattern);
    if (out.back().ends_with('*')) out.back().pop_back();
  }
  return out;
}

std::string group::to_msgpack() const {
  std::string out;
  wire::writer to{out};
  to.map(1);
  to.string("topics");
  to.array(subscriptions_.size());
  for (const auto& each : subscriptions_) {
    to.array(5);
    to.string(each.pattern);
    to.unsigned_integer(each.budget_ms);
    to.unsigned_integer(each.attempts);
    to.unsigned_integer(each.backoff_ms);
    to.unsigned_integer(each.backoff_max_ms);
  }
  return out;
}

void group::read(std::string_view about) {
  wire::reader in{about};
  if (commands_ || in.peek() != wire::kind::map) return;
  const auto topics = [&] {
    std::uint32_t count = 0, fields = 0;
    if (!in.array(count)) return false;
    for (std::uint32_t i = 0; i < count; ++i) {
      event_manifest each;
      std::string_view pattern;
      std::uint64_t attempts = 0;
      if (!in.array(fields) || fields < 5 || !in.string(pattern) || !in.unsigned_integer(each.budget_ms) || !in.unsigned_integer(attempts) ||
          !in.unsigned_integer(each.backoff_ms) || !in.unsigned_integer(each.backoff_max_ms)) {
        return false;
      }
      for (std::uint32_t more = 5; more < fields; ++more) {
        if (!in.skip()) return false;
      }
      each.topic = pattern;
      each.attempts = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(attempts, 1, wire::event_attempts_max));
      if (wire::is_topic_pattern(pattern)) subscribe(each);
    }
    return true;
  };
  wire::read_entries(in, [&](std::string_view key) { return key == "topics" && in.peek() == wire::kind::array ? topics() : in.skip(); });
}

}  // namespace waggle::broker
