#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tools/waggle/text.hpp"

namespace waggle::cli {

/// Rows in aligned columns under headings. Cells are printable text of one line.
class table {
 public:
  explicit table(std::vector<std::string> headings) : headings_{std::move(headings)} {}

  /// Cells that are missing at the end are empty.
  void row(std::vector<std::string> cells);
  [[nodiscard]] bool empty() const { return rows_.empty(); }

  /// Lines that end in a line feed. Columns without any text are left away; what does not fit the screen is cut,
  /// in the last column first and never in the first.
  [[nodiscard]] std::string lines(const screen& on, std::size_t indent = 0) const;

 private:
  std::vector<std::string> headings_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace waggle::cli
