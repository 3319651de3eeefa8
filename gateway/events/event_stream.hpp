#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <waggle/detail/subscription_core.hpp>
#include <waggle/wire/error.hpp>
#include <waggle/wire/frames.hpp>

#include "gateway/events/event_positions.hpp"
#include "gateway/events/event_request.hpp"
#include "gateway/front/application.hpp"

namespace waggle::gateway {

/// What may wait for one client; past it the client is closed, as a slow one. One answer of the log may wait beside it.
inline constexpr std::size_t event_backlog_bytes_max = 1u << 20;
/// Live events that wait while the log is read, of one client; past it they are read from the log, too.
inline constexpr std::size_t event_held_bytes_max = 256u << 10;
/// So much may wait for a client before the log is read on for it.
inline constexpr std::size_t event_read_ahead_bytes = 64u << 10;

/// One client's events as Server-Sent Events: from what PUB/SUB and the log bring to the bytes that the client gets. No socket, clock or
/// thread. Whoever drives it asks after each call what there is: an answer instead of the stream, bytes of it, a request to the broker.
///
/// The text: `id:` is where the client goes on from (`positions_text`), `event:` the topic, `data:` the payload in JSON. It begins with
/// `retry:` and the id of the beginning. Events of the stream's own are `waggle.lost` (events that cannot be read any more, as {"stream",
/// "from", "to"?}), after which it goes on, and `waggle.error` (a problem, RFC 9457), after which it ends.
class event_stream {
 public:
  struct options {
    event_request what;
    std::chrono::milliseconds keep_alive{15'000};
    std::chrono::milliseconds retry{2'000};        ///< when a client that has lost the stream comes back
    std::chrono::milliseconds open_within{10'000};  ///< then it is known where it begins, or the request is answered with an error
  };
  event_stream(front::instant now, options with);

  /// What to subscribe to, besides `waggle::detail::subscription_core::head_topics`.
  [[nodiscard]] const std::vector<std::string>& prefixes() const { return core_.prefixes(); }
  [[nodiscard]] bool wants(std::string_view topic) const;

  // What comes in.
  /// The subscription is in force: from now on the broker may be asked.
  void subscribed() { subscribed_ = true; }
  void receive(front::instant now, const wire::frame& event);
  void answered(front::instant now, std::uint64_t id, const result<std::string_view>& payload);
  void tick(front::instant now);
  /// The gateway is going down, or what is let out has changed: the stream ends in peace, and the client comes back.
  void end();

  // What there is to do.
  enum class phase : std::uint8_t { opening, open, ended };
  [[nodiscard]] phase now() const { return phase_; }
  /// Of a stream that has ended before it was open: the answer.
  [[nodiscard]] const std::optional<error>& refused() const { return refused_; }
  /// What the client is to get; whoever takes some of it says how much.
  [[nodiscard]] std::string_view text() const { return std::string_view{text_}.substr(taken_); }
  void took(std::size_t bytes);
  /// The next request, if the client takes what there is: `backlog` is what has been taken of the text and is not with the client yet.
  std::optional<waggle::detail::subscription_core::request> next_request(front::instant now, std::size_t backlog);
  /// It reads so slowly that it has to go.
  [[nodiscard]] bool too_slow(std::size_t backlog);
  /// When `tick` or `next_request` would do something.
  [[nodiscard]] front::instant next_deadline() const;

 private:
  struct sink;
  void append_id();
  void append_event(front::instant now, const waggle::detail::subscribed_event& event);
  void append_lost(front::instant now, std::string_view stream, std::uint64_t from, std::uint64_t to);
  void fail(front::instant now, const error& why);
  void look(front::instant now);

  options options_;
  waggle::detail::subscription_core core_;
  phase phase_ = phase::opening;
  bool subscribed_ = false;
  bool waits_for_client_ = false;  ///< the log is read on once it has taken what there is
  std::optional<error> refused_;
  std::string text_;
  std::size_t taken_ = 0;
  std::size_t read_bytes_ = 0;  ///< of the text, what answers of the log have made: as long as it waits it is no sign of a slow client
  std::string id_;              ///< that the client knows
  front::instant open_until_;
  front::instant keep_alive_at_ = front::instant::max();
};

}  // namespace waggle::gateway
