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
  // What does not fit the screen is cut: the last column first, then whichever is the widest; names in the first stay whole.
  const auto excess = [&] {
    auto width = indent + gap * (shown.size() - 1);
    for (const auto i : shown) width += widths[i];
    return on.width == 0 ? 0 : width - std::min(width, on.width);
  };
  const auto narrow = [&](std::size_t i, std::size_t by) {
    widths[i] -= std::min({by, widths[i] - std::min(widths[i], std::max(narrowest, columns(headings_[i]))), widths[i]});
  };
  narrow(shown.back(), excess());
  for (std::size_t by = excess(); by > 0 && shown.size() > 2; by = excess()) {
    const auto widest = *std::max_element(shown.begin() + 1, shown.end() - 1, [&](auto a, auto b) { return widths[a] < widths[b]; });
    const auto before = widths[widest];
    narrow(widest, 1);
    if (widths[widest] == before) break;
  }

  const auto line = [&](const std::vector<std::string>& cells, tone how) {
    std::string out, blanks(indent, ' ');
    for (const auto i : shown) {
      const auto cell = cut(cells[i], widths[i]);
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
