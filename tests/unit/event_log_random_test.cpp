// Random batches and reads go to the log in SQLite and to the one in memory; whatever one answers, the other has to. The one in SQLite is
// opened anew now and then.
#include <cstdlib>
#include <random>

#include "broker/events/memory_log.hpp"
#include "broker/events/sqlite_log.hpp"
#include "support/log_fixture.hpp"

using namespace waggle;
using namespace waggle::broker;
using namespace waggle::broker::test;

namespace {

std::string text_of(const stored_event& each) {
  return std::to_string(each.sequence) + '@' + std::to_string(each.time_ms) + ' ' + each.topic + ' ' + each.event_id + " [" + each.headers + "][" +
         each.payload + "] ";
}

std::string text_of(const written& each) {
  return std::to_string(each.sequence) + '@' + std::to_string(each.time_ms) + (each.repeated ? " repeated" : "") + (each.conflict ? " conflict" : "") +
         (each.ended ? " ended " : " ") + each.operation + " id " + std::to_string(each.id) + " count " + std::to_string(each.count) + " first " +
         std::to_string(each.first) + " bytes " + std::to_string(each.bytes) + '\n';
}

std::string text_of(const found& all) {
  std::string out = "next " + std::to_string(all.next) + " total " + std::to_string(all.total) + " damaged " + std::to_string(all.damaged.size()) + '\n';
  for (const auto& each : all.events) out += text_of(each);
  for (const auto& each : all.dead) {
    out += std::to_string(each.id) + each.group + each.stream + text_of(each.event) + std::to_string(each.bytes) + '/' + std::to_string(each.attempts) +
           each.why + std::to_string(each.dead_ms) + '\n';
  }
  if (all.operation) {
    const auto& is = *all.operation;
    out += is.operation + is.command + std::to_string(is.sequence) + '@' + std::to_string(is.accepted_ms) + '-' +
           std::to_string(is.ended_ms.value_or(-1)) + std::string{name(is.code)} + is.payload;
  }
  return out;
}

std::string text_of(const log_contents& all) {
  std::string out;
  for (const auto& each : all.streams) {
    out += each.stream + ' ' + std::to_string(each.first) + ' ' + std::to_string(each.head) + ' ' + std::to_string(each.bytes) + ' ' +
           std::to_string(each.oldest_age_ms) + '\n';
  }
  for (const auto& each : all.groups) out += each.group + ' ' + each.about + '\n';
  for (const auto& each : all.cursors) {
    out += each.group + each.stream + std::to_string(each.settled) + ' ' + std::to_string(each.reserved) + '\n';
  }
  for (const auto& each : all.marks) {
    out += each.group + each.stream + std::to_string(each.sequence) + ' ' + std::to_string(each.attempts) + (each.begun ? 'b' : ' ') +
           (each.settled ? 's' : ' ') + std::to_string(each.retry_in_ms) + each.why + '\n';
  }
  for (const auto& each : all.dead) out += each.group + std::to_string(each.count) + '\n';
  return out;
}

class random_entries {
 public:
  explicit random_entries(std::uint64_t seed) : random_{seed} {}

  std::uint64_t below(std::uint64_t end) { return random_() % end; }
  std::string one_of(std::initializer_list<const char*> all) { return *(all.begin() + static_cast<std::ptrdiff_t>(below(all.size()))); }
  std::string stream() { return one_of({"events", "orders", "waggle.later"}); }
  std::string group() { return one_of({"g", "h", ""}); }
  std::string topic() { return one_of({"a", "ab", "order.placed", "order.paid", "user.added"}); }
  std::string bytes() { return std::string(below(8) == 0 ? below(9000) : below(40), static_cast<char>(below(256))); }
  std::uint64_t sequence() { return below(12) == 0 ? below(1000) : near_ + below(20); }

