#include "gateway/front/tls_session.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>

#include "gateway/front/tls_certificate.hpp"

namespace waggle::front {
namespace {

// More than the longest honest handshake, which is that of a client with a chain of certificates.
constexpr std::size_t handshake_bytes_max = 128 * 1024;
constexpr std::size_t record_bytes_max = 16 * 1024 + 512;
constexpr char handshake_record = 0x16;
// An idle connection keeps no more memory than this for its next answer.
constexpr std::size_t kept_capacity_max = 4 * 1024;

bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

}  // namespace

/// In place of OpenSSL's own memory BIO, which copies each byte once more and keeps its largest size for ever.
struct tls_session::wire_method {
  static int read(BIO* bio, char* to, int size) {
    auto& wire = self(bio).wire_;
    BIO_clear_retry_flags(bio);
    if (wire.empty()) {
      BIO_set_retry_read(bio);
      return -1;
    }
    const std::size_t count = std::min(wire.size(), static_cast<std::size_t>(size));
    std::memcpy(to, wire.data(), count);
    wire.remove_prefix(count);
    return static_cast<int>(count);
  }
  static int write(BIO* bio, const char* from, int size) {
    BIO_clear_retry_flags(bio);
    try {
      self(bio).output_.append(from, static_cast<std::size_t>(size));
      return size;
    } catch (const std::exception&) {  // OpenSSL lets none through
      return -1;
    }
  }
  static long control(BIO*, int what, long, void*) { return what == BIO_CTRL_FLUSH ? 1 : 0; }
  static tls_session& self(BIO* bio) { return *static_cast<tls_session*>(BIO_get_data(bio)); }

  static const BIO_METHOD* get() {
    static const BIO_METHOD* const made = [] {
      BIO_METHOD* const out = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
      if (out == nullptr) throw std::bad_alloc{};
      BIO_meth_set_read(out, read);
      BIO_meth_set_write(out, write);
      BIO_meth_set_ctrl(out, control);
      return out;
    }();
    return made;
  }
};

void tls_session::free_session::operator()(ssl_st* what) const { SSL_free(what); }

tls_session::tls_session(std::shared_ptr<const tls_context> context, const limits& bounds, instant now)
    : context_(std::move(context)), bounds_(&bounds), deadline_(now + bounds.handshake_time) {}

tls_session::~tls_session() = default;

void tls_session::begin() {
  BIO* const wire = BIO_new(wire_method::get());
  if (wire == nullptr) throw std::bad_alloc{};
  BIO_set_data(wire, this);
  BIO_set_init(wire, 1);
  ssl_.reset(SSL_new(context_->first()));
  if (!ssl_) {
    BIO_free(wire);
    throw std::bad_alloc{};
  }
  SSL_set_bio(ssl_.get(), wire, wire);
  SSL_set_accept_state(ssl_.get());
}

void tls_session::receive(std::string_view wire, std::string& plain) {
  if (wire.empty() || stage_ > stage::ended) return;
  if (!ssl_) {
    if (wire.front() != handshake_record) {
      if (!is_letter(wire.front())) return fail("this is not TLS");
      stage_ = stage::not_tls;
      deadline_ = instant::max();
      return;
    }
    begin();
  }
  ERR_clear_error();
  wire_ = wire;
  if (stage_ == stage::handshake) shake_hands();
  if (stage_ == stage::open) decrypt(plain);
  wire_ = {};
}

void tls_session::shake_hands() {
  const std::size_t before = wire_.size();
  const int done = SSL_do_handshake(ssl_.get());
  handshake_bytes_ += before - wire_.size();
  if (done == 1) {
    stage_ = stage::open;
    deadline_ = instant::max();
  } else if (SSL_get_error(ssl_.get(), done) != SSL_ERROR_WANT_READ) {
    fail();
  } else if (handshake_bytes_ > handshake_bytes_max) {
    fail("the handshake is too long");
  }
}

void tls_session::decrypt(std::string& plain) {
  std::array<char, 16 * 1024> piece;
  for (;;) {
    const int size = SSL_read(ssl_.get(), piece.data(), piece.size());
    if (size > 0) {
      plain.append(piece.data(), static_cast<std::size_t>(size));
      continue;
    }
    const int why = SSL_get_error(ssl_.get(), size);
    if (why == SSL_ERROR_WANT_READ) return;
    if (why != SSL_ERROR_ZERO_RETURN) return fail();
    stage_ = stage::ended;
    return;
  }
}

void tls_session::fail(std::string_view why) {
  stage_ = stage::failed;
  deadline_ = instant::max();
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  failure_ = !why.empty() ? why : reason != nullptr ? std::string_view{reason} : "no reason given";
  ERR_clear_error();
}

void tls_session::encrypt(std::string_view plain) {
  if ((stage_ != stage::open && stage_ != stage::ended) || closed_ || plain.empty()) return;
  ERR_clear_error();
  // The wire takes everything, so that all of it is written or the session has failed.
  if (SSL_write(ssl_.get(), plain.data(), static_cast<int>(plain.size())) != static_cast<int>(plain.size())) return fail();
  ahead_ += plain.size();
}

void tls_session::close(instant now) {
  if ((stage_ != stage::open && stage_ != stage::ended) || std::exchange(closed_, true)) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  deadline_ = now + bounds_->write_stall_time;
}

std::size_t tls_session::written(std::size_t bytes) {
  output_begin_ += bytes;
  if (output_begin_ < output_.size()) return 0;
  output_.clear();
  output_begin_ = 0;
  if (output_.capacity() > kept_capacity_max) output_.shrink_to_fit();
  if (closed_) deadline_ = instant::max();
  return std::exchange(ahead_, 0);
}

std::size_t tls_session::held_bytes() const {
  return output_.size() + (ssl_ && SSL_has_pending(ssl_.get()) == 1 ? record_bytes_max : 0);
}

std::optional<client_certificate> tls_session::certificate() const {
  const X509* const shown = ssl_ ? SSL_get0_peer_certificate(ssl_.get()) : nullptr;
  if (shown == nullptr || SSL_get_verify_result(ssl_.get()) != X509_V_OK) return std::nullopt;
  return describe_client(shown);
}

}  // namespace waggle::front
