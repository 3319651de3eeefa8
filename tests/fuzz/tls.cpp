// The server's side of TLS. The input is four bytes of seed and a script: what an honest client says, what the server says, how the wire
// cuts it, and what somebody on the wire changes. What the server hears is then what the client said, or a beginning of it. An input
// whose first byte is odd is given to a server as it is.
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "gateway/front/tls_session.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/support/tls_fixture.hpp"

using namespace waggle::front;
using waggle::fuzz::require;
using stage = tls_session::stage;

namespace {

const std::shared_ptr<const tls_context>& served() {
  static const auto made = [] {
    auto with = tls_fixture::settings();
    with.clients = client_certificates::optional;
    with.client_ca = tls_fixture::authority().certificate_pem();
    return tls_fixture::context(with);
  }();
  return made;
}

class wire {
 public:
  explicit wire(std::uint32_t seed) : random_{seed} {
    static const auto old = tls_fixture::client_context({.max_version = TLS1_2_VERSION}), young = tls_fixture::client_context();
    static const auto known = tls_fixture::client_context({.as = &tls_fixture::server()});
    client_ = tls_fixture::client_session((seed % 3 == 0 ? old : seed % 3 == 1 ? young : known).get());
    SSL_set_bio(client_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  }

  void act(std::uint8_t what) {
    ERR_clear_error();
    const std::string text(1 + random_() % (what % 16 == 0 ? 40'000 : 300), static_cast<char>('a' + random_() % 26));
    switch (what % 8) {
      case 0:
      case 1:
        if (SSL_write(client_.get(), text.data(), static_cast<int>(text.size())) > 0) said_ += text;
        break;
      case 2:
        if (server_.output().empty() && (server_.where() == stage::open || server_.where() == stage::ended) && !closed_) {
          server_.encrypt(text);
          answered_ += text;
        }
        break;
      case 3:
        SSL_key_update(client_.get(), random_() % 2 == 0 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
        break;
      case 4:
        changes_ = random_() % 4 == 0;
        break;
      case 5:
        changed_ = SSL_renegotiate(client_.get()) == 1 || changed_;  // which this client takes for its end
        break;
      case 6:
        if (random_() % 8 == 0) SSL_shutdown(client_.get());
        break;
      case 7:
        if (random_() % 8 == 0) {
          server_.close(now_);
          closed_ = closed_ || server_.where() == stage::open || server_.where() == stage::ended;
        }
        break;
    }
    carry();
    check();
  }

 private:
  void carry() {
    SSL_do_handshake(client_.get());
    read_client();
    char bytes[20'000];
    for (int size; (size = BIO_read(SSL_get_wbio(client_.get()), bytes, sizeof bytes)) > 0;) {
      if (std::exchange(changes_, false)) {
        bytes[random_() % static_cast<unsigned>(size)] ^= static_cast<char>(1 + random_() % 255);
        changed_ = true;
      }
      for (std::string_view left{bytes, static_cast<std::size_t>(size)}; !left.empty();) {
        const auto piece = left.substr(0, 1 + random_() % 5000);
        server_.receive(piece, heard_);
        left.remove_prefix(piece.size());
      }
    }
    while (!server_.output().empty()) {
      const auto piece = server_.output().substr(0, 1 + random_() % 5000);
      BIO_write(SSL_get_rbio(client_.get()), piece.data(), static_cast<int>(piece.size()));
      left_ += server_.written(piece.size());
    }
    read_client();
  }
  void read_client() {
    char bytes[20'000];
    for (int size; (size = SSL_read(client_.get(), bytes, sizeof bytes)) > 0;) got_.append(bytes, static_cast<std::size_t>(size));
  }
  void check() {
    require(said_.starts_with(heard_), "what is heard was said");
    require(answered_.starts_with(got_), "what the client gets was answered");
    require(left_ == answered_.size() || server_.where() == stage::failed, "all that was answered is known to have left");
    require(server_.held_bytes() < 32 * 1024, "nothing is kept for the wire that has taken everything");
    if (changed_) return;
    require(server_.where() != stage::failed || said_.empty() || heard_ == said_, "nobody fails on the way for nothing");
  }

  std::minstd_rand random_;
  instant now_{};
  limits bounds_;
  tls_session server_{served(), bounds_, now_};
  tls_fixture::ssl_ptr client_;
  std::string said_, heard_, answered_, got_;
  std::size_t left_ = 0;
  bool changes_ = false, changed_ = false, closed_ = false;
};

void take_as_it_is(std::string_view bytes) {
  const limits bounds;
  tls_session server{served(), bounds, instant{}};
  std::string heard;
  for (; !bytes.empty() && server.where() == stage::handshake; bytes.remove_prefix(std::min<std::size_t>(bytes.size(), 7))) {
    server.receive(bytes.substr(0, 7), heard);
  }
  require(heard.empty(), "nothing is heard from who has not shaken hands");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::uint32_t seed = 1;
  if (size < sizeof seed) return 0;
  std::memcpy(&seed, data, sizeof seed);
  if (data[0] % 2 == 1) {
    take_as_it_is({reinterpret_cast<const char*>(data) + 1, size - 1});
    return 0;
  }
  wire between{seed};
  for (std::size_t i = sizeof seed; i < std::min<std::size_t>(size, 64); ++i) between.act(data[i]);
  return 0;
}
