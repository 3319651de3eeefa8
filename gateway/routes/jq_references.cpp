#include "gateway/routes/jq_references.hpp"

#include <algorithm>
#include <utility>

namespace waggle::gateway {

std::vector<jq_reference> jq_references(std::string_view program) {
  using part = source::part;
  std::vector<jq_reference> out;
  const auto word = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; };
  for (const auto& [head, of] : {std::pair{std::string_view{".step"}, part::step}, {std::string_view{".error"}, part::error}}) {
    for (auto at = program.find(head); at != program.npos; at = program.find(head, at + 1)) {
      const bool alone = at == 0 || (!word(program[at - 1]) && std::string_view{"])}\"?"}.find(program[at - 1]) == std::string_view::npos);
      auto rest = program.substr(at + head.size());
      std::string_view name;
      if (rest.starts_with(".[\"")) rest.remove_prefix(1);
      if (rest.starts_with("[\"") || rest.starts_with(".\"")) {
        rest.remove_prefix(2);
        name = rest.substr(0, std::min(rest.find('"'), rest.size()));
      } else if (rest.starts_with('.')) {
        rest.remove_prefix(1);
        const auto end = std::find_if_not(rest.begin(), rest.end(), word);
        name = rest.substr(0, static_cast<std::size_t>(end - rest.begin()));
      }
      if (!name.empty()) out.push_back({of, name, alone});
    }
  }
  return out;
}

}  // namespace waggle::gateway
