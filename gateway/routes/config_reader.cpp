#include "gateway/routes/config_reader.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>

#include <waggle/detail/duration.hpp>
#include <waggle/wire/limits.hpp>
#include <waggle/wire/utf8.hpp>

#include "gateway/front/http_syntax.hpp"
#include "gateway/routes/config_keys.hpp"

namespace waggle::gateway {
namespace {

using part = source::part;

/// What a faulty text shows of itself.
constexpr std::size_t compared_bytes_max = 64;

/// Edits from one text to the other; two letters in the wrong order are one.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  std::iota(last.begin(), last.end(), 0u);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) now[j] = std::min(now[j], before[j - 2] + 1);
    }
    before = std::exchange(last, std::exchange(now, before));
  }
  return last[b.size()];
}

/// What no route may say: it would make an answer end elsewhere than its length says, or is said by a key of its own.
std::string_view instead_of_header(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 13> owned{{
      {"Content-Length", "the gateway says it"},
      {"Transfer-Encoding", "the gateway says it"},
      {"Connection", "the gateway says it"},
      {"Date", "the gateway says it"},
      {"Keep-Alive", "the gateway says it"},
      {"Upgrade", "the gateway says it"},
      {"Trailer", "the gateway says it"},
      {"Content-Type", "the gateway says it, by the request's Accept"},
      {"Content-Encoding", "the gateway says it when it compresses"},
      {"Allow", "the gateway says it"},
      {"Waggle-Incomplete", "the gateway says it"},
      {"Deprecation", "write deprecated: YYYY-MM-DD"},
      {"Sunset", "write sunset: YYYY-MM-DD"},
  }};
  for (const auto& [known, instead] : owned) {
    if (front::syntax::equal_without_case(known, name)) return instead;
  }
  return {};
}

std::string shown_of(std::string_view text) {
  return text.size() <= compared_bytes_max ? std::string{text} : std::string{text.substr(0, compared_bytes_max)} + "...";
}

}  // namespace

std::string listed(std::span<const std::string_view> names, std::string_view last) {
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += i + 1 == names.size() ? last : ", ";
    out += names[i];
  }
  return out;
}

std::string_view closest(std::string_view mistyped, std::span<const std::string_view> names) {
  std::string_view out;
  if (mistyped.empty() || mistyped.size() > compared_bytes_max) return out;
  auto best = std::max<std::size_t>(1, mistyped.size() / 3) + 1;
  for (const auto each : names) {
    if (each.size() > compared_bytes_max || each == mistyped) continue;
    if (const auto edits = distance(mistyped, each); edits < best && edits < each.size()) {
      best = edits;
      out = each;
    }
  }
  return out;
}

void config_reader::read(const config_file& file) {
  name_ = file.name;
  if (file.text.size() > config_bytes_max) return wrong(1, "the file is larger than 4 MiB; split it");
  try {
    const auto documents = YAML::LoadAll(file.text);
    if (documents.size() > 1) return wrong(1, "the file holds several YAML documents; write one, without ---");
    if (documents.empty() || documents[0].IsNull())
      return wrong(1, "the file says nothing; write a list of routes under routes:");
    if (is_bounded(documents[0], file.text.size())) read_document(documents[0]);
  } catch (const YAML::Exception& fault) {
    wrong(fault.mark.is_null() ? 1 : fault.mark.line + 1,
          "this is not YAML (" + fault.msg + "); look for quotes, colons and the depth of lines");
  }
}

/// The parser shares what an alias repeats, so a small file can stand for a tree that no one could walk, or for one that
/// holds itself. Without aliases there is at most one node for each byte, and one more.
bool config_reader::is_bounded(const YAML::Node& document, std::size_t bytes) {
  constexpr unsigned depth_max = wire::depth_max + 16;
  std::size_t left = bytes + 10'000;
  const std::function<bool(const YAML::Node&, unsigned)> visit = [&](const YAML::Node& node, unsigned depth) {
    if (left-- == 0) return wrong(node, "the aliases repeat too much; write it out, or in several files"), false;
    if (depth > depth_max) return wrong(node, "this is nested too deep; write it flatter"), false;
    if (node.IsSequence()) {
      return std::all_of(node.begin(), node.end(), [&](const YAML::Node& each) { return visit(each, depth + 1); });
    }
    if (node.IsMap()) {
      for (const auto& each : node) {
        if (!visit(each.first, depth + 1) || !visit(each.second, depth + 1)) return false;
      }
    }
    return true;
  };
  return visit(document, 0);
}

