#pragma once

#include <cstddef>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>
#include <yaml-cpp/yaml.h>

namespace waggle::broker {

/// What the readers of the broker's YAML files have in common: everything that is wrong is said at once, as FILE:LINE, what, and what helps.
class yaml_reader {
 public:
  static constexpr std::size_t file_bytes_max = 1u << 20;

  std::vector<std::string> errors;

 protected:
  explicit yaml_reader(std::string name) : name_{std::move(name)} {}
  ~yaml_reader() = default;

  [[nodiscard]] static std::string in_quotes(std::string_view text) {
    constexpr std::size_t shown_max = 64;
    return '"' + std::string{text.substr(0, shown_max)} + (text.size() > shown_max ? "..." : "") + '"';
  }
  [[nodiscard]] static std::string text_of(const YAML::Node& node) { return node.IsScalar() ? node.Scalar() : std::string{}; }

  void wrong(int line, const std::string& message) {
    constexpr std::size_t errors_max = 100;
    if (errors.size() < errors_max) errors.push_back(name_ + ':' + std::to_string(line) + ": " + message);
  }
  void wrong(const YAML::Node& at, const std::string& message) { wrong(at.Mark().line + 1, message); }

  /// `visit` gets the one document of the text. `too_large` and `nothing` say what helps then.
  template <class Visitor>
  void read_document(const std::string& text, const std::string& too_large, const std::string& nothing, Visitor&& visit) {
    if (text.size() > file_bytes_max) return wrong(1, "the file is larger than 1 MiB; " + too_large);
    try {
      const auto documents = YAML::LoadAll(text);
      if (documents.size() > 1) return wrong(1, "the file holds several YAML documents; write one, without ---");
      if (documents.empty() || documents[0].IsNull()) return wrong(1, "the file says nothing; " + nothing);
      visit(documents[0]);
    } catch (const YAML::Exception& fault) {
      wrong(fault.mark.is_null() ? 1 : fault.mark.line + 1, "this is not YAML (" + fault.msg + "); look for quotes, colons and the depth of lines");
    }
  }

  /// Calls `visit` with each key and its value; false: the key is not known.
  template <class Visitor>
  void read_map(const YAML::Node& node, const std::string& what, Visitor&& visit) {
    std::map<std::string, int> seen;
    for (const auto& each : node) {
      const auto key = text_of(each.first);
      if (!seen.emplace(key, 0).second) {
        wrong(each.first, "the key " + in_quotes(key) + " stands here twice; remove one");
      } else if (!visit(key, each.first, each.second)) {
        wrong(each.first, "the key " + in_quotes(key) + " is not known; " + what);
      }
    }
  }

 private:
  std::string name_;
};

/// The text of such a file, or why there is none.
[[nodiscard]] inline tl::expected<std::string, std::vector<std::string>> read_yaml_file(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  std::string text;
  if (file) {
    // One byte more shows that it is too large.
    text.resize(yaml_reader::file_bytes_max + 1);
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad() || !(file || file.eof())) {
    return tl::unexpected{std::vector<std::string>{path + ": the file cannot be read; look at its name and its permissions"}};
  }
  return text;
}

}  // namespace waggle::broker
