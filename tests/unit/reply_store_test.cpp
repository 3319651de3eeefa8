// Stores of replies: one suite for all of them, then what only the one in files has to bear.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "gateway/replies/memory_reply_store.hpp"
#include "gateway/replies/sqlite_reply_store.hpp"
#include "support/catch.hpp"
#include "support/faulty_vfs.hpp"

using namespace waggle;
using namespace waggle::gateway;
using state = reserved::state;

namespace {

struct store_folder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("waggle-replies-" + std::to_string(::getpid()));
  store_folder() { std::filesystem::remove_all(path); }
  ~store_folder() { std::filesystem::remove_all(path); }
};

/// One store, told and asked one thing at a time.
struct store_fixture {
  explicit store_fixture(std::string of, store_limits with = {}, storage::sqlite_settings how = {}) : kind{std::move(of)}, limits{with}, settings{std::move(how)} { open(); }

  void open() {
    store.reset();
    if (kind == "memory") {
      store = std::make_unique<memory_reply_store>(limits);
    } else {
      auto made = std::make_unique<sqlite_reply_store>(folder.path, limits, settings);
      const auto opened = made->open();
      INFO((opened ? "" : opened.error().message));
      REQUIRE(opened);
      store = std::move(made);
    }
  }
  reserved one(store_entry what) {
    auto out = store->commit({&what, 1});
    REQUIRE(out);
    REQUIRE(out->size() == 1);
    return std::move(out->front());
  }
  reserved reserve(std::string_view key, std::string_view request = "r", bool twice = false) {
    return one(store::reserve{sha256(key), sha256(request), now, now + 1000, twice});
  }
  void settle(std::string_view key, std::string body) {
    one(store::settle{sha256(key), {201, "application/json", std::move(body), {{"Location", "/a"}, {"X", std::string("\xff\0", 2)}}}, now + 1000});
  }
  void release(std::string_view key) { one(store::release{sha256(key)}); }
  std::size_t expire(std::size_t rows_max = 100) { return store->expire(now, rows_max).value(); }

  std::string kind;
  store_limits limits;
  storage::sqlite_settings settings;
  store_folder folder;
  std::unique_ptr<reply_store> store;
  std::int64_t now = 1'000'000;
};

const auto kinds = [] { return GENERATE(as<std::string>{}, "memory", "sqlite"); };

}  // namespace

TEST_CASE("reply store: a key belongs to who is first, until it is settled or released", "[replies]") {
  store_fixture test{kinds()};
  CHECK(test.reserve("a").is == state::fresh);
  CHECK(test.reserve("a").is == state::running);
  CHECK(test.reserve("a", "another").is == state::different);
  CHECK(test.reserve("b").is == state::fresh);
  test.release("a");
  CHECK(test.reserve("a", "another").is == state::fresh);
  test.settle("a", "{\"n\":1}");
  const auto found = test.reserve("a", "another");
  CHECK(found.is == state::finished);
  CHECK(found.answer.status == 201);
  CHECK(found.answer.content_type == "application/json");
  CHECK(found.answer.body == "{\"n\":1}");
  REQUIRE(found.answer.headers.size() == 2);
  CHECK(*found.answer.headers.begin() == std::pair<std::string_view, std::string_view>{"Location", "/a"});
  CHECK((*std::next(found.answer.headers.begin())).second == std::string("\xff\0", 2));
  CHECK(test.reserve("a").is == state::different);
  // What is over stays so.
  test.release("a");
  test.settle("a", "other");
  CHECK(test.reserve("a", "another").answer.body == "{\"n\":1}");
  test.settle("nobody", "x");
  CHECK(test.reserve("nobody").is == state::fresh);
}

TEST_CASE("reply store: what its time is over for is as new, and is forgotten in bounded steps", "[replies]") {
  store_fixture test{kinds(), {.entries_max = 10, .bytes_max = 1 << 20}};
  for (int i = 0; i < 10; ++i) {
    CHECK(test.reserve(std::to_string(i)).is == state::fresh);
    if (i % 2 == 0) test.settle(std::to_string(i), "x");
  }
  CHECK(test.reserve("more").is == state::full);
  CHECK(test.expire() == 0);
  test.now += 1000;
  CHECK(test.reserve("0", "another").is == state::fresh);
  CHECK(test.reserve("more").is == state::full);  // nothing that is in time goes, and this one's place has been taken
  CHECK(test.expire(4) == 4);
  CHECK(test.expire() == 5);
  CHECK(test.expire() == 0);
  CHECK(test.reserve("0", "another").is == state::running);
  for (int i = 10; i < 19; ++i) CHECK(test.reserve(std::to_string(i)).is == state::fresh);
  CHECK(test.reserve("more").is == state::full);
}

