#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "broker/events/topic_settings.hpp"

namespace waggle::broker {

inline constexpr std::size_t configured_streams_max = 32;
inline constexpr std::size_t stream_name_bytes_max = 32;
inline constexpr std::size_t configured_patterns_max = 1024;  ///< of all streams, and those of ephemeral topics

/// What `--config` says of topics (broker/README.md or PROTOCOL.md show one), or everything that is wrong with it: FILE:LINE, what, and what helps.
[[nodiscard]] tl::expected<topic_settings, std::vector<std::string>> parse_topic_config(const std::string& name, const std::string& text);
/// The same, of a file.
[[nodiscard]] tl::expected<topic_settings, std::vector<std::string>> read_topic_config(const std::string& path);

}  // namespace waggle::broker
