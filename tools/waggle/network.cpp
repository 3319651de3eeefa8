#include "tools/waggle/network.hpp"

#include <algorithm>
#include <map>

#include <waggle/wire/topic.hpp>

#include "tools/waggle/text.hpp"

namespace waggle::cli {

std::vector<served_command> commands_of(const service_entry& service) {
  std::vector<served_command> out;
  for (const auto& each : service.commands) {
    auto read = wire::read_commands("\x91" + each.bytes);
    if (read && read->size() == 1) out.push_back({&service, std::move(read->front()), each.bytes});
  }
  return out;
}

std::vector<handled_events> events_of(const service_entry& service) {
  std::vector<handled_events> out;
  if (!service.events) return out;
  for (const auto& each : *service.events) {
    if (auto read = read_payload<handled_events>(each.bytes)) out.push_back(std::move(*read));
  }
  return out;
}

std::vector<served_events> find_handlers(const network& all, std::string_view topic) {
  std::vector<served_events> out;
  for (const auto& service : all.services) {
    for (auto& each : events_of(service)) {
      const bool is_it = each.topic == topic || (wire::is_topic(topic) && wire::matches(each.topic, topic));
      if (is_it) out.push_back({&service, std::move(each)});
    }
  }
  return out;
}

std::vector<served_command> find_command(const network& all, std::string_view name) {
  std::vector<served_command> out;
  for (const auto& service : all.services) {
    for (auto& each : commands_of(service)) {
      if (each.what.name == name) out.push_back(std::move(each));
    }
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> command_names(const network& all) {
  std::map<std::string, std::string> out;
  for (const auto& service : all.services) {
    for (const auto& each : commands_of(service)) out.try_emplace(each.what.name, printable(each.what.doc));
  }
  return {out.begin(), out.end()};
}

void keep_commands(network& all, std::string_view prefix) {
  if (prefix.empty()) return;
  for (auto& service : all.services) {
    std::vector<value> kept;
    for (const auto& each : commands_of(service)) {
      if (each.what.name.starts_with(prefix)) kept.emplace_back(std::string{each.bytes});
    }
    service.commands = std::move(kept);
    if (!service.events) continue;
    std::erase_if(*service.events, [&](const value& each) {
      const auto read = read_payload<handled_events>(each.bytes);
      return !read || !read->topic.starts_with(prefix);
    });
  }
  std::erase_if(all.services, [](const service_entry& each) { return each.commands.empty() && (!each.events || each.events->empty()); });
}

std::string closest(std::string_view name, const std::vector<std::pair<std::string, std::string>>& names) {
  // Levenshtein's distance; a name is alike if at most a third of it has to change.
  const auto distance = [&](std::string_view other) {
    std::vector<std::size_t> row(other.size() + 1);
    for (std::size_t j = 0; j <= other.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= name.size(); ++i) {
      auto diagonal = std::exchange(row[0], i);
      for (std::size_t j = 1; j <= other.size(); ++j) {
        const auto changed = diagonal + (name[i - 1] == other[j - 1] ? 0 : 1);
        diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, changed}));
      }
    }
    return row.back();
  };
  std::string out;
  if (name.size() > wire::name_bytes_max) return out;
  auto best = name.size() / 3 + 1;
  for (const auto& [each, about] : names) {
    const auto changes = distance(each);
    if (changes < best) best = changes, out = each;
  }
  return out;
}

}  // namespace waggle::cli