/// The entries of a map in the order in which they are written, without those whose keys are no texts or stand twice.
config_reader::entry_list config_reader::entries(const YAML::Node& node, const std::string& what) {
  entry_list out;
  std::set<std::string> seen;
  for (const auto& pair : node) {
    const YAML::Node &name = pair.first, &value = pair.second;
    if (!name.IsScalar() || name.Scalar().empty() || !wire::is_utf8(name.Scalar())) {
      wrong(name, "a key is no text; write " + what);
    } else if (!seen.insert(name.Scalar()).second) {
      wrong(name, "the key " + in_quotes(name.Scalar()) + " stands here twice; remove one");
    } else {
      // The parser places an empty value at whatever comes next.
      out.emplace_back(name.Scalar(), entry{value, (value.IsNull() ? name : value).Mark().line + 1, name.Mark().line + 1});
    }
  }
  return out;
}

/// The same by key; those that are none of `known` are told of.
config_reader::entry_map config_reader::entries(const YAML::Node& node, const std::string& what,
                                                std::span<const std::string_view> known) {
  entry_map out;
  for (const auto& pair : node) {
    const YAML::Node &name = pair.first, &value = pair.second;
    const std::string key = name.IsScalar() ? name.Scalar() : "";
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      const auto meant = closest(key, known);
      wrong(name, "the key " + in_quotes(shown_of(key)) + " is not known; " +
                      (meant.empty() ? what + " has " + listed(known) : "did you mean " + in_quotes(meant) + "?"));
    } else if (!out.emplace(key, entry{value, (value.IsNull() ? name : value).Mark().line + 1, name.Mark().line + 1}).second) {
      wrong(name, "the key " + in_quotes(key) + " stands here twice; remove one");
    }
  }
  return out;
}

/// The text under a key; null, and a fault, if it is something else; null if there is no such key.
const std::string* config_reader::text(const entry_map& in, std::string_view key, std::string_view example) {
  const auto at = in.find(key);
  if (at == in.end()) return nullptr;
  if (at->second.value.IsScalar() && !at->second.value.Scalar().empty()) return &at->second.value.Scalar();
  wrong(at->second.line, std::string{key} + " is no text; write one, as in " + std::string{key} + ": " + std::string{example});
  return nullptr;
}

