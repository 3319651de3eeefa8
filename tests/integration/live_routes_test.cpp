// Routes that are read again when their files change.
#include "gateway/live_routes.hpp"

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "network_fixture.hpp"

namespace {

using namespace waggle;
using namespace waggle::test;
namespace fs = std::filesystem;

struct routes_on_disk {
  routes_on_disk() {
    fs::create_directories(directory);
    write(file, "routes: []\n");
  }
  ~routes_on_disk() { fs::remove_all(directory); }
  static void write(const fs::path& to, std::string_view text) { std::ofstream{to} << text; }

  fs::path directory = fs::temp_directory_path() / ("waggle-live-routes-" + std::to_string(::getpid()));
  fs::path file = directory / "routes.yaml";
};

}  // namespace

TEST_CASE("live routes: a change is taken even while other files of the directory change all the time", "[gateway]") {
  routes_on_disk disk;
  std::atomic<int> changes{0};
  gateway::live_routes live{{}, {disk.file.string()}, [](std::string_view) {}};
  live.watch([&] { ++changes; });
  std::atomic<bool> over{false};
  std::thread noise{[&] {
    while (!over) {
      routes_on_disk::write(disk.directory / "other.log", "x");
      std::this_thread::yield();
    }
  }};
  routes_on_disk::write(disk.file, "routes: [{ route: GET /x, call: a.b }]\n");
  CHECK(eventually([&] { return changes > 0; }));
  over = true;
  noise.join();
  CHECK(live.now()->now().first->routes.size() == 1);
}

TEST_CASE("live routes: what goes wrong while they are read again is said, and ends nothing", "[gateway]") {
  routes_on_disk disk;
  std::atomic<int> said{0};
  gateway::live_routes live{{}, {disk.file.string()}, [&](std::string_view line) {
    if (line == "the routes cannot be read again: out of luck") ++said;
  }};
  live.watch([] { throw std::runtime_error{"out of luck"}; });
  live.reload();
  CHECK(said == 1);
  routes_on_disk::write(disk.file, "routes: []\n");
  CHECK(eventually([&] { return said == 2; }));
}
