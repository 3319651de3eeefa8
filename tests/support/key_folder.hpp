#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace waggle::gateway::test {

/// A directory of files of keys, gone with the object.
struct key_folder {
  key_folder() {
    auto made = (std::filesystem::temp_directory_path() / "waggle-keys-XXXXXX").string();
    path = ::mkdtemp(made.data());
  }
  ~key_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  key_folder(const key_folder&) = delete;
  key_folder& operator=(const key_folder&) = delete;

  std::string write(const std::string& name, std::string_view text) const {
    std::ofstream{path / name, std::ios::binary} << text;
    return (path / name).string();
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream in{path / name, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
  }

  std::filesystem::path path;
};

}  // namespace waggle::gateway::test
