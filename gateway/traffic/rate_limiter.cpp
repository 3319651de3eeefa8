#include "gateway/traffic/rate_limiter.hpp"

#include <algorithm>

namespace waggle::gateway {
namespace {

std::string whole_seconds(std::chrono::nanoseconds time) { return std::to_string(std::chrono::ceil<std::chrono::seconds>(time).count()); }

bool tighter(const rate_verdict& a, const rate_verdict& b) {
  if (a.allowed != b.allowed) return !a.allowed;
  return a.remaining != b.remaining ? a.remaining < b.remaining : a.more_in > b.more_in;
}

}  // namespace

std::string rate_by::written() const {
  switch (is) {
    case kind::address: return "address";
    case kind::key: return "key";
    case kind::route: return "route";
    case kind::claim: break;
  }
  std::string out = "claim";
  for (const auto& step : claim) out += '.' + step;
  return out;
}

rate_rule::rate_rule(std::string named, std::vector<rate_by> counted_by, std::shared_ptr<rate_table> its)
    : name{std::move(named)}, by{std::move(counted_by)}, buckets{std::move(its)} {
  const auto& terms = buckets->terms();
  policy = '"' + name + "\";q=" + std::to_string(terms.limit) + ";w=" + whole_seconds(terms.per);
  if (terms.burst != terms.limit) policy += ";waggle-burst=" + std::to_string(terms.burst);
}

std::string rate_rule::key_of(const rate_subject& of) const {
  std::string out;
  const auto add = [&](char what, std::string_view value) {
    out += what;
    out += std::to_string(value.size());  // so that no two lists of values are one text
    out += ':';
    out += value;
  };
  for (const auto& each : by) {
    if (each.is == rate_by::kind::route) {
      add('r', of.route);
    } else if (each.is == rate_by::kind::key && !of.key.empty()) {
      add('k', of.key);
    } else if (auto claimed = each.is == rate_by::kind::claim && of.claim ? of.claim(each.claim) : std::nullopt) {
      add('c', *claimed);
    } else {
      add('a', of.address.subscriber());
    }
  }
  return out;
}

void rate_report::add(const rate_rule& of, const rate_verdict& said) {
  policies_.reserve(policies_.size() + of.policy.size() + 2);
  if (!policies_.empty()) policies_ += ", ";
  policies_ += of.policy;
  if (tightest_ != nullptr && !tighter(said, verdict_)) return;
  tightest_ = &of;
  verdict_ = said;
}

std::string rate_report::remaining() const {
  std::string out;
  out.reserve(tightest_->name.size() + 40);
  out += '"';
  out += tightest_->name;
  out += "\";r=";
  out += std::to_string(verdict_.remaining);
  if (verdict_.more_in > std::chrono::nanoseconds{0}) {
    out += ";t=";
    out += whole_seconds(verdict_.more_in);
  }
  return out;
}

std::optional<rate_refusal> count_request(front::instant now, std::span<const rate_rule> rules, const rate_subject& of, rate_report& report) {
  std::optional<rate_refusal> out;
  for (const auto& rule : rules) {
    const auto key = rule.key_of(of);
    const auto said = out ? rule.buckets->peek(now, key) : rule.buckets->take(now, key);
    report.add(rule, said);
    if (said.allowed) continue;
    if (!out) {
      for (const auto* before = rules.data(); before != &rule; ++before) before->buckets->refund(before->key_of(of));
      out.emplace();
    }
    out->violated.push_back(rule.name);
    out->retry_after = std::max(out->retry_after, said.more_in);
  }
  return out;
}

}  // namespace waggle::gateway
