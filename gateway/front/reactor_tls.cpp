#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <utility>

#include "gateway/front/reactor_thread.hpp"

/// What a reactor thread does with clients that speak TLS. Between socket and connection there is a session, and no step of it waits.
namespace waggle::front::detail {
namespace {

// A handshake takes this thread a tenth of a millisecond, or several with a long RSA key, and others have to be served meanwhile: so much
// for all of them in one wake-up, after which no other is turned to. Who has to wait is told of again by epoll, behind the others.
constexpr std::chrono::milliseconds handshake_share{2};

constexpr std::chrono::seconds failures_told_every{60};

}  // namespace

bool reactor_thread::waits_to_shake(std::uint32_t index) {
  return slots_[index].shaking && !slots_[index].client->lingering() && handshakes_took_ >= handshake_share;
}

void reactor_thread::end_handshake(slot& at) {
  if (!std::exchange(at.shaking, false)) return;
  if (--handshakes_ < context_.bounds.handshakes_max / 2) crowd_logged_ = false;
}

/// Whoever runs the server wants to know why clients do not get in; strangers try to all the time, and choose how often.
void reactor_thread::note_failed_handshake(slot& at) {
  ++failed_handshakes_;
  if (failed_handshakes_told_ != instant::min() && now_ - failed_handshakes_told_ < failures_told_every) return;
  log("TLS handshakes that failed: " + std::to_string(failed_handshakes_) + ", the last of " + at.client->peer().address + " (" +
      std::string(at.tls->failure()) + ")");
  failed_handshakes_ = 0;
  failed_handshakes_told_ = now_;
}

/// False if the connection has been dropped.
bool reactor_thread::take_wire(std::uint32_t index, std::string_view wire) {
  slot& at = slots_[index];
  connection& client = *at.client;
  // An end of TCP without an end of TLS: anybody on the way could have made it, so that what was said is not known to be whole.
  if (wire.empty()) {
    drop(index);
    return false;
  }
  plain_.clear();
  if (at.shaking) {
    const instant before = clock::now();
    at.tls->receive(wire, plain_);
    handshakes_took_ += clock::now() - before;
  } else {
    at.tls->receive(wire, plain_);
  }
  switch (at.tls->where()) {
    case tls_session::stage::handshake:
      break;
    case tls_session::stage::ended:
    case tls_session::stage::open:
      if (at.shaking) client.peer().certificate = at.tls->certificate();
      end_handshake(at);
      if (!plain_.empty()) client.receive(now_, plain_);
      if (at.tls->where() == tls_session::stage::ended) client.receive_end(now_);
      break;
    case tls_session::stage::not_tls:
      end_handshake(at);
      at.tls.reset();
      client.peer().encrypted = false;
      client.refuse(now_, 400, "plain HTTP was sent to a port that speaks HTTPS");
      break;
    case tls_session::stage::failed: {
      const std::string_view alert = at.tls->output();
      if (!alert.empty()) [[maybe_unused]] const auto sent = ::send(at.fd.get(), alert.data(), alert.size(), MSG_NOSIGNAL);
      if (!at.shaking) {
        drop(index);
        return false;
      }
      note_failed_handshake(at);
      // Nothing has been asked. To close at once could take the alert away from the client, as with answers.
      end_handshake(at);
      at.tls.reset();
      ::shutdown(at.fd.get(), SHUT_WR);
      client.linger(now_);
      break;
    }
  }
  pump(index);
  return true;
}

/// Encrypts no more than the wire takes soon. The connection learns that bytes are written when they are on the wire, so that what it
/// says of room, stalls and bounds holds here too.
bool reactor_thread::send_encrypted(std::uint32_t index) {
  slot& at = slots_[index];
  connection& client = *at.client;
  tls_session& tls = *at.tls;
  for (;;) {
    if (tls.output().empty()) {
      const std::string_view plain = client.output().substr(0, tls_session::ahead_bytes_max);
      tls.encrypt(plain);
      // An answer that was cut short must not look whole: without this last word the client can tell.
      const bool last = plain.size() == client.output().size() && client.ends_with_output();
      if (last && client.broken() == connection::breach::none && !client.lingering()) tls.close(now_);
      if (tls.where() == tls_session::stage::failed) {
        drop(index);
        return false;
      }
    }
    const std::string_view bytes = tls.output();
    if (bytes.empty()) return true;
    const ssize_t size = ::send(at.fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size >= 0) {
      client.written(now_, tls.written(static_cast<std::size_t>(size)));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return true;
    } else if (errno != EINTR) {
      drop(index);
      return false;
    }
  }
}

/// Before a connection is dropped that owes nothing: tells the client that this is the end and no cut. If it does not fit, so be it.
void reactor_thread::say_goodbye(slot& at) {
  if (!at.tls || !at.client->owes_nothing() || !at.tls->output().empty()) return;
  at.tls->close(now_);
  const std::string_view bytes = at.tls->output();
  if (!bytes.empty()) [[maybe_unused]] const auto sent = ::send(at.fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

}  // namespace waggle::front::detail
