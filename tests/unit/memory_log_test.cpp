#include "unit/event_log_suite.hpp"

#include "broker/events/memory_log.hpp"

using namespace waggle;
using namespace waggle::broker;
using namespace waggle::broker::test;

namespace {

class memory_suite : public event_log_suite {
 public:
  event_log& log() override { return log_; }
  log_contents reopen() override { return *log_.open(); }

 private:
  memory_log log_{sources.get()};
};

}  // namespace

WAGGLE_EVENT_LOG_SUITE("memory log", memory_suite, "[log]")

TEST_CASE("memory log: a copy is a snapshot", "[log]") {
  log_fixture_sources sources;
  memory_log log{sources.get(), true};
  CHECK(log.durable());
  write_one(log, event("a"));
  const auto before = log;
  write_one(log, event("b"));
  log = before;
  CHECK(look(log, read::events{"events", 1, {}, 10}).events.size() == 1);
  CHECK(write_one(log, event("c")).sequence == 2);
}
