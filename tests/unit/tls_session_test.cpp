// The server's side of TLS without a socket: both ends in this process, and every byte between them in the test's hands.
#include "gateway/front/tls_session.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "support/catch.hpp"
#include "support/tls_fixture.hpp"

using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace waggle::front;
using namespace tls_fixture;
using stage = tls_session::stage;

namespace {

/// A client and a server, and the wire between them, which carries pieces of some size.
struct wire_fixture {
  explicit wire_fixture(const client_wish& how = {}, const tls_settings& with = settings(), std::size_t piece_bytes = 64 * 1024)
      : wire_fixture(how, context(with), piece_bytes) {}
  wire_fixture(const client_wish& how, std::shared_ptr<const tls_context> with, std::size_t piece_bytes = 64 * 1024)
      : piece(piece_bytes), server(std::move(with), bounds, now), client_side(client_context(how)), client(client_session(client_side.get(), how)) {
    SSL_set_bio(client.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  }

  std::string from_client() {
    std::string out(1 << 20, '\0');
    const int size = BIO_read(SSL_get_wbio(client.get()), out.data(), static_cast<int>(out.size()));
    out.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return out;
  }
  void to_server(std::string_view bytes) {
    for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) server.receive(bytes.substr(0, piece), heard);
  }
  /// What the server has said reaches the client. Returns how many plain bytes the server has learnt to have left.
  std::size_t to_client() {
    std::size_t left = 0;
    while (!server.output().empty()) {
      const auto bytes = server.output().substr(0, piece);
      BIO_write(SSL_get_rbio(client.get()), bytes.data(), static_cast<int>(bytes.size()));
      left += server.written(bytes.size());
    }
    return left;
  }
  /// Until neither has more to say. Whether both are through.
  bool shake() {
    int done = 0;
    for (int i = 0; i < 10; ++i) {
      done = SSL_do_handshake(client.get());
      to_server(from_client());
      to_client();
      if (server.where() == stage::failed) {
        SSL_do_handshake(client.get());  // reads the alert
        return false;
      }
    }
    return done == 1 && server.where() == stage::open;
  }
  void say(std::string_view plain) {
    REQUIRE(SSL_write(client.get(), plain.data(), static_cast<int>(plain.size())) == static_cast<int>(plain.size()));
    to_server(from_client());
  }
  std::string read() {
    std::string out;
    char bytes[20'000];
    for (int size; (size = SSL_read(client.get(), bytes, sizeof bytes)) > 0;) out.append(bytes, static_cast<std::size_t>(size));
    return out;
  }

  std::size_t piece;
  instant now{};
  limits bounds;
  tls_session server;
  ssl_ctx_ptr client_side;
  ssl_ptr client;
  std::string heard;  // by the server, in plain
};

client_wish only(int version) {
  client_wish out;
  out.min_version = out.max_version = version;
  return out;
}

std::string certificate_shown(const wire_fixture& at) {
  char out[100] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(at.client.get())), NID_commonName, out, sizeof out);
  return out;
}

std::string fault_of(const tls_settings& with) {
  const auto made = tls_context::make(with);
  return made ? "none" : made.error().what;
}

}  // namespace

TEST_CASE("tls: what is said arrives, however the bytes are cut", "[tls]") {
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  const std::size_t piece = GENERATE(1u, 2u, 7u, 64u * 1024);
  CAPTURE(version, piece);
  wire_fixture at{only(version), settings(), piece};
  REQUIRE(at.shake());
  CHECK(at.server.next_deadline() == instant::max());
  at.say("hello");
  at.say("");
  at.say(" there");
  CHECK(at.heard == "hello there");
  at.server.encrypt("and back");
  CHECK(at.to_client() == 8);
  CHECK(at.read() == "and back");
  CHECK(at.server.held_bytes() == 0);
}

TEST_CASE("tls: large answers pass, and are known to have left when the last byte has", "[tls]") {
  wire_fixture at;
  REQUIRE(at.shake());
  std::string much(1'000'000, 'x');
  for (std::size_t i = 0; i < much.size(); i += 100) much[i] = static_cast<char>('a' + i % 26);
  std::string_view left = much;
  std::string got;
  while (!left.empty()) {
    const auto piece = left.substr(0, tls_session::ahead_bytes_max);
    at.server.encrypt(piece);
    CHECK(at.server.held_bytes() >= piece.size());
    CHECK(at.server.held_bytes() < piece.size() + 4096);
    CHECK(at.server.written(0) == 0);
    REQUIRE(at.to_client() == piece.size());
    got += at.read();
    left.remove_prefix(piece.size());
  }
  CHECK((got == much));
}

