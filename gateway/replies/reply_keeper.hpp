#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include <waggle/net/poll.hpp>

#include "gateway/replies/reply_store.hpp"

namespace waggle::gateway {

struct keeper_settings {
  std::size_t batch_entries_max = 1024;      ///< written with one commit
  std::size_t batch_bytes_max = 8u << 20;    ///< likewise; one larger entry goes alone
  std::size_t waiting_max = 20'000;          ///< past it nothing more is reserved
  std::size_t kept_bytes_max = 64u << 20;    ///< of answers that a failing store has not taken yet
  std::chrono::milliseconds retry{1000};     ///< so long after a failure they are tried again, and so often what is over is forgotten
};

/// One store of replies for all reactor threads, and the thread on which it is used, so that none of them waits for a disk. What all of them want is
/// written with one sync as it comes. What settles or releases a key and cannot be written is kept, and tried again.
class reply_keeper {
 public:
  struct outcome {
    std::uint64_t ticket = 0;
    result<reserved> what;
  };

  /// One reactor thread's way to the store. Used by that thread, but for `descriptor`.
  class seat {
   public:
    ~seat();
    seat(const seat&) = delete;
    seat& operator=(const seat&) = delete;
    /// There will be one outcome for the ticket; none for ticket 0. False: it is refused, since too much waits already.
    [[nodiscard]] bool put(std::uint64_t ticket, store_entry what);
    /// Can be read when there are outcomes.
    [[nodiscard]] int descriptor() const;
    /// Adds what came of it since the last time.
    void take(std::vector<outcome>& out);

   private:
    friend class reply_keeper;
    struct box;
    seat(reply_keeper& of, std::shared_ptr<box> mine) : of_{of}, mine_{std::move(mine)} {}
    reply_keeper& of_;
    std::shared_ptr<box> mine_;
  };

  /// The store is open, and from now on used here only. `note` takes lines for people, on the keeper's thread.
  explicit reply_keeper(std::unique_ptr<reply_store> store, std::function<void(std::string_view)> note = {}, keeper_settings with = {});
  /// Writes what is there, once. All seats have gone.
  ~reply_keeper();
  reply_keeper(const reply_keeper&) = delete;
  reply_keeper& operator=(const reply_keeper&) = delete;

  [[nodiscard]] bool durable() const { return durable_; }
  [[nodiscard]] std::unique_ptr<seat> join();

 private:
  struct item {
    std::shared_ptr<seat::box> from;
    std::uint64_t ticket;
    store_entry what;
  };
  using item_list = std::deque<item>;

  bool put(item what);
  void work();
  void work_or_throw();
  void write(item_list batch);
  void fail(item_list batch, const error& why);
  void write_kept();
  void expire();
  void note(const std::string& line) const;

  const std::unique_ptr<reply_store> store_;
  const std::function<void(std::string_view)> note_;
  const keeper_settings settings_;
  const bool durable_;

  std::mutex mutex_;
  std::condition_variable put_in_;
  item_list waiting_;
  bool stopping_ = false, failed_ = false;
  std::thread thread_;  ///< begins with the first entry: most gateways have no use for it

  // Of the thread.
  std::deque<store_entry> kept_;
  std::size_t kept_bytes_ = 0;
  std::chrono::steady_clock::time_point again_at_{}, expire_at_{};
  bool is_failing_ = false;
};

}  // namespace waggle::gateway
