#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/front/answer.hpp"
#include "gateway/front/application.hpp"
#include "gateway/front/http_parser.hpp"
#include "gateway/front/limits.hpp"

namespace waggle::front {

/// What all connections of a thread share. The shell keeps `date` at the present time (IMF-fixdate, RFC 9110
/// section 5.6.7), since a connection has no clock.
struct connection_context {
  limits bounds;
  std::string date;
  bool closing = false;  // each answer from now on is its connection's last
};

/// One client, from bytes to requests and from answers to bytes. No socket, clock or thread: the shell reads, writes
/// and says what time it is, and asks afterwards what is wanted next.
///
/// Answers may come in any order, whole or bit by bit, and leave in the order of the requests. A connection ends once it takes no more
/// requests (the client or the application said so, the client ended its side, the bytes made no sense, or time was
/// up), each request taken has its answer, and the answers have been written: then it is `finished`.
class connection {
 public:
  /// Requests get the ids `first_id`, `first_id` + 1, …; `context` must outlive the connection.
  connection(const connection_context& context, std::uint64_t first_id, instant now, peer_info from = {});
  connection(const connection&) = delete;  // requests point at its peer
  connection& operator=(const connection&) = delete;

  /// What more becomes known of the client before its first request.
  [[nodiscard]] peer_info& peer() { return from_; }

  /// Answers for the front itself, before or instead of what the client sends, and reads no more.
  void refuse(instant now, int status, std::string_view reason);
  /// The client is amid a request, and may send more of it.
  [[nodiscard]] bool receiving() const { return !input_done_ && parser_.where() != http_parser::stage::idle; }
  /// Of requests that are not whole yet or wait for room, and of answers that have not been written.
  [[nodiscard]] std::size_t held_bytes() const { return parser_.buffered_bytes() + waiting_bytes_ + output_.size(); }

  // What came from the client.
  void receive(instant now, std::string_view bytes);
  /// The client sends no more. It still gets the answers to what it sent.
  void receive_end(instant now);

  /// The next request to give to the application, whose id is `last_id()`; null if there is none yet or no room for
  /// one. It lives until the next call of `next` or `receive`.
  [[nodiscard]] const request* next(instant now);
  [[nodiscard]] exchange_id last_id() const { return exchange_id{next_id_ - 1}; }
  [[nodiscard]] std::uint64_t next_id() const { return next_id_; }
  /// `next` stopped for want of room, and there is room again.
  [[nodiscard]] bool can_resume() const { return short_of_room_ && has_room() && !input_done_; }

  /// False if there is no such exchange, or it has its answer or the begin of one.
  bool respond(instant now, exchange_id to, const response& answer);

  // Streamed answers, as in `responder`.
  bool begin(instant now, exchange_id to, const response& head);
  bool append(instant now, exchange_id to, std::string_view bytes);
  bool finish(instant now, exchange_id to);
  bool abort(instant now, exchange_id to);
  [[nodiscard]] std::size_t backlog(exchange_id to) const;
  /// The exchange whose answer is being streamed to the client, if `application::on_room` is due to it.
  [[nodiscard]] std::optional<exchange_id> take_room();
  /// A streamed answer has grown past its bound: the shell closes without more ado.
  [[nodiscard]] bool overrun() const { return overrun_; }
  /// An answer was aborted, and nothing may follow it. How the shell has to end the connection once the rest has been
  /// written: a proper end would make an answer look whole that lasts until the connection closes.
  enum class breach { none, close, reset };
  [[nodiscard]] breach broken() const { return broken_; }

  // What is to be written to the client.
  [[nodiscard]] std::string_view output() const { return std::string_view(output_).substr(output_begin_); }
  void written(instant now, std::size_t bytes);

