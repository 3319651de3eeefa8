#pragma once

#include <sys/stat.h>

#include <fstream>
#include <string>

#include "support/config_fixture.hpp"
#include "support/log_fixture.hpp"
#include "support/tls_fixture.hpp"

namespace waggle::gateway::test {

/// A folder with certificates, and files of routes in it.
struct certificate_folder {
  certificate_folder() {
    write("own.pem", tls_fixture::server().certificate_pem());
    write("own.key", tls_fixture::server().key_pem());
    write("encrypted.key", tls_fixture::server().key_pem("passphrase"));
    write("ca.pem", tls_fixture::authority().certificate_pem());
    write("empty.pem", "");
  }
  void write(const std::string& name, const std::string& text) {
    std::ofstream{at(name)} << text;
    ::chmod(at(name).c_str(), 0600);
  }
  [[nodiscard]] std::string at(const std::string& name) const { return (folder.path() / name).string(); }
  [[nodiscard]] tl::expected<config, std::vector<std::string>> read(const std::string& text) const {
    const config_file file{at("r.yaml"), text};
    return parse_config({&file, 1}, lookup);
  }
  /// All that is wrong, without the folder.
  [[nodiscard]] std::string errors_of(const std::string& text) const {
    const auto out = read(text);
    if (out) return "accepted";
    std::string all;
    for (const auto& each : out.error()) all += (all.empty() ? "" : "\n") + each;
    const std::string before = at("");
    for (std::size_t i; (i = all.find(before)) != all.npos;) all.erase(i, before.size());
    return all;
  }

  environment_lookup lookup = environment;
  broker::test::temporary_folder folder;
};

}  // namespace waggle::gateway::test
