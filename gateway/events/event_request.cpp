#include "gateway/events/event_request.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>
#include <utility>

#include <waggle/detail/duration.hpp>
#include <waggle/wire/topic.hpp>

#include "gateway/events/event_positions.hpp"
#include "gateway/front/http_syntax.hpp"
#include "gateway/routes/decode.hpp"
#include "gateway/routes/media.hpp"
#include "gateway/routes/problems.hpp"

namespace waggle::gateway {
namespace {

using start_kind = waggle::detail::subscription_start::kind;

constexpr reply_format event_formats[] = {reply_format::sse};

front::response wrong(std::string why) { return problem_of({status::invalid_argument, std::move(why)}); }

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t out = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return out;
}

/// What all topics that begin with one text and match the pattern begin with; nothing if there can be none.
std::optional<std::string> within(const std::string& prefix, std::string_view pattern) {
  const bool exact = !pattern.ends_with('*');
  if (!exact) pattern.remove_suffix(1);
  if (pattern.starts_with(prefix)) return std::string{pattern};
  if (!exact && std::string_view{prefix}.starts_with(pattern)) return prefix;
  return std::nullopt;
}

/// What somebody who asks for these topics may see, or why not.
std::optional<front::response> narrow(event_request& out, const std::vector<std::string_view>& topics, const events_config& with) {
  if (topics.size() > event_topics_max) return wrong("a stream has at most 32 topics; take what they begin with");
  out.allowed = with.topics;
  std::vector<std::string> wanted{topics.begin(), topics.end()};
  if (wanted.empty()) wanted.emplace_back();
  for (const auto& each : wanted) {
    if (!each.empty() && !wire::is_topic(each)) {
      return wrong("\"" + each + "\" is nothing that topics begin with: 1 to 128 bytes without spaces and *, as in topic=order.");
    }
    bool found = false;
    for (const auto& pattern : with.topics) {
      auto both = within(each, pattern);
      if (!both) continue;
      found = true;
      out.prefixes.push_back(std::move(*both));
    }
    if (!found) return problem_of({status::permission_denied, "events of topics that begin with \"" + each + "\" are not let out here"});
  }
  // One that begins with another adds nothing.
  std::sort(out.prefixes.begin(), out.prefixes.end());
  std::vector<std::string> kept;
  for (auto& each : out.prefixes) {
    if (kept.empty() || !each.starts_with(kept.back())) kept.push_back(std::move(each));
  }
  out.prefixes = std::move(kept);
  if (out.prefixes.size() > event_prefixes_max) return wrong("the topics are too many where so few are let out; ask for fewer");
  return std::nullopt;
}

}  // namespace

std::variant<event_request, front::response> read_event_request(const front::request& in, const events_config& with) {
  const auto allowing = [](front::response out) {
    out.headers.emplace_back("Allow", "GET, HEAD, OPTIONS");
    return out;
  };
  if (in.method == "OPTIONS") return allowing({204, {}, {}, {}});
  if (in.method != "GET" && in.method != "HEAD") return allowing(refusal(405, "this path takes GET and HEAD"));
  if (!negotiate(in.headers, event_formats)) {
    auto out = refusal(406, "events come as text/event-stream; Accept rules it out");
    out.headers.emplace_back("Vary", "Accept");
    return out;
  }
  const decoded_query query{in.query};
  if (query.why() != nullptr) return refusal(400, std::string{"the query cannot be read: "} + query.why());
  event_request out;
  std::vector<std::string_view> topics;
  query.find("topic", topics);
  if (auto refused = narrow(out, topics, with)) return std::move(*refused);

  std::optional<std::string_view> seen, since, last, from, stream;
  for (const auto& [name, to] : {std::pair{"last_event_id", &seen}, {"since", &since}, {"last", &last}, {"from", &from}, {"stream", &stream}}) {
    std::vector<std::string_view> values;
    query.find(name, values);
    if (values.size() > 1) return wrong(std::string{name} + " is to come once");
    if (!values.empty()) *to = values.front();
  }
  if (since.has_value() + last.has_value() + from.has_value() > 1) {
    return wrong("a stream begins at one place: write one of since, last and from");
  }
  if (stream) {
    if (!wire::is_name(*stream)) return wrong("stream is no name of one");
    out.stream = *stream;
  }
  // The address that a browser comes back to says where it began at first; its header says how far it came.
  if (const auto header = in.find("last-event-id"); header && !header->empty()) seen = header;
  if (seen && !seen->empty()) {
    auto positions = read_positions(*seen);
    if (!positions) return wrong("Last-Event-ID is none that came from here, as in events:120,orders:7");
    out.start.from = start_kind::positions;
    out.start.positions = std::move(*positions);
  } else if (since) {
    const auto time = waggle::detail::parse_duration(*since);
    if (!time) return wrong("since is no duration; write 250ms, 2s, 5m or 1h (at most a day)");
    out.start.from = start_kind::age;
    out.start.age_ms = time->count();
  } else if (last) {
    const auto count = number(*last);
    if (!count || *count > event_last_max) return wrong("last is no number up to 1000");
    out.start.from = start_kind::last;
    out.start.number = *count;
  } else if (from) {
    const auto sequence = number(*from);
    if (!sequence) return wrong("from is no sequence number");
    out.start.from = start_kind::sequence;
    out.start.number = *sequence;
  }
  return out;
}

}  // namespace waggle::gateway
