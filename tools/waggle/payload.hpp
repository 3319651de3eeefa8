#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include <waggle/wire/error.hpp>

namespace waggle::cli {

enum class encoding { json, msgpack };

/// One payload as msgpack. JSON is converted; msgpack is checked to be one value. Blank JSON and no bytes at all are no
/// payload, which is empty.
[[nodiscard]] result<std::string> payload_from(std::string_view bytes, encoding as);

/// The bytes that a payload argument stands for: itself, the file's after an `@`, standard input for `-`, and for none
/// at all what is piped into standard input. A pipe in which nothing comes within `patience` is an error, not a program
/// that hangs.
[[nodiscard]] result<std::string> read_argument(std::string_view argument, bool is_given,
                                                std::chrono::milliseconds patience);

}  // namespace waggle::cli