std::optional<std::uint64_t> config_reader::number(const entry& at, const std::string& what, std::uint64_t least,
                                                   std::uint64_t most) {
  const std::string& digits = at.value.IsScalar() ? at.value.Scalar() : "";
  std::uint64_t out = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
  if (failed == std::errc{} && end == digits.data() + digits.size() && out >= least && out <= most) return out;
  wrong(at.line, what + " is no number from " + std::to_string(least) + " to " + std::to_string(most) + "; write one of those");
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> config_reader::budget(const entry_map& in) {
  const auto* written = text(in, "budget", "2s");
  if (written == nullptr) return std::nullopt;
  const auto out = waggle::detail::parse_duration(*written);
  if (out && *out != std::chrono::milliseconds{0}) return out;
  wrong(in.find("budget")->second.line,
        in_quotes(shown_of(*written)) + " is no budget; write 250ms, 2s, 5m or 1h, up to a day");
  return std::nullopt;
}

/// Of settings that stand in one of all files.
bool config_reader::is_first(const entry& at, const std::string& setting) {
  const auto [before, first] = setting_places_.emplace(setting, name_ + ':' + std::to_string(at.key_line));
  if (!first) wrong(at.key_line, "the key " + in_quotes(setting) + " stands at " + before->second + " already; write it in one place");
  return first;
}

void config_reader::read_document(const YAML::Node& document) {
  if (!document.IsMap()) return wrong(document, "the file is no map; write a list of routes under routes:");
  const auto known = entries(document, "a file", keys::file);
  if (const auto at = known.find("limits"); at != known.end()) read_limits(at->second);
  if (const auto at = known.find("tls"); at != known.end()) read_tls(at->second);
  if (const auto at = known.find("tokens"); at != known.end()) read_tokens(at->second);
  if (const auto at = known.find("api_keys"); at != known.end()) read_api_keys(at->second);
  if (const auto at = known.find("access"); at != known.end()) read_access(at->second);
  if (const auto at = known.find("events"); at != known.end()) read_events(at->second);
  read_reply_settings(known);
  if (const auto at = known.find("proxies"); at != known.end()) read_proxies(at->second);
  if (const auto at = known.find("cors"); at != known.end()) read_cors(at->second);
  if (const auto at = known.find("rates"); at != known.end() && is_first(at->second, "rates")) out_.rates = read_rates(at->second, "rates", "");
  if (const auto at = known.find("breaker"); at != known.end()) read_breaker(at->second);
  if (const auto at = known.find("retries"); at != known.end()) read_retries(at->second);
  if (const auto at = known.find("access_log"); at != known.end()) read_access_log(at->second);
  const auto routes = known.find("routes");
  if (routes == known.end()) {
    if (known.empty()) wrong(document, "the file has no routes; write a list of them under routes:");
    return;
  }
  if (!routes->second.value.IsSequence())
    return wrong(routes->second.line, "routes is no list; write each route after a dash, as in - route: GET /hello");
  for (const auto& each : routes->second.value) {
    if (out_.routes.size() == config_routes_max)
      return wrong(each, "there are more than 16384 routes; write parameters, as in {id}");
    read_route(each);
  }
}

void config_reader::read_route(const YAML::Node& node) {
  if (!node.IsMap()) return wrong(node, "a route is a map; write - route: GET /hello and below it call: hello.say");
  route_ = {};
  route_.errors_before = errors_.size();
  route_.line = node.Mark().line + 1;
  route_.out.at = {name_, route_.line};
  auto& out = route_.out;
  const auto known = entries(node, "a route", keys::route);
  const auto has = [&](std::string_view key) { return known.find(key) != known.end(); };

  read_path(known);
  const auto aims = (has("call") ? 1 : 0) + (has("emit") ? 1 : 0) + (has("steps") ? 1 : 0);
  if (aims == 0) wrong(node, "the route calls nothing; write a command's name, as in call: hello.say");
  if (aims > 1) wrong(node, "the route has several of call, emit and steps; write one of them");
  out.composed = has("steps");
  if (const auto* summary = text(known, "summary", "Greets somebody.")) {
    out.summary = *summary;
    if (!wire::is_utf8(*summary)) wrong(known.at("summary").line, "the summary is not UTF-8; write it anew");
  }
  // The steps' names come first: all that follows may speak of them.
  if (out.composed) {
    for (const std::string_view key : {"fields", "key", "stream", "mirror"}) {
      if (has(key)) {
        wrong(known.find(key)->second.key_line,
              std::string{key} + (key == "fields" || key == "key" ? " belongs to a step here; write it below one of the steps"
                                                                   : " goes with a single call; remove it, or the steps"));
      }
    }
    if (!has("reply")) wrong(node, "a route with steps needs a reply; write one, as in reply: step.NAME or reply: {a: step.NAME}");
  } else if (aims == 1) {
    route_.names.push_back(has("call") ? "call" : "emit");
  }
  const auto steps = read_names(known, "steps"), then = read_names(known, "then");
  out.budget = budget(known);
  if (out.composed) {
    read_steps(steps, false);
  } else {
    read_simple(known);
  }
  read_steps(then, true);
  if (const auto at = known.find("when"); at != known.end()) read_conditions(at->second);
  if (const auto at = known.find("headers"); at != known.end()) read_headers(at->second);
  read_reply(known);
  if (const auto at = known.find("mirror"); at != known.end() && !out.composed) read_mirror(at->second);
  read_later(known);
  read_replies(known);
  read_dates(known);
  if (const auto at = known.find("access"); at != known.end()) out.access = read_rule(at->second, "the route");
  read_route_traffic(known);
  check_route();
  if (errors_.size() > route_.errors_before) return;
  out.number = out_.routes.size();
  out_.routes.push_back(std::move(route_.out));
}

void config_reader::read_path(const entry_map& known) {
  const auto* route = text(known, "route", "GET /things/{id}");
  if (known.find("route") == known.end())
    return wrong(route_.line, "the route has no method and path; write them, as in route: GET /things/{id}");
  if (route == nullptr) return;
  const auto line = known.at("route").line;
  auto pattern = parse_route(*route);
  if (!pattern) return wrong(line, pattern.error());
  route_.out.method = std::move(pattern->method);
  route_.out.path = std::move(pattern->path);
  route_.out.at.line = route_.line = line;
  route_.path_known = true;
  if (is_reserved(route_.out.path))
    wrong(line, "the gateway itself answers " + route_.out.path.text() + "; write another path");
}

void config_reader::read_conditions(const entry& at) {
  if (!at.value.IsMap() || at.value.size() == 0)
    return wrong(at.line, "when is no map; write what a source has to say, as in when: {header.X-Api-Version: \"2\"}");
  for (const auto& [of, is] : entries(at.value, "a source, as in header.X-Api-Version")) {
    if (route_.out.when.size() == route_conditions_max)
      return wrong(is.key_line, "there are more than 8 conditions; write fewer");
    read_condition(of, is);
  }
}

void config_reader::read_condition(const std::string& of, const entry& at) {
  auto from = read_source(of, at.key_line, {});
  if (!from) return;
  if (from->from != part::query && from->from != part::header && from->from != part::cookie && from->from != part::claim)
    return wrong(at.key_line, in_quotes(of) + " decides about no route; write query.NAME, header.NAME, cookie.NAME or claim.NAME");
  for (const auto& each : route_.out.when) {
    if (each.of == *from) return wrong(at.key_line, "the condition " + in_quotes(of) + " stands here twice; write a list of texts");
  }
  condition out{std::move(*from), {}};
  const bool present = at.value.IsNull() || (at.value.IsScalar() && at.value.Scalar() == "present" && at.value.Tag() != "!");
  const auto add = [&](const YAML::Node& each, int line) {
    if (!each.IsScalar() || !wire::is_utf8(each.Scalar())) {
      wrong(line, "a condition is no text; write one, a list of them, or present");
    } else if (std::find(out.is.begin(), out.is.end(), each.Scalar()) != out.is.end()) {
      wrong(line, in_quotes(each.Scalar()) + " stands here twice; remove one");
    } else {
      out.is.push_back(each.Scalar());
    }
  };
  if (at.value.IsSequence()) {
    if (at.value.size() == 0) wrong(at.line, "the condition allows nothing; write a list of texts, or present");
    if (at.value.size() > route_variants_max) return wrong(at.line, "there are more than 64 texts; write fewer");
    for (const auto& each : at.value) add(each, each.Mark().line + 1);
  } else if (!present) {
    add(at.value, at.line);
  }
  route_.out.when.push_back(std::move(out));
}

void config_reader::read_headers(const entry& at) {
  if (!at.value.IsMap()) return wrong(at.line, "headers is no map; write headers, as in headers: {Location: \"/orders/{step.call.id}\"}");
  auto& all = route_.out.headers;
  for (const auto& [name, value] : entries(at.value, "a header's name")) {
    if (all.size() == route_headers_max) return wrong(value.key_line, "there are more than 32 headers; write fewer");
    if (!front::syntax::is_token(name)) {
      wrong(value.key_line, in_quotes(name) + " is no name of a header; write letters, digits and -");
      continue;
    }
    if (const auto instead = instead_of_header(name); !instead.empty()) {
      wrong(value.key_line, "the header " + name + " is not a route's to set; " + std::string{instead});
      continue;
    }
    const auto same = [&name = name](const auto& each) { return front::syntax::equal_without_case(each.first, name); };
    if (std::any_of(all.begin(), all.end(), same)) {
      wrong(value.key_line, "the header " + in_quotes(name) + " stands here twice; remove one");
      continue;
    }
    if (!value.value.IsScalar()) {
      wrong(value.line, "a header is no text; write one, as in \"/orders/{step.call.id}\"");
      continue;
    }
    if (auto text = read_template(value.value.Scalar(), value.line, {user::kind::reply, 0}))
      all.emplace_back(name, std::move(*text));
  }
}

void config_reader::read_reply(const entry_map& known) {
  auto& out = route_.out;
  const auto at = [&](std::string_view key) { return known.find(key); };
  if (at("reply") != known.end()) out.reply = read_whole(at("reply")->second, {user::kind::reply, 0}, "reply", "items: step.call.items, or reply: step.call");
  if (at("status") != known.end()) {
    if (auto status = number(at("status")->second, "the status", 200, 299)) out.status = static_cast<unsigned>(*status);
  }
  if (at("incomplete") != known.end()) {
    if (auto status = number(at("incomplete")->second, "the status of an incomplete reply", 200, 299))
      out.incomplete = static_cast<unsigned>(*status);
  }
  if (out.composed || at("stream") == known.end()) return;
  const auto* mode = text(known, "stream", "sse");
  if (mode == nullptr) return;
  if (*mode == "whole") {
    out.stream = stream_mode::whole;
  } else if (*mode == "sse") {
    out.stream = stream_mode::sse;
  } else if (*mode == "ndjson") {
    out.stream = stream_mode::ndjson;
  } else {
    wrong(at("stream")->second.line, in_quotes(shown_of(*mode)) + " is no stream; write " + listed(keys::streams, " or ") +
                                         ", or leave it away: then Accept decides");
  }
  if (at("emit") != known.end()) wrong(at("stream")->second.key_line, "an event has no parts; remove stream");
}

void config_reader::read_mirror(const entry& at) {
  mirror_config out;
  if (route_.names == std::vector<std::string>{"emit"}) return wrong(at.key_line, "an event has no mirror; remove it");
  if (at.value.IsScalar()) {
    out.command = at.value.Scalar();
    if (!is_command(out.command, at.line)) return;
  } else if (at.value.IsMap()) {
    const auto known = entries(at.value, "a mirror", keys::mirror);
    const auto* command = text(known, "call", "hello.say2");
    if (known.find("call") == known.end()) wrong(at.line, "the mirror calls nothing; write a command's name, as in call: hello.say2");
    if (command != nullptr && is_command(*command, known.at("call").line)) out.command = *command;
    if (const auto percent = known.find("percent"); percent != known.end()) {
      if (const auto share = number(percent->second, "percent", 0, 100)) out.percent = static_cast<unsigned>(*share);
    }
  } else {
    return wrong(at.line, "mirror is no command; write one, as in mirror: hello.say2 or mirror: {call: hello.say2, percent: 10}");
  }
  route_.out.mirror = std::move(out);
}

/// A command that is kept has no reply yet: nothing that is made of one goes with it.
void config_reader::read_later(const entry_map& known) {
  const auto at = known.find("later");
  if (at == known.end()) return;
  const std::string said = at->second.value.IsScalar() ? at->second.value.Scalar() : "";
  if (said != "true" && said != "false") return wrong(at->second.line, "later is neither true nor false; write later: true");
  route_.out.later = said == "true";
  if (!route_.out.later) return;
  for (const std::string_view key : {"emit", "steps", "stream", "reply", "status", "headers", "then", "mirror"}) {
    if (known.find(key) == known.end()) continue;
    return wrong(at->second.key_line, "later goes with a single call, whose answer is where its outcome will be; remove it, or " + std::string{key});
  }
}

std::optional<std::chrono::sys_days> config_reader::date(const entry_map& in, std::string_view key) {
  const auto* written = text(in, key, "2026-01-31");
  if (written == nullptr) return std::nullopt;
  const auto digits = [&](std::size_t from, std::size_t count) {
    int out = -1;
    const auto* const end = written->data() + from + count;
    const auto [at, failed] = std::from_chars(written->data() + from, end, out);
    return failed == std::errc{} && at == end && out >= 0 ? out : -1;
  };
  if (written->size() == 10 && (*written)[4] == '-' && (*written)[7] == '-') {
    const int year = digits(0, 4), month = digits(5, 2), day = digits(8, 2);
    const std::chrono::year_month_day out{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                                          std::chrono::day{static_cast<unsigned>(day)}};
    if (year >= 1970 && month > 0 && day > 0 && out.ok()) return std::chrono::sys_days{out};
  }
  wrong(in.find(key)->second.line, in_quotes(shown_of(*written)) + " is no day; write YYYY-MM-DD, as in 2026-01-31");
  return std::nullopt;
}

void config_reader::read_dates(const entry_map& known) {
  auto& out = route_.out;
  out.deprecated = date(known, "deprecated");
  out.sunset = date(known, "sunset");
  if (out.deprecated && out.sunset && *out.sunset < *out.deprecated)
    wrong(known.at("sunset").line, "the sunset is before the deprecation; write a later day");
  const auto* link = text(known, "link", "https://example.com/moved");
  if (link == nullptr) return;
  out.link = *link;
  const bool plain = std::all_of(link->begin(), link->end(), [](char c) { return c > 0x20 && c < 0x7f && c != '<' && c != '>' && c != '"'; });
  if (!plain || (!link->starts_with("https://") && !link->starts_with("http://") && !link->starts_with('/')))
    wrong(known.at("link").line, in_quotes(shown_of(*link)) + " is no link; write an address, as in https://example.com/moved");
  if (known.find("deprecated") == known.end())
    wrong(known.at("link").key_line, "link explains a deprecation; write deprecated: YYYY-MM-DD too");
}

}  // namespace waggle::gateway
