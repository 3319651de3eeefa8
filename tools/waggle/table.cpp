#include "tools/waggle/table.hpp"

#include <algorithm>

namespace waggle::cli {

void table::row(std::vector<std::string> cells) {
  cells.resize(headings_.size());
  rows_.push_back(std::move(cells));
}

std::string table::lines(const screen& on, std::size_t indent) const {
  constexpr std::size_t gap = 2, narrowest = 8;
  std::vector<std::size_t> shown, widths(headings_.size());
  for (std::size_t i = 0; i < headings_.size(); ++i) {
    for (const auto& row : rows_) widths[i] = std::max(widths[i], columns(row[i]));
    if (widths[i] == 0 && i != 0) continue;
    widths[i] = std::max(widths[i], columns(headings_[i]));
    shown.push_back(i);
  }
  std::size_t before_last = indent;
  for (std::size_t k = 0; k + 1 < shown.size(); ++k) before_last += widths[shown[k]] + gap;
  const auto last_width = on.width == 0 ? 0 : std::max(narrowest, on.width - std::min(on.width, before_last));

  const auto line = [&](const std::vector<std::string>& cells, tone how) {
    std::string out, blanks(indent, ' ');
    for (const auto i : shown) {
      const auto cell = i == shown.back() ? cut(cells[i], last_width) : cells[i];
      if (!cell.empty()) out.append(blanks).append(toned(how, cell, on)), blanks.clear();
      blanks.append(widths[i] - std::min(widths[i], columns(cell)) + gap, ' ');
    }
    return out += '\n';
  };
  std::string out = line(headings_, tone::faint);
  for (const auto& row : rows_) out += line(row, tone::plain);
  return out;
}

}  // namespace waggle::cli
