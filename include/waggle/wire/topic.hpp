#pragma once

#include <algorithm>
#include <string_view>

#include <waggle/wire/utf8.hpp>

/// Patterns of topics (broker/PROTOCOL.md, "Topics"): a topic, or what topics begin with and a `*` behind it.
namespace waggle::wire {

/// "order.placed", "order.*", "*": a name whose only `*`, if there is one, is its last byte. Not the broker's own ("waggle.").
[[nodiscard]] inline bool is_topic_pattern(std::string_view pattern) {
  return is_name(pattern) && pattern.find('*') >= pattern.size() - 1 && !pattern.starts_with("waggle.");
}

/// What an event can be about: a name without `*` that is not the broker's own.
[[nodiscard]] inline bool is_topic(std::string_view topic) {
  return is_name(topic) && topic.find('*') == std::string_view::npos && !topic.starts_with("waggle.");
}

/// "order.*" matches "order.placed" and "order.placed.eu", not "order"; "*" matches everything.
[[nodiscard]] inline bool matches(std::string_view pattern, std::string_view topic) {
  if (!pattern.ends_with('*')) return pattern == topic;
  pattern.remove_suffix(1);
  return topic.starts_with(pattern);
}

/// Whether there can be a topic that both match.
[[nodiscard]] inline bool overlap(std::string_view a, std::string_view b) {
  if (!a.ends_with('*')) return matches(b, a);
  if (!b.ends_with('*')) return matches(a, b);
  const auto common = std::min(a.size(), b.size()) - 1;
  return a.substr(0, common) == b.substr(0, common);
}

/// Whether whatever `narrow` matches is matched by `wide`, too.
[[nodiscard]] inline bool covers(std::string_view wide, std::string_view narrow) {
  if (!narrow.ends_with('*')) return matches(wide, narrow);
  return wide.ends_with('*') && narrow.starts_with(wide.substr(0, wide.size() - 1));
}

/// Of two patterns that match the same topic, whether `a` says more of it: an exact one does, then the longer one.
[[nodiscard]] inline bool is_more_specific(std::string_view a, std::string_view b) {
  if (a.ends_with('*') != b.ends_with('*')) return b.ends_with('*');
  return a.size() > b.size();
}

}  // namespace waggle::wire
