#include <algorithm>
#include <charconv>

#include <waggle/detail/duration.hpp>
#include <waggle/wire/topic.hpp>
#include <waggle/wire/utf8.hpp>

#include "gateway/routes/config_keys.hpp"
#include "gateway/routes/config_reader.hpp"

namespace waggle::gateway {
namespace {

std::string shown_time(std::uint64_t ms) {
  for (const auto& [unit, name] : {std::pair{keys::hours, "h"}, {keys::minutes, "m"}, {keys::seconds, "s"}}) {
    if (ms >= unit && ms % unit == 0) return std::to_string(ms / unit) + name;
  }
  return std::to_string(ms) + "ms";
}

std::optional<std::uint64_t> plain_number(std::string_view text) {
  std::uint64_t out = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
  return failed == std::errc{} && end == text.data() + text.size() ? std::optional{out} : std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> size_of(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{}) return std::nullopt;
  const auto unit = text.substr(static_cast<std::size_t>(end - text.data()));
  const std::uint64_t factor = unit.empty()    ? 1
                               : unit == "KiB" ? keys::kib
                               : unit == "MiB" ? keys::mib
                               : unit == "GiB" ? keys::gib
                                               : 0;
  if (factor == 0 || number > (std::uint64_t{1} << 62) / factor) return std::nullopt;
  return number * factor;
}

std::string shown_size(std::uint64_t bytes) {
  for (const auto& [unit, name] : {std::pair{keys::gib, "GiB"}, {keys::mib, "MiB"}, {keys::kib, "KiB"}}) {
    if (bytes >= unit && bytes % unit == 0) return std::to_string(bytes / unit) + name;
  }
  return std::to_string(bytes);
}

void config_reader::read_limits(const entry& at) {
  if (!at.value.IsMap()) return wrong(at.line, "limits is no map; write limits, as in limits: {body_bytes: 1MiB, idle_time: 75s}");
  if (!is_first(at, "limits")) return;
  std::array<std::string_view, keys::limits.size()> names{};
  std::transform(keys::limits.begin(), keys::limits.end(), names.begin(), [](const auto& each) { return each.name; });
  const auto known = entries(at.value, "limits", names);
  const auto before = errors_.size();
  for (const auto& each : keys::limits) {
    const auto found = known.find(each.name);
    if (found == known.end()) continue;
    const std::string written = found->second.value.IsScalar() ? found->second.value.Scalar() : "";
    const bool time = each.in == keys::unit::milliseconds, bytes = each.in == keys::unit::bytes;
    std::optional<std::uint64_t> value;
    if (time) {
      if (const auto duration = waggle::detail::parse_duration(written)) value = static_cast<std::uint64_t>(duration->count());
    } else {
      value = bytes ? size_of(written) : plain_number(written);
    }
    if (!value || *value < each.least || *value > each.most) {
      const auto shown = [&](std::uint64_t of) { return time ? shown_time(of) : bytes ? shown_size(of) : std::to_string(of); };
      wrong(found->second.line, in_quotes(written.substr(0, 64)) + " is no " + std::string{each.name} + "; write " +
                                    (time ? "a time" : bytes ? "bytes" : "a number") + " from " + shown(each.least) + " to " +
                                    shown(each.most) + (time ? ", as in 250ms, 10s or 5m" : bytes ? ", as in 500, 16KiB or 1MiB" : ""));
      continue;
    }
    each.set(out_.limits, *value);
  }
  if (errors_.size() == before && out_.limits.target_bytes_max > out_.limits.header_bytes_max) {
    wrong(at.line, "target_bytes (" + shown_size(out_.limits.target_bytes_max) + ") is more than header_bytes (" +
                       shown_size(out_.limits.header_bytes_max) + "), of which it is a part; write less, or more for header_bytes");
  }
}

void config_reader::read_events(const entry& at) {
  constexpr const char* example = "events: {topics: [order.*]}";
  if (!at.value.IsMap()) return wrong(at.line, std::string{"events is no map; write "} + example);
  if (!is_first(at, "events")) return;
  const auto known = entries(at.value, "events", keys::events);
  events_config out;
  const auto topics = known.find("topics");
  if (topics == known.end()) {
    wrong(at.line, std::string{"events name no topics, so nobody could see one; write "} + example);
  } else if (!topics->second.value.IsSequence() || topics->second.value.size() == 0) {
    wrong(topics->second.line, std::string{"topics is no list of topics; write "} + example);
  } else if (topics->second.value.size() > events_topics_max) {
    wrong(topics->second.line, "there are more than 32 topics; write what they begin with and a *, as in order.*");
  } else {
    for (const auto& each : topics->second.value) {
      const std::string topic = each.IsScalar() ? each.Scalar() : "";
      if (!wire::is_topic_pattern(topic)) {
        wrong(each, in_quotes(topic.substr(0, 64)) + " is no topic; write one, or what topics begin with and a *, as in order.*");
      } else if (std::find(out.topics.begin(), out.topics.end(), topic) != out.topics.end()) {
        wrong(each, in_quotes(topic) + " stands here twice; remove one");
      } else {
        out.topics.push_back(topic);
      }
    }
  }
  if (const auto max = known.find("streams_max"); max != known.end()) {
    if (const auto count = number(max->second, "streams_max", 0, 1'000'000)) out.streams_max = *count;
  }
  if (const auto* written = text(known, "keep_alive", "15s")) {
    const auto time = waggle::detail::parse_duration(*written);
    if (time && *time >= std::chrono::milliseconds{100} && *time <= std::chrono::minutes{10}) {
      out.keep_alive = *time;
    } else {
      wrong(known.at("keep_alive").line, in_quotes(written->substr(0, 64)) + " is no keep_alive; write a time from 100ms to 10m, as in 15s");
    }
  }
  if (const auto access = known.find("access"); access != known.end()) out.access = read_rule(access->second, "events");
  out_.events = std::move(out);
}

void config_reader::read_access_log(const entry& at) {
  constexpr const char* example = "access_log: {sample: 10%, slow: 1s}";
  if (!at.value.IsMap()) return wrong(at.line, std::string{"access_log is no map; write "} + example);
  if (!is_first(at, "access_log")) return;
  const auto known = entries(at.value, "access_log", keys::access_log);
  if (const auto sample = known.find("sample"); sample != known.end()) {
    if (const auto share = percent(sample->second, "sample", 0, 100)) out_.access_log.sample_percent = *share;
  }
  if (const auto* written = text(known, "slow", "1s")) {
    if (const auto time = waggle::detail::parse_duration(*written)) {
      out_.access_log.slow = *time;
    } else {
      wrong(known.at("slow").line, in_quotes(written->substr(0, 64)) + " is no time; write one, as in 250ms, 1s or 5m");
    }
  }
}

/// "10%".
std::optional<unsigned> config_reader::percent(const entry& at, const std::string& what, unsigned least, unsigned most) {
  const std::string written = at.value.IsScalar() ? at.value.Scalar() : "";
  if (written.ends_with('%')) {
    const auto number = plain_number(std::string_view{written}.substr(0, written.size() - 1));
    if (number && *number >= least && *number <= most) return static_cast<unsigned>(*number);
  }
  wrong(at.line, in_quotes(written.substr(0, 64)) + " is no " + what + "; write a share from " + std::to_string(least) + "% to " + std::to_string(most) + '%');
  return std::nullopt;
}

}  // namespace waggle::gateway
