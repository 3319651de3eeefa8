// Who may ask how much, from where, and what is done while a service is in trouble.
#include <algorithm>

#include <waggle/detail/duration.hpp>

#include "gateway/front/http_syntax.hpp"
#include "gateway/routes/config_keys.hpp"
#include "gateway/routes/config_reader.hpp"

namespace waggle::gateway {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr std::size_t shown_bytes_max = 64;
constexpr std::uint64_t concurrency_max = 1'000'000;
/// With this the time in which an empty bucket is full stays below 100 days, and far from what a clock can count.
constexpr std::uint64_t burst_limits_max = 100;

std::string scalar(const YAML::Node& of) { return of.IsScalar() ? of.Scalar().substr(0, shown_bytes_max) : std::string{}; }

/// A policy's name in RateLimit-Policy: a String of RFC 9651 that nothing in needs a backslash.
bool is_rate_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\'; });
}

/// What a rate is called when nobody has said: "address-1m", "claim.sub+route-10s".
std::string usual_name(const std::vector<rate_by>& by, const std::string& per, const std::string& prefix) {
  std::string out = prefix;
  for (const auto& each : by) out += (&each == &by.front() ? "" : "+") + each.written();
  std::replace_if(out.begin(), out.end(), [](char c) { return c <= 0x20 || c >= 0x7f || c == '"' || c == '\\'; }, '_');
  return out.substr(0, 48) + '-' + per;
}

}  // namespace

std::optional<milliseconds> config_reader::time(const entry_map& in, std::string_view key, milliseconds least, milliseconds most, std::string_view example) {
  const auto at = in.find(key);
  if (at == in.end()) return std::nullopt;
  const auto written = scalar(at->second.value);
  const auto out = waggle::detail::parse_duration(written);
  if (out && *out >= least && *out <= most) return out;
  const auto shown = [](milliseconds time) {
    return time % 1h == 0ms && time >= 1h ? std::to_string(time / 1h) + 'h' : time % 1min == 0ms && time >= 1min ? std::to_string(time / 1min) + 'm'
           : time % 1s == 0ms ? std::to_string(time / 1s) + 's' : std::to_string(time.count()) + "ms";
  };
  wrong(at->second.line, in_quotes(written) + " is no time for " + std::string{key} + "; write one from " + shown(least) + " to " + shown(most) + ", as in " +
                             std::string{example});
  return std::nullopt;
}

void config_reader::read_proxies(const entry& at) {
  constexpr const char* example = "proxies: [127.0.0.1, 10.0.0.0/8]";
  if (!is_first(at, "proxies")) return;
  proxies_config out;
  const auto read_networks = [&](const YAML::Node& list, int line) {
    if (!list.IsSequence() || list.size() == 0) return wrong(line, std::string{"proxies name no addresses; write "} + example);
    if (list.size() > proxies_max) return wrong(line, "there are more than 1024 proxies; write networks, as in 10.0.0.0/8");
    for (const auto& each : list) {
      const auto written = scalar(each);
      auto why = network_fault::not_one;
      if (auto network = parse_ip_network(written, why)) {
        out.networks.push_back(*network);
      } else if (why == network_fault::host_bits) {
        wrong(each, in_quotes(written) + " has bits behind its prefix; write the network's first address, or the address without a prefix");
      } else {
        wrong(each, in_quotes(written) + " is neither an address nor a network; write one, as in 10.0.0.0/8 or 2001:db8::/32");
      }
    }
  };
  if (at.value.IsSequence()) {
    read_networks(at.value, at.line);
  } else if (at.value.IsMap()) {
    const auto known = entries(at.value, "proxies", keys::proxies);
    if (const auto addresses = known.find("addresses"); addresses != known.end()) {
      read_networks(addresses->second.value, addresses->second.line);
    } else {
      wrong(at.line, std::string{"proxies name no addresses; write "} + example);
    }
    if (const auto* header = text(known, "header", "Forwarded")) {
      if (front::syntax::equal_without_case(*header, "Forwarded")) {
        out.says = proxies_config::header::forwarded;
      } else if (!front::syntax::equal_without_case(*header, "X-Forwarded-For")) {
        wrong(known.at("header").line, in_quotes(header->substr(0, shown_bytes_max)) + " is no header that says whom a proxy asks for; write " +
                                           listed(keys::proxy_headers, " or "));
      }
    }
  } else {
    wrong(at.line, std::string{"proxies is no list of addresses; write "} + example);
  }
  out_.proxies = std::move(out);
}

