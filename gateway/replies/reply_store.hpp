#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include <waggle/wire/error.hpp>

#include "gateway/front/application.hpp"
#include "gateway/replies/digest.hpp"

namespace waggle::gateway {

/// What is done with a store of replies, in order. Times are milliseconds since 1970.
namespace store {

/// Whoever is the first with a key gets it, and is to settle or release it.
struct reserve {
  digest key{};          ///< of who asks, the route and the Idempotency-Key
  digest fingerprint{};  ///< of the request
  std::int64_t now_ms = 0;
  std::int64_t until_ms = 0;   ///< when the key is forgotten; not before its request can have ended
  bool may_run_twice = false;  ///< what the request does
};
/// The answer for whoever comes with the key again.
struct settle {
  digest key{};
  front::response answer;
  std::int64_t until_ms = 0;
};
/// Nothing has been done: the key is as new.
struct release {
  digest key{};
};

}  // namespace store
using store_entry = std::variant<store::reserve, store::settle, store::release>;

/// What a `reserve` has found. Of the others it says nothing.
struct reserved {
  enum class state : std::uint8_t {
    fresh,      ///< the key is his who asked
    running,    ///< another request has it
    different,  ///< it is of a request that was another one
    finished,   ///< `answer`
    too_large,  ///< the same, but the answer was larger than `stored_bytes_max`, or there was no room for it
    unknown,    ///< the process ended amid the request, or the answer is damaged; and it is not one that may run twice
    full        ///< there is no room for another key
  };
  state is = state::fresh;
  front::response answer{};
};

inline constexpr std::size_t stored_bytes_max = 1u << 20;  ///< of one answer

struct store_limits {
  std::size_t entries_max = 100'000;
  std::size_t bytes_max = 256u << 20;
};

/// Answers under keys, until their time is over. Used on one thread.
class reply_store {
 public:
  reply_store() = default;
  virtual ~reply_store() = default;
  reply_store(const reply_store&) = delete;
  reply_store& operator=(const reply_store&) = delete;

  /// Outlives the process, and what has been committed a power cut.
  [[nodiscard]] virtual bool durable() const = 0;
  /// Does all of it, or, when there is an error, nothing; one result for each. What has been reserved and neither settled nor released when a store is
  /// opened again is `unknown`.
  [[nodiscard]] virtual result<std::vector<reserved>> commit(std::span<const store_entry> batch) = 0;
  /// Forgets up to `rows_max` keys whose time is over; how many.
  [[nodiscard]] virtual result<std::size_t> expire(std::int64_t now_ms, std::size_t rows_max) = 0;
};

/// What an answer takes of `bytes_max`, its key with it.
[[nodiscard]] inline std::size_t stored_bytes(const front::response& answer) {
  std::size_t out = 200 + answer.body.size() + answer.content_type.size();
  for (const auto& [name, value] : answer.headers) out += 16 + name.size() + value.size();
  return out;
}
inline constexpr std::size_t reserved_bytes = 200;  ///< what a key alone takes

}  // namespace waggle::gateway
