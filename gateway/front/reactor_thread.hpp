#pragma once

#include <pistache/reactor.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <string_view>
#include <vector>

#include "gateway/front/application.hpp"
#include "gateway/front/connection.hpp"
#include "gateway/front/control.hpp"
#include "gateway/front/listener.hpp"
#include "gateway/front/tls_session.hpp"

namespace waggle::front::detail {

// Tags of epoll events. Pistache 0.0.5 shifts its own handler index by 0 bits, so that with one handler a tag is all
// ours.
inline constexpr std::uint64_t wake_tag = 0, timer_tag = 1, application_tag = 2, first_listener_tag = 3, first_client_tag = 16;
inline constexpr std::size_t listeners_max = first_client_tag - first_listener_tag;

inline Pistache::Polling::Tag client_tag(std::uint32_t index) {
  return Pistache::Polling::Tag(first_client_tag + index);
}

// An exchange id is the thread (8 bits), the connection's slot (16) and a number that goes on over the clients of a
// slot (40): an answer finds its connection without a table, and one that comes too late finds none.
inline constexpr unsigned slot_shift = 40, thread_shift = 56;
inline constexpr std::uint64_t sequence_mask = (std::uint64_t{1} << slot_shift) - 1;
inline constexpr std::uint64_t slot_mask = 0xffff;

struct listening {
  unique_fd fd;
  bool tls = false;
};

/// What a reactor thread is made of; the same for all threads of a server.
struct thread_plan {
  std::atomic<std::size_t> clients{0};  // of all threads
  limits bounds;
  application_factory make_application;
  std::function<void(std::string_view)> log;
  control signals;
  current_tls tls;
  std::vector<std::vector<listening>> listeners;  // of each thread, one for each address; taken before the threads run
  std::vector<int> wake_fds;                      // of each thread, to be written after giving an order; owned by the threads
};

/// One thread of the server. Pistache makes it by cloning, calls `registerPoller` before its thread runs and `onReady`
/// in it, and destroys it from the thread that drops the reactor; what belongs to the thread is therefore made by the
/// first wake-up (`begin_life`) and gone after the last (`end`).
class reactor_thread final : public Pistache::Aio::Handler, private responder {
 public:
  explicit reactor_thread(std::shared_ptr<thread_plan> plan) : plan_(std::move(plan)) {}
  ~reactor_thread() override = default;

  [[nodiscard]] std::shared_ptr<Pistache::Aio::Handler> clone() const override {
    return std::make_shared<reactor_thread>(plan_);
  }
  void registerPoller(Pistache::Polling::Epoll& poller) override;
  void onReady(const Pistache::Aio::FdSet& ready) override;

 private:
  struct slot {
    unique_fd fd;
    std::unique_ptr<connection> client;  // null: the slot is free, or will be after this batch
    std::unique_ptr<tls_session> tls;    // between the two; null: plain
    bool shaking = false;                // counted in handshakes_
    std::uint64_t next_sequence = 0;     // ids of exchanges go on from here for the next client of this slot
    instant scheduled = instant::max();  // the earliest entry for it in timers_
    std::size_t held_bytes = 0;          // its part of held_bytes_
    bool dirty = false;
    bool reading = true;  // what epoll has been told
    bool writing = false;
  };
  struct timer {
    instant at;
    std::uint32_t index;
    bool operator>(const timer& other) const { return at > other.at; }
  };
  enum class life { waiting, running, draining, ended };

  void respond(exchange_id to, response answer) override;
  void begin(exchange_id to, response head) override;
  bool append(exchange_id to, std::string_view bytes) override;
  void finish(exchange_id to) override;
  void abort(exchange_id to) override;
  [[nodiscard]] std::size_t backlog(exchange_id to) const override;
  [[nodiscard]] std::size_t connections() const override { return plan_->clients.load(std::memory_order_relaxed); }
  /// The slot of the exchange's connection; `slots_.size()` if it has gone.
  [[nodiscard]] std::uint32_t slot_of(exchange_id id) const;

  [[nodiscard]] bool is_serving() const { return life_ == life::running || life_ == life::draining; }
  void handle(const Pistache::Aio::FdSet::Entry& event);
  void obey();
  void begin_life();
  void announce_drain();
  void begin_drain();
  void end();

  void accept_some(const listening& at, int count_max);
  void admit(unique_fd fd, const sockaddr_storage& from, std::shared_ptr<const tls_context> tls);
  void shed(unique_fd fd, bool tls);
  bool shed_with_reserve(const listening& at);
  void set_accepting(bool on);

  /// Does something with a connection; one that fails is dropped, and the others do not notice.
  template <typename Function>
  void with_client(std::uint32_t index, Function&& call);
  void on_client_event(std::uint32_t index, const Pistache::Aio::FdSet::Entry& event);
  bool read_from(std::uint32_t index);
  bool take_wire(std::uint32_t index, std::string_view wire);
  void pump(std::uint32_t index);
  void flush(std::uint32_t index);
  bool send_plain(std::uint32_t index);
  bool send_encrypted(std::uint32_t index);
  void end_handshake(slot& at);
  void note_failed_handshake(slot& at);
  void say_goodbye(slot& at);
  bool waits_to_shake(std::uint32_t index);
  void close_finished(std::uint32_t index);
  void drop(std::uint32_t index);
  void mark(std::uint32_t index);
  void update_interest(std::uint32_t index);
  bool hold_to_budget(std::uint32_t index);

  bool finish_batch(bool last);
  void look_again();
  void offer_room();
  void drain_client(std::uint32_t index);
  void follow_descriptors();
  void run_timers();
  void arm_timer();
  void update_date();

  /// Runs what belongs to the application; an exception is logged and ends here. False if there was one.
  template <typename Function>
  bool guarded(std::string_view what, Function&& call);
  void log(std::string_view line) const;

  std::shared_ptr<thread_plan> plan_;
  Pistache::Polling::Epoll* poller_ = nullptr;
  std::uint64_t number_ = 0;
  unique_fd wake_, timer_fd_, reserve_;
  std::vector<listening> listeners_;
  life life_ = life::waiting;
  instant now_ = instant::min();  // when the present batch began
  instant patience_until_ = instant::max();

  std::unique_ptr<application> application_;
  std::array<int, 3> watched_{-1, -1, -1};  // the application's descriptors
  bool application_called_ = false;
  bool drain_announced_ = false;
  std::uint64_t notifications_seen_ = 0;

  connection_context context_;
  instant date_until_ = instant::min();
  std::vector<slot> slots_;
  std::vector<std::uint32_t> free_, freed_, dirty_, flushing_;
  std::vector<exchange_id> roomy_, offering_;  // streamed answers whose application is to be told that there is room
  std::size_t clients_ = 0;
  std::size_t handshakes_ = 0;          // of all clients, those that are not through with it
  clock::duration handshakes_took_{0};  // in the present batch
  bool crowd_logged_ = false;
  std::uint64_t failed_handshakes_ = 0;              // that the log has not been told of
  instant failed_handshakes_told_ = instant::min();  // when it was last
  std::size_t held_bytes_ = 0;  // of all clients, as of the end of the batch in which each was last touched
  bool accepting_ = false;
  instant accept_again_ = instant::max();  // accepting is paused until then
  bool shortage_logged_ = false;

  std::priority_queue<timer, std::vector<timer>, std::greater<>> timers_;
  instant armed_ = instant::max();
  std::vector<Pistache::Polling::Event> looked_;  // what look_again has found
  std::vector<char> read_buffer_;
  std::string plain_;  // what one read says, once decrypted
};

}  // namespace waggle::front::detail
