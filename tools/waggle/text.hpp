#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/// Text on a terminal: width, wrapping, colour, and peers' text that must do no harm there.
namespace waggle::cli {

/// What the place that is printed to can show.
struct screen {
  std::size_t width = 0;  ///< columns; 0: as long as it takes (a file or a pipe)
  bool colour = false;
};

enum class tone { plain, strong, faint, good, bad };

/// The text in a colour, or as it is where there are none.
[[nodiscard]] std::string toned(tone how, std::string_view text, const screen& on);

/// A peer's text in one line: UTF-8 in which control characters have become spaces, so that it cannot move the cursor.
[[nodiscard]] std::string printable(std::string_view text);

/// Columns that a printable text takes, if each character takes one.
[[nodiscard]] std::size_t columns(std::string_view text);

/// The text, or as much of its beginning as fits, and an ellipsis. A width of 0 is no limit.
[[nodiscard]] std::string cut(std::string_view text, std::size_t width);

/// Breaks a printable text at spaces into lines of at most `width` columns, each but the first indented. A width of 0
/// is no limit.
[[nodiscard]] std::string wrapped(std::string_view text, std::size_t width, std::size_t indent);

/// One line of what is known of a thing: a faint name, then text, wrapped. `text` is printable.
[[nodiscard]] std::string described(std::string_view name, std::string_view text, const screen& on);

[[nodiscard]] std::string joined(const std::vector<std::string>& parts, std::string_view between = ", ");

/// The text as one word of a POSIX shell.
[[nodiscard]] std::string shell_quoted(std::string_view text);

}  // namespace waggle::cli
