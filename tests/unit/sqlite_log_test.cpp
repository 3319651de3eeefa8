#include "unit/event_log_suite.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <random>

#include "broker/events/memory_log.hpp"
#include "broker/events/sqlite_log.hpp"
#include "support/faulty_vfs.hpp"

using namespace waggle;
using namespace waggle::broker;
using namespace waggle::broker::test;

namespace {

class sqlite_suite : public event_log_suite {
 public:
  sqlite_suite() { reopen(); }
  event_log& log() override { return *log_; }
  log_contents reopen() override {
    log_.reset();
    log_ = std::make_unique<sqlite_log>(folder_.path() / "made" / "here", sources.get());
    auto out = log_->open();
    if (!out) FAIL(out.error().message);
    return std::move(*out);
  }

 private:
  temporary_folder folder_;
  std::unique_ptr<sqlite_log> log_;
};

}  // namespace

WAGGLE_EVENT_LOG_SUITE("sqlite log", sqlite_suite, "[log]")

namespace {

std::string bytes_of_file(const std::filesystem::path& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

void change_bytes(const std::filesystem::path& path, const std::string& from, const std::string& to) {
  auto bytes = bytes_of_file(path);
  const auto where = bytes.find(from);
  REQUIRE(where != std::string::npos);
  bytes.replace(where, to.size(), to);
  std::ofstream{path, std::ios::binary} << bytes;
}

std::unique_ptr<sqlite_log> open_log(const std::filesystem::path& folder, log_fixture_sources& sources, sqlite_settings with = {}) {
  auto log = std::make_unique<sqlite_log>(folder, sources.get(), std::move(with));
  const auto contents = log->open();
  if (!contents) FAIL(contents.error().message);
  return log;
}

/// The error with which a folder is not opened.
error open_error(const std::filesystem::path& folder) {
  const auto out = sqlite_log{folder}.open();
  if (out) FAIL("it was opened");
  return out.error();
}

/// Runs something in a process of its own, which ends by exit code 0 if it returns true.
template <class Function>
pid_t in_child(Function&& function) {
  const auto child = ::fork();
  if (child != 0) return child;
  ::_exit(function() ? 0 : 1);
}

bool succeeded(pid_t child) {
  int how = 0;
  return ::waitpid(child, &how, 0) == child && WIFEXITED(how) && WEXITSTATUS(how) == 0;
}

}  // namespace

TEST_CASE("sqlite log: a changed byte is noticed, and what it is in is not served", "[log]") {
  const std::string from = GENERATE("payload-2", "topic-2", "header-2", "id-2");
  CAPTURE(from);
  temporary_folder folder;
  log_fixture_sources sources;
  {
    auto log = open_log(folder.path(), sources);
    for (const auto* each : {"1", "2", "3"}) {
      write_one(*log, write::append{"events", std::string{"topic-"} + each, std::string{"payload-"} + each, std::string{"header-"} + each,
                                    std::string{"id-"} + each, 1000});
    }
  }
  change_bytes(folder.path() / "events.db", from, "X");
  auto log = open_log(folder.path(), sources);
  auto out = look(*log, read::events{"events", 1, {}, 10});
  CHECK(sequences(out) == std::vector<std::uint64_t>{1, 3});
  CHECK(out.damaged == std::vector<std::uint64_t>{2});
  CHECK(out.next == 4);
  CHECK(look(*log, read::place{"events", {}, 0, 0}).next == 1);
  write_one(*log, write::bury{"g", "events", 2, 1, "why"});
  CHECK(look(*log, read::dead_letters{"g", 0, 1, true}).dead.at(0).event == stored_event{2, 0, "", "", "", ""});
  CHECK(write_one(*log, write::trim{"events", 0, 0, 3, 10}).count == 3);
}

TEST_CASE("sqlite log: a damaged dead letter or operation is not served", "[log]") {
  temporary_folder folder;
  log_fixture_sources sources;
  std::string operation;
  {
    auto log = open_log(folder.path(), sources);
    write_one(*log, event("a", "payload-1"));
    write_one(*log, write::bury{"g", "events", 1, 1, "why-1"});
    write_one(*log, write::bury{"g", "events", 2, 1, "why-2"});
    operation = write_one(*log, write::accept{"later", "c", "", "", ""}).operation;
    write_one(*log, write::finish{operation, status::ok, "result-1", 1000});
  }
  const auto file = folder.path() / "events.db";
  change_bytes(file, "why-1", "X");
  change_bytes(file, "result-1", "X");
  auto log = open_log(folder.path(), sources);
  const auto out = look(*log, read::dead_letters{"g", 0, 10, true});
  CHECK(out.damaged == std::vector<std::uint64_t>{1});
  REQUIRE(out.dead.size() == 1);
  CHECK(out.dead[0].id == 2);
  CHECK(log->look_up(read::operation{operation}).error().code == status::data_loss);
  write_one(*log, write::bury{"g", "events", 1, 4, "why-3"});
  CHECK(look(*log, read::dead_letters{"g", 0, 10, true}).dead.at(0).event.payload == "payload-1");
}

TEST_CASE("sqlite log: pages that are torn out of the file cost what was in them", "[log]") {
  temporary_folder folder;
  log_fixture_sources sources;
  {
    auto log = open_log(folder.path(), sources);
    for (int i = 0; i < 200; ++i) write_one(*log, event("a", "payload " + std::to_string(i) + std::string(300, 'x')));
  }
  const auto file = folder.path() / "events.db";
  auto bytes = bytes_of_file(file);
  const auto page = bytes.find("payload 100xxx") / 4096 * 4096;
  bytes.replace(page, 4096, std::string(4096, '\xff'));
  std::ofstream{file, std::ios::binary} << bytes;
  auto log = open_log(folder.path(), sources);
  auto out = look(*log, read::events{"events", 1, {}, 1000});
  CHECK(out.next == 201);
  CHECK(out.events.size() + out.damaged.size() == 200);
  CHECK(out.events.size() > 150);
  CHECK(std::find(out.damaged.begin(), out.damaged.end(), 101u) != out.damaged.end());
  for (const auto& each : out.events) CHECK(each.payload.starts_with("payload " + std::to_string(each.sequence - 1) + "x"));
  // A trim that meets the damage fails; events are kept all the same.
  CHECK(log->commit({write::trim{"events", 0, 0, 200, 300}}).error().code == status::data_loss);
  CHECK(write_one(*log, event("a")).sequence == 201);
}

TEST_CASE("sqlite log: of a torn journal what is whole comes back", "[log]") {
  temporary_folder folder, copy;
  log_fixture_sources sources;
  auto log = open_log(folder.path(), sources);
  for (int i = 0; i < 50; ++i) write_one(*log, event("a", std::to_string(i)));
  const auto journal = bytes_of_file(folder.path() / "events.db-wal");
  REQUIRE(journal.size() > 50'000);
  for (const std::size_t cut : {0u, 1u, 33u, 4097u, 20'001u, 40'000u, 1'000'000u}) {
    for (const bool flips : {false, true}) {
      std::filesystem::remove(copy.path() / "events.db");
      std::filesystem::copy(folder.path() / "events.db", copy.path() / "events.db");
      auto torn = journal.substr(0, flips ? journal.size() : cut);
      if (flips && cut < torn.size()) torn[cut] = static_cast<char>(torn[cut] ^ 0x55);
      std::ofstream{copy.path() / "events.db-wal", std::ios::binary} << torn;
      auto other = open_log(copy.path(), sources);
      const auto out = look(*other, read::events{"events", 1, {}, 1000});
      CHECK(out.damaged.empty());
      for (std::size_t i = 0; i < out.events.size(); ++i) CHECK(out.events[i].payload == std::to_string(i));
      CHECK(write_one(*other, event("a")).sequence == out.events.size() + 1);
    }
  }
}

TEST_CASE("sqlite log: what cannot be opened says why", "[log]") {
  temporary_folder folder;
  log_fixture_sources sources;
  const auto file = folder.path() / "events.db";
  SECTION("another broker has the folder") {
    auto log = open_log(folder.path(), sources);
    const auto why = open_error(folder.path());
    CHECK(why.code == status::failed_precondition);
    CHECK(why.message == "the folder " + folder.path().string() + " is in use by another broker (process " + std::to_string(::getpid()) +
                             "); end that one, or choose another folder with --data");
    log.reset();
    open_log(folder.path(), sources);
  }
  SECTION("a newer format") {
    open_log(folder.path(), sources);
    sqlite3* raw = nullptr;
    REQUIRE(::sqlite3_open(file.c_str(), &raw) == SQLITE_OK);
    REQUIRE(::sqlite3_exec(raw, "PRAGMA user_version = 7", nullptr, nullptr, nullptr) == SQLITE_OK);
    ::sqlite3_close(raw);
    CHECK(open_error(folder.path()).message.find("newer waggle (format 7, this one knows 1)") != std::string::npos);
  }
  SECTION("another program's file") {
    sqlite3* raw = nullptr;
    REQUIRE(::sqlite3_open(file.c_str(), &raw) == SQLITE_OK);
    REQUIRE(::sqlite3_exec(raw, "CREATE TABLE t (x)", nullptr, nullptr, nullptr) == SQLITE_OK);
    ::sqlite3_close(raw);
    CHECK(open_error(folder.path()).message == file.string() + " is no event log of waggle; choose another folder with --data");
  }
  SECTION("no database at all") {
    std::ofstream{file} << std::string(10'000, 'x');
    CHECK(open_error(folder.path()).code == status::data_loss);
  }
  SECTION("a file that ends in the middle") {
    open_log(folder.path(), sources);
    std::filesystem::resize_file(file, 5000);
    CHECK(open_error(folder.path()).code == status::data_loss);
  }
  SECTION("a folder that is a file") {
    std::ofstream{folder.path() / "file"} << "x";
    CHECK(open_error(folder.path() / "file").code == status::failed_precondition);
  }
}

TEST_CASE("sqlite log: what has a receipt survives kill -9", "[log]") {
  for (int round = 0; round < 3; ++round) {
    temporary_folder folder;
    int receipts[2];
    REQUIRE(::pipe(receipts) == 0);
    const auto child = in_child([&] {
      sqlite_log log{folder.path()};
      if (!log.open()) return false;
      for (std::uint64_t i = 1;; ++i) {
        const auto out = log.commit({event("a", std::to_string(2 * i)), event("a", std::to_string(2 * i + 1))});
        if (!out || ::write(receipts[1], &(*out)[1].sequence, 8) != 8) return false;
      }
    });
    ::close(receipts[1]);
    std::uint64_t last = 0, each = 0;
    for (int i = 0; i < 40 + 30 * round; ++i) {
      REQUIRE(::read(receipts[0], &each, 8) == 8);
      last = each;
    }
    ::kill(child, SIGKILL);
    CHECK_FALSE(succeeded(child));
    while (::read(receipts[0], &each, 8) == 8) last = each;
    ::close(receipts[0]);
    log_fixture_sources sources;
    auto log = open_log(folder.path(), sources);
    const auto out = look(*log, read::events{"events", 1, {}, 1'000'000, 64u << 20, 1'000'000});
    REQUIRE(out.events.size() >= last);
    CHECK(out.events.size() % 2 == 0);
    CHECK(out.damaged.empty());
    for (std::size_t i = 0; i < out.events.size(); ++i) CHECK(out.events[i].payload == std::to_string(i + 2));
  }
}

TEST_CASE("sqlite log: a full disk refuses events until there is room", "[log]") {
  temporary_folder folder;
  CHECK(succeeded(in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 1u << 20;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    sqlite_log log{folder.path()};
    if (!log.open()) return false;
    std::uint64_t kept = 0;
    for (;; ++kept) {
      const auto out = log.commit({event("a", std::string(10'000, 'x'))});
      if (out) continue;
      if (out.error().code != status::resource_exhausted || kept == 0) return false;
      break;
    }
    // What is there is read, and what is forgotten makes room.
    const auto all = log.look_up(read::events{"events", 1, {}, 100'000, 64u << 20, 100'000});
    if (!all || all->events.size() != kept) return false;
    limit.rlim_cur = 2u << 20;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto trimmed = log.commit({write::trim{"events", 0, 0, kept, 100'000}});
    if (!trimmed || (*trimmed)[0].count != kept) return false;
    const auto again = log.commit({event("a", "y")});
    return again && (*again)[0].sequence == kept + 1;
  })));
}

TEST_CASE("sqlite log: a batch that cannot be written leaves nothing behind, and the next one may succeed", "[log]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 chance{seed};
    temporary_folder folder;
    log_fixture_sources sources, expected_sources;
    faulty_vfs vfs;
    int left = -1;  // longer than the log, which writes once more when it is closed
    const sqlite_settings with{.vfs = vfs.name(), .wal_pages = 30};
    auto log = open_log(folder.path(), sources, with);
    memory_log expected{expected_sources.get()};
    vfs.fault = [&] { return left < 0 || left-- > 0 ? SQLITE_OK : (left = 0, chance() % 2 == 0 ? SQLITE_FULL : SQLITE_IOERR_FSYNC); };
    int failures = 0;
    for (int i = 0; i < 100; ++i) {
      std::vector<write_entry> batch;
      for (auto n = chance() % 5 + 1; n > 0; --n) batch.push_back(event("a", std::string(chance() % 6000, 'x')));
      batch.push_back(write::trim{"events", 0, 50'000, 1'000'000, 4});
      left = chance() % 2 == 0 ? -1 : static_cast<int>(chance() % 20);
      const auto out = log->commit(batch);
      left = -1;
      if (out) {
        REQUIRE(expected.commit(batch)->back().first == out->back().first);
      } else {
        const auto code = out.error().code;
        CHECK((code == status::resource_exhausted || code == status::unavailable));
        ++failures;
      }
      if (chance() % 20 == 0) {
        log.reset();
        log = open_log(folder.path(), sources, with);
      }
      const read::events all{"events", 1, {}, 1000, 64u << 20};
      REQUIRE(look(*log, all).events == look(expected, all).events);
    }
    CHECK(failures > 0);
  }
}

TEST_CASE("sqlite log: what has a receipt survives a power cut, whatever of the rest reached the disk", "[log]") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 chance{seed};
    temporary_folder folder;
    log_fixture_sources sources;
    faulty_vfs vfs;
    const sqlite_settings with{.vfs = vfs.name(), .wal_pages = 30};
    std::map<std::uint64_t, std::string> receipts;
    for (int cut = 0; cut < 3; ++cut) {
      auto log = open_log(folder.path(), sources, with);
      const auto out = look(*log, read::events{"events", 1, {}, 10'000, 64u << 20});
      REQUIRE(out.damaged.empty());
      REQUIRE(out.events.size() >= receipts.size());
      for (const auto& each : out.events) {
        const auto at = receipts.find(each.sequence);
        if (at != receipts.end()) REQUIRE(each.payload == at->second);
        // What had no receipt and is there all the same stays.
        receipts[each.sequence] = each.payload;
      }
      REQUIRE(receipts.size() == out.events.size());
      auto left = chance() % 150;
      vfs.fault = [&] {
        if (left-- > 0) return SQLITE_OK;
        vfs.is_off = true;
        return SQLITE_IOERR;
      };
      while (!vfs.is_off) {
        std::vector<write_entry> batch;
        std::vector<std::string> payloads;
        for (auto n = chance() % 4 + 1; n > 0; --n) {
          payloads.push_back(std::string(chance() % 6000, static_cast<char>('a' + chance() % 26)));
          batch.push_back(event("a", payloads.back()));
        }
        const auto done = log->commit(batch);
        if (!done) break;
        for (std::size_t i = 0; i < batch.size(); ++i) receipts[(*done)[i].sequence] = payloads[i];
      }
      vfs.is_off = true;
      log.reset();
      vfs.fault = [] { return SQLITE_OK; };
      vfs.cut_power(chance);
    }
  }
}
