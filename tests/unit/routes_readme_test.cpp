// The examples in README.md, gateway/README.md and gateway/ROUTES.md.
#include "support/certificate_fixture.hpp"
#include "support/catch.hpp"
#include "support/routes_fixture.hpp"

#include <filesystem>
#include <fstream>
#include <map>

#include "gateway/routes/config_keys.hpp"

using namespace waggle::gateway;
using namespace waggle::gateway::test;

namespace {

/// The blocks of code of a document, by language.
std::map<std::string, std::vector<std::string>> blocks_of(const char* name) {
  std::ifstream in{std::filesystem::path{WAGGLE_SOURCE_DIR} / name};
  REQUIRE(in);
  std::map<std::string, std::vector<std::string>> out;
  std::string line, block, language;
  bool inside = false;
  while (std::getline(in, line)) {
    if (!line.starts_with("```")) {
      if (inside) block += line + '\n';
    } else if (!inside) {
      inside = true;
      language = line.substr(3);
      block.clear();
    } else {
      inside = false;
      out[language].push_back(block);
    }
  }
  return out;
}

std::string faults_of(const std::string& text) {
  const config_file file{"r.yaml", text};
  const auto out = parse_config({&file, 1}, [](const std::string&) { return std::string(32, 'k'); });
  if (out) return "accepted";
  std::string all;
  for (const auto& each : out.error()) all += (all.empty() ? "" : "\n") + each;
  return all;
}

}  // namespace

TEST_CASE("config: the route in README.md is accepted", "[routes]") {
  const auto blocks = blocks_of("README.md");
  REQUIRE(blocks.at("yaml").size() == 2);  // the other is of the broker's peers
  CHECK(faults_of(blocks.at("yaml")[0]) == "accepted");
}

TEST_CASE("config: the examples in gateway/README.md are accepted, and its error is the one that comes", "[routes]") {
  auto blocks = blocks_of("gateway/README.md");
  const auto& yaml = blocks["yaml"];
  REQUIRE(yaml.size() == 2);
  for (const auto& each : yaml) CHECK(faults_of(each) == "accepted");
  const auto all = configured(yaml[1]);
  CHECK(all.routes.size() == 3);
  CHECK(shown(router{all}, {"POST", "/hi/Ada", R"({"address":{"city":"Ulm"}})", {{"x-tenant", "t"}}}) ==
        R"({"name":"Ada","lang":"en","tenant":"t","city":"Ulm","all":{"address":{"city":"Ulm"}},"kind":"friendly"})");
  REQUIRE(blocks[""].size() == 1);
  const config_file file{"routes.yaml", "routes:\n  - route: GET /hi\n    budget: 2 seconds\n    call: x\n"};
  CHECK(parse_config({&file, 1}).error().at(0) + '\n' == blocks[""][0]);
  REQUIRE(blocks["json"].size() == 1);
  const auto problem =
      router::answer({}, waggle::failure(waggle::status::unavailable, "no worker serves \"hello.say\" now"));
  CHECK(json::parse(problem.body) == json::parse(blocks["json"][0]));
}

TEST_CASE("config: the examples in gateway/ROUTES.md are accepted, and it has every limit of the front", "[routes]") {
  auto blocks = blocks_of("gateway/ROUTES.md");
  REQUIRE(blocks["yaml"].size() == 19);
  certificate_folder here;  // with the files that the examples name, and all variables set
  here.lookup = [](const std::string&) { return std::string(32, 'k'); };
  for (const auto* const each : {"chain.pem", "shop.pem"}) here.write(each, tls_fixture::server().certificate_pem());
  for (const auto* const each : {"key.pem", "shop.key"}) here.write(each, tls_fixture::server().key_pem());
  here.write("clients.pem", tls_fixture::authority().certificate_pem());
  for (const auto& each : blocks["yaml"]) {
    CAPTURE(each);
    CHECK(here.errors_of(each) == "accepted");
  }
  std::ifstream in{std::filesystem::path{WAGGLE_SOURCE_DIR} / "gateway/ROUTES.md"};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  for (const auto& each : keys::limits) {
    CAPTURE(each.name);
    CHECK(text.find("| `" + std::string{each.name} + "` |") != std::string::npos);
  }
}
