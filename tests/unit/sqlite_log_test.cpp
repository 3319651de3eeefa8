#include "unit/event_log_suite.hpp"

#include "broker/events/memory_log.hpp"
#include "broker/events/sqlite_log.hpp"

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
