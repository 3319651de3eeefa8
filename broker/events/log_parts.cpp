#include "broker/events/log_parts.hpp"

#include <sys/random.h>

#include <cerrno>
#include <chrono>
#include <stdexcept>

#include <waggle/detail/hex.hpp>

namespace waggle::broker {

log_sources system_log_sources() {
  return {[] {
            using namespace std::chrono;
            return std::int64_t{duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count()};
          },
          [] {
            std::uint64_t out = 0;
            // Up to 256 bytes come whole, or not at all (getrandom(2)).
            while (::getrandom(&out, sizeof out, 0) != static_cast<ssize_t>(sizeof out)) {
              if (errno != EINTR) throw std::runtime_error{"the system gives no random numbers (getrandom)"};
            }
            return out;
          }};
}

std::string new_operation(const log_sources& from) {
  std::string out;
  for (int half = 0; half < 2; ++half) detail::append_hex(out, from.random());
  return out;
}

}  // namespace waggle::broker