std::vector<std::string> config_reader::header_names(const entry_map& in, std::string_view key) {
  std::vector<std::string> out;
  const auto at = in.find(key);
  if (at == in.end()) return out;
  if (!at->second.value.IsSequence() || at->second.value.size() > cors_headers_max) {
    wrong(at->second.line, std::string{key} + " is no list of up to 64 headers; write one, as in " + std::string{key} + ": [X-Total]");
    return out;
  }
  for (const auto& each : at->second.value) {
    if (front::syntax::is_token(scalar(each)) && scalar(each) != "*") {
      out.push_back(scalar(each));
    } else {
      wrong(each, in_quotes(scalar(each)) + " is no name of a header; write letters, digits and -");
    }
  }
  return out;
}

void config_reader::read_cors(const entry& at) {
  constexpr const char* example = "cors: {origins: [\"https://app.example.com\"]}";
  if (!is_first(at, "cors")) return;
  if (!at.value.IsMap()) return wrong(at.line, std::string{"cors is no map; write "} + example);
  const auto known = entries(at.value, "cors", keys::cors);
  cors_config out;
  const auto origins = known.find("origins");
  if (origins == known.end() || !origins->second.value.IsSequence() || origins->second.value.size() == 0) {
    wrong(origins == known.end() ? at.line : origins->second.line, std::string{"cors names no origins, so no page could read anything; write "} + example);
  } else if (origins->second.value.size() > cors_origins_max) {
    wrong(origins->second.line, "there are more than 256 origins; write fewer");
  } else {
    for (const auto& each : origins->second.value) {
      const auto written = each.IsScalar() ? each.Scalar() : std::string{each.IsNull() ? "null" : ""};
      if (const auto fault = wrong_with_origin(written); !fault.empty()) {
        wrong(each, "the origin " + in_quotes(written.substr(0, shown_bytes_max)) + ' ' + fault);
      } else if (std::find(out.origins.begin(), out.origins.end(), written) != out.origins.end()) {
        wrong(each, "the origin " + in_quotes(written) + " stands here twice; remove one");
      } else {
        out.origins.push_back(written);
      }
    }
    const bool any = std::find(out.origins.begin(), out.origins.end(), "*") != out.origins.end();
    if (any && out.origins.size() > 1) wrong(origins->second.line, "the origin \"*\" is every origin; remove it, or the others");
  }
  if (const auto credentials = known.find("credentials"); credentials != known.end()) {
    const auto said = scalar(credentials->second.value);
    if (said != "true" && said != "false") wrong(credentials->second.line, "credentials is neither true nor false; write credentials: true");
    out.credentials = said == "true";
    if (out.credentials && std::find(out.origins.begin(), out.origins.end(), "*") != out.origins.end()) {
      wrong(credentials->second.line, "with credentials every site could act as its visitors; write the origins that may, instead of \"*\"");
    }
  }
  if (const auto age = time(known, "max_age", 0s, 24h, "10m")) out.max_age = std::chrono::floor<std::chrono::seconds>(*age);
  out.headers = header_names(known, "headers");
  out.expose = header_names(known, "expose");
  out_.cors = std::move(out);
}

std::vector<rate_by> config_reader::read_rate_by(const entry& at) {
  constexpr const char* instead = "; write address, key, route, claim.NAME, or a list of these";
  std::vector<rate_by> out;
  const auto add = [&](const YAML::Node& each, int line) {
    const auto written = each.IsScalar() ? each.Scalar() : std::string{};
    rate_by made;
    if (written == "address") {
      made.is = rate_by::kind::address;
    } else if (written == "key") {
      made.is = rate_by::kind::key;
    } else if (written == "route") {
      made.is = rate_by::kind::route;
    } else if (written.starts_with("claim.")) {
      const auto claim = read_source(written, line, {});
      if (!claim) return;
      made.is = rate_by::kind::claim;
      made.claim.push_back(claim->name);
      made.claim.insert(made.claim.end(), claim->steps.begin(), claim->steps.end());
    } else {
      return wrong(line, in_quotes(written.substr(0, shown_bytes_max)) + " is nothing that requests are counted by" + instead);
    }
    if (std::find(out.begin(), out.end(), made) != out.end()) return wrong(line, in_quotes(written) + " stands here twice; remove one");
    out.push_back(std::move(made));
  };
  if (at.value.IsSequence() && at.value.size() > 0 && at.value.size() <= 8) {
    for (const auto& each : at.value) add(each, each.Mark().line + 1);
  } else {
    add(at.value, at.line);
  }
  return out;
}

