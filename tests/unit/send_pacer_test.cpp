#include <waggle/detail/send_pacer.hpp>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using waggle::detail::send_pacer;

constexpr auto noon = std::chrono::steady_clock::time_point{} + 12h;

}  // namespace

TEST_CASE("pacer: a call that is alone leaves at once, however lately something was sent", "[pacer]") {
  send_pacer pacer{30us};
  pacer.sent(noon);
  CHECK(pacer.due(noon + 1us, 1, 0) <= noon + 1us);
}

TEST_CASE("pacer: what is ready waits for what is under way, until the gap behind the last sending is over", "[pacer]") {
  send_pacer pacer{30us};
  pacer.sent(noon);
  CHECK(pacer.due(noon + 1us, 10, 90) == noon + 30us);
  CHECK(pacer.due(noon + 31us, 10, 90) <= noon + 31us);
}

TEST_CASE("pacer: half of what is under way is enough, nothing is not waited for, and a few are no load", "[pacer]") {
  send_pacer pacer{30us};
  pacer.sent(noon);
  CHECK(pacer.due(noon + 1us, 50, 100) <= noon + 1us);
  CHECK(pacer.due(noon + 1us, 49, 100) == noon + 30us);
  CHECK(pacer.due(noon + 1us, 0, 100) <= noon + 1us);
  CHECK(pacer.due(noon + 1us, 1, 15) <= noon + 1us);
}
