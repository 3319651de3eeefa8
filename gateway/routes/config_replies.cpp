#include <algorithm>
#include <array>
#include <limits>

#include <waggle/detail/duration.hpp>

#include "gateway/front/http_syntax.hpp"
#include "gateway/routes/config_keys.hpp"
#include "gateway/routes/config_reader.hpp"

namespace waggle::gateway {
namespace {

using std::chrono::milliseconds;

/// What the answers of a server may say (RFC 9111 section 5.2.2, RFC 5861, RFC 8246), and whether it is a number of seconds.
constexpr std::array<std::pair<std::string_view, bool>, 13> directives{{{"public", false},
                                                                         {"private", false},
                                                                         {"no-cache", false},
                                                                         {"no-store", false},
                                                                         {"no-transform", false},
                                                                         {"must-revalidate", false},
                                                                         {"proxy-revalidate", false},
                                                                         {"must-understand", false},
                                                                         {"immutable", false},
                                                                         {"max-age", true},
                                                                         {"s-maxage", true},
                                                                         {"stale-while-revalidate", true},
                                                                         {"stale-if-error", true}}};

constexpr const char* times = "30s, 5m or 1h";

}  // namespace

std::optional<bool> config_reader::yes_or_no(const entry_map& in, std::string_view key) {
  const auto at = in.find(key);
  if (at == in.end()) return std::nullopt;
  const std::string said = at->second.value.IsScalar() ? at->second.value.Scalar() : "";
  if (said == "true" || said == "false") return said == "true";
  wrong(at->second.line, std::string{key} + " is neither true nor false; write one of them");
  return std::nullopt;
}

std::optional<std::uint64_t> config_reader::bytes_within(const entry_map& in, std::string_view key, std::uint64_t least, std::uint64_t most) {
  const auto at = in.find(key);
  if (at == in.end()) return std::nullopt;
  const std::string written = at->second.value.IsScalar() ? at->second.value.Scalar() : "";
  const auto out = size_of(written);
  if (out && *out >= least && *out <= most) return out;
  wrong(at->second.line, in_quotes(written.substr(0, 64)) + " is no " + std::string{key} + "; write bytes from " + shown_size(least) + " to " +
                             shown_size(most) + ", as in 64MiB");
  return std::nullopt;
}

void config_reader::read_replies(const entry_map& known) {
  if (const auto said = yes_or_no(known, "compress")) route_.out.compress = *said;
  read_cache_control(known);
  read_route_cache(known);
  read_key_use(known);
}

/// It goes out as it is written, so it has to be what caches understand.
void config_reader::read_cache_control(const entry_map& known) {
  const auto* written = text(known, "cache_control", "\"private, max-age=60\"");
  if (written == nullptr) return;
  const auto line = known.find("cache_control")->second.line;
  if (route_.path_known && route_.out.method != "GET")
    return wrong(line, "cache_control is of routes for GET: what others answer is not stored; remove it");
  std::vector<std::string_view> seen;
  for (std::string_view left = *written; !left.empty();) {
    const auto each = front::syntax::next_part(left, ',');
    const auto equals = std::min(each.find('='), each.size());
    const auto name = each.substr(0, equals);
    const auto* const known_one =
        std::find_if(directives.begin(), directives.end(), [&](const auto& one) { return front::syntax::equal_without_case(one.first, name); });
    if (known_one == directives.end()) {
      std::array<std::string_view, directives.size()> names{};
      std::transform(directives.begin(), directives.end(), names.begin(), [](const auto& one) { return one.first; });
      const auto meant = closest(name, names);
      return wrong(line, in_quotes(each.substr(0, 64)) + " is nothing that Cache-Control says; " +
                             (meant.empty() ? "write " + listed(names, " or ") : "did you mean " + in_quotes(meant) + "?"));
    }
    const auto value = each.substr(std::min(equals + 1, each.size()));
    const bool is_number = !value.empty() && value.size() < 10 && std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (known_one->second != is_number || (!known_one->second && equals != each.size()))
      return wrong(line, std::string{known_one->first} + (known_one->second ? " is followed by seconds; write " + std::string{known_one->first} + "=60"
                                                                             : " says no more than its name; write it alone"));
    if (std::find(seen.begin(), seen.end(), known_one->first) != seen.end())
      return wrong(line, std::string{known_one->first} + " stands here twice; remove one");
    seen.push_back(known_one->first);
  }
  const auto says = [&](std::string_view name) { return std::find(seen.begin(), seen.end(), name) != seen.end(); };
  if (says("public") && says("private")) return wrong(line, "public and private exclude each other; remove one");
  if (says("no-store") && (says("max-age") || says("s-maxage"))) return wrong(line, "what no-store keeps nobody from storing has no age; remove max-age, or no-store");
  route_.out.cache_control = *written;
}

void config_reader::read_route_cache(const entry_map& known) {
  const auto at = known.find("cache");
  if (at == known.end()) return;
  constexpr const char* example = "cache: {for: 30s}";
  if (!at->second.value.IsMap()) return wrong(at->second.line, std::string{"cache is no map; write "} + example);
  if (route_.path_known && route_.out.method != "GET") return wrong(at->second.key_line, "only answers to GET are kept; remove cache");
  for (const std::string_view key : {"emit", "later", "then", "mirror"}) {
    if (known.find(key) != known.end())
      return wrong(at->second.key_line, "what is answered from a cache calls nothing, so that " + std::string{key} + " would not happen; remove it, or cache");
  }
  if (route_.out.stream == stream_mode::sse || route_.out.stream == stream_mode::ndjson)
    return wrong(at->second.key_line, "streams are not kept; write stream: whole, or remove cache");
  for (const auto& each : route_.out.steps) {
    if (!each.emit.empty()) return wrong(at->second.key_line, "what is answered from a cache emits nothing, as the step " + each.name + " does; remove it, or cache");
  }
  const auto of = entries(at->second.value, "a cache", keys::route_cache);
  cache_config out;
  if (of.find("for") == of.end()) wrong(at->second.line, std::string{"the cache does not say how long; write "} + example);
  if (const auto said = time(of, "for", milliseconds{100}, std::chrono::hours{24}, times)) out.fresh = *said;
  if (const auto said = time(of, "stale", milliseconds{0}, std::chrono::hours{24}, times)) out.stale = *said;
  out.shared = yes_or_no(of, "shared").value_or(false);
  if (const auto by = of.find("by"); by != of.end()) {
    if (out.shared) wrong(by->second.key_line, "shared answers are the same for all; remove shared, or by");
    read_cached_by(by->second, out);
  }
  route_.out.cache = std::move(out);
}

/// One claim, or a list of them. Whatever else the route takes of a request decides anyway.
void config_reader::read_cached_by(const entry& at, cache_config& out) {
  const auto add = [&](const YAML::Node& each, int line) {
    const auto from = each.IsScalar() ? read_source(each.Scalar(), line, {}) : std::nullopt;
    if (!each.IsScalar()) return wrong(line, "by is no claim; write one, or a list of them, as in by: claim.tenant");
    if (!from) return;
    if (from->from != source::part::claim)
      return wrong(line, "what the route takes of a request, as " + from->written() + ", tells answers apart anyway; by says which claims do, as in by: claim.tenant");
    if (std::find(out.by.begin(), out.by.end(), *from) != out.by.end()) return wrong(line, from->written() + " stands here twice; remove one");
    if (out.by.size() == cache_claims_max) return wrong(line, "there are more than 8 claims; leave by away, and all of them decide");
    out.by.push_back(*from);
  };
  if (!at.value.IsSequence()) return add(at.value, at.line);
  if (at.value.size() == 0) return wrong(at.line, "by names no claim; write shared: true if answers are the same for all");
  for (const auto& each : at.value) add(each, each.Mark().line + 1);
}

void config_reader::read_key_use(const entry_map& known) {
  const auto at = known.find("idempotency");
  if (at == known.end()) return;
  const std::string said = at->second.value.IsScalar() ? at->second.value.Scalar() : "";
  if (said != "required" && said != "accepted")
    return wrong(at->second.line, in_quotes(said.substr(0, 64)) + " is no idempotency; write " + listed(keys::key_uses, " or ") + ": whether Idempotency-Key has to come");
  if (route_.path_known && route_.out.method == "GET") return wrong(at->second.key_line, "GET may be repeated without a key; remove idempotency");
  if (route_.out.stream == stream_mode::sse || route_.out.stream == stream_mode::ndjson)
    return wrong(at->second.key_line, "streams are not kept for who asks again; write stream: whole, or remove idempotency");
  route_.out.idempotency = said == "required" ? key_use::required : key_use::accepted;
}

void config_reader::read_reply_settings(const entry_map& known) {
  if (const auto at = known.find("compress"); at != known.end() && is_first(at->second, "compress"))
    out_.compress = yes_or_no(known, "compress").value_or(true);
  const auto map = [&](const std::string& key, const char* example, std::span<const std::string_view> words) -> std::optional<entry_map> {
    const auto at = known.find(key);
    if (at == known.end() || !is_first(at->second, key)) return std::nullopt;
    if (at->second.value.IsMap()) return entries(at->second.value, key, words);
    wrong(at->second.line, key + " is no map; write " + example);
    return std::nullopt;
  };
  if (const auto of = map("cache", "cache: {bytes: 64MiB}", keys::cache)) {
    if (const auto bytes = bytes_within(*of, "bytes", keys::mib, 64 * keys::gib)) out_.cache.bytes = *bytes;
  }
  if (const auto of = map("idempotency", "idempotency: {keep: 24h, entries: 100000, bytes: 256MiB}", keys::idempotency)) {
    if (const auto said = time(*of, "keep", std::chrono::minutes{1}, std::chrono::hours{24}, times)) out_.idempotency.keep = *said;
    if (const auto at = of->find("entries"); at != of->end()) {
      if (const auto count = number(at->second, "entries", 1, 100'000'000)) out_.idempotency.entries = *count;
    }
    if (const auto bytes = bytes_within(*of, "bytes", keys::mib, 1024 * keys::gib)) out_.idempotency.bytes = *bytes;
  }
}

}  // namespace waggle::gateway
