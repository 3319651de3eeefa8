#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>

#include <waggle/detail/duration.hpp>
#include <waggle/wire/topic.hpp>
#include <waggle/wire/utf8.hpp>

#include "gateway/routes/bearer_token.hpp"
#include "gateway/routes/config_keys.hpp"
#include "gateway/routes/config_reader.hpp"

namespace waggle::gateway {
namespace {

constexpr std::size_t key_bytes_max = 64 * 1024;

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
  if (!limits_place_.empty()) return wrong(at.key_line, "limits stand at " + limits_place_ + " already; write them in one place");
  limits_place_ = name_ + ':' + std::to_string(at.key_line);
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

void config_reader::read_tokens(const entry& at) {
  constexpr const char* example = "tokens: {algorithm: HS256, key: env.WAGGLE_JWT_KEY}";
  if (!at.value.IsMap()) return wrong(at.line, std::string{"tokens is no map; write "} + example);
  if (!tokens_place_.empty()) return wrong(at.key_line, "tokens stand at " + tokens_place_ + " already; write them in one place");
  tokens_place_ = name_ + ':' + std::to_string(at.key_line);
  const auto known = entries(at.value, "tokens", keys::tokens);
  tokens_config out;
  const auto errors_before = errors_.size();
  for (const std::string_view needed : {"algorithm", "key"}) {
    if (known.find(needed) == known.end())
      wrong(at.line, "tokens have no " + std::string{needed} + "; write " + example);
  }
  if (const auto* algorithm = text(known, "algorithm", "HS256")) {
    out.algorithm = *algorithm;
    if (std::find(keys::algorithms.begin(), keys::algorithms.end(), *algorithm) == keys::algorithms.end())
      wrong(known.at("algorithm").line, in_quotes(algorithm->substr(0, 64)) + " is no algorithm; write " + listed(keys::algorithms, " or "));
  }
  if (const auto* key = text(known, "key", "env.WAGGLE_JWT_KEY")) {
    const auto line = known.at("key").line;
    if (auto secret = read_key(*key, line)) {
      out.key = std::move(*secret);
      if (out.algorithm == "HS256") {
        // RFC 7518 section 3.2. What ends a line of a file is no part of a secret.
        while (out.key.ends_with('\n') || out.key.ends_with('\r')) out.key.pop_back();
        if (out.key.size() < 32) wrong(line, "the secret of HS256 is shorter than 32 bytes; make a longer one, as with openssl rand -hex 32");
      } else if (out.key.find("-----BEGIN ") == std::string::npos) {
        wrong(line, "the key is no PEM; write the public key that begins with -----BEGIN PUBLIC KEY-----");
      } else if (out.key.find("PRIVATE KEY-----") != std::string::npos) {
        wrong(line, "the key is a private one; write the public key that begins with -----BEGIN PUBLIC KEY-----");
      }
    }
  }
  if (const auto* issuer = text(known, "issuer", "https://login.example.com")) out.issuer = *issuer;
  if (const auto* audience = text(known, "audience", "shop")) out.audience = *audience;
  if (errors_.size() == errors_before) {
    if (auto made = token_verifier::make(out); !made) wrong(at.line, "tokens cannot be verified so: " + made.error());
  }
  out_.tokens = std::move(out);
}

void config_reader::read_events(const entry& at) {
  constexpr const char* example = "events: {topics: [order.*]}";
  if (!at.value.IsMap()) return wrong(at.line, std::string{"events is no map; write "} + example);
  if (!events_place_.empty()) return wrong(at.key_line, "events stand at " + events_place_ + " already; write them in one place");
  events_place_ = name_ + ':' + std::to_string(at.key_line);
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
  out_.events = std::move(out);
}

void config_reader::read_access_log(const entry& at) {
  constexpr const char* example = "access_log: {sample: 10%, slow: 1s}";
  if (!at.value.IsMap()) return wrong(at.line, std::string{"access_log is no map; write "} + example);
  if (!access_log_place_.empty()) return wrong(at.key_line, "access_log stands at " + access_log_place_ + " already; write it in one place");
  access_log_place_ = name_ + ':' + std::to_string(at.key_line);
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

/// The secret or public key under `env.NAME` or `file.PATH`; a path that is not absolute begins where the file of routes is.
std::optional<std::string> config_reader::read_key(const std::string& text, int line) {
  const bool in_file = text.starts_with("file.");
  if (!in_file) {
    const auto from = parse_source(text);
    if (!from || from->from != source::part::env) {
      wrong(line, "the key is neither of the environment nor of a file; write env.NAME or file.PATH, and the key itself there");
      return std::nullopt;
    }
    auto value = environment_(from->name);
    if (value && !value->empty()) return value;
    wrong(line, "the variable " + from->name + " is not set; set it to the key");
    return std::nullopt;
  }
  const auto path = std::filesystem::path{name_}.parent_path() / text.substr(5);
  std::error_code failed;
  std::ifstream in;
  if (std::filesystem::is_regular_file(path, failed)) in.open(path, std::ios::binary);
  std::string out(key_bytes_max + 1, '\0');
  if (!in.is_open()) {
    wrong(line, "the file " + in_quotes(path.string()) + " cannot be read; write the path of one that can");
    return std::nullopt;
  }
  in.read(out.data(), static_cast<std::streamsize>(out.size()));
  out.resize(static_cast<std::size_t>(in.gcount()));
  if (!out.empty() && out.size() <= key_bytes_max) return out;
  wrong(line, "the file " + in_quotes(path.string()) + " is empty or larger than 64 KiB; write the key into it");
  return std::nullopt;
}

}  // namespace waggle::gateway