  write_entry write(const std::vector<std::string>& operations) {
    const auto operation = operations.empty() || below(10) == 0 ? "unknown" : operations[below(operations.size())];
    const auto age = static_cast<std::int64_t>(below(3000));
    switch (below(20)) {
      case 0: return write::accept{"waggle.later", topic(), one_of({"x", "y"}), bytes(), below(2) == 0 ? "" : one_of({"k", "l"})};
      case 1: return write::finish{operation, status_from(below(17)), bytes(), age};
      case 2: return write::group{group(), bytes()};
      case 3: case 4: return write::progress{group(), stream(), near_ + below(6), sequence()};
      case 5: case 6: case 7:
        return write::mark{group(), stream(), sequence(), static_cast<std::uint32_t>(below(4)), below(2) == 0, below(2) == 0, age - 1000, bytes()};
      case 8: case 9: return write::bury{group(), stream(), sequence(), static_cast<std::uint32_t>(below(4)), bytes()};
      case 10: return write::drop_dead{below(60)};
      case 11: return below(8) == 0 ? write_entry{write::forget_group{group()}} : write_entry{write::expire_operations{static_cast<std::uint32_t>(below(3))}};
      case 12: return write::trim{stream(), below(2) == 0 ? age : 1'000'000, below(2) == 0 ? 20'000 : ~0ull >> 1, sequence(), static_cast<std::uint32_t>(below(20))};
      default: near_ += below(3) == 0 ? 1 : 0; return write::append{stream(), topic(), bytes(), one_of({"", "h"}), below(2) == 0 ? "" : "id" + std::to_string(below(30)), 1500};
    }
  }

  read_entry read(const std::vector<std::string>& operations) {
    std::vector<std::string> prefixes;
    while (below(2) == 0) prefixes.push_back(one_of({"a", "order.", "user.", "none", ""}));
    const auto count = static_cast<std::uint32_t>(below(12));
    const std::uint64_t bytes_max = below(2) == 0 ? 1u << 20 : below(10'000);
    switch (below(5)) {
      case 0: return read::place{stream(), prefixes, static_cast<std::int64_t>(below(4000)), 0};
      case 1: return read::place{stream(), prefixes, -1, below(12)};
      case 2: return read::dead_letters{group(), below(40), count, below(2) == 0, bytes_max};
      case 3: return read::operation{operations.empty() ? "unknown" : operations[below(operations.size())]};
      default: return read::events{stream(), sequence(), prefixes, count, bytes_max, 1 + static_cast<std::uint32_t>(below(20))};
    }
  }

 private:
  std::mt19937_64 random_;
  std::uint64_t near_ = 0;
};

void compare(std::uint64_t seed, int steps) {
  CAPTURE(seed);
  random_entries random{seed};
  temporary_folder folder;
  log_fixture_sources expected_sources, sources;
  memory_log expected{expected_sources.get()};
  std::unique_ptr<sqlite_log> log;
  std::vector<std::string> operations;
  const auto open = [&] {
    log.reset();
    log = std::make_unique<sqlite_log>(folder.path(), sources.get(), sqlite_settings{.vfs = {}, .wal_pages = 20});
    const auto contents = log->open();
    REQUIRE(contents.has_value());
    REQUIRE(text_of(*contents) == text_of(*expected.open()));
  };
  open();
  for (int step = 0; step < steps; ++step) {
    CAPTURE(step);
    expected_sources.now_ms = sources.now_ms += static_cast<std::int64_t>(random.below(200)) - (random.below(20) == 0 ? 1000 : 0);
    std::vector<write_entry> batch;
    for (auto i = random.below(12); i > 0; --i) batch.push_back(random.write(operations));
    const auto out = log->commit(batch), wanted = expected.commit(batch);
    REQUIRE(out.has_value());
    REQUIRE(out->size() == wanted->size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      CAPTURE(i, batch[i].index());
      REQUIRE(text_of((*out)[i]) == text_of((*wanted)[i]));
      if (!(*out)[i].operation.empty()) operations.push_back((*out)[i].operation);
    }
    for (int i = 0; i < 3; ++i) {
      const auto what = random.read(operations);
      CAPTURE(what.index());
      REQUIRE(text_of(look(*log, what)) == text_of(look(expected, what)));
    }
    if (random.below(40) == 0) open();
  }
  open();
}

}  // namespace

TEST_CASE("event log: SQLite does what the slow and obvious log does", "[log]") {
  const char* const seeds = std::getenv("WAGGLE_LOG_SEEDS");
  const auto count = seeds == nullptr ? 6ull : std::strtoull(seeds, nullptr, 10);
  for (std::uint64_t seed = 1; seed <= count; ++seed) compare(seed, 300);
}