TEST_CASE("reply store: an answer that is too large, or has no room, is remembered without its text", "[replies]") {
  store_fixture test{kinds(), {.entries_max = 100, .bytes_max = 3000}};
  CHECK(test.reserve("a").is == state::fresh);
  test.settle("a", std::string(stored_bytes_max, 'x'));
  CHECK(test.reserve("a").is == state::too_large);
  CHECK(test.reserve("a", "another").is == state::different);
  CHECK(test.reserve("b").is == state::fresh);
  test.settle("b", std::string(2000, 'x'));
  CHECK(test.reserve("b").is == state::finished);
  CHECK(test.reserve("c").is == state::fresh);
  test.settle("c", std::string(2000, 'x'));
  CHECK(test.reserve("c").is == state::too_large);
  test.now += 1000;
  CHECK(test.expire() == 3);
  CHECK(test.reserve("d").is == state::fresh);
  test.settle("d", std::string(2000, 'x'));
  CHECK(test.reserve("d").is == state::finished);
  int more = 0;
  while (more < 100 && test.reserve("e" + std::to_string(more)).is == state::fresh) ++more;
  CHECK(more > 0);
  CHECK(more < 4);  // in bytes, too, there is an end
}

TEST_CASE("reply store: at random it does what a slow and obvious one does, over restarts", "[replies]") {
  struct row {
    std::string request, body;
    enum { running, finished, unknown } is = running;
    std::int64_t until;
  };
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 chance{seed};
  store_fixture test{kinds()};
  std::map<std::string, row> model;
  for (int i = 0; i < 3000; ++i) {
    const auto key = std::to_string(chance() % 20), request = std::to_string(chance() % 3);
    if (chance() % 20 == 0) test.now += chance() % 700;
    if (chance() % 30 == 0) {
      const auto over = static_cast<std::size_t>(std::count_if(model.begin(), model.end(), [&](const auto& each) { return each.second.until <= test.now; }));
      REQUIRE(test.expire(100) == over);
      std::erase_if(model, [&](const auto& each) { return each.second.until <= test.now; });
    }
    if (test.kind == "sqlite" && chance() % 100 == 0) {
      test.open();
      for (auto& [name, each] : model) {
        if (each.is == row::running) each.is = row::unknown;
      }
    }
    const auto known = model.find(key);
    const bool is_there = known != model.end() && known->second.until > test.now;
    switch (chance() % 4) {
      case 0:
      case 1: {
        const bool twice = chance() % 2 == 0;
        const auto got = test.reserve(key, request, twice);
        if (!is_there) {
          REQUIRE(got.is == state::fresh);
          model[key] = {request, "", row::running, test.now + 1000};
        } else if (known->second.request != request) {
          REQUIRE(got.is == state::different);
        } else if (known->second.is == row::finished) {
          REQUIRE(got.is == state::finished);
          REQUIRE(got.answer.body == known->second.body);
        } else if (known->second.is == row::running) {
          REQUIRE(got.is == state::running);
        } else if (twice) {
          REQUIRE(got.is == state::fresh);
          known->second.is = row::running;
          known->second.until = test.now + 1000;
        } else {
          REQUIRE(got.is == state::unknown);
        }
        break;
      }
      case 2:
        if (is_there && known->second.is == row::running) {
          known->second = {known->second.request, std::to_string(i), row::finished, test.now + 1000};
          test.settle(key, std::to_string(i));
        }
        break;
      default:
        if (is_there && known->second.is == row::running) {
          model.erase(known);
          test.release(key);
        }
    }
  }
}

TEST_CASE("reply store: a process that ends amid a request leaves it unknown, and only what may run twice runs again", "[replies]") {
  store_fixture test{"sqlite"};
  CHECK(test.reserve("done").is == state::fresh);
  test.settle("done", "x");
  CHECK(test.reserve("once").is == state::fresh);
  CHECK(test.reserve("twice", "r", true).is == state::fresh);
  test.open();
  CHECK(test.reserve("done").answer.body == "x");
  CHECK(test.reserve("once").is == state::unknown);
  CHECK(test.reserve("once", "another").is == state::different);
  CHECK(test.reserve("once").is == state::unknown);
  CHECK(test.reserve("twice", "r", true).is == state::fresh);
  CHECK(test.reserve("twice", "r", true).is == state::running);
  test.settle("twice", "y");
  CHECK(test.reserve("twice").answer.body == "y");
  test.now += 1000;
  CHECK(test.reserve("once").is == state::fresh);
}

