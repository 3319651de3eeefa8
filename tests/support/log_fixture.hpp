#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "broker/events/event_log.hpp"
#include "broker/events/log_parts.hpp"
#include "support/catch.hpp"

namespace waggle::broker::test {

/// A folder that is gone at the end of the test; in memory where there is such a place, as what syncs cost is nothing that is tested.
class temporary_folder {
 public:
  temporary_folder() {
    const std::filesystem::path in_memory = "/dev/shm";
    auto name = (in_memory / "waggle-log-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      name = (std::filesystem::temp_directory_path() / "waggle-log-XXXXXX").string();
      if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error{"no temporary folder can be made"};
    }
    path_ = name;
  }
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// A clock that goes when it is told to, and numbers that come again with the next fixture.
struct log_fixture_sources {
  std::int64_t now_ms = 1'000'000'000'000;
  std::uint64_t last = 0;

  [[nodiscard]] log_sources get() {
    return {[this] { return now_ms; }, [this] { return ++last * 0x9e3779b97f4a7c15ull; }};
  }
};

/// What one entry has led to.
inline written write_one(event_log& to, write_entry what) {
  const auto out = to.commit({std::move(what)});
  if (!out) FAIL(out.error().message);
  REQUIRE(out->size() == 1);
  return out->front();
}

inline found look(event_log& in, const read_entry& what) {
  auto out = in.look_up(what);
  if (!out) FAIL(out.error().message);
  return std::move(*out);
}

inline write::append event(std::string topic, std::string payload = "p", std::string id = {}, std::int64_t once_within_ms = 600'000) {
  return {"events", std::move(topic), std::move(payload), "h", std::move(id), once_within_ms};
}

inline std::vector<std::uint64_t> sequences(const found& in) {
  std::vector<std::uint64_t> out;
  for (const auto& each : in.events) out.push_back(each.sequence);
  return out;
}

}  // namespace waggle::broker::test