  /// Whether the shell should read. Also while lingering, and during a streamed answer with no request behind it, where
  /// what is read is thrown away: it is how the client's going is noticed.
  [[nodiscard]] bool wants_read() const;
  [[nodiscard]] bool peer_ended() const { return peer_ended_; }
  /// All that has come is with the application, which has said nothing yet, and more may come: the shell has nothing to do, and no new deadline.
  [[nodiscard]] bool only_waits_for_answers() const {
    return !open_.empty() && output_.empty() && parser_.buffered_bytes() == 0 && stage_ == http_parser::stage::idle && !input_done_ && wants_read();
  }
  /// Each request that was taken has had its answer.
  [[nodiscard]] bool owes_nothing() const { return open_.empty() && output_.empty(); }
  /// Nothing will be said after `output`.
  [[nodiscard]] bool ends_with_output() const { return input_done_ && (open_.empty() || broken_ != breach::none); }
  /// Everything is said. The shell ends its side and calls `linger`, or closes if the client has ended its own.
  [[nodiscard]] bool finished() const { return ends_with_output() && output_.empty(); }
  /// The shell has ended its side of the connection. Closing at once would make the kernel answer unread bytes with a
  /// reset, which can destroy the last answer before the client has read it (RFC 9112 section 9.6).
  void linger(instant now);
  [[nodiscard]] bool lingering() const { return lingering_; }
  /// The server is going down: what is open is the last.
  void drain();

  /// When `tick` would do something; `instant::max()` for never.
  [[nodiscard]] instant next_deadline() const;
  enum class tick_result { keep, close };
  /// `close`: the client has used up its patience or ours; the shell closes without more ado.
  [[nodiscard]] tick_result tick(instant now);

  /// The requests the application has not answered, or not to the end, for when the client has gone.
  template <typename Function>
  void for_each_unanswered(Function&& call) const {
    for (std::size_t i = 0; i < open_.size(); ++i) {
      if (open_[i].state <= progress::streaming) call(exchange_id{first_open_id() + i});
    }
  }

 private:
  enum class progress : std::uint8_t { waiting, streaming, answered, aborted };
  struct exchange {
    bool is_head = false;
    bool is_http10 = false;
    progress state = progress::waiting;
    framing body = framing::sized;
    // Something was given to it since `take_room` has said that it has room, and that it is all written.
    bool owes_room = false, owes_end = false;
    std::string bytes;       // of an answer that waits for the ones before it
  };

  [[nodiscard]] bool has_room() const;
  [[nodiscard]] std::uint64_t first_open_id() const { return next_id_ - open_.size(); }
  [[nodiscard]] std::size_t unsent() const { return output_.size() - output_begin_; }
  /// The open exchange of this id, as its place in `open_`; `open_.size()` if there is none.
  [[nodiscard]] std::size_t place_of(exchange_id id) const;
  /// Whether the answer to it, given now, is the last.
  [[nodiscard]] bool is_last(std::size_t index);
  void note_stage(instant now);
  /// Gives bytes of the answer to the client, or keeps them until it is its turn.
  template <typename Write>
  void write(instant now, std::size_t index, Write&& to);
  void append_whole(std::string& out, const exchange& to, const response& answer, bool last) const;
  /// Lets the answers leave whose turn has come.
  void advance(instant now);
  void add_output(instant now, std::string_view bytes);
  void send_continue(instant now);
  [[nodiscard]] instant body_deadline() const;
  [[nodiscard]] bool streaming() const { return !open_.empty() && open_.front().state == progress::streaming; }
  /// The client has ended its side amid a streamed answer that is quiet: it may have gone.
  [[nodiscard]] bool awaits_sign_of_life() const { return peer_ended_ && output_.empty() && streaming(); }

  const connection_context* context_;
  peer_info from_;
  http_parser parser_;
  std::uint64_t next_id_;
  std::deque<exchange> open_;      // in the order of the requests
  std::size_t waiting_bytes_ = 0;  // of all `exchange::bytes`
  std::string output_;
  std::size_t output_begin_ = 0;

  http_parser::stage stage_ = http_parser::stage::idle;
  instant stage_since_;     // while the parser is amid a request: since when
  instant active_at_;       // the last byte or answer
  instant write_moved_at_;  // the client last took something, or the output began to wait
  instant linger_until_ = instant::max();
  std::uint64_t body_bytes_ = 0;
  std::uint64_t continued_ = UINT64_MAX;  // the id that the last request asked to go on will have
  bool input_done_ = false;               // no more requests are taken
  bool peer_ended_ = false;
  bool lingering_ = false;
  bool short_of_room_ = false;
  bool draining_ = false;
  bool overrun_ = false;
  breach broken_ = breach::none;
};

}  // namespace waggle::front
