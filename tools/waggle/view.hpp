#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <waggle/wire/error.hpp>

#include "tools/waggle/network.hpp"
#include "tools/waggle/text.hpp"

/// What commands print for people. Every text ends in a line feed.
namespace waggle::cli {

/// Services, a block for each: its commands, their first words, its instances.
[[nodiscard]] std::string services_text(const network& all, const screen& on);

/// All that its workers say of one command.
[[nodiscard]] std::string command_text(const std::vector<served_command>& served, const screen& on);

/// All that is said of who handles events of a topic.
[[nodiscard]] std::string handlers_text(const std::vector<served_events>& handled, const screen& on);

/// A msgpack value as a table: maps as names and values, lists of maps with a column for each key, all else as JSON.
[[nodiscard]] std::string value_text(std::string_view msgpack, const screen& on);

/// An error of the broker itself, with what would help where the broker is too old for what was asked of it.
[[nodiscard]] error with_remedy(error why, std::string_view asked, std::string_view broker);

/// Why a call failed, in one line; several problems with a payload follow in a line each. `has_call` adds whether it
/// may have run.
[[nodiscard]] std::string error_text(const error& why, bool has_call, const screen& on);

}  // namespace waggle::cli
