#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/front/application.hpp"
#include "gateway/front/limits.hpp"
#include "gateway/front/tls_context.hpp"

struct ssl_st;

namespace waggle::front {

/// The server's side of one client's TLS, from bytes of the wire to plain ones and back. No socket, clock or thread: it belongs to
/// whoever reads and writes the wire, and no call waits. Until the first byte comes it costs next to nothing.
class tls_session {
 public:
  enum class stage : std::uint8_t {
    handshake,
    open,
    ended,     // the client has said that it sends no more (close_notify); it can still be answered
    not_tls,   // what came first is not TLS and begins as HTTP does
    failed,    // nothing more can be done than to send `output`, which may hold an alert that says why
  };

  /// `bounds` must outlive the session.
  tls_session(std::shared_ptr<const tls_context> context, const limits& bounds, instant now);
  ~tls_session();
  tls_session(const tls_session&) = delete;
  tls_session& operator=(const tls_session&) = delete;

  [[nodiscard]] stage where() const { return stage_; }
  /// Why it has failed, in a few words of OpenSSL's or of ours; empty if it has not.
  [[nodiscard]] std::string_view failure() const { return failure_; }
  /// Of a session that is open, who the client has proved to be.
  [[nodiscard]] std::optional<client_certificate> certificate() const;

  /// Takes what came over the wire, all of it, and appends what it says in plain.
  void receive(std::string_view wire, std::string& plain);

  /// How many bytes are worth encrypting ahead of what the wire takes.
  static constexpr std::size_t ahead_bytes_max = 64 * 1024;
  /// Plain bytes for the client; only while open or ended, and when `output` is empty.
  void encrypt(std::string_view plain);
  /// Nothing more is said: `output` gets the close_notify, without which a client takes the end for a cut. Once, and only while open or ended.
  void close(instant now);

  /// What is to be written to the wire.
  [[nodiscard]] std::string_view output() const { return std::string_view(output_).substr(output_begin_); }
  /// Returns how many plain bytes have left for good by this: those given to `encrypt`, once the last of them is on the wire.
  [[nodiscard]] std::size_t written(std::size_t bytes);

  /// False while too much waits for the wire: a client can make a server answer without asking anything of HTTP.
  [[nodiscard]] bool wants_read() const { return output_.size() < ahead_bytes_max; }
  /// What it keeps for the wire, and of a record that is not whole.
  [[nodiscard]] std::size_t held_bytes() const;
  /// When a handshake has taken too long, or the client does not take the close_notify; `instant::max()` for never.
  [[nodiscard]] instant next_deadline() const { return deadline_; }

 private:
  struct wire_method;  // the memory that OpenSSL reads from and writes to
  struct free_session {
    void operator()(ssl_st* what) const;
  };

  void begin();
  void shake_hands();
  void decrypt(std::string& plain);
  void fail(std::string_view why = {});

  std::shared_ptr<const tls_context> context_;
  std::unique_ptr<ssl_st, free_session> ssl_;  // null until the first byte
  const limits* bounds_;
  std::string_view wire_;  // during `receive`, what OpenSSL has not taken yet
  std::string output_;
  std::size_t output_begin_ = 0;
  std::size_t ahead_ = 0;  // plain bytes that `output_` stands for
  std::size_t handshake_bytes_ = 0;
  instant deadline_;
  std::string_view failure_;  // a constant
  stage stage_ = stage::handshake;
  bool closed_ = false;
};

}  // namespace waggle::front
