#include "broker/events/topic_config.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

#include <yaml-cpp/yaml.h>

#include <waggle/detail/duration.hpp>
#include <waggle/wire/topic.hpp>

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

std::string in_quotes(std::string_view text) {
  constexpr std::size_t shown_max = 64;
  return '"' + std::string{text.substr(0, shown_max)} + (text.size() > shown_max ? "..." : "") + '"';
}

class topic_config_reader {
 public:
  explicit topic_config_reader(const std::string& name) : name_{name} {}

  void read(const std::string& text) {
    if (text.size() > topic_config_bytes_max) return wrong(1, "the file is larger than 1 MiB; write patterns with * instead of topics");
    try {
      const auto documents = YAML::LoadAll(text);
      if (documents.size() > 1) return wrong(1, "the file holds several YAML documents; write one, without ---");
      if (documents.empty() || documents[0].IsNull()) return wrong(1, "the file says nothing; write streams: or ephemeral:, or leave --config away");
      read_document(documents[0]);
    } catch (const YAML::Exception& fault) {
      wrong(fault.mark.is_null() ? 1 : fault.mark.line + 1,
            "this is not YAML (" + fault.msg + "); look for quotes, colons and the depth of lines");
    }
  }

  topic_settings out;
  std::vector<std::string> errors;

 private:
  void wrong(int line, const std::string& message) {
    constexpr std::size_t errors_max = 100;
    if (errors.size() < errors_max) errors.push_back(name_ + ':' + std::to_string(line) + ": " + message);
  }
  void wrong(const YAML::Node& at, const std::string& message) { wrong(at.Mark().line + 1, message); }

  /// Calls `visit` with each key and its value; false: the key is not known.
  template <class Visitor>
  void read_map(const YAML::Node& node, const std::string& what, Visitor&& visit) {
    std::map<std::string, int> seen;
    for (const auto& each : node) {
      const auto key = each.first.IsScalar() ? each.first.Scalar() : std::string{};
      if (!seen.emplace(key, 0).second) {
        wrong(each.first, "the key " + in_quotes(key) + " stands here twice; remove one");
      } else if (!visit(key, each.first, each.second)) {
        wrong(each.first, "the key " + in_quotes(key) + " is not known; " + what);
      }
    }
  }

  void read_document(const YAML::Node& node) {
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
      const auto name = each.first.IsScalar() ? each.first.Scalar() : std::string{};
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
      const auto pattern = each.IsScalar() ? each.Scalar() : std::string{};
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
    const auto text = node.IsScalar() ? node.Scalar() : std::string{};
    const auto age = parse_age(text);
    if (!age || age->count() == 0) return wrong(key, "keep is " + in_quotes(text) + ", which is no time; write 30d, 12h, 5m or 10s");
    into = *age;
  }

  void read_size(const YAML::Node& node, const YAML::Node& key, const std::string& what, std::uint64_t& into) {
    const auto text = node.IsScalar() ? node.Scalar() : std::string{};
    const auto size = parse_size(text);
    if (!size || *size == 0) return wrong(key, what + " is " + in_quotes(text) + ", which is no size; write 10GiB, 64MiB, 4KiB or 100B");
    into = *size;
  }

  const std::string& name_;
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
  std::ifstream file{path, std::ios::binary};
  std::string text;
  if (file) {
    // One byte more shows that it is too large.
    text.resize(topic_config_bytes_max + 1);
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad() || !(file || file.eof())) {
    return tl::unexpected{std::vector<std::string>{path + ": the file cannot be read; look at its name and its permissions"}};
  }
  return parse_topic_config(path, text);
}

}  // namespace waggle::broker