TEST_CASE("reply store: its folder is one process's, and one format's", "[replies]") {
  store_fixture test{"sqlite"};
  const auto refused = [&] {
    sqlite_reply_store other{test.folder.path};
    const auto opened = other.open();
    return opened ? "opened" : opened.error().message;
  };
  CHECK(refused() == "the folder " + test.folder.path.string() + " is in use by another gateway (process " + std::to_string(::getpid()) +
                         "); end that one, or choose another folder with --data");
  test.store.reset();
  const auto file = (test.folder.path / "replies.db").string();
  const auto change = [&](const char* sql) {
    storage::sqlite_database database;
    database.open(file, "");
    database.run(sql);
  };
  change("PRAGMA user_version = 2");
  CHECK(refused() == file + " was written by a newer waggle (format 2, this one knows 1); start that one, or choose another folder with --data");
  change("PRAGMA user_version = 1; PRAGMA application_id = 7");
  CHECK(refused() == file + " is no store of replies of waggle; choose another folder with --data");
}

TEST_CASE("reply store: an answer that is damaged is not replayed", "[replies]") {
  store_fixture test{"sqlite"};
  CHECK(test.reserve("a").is == state::fresh);
  test.settle("a", "truth");
  test.store.reset();
  {
    storage::sqlite_database database;
    database.open((test.folder.path / "replies.db").string(), "");
    database.run("UPDATE replies SET body = CAST('other' AS BLOB)");
  }
  test.open();
  CHECK(test.reserve("a").is == state::unknown);
}

TEST_CASE("reply store: on a full disk nothing is half done, what is there can be read, and it goes on when there is room", "[replies]") {
  broker::test::faulty_vfs vfs;
  store_fixture test{"sqlite", {}, {.vfs = vfs.name()}};
  CHECK(test.reserve("a").is == state::fresh);
  test.settle("a", "x");
  vfs.fault = [] { return SQLITE_FULL; };
  const store_entry fresh = store::reserve{sha256("b"), sha256("r"), test.now, test.now + 1000, false};
  const auto refused = test.store->commit({&fresh, 1});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == status::resource_exhausted);
  CHECK(test.reserve("a").answer.body == "x");
  vfs.fault = [] { return SQLITE_OK; };
  CHECK(test.reserve("b").is == state::fresh);
  test.store.reset();  // before what it reaches its files through
}

TEST_CASE("reply store: after a power cut everything that was committed is there", "[replies]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 chance{seed};
  broker::test::faulty_vfs vfs;
  store_fixture test{"sqlite", {}, {.vfs = vfs.name(), .wal_pages = 20}};
  std::map<std::string, bool> model;  // settled
  for (int round = 0; round < 10; ++round) {
    int left = static_cast<int>(chance() % 60);
    vfs.fault = [&] { return vfs.is_off || --left < 0 ? (vfs.is_off = true, SQLITE_IOERR) : SQLITE_OK; };
    std::string open_key;
    bool open_settles = false;
    for (int i = 0; i < 200 && !vfs.is_off; ++i) {
      const auto key = std::to_string(round) + '-' + std::to_string(i / 2);
      const bool settles = i % 2 == 1;
      const store_entry what = settles ? store_entry{store::settle{sha256(key), {200, "", std::string(500, 'x'), {}}, test.now + 1000}}
                                       : store_entry{store::reserve{sha256(key), sha256("r"), test.now, test.now + 1000, false}};
      open_key = key;
      open_settles = settles;
      if (test.store->commit({&what, 1})) {
        model[key] = settles;
        open_key.clear();
      }
    }
    test.store.reset();
    vfs.fault = [] { return SQLITE_OK; };
    vfs.cut_power(chance);
    test.open();
    for (const auto& [key, settled] : model) {
      CAPTURE(key);
      const auto got = test.reserve(key).is;
      // What was under way at the cut may be there or not.
      if (key == open_key && open_settles) {
        CHECK((got == state::finished || got == state::unknown));
        if (got == state::finished) model[key] = true;
      } else {
        CHECK(got == (settled ? state::finished : state::unknown));
      }
    }
  }
  test.store.reset();
}
