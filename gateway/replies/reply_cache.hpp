#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gateway/front/application.hpp"
#include "gateway/replies/digest.hpp"

namespace waggle::gateway {

/// What a request says of answers that are kept (RFC 9111 section 5.2.1); what is not listed here is stepped over.
struct cache_wishes {
  bool no_cache = false;  ///< one that is made now
  bool no_store = false;  ///< this one is not to be kept
  std::optional<std::chrono::seconds> age_max{};
};
[[nodiscard]] cache_wishes cache_wishes_of(const std::vector<front::header>& headers);

/// How long one answer is kept.
struct cache_times {
  std::chrono::milliseconds fresh{};
  std::chrono::milliseconds stale{};  ///< after that
};

/// The answers that a thread keeps, and those that it is just getting: of those who ask the same at the same time one makes the call, and the others
/// wait for its answer. The least recently used go when there is no room. No clock, no calls: whoever drives it makes them.
class reply_cache {
 public:
  static constexpr std::size_t waiters_max = 10'000;  ///< of one call
  /// An answer that is larger than this part of all is not kept: a few would push out everything else.
  static constexpr std::size_t share = 8;

  /// `secret`: what clients do not know, so that they cannot choose where in the table their requests are.
  reply_cache(std::size_t bytes_max, std::uint64_t secret) : bytes_max_{bytes_max}, secret_{secret} {}

  /// Names what is asked: requests with the same text get the same answer. `who` is one who wants to know.
  struct question {
    std::string_view text;
    std::uint64_t who = 0;
    cache_times times;
    std::chrono::milliseconds budget{};  ///< of the call that would answer it
    cache_wishes wishes;
  };
  struct verdict {
    enum class kind : std::uint8_t {
      kept,     ///< here it is
      renewed,  ///< the same, and it is stale: the call `flight` is to be made for others
      leads,    ///< the call `flight` is to be made; its end is told with `landed`
      waits,    ///< `landed` will name who asks
      full      ///< too many wait already
    };
    kind is = kind::leads;
    std::uint64_t flight = 0;
    std::shared_ptr<const front::response> answer;
    std::string said;  ///< Cache-Status (RFC 9211)
    std::chrono::seconds age{};
  };
  [[nodiscard]] verdict ask(front::instant now, const question& what);

  struct waiter {
    std::uint64_t who;
    std::string said;
  };
  /// The call has ended with this answer, which is kept if it may be. Returns who gets it: who made the call, unless he has left, and who waits.
  [[nodiscard]] std::vector<waiter> landed(front::instant now, std::uint64_t flight, front::response& answer);
  /// One of those has gone. True: nobody wants the answer any more, and the call may be ended; `landed` is not to be told then.
  [[nodiscard]] bool left(std::uint64_t flight, std::uint64_t who);

  /// Nothing that is known, and nothing that is under way, answers what is asked from now on.
  void clear();
  void set_bytes_max(std::size_t to);

  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::size_t entries() const { return order_.size(); }

 private:
  struct entry {
    digest key;
    std::uint64_t flight;  ///< that brought it
    std::shared_ptr<const front::response> answer;
    front::instant at, fresh_until, stale_until;
    std::size_t bytes;
  };
  struct flight {
    digest key;
    front::instant until;  ///< when its call ends at the latest
    cache_times times;
    std::vector<waiter> waiters;
    bool keeps = true;      ///< its answer may be kept
    bool renews = false;    ///< it goes on without any waiter
  };

  bool keep(front::instant now, std::uint64_t number, const flight& of, front::response& answer);
  void make_room();
  void forget(std::list<entry>::iterator which);
  std::uint64_t take_off(front::instant now, const digest& key, const question& what, std::vector<waiter> waiters);

  std::size_t bytes_max_;
  std::uint64_t secret_;
  std::size_t bytes_ = 0;
  std::list<entry> order_;  ///< the most recently used first
  std::unordered_map<digest, std::list<entry>::iterator, digest_hash> entries_;
  std::unordered_map<std::uint64_t, flight> flights_;
  std::unordered_map<digest, std::uint64_t, digest_hash> open_;  ///< the flight that others may wait for
  std::uint64_t last_flight_ = 0;
};

}  // namespace waggle::gateway
