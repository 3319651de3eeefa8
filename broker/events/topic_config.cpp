#include "broker/events/topic_config.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

#include <waggle/detail/duration.hpp>
#include <waggle/wire/topic.hpp>

#include "broker/yaml_reader.hpp"

namespace waggle::broker {
namespace {

constexpr const char* pattern_help = "write a topic, what topics begin with and a * behind it, or *; at most 128 bytes, not waggle.";

/// "30d", or what `parse_duration` takes, which ends at a day.
std::optional<std::chrono::milliseconds> parse_age(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{} || std::string_view{end, static_cast<std::size_t>(text.data() + text.size() - end)} != "d") {
    return waggle::detail::parse_duration(text);
  }
  if (number < 0 || number > 36'500) return std::nullopt;
  return std::chrono::hours{24 * number};
}

/// "10GiB", "64MiB", "4KiB", "123B": at most 1 PiB.
std::optional<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{}) return std::nullopt;
  const std::string_view unit{end, static_cast<std::size_t>(text.data() + text.size() - end)};
  const unsigned bits = unit == "B" ? 0 : unit == "KiB" ? 10 : unit == "MiB" ? 20 : unit == "GiB" ? 30 : unit == "TiB" ? 40 : 64;
  if (bits == 64 || number > (1ull << 50) >> bits) return std::nullopt;
  return number << bits;
}

class topic_config_reader : public yaml_reader {
 public:
  explicit topic_config_reader(const std::string& name) : yaml_reader{name} {}

  void read(const std::string& text) {
    read_document(text, "write patterns with * instead of topics", "write streams: or ephemeral:, or leave --config away",
                  [&](const YAML::Node& document) { read_streams_and_ephemeral(document); });
  }

  topic_settings out;

 private:
  void read_streams_and_ephemeral(const YAML::Node& node) {
    if (!node.IsMap()) return wrong(node, "this is no map; write streams: and ephemeral:");
    bool has_streams = false;
    read_map(node, "the file has streams and ephemeral", [&](const std::string& key, const YAML::Node& name, const YAML::Node& value) {
      if (key == "streams") {
        has_streams = true;
        read_streams(name, value);
      } else if (key == "ephemeral") {
        read_patterns(name, value, "ephemeral", out.ephemeral);
      } else {
        return false;
      }
      return true;
    });
    if (!has_streams && std::find(out.ephemeral.begin(), out.ephemeral.end(), "*") != out.ephemeral.end()) out.streams.clear();
  }

  void read_streams(const YAML::Node& key, const YAML::Node& node) {
    out.streams.clear();
    if (!node.IsMap() || node.size() == 0) {
      return wrong(key, "streams is no map of streams; write one below it, as in events: {topics: [\"*\"]}");
    }
    std::map<std::string, int> seen;
    for (const auto& each : node) {
      const auto name = text_of(each.first);
      if (!is_stream_name(name)) {
        wrong(each.first, in_quotes(name) + " is no name of a stream; write at most 32 bytes without spaces and *, not beginning with waggle.");
      } else if (!seen.emplace(name, 0).second) {
        wrong(each.first, "the stream " + in_quotes(name) + " stands here twice; put their topics together");
      } else if (out.streams.size() >= configured_streams_max) {
        return wrong(each.first, "there are more than 32 streams; put topics together that are kept for the same time");
      } else {
        read_stream(name, each.first, each.second);
      }
    }
  }

  static bool is_stream_name(std::string_view name) {
    return name.size() <= stream_name_bytes_max && wire::is_topic(name);
  }

  void read_stream(const std::string& name, const YAML::Node& key, const YAML::Node& node) {
    stream_settings stream;
    stream.stream = name;
    std::optional<int> keep_line, full_line;
    if (!node.IsMap()) return wrong(key, "the stream " + in_quotes(name) + " says nothing; write its topics, as in {topics: [\"order.*\"]}");
    read_map(node, "a stream has topics, keep, keep_bytes and full_bytes",
             [&](const std::string& entry, const YAML::Node& at, const YAML::Node& value) {
               if (entry == "topics") {
                 read_patterns(at, value, "topics", stream.topics);
               } else if (entry == "keep") {
                 read_age(value, at, stream.keep);
               } else if (entry == "keep_bytes") {
                 keep_line = at.Mark().line + 1;
                 read_size(value, at, entry, stream.keep_bytes);
               } else if (entry == "full_bytes") {
                 full_line = at.Mark().line + 1;
                 read_size(value, at, entry, stream.full_bytes);
               } else {
                 return false;
               }
               return true;
             });
    if (!node["topics"]) wrong(key, "the stream " + in_quotes(name) + " has no topics; write some, as in topics: [\"order.*\"]");
    // Who says one of both means the other to follow.
    if (keep_line && !full_line) stream.full_bytes = std::max(stream.full_bytes, stream.keep_bytes * 8);
    if (full_line && !keep_line) stream.keep_bytes = std::min(stream.keep_bytes, stream.full_bytes);
    if (stream.keep_bytes > stream.full_bytes) {
      wrong(keep_line.value_or(key.Mark().line + 1), "keep_bytes is more than full_bytes, so the stream would be full before anything is forgotten; swap them");
    }
    out.streams.push_back(std::move(stream));
  }

  void read_patterns(const YAML::Node& key, const YAML::Node& node, const std::string& what, std::vector<std::string>& into) {
    if (!node.IsSequence() || node.size() == 0) {
      return wrong(key, what + " is no list of patterns; write one, as in " + what + ": [\"order.*\", \"user.added\"]");
    }
    for (const auto& each : node) {
      const auto pattern = text_of(each);
      if (!wire::is_topic_pattern(pattern)) {
        wrong(each, in_quotes(pattern) + " is no pattern of topics; " + pattern_help);
        continue;
      }
      if (patterns_.size() >= configured_patterns_max) return wrong(each, "there are more than 1024 patterns; write shorter ones with *");
      const auto [before, is_new] = patterns_.emplace(pattern, each.Mark().line + 1);
      if (!is_new) {
        wrong(each, "the pattern " + in_quotes(pattern) + " stands in line " + std::to_string(before->second) + " too; a topic has one place: remove one");
        continue;
      }
      into.push_back(pattern);
    }
  }

  void read_age(const YAML::Node& node, const YAML::Node& key, std::chrono::milliseconds& into) {
    const auto text = text_of(node);
    const auto age = parse_age(text);
    if (!age || age->count() == 0) return wrong(key, "keep is " + in_quotes(text) + ", which is no time; write 30d, 12h, 5m or 10s");
    into = *age;
  }

  void read_size(const YAML::Node& node, const YAML::Node& key, const std::string& what, std::uint64_t& into) {
    const auto text = text_of(node);
    const auto size = parse_size(text);
    if (!size || *size == 0) return wrong(key, what + " is " + in_quotes(text) + ", which is no size; write 10GiB, 64MiB, 4KiB or 100B");
    into = *size;
  }

  std::map<std::string, int> patterns_;  ///< and the lines they stand in
};

}  // namespace

tl::expected<topic_settings, std::vector<std::string>> parse_topic_config(const std::string& name, const std::string& text) {
  topic_config_reader reader{name};
  reader.read(text);
  if (!reader.errors.empty()) return tl::unexpected{std::move(reader.errors)};
  return std::move(reader.out);
}

tl::expected<topic_settings, std::vector<std::string>> read_topic_config(const std::string& path) {
  return read_yaml_file(path).and_then([&](const std::string& text) { return parse_topic_config(path, text); });
}

}  // namespace waggle::broker