TEST_CASE("tls: a large request arrives, and what is not whole is counted", "[tls]") {
  wire_fixture at;
  REQUIRE(at.shake());
  const std::string much(500'000, 'y');
  std::string_view left = much;
  while (!left.empty()) {
    at.say(left.substr(0, 16'000));
    left.remove_prefix(std::min<std::size_t>(left.size(), 16'000));
  }
  CHECK((at.heard == much));
  SSL_write(at.client.get(), "abc", 3);
  const auto record = at.from_client();
  at.to_server(std::string_view{record}.substr(0, record.size() - 1));
  CHECK(at.server.held_bytes() > 0);
  at.to_server(std::string_view{record}.substr(record.size() - 1));
  CHECK(at.server.held_bytes() == 0);
  CHECK(at.heard.ends_with("abc"));
}

TEST_CASE("tls: older versions and weak ciphers are refused with an alert", "[tls]") {
  for (auto how : {only(TLS1_VERSION), only(TLS1_1_VERSION)}) {
    wire_fixture at{how};
    CHECK_FALSE(at.shake());
    CHECK(at.server.where() == stage::failed);
    CHECK(ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
    CHECK(at.server.failure() == "unsupported protocol");
    ERR_clear_error();
  }
  for (const char* const weak : {"AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA", "NULL"}) {
    CAPTURE(weak);
    auto how = only(TLS1_2_VERSION);
    how.ciphers_12 = weak;
    wire_fixture at{how};
    CHECK_FALSE(at.shake());
    CHECK(at.server.where() == stage::failed);
    ERR_clear_error();
  }
  auto with = settings();
  with.only_version_13 = true;
  wire_fixture old{only(TLS1_2_VERSION), with}, present{{}, with};
  CHECK_FALSE(old.shake());
  CHECK(present.shake());
  ERR_clear_error();
}

TEST_CASE("tls: a client cannot renegotiate, and goes on if it likes", "[tls]") {
  wire_fixture at{only(TLS1_2_VERSION)};
  REQUIRE(at.shake());
  REQUIRE(SSL_renegotiate(at.client.get()) == 1);
  SSL_do_handshake(at.client.get());
  at.to_server(at.from_client());
  at.to_client();
  CHECK(SSL_do_handshake(at.client.get()) != 1);
  CHECK(ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_NO_RENEGOTIATION);
  CHECK(at.server.where() != stage::handshake);
  ERR_clear_error();
}

TEST_CASE("tls: http/1.1 is agreed on, and a client that speaks only other protocols is told so", "[tls]") {
  client_wish both, old, other;
  both.protocols = "\x02h2\x08http/1.1";
  other.protocols = "\x02h2";
  wire_fixture agreed{both}, silent{old}, refused{other};
  REQUIRE(agreed.shake());
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(agreed.client.get(), &name, &size);
  CHECK(std::string_view{reinterpret_cast<const char*>(name), size} == "http/1.1");
  CHECK(silent.shake());
  CHECK_FALSE(refused.shake());
  CHECK(ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
  ERR_clear_error();
}

TEST_CASE("tls: a client gets the certificate of the host that it names, else the first", "[tls]") {
  const auto shop = issue(&authority(), "shop", "DNS:shop.example,DNS:*.shop.example"), exact = issue(&authority(), "exact", "DNS:EXACT.shop.example"),
             old = issue(&authority(), "old.example", "");
  auto with = settings();
  with.identities = {server().pem(), shop.pem(), exact.pem(), old.pem()};
  with.identities.front() = issue(&authority(), "first", "DNS:localhost").pem();
  const auto shown = [&](const char* host) {
    client_wish how;
    how.host = host;
    wire_fixture at{how, with};
    REQUIRE(at.shake());
    return certificate_shown(at);
  };
  CHECK(shown("localhost") == "first");
  CHECK(shown(nullptr) == "first");
  CHECK(shown("elsewhere.example") == "first");
  CHECK(shown("shop.example") == "shop");
  CHECK(shown("A.Shop.Example") == "shop");
  CHECK(shown("a.b.shop.example") == "first");  // a wildcard is one label
  CHECK(shown("exact.shop.example") == "exact");
  CHECK(shown("old.example") == "old.example");  // by its common name, as it has no other
  CHECK(shown(".shop.example") == "first");
}

TEST_CASE("tls: a verified client is known by subject, names and fingerprint, and nobody else is", "[tls]") {
  const auto ada = issue(&authority(), "ada", "email:ada@example.org,URI:urn:ada,DNS:ada.example");
  const auto stranger = issue(nullptr, "stranger", ""), late = issue(&authority(), "late", "", 0);
  auto with = settings();
  with.client_ca = authority().certificate_pem();
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  for (const auto asked : {client_certificates::optional, client_certificates::required}) {
    with.clients = asked;
    const auto shaken = [&](const identity* as) {
      auto how = only(version);
      how.as = as;
      auto at = std::make_unique<wire_fixture>(how, with);
      at->shake();
      ERR_clear_error();
      return at;
    };
    const auto known = shaken(&ada)->server.certificate();
    REQUIRE(known);
    CHECK(known->subject == "CN=ada,O=Waggle tests");
    CHECK(known->fingerprint.size() == 64);
    CHECK(known->dns_names == std::vector{"ada.example"s});
    CHECK(known->uris == std::vector{"urn:ada"s});
    CHECK(known->emails == std::vector{"ada@example.org"s});
    CHECK(shaken(&stranger)->server.where() == stage::failed);
    CHECK(shaken(&late)->server.where() == stage::failed);
    const auto nobody = shaken(nullptr);
    CHECK(nobody->server.where() == (asked == client_certificates::optional ? stage::open : stage::failed));
    CHECK_FALSE(nobody->server.certificate());
  }
}

TEST_CASE("tls: who has proved to be somebody is still known when the session is resumed, by whatever host, and no longer with a new context", "[tls]") {
  const auto ada = issue(&authority(), "ada", ""), shop = issue(&authority(), "shop", "DNS:shop.example");
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  auto with = settings();
  with.identities.push_back(shop.pem());
  with.clients = client_certificates::required;
  with.client_ca = authority().certificate_pem();
  auto how = only(version);
  how.as = &ada;
  how.host = "shop.example";
  const auto made = context(with);
  const auto connect = [&](const std::shared_ptr<const tls_context>& to, SSL_SESSION* known) {
    auto at = std::make_unique<wire_fixture>(how, to);
    if (known != nullptr) SSL_set_session(at->client.get(), known);
    REQUIRE(at->shake());
    at->read();  // the tickets of TLS 1.3
    CHECK(certificate_shown(*at) == "shop");
    REQUIRE(at->server.certificate());
    CHECK(at->server.certificate()->subject == "CN=ada,O=Waggle tests");
    return at;
  };
  const auto before = connect(made, nullptr);
  const auto again = connect(made, SSL_get0_session(before->client.get()));
  CHECK(SSL_session_reused(again->client.get()) == 1);
  const auto renewed = connect(context(with), SSL_get0_session(before->client.get()));
  CHECK(SSL_session_reused(renewed->client.get()) == 0);
}

TEST_CASE("tls: a client that says it ends is still answered, and the server's end follows its last byte", "[tls]") {
  wire_fixture at;
  REQUIRE(at.shake());
  at.say("the last");
  SSL_shutdown(at.client.get());
  at.to_server(at.from_client());
  CHECK(at.server.where() == stage::ended);
  CHECK(at.heard == "the last");
  at.server.encrypt("answer");
  at.server.close(at.now);
  CHECK(at.server.next_deadline() == at.now + at.bounds.write_stall_time);
  at.to_client();
  CHECK(at.server.next_deadline() == instant::max());
  CHECK(at.read() == "answer");
  CHECK((SSL_get_shutdown(at.client.get()) & SSL_RECEIVED_SHUTDOWN) != 0);
  at.server.encrypt("too late");
  at.server.close(at.now);
  CHECK(at.server.output().empty());
}

TEST_CASE("tls: bytes that were changed on the way end the session with an alert, and nothing of them is heard", "[tls]") {
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  wire_fixture at{only(version)};
  REQUIRE(at.shake());
  SSL_write(at.client.get(), "secret", 6);
  auto record = at.from_client();
  record.back() = static_cast<char>(record.back() ^ 1);
  at.to_server(record);
  CHECK(at.server.where() == stage::failed);
  CHECK(at.heard.empty());
  CHECK_FALSE(at.server.output().empty());
  at.server.encrypt("x");
  at.to_server("more");
  CHECK(at.server.where() == stage::failed);
}

TEST_CASE("tls: what is no handshake is not taken for one, and HTTP is known by its first letter", "[tls]") {
  const auto first = [](std::string_view bytes) {
    wire_fixture at;
    at.to_server(bytes);
    CHECK(at.heard.empty());
    return at.server.where();
  };
  CHECK(first("GET / HTTP/1.1\r\n") == stage::not_tls);
  CHECK(first("p") == stage::not_tls);
  CHECK(first("\x80\x2e\x01") == stage::failed);  // SSL 2
  CHECK(first("\x15\x03\x03") == stage::failed);
  CHECK(first("\x16") == stage::handshake);
  CHECK(first("\x16\x03\x01\xff\xff"s + std::string(100, 'x')) == stage::failed);
  CHECK(first("\x16GET / HTTP/1.1\r\n\r\n") == stage::failed);
}

TEST_CASE("tls: a handshake has a time and a size", "[tls]") {
  wire_fixture at;
  CHECK(at.server.next_deadline() == at.now + at.bounds.handshake_time);
  // Handshake messages of one byte each, or of none, for ever.
  const std::string record = "\x16\x03\x01\x00\x04"s + "\x01\x00\xff\xff"s;
  at.to_server(record);
  std::size_t sent = record.size();
  const std::string more = "\x16\x03\x01\x01\x00"s + std::string(256, 'x');
  while (at.server.where() == stage::handshake && sent < 1024 * 1024) {
    at.to_server(more);
    sent += more.size();
  }
  CHECK(at.server.where() == stage::failed);
  CHECK(sent < 256 * 1024);
}

TEST_CASE("tls: a client that makes the server talk and does not listen is not read any more", "[tls]") {
  wire_fixture at{only(TLS1_3_VERSION)};
  REQUIRE(at.shake());
  std::size_t updates = 0;
  while (at.server.wants_read() && updates < 100'000) {
    REQUIRE(SSL_key_update(at.client.get(), SSL_KEY_UPDATE_REQUESTED) == 1);
    SSL_do_handshake(at.client.get());
    at.to_server(at.from_client());
    if (at.server.where() != stage::open) break;
    ++updates;
  }
  CHECK(updates < 100'000);
  CHECK(at.server.held_bytes() < 2 * tls_session::ahead_bytes_max);
}

TEST_CASE("tls: certificates that cannot be served are named with what to do", "[tls]") {
  const auto other = issue(&authority(), "other", "");
  auto with = settings();
  with.identities = {};
  CHECK(fault_of(with) == "there is no certificate; write one, and its key");
  with.identities = {{"nonsense", server().key_pem()}};
  CHECK(fault_of(with) == "this is no certificate in PEM; write the server's own one, and behind it those that lead to the authority");
  with.identities = {{server().certificate_pem() + "-----BEGIN CERTIFICATE-----\nxx\n", server().key_pem()}};
  CHECK(fault_of(with) == "this is no certificate in PEM; write the server's own one, and behind it those that lead to the authority");
  with.identities = {{server().certificate_pem(), "nonsense"}};
  CHECK(fault_of(with) == "this is no private key in PEM; write the key of the certificate");
  with.identities = {server().pem(), {server().certificate_pem(), other.key_pem()}};
  CHECK(fault_of(with) == "the key is not that of the certificate of CN=localhost,O=Waggle tests; write the two that belong together");
  CHECK(tls_context::make(with).error().identity == 1);
  with.identities = {{server().certificate_pem(), server().key_pem("passphrase")}};
  CHECK(fault_of(with) ==
        "the key is encrypted, and nobody is there to type its passphrase; write it without one, as with openssl pkey -in OLD -out NEW");
  with = settings();
  with.clients = client_certificates::optional;
  CHECK(fault_of(with) == "this is no certificate in PEM; write that of the authority that signs those of clients");
}

TEST_CASE("tls: a context says what it shows, and until when", "[tls]") {
  auto with = settings();
  with.identities = {{server().certificate_pem() + authority().certificate_pem(), server().key_pem()}};
  const auto made = context(with);
  REQUIRE(made->certificates().size() == 1);
  const auto& shown = made->certificates().front();
  CHECK(shown.subject == "CN=localhost,O=Waggle tests");
  CHECK(shown.names == std::vector{"localhost"s, "*.shop.example"s});
  const auto now = std::chrono::system_clock::now();
  CHECK(shown.not_before < now);
  CHECK(shown.not_after > now + 24h);
  CHECK(shown.not_after < now + 72h);
}