std::optional<rate_config> config_reader::read_rate(const YAML::Node& node, const std::string& prefix) {
  constexpr const char* example = "{limit: 100, per: 1m, by: address}";
  const auto before = errors_.size();
  const int line = node.Mark().line + 1;
  if (!node.IsMap()) {
    wrong(line, std::string{"a rate is no map; write "} + example);
    return std::nullopt;
  }
  const auto known = entries(node, "a rate", keys::rate);
  rate_config out;
  for (const std::string_view needed : {"limit", "per", "by"}) {
    if (known.find(needed) == known.end()) wrong(line, "the rate has no " + std::string{needed} + "; write it, as in " + example);
  }
  if (const auto limit = known.find("limit"); limit != known.end()) {
    if (const auto count = number(limit->second, "limit", 1, rate_limit_max)) out.terms.limit = *count;
  }
  if (const auto per = time(known, "per", 1s, 24h, "1m")) {
    out.terms.per = *per;
    if (*per % 1s != 0ms) wrong(known.at("per").line, "per is no whole number of seconds, as clients are told; write one, as in 10s");
  }
  out.terms.burst = out.terms.limit;
  if (const auto burst = known.find("burst"); burst != known.end() && out.terms.limit > 0) {
    if (const auto count = number(burst->second, "burst", 1, std::min(rate_limit_max, burst_limits_max * out.terms.limit))) out.terms.burst = *count;
  }
  if (const auto by = known.find("by"); by != known.end()) out.by = read_rate_by(by->second);
  if (errors_.size() > before) return std::nullopt;
  out.name = usual_name(out.by, known.at("per").value.Scalar(), prefix);
  if (const auto* name = text(known, "name", "burst")) {
    out.name = *name;
    if (!is_rate_name(*name)) wrong(known.at("name").line, "the name is not for a header; write up to 64 visible ASCII characters without quotes and \\");
  }
  return errors_.size() > before ? std::nullopt : std::optional{std::move(out)};
}

/// One rate or a list of them; their names are different.
std::vector<rate_config> config_reader::read_rates(const entry& at, const std::string& what, const std::string& prefix) {
  std::vector<rate_config> out;
  const auto add = [&](const YAML::Node& node) {
    if (++rates_ == rates_max + 1) wrong(node, "there are more than 1024 rates; write some for all routes, under rates, instead of for each");
    auto made = read_rate(node, prefix);
    if (!made) return;
    const auto same = [&](const auto& each) { return each.name == made->name; };
    if (std::any_of(out.begin(), out.end(), same)) return wrong(node, "the rate " + in_quotes(made->name) + " stands here twice; remove one, or give it a name");
    out.push_back(std::move(*made));
  };
  if (at.value.IsMap()) {
    add(at.value);
  } else if (!at.value.IsSequence()) {
    wrong(at.line, what + " is no list of rates; write one, as in " + what + ": [{limit: 100, per: 1m, by: address}]");
  } else if (at.value.size() > route_rates_max) {
    wrong(at.line, "there are more than 8 rates; write fewer");
  } else {
    for (const auto& each : at.value) add(each);
  }
  return out;
}

void config_reader::read_breaker(const entry& at) {
  if (!is_first(at, "breaker")) return;
  if (!at.value.IsMap()) return wrong(at.line, "breaker is no map; write breaker: {failures: 50%, of: 20, within: 10s, open: 5s}, or breaker: {}");
  const auto known = entries(at.value, "a breaker", keys::breaker);
  breaker_terms out;
  if (const auto failures = known.find("failures"); failures != known.end()) {
    if (const auto share = percent(failures->second, "share of failures", 1, 100)) out.failures_percent = *share;
  }
  if (const auto of = known.find("of"); of != known.end()) {
    if (const auto count = number(of->second, "of", 1, 1'000'000)) out.of = static_cast<unsigned>(*count);
  }
  if (const auto within = time(known, "within", 1s, 1h, "10s")) out.within = *within;
  if (const auto open = time(known, "open", 100ms, 1h, "5s")) out.open = *open;
  out_.breaker = out;
}

void config_reader::read_retries(const entry& at) {
  if (!is_first(at, "retries")) return;
  if (!at.value.IsMap()) return wrong(at.line, "retries is no map; write retries: {attempts: 2, budget: 10%}, or retries: {}");
  const auto known = entries(at.value, "retries", keys::retries);
  retry_terms out;
  if (const auto attempts = known.find("attempts"); attempts != known.end()) {
    if (const auto count = number(attempts->second, "attempts", 1, 5)) out.attempts = static_cast<unsigned>(*count);
  }
  if (const auto budget = known.find("budget"); budget != known.end()) {
    if (const auto share = percent(budget->second, "budget of retries", 0, 100)) out.budget_percent = *share;
  }
  out_.retries = out;
}

void config_reader::read_route_traffic(const entry_map& known) {
  if (const auto at = known.find("rate"); at != known.end()) route_.out.rates = read_rates(at->second, "rate", "route-");
  if (const auto at = known.find("concurrency"); at != known.end()) route_.out.concurrency = number(at->second, "concurrency", 1, concurrency_max);
}

}  // namespace waggle::gateway
