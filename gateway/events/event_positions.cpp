#include "gateway/events/event_positions.hpp"

#include <algorithm>
#include <charconv>

#include <waggle/wire/utf8.hpp>

#include "gateway/routes/percent.hpp"

namespace waggle::gateway {

std::string positions_text(const event_positions& from) {
  std::string out;
  for (const auto& [stream, sequence] : from) {
    if (!out.empty()) out += ',';
    append_percent_encoded(out, stream);
    out += ':';
    out += std::to_string(sequence);
  }
  return out;
}

std::optional<event_positions> read_positions(std::string_view text) {
  event_positions out;
  for (bool more = true; more;) {
    const auto comma = text.find(',');
    const auto each = text.substr(0, comma);
    more = comma != std::string_view::npos;
    text.remove_prefix(more ? comma + 1 : text.size());
    const auto colon = std::min(each.find(':'), each.size());
    const auto stream = percent_decoded(each.substr(0, colon));
    const auto digits = each.substr(std::min(colon + 1, each.size()));
    std::uint64_t sequence = 0;
    const auto* const end = digits.data() + digits.size();
    const auto [at, failed] = std::from_chars(digits.data(), end, sequence);
    if (!stream || !wire::is_name(*stream) || digits.empty() || failed != std::errc{} || at != end) return std::nullopt;
    if (out.size() == event_positions_max || !out.emplace(*stream, sequence).second) return std::nullopt;
  }
  return out;
}

}  // namespace waggle::gateway
