#include "gateway/replies/reply_cache.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "gateway/front/http_syntax.hpp"
#include "gateway/replies/entity_tag.hpp"
#include "gateway/replies/finish.hpp"

namespace waggle::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Of an entry besides its texts.
constexpr std::size_t entry_bytes = 400;

std::size_t bytes_of(const front::response& answer) {
  std::size_t out = entry_bytes + answer.body.size() + answer.content_type.size();
  for (const auto& [name, value] : answer.headers) out += 80 + name.size() + value.size();
  return out;
}

/// Whole, good for everybody who asks the same, and not made without a part.
bool may_be_kept(const front::response& answer) {
  return answer.status == 200 && !answer.headers.find("set-cookie") && !answer.headers.find("waggle-incomplete");
}

}  // namespace

cache_wishes cache_wishes_of(const std::vector<front::header>& headers) {
  cache_wishes out;
  for (const auto& header : headers) {
    if (!front::syntax::equal_without_case(header.name, "cache-control")) continue;
    for (auto left = header.value; !left.empty();) {
      const auto each = front::syntax::next_part(left, ',');
      if (front::syntax::equal_without_case(each, "no-cache")) out.no_cache = true;
      if (front::syntax::equal_without_case(each, "no-store")) out.no_store = true;
      constexpr std::string_view age = "max-age=";
      if (each.size() <= age.size() || !front::syntax::equal_without_case(each.substr(0, age.size()), age)) continue;
      std::uint32_t number = 0;
      const auto* const end = each.data() + each.size();
      if (const auto [at, failed] = std::from_chars(each.data() + age.size(), end, number); at == end && failed == std::errc{}) out.age_max = seconds{number};
    }
  }
  return out;
}

reply_cache::verdict reply_cache::ask(front::instant now, const question& what) {
  std::string secret_text(sizeof secret_, '\0');
  std::copy_n(reinterpret_cast<const char*>(&secret_), sizeof secret_, secret_text.data());
  const auto key = sha256(secret_text.append(what.text));

  std::string why = "uri-miss";
  if (const auto found = entries_.find(key); found != entries_.end()) {
    const auto& known = *found->second;
    const auto age = std::chrono::floor<seconds>(now - known.at);
    const bool is_young = !what.wishes.age_max || age < *what.wishes.age_max;
    if (now >= known.stale_until) {
      forget(found->second);
      why = "stale";
    } else if (what.wishes.no_cache || !is_young) {
      why = "request";
    } else {
      order_.splice(order_.begin(), order_, found->second);
      const auto left = std::chrono::floor<seconds>(known.fresh_until - now);
      verdict out{verdict::kind::kept, 0, known.answer, "waggle; hit; ttl=" + std::to_string(left.count()), age};
      if (now >= known.fresh_until && !open_.contains(key)) {
        out.is = verdict::kind::renewed;
        out.flight = take_off(now, key, what, {});
        flights_.at(out.flight).renews = true;
      }
      return out;
    }
  }
  if (what.wishes.no_cache) why = "request";
  // Who asks for an answer that is made now does not take one that may have been made before he asked. Nor is who comes late given one that
  // may end before half of what he has is over.
  if (const auto open = open_.find(key); open != open_.end() && !what.wishes.no_cache) {
    auto& joined = flights_.at(open->second);
    if (joined.until >= now + what.budget / 2) {
      if (joined.waiters.size() >= waiters_max) return {verdict::kind::full, 0, {}, {}, {}};
      joined.waiters.push_back({what.who, "waggle; fwd=" + why + "; collapsed"});
      return {verdict::kind::waits, open->second, {}, {}, {}};
    }
  }
  return {verdict::kind::leads, take_off(now, key, what, {{what.who, "waggle; fwd=" + why}}), {}, {}, {}};
}

std::uint64_t reply_cache::take_off(front::instant now, const digest& key, const question& what, std::vector<waiter> waiters) {
  const auto number = ++last_flight_;
  flights_.emplace(number, flight{key, now + what.budget, what.times, std::move(waiters), !what.wishes.no_store, false});
  open_[key] = number;
  return number;
}

std::vector<reply_cache::waiter> reply_cache::landed(front::instant now, std::uint64_t number, front::response& answer) {
  const auto found = flights_.find(number);
  if (found == flights_.end()) return {};
  auto of = std::move(found->second);
  flights_.erase(found);
  if (const auto open = open_.find(of.key); open != open_.end() && open->second == number) open_.erase(open);
  if (of.keeps && may_be_kept(answer) && keep(now, number, of, answer)) {
    for (auto& each : of.waiters) each.said += "; stored";
  }
  return std::move(of.waiters);
}

bool reply_cache::keep(front::instant now, std::uint64_t number, const flight& of, front::response& answer) {
  const auto before = entries_.find(of.key);
  if (before != entries_.end() && before->second->flight > number) return false;  // one that was asked for later
  // Made once, and not for everybody who gets it.
  if (!answer.headers.find("etag")) answer.headers.emplace_back("ETag", entity_tag_of(answer.body));
  const auto bytes = bytes_of(answer);
  if (before != entries_.end()) forget(before->second);
  if (bytes > bytes_max_ / share) return false;
  const auto fresh_until = now + of.times.fresh;
  order_.push_front({of.key, number, std::make_shared<const front::response>(answer), now, fresh_until, fresh_until + of.times.stale, bytes});
  entries_.emplace(of.key, order_.begin());
  bytes_ += bytes;
  make_room();
  return true;
}

bool reply_cache::left(std::uint64_t number, std::uint64_t who) {
  const auto found = flights_.find(number);
  if (found == flights_.end()) return false;
  auto& of = found->second;
  std::erase_if(of.waiters, [&](const auto& each) { return each.who == who; });
  if (!of.waiters.empty() || of.renews) return false;
  if (const auto open = open_.find(of.key); open != open_.end() && open->second == number) open_.erase(open);
  flights_.erase(found);
  return true;
}

void reply_cache::clear() {
  entries_.clear();
  order_.clear();
  bytes_ = 0;
  open_.clear();
  for (auto& [number, each] : flights_) each.keeps = false;
}

void reply_cache::set_bytes_max(std::size_t to) {
  bytes_max_ = to;
  make_room();
}

void reply_cache::make_room() {
  while (bytes_ > bytes_max_ && !order_.empty()) forget(std::prev(order_.end()));
}

void reply_cache::forget(std::list<entry>::iterator which) {
  bytes_ -= which->bytes;
  entries_.erase(which->key);
  order_.erase(which);
}

}  // namespace waggle::gateway
