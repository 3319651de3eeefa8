#include "gateway/routes/config.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "gateway/routes/config_reader.hpp"

namespace waggle::gateway {
namespace {

namespace fs = std::filesystem;

/// All `*.yaml` and `*.yml` of a directory, in the order of their names. Hidden ones are an editor's.
std::vector<std::string> files_of(const fs::path& directory, std::error_code& failed) {
  std::vector<std::string> out;
  for (fs::directory_iterator each{directory, failed}, end; !failed && each != end; each.increment(failed)) {
    const auto extension = each->path().extension();
    std::error_code unknown;
    if ((extension != ".yaml" && extension != ".yml") || each->path().filename().native().starts_with('.')) continue;
    if (!each->is_directory(unknown)) out.push_back(each->path().string());
    if (out.size() > config_files_max) break;
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

std::optional<std::string> file_text(const std::string& path, std::size_t bytes_max) {
  std::error_code failed;
  if (fs::is_directory(path, failed)) return std::nullopt;
  std::ifstream in{path, std::ios::binary};
  if (!in) return std::nullopt;
  std::string out;
  char piece[1 << 16];
  while (out.size() <= bytes_max && in.read(piece, sizeof piece).gcount() > 0) {
    out.append(piece, static_cast<std::size_t>(in.gcount()));
  }
  if (in.bad()) return std::nullopt;
  return out;
}

std::optional<std::string> process_environment(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>{value};
}

tl::expected<config, std::vector<std::string>> parse_config(std::span<const config_file> files,
                                                            const environment_lookup& environment) {
  config_reader reader{environment};
  for (const auto& each : files) reader.read(each);
  return reader.take();
}

tl::expected<config, std::vector<std::string>> load_config(std::span<const std::string> paths) {
  std::vector<std::string> wrong, names;
  for (const auto& path : paths) {
    std::error_code failed;
    if (!fs::is_directory(path, failed)) {
      names.push_back(path);
      continue;
    }
    auto inside = files_of(path, failed);
    if (failed) {
      wrong.push_back(path + ":1: the directory cannot be read; write the name of one that can");
    } else if (inside.empty()) {
      wrong.push_back(path + ":1: the directory has no *.yaml or *.yml; write a file of routes into it");
    }
    names.insert(names.end(), std::make_move_iterator(inside.begin()), std::make_move_iterator(inside.end()));
  }
  std::vector<config_file> files;
  std::size_t bytes = 0;
  for (const auto& name : names) {
    if (files.size() == config_files_max || bytes > config_bytes_in_all_max) {
      wrong.push_back(name + ":1: there are more than 1024 files, or more than 64 MiB in all; write fewer or smaller ones");
      break;
    }
    auto text = file_text(name, config_bytes_max);
    if (!text) {
      wrong.push_back(name + ":1: the file cannot be read; write the name of one that can");
      continue;
    }
    bytes += text->size();
    files.push_back({name, std::move(*text)});
  }
  auto out = parse_config(files);
  if (wrong.empty()) return out;
  if (!out) wrong.insert(wrong.end(), out.error().begin(), out.error().end());
  return tl::unexpected{std::move(wrong)};
}

}  // namespace waggle::gateway
